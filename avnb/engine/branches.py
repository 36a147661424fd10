"""One prefill, then every condition as one batch.

    >>> model = avnb.load("toy-omni")
    >>> prompt = model.prompt(avnb.datasets.load("toybox", n=2)[0], "Describe what you hear.")
    >>> runs = run(model, prompt, [Condition(), Condition.block("generated", "video", layers=range(4, 8))])
    >>> [str(r.condition) for r in runs]
    ['baseline', 'generated -/> video in layers 4-7']
    >>> len(runs[1].token_ids) == len(runs[1].logprobs)
    True

The prompt runs through the decoder once. Conditions differ from the **branch point** on: the first prompt position that
any rule touches, or the end of the prompt if rules touch generated positions only. Everything before it is shared and
stored once. Prompt positions after it are computed again per branch, each branch starting at the first layer that its
rules touch, because all layers below see what the prefill saw. Then all branches decode as one batch.
"""

import logging
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial

import numpy as np
import psutil
import torch

from avnb.engine.capture import Capture, Recorder
from avnb.engine.choose import Chooser, logprobs
from avnb.engine.conditions import Condition
from avnb.engine.masks import KeyMasks, resolve
from avnb.engine.prefix import BranchCache, EngineError, Server, served

log = logging.getLogger(__name__)

DEEPSTACK = ("visual_pos_masks", "deepstack_visual_embeds")
OWN_INPUTS = {"inputs_embeds", "input_ids", "position_ids", "attention_mask"}
OWN_INPUTS |= {"past_key_values", "use_cache", "return_dict", "cache_position"}
BASELINE = (Condition(),)


@dataclass(frozen=True, eq=False)
class Run:
    """What one condition did.

    Attributes:
        condition: the rules.
        token_ids: the answer, int64 [n_tokens], with the stop token if it came.
        logprobs: log-probability of each token in nats, float32 [n_tokens], at temperature 1.
        text: the answer without special tokens; None if the model has no tokenizer.
        stopped: True if the answer ended by itself.
        groups: the names along the last axis of `shares`.
        shares: float32 [n_tokens, n_layers, n_heads, n_groups]; each row sums to 1 over groups. Step 0 is the last
            prompt position.
        map_positions, maps: prompt positions, and float32 [n_tokens, n_layers, n_positions].
        hidden_positions, hidden: positions (from T on: answer tokens), and a tensor [n_layers, n_positions, width].
        logits: float32 [n_tokens, vocabulary].
    """

    condition: Condition
    token_ids: np.ndarray
    logprobs: np.ndarray
    text: str | None
    stopped: bool
    groups: tuple[str, ...] | None = None
    shares: np.ndarray | None = field(default=None, repr=False)
    map_positions: np.ndarray | None = field(default=None, repr=False)
    maps: np.ndarray | None = field(default=None, repr=False)
    hidden_positions: np.ndarray | None = field(default=None, repr=False)
    hidden: torch.Tensor | None = field(default=None, repr=False)
    logits: np.ndarray | None = field(default=None, repr=False)


