"""A prompt in a decoder: its prefill, from the trunk on where there is one, and the branches that leave it."""

import numpy as np
import torch

from avnb.engine.decoder import base_attention, must_run_together
from avnb.engine.masks import KeyMasks
from avnb.engine.patches import put
from avnb.engine.prefix import BranchCache, Server
from avnb.models.prompt import MEDIA

DEEPSTACK = ("visual_pos_masks", "deepstack_visual_embeds")
OWN_INPUTS = {"inputs_embeds", "input_ids", "position_ids", "attention_mask"}
OWN_INPUTS |= {"past_key_values", "use_cache", "return_dict", "cache_position"}


class Branch:
    """A condition on its way: its cuts and patches, where it leaves the shared path, and its answer so far.

    Attributes:
        limit: the longest answer, in tokens.
        forced: the token ids of a given answer; None for one that is generated.
    """

    def __init__(self, index, condition, cuts, patches, limit, forced=None):
        self.index, self.condition, self.cuts, self.patches = index, condition, cuts, patches
        self.limit, self.forced = limit, forced
        self.start_layer = None  # the first layer that computes prompt positions again
        self.tokens, self.logprobs, self.stopped = [], [], False

    def leaves_at(self, n_prompt, n_layers):
        """(first prompt position, first layer) that differs from the prefill's; (T, n_layers) if none."""
        early = [(c.first_row, min(c.layers)) for c in self.cuts if c.first_row < n_prompt]
        early += [(int(p.positions[0]), min(p.layers) + 1) for p in self.patches]
        rows, layers = zip(*early, strict=True) if early else ((n_prompt,), (n_layers,))
        return min(rows), min(layers)

    def check_length(self):
        """The last token of an answer is never fed back, so that a short one may have no generated row to block."""
        for cut in self.cuts:
            # The first row has no generated key but its own.
            n_rows = self.limit - 1 if cut.keys.any() else self.limit - 2
            if not cut.rows.any() and n_rows < 1:
                raise ValueError(
                    f"{self.condition}: an answer of {self.limit} tokens has no generated position that loses a key; "
                    "use more tokens, or last+generated as the source"
                )


