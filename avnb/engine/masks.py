"""Knockout conditions against one prompt: which rows lose which keys, and the additive masks that say so."""

from dataclasses import dataclass

import numpy as np
import torch

from avnb.engine.conditions import GENERATED, Random
from avnb.models.prompt import PromptError


@dataclass(frozen=True, eq=False)
class Cut:
    """A rule against one prompt: prompt rows and keys as bool [T], and whether generated ones are meant too."""

    rows: torch.Tensor
    keys: torch.Tensor
    generated_rows: bool
    generated_keys: bool
    layers: frozenset
    heads: tuple[int, ...] | None
    effect: tuple
    looks_ahead: bool

    @property
    def first_row(self):
        """The first prompt position that loses a key, T if none does."""
        n_seen = self.keys.sum() if self.looks_ahead else torch.cumsum(self.keys, 0)
        hit = torch.nonzero(self.rows & (n_seen > self.keys.long()))
        return int(hit[0]) if len(hit) else len(self.rows)


def resolve(condition, prompt, n_layers, n_heads):
    """The cuts of a condition in a prompt.

    A prompt with an attention mask of its own may let positions see later ones, so any key may be lost there.

    Raises:
        PromptError: the prompt lacks a group, no position of the source comes after one of the target, or too few
            positions are left for a random draw.
        ValueError: the decoder lacks a layer or head.
    """
    cuts, looks_ahead = [], prompt.inputs.get("attention_mask") is not None
    for rule in condition.rules:
        for name, indices, count in (("layer", rule.layers, n_layers), ("head", rule.heads, n_heads)):
            if wrong := [i for i in indices or () if not 0 <= i < count]:
                raise ValueError(f"{rule}: the decoder has {count} {name}s (0 to {count - 1}), no {name} {wrong[0]}")
        rows, generated_rows = _positions(rule, rule.source, prompt)
        if isinstance(rule.target, Random):
            keys, generated_keys = _draw(rule, prompt), False
        else:
            keys, generated_keys = _positions(rule, rule.target, prompt)
        layers = frozenset(range(n_layers) if rule.layers is None else rule.layers)
        effect = (rule.source, rule.target, rule.heads)
        cut = Cut(rows, keys, generated_rows, generated_keys, layers, rule.heads, effect, looks_ahead)
        if not generated_rows and cut.first_row == len(prompt):
            raise PromptError(f"{_name(prompt)}: {rule} blocks nothing, every source position precedes the target")
        cuts.append(cut)
    return cuts


class KeyMasks:
    """The additive masks of a batch of branches, made when a layer asks for them.

    Args:
        branches: the cuts of each branch.
        n_prompt: prompt positions T.
        n_heads: query heads of a layer.
    """

    def __init__(self, branches, n_prompt, n_heads):
        self.branches = branches
        self.n_prompt = n_prompt
        self.n_heads = n_heads
        self._cache = {}

    def select(self, kept):
        """The masks of some of the branches, by index."""
        return KeyMasks([self.branches[i] for i in kept], self.n_prompt, self.n_heads)

    def bias(self, layer, start, stop, device, n_branches=None):
        """What to add to the scores of rows `start` to `stop` (absolute positions) in a layer.

        Returns:
            None if no branch is cut there, else (first branch, end branch, bias): 0 or -inf in float32
            [branches or 1, heads or 1, rows or 1, keys], for the first keys of each row.
        """
        in_answer = start >= self.n_prompt
        if in_answer and (layer, device) in self._cache:
            return self._cache[layer, device]
        found = []
        for branch, cuts in enumerate(self.branches[:n_branches]):
            here = [c for c in cuts if layer in c.layers]
            hits = [c for c in here if (c.generated_rows if in_answer else bool(c.rows[start:stop].any()))]
            if hits:
                found.append((branch, hits))
        keys_grow = any(c.generated_keys for _, cuts in found for c in cuts)
        bias = None
        if found:
            low, high = found[0][0], found[-1][0] + 1
            effects = {tuple(c.effect for c in cuts) for _, cuts in found}
            uniform = len(effects) == 1 and len(found) == high - low
            with_heads = any(c.heads is not None for _, cuts in found for c in cuts)
            shape = (1, self.n_prompt) if in_answer and not keys_grow else (stop - start, stop)
            blocked = torch.zeros(1 if uniform else high - low, self.n_heads if with_heads else 1, *shape).bool()
            for branch, cuts in found[:1] if uniform else found:
                for cut in cuts:
                    heads = slice(None) if cut.heads is None else list(cut.heads)
                    blocked[branch - low, heads] |= self._cells(cut, start, stop, shape)
            if shape[0] == stop - start and shape[1] == stop:
                rows = torch.arange(stop - start)
                blocked[:, :, rows, rows + start] = False
            zeros = torch.zeros(blocked.shape, device=device)
            bias = low, high, zeros.masked_fill_(blocked.to(device), float("-inf"))
        if in_answer and not keys_grow:
            self._cache[layer, device] = bias
        return bias

    def _cells(self, cut, start, stop, shape):
        keys = torch.cat([cut.keys, torch.full((max(0, shape[1] - self.n_prompt),), cut.generated_keys)])[: shape[1]]
        rows = torch.cat([cut.rows, torch.full((max(0, stop - self.n_prompt),), cut.generated_rows)])[start:stop]
        return keys[None] if shape[0] == 1 and start >= self.n_prompt else rows[:, None] & keys[None]


def _positions(rule, group, prompt):
    """(bool [T], whether generated positions are meant) of a group's name, or of a tuple of positions."""
    mask = torch.zeros(len(prompt), dtype=torch.bool)
    if isinstance(group, tuple):
        if not group or not 0 <= min(group) <= max(group) < len(prompt):
            raise PromptError(f"{_name(prompt)}: {rule} needs some of the positions 0 to {len(prompt) - 1}")
        mask[list(group)] = True
        return mask, False
    parts = group.split("+")
    for part in parts:
        if part == GENERATED:
            continue
        positions = prompt.segments.positions(part)
        if len(positions) == 0:
            raise PromptError(f"{_name(prompt)}: {rule} needs {part} positions, and the prompt has none")
        mask[torch.from_numpy(positions)] = True
    return mask, GENERATED in parts


def _draw(rule, prompt):
    like, _ = _positions(rule, rule.target.like, prompt)
    n = int(like.sum())
    if n == 0:
        raise PromptError(f"{_name(prompt)}: {rule} draws as many positions as {rule.target.like} has, which is none")
    among = rule.target.among
    pools = {"everywhere": np.arange(len(prompt)), "others": np.flatnonzero(~like.numpy())}
    pool = pools[among] if among in pools else prompt.segments.positions(among)
    if n > len(pool):
        where = f"outside {rule.target.like}" if among == "others" else f"among {among}"
        raise PromptError(
            f"{_name(prompt)}: {rule} needs {n} positions {where}, and there are {len(pool)}; use among='everywhere'"
        )
    mask = torch.zeros(len(prompt), dtype=torch.bool)
    mask[torch.from_numpy(np.random.default_rng(rule.target.seed).permutation(pool)[:n])] = True
    return mask


def _name(prompt):
    return prompt.clip_id or "prompt"
