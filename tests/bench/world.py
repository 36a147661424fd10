"""What is measured: a random Qwen2.5-Omni thinker with the real vocabulary, clips of any length, sweeps of windows."""

import torch
from transformers import Qwen2_5OmniThinkerConfig, Qwen2_5OmniThinkerForConditionalGeneration

import avnb
from avnb.engine.conditions import Condition

VOCABULARY = 152_064
AUDIO, AUDIO_START, AUDIO_END = 151646, 151647, 151648
IMAGE, VIDEO, VISION_START, VISION_END = 151655, 151656, 151652, 151653
PER_STEP = 25  # video and audio tokens a second: a frame pair of 10 x 10 patches, and 25 audio tokens


def build_model(n_layers=28, width=512, attention="sdpa", vocabulary=VOCABULARY):
    """The thinker, wrapped; encoders of one narrow layer, so that the decoder is what is timed."""
    n_heads, shift = width // 64, vocabulary - VOCABULARY  # the special tokens stand at the end
    small = {"hidden_size": 64, "intermediate_size": 64, "num_heads": 2, "out_hidden_size": width, "depth": 1}
    config = Qwen2_5OmniThinkerConfig(
        text_config={
            "vocab_size": vocabulary,
            "hidden_size": width,
            "intermediate_size": 3 * width,
            "num_hidden_layers": n_layers,
            "num_attention_heads": n_heads,
            "num_key_value_heads": max(1, n_heads // 4),
            "rope_parameters": {"rope_type": "default", "rope_theta": 1e6, "mrope_section": [8, 12, 12]},
            "tie_word_embeddings": False,
        },
        vision_config={**small, "fullatt_block_indexes": [0]},
        audio_config={"encoder_layers": 1, "encoder_attention_heads": 2, "encoder_ffn_dim": 64, "d_model": 64}
        | {"output_dim": width},
        audio_token_id=AUDIO + shift,
        image_token_id=IMAGE + shift,
        video_token_id=VIDEO + shift,
        audio_start_token_id=AUDIO_START + shift,
        audio_end_token_id=AUDIO_END + shift,
        vision_start_token_id=VISION_START + shift,
        vision_end_token_id=VISION_END + shift,
        initializer_range=0.1,
    )
    torch.manual_seed(0)
    hf = Qwen2_5OmniThinkerForConditionalGeneration._from_config(config, attn_implementation=attention).eval()
    with torch.no_grad():
        for weight in hf.parameters():
            if weight.dim() > 1:
                weight.normal_(0, weight.shape[-1] ** -0.5)
    hf.generation_config.eos_token_id = None
    model = avnb.wrap(hf)
    model.stop_ids = set()
    return model


def clip_inputs(n_tokens, question=0, vocabulary=VOCABULARY):
    """The model's keyword arguments for a clip whose prompt has about `n_tokens` positions (50 a second)."""
    seconds = max(2, 2 * round((n_tokens - 40) / (4 * PER_STEP)))
    media = ([VIDEO] * 2 * PER_STEP + [AUDIO] * 2 * PER_STEP) * (seconds // 2)
    generator = torch.Generator().manual_seed(1)
    before = torch.randint(0, vocabulary - 1000, (16,), generator=generator).tolist()
    words = torch.Generator().manual_seed(100 + question)
    after = torch.randint(0, vocabulary - 1000, (20 + 2 * question,), generator=words).tolist()
    marked = [VISION_START, AUDIO_START, *media, AUDIO_END, VISION_END]
    ids = [*before, *(i + vocabulary - VOCABULARY for i in marked), *after]
    n_mels = 100 * seconds
    return {
        "input_ids": torch.tensor([ids]),
        "attention_mask": torch.ones(1, len(ids), dtype=torch.long),
        "pixel_values_videos": torch.randn(seconds * 100, 3 * 2 * 14 * 14, generator=generator),
        "video_grid_thw": torch.tensor([[seconds, 10, 10]]),
        "video_second_per_grid": torch.tensor([1.0]),
        "input_features": torch.randn(1, 128, n_mels, generator=generator),
        "feature_attention_mask": torch.ones(1, n_mels, dtype=torch.long),
        "use_audio_in_video": True,
    }


def sweep(n_conditions, n_layers):
    """Answer tokens blocked from video, then from audio, in every window of one layer; wider windows after that."""
    conditions, width = [], 1
    while len(conditions) < n_conditions:
        for target in ("video", "audio"):
            spans = (range(start, start + width) for start in range(n_layers - width + 1))
            conditions += [Condition.block("generated", target, layers=span) for span in spans]
        width += 1
    return conditions[:n_conditions]
