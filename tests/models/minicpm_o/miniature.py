"""Miniature checkpoints of MiniCPM-o 2.6 and MiniCPM-V 2.6 in the official layout: files, key names, narrow widths.

Weights follow from their names (`weight`), so that nothing but the names and shapes below has to be stored. Shapes are
those of the published files, with the widths of `SIZES` for the true ones.
"""

import json
import zlib

import numpy as np
import torch
from safetensors.torch import save_file
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

SPECIAL = (
    *("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<image>", "</image>", "<slice>", "</slice>", "<image_id>"),
    *("</image_id>", "<unit>", "</unit>", "<|audio_start|>", "<|audio|>", "<|audio_end|>", "<|spk_bos|>", "<|spk|>"),
    *("<|spk_eos|>", "<|tts_bos|>", "<|tts_eos|>", "<reserved_53>"),
)
TEXT = {
    "hidden_size": 256,
    "intermediate_size": 192,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "vocab_size": 280,
    "rms_norm_eps": 1e-6,
    "rope_theta": 1e6,
    "max_position_embeddings": 32768,
    "hidden_act": "silu",
    "use_sliding_window": False,
    "tie_word_embeddings": False,
}
VISION = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "image_size": 980,
    "patch_size": 14,
    "model_type": "siglip_vision_model",
}
AUDIO = {"d_model": 32, "encoder_layers": 2, "encoder_attention_heads": 2, "encoder_ffn_dim": 128, "num_mel_bins": 80}
PICTURES = {
    "image_processor_type": "MiniCPMVImageProcessor",
    "image_feature_size": 64,
    "max_slice_nums": 9,
    "patch_size": 14,
    "scale_resolution": 448,
    "slice_mode": True,
    "use_image_id": True,
    "norm_mean": [0.5, 0.5, 0.5],
    "norm_std": [0.5, 0.5, 0.5],
    "version": 2.6,
}
HEARING = {
    "feature_extractor_type": "WhisperFeatureExtractor",
    "feature_size": 80,
    "hop_length": 160,
    "n_fft": 400,
    "chunk_length": 30,
    "sampling_rate": 16000,
    "padding_value": 0.0,
    "return_attention_mask": False,
}


def keys(text=TEXT, vision=VISION, audio=AUDIO, queries=64):
    """Official names and shapes; `audio=None` for MiniCPM-V 2.6."""
    width, mid, n = text["hidden_size"], text["intermediate_size"], text["num_hidden_layers"]
    kv = width // text["num_attention_heads"] * text["num_key_value_heads"]
    found = {"llm.model.embed_tokens.weight": (text["vocab_size"], width)}
    for i in range(n):
        for name, rows in (("q", width), ("k", kv), ("v", kv)):
            found[f"llm.model.layers.{i}.self_attn.{name}_proj.weight"] = (rows, width)
            found[f"llm.model.layers.{i}.self_attn.{name}_proj.bias"] = (rows,)
        found[f"llm.model.layers.{i}.self_attn.o_proj.weight"] = (width, width)
        found |= {f"llm.model.layers.{i}.mlp.{name}_proj.weight": (mid, width) for name in ("gate", "up")}
        found[f"llm.model.layers.{i}.mlp.down_proj.weight"] = (width, mid)
        found |= {f"llm.model.layers.{i}.{name}_layernorm.weight": (width,) for name in ("input", "post_attention")}
    found |= {"llm.model.norm.weight": (width,), "llm.lm_head.weight": (text["vocab_size"], width)}

    seen = vision["hidden_size"]
    found["vpm.embeddings.patch_embedding.weight"] = (seen, 3, 14, 14)
    found["vpm.embeddings.patch_embedding.bias"] = (seen,)
    found["vpm.embeddings.position_embedding.weight"] = (4900, seen)
    for i in range(vision["num_hidden_layers"]):
        layer = f"vpm.encoder.layers.{i}"
        found |= _layer(layer, seen, vision["intermediate_size"], "layer_norm1", "layer_norm2", f"{layer}.mlp")
    found |= _linear("vpm.post_layernorm", (seen,))
    found |= {"resampler.query": (queries, width), "resampler.proj": (width, width)}
    found |= {"resampler.kv_proj.weight": (width, seen), "resampler.attn.in_proj_weight": (3 * width, width)}
    found |= {"resampler.attn.in_proj_bias": (3 * width,)} | _linear("resampler.attn.out_proj", (width, width))
    for name in ("ln_q", "ln_kv", "ln_post"):
        found |= _linear(f"resampler.{name}", (width,))
    if audio is not None:
        heard = audio["d_model"]
        found |= _linear("apm.conv1", (heard, 80, 3)) | _linear("apm.conv2", (heard, heard, 3))
        found["apm.embed_positions.weight"] = (1500, heard)
        for i in range(audio["encoder_layers"]):
            layer = f"apm.layers.{i}"
            norms = ("self_attn_layer_norm", "final_layer_norm")
            found |= _layer(layer, heard, audio["encoder_ffn_dim"], *norms, layer)
            del found[f"{layer}.self_attn.k_proj.bias"]
        found |= _linear("apm.layer_norm", (heard,))
        found |= _linear("audio_projection_layer.linear1", (width, heard))
        found |= _linear("audio_projection_layer.linear2", (width, width))
    return found


