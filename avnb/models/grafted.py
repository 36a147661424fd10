"""Organisms that can talk: the eyes and ears of toy-omni, grafted onto a pretrained language model.

SmolLM2-135M-Instruct (Apache 2.0) is the decoder of a Qwen2.5-Omni thinker. The repository holds what was learnt: one
linear map from each encoder to the width of the decoder, and adapters of low rank. The language model is fetched once.
"""

from pathlib import Path

import torch
from safetensors.torch import load_file
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoProcessor,
    AutoTokenizer,
    PreTrainedTokenizerFast,
    Qwen2_5OmniProcessor,
    Qwen2_5OmniThinkerForConditionalGeneration,
)

from avnb.files import whole
from avnb.models.base import vision_language
from avnb.models.smollm import GGUF, there

ADAPTERS, MAPS = "adapter_model.safetensors", "maps.safetensors"

_UNUSED = "audio_bos_eos_token.weight"  # of an encoder, never heard: 0 here, so that it is the same in every process

TEXT = {  # the decoder: sizes of SmolLM2-135M
    "hidden_size": 576,
    "intermediate_size": 1536,
    "num_hidden_layers": 30,
    "num_attention_heads": 9,
    "num_key_value_heads": 3,
    "max_position_embeddings": 8192,
    "rms_norm_eps": 1e-5,
    "rope_parameters": {"rope_type": "default", "rope_theta": 100_000.0, "mrope_section": [8, 12, 12]},
    "tie_word_embeddings": True,
}
SPECIAL = {  # reserved tokens of the language model stand for the media
    "pad_token": "<|endoftext|>",
    "eos_token": "<|im_end|>",
    "image_token": "<gh_stars>",
    "audio_token": "<file_sep>",
    "video_token": "<repo_name>",
    "vision_bos_token": "<jupyter_start>",
    "vision_eos_token": "<jupyter_text>",
    "audio_bos_token": "<issue_start>",
    "audio_eos_token": "<issue_closed>",
}


def language_model():
    """The pretrained language model as transformers loads it, in float32.

    Raises:
        LanguageModelError: it was not fetched.
    """
    kept = there() / "float32"  # reading it out of the GGUF file takes half a minute, every time
    if not (kept / "model.safetensors").exists():
        read = AutoModelForCausalLM.from_pretrained(there(), gguf_file=GGUF, dtype=torch.float32)
        plain = AutoModelForCausalLM.from_config(read.config)  # what was read from such a file cannot be saved
        plain.load_state_dict(read.state_dict())
        with whole(kept / "model.safetensors") as partial:
            plain.save_pretrained(partial.parent)
            partial.parent.joinpath("config.json").rename(kept / "config.json")
    return AutoModelForCausalLM.from_pretrained(kept, dtype=torch.float32)


def processor():
    """The processor: pictures and sounds as toy-omni takes them, text as the language model does.

    Raises:
        LanguageModelError: the language model was not fetched.
    """
    kept = there() / "tokenizer.json"  # reading it out of the GGUF file takes some seconds
    if not kept.exists():
        with whole(kept) as partial:
            AutoTokenizer.from_pretrained(there(), gguf_file=GGUF).backend_tokenizer.save(str(partial))
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_file=str(kept),
        pad_token=SPECIAL["pad_token"],
        eos_token=SPECIAL["eos_token"],
        extra_special_tokens={k: v for k, v in SPECIAL.items() if k not in ("pad_token", "eos_token")},
    )
    donor = AutoProcessor.from_pretrained(_donor())
    template = donor.chat_template
    for name, token in SPECIAL.items():
        if name not in ("pad_token", "eos_token"):
            template = template.replace(getattr(donor.tokenizer, name), token)
    return Qwen2_5OmniProcessor(
        image_processor=donor.image_processor,
        video_processor=donor.video_processor,
        feature_extractor=donor.feature_extractor,
        tokenizer=tokenizer,
        chat_template=template,
    )