@torch.inference_mode()
def run(
    model,
    prompt,
    conditions=BASELINE,
    max_new_tokens=32,
    *,
    capture=None,
    forced=None,
    temperature=0.0,
    top_p=1.0,
    seed=0,
    conditions_per_pass=None,
):
    """Answers to a prompt under each condition, from one prefill.

    Args:
        model: an `AVModel`.
        prompt: a `Prompt`.
        conditions: the sets of rules; `Condition()` is the baseline.
        max_new_tokens: the longest answer, in tokens.
        capture: a `Capture`: what else to record.
        forced: a text or token ids: score this answer under every condition, in one pass, instead of generating one.
            A list of texts, or of token ids, one for each condition, scores each under its own.
        temperature: 0 for greedy answers, else sampled ones. All conditions see the same noise (Gumbel-max), so that
            two answers differ only as far as their logits do.
        top_p: sample from the smallest set of tokens that holds this much probability.
        seed: of the sampling.
        conditions_per_pass: conditions decoded at a time; None for as many as memory allows. Results do not depend on
            it.

    Returns:
        One `Run` per condition, in order.

    Raises:
        PromptError: a rule names a group that the prompt lacks.
        ValueError: a rule names a layer or head that the decoder lacks, or the answer is too short for it to matter.
        EngineError: the decoder cannot be served.
    """
    conditions = list(conditions)
    if not conditions:
        raise ValueError("conditions is empty; Condition() is the baseline")
    if max_new_tokens < 0 or (conditions_per_pass is not None and conditions_per_pass < 1):
        raise ValueError(
            f"max_new_tokens={max_new_tokens} must be 0 or more, conditions_per_pass={conditions_per_pass} 1 or more"
        )
    n_layers, n_heads = _decoder_shape(model.decoder)
    branches = [_Branch(i, c, resolve(c, prompt, n_layers, n_heads)) for i, c in enumerate(conditions)]
    lengths = [max_new_tokens] * len(branches)
    if forced is not None:
        forced = _answers(model, forced, len(branches))
        lengths = [len(answer) for answer in forced]
    max_new_tokens = max(lengths)
    for branch, length in zip(branches, lengths, strict=True):
        branch.check_length(length)
    recorder = Recorder(capture or Capture(), prompt, n_layers)
    engine = _Engine(model, prompt, n_layers, n_heads, recorder)
    n_more = max(max_new_tokens - 1, 0)
    with served(engine.decoder, engine.server):
        engine.prefill(branches)
        for batch in engine.passes(branches, n_more, conditions_per_pass):
            logits = engine.branch(batch, n_more)
            if forced is None:
                engine.decode(batch, logits, max_new_tokens, Chooser(temperature, top_p, seed))
            else:
                engine.score(batch, logits, forced)
            recorder.flush()
    return [b.finish(model, recorder) for b in branches]


class _Branch:
    """A condition on its way: its cuts, where it leaves the shared path, and its answer so far."""

    def __init__(self, index, condition, cuts):
        self.index, self.condition, self.cuts = index, condition, cuts
        self.start_layer = None  # the first layer that computes prompt positions again
        self.tokens, self.logprobs, self.stopped = [], [], False

    def leaves_at(self, n_prompt, n_layers):
        """(first prompt position, first layer) whose attention differs from the prefill's; (T, n_layers) if none."""
        early = [(c.first_row, min(c.layers)) for c in self.cuts if c.first_row < n_prompt]
        rows, layers = zip(*early, strict=True) if early else ((n_prompt,), (n_layers,))
        return min(rows), min(layers)

    def check_length(self, n_tokens):
        """The last token of an answer is never fed back, so that a short one may have no generated row to block."""
        for cut in self.cuts:
            n_rows = n_tokens - 1 if cut.keys.any() else n_tokens - 2  # the first row has no generated key but its own
            if not cut.rows.any() and n_rows < 1:
                raise ValueError(
                    f"{self.condition}: an answer of {n_tokens} tokens has no generated position that loses a key; "
                    "use more tokens, or last+generated as the source"
                )

    def finish(self, model, recorder):
        ids = np.asarray(self.tokens, dtype=np.int64)
        text = None if model.tokenizer is None else model.decode(ids)
        recorded = recorder.collect(self.index, len(ids))
        scores = np.asarray(self.logprobs, dtype=np.float32)
        return Run(self.condition, ids, scores, text, self.stopped, **recorded)


