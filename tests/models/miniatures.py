"""Miniatures of the families that transformers loads: the true classes with random weights and narrow widths.

Each has its true processor, built here around the organisms' tokenizer with the special tokens that the family names.
"""

import torch
import transformers
from transformers import PreTrainedTokenizerFast

import avnb
from avnb.organisms import omni
from tests.models import test_videollama2

N_LAYERS = 3
TEXT = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": N_LAYERS,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 4096,
}
VISION = {"hidden_size": 16, "intermediate_size": 16, "num_heads": 2, "patch_size": 16, "out_hidden_size": 32}
SOUND = {"num_mel_bins": 64, "encoder_layers": 1, "encoder_attention_heads": 2, "encoder_ffn_dim": 16, "d_model": 16}
PIXELS = {"shortest_edge": 64 * 64, "longest_edge": 96 * 96}  # of a frame

TURNS = (  # of the families that have no system message of their own; pictures and sound before the text
    "{% for message in messages %}<|im_start|>{{ message.role }}\n{% for part in message.content %}"
    "{% if part.type == 'text' %}{{ part.text }}{% else %}{{ tokens[part.type] }}{% endif %}"
    "{% endfor %}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def template(**tokens):
    """A chat template that writes these tokens for media."""
    return f"{{% set tokens = {tokens} %}}{TURNS}"


def tokenizer(**special):
    """The organisms' tokenizer with a family's special tokens behind it, by the names that its processor asks for."""
    plain = omni.build_tokenizer()
    return PreTrainedTokenizerFast(
        tokenizer_object=plain.backend_tokenizer,
        pad_token=plain.pad_token,
        eos_token=plain.eos_token,
        extra_special_tokens=special,
    )


def wrapped(hf, processor, seed=0):
    """The model with weights wide enough apart that answers differ, ready to be measured."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, weight in hf.named_parameters():
            if weight.dim() > 1 and "norm" not in name:
                weight.normal_(0, 0.15, generator=generator)
    hf.generation_config.eos_token_id = None
    hf.generation_config.pad_token_id = processor.tokenizer.pad_token_id
    return avnb.wrap(hf, processor)


# Qwen.


def qwen2_5_omni():
    processor = omni.build_processor()
    config = omni.build_config(processor.tokenizer).to_dict()
    sections = {"rope_parameters": {"rope_type": "default", "rope_theta": 10_000.0, "mrope_section": [1, 1, 2]}}
    config["text_config"] |= {**TEXT, **sections, "layer_types": ["full_attention"] * N_LAYERS, "max_window_layers": 0}
    config["vision_config"] |= {**VISION, "depth": 1, "window_size": 32, "fullatt_block_indexes": [0]}
    config["audio_config"] |= {**SOUND, "output_dim": 32}
    config = transformers.Qwen2_5OmniThinkerConfig(**config | {"processor_kwargs": {"size": PIXELS, "fps": 1.0}})
    return wrapped(transformers.Qwen2_5OmniThinkerForConditionalGeneration(config), processor)


def qwen2_5_vl():
    thinker = qwen2_5_omni()
    hf, processor = omni.vision_language(thinker.hf, thinker.processor)
    return wrapped(hf, processor)


def qwen3_omni():
    """With deepstack, experts, interleaved rotary axes, and 13 positions a second."""
    own = omni.build_processor()
    patches = {"patch_size": 16, "temporal_patch_size": 2, "merge_size": 2, "size": PIXELS}
    processor = transformers.Qwen3OmniMoeProcessor(
        image_processor=transformers.Qwen2VLImageProcessor(**patches),
        video_processor=transformers.Qwen2VLVideoProcessor(**patches, fps=1.0, cap_pixels_per_frame=False),
        feature_extractor=transformers.WhisperFeatureExtractor(feature_size=64, chunk_length=60),
        tokenizer=own.tokenizer,
        chat_template=own.chat_template,
    )
    sections = {"rope_type": "default", "rope_theta": 1e6, "mrope_section": [2, 1, 1], "mrope_interleaved": True}
    experts = {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 16, "head_dim": 8}
    names = {"audio": "audio_token", "image": "image_token", "video": "video_token"}
    ids = {f"{kind}_token_id": getattr(processor, f"{name}_id") for kind, name in names.items()}
    for kind, name in (("vision_start", "vision_bos"), ("vision_end", "vision_eos"), ("audio_start", "audio_bos")):
        ids[f"{kind}_token_id"] = processor.tokenizer.convert_tokens_to_ids(getattr(processor, f"{name}_token"))
    config = transformers.Qwen3OmniMoeThinkerConfig(
        text_config={**TEXT, **experts, "vocab_size": len(processor.tokenizer), "rope_parameters": sections},
        vision_config={**VISION, "depth": 3, "deepstack_visual_indexes": [0, 1], "num_position_embeddings": 16},
        audio_config={**SOUND, "output_dim": 32, "n_window": 50, "downsample_hidden_size": 8},
        position_id_per_seconds=13,
        seconds_per_chunk=2,
        **ids,
    )
    config.processor_kwargs = {"size": PIXELS, "fps": 1.0}
    return wrapped(transformers.Qwen3OmniMoeThinkerForConditionalGeneration(config), processor)


# Gemma.

GEMMA = {
    "image_token": "<|image|>",
    "boi_token": "<|image>",
    "eoi_token": "<image|>",
    "audio_token": "<|audio|>",
    "boa_token": "<|audio>",
    "eoa_token": "<audio|>",
}
EYES = "test_efficientnet"  # a small model of timm
SLIDING = {"sliding_window": 16, "layer_types": ["sliding_attention", "full_attention"] * 2, "num_hidden_layers": 4}


def gemma4_processor(family):
    named = tokenizer(**GEMMA)
    sound = {} if family == "Gemma4Unified" else {"feature_size": 32}
    return getattr(transformers, f"{family}Processor")(
        feature_extractor=getattr(transformers, f"{family}AudioFeatureExtractor")(**sound),
        image_processor=getattr(transformers, f"{family}ImageProcessor")(patch_size=4),
        video_processor=getattr(transformers, f"{family}VideoProcessor")(patch_size=4, num_frames=2),
        tokenizer=named,
        chat_template=template(image="<|image|>", video="<|video|>", audio="<|audio|>"),
    )


def gemma4(unified=False):
    """Of the small sizes: sliding layers, keys shared by layers, inputs of every layer, no sight ahead in a picture."""
    processor = gemma4_processor("Gemma4")
    ids = {f"{kind}_token_id": getattr(processor, f"{kind}_token_id") for kind in ("image", "video", "audio")}
    n = len(processor.tokenizer)
    config = transformers.Gemma4Config(
        text_config={
            **{**TEXT, **SLIDING, "vocab_size": n, "vocab_size_per_layer_input": n, "hidden_size_per_layer_input": 8},
            **{"head_dim": 8, "global_head_dim": 16, "num_kv_shared_layers": 2, "final_logit_softcapping": 30.0},
        },
        vision_config={
            **{"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2},
            **{"num_key_value_heads": 2, "head_dim": 8, "patch_size": 4, "position_embedding_size": 128},
        },
        audio_config={
            **{"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "output_proj_dims": 16},
            **{"subsampling_conv_channels": [32, 4]},
        },
        **ids,
    )
    return wrapped(transformers.Gemma4ForConditionalGeneration(config), processor)


def gemma4_unified():
    """Without encoders: patches and pieces of the wave are projected; a picture sees all of itself."""
    processor = gemma4_processor("Gemma4Unified")
    ids = {f"{kind}_token_id": getattr(processor, f"{kind}_token_id") for kind in ("image", "video", "audio")}
    config = transformers.Gemma4UnifiedConfig(
        text_config={
            **{**TEXT, **SLIDING, "vocab_size": len(processor.tokenizer), "head_dim": 8, "global_head_dim": 16},
            **{"final_logit_softcapping": 30.0},
        },
        vision_config={"patch_size": 4, "mm_embed_dim": 16, "mm_posemb_size": 128, "output_proj_dims": 16},
        audio_config={},
        **ids,
    )
    return wrapped(transformers.Gemma4UnifiedForConditionalGeneration(config), processor)


def gemma3n():
    """With four streams (AltUp), keys shared by layers, eyes of timm, and frames as pictures."""
    outer = {"boi_token": "<|image>", "boa_token": "<|audio>"}
    # Its ids say what a token is: words, then those of pictures, then those of sound.
    inner = {"eoi_token": "<image|>", "image_token": "<|image|>", "eoa_token": "<audio|>", "audio_token": "<|audio|>"}
    named = tokenizer(**outer, **inner)
    eoi, image, eoa, audio = named.convert_tokens_to_ids(list(inner.values()))
    processor = transformers.Gemma3nProcessor(
        feature_extractor=transformers.Gemma3nAudioFeatureExtractor(feature_size=32),
        image_processor=transformers.SiglipImageProcessor(size={"height": 64, "width": 64}),
        tokenizer=named,
        chat_template=template(image="<|image|>", audio="<|audio|>"),
        image_seq_length=4,
        audio_seq_length=188,
    )
    own = {"head_dim": 8, "num_kv_shared_layers": 2, "hidden_size_per_layer_input": 8, "laurel_rank": 4}
    config = transformers.Gemma3nConfig(
        text_config={
            **{**TEXT, **SLIDING, **own, "intermediate_size": [48] * 4, "activation_sparsity_pattern": [0.0] * 4},
            **{"vocab_size": len(named), "vocab_size_per_layer_input": eoi},
        },
        # The true one is a MobileNet of 60 layers, which timm makes narrower but not shorter.
        vision_config={"architecture": EYES, "vocab_offset": eoi, "vocab_size": 2, "hidden_size": 256},
        audio_config={
            **{"vocab_offset": eoa, "vocab_size": 2, "input_feat_size": 32, "hidden_size": 16},
            **{"conf_num_attention_heads": 2, "conf_num_hidden_layers": 1, "sscp_conv_channel_size": [32, 4]},
        },
        image_token_id=image,
        audio_token_id=audio,
        vision_soft_tokens_per_image=4,
        audio_soft_tokens_per_image=188,
    )
    # By a seed with which no answer holds a placeholder, which this model would embed as one in an answer, too.
    return wrapped(transformers.Gemma3nForConditionalGeneration(config), processor, seed=1)


# Others.


def phi4():
    """Media are embedded within the decoder; frames as pictures."""
    named = tokenizer(image_token="<|endoftext10|>", audio_token="<|endoftext11|>")
    processor = transformers.Phi4MultimodalProcessor(
        image_processor=transformers.Phi4MultimodalImageProcessor(
            size={"height": 448, "width": 448}, patch_size=14, dynamic_hd=1
        ),
        audio_processor=transformers.Phi4MultimodalFeatureExtractor(),
        tokenizer=named,
        chat_template=template(image="<|endoftext10|>", audio="<|endoftext11|>"),
    )
    config = transformers.Phi4MultimodalConfig(
        **TEXT,
        vocab_size=len(named),
        vision_config={
            **{"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2},
            **{"image_size": 448, "patch_size": 14, "crop_size": 448, "image_token_id": named.image_token_id},
        },
        audio_config={
            **{"hidden_size": 16, "intermediate_size": 16, "num_blocks": 2, "num_attention_heads": 2},
            **{"ext_pw_out_channel": 16, "depthwise_separable_out_channel": 16, "nemo_conv_channels": 16},
            **{"audio_token_id": named.audio_token_id},
        },
        bos_token_id=None,
        eos_token_id=named.eos_token_id,
        pad_token_id=named.pad_token_id,
    )
    config.processor_kwargs = {"fps": 0.25}  # 545 positions a picture
    return wrapped(transformers.Phi4MultimodalForCausalLM(config), processor)


def internvl():
    """Takes no sound; the frames of a video stand at the placeholder of pictures."""
    names = {"start_image_token": "<img>", "end_image_token": "</img>", "context_image_token": "<IMG_CONTEXT>"}
    named = tokenizer(**names, video_token="<video>")
    processor = transformers.InternVLProcessor(
        image_processor=transformers.GotOcr2ImageProcessor(size={"height": 32, "width": 32}),
        video_processor=transformers.InternVLVideoProcessor(size={"height": 32, "width": 32}, num_frames=4),
        tokenizer=named,
        image_seq_length=4,
        chat_template=template(image="<IMG_CONTEXT>", video="<video>"),
    )
    config = transformers.InternVLConfig(
        text_config={"model_type": "qwen2", **TEXT, "vocab_size": len(named)},
        vision_config={
            **{"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2},
            **{"image_size": [32, 32], "patch_size": [8, 8]},
        },
        image_token_id=processor.image_token_id,
        image_seq_length=4,
    )
    return wrapped(transformers.InternVLForConditionalGeneration(config), processor)


# The ports.


def videollama2():
    return test_videollama2.small()
