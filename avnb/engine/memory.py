"""The memory that prompts and their branches take, from the configuration of the decoder, and what is free for them."""

from typing import NamedTuple

import numpy as np
import psutil
import torch


class Bytes(NamedTuple):
    """What positions take.

    Attributes:
        kept: a position for good: its keys and values in all layers.
        passing: a position on its way through the decoder.
        last: the scores and the logits of one that chooses a token.
    """

    kept: int
    passing: int
    last: int


def position_bytes(config, n_positions, element_size) -> Bytes:
    """An estimate of what a position takes.

    Args:
        config: of the decoder.
        n_positions: that the last one sees: prompt and answer.
        element_size: bytes of a number, 2 in bfloat16.
    """
    config = config.get_text_config()
    layers = [config] * config.num_hidden_layers
    if getattr(config, "is_heterogeneous", False):
        layers = [config.per_layer_config[i] for i in range(len(layers))]
    kept = 2 * element_size * sum(map(_width_of_keys, layers))
    inner = max(int(np.max(getattr(one, "intermediate_size", None) or 4 * one.hidden_size)) for one in layers)
    passing = (6 * config.hidden_size + 3 * inner) * element_size
    return Bytes(kept, passing, 16 * (config.num_attention_heads * n_positions + config.vocab_size))


def branch_bytes(config, n_positions, n_rows, n_new, element_size) -> int:
    """An estimate of what a branch takes, from its own keys and values to its logits.

    Args:
        config, element_size: as in `position_bytes`.
        n_positions: of the prompt.
        n_rows: positions of the prompt that the branch has of its own.
        n_new: positions of its answer.
    """
    one = position_bytes(config, n_positions + n_new, element_size)
    return one.kept * (n_rows + n_new) + one.passing * n_rows + one.last


def free_bytes(device):
    """Memory that branches may take: half of what is free."""
    if device.type == "cuda":
        cached = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return (torch.cuda.mem_get_info(device)[0] + cached) / 2
    return psutil.virtual_memory().available / 2


def _width_of_keys(config):
    n_heads = config.num_attention_heads
    n_kv_heads = getattr(config, "num_key_value_heads", None) or n_heads
    return n_kv_heads * (getattr(config, "head_dim", None) or config.hidden_size // n_heads)