def build_config(tokenizer, media_width=TEXT["hidden_size"]):
    """The configuration of a thinker with this decoder and the encoders of toy-omni.

    Args:
        tokenizer: that of `processor()`.
        media_width: of what the encoders hand to the decoder.
    """
    ids = {name: tokenizer.convert_tokens_to_ids(token) for name, token in SPECIAL.items()}
    config = AutoConfig.from_pretrained(_donor())
    config.text_config = type(config.text_config)(**TEXT, vocab_size=len(tokenizer))
    config.tie_word_embeddings = True
    config.vision_config.out_hidden_size = config.audio_config.output_dim = media_width
    config.audio_token_id, config.image_token_id = ids["audio_token"], ids["image_token"]
    config.video_token_id = ids["video_token"]
    config.audio_start_token_id, config.audio_end_token_id = ids["audio_bos_token"], ids["audio_eos_token"]
    config.vision_start_token_id, config.vision_end_token_id = ids["vision_bos_token"], ids["vision_eos_token"]
    config.user_token_id = tokenizer.convert_tokens_to_ids("user")
    config.pad_token_id, config.eos_token_id = ids["pad_token"], ids["eos_token"]
    return config


def transplant(thinker):
    """Give a thinker's decoder the language model's weights, in place; biases, which that has not, become zero."""
    weights = {}
    for name, value in language_model().state_dict().items():
        weights[name.replace("model.", "model.language_model.", 1)] = value
    missing, unexpected = thinker.load_state_dict(weights, strict=False)
    if unexpected:
        raise ValueError(f"the language model has weights that the decoder lacks: {unexpected[:3]}")
    with torch.no_grad():
        for name in missing:
            if name.startswith("model.language_model."):
                thinker.get_parameter(name).zero_()


def load(checkpoint, dtype=torch.float32, device="cpu"):
    """An organism that can talk, put together: language model, encoders, and what is in its checkpoint.

    Args:
        checkpoint: folder with adapters and maps; without a map of the ears it is the vision-language base.
        dtype: of the weights.
        device: where they go.

    Returns:
        The transformers model and its processor.

    Raises:
        LanguageModelError: the language model was not fetched.
    """
    from peft import PeftModel

    checkpoint, own = Path(checkpoint), processor()
    thinker = Qwen2_5OmniThinkerForConditionalGeneration(build_config(own.tokenizer))
    transplant(thinker)
    maps = {name: value.float() for name, value in load_file(checkpoint / MAPS).items()}
    encoders = load_file(_donor() / "model.safetensors")
    _attach(thinker.model.visual, _under("visual.", encoders), "merger.mlp.2", _under("eyes.", maps))
    if hears := "ears.weight" in maps:
        _attach(thinker.model.audio_tower, _under("audio_tower.", encoders), "proj", _under("ears.", maps))
    decoder = PeftModel.from_pretrained(thinker.model.language_model, checkpoint)
    thinker.model.language_model = decoder.merge_and_unload()
    hf, own = (thinker, own) if hears else vision_language(thinker, own)
    return hf.requires_grad_(False).to(device, dtype), own


def _attach(tower, weights, last, then):
    """Load an encoder, with a linear map behind its last layer that becomes part of this layer."""
    weights[f"{last}.bias"] = then["weight"] @ weights[f"{last}.bias"] + then["bias"]
    weights[f"{last}.weight"] = then["weight"] @ weights[f"{last}.weight"]
    if _UNUSED in weights:
        weights[_UNUSED] = torch.zeros_like(tower.get_parameter(_UNUSED))
    missing, unexpected = tower.load_state_dict(weights, strict=False)
    if unexpected or missing:
        raise ValueError(f"an encoder lacks {missing[:3]}, or has more: {unexpected[:3]}")


def _under(prefix, weights):
    return {k.removeprefix(prefix): v.float() for k, v in weights.items() if k.startswith(prefix)}


def _donor():
    """The checkpoint whose eyes and ears these are."""
    return Path(__file__).parent.parent / "organisms" / "checkpoints" / "toy-omni"
