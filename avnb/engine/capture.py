"""What is recorded during a run, reduced where it arises: no T x T tensor is ever kept.

    >>> Capture(shares="paper", hidden="audio", layers=[0, 13, 27])
    Capture(shares='paper', maps=None, hidden='audio', layers=(0, 13, 27), logits=False)

Step t is the decoder row whose output chose answer token t: step 0 is the last prompt position, step t the answer
token t - 1.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch.nn.functional import linear

from avnb.engine.conditions import GENERATED
from avnb.engine.prefix import EngineError
from avnb.models.prompt import GROUPS, PromptError


@dataclass(frozen=True)
class Capture:
    """What to record.

    Attributes:
        shares: "paper" (audio, video, text) or "fine" (every segment type present): the attention that each step gives
            to each group, per layer and head. The answer's own tokens are one more group, "generated".
        maps: a group, e.g. "video": the attention of each step to each position of the group, mean over heads.
        hidden: residual stream after the layers, at a group ("audio", "last+generated") or at prompt positions.
        layers: after which layers; None for all. The final norm is not applied.
        logits: keep the logits of every step.
    """

    shares: str | None = None
    maps: str | None = None
    hidden: str | tuple[int, ...] | None = None
    layers: tuple[int, ...] | None = None
    logits: bool = False

    def __post_init__(self):
        if self.shares not in (None, *GROUPS):
            raise ValueError(f"shares={self.shares!r} is unknown; use one of {', '.join(map(repr, GROUPS))}")
        for name in ("hidden", "layers"):
            value = getattr(self, name)
            if value is not None and not isinstance(value, str):
                object.__setattr__(self, name, tuple(int(i) for i in value))
        layers = self.layers
        if layers is not None and (self.hidden is None or not layers or len(set(layers)) < len(layers)):
            raise ValueError(f"layers={layers}: name each layer once, at least one, and give `hidden` positions")


class Recorder:
    """Collects what `Capture` asks for, for one prompt and all its conditions.

    The attention function hands in weights, the layers hand in their residual stream; `collect` gives one run's share.
    Values of the shared prefill hold for every branch, unless a branch computed its own.
    """

    def __init__(self, capture, prompt, n_layers):
        self.capture = capture
        self.n_prompt = len(prompt)
        self.n_layers = n_layers
        self.groups, self._one_hot = _groups(capture.shares, prompt)
        self.map_positions = _group_positions(capture.maps, prompt) if capture.maps else None
        self.hidden_positions, self.hidden_generated = _hidden_positions(capture.hidden, prompt)
        layers = range(n_layers) if capture.layers is None else capture.layers
        self.layers = list(layers) if capture.hidden is not None else []
        if wrong := [i for i in self.layers if not 0 <= i < n_layers]:
            raise ValueError(f"layers: the decoder has layers 0 to {n_layers - 1}, no layer {wrong[0]}")
        self._records = {"shares": [], "maps": [], "hidden": [], "logits": []}
        self._on_device = {}

    @property
    def wants_weights(self):
        return self.groups is not None or self.map_positions is not None

    def add_weights(self, layer, weights, branches, start):
        """Attention weights [kv heads, n, queries per kv head, rows, keys] of rows from `start` on, for n branches."""
        if start < self.n_prompt - 1:
            skipped = self.n_prompt - 1 - start
            if skipped >= weights.shape[3]:
                return
            weights, start = weights[:, :, :, skipped:], self.n_prompt - 1
        n_kv, n, n_group, n_rows, n_keys = weights.shape
        step = start - (self.n_prompt - 1)
        if self.groups is not None:
            shares = linear(weights, self._constant("groups", weights)[:, :n_keys])
            shares = shares.permute(1, 3, 0, 2, 4).reshape(n, n_rows, n_kv * n_group, -1)
            self._records["shares"].append((branches, step, layer, shares))
        if self.map_positions is not None:
            mean = weights.index_select(-1, self._constant("maps", weights)).mean((0, 2))
            self._records["maps"].append((branches, step, layer, mean))

    def wants_hidden(self, layer):
        return layer in self.layers

    def add_hidden(self, layer, hidden, branches, start):
        """Residual stream [n, rows, width] after a layer, of rows from `start` on, for n branches."""
        if hidden.dim() != 3:
            raise EngineError(
                f"hidden states cannot be captured: the residual stream of this decoder runs on {hidden.shape[0]} "
                "tracks, which neither `hidden` nor the logit lens reads; leave them out"
            )
        stop = start + hidden.shape[1]
        wanted = self.hidden_positions
        wanted = wanted[(wanted >= start) & (wanted < stop)]
        if self.hidden_generated and start >= self.n_prompt:
            wanted = np.arange(start, stop)
        if len(wanted):
            rows = hidden[:, torch.from_numpy(wanted - start).to(hidden.device)]
            self._records["hidden"].append((branches, wanted, layer, rows))

    def add_logits(self, logits, branches, step):
        """Logits [n, rows, vocabulary] of the steps from `step` on."""
        if self.capture.logits:
            self._records["logits"].append((branches, step, None, logits.float().cpu()))

    def flush(self):
        """Move what was recorded off the devices, as soon as a pass is over."""
        for records in self._records.values():
            records[:] = [(branches, at, layer, value.cpu()) for branches, at, layer, value in records]

    def collect(self, branch, n_tokens):
        """Everything of one branch as a dict of arrays; `Run` lists them with their shapes."""
        result = {}
        if self.groups is not None:
            result |= {"shares": self._steps("shares", branch, n_tokens), "groups": self.groups}
        if self.map_positions is not None:
            result |= {"maps": self._steps("maps", branch, n_tokens), "map_positions": self.map_positions}
        if self.capture.hidden is not None:
            n_fed = max(n_tokens - 1, 0) if self.hidden_generated else 0
            positions = np.concatenate([self.hidden_positions, self.n_prompt + np.arange(n_fed)])
            result |= {"hidden": self._hidden(branch, positions), "hidden_positions": positions}
        if self.capture.logits:
            rows = [self._row(value, who, branch) for who, _, _, value in self._of("logits", branch)]
            result["logits"] = torch.cat(rows)[:n_tokens].numpy() if rows else None
        return result

    def _of(self, kind, branch):
        """The records that hold for a branch: those of the shared prefill first."""
        records = self._records[kind]
        return [r for r in records if r[0] is None] + [r for r in records if r[0] is not None and branch in r[0]]

    @staticmethod
    def _row(value, branches, branch):
        return value[0 if branches is None else branches.index(branch)]

    def _steps(self, kind, branch, n_tokens):
        out = None
        for branches, step, layer, value in self._of(kind, branch):
            row = self._row(value, branches, branch)
            if out is None:
                out = np.zeros((n_tokens, self.n_layers, *row.shape[1:]), dtype=np.float32)
            n_rows = min(len(row), n_tokens - step)
            if n_rows > 0:
                out[step : step + n_rows, layer] = row[:n_rows].numpy()
        return out

    def _hidden(self, branch, positions):
        at = {p: i for i, p in enumerate(positions.tolist())}
        out = None
        for branches, where, layer, value in self._of("hidden", branch):
            row = self._row(value, branches, branch)
            if out is None:
                out = torch.zeros(len(self.layers), len(positions), row.shape[-1], dtype=row.dtype)
            kept = [(i, at[p]) for i, p in enumerate(where.tolist()) if p in at]
            if kept:
                source, target = (list(x) for x in zip(*kept, strict=True))
                out[self.layers.index(layer), target] = row[source]
        return out

    def _constant(self, name, like):
        """A tensor that every step needs, once per device."""
        key = name, like.device
        if name == "groups":
            # A prompt grows by the answer, whose keys all belong to the last group.
            have = self._on_device.get(key)
            if have is None or have.shape[1] < like.shape[-1]:
                extra = torch.zeros(len(self._one_hot), max(256, 2 * (like.shape[-1] - self.n_prompt)))
                extra[-1] = 1
                self._on_device[key] = torch.cat([self._one_hot, extra], dim=1).to(like.device)
        elif key not in self._on_device:
            self._on_device[key] = torch.from_numpy(self.map_positions).to(like.device)
        return self._on_device[key]


def _groups(name, prompt):
    if name is None:
        return None, None
    types = prompt.segments.types
    members = {group: np.isin(types, kinds) for group, kinds in GROUPS[name].items()}
    if name == "fine":
        members = {group: mask for group, mask in members.items() if mask.any()}
    one_hot = np.stack([*members.values(), np.zeros(len(types), dtype=bool)])
    return (*members, GENERATED), torch.from_numpy(one_hot.astype(np.float32))


def _group_positions(group, prompt):
    positions = prompt.segments.positions(group)
    if len(positions) == 0:
        raise PromptError(f"{prompt.clip_id or 'prompt'}: capture needs {group} positions, and the prompt has none")
    return positions


def _hidden_positions(wanted, prompt):
    """(prompt positions, ascending; whether generated rows are meant)"""
    if wanted is None:
        return np.zeros(0, dtype=np.int64), False
    if not isinstance(wanted, str):
        positions = np.unique(np.asarray(wanted, dtype=np.int64))
        if len(positions) and (positions[0] < 0 or positions[-1] >= len(prompt)):
            raise ValueError(f"hidden: the prompt has positions 0 to {len(prompt) - 1}")
        return positions, False
    parts = wanted.split("+")
    found = [_group_positions(part, prompt) for part in parts if part != GENERATED]
    return np.unique(np.concatenate([np.zeros(0, dtype=np.int64), *found])), GENERATED in parts
