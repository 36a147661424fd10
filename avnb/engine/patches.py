"""Patches against one prompt: which positions get which states, and the residual stream with them put in."""

from typing import NamedTuple

import numpy as np
import torch

from avnb.engine.prefix import EngineError
from avnb.models.prompt import PromptError


class Placed(NamedTuple):
    """A `Patch` against one prompt: positions int64 [n], ascending; states by layer; after which layers."""

    positions: torch.Tensor
    states: torch.Tensor
    layers: frozenset


def place(condition, prompt, n_layers):
    """The patches of a condition in a prompt.

    Raises:
        PromptError: the prompt lacks the group.
        ValueError: positions that it lacks, a layer that has none behind it, or states of another shape.
    """
    return [_placed(patch, prompt, n_layers) for patch in condition.patches]


def put(hidden, layer, branches, start):
    """What enters a layer, with the states that were to be put in after the one before.

    Args:
        hidden: [n, rows, width], of which row 0 is position `start`.
        layer: the one that is entered.
        branches: the patches of each of the n branches.
        start: a position.
    """
    todo = [(i, one) for i, patches in enumerate(branches) for one in patches if layer - 1 in one.layers]
    if not todo:
        return hidden
    if hidden.dim() != 3:
        raise EngineError(
            f"states cannot be patched: the residual stream of this decoder runs on {hidden.shape[0]} tracks"
        )
    hidden = hidden.clone()  # branches that join here share their rows
    for i, one in todo:
        hidden[i, one.positions.to(hidden.device) - start] = one.states[layer - 1].to(hidden)
    return hidden


def _placed(patch, prompt, n_layers):
    name = prompt.clip_id or "prompt"
    if isinstance(patch.target, str):
        found = [prompt.segments.positions(part) for part in patch.target.split("+")]
        if not all(map(len, found)):
            raise PromptError(f"{name}: {patch}, and the prompt has no such positions")
        positions = np.unique(np.concatenate(found))
    else:
        positions = np.asarray(patch.target, dtype=np.int64)
        inside = len(positions) and positions.min() >= 0 and positions.max() < len(prompt)
        if not inside or (np.diff(positions) < 1).any():
            raise ValueError(f"{patch}: name positions of the prompt, 0 to {len(prompt) - 1}, ascending")
    if wrong := [i for i in patch.layers if not 0 <= i < n_layers - 1]:
        raise ValueError(f"{patch}: use layers 0 to {n_layers - 2}, which have one behind them, not {wrong[0]}")
    wanted = [n_layers, len(positions), prompt.embeds.shape[-1]]
    if list(patch.states.shape) != wanted:
        raise ValueError(f"{patch}: states {list(patch.states.shape)} must have the shape {wanted}")
    return Placed(torch.from_numpy(positions), patch.states, frozenset(patch.layers))