def _linear(name, shape):
    return {f"{name}.weight": shape, f"{name}.bias": shape[:1]}


def _layer(name, width, mid, first, second, mlp):
    found = _linear(f"{name}.{first}", (width,)) | _linear(f"{name}.{second}", (width,))
    for part in ("k", "v", "q", "out"):
        found |= _linear(f"{name}.self_attn.{part}_proj", (width, width))
    return found | _linear(f"{mlp}.fc1", (mid, width)) | _linear(f"{mlp}.fc2", (width, mid))


def weight(name, shape):
    """Random numbers that follow from a name; norms are near one."""
    values = np.random.default_rng(zlib.crc32(name.encode())).standard_normal(shape)
    is_norm = len(shape) == 1 and name.endswith("weight")
    scale = 0.1 if len(shape) == 1 or "embed" in name else np.prod(shape[1:]) ** -0.5
    return torch.from_numpy(is_norm + scale * values).float()


def tokenizer():
    """One token a byte; `<unk>` is one of the vocabulary, as in the real one."""
    bytes_ = {token: i for i, token in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))}
    made = Tokenizer(models.BPE(vocab=bytes_ | {"<unk>": 256}, merges=[]))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    made.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in ("<unk>", *SPECIAL)])
    return made


def write(folder, hears=True):
    """Writes a miniature checkpoint as the Hub would hold it; `tts.` keys lie beside those that are wanted."""
    name = "O" if hears else "V"
    config = {
        **TEXT,
        "model_type": f"minicpm{name.lower()}",
        "architectures": [f"MiniCPM{name}"],
        "auto_map": {"AutoConfig": "remote.Config", "AutoModel": "remote.Model"},
        "version": "2.6" if hears else 2.6,
        "bos_token_id": 257,
        "eos_token_id": 259,
        "vision_config": VISION if hears else VISION | {"model_type": "siglip"},
        "drop_vision_last_layer": False,
        "query_num": 64,
        "slice_config": {"max_slice_nums": 9, "model_type": "minicpmv"},
        # Not in the official file: there the defaults are right.
        "video_token_id": 256,
        "audio_token_id": 257 + SPECIAL.index("<reserved_53>"),
    }
    tensors = {key: weight(key, shape) for key, shape in keys(audio=AUDIO if hears else None).items()}
    if hears:
        config |= {"audio_config": AUDIO | {"model_type": "whisper"}, "audio_chunk_length": 1.0, "audio_pool_step": 2}
        config |= {"tts_config": {"model_type": "conditional_chattts"}, "init_tts": True}
        tensors |= {"tts.dvae.coef": torch.ones(2), "tts.model.norm.weight": torch.ones(3)}
    remote = {"auto_map": {"AutoProcessor": "remote.Processor"}, "processor_class": f"MiniCPM{name}Processor"}
    tokens = {
        "tokenizer_class": f"MiniCPM{name}TokenizerFast",
        "auto_map": {"AutoTokenizer": ["remote.Slow", "remote.Fast"]},
        "eos_token": "<|im_end|>",
        "pad_token": "<|endoftext|>",
        "unk_token": "<unk>",
        "additional_special_tokens": list(SPECIAL[3:]),
    }
    files = {
        "config": config,
        "preprocessor_config": PICTURES | (HEARING if hears else {}) | remote,
        "tokenizer_config": tokens,
    }
    for file, content in files.items():
        (folder / f"{file}.json").write_text(json.dumps(content))
    tokenizer().save(str(folder / "tokenizer.json"))
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


def media(n_frames=3, seconds=2.5):
    """Frames uint8 [T, 90, 160, 3] that follow a formula, and a wave of that many seconds that rises in pitch."""
    y, x = np.mgrid[:90, :160]
    frames = np.stack(
        [np.stack([x + 40 * t, 2 * y + x, 3 * x + 60 * t], axis=-1) % 256 for t in range(n_frames)]
    ).astype(np.uint8)
    time = np.arange(round(seconds * 16000)) / 16000
    return frames, (0.3 * np.sin(2 * np.pi * (200 + 150 * time) * time)).astype(np.float32)
