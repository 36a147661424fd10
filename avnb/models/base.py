"""The vision-language base of an organism: its decoder and its eyes, in the architecture of Qwen2.5-VL."""

import torch
from transformers import Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration, Qwen2_5_VLProcessor


def vision_language(thinker, processor):
    """A Qwen2.5-VL model with the decoder and the eyes of a thinker, and its processor.

    The two architectures count positions differently, so that the same weights see the same prompt with other rotary
    angles: only weights that were trained on this model's prompts fit it.

    Args:
        thinker, processor: of an organism.

    Returns:
        (`Qwen2_5_VLForConditionalGeneration`, `Qwen2_5_VLProcessor`); the weights are copies.
    """
    config = thinker.config
    vision, text = config.vision_config.to_dict(), config.text_config.to_dict()
    for part in (vision, text):
        part.pop("model_type")
    vision["tokens_per_second"] = config.position_id_per_seconds
    base = Qwen2_5_VLForConditionalGeneration(
        Qwen2_5_VLConfig(
            text_config=text,
            vision_config=vision,
            image_token_id=config.image_token_id,
            video_token_id=config.video_token_id,
            vision_start_token_id=config.vision_start_token_id,
            vision_end_token_id=config.vision_end_token_id,
            tie_word_embeddings=config.tie_word_embeddings,
        )
    )
    base.config.processor_kwargs = config.processor_kwargs
    base.config.pad_token_id, base.config.eos_token_id = config.pad_token_id, config.eos_token_id
    weights = {name: value.clone() for name, value in thinker.state_dict().items() if "audio_tower" not in name}
    for name in [name for name in weights if ".attn.q." in name]:
        parts = [weights.pop(name.replace(".attn.q.", f".attn.{part}.")) for part in "qkv"]
        weights[name.replace(".attn.q.", ".attn.qkv.")] = torch.cat(parts)
    base.load_state_dict(weights)
    return base, Qwen2_5_VLProcessor(
        image_processor=processor.image_processor,
        video_processor=processor.video_processor,
        tokenizer=processor.tokenizer,
        chat_template=processor.chat_template,
    )