class Stem:
    """One prompt and its branches.

    Attributes:
        n_tokens: of the longest answer.
        n_more: its positions that are fed back.
        final: final hidden state [1, 1, width] of the last position, after the prefill.
    """

    def __init__(self, call, prompt, branches, recorder):
        self.call, self.prompt, self.branches, self.recorder = call, prompt, branches, recorder
        self.n_layers, self.n_prompt = call.n_layers, len(prompt)
        self.n_tokens = max(branch.limit for branch in branches)
        self.n_more, self._n_left = max(self.n_tokens - 1, 0), len(branches)
        self.cache = BranchCache()
        self.server = Server(self.cache, base_attention(call.decoder), recorder)
        self.inputs = {k: v for k, v in prompt.inputs.items() if k not in OWN_INPUTS and not k.startswith("output_")}
        self.mask = prompt.inputs.get("attention_mask")
        self.positions = prompt.inputs.get("position_ids")
        if self.positions is None:
            self.positions = torch.arange(self.n_prompt, device=prompt.embeds.device)[None]
        self._must_run_together = must_run_together(call.decoder)
        leaves = [b.leaves_at(self.n_prompt, self.n_layers) for b in branches]
        self.branch_point = _widen(min(row for row, _ in leaves), self.mask)
        for branch, (_, layer) in zip(branches, leaves, strict=True):
            branch.start_layer = self._joins_at(layer)
        self._entered = {b.start_layer for b in branches} - {0, self.n_layers}
        self.entries, self.trunk, self.final = {}, None, None

    def stand_on(self, trunks):
        """Where the prompt has media with text behind them, its beginning is taken from what is known of the clip."""
        media = np.flatnonzero(np.isin(self.prompt.segments.types, MEDIA))
        stop = _widen(int(media[-1]) + 1, self.mask) if len(media) else 0
        if 0 < stop < self.n_prompt:
            self.trunk = trunks.of(self._rows(0, stop))
            self.trunk.expect(*self._streams(stop))

    def _streams(self, stop):
        """(layers, first position) of the streams before `stop` that branches start from, or that are recorded."""
        layers, first = set(), stop
        if self._entered and self.branch_point < stop:
            layers, first = set(self._entered), self.branch_point
        if self.recorder.layers and len(where := self.recorder.hidden_positions) and where[0] < stop:
            layers, first = layers | {layer + 1 for layer in self.recorder.layers}, min(first, int(where[0]))
        return layers, first

    def prefill(self):
        """The whole prompt, once; keeps what branches start from."""
        start, streams = 0, {}
        if self.trunk:
            trunk = self.trunk
            trunk.grow(self.call, self.server)
            start, streams = trunk.n_positions, trunk.streams
            self.cache.stand_on(trunk.keys, trunk.values, self.n_prompt - start)
            self.server.read_from = trunk.read_from
            for layer, hidden in streams.items():
                self.record(layer, hidden, None, trunk.first)

        def keep(layer, hidden):
            self.record(layer, hidden, None, start)
            if layer in self._entered:
                entry = hidden[:, max(self.branch_point - start, 0) :].clone()
                if self.branch_point < start:
                    entry = torch.cat([streams[layer][:, self.branch_point - trunk.first :], entry], dim=1)
                self.entries[layer] = entry
            return hidden

        needed = self._entered or self.recorder.layers
        hidden = self.call([(self.server, 1)], keep if needed else None, **self._rows(start, self.n_prompt))
        if self.trunk:
            self.cache.settle()
        self.final = hidden[:, -1:].clone()

    def branch(self, batch, n_more):
        """Gives each branch its own prompt positions from the branch point on, and room for `n_more` behind them.

        Returns:
            Final hidden states [n_different, width] of the last position, and which of them each branch has.
        """
        n_early = sum(b.start_layer < self.n_layers for b in batch)
        start = self.branch_point if n_early else self.n_prompt
        self.cache.open(len(batch), start, n_more)
        self.server.masks = KeyMasks([b.cuts for b in batch], self.n_prompt, self.call.n_heads)
        self.server.branches = [b.index for b in batch]
        last = self.final
        if n_early:
            last = torch.cat([self._branch_rows(batch[:n_early])[:, -1:].to(last.device), last])
        self.cache.n_own = self.n_prompt - start
        return last[:, -1], torch.arange(len(batch)).clamp(max=n_early)

    def select(self, batch, kept):
        """Keep some of the branches of a batch, by index."""
        self.cache.select(kept)
        self.server.masks = self.server.masks.select(kept)
        self.server.branches = [batch[i].index for i in kept]

    def positions_after(self, step, n_rows):
        """Positions [..., 1, rows] of answer tokens, the first being token `step`."""
        return self.positions[..., -1:] + 1 + step + torch.arange(n_rows, device=self.prompt.embeds.device)

    @property
    def inputs_after(self):
        """What the decoder is told besides tokens once the prompt is over."""
        return {k: v for k, v in self.inputs.items() if k not in DEEPSTACK and not self._is_sequence(v)}

    def record(self, layer, hidden, branches, start):
        """What enters a layer is the residual stream after the one before."""
        if layer and self.recorder.wants_hidden(layer - 1):
            self.recorder.add_hidden(layer - 1, hidden, branches, start)

    def leave(self, batch):
        """The branches of a batch are done; with the last of them goes what they started from."""
        self.cache.close()
        self._n_left -= len(batch)
        if not self._n_left:
            self.cache = self.server = self.trunk = None
            self.entries = {}

    def _branch_rows(self, batch):
        """Final hidden states [n, T - branch point, width]; branches join at the layer where they start to differ."""
        starts = [b.start_layer for b in batch]
        together = self._must_run_together
        n_at = [len(batch) if together else sum(start <= i for start in starts) for i in range(self.n_layers)]
        first = next(i for i, n in enumerate(n_at) if n)
        inputs = self._rows(self.branch_point, self.n_prompt, n_at[0] or 1, embeds_of=len(batch) if together else 1)

        def join(layer, hidden):
            before = n_at[layer - 1] if layer else 0
            if before:
                self.record(layer, hidden, self.server.branches[:before], self.branch_point)
            if layer < self.n_layers and not together and n_at[layer] > before:
                entry = hidden if layer == 0 else self.entries[layer].to(hidden.device)
                new = entry.expand(n_at[layer] - before, -1, -1)
                hidden = torch.cat([hidden, new]) if before else new
            return put(hidden, layer, [b.patches for b in batch], self.branch_point)

        return self.call([(self.server, len(batch))], join, first, **inputs)

    def _rows(self, start, stop, n_masks=1, embeds_of=1):
        """The decoder's inputs for the prompt positions from `start` to `stop`, which see those before."""
        rows = slice(start, stop)
        inputs = {k: v[:, rows] if self._is_sequence(v) else v for k, v in self.inputs.items() if k not in DEEPSTACK}
        if (mask := self.inputs.get(DEEPSTACK[0])) is not None:
            visual = slice(int(mask[:, :start].sum()), int(mask[:, :stop].sum()))
            inputs[DEEPSTACK[0]] = mask[:, rows].expand(n_masks, -1)
            features = self.inputs.get(DEEPSTACK[1]) or ()
            inputs[DEEPSTACK[1]] = [f[visual].repeat(n_masks, 1) for f in features]
        return inputs | {
            "inputs_embeds": self.prompt.embeds[:, rows].expand(embeds_of, -1, -1),
            "position_ids": self.positions[..., rows],
            "attention_mask": _part(self.mask, rows),
        }

    def _is_sequence(self, value):
        return isinstance(value, torch.Tensor) and value.dim() > 1 and value.shape[:2] == (1, self.n_prompt)

    def _joins_at(self, layer):
        """The layer at which a branch that first differs in `layer` starts to compute prompt positions of its own."""
        if layer == self.n_layers:
            return layer
        n_deepstack = len(self.inputs.get(DEEPSTACK[1]) or ())
        return 0 if self._must_run_together or layer < n_deepstack else layer


def _part(mask, rows):
    """The rows of an attention mask, or of one for each type of layer, with the keys up to the last of them."""
    if isinstance(mask, dict):
        return {name: _part(one, rows) for name, one in mask.items()}
    return mask[:, :, rows, : rows.stop] if mask is not None and mask.dim() == 4 else mask


def _widen(row, mask):
    """The branch point, moved up to the first position that sees something behind it (attention within a picture)."""
    masks = mask.values() if isinstance(mask, dict) else [mask]
    masks = [m[0, 0] for m in masks if m is not None and m.dim() == 4]
    masks = [m if m.dtype == torch.bool else m == 0 for m in masks]
    while True:
        ahead = [torch.nonzero(m[:row, row:].any(1)) for m in masks]
        first = min((int(a[0]) for a in ahead if len(a)), default=row)
        if first == row:
            return row
        row = first