class _Engine:
    """One prompt in one decoder: prefill, branch, then decode or score."""

    def __init__(self, model, prompt, n_layers, n_heads, recorder):
        self.model, self.decoder, self.prompt, self.recorder = model, model.decoder, prompt, recorder
        self.n_layers, self.n_heads, self.n_prompt = n_layers, n_heads, len(prompt)
        self.cache = BranchCache()
        base = self.decoder.config._attn_implementation or "sdpa"
        flash = base.startswith("flash") and _is_plainly_causal(self.decoder.config)
        self.server = Server(self.cache, base if flash else "sdpa", recorder)
        self.inputs = {k: v for k, v in prompt.inputs.items() if k not in OWN_INPUTS and not k.startswith("output_")}
        self.mask = prompt.inputs.get("attention_mask")
        self.positions = prompt.inputs.get("position_ids")
        if self.positions is None:
            self.positions = torch.arange(self.n_prompt, device=prompt.embeds.device)[None]

    def prefill(self, branches):
        """The whole prompt, once; keeps what branches start from."""
        leaves = [b.leaves_at(self.n_prompt, self.n_layers) for b in branches]
        self.branch_point = _widen(min(row for row, _ in leaves), self.mask)
        for branch, (_, layer) in zip(branches, leaves, strict=True):
            branch.start_layer = self._joins_at(layer)
        self.entries = {}
        wanted = {b.start_layer for b in branches} - {0, self.n_layers}

        def keep(layer, hidden):
            self._record_hidden(layer, hidden, None, 0)
            if layer in wanted:
                self.entries[layer] = hidden[:, self.branch_point :].clone()
            return hidden

        embeds = self.prompt.embeds
        every = range(self.n_layers)
        with self._entering(keep, 0, None, needed=bool(wanted)):
            hidden = self._call(
                every, inputs_embeds=embeds, position_ids=self.positions, attention_mask=self.mask, **self.inputs
            )
        self.final = hidden[:, -1:].clone()

    def passes(self, branches, n_more, conditions_per_pass):
        """Batches of branches that fit into memory, those that leave the shared path in early layers first."""
        if conditions_per_pass is None:
            conditions_per_pass = max(1, int(free_bytes(self.final.device) // self._bytes_per_branch(n_more)))
        order = sorted(branches, key=lambda b: b.start_layer)
        if len(order) > conditions_per_pass:
            log.info("%d conditions in passes of %d", len(order), conditions_per_pass)
        for i in range(0, len(order), conditions_per_pass):
            yield order[i : i + conditions_per_pass]

    def branch(self, batch, n_more):
        """Gives each branch its own prompt positions from the branch point on; logits [n, vocabulary] of step 0."""
        n_early = sum(b.start_layer < self.n_layers for b in batch)
        start = self.branch_point if n_early else self.n_prompt
        self.cache.open(len(batch), start, n_more)
        self.server.masks = KeyMasks([b.cuts for b in batch], self.n_prompt, self.n_heads)
        self.server.branches = [b.index for b in batch]
        last = self.final
        if n_early:
            last = torch.cat([self._branch_rows(batch[:n_early])[:, -1:].to(last.device), last])
        self.cache.n_own = self.n_prompt - start
        which = torch.arange(len(batch)).clamp(max=n_early)
        return self.model.head(last[:, -1])[which]

    def _branch_rows(self, batch):
        """Final hidden states [n, T - branch point, width]; branches join at the layer where they start to differ."""
        starts = [b.start_layer for b in batch]
        together = self._must_run_together
        n_at = [len(batch) if together else sum(start <= i for start in starts) for i in range(self.n_layers)]
        first = next(i for i, n in enumerate(n_at) if n)
        inputs = self._rows_from(self.branch_point, n_at[0] or 1, embeds_of=len(batch) if together else 1)

        def join(layer, hidden):
            before = n_at[layer - 1] if layer else 0
            if before:
                self._record_hidden(layer, hidden, self.server.branches[:before], self.branch_point)
            if together or n_at[layer] == before:
                return hidden
            entry = hidden if layer == 0 else self.entries[layer].to(hidden.device)
            new = entry.expand(n_at[layer] - before, -1, -1)
            return torch.cat([hidden, new]) if before else new

        with self._entering(join, self.branch_point, self.server.branches[: len(batch)], needed=True, skip=first):
            return self._call(range(first, self.n_layers), **inputs)

    def decode(self, batch, logits, max_new_tokens, choose):
        """Answers, one token per step for all branches that have not stopped."""
        alive = list(batch)
        for step in range(max_new_tokens):
            self.recorder.add_logits(logits[:, None], [b.index for b in alive], step)
            tokens = choose(logits)
            scores = logprobs(logits, tokens).tolist()
            kept = []
            for i, (branch, token) in enumerate(zip(alive, tokens.tolist(), strict=True)):
                branch.tokens.append(token)
                branch.logprobs.append(scores[i])
                branch.stopped = token in self.model.stop_ids
                if not branch.stopped:
                    kept.append(i)
            if step + 1 == max_new_tokens or not kept:
                break
            if len(kept) < len(alive):
                alive = [alive[i] for i in kept]
                self.cache.select(kept)
                self.server.masks = self.server.masks.select(kept)
                self.server.branches = [b.index for b in alive]
                tokens = tokens[torch.as_tensor(kept, device=tokens.device)]
            logits = self.model.head(self._answer_rows(tokens[:, None], step)[:, -1])
        self.cache.close()

    def score(self, batch, logits, forced):
        """Log-probabilities of given answers, one a branch, all their tokens and all branches in one pass."""
        answers = [forced[branch.index] for branch in batch]
        longest = max(map(len, answers))
        if longest > 1:  # what fills up a shorter answer comes after it, where none of its tokens looks
            filled = torch.as_tensor([answer + [0] * (longest - len(answer)) for answer in answers])
            hidden = self._answer_rows(filled[:, :-1], 0)
        for i, (branch, answer) in enumerate(zip(batch, answers, strict=True)):
            rows = logits[i : i + 1]
            if len(answer) > 1:
                rows = torch.cat([rows, self.model.head(hidden[i, : len(answer) - 1])])
            self.recorder.add_logits(rows[None], [branch.index], 0)
            branch.tokens = list(answer)
            branch.logprobs = logprobs(rows, torch.as_tensor(answer).to(rows.device)).tolist()
        self.cache.close()

    def _answer_rows(self, tokens, step):
        """Final hidden states [n, rows, width] of answer tokens [n, rows], the first being token `step`."""
        device = self.prompt.embeds.device
        positions = self.positions[..., -1:] + 1 + step + torch.arange(tokens.shape[1], device=device)
        rest = {k: v for k, v in self.inputs.items() if k not in DEEPSTACK and not self._is_sequence(v)}
        start = self.n_prompt + step
        branches = list(self.server.branches)

        def watch(layer, hidden):
            self._record_hidden(layer, hidden, branches, start)
            return hidden

        with self._entering(watch, start, branches):
            return self._call(range(self.n_layers), input_ids=tokens.to(device), position_ids=positions, **rest)

    def _call(self, layers, **inputs):
        """Runs the decoder; checks that the attention of exactly these layers came through the server."""
        seen = self.server.seen
        seen.clear()
        output = self.decoder(**inputs, past_key_values=self.cache, use_cache=True, return_dict=True)
        if seen != set(layers):
            missing = sorted(set(layers) - seen)
            raise EngineError(
                f"{type(self.decoder).__name__} cannot be served: the attention of layers {missing} does not go "
                "through transformers' attention interface"
            )
        self.cache.arrived.clear()
        if not self.cache.in_prefill:
            self.cache.n_own += output.last_hidden_state.shape[1]
        return output.last_hidden_state

    def _rows_from(self, start, n_masks, embeds_of):
        """The decoder's inputs for the prompt positions from `start` on."""
        inputs = {k: v[:, start:] if self._is_sequence(v) else v for k, v in self.inputs.items() if k not in DEEPSTACK}
        if (mask := self.inputs.get(DEEPSTACK[0])) is not None:
            n_before = int(mask[:, :start].sum())
            inputs[DEEPSTACK[0]] = mask[:, start:].expand(n_masks, -1)
            features = self.inputs.get(DEEPSTACK[1]) or ()
            inputs[DEEPSTACK[1]] = [f[n_before:].repeat(n_masks, 1) for f in features]
        masks = (
            {k: None if m is None else m[:, :, start:] for k, m in self.mask.items()}
            if isinstance(self.mask, dict)
            else self.mask
        )
        if isinstance(self.mask, torch.Tensor) and self.mask.dim() == 4:
            masks = self.mask[:, :, start:]
        embeds = self.prompt.embeds[:, start:].expand(embeds_of, -1, -1)
        positions = self.positions[..., start:]
        return inputs | {"inputs_embeds": embeds, "position_ids": positions, "attention_mask": masks}

    def _is_sequence(self, value):
        return isinstance(value, torch.Tensor) and value.dim() > 1 and value.shape[:2] == (1, self.n_prompt)

    def _joins_at(self, layer):
        """The layer at which a branch that first differs in `layer` starts to compute prompt positions of its own."""
        if layer == self.n_layers:
            return layer
        n_deepstack = len(self.inputs.get(DEEPSTACK[1]) or ())
        return 0 if self._must_run_together or layer < n_deepstack else layer

    @property
    def _must_run_together(self):
        """True where layers exchange more than the residual stream, so that branches cannot join on the way."""
        config = self.decoder.config
        several_streams = getattr(config, "altup_num_inputs", 1) > 1
        return several_streams or any(getattr(m, "is_kv_shared_layer", False) for m in self.decoder.modules())

    def _record_hidden(self, layer, hidden, branches, start):
        """What enters a layer is the residual stream after the one before."""
        if layer and self.recorder.wants_hidden(layer - 1):
            self.recorder.add_hidden(layer - 1, hidden, branches, start)

    @contextmanager
    def _entering(self, enter, start, branches, needed=False, skip=0):
        """Within the block each layer gets what `enter(layer, hidden)` returns; layers below `skip` do nothing.

        The layers are left alone if nobody needs them.
        """
        if not needed and not self.recorder.layers:
            yield
            return

        def forward(layer, call, *args, **kwargs):
            if layer < skip:
                return args[0] if args else kwargs["hidden_states"]
            if args:
                args = (enter(layer, args[0]), *args[1:])
            else:
                kwargs["hidden_states"] = enter(layer, kwargs["hidden_states"])
            output = call(*args, **kwargs)
            if layer == self.n_layers - 1:
                self._record_hidden(self.n_layers, output, branches, start)
            return output

        before = [module.__dict__.get("forward") for module in self.decoder.layers]
        try:
            for i, module in enumerate(self.decoder.layers):
                module.forward = partial(forward, i, module.forward)
            yield
        finally:
            for module, original in zip(self.decoder.layers, before, strict=True):
                module.__dict__.pop("forward", None)
                if original is not None:
                    module.forward = original

    def _bytes_per_branch(self, n_more):
        """An estimate of what one branch takes, from its own keys and values to its logits."""
        config = self.decoder.config
        n_rows = max(self.n_prompt - self.branch_point, 1)
        cell = self.final.element_size()
        own = sum(2 * k.shape[0] * k.shape[2] * cell for k in self.cache.keys.values()) * (n_rows + n_more)
        inner = np.max(getattr(config, "intermediate_size", None) or 4 * config.hidden_size)
        width = 6 * config.hidden_size + 3 * int(inner)
        scores = 4 * 4 * self.n_heads * (self.n_prompt + n_more)
        logits = 4 * 4 * config.vocab_size
        n_maps = 0 if self.recorder.map_positions is None else len(self.recorder.map_positions)
        n_shares = 0 if self.recorder.groups is None else len(self.recorder.groups) * self.n_heads
        recorded = 4 * self.n_layers * (n_more + 1) * (n_maps + n_shares)
        return own + width * n_rows * cell + scores + logits + recorded


def _decoder_shape(decoder):
    """(number of layers, number of query heads)"""
    name = type(decoder).__name__
    if not hasattr(decoder, "layers") or not hasattr(getattr(decoder, "config", None), "num_attention_heads"):
        raise EngineError(f"{name} cannot be served: it has no layers or no transformers configuration")
    if decoder.training:
        raise EngineError(f"{name} is in training mode, where dropout makes runs differ; call .eval() first")
    known = {"full_attention", "sliding_attention", "chunked_attention"}
    if other := set(getattr(decoder.config, "layer_types", None) or ()) - known:
        raise EngineError(
            f"{name} cannot be served: it has layers of type {', '.join(sorted(other))}, so that a knockout would cut "
            "only the part of the path that goes through attention"
        )
    return len(decoder.layers), decoder.config.num_attention_heads


def _is_plainly_causal(config):
    """Whether every layer sees all earlier keys without a soft cap: flash attention gets no mask to tell otherwise."""
    other_layers = set(getattr(config, "layer_types", None) or ()) - {"full_attention"}
    return not other_layers and getattr(config, "attn_logit_softcapping", None) is None


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


def _answers(model, forced, n):
    """The token ids of n answers: of one that all share, or of one each."""
    if isinstance(forced, str) or not any(isinstance(answer, str | list | tuple) for answer in forced):
        return [_token_ids(model, forced)] * n
    if len(forced) != n:
        raise ValueError(
            f"forced: {len(forced)} answers for {n} conditions; give one answer, or one for each condition"
        )
    return [_token_ids(model, answer) for answer in forced]


def _token_ids(model, forced):
    if isinstance(forced, str):
        if model.tokenizer is None:
            raise ValueError("forced: the model has no tokenizer; give token ids")
        forced = model.tokenizer(forced, add_special_tokens=False)["input_ids"]
    ids = [int(i) for i in forced]
    if not ids:
        raise ValueError("forced: the answer is empty, so there is nothing to score")
    return ids


def free_bytes(device):
    """Memory that branches may take: half of what is free."""
    if device.type == "cuda":
        cached = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return (torch.cuda.mem_get_info(device)[0] + cached) / 2
    return psutil.virtual_memory().available / 2
