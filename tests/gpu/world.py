"""What is measured on a GPU: thinkers of the true sizes of Qwen2.5-Omni with random weights, as folders on disk."""

import torch
from transformers import Qwen2_5OmniThinkerConfig, Qwen2_5OmniThinkerForConditionalGeneration

from avnb.organisms import omni
from tests.bench.world import AUDIO, AUDIO_END, AUDIO_START, IMAGE, VIDEO, VISION_END, VISION_START

ROPE = {"rope_type": "default", "rope_theta": 1e6, "mrope_section": [16, 24, 24]}
VISION = {"depth": 32, "hidden_size": 1280, "intermediate_size": 3420, "num_heads": 16, "patch_size": 14}
VISION |= {"window_size": 112, "fullatt_block_indexes": [7, 15, 23, 31]}
SOUND = {"encoder_layers": 32, "d_model": 1280, "encoder_attention_heads": 20, "encoder_ffn_dim": 5120}
SIZES = {  # vocabulary, hidden size, intermediate size, layers, heads, key-value heads
    "3B": (151_936, 2048, 11_008, 36, 16, 2),
    "7B": (152_064, 3584, 18_944, 28, 28, 4),
    "miniature": (151_936, 256, 256, 4, 2, 1),  # to try the kit itself, anywhere
}


def config(size):
    """The configuration of a thinker of one of `SIZES`."""
    vocabulary, width, inner, layers, heads, kv_heads = SIZES[size]
    small = size == "miniature"
    vision = VISION | ({"depth": 1, "hidden_size": 64, "intermediate_size": 64, "num_heads": 2} if small else {})
    vision |= {"fullatt_block_indexes": [0]} if small else {}
    sound = (
        {"encoder_layers": 1, "d_model": 64, "encoder_attention_heads": 2, "encoder_ffn_dim": 64} if small else SOUND
    )
    return Qwen2_5OmniThinkerConfig(
        text_config={
            "vocab_size": vocabulary,
            "hidden_size": width,
            "intermediate_size": inner,
            "num_hidden_layers": layers,
            "num_attention_heads": heads,
            "num_key_value_heads": kv_heads,
            "rope_parameters": ROPE,
            "tie_word_embeddings": False,
        },
        vision_config=vision | {"out_hidden_size": width},
        audio_config=sound | {"output_dim": width},
        audio_token_id=AUDIO,
        image_token_id=IMAGE,
        video_token_id=VIDEO,
        audio_start_token_id=AUDIO_START,
        audio_end_token_id=AUDIO_END,
        vision_start_token_id=VISION_START,
        vision_end_token_id=VISION_END,
        position_id_per_seconds=25,
        seconds_per_chunk=2,
    )


def write(size, folder):
    """A checkpoint of random weights in bfloat16; one that is there is kept.

    The processor beside it is an organism's: prompts come from `tests.bench.world.clip_inputs`, without one.
    """
    if not (folder / "config.json").exists():
        device = "cuda" if torch.cuda.is_available() else "cpu"
        torch.manual_seed(0)
        with torch.device(device):
            hf = Qwen2_5OmniThinkerForConditionalGeneration._from_config(config(size), dtype=torch.bfloat16)
        with torch.no_grad():
            for weight in hf.parameters():
                if weight.dim() > 1:
                    weight.normal_(0, weight.shape[-1] ** -0.5)
        omni.build_processor().save_pretrained(folder)
        hf.save_pretrained(folder)
    return folder
