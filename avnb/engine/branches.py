"""One prefill, then every condition as one batch.

    >>> model = avnb.load("toy-omni")
    >>> prompt = model.prompt(avnb.datasets.load("toybox", n=2)[0], "Describe what you hear.")
    >>> runs = run(model, prompt, [Condition(), Condition.block("generated", "video", layers=range(4, 8))])
    >>> [str(r.condition) for r in runs]
    ['baseline', 'generated -/> video in layers 4-7']
    >>> len(runs[1].token_ids) == len(runs[1].logprobs)
    True

The prompt runs through the decoder once. Conditions differ from the **branch point** on: the first prompt position that
any rule or patch touches, or the end of the prompt if rules touch generated positions only. Everything before it is
shared and stored once. Prompt positions after it are computed again per branch, each branch starting at the first layer
that its rules touch, because all layers below see what the prefill saw. Then all branches decode as one batch.

Several prompts of a clip are a tree (`run_all`): the media that they begin with are the **trunk**, which runs once, the
questions leave it, and the conditions leave these. The branches of all prompts decode as one batch.
"""

import logging
from collections.abc import Iterable
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import pairwise

import numpy as np
import torch

from avnb.engine.capture import Capture, Recorder
from avnb.engine.choose import Chooser, logprobs
from avnb.engine.conditions import Condition
from avnb.engine.decoder import Caller
from avnb.engine.masks import resolve
from avnb.engine.memory import branch_bytes, free_bytes
from avnb.engine.patches import place
from avnb.engine.prefix import served
from avnb.engine.stem import Branch, Stem
from avnb.engine.trunk import Trunks
from avnb.models.prompt import Prompt
from avnb.models.shared import current, same

log = logging.getLogger(__name__)

BASELINE = (Condition(),)


@dataclass(frozen=True, eq=False)
class Request:
    """What is asked of a model about one prompt; see `run`.

    Attributes:
        prompt: the `Prompt`.
        conditions, max_new_tokens, capture, forced: as in `run`.
    """

    prompt: Prompt
    conditions: Iterable[Condition] = BASELINE
    max_new_tokens: int = 32
    capture: Capture | None = None
    forced: object = None

    @property
    def generates(self):
        """Whether it asks for answers, not for what a given one or the prompt alone does."""
        return self.forced is None and self.max_new_tokens > 0


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
        hidden_positions, hidden: positions (from T on: answer tokens), and a tensor [n_layers, n_positions, width]:
            what the layers gave, before anything was patched.
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
        ClipError: prompt and answer are longer than the decoder's context.
        PromptError: a rule names a group that the prompt lacks.
        ValueError: a rule names a layer or head that the decoder lacks, or the answer is too short for it to matter;
            or a patch has states of another shape.
        EngineError: the decoder cannot be served.
    """
    request = Request(prompt, conditions, max_new_tokens, capture, forced)
    options = {"temperature": temperature, "top_p": top_p, "seed": seed, "conditions_per_pass": conditions_per_pass}
    return run_all(model, [request], **options)[0]


def run_all(model, requests, *, temperature=0.0, top_p=1.0, seed=0, conditions_per_pass=None):
    """Answers to several prompts, what they begin with run once and all their branches decoded as one batch.

    Within a block of `models.shared.shared` the beginnings and the greedy answers are remembered: who asks again for
    an answer has it, and if something is to be recorded of it, its tokens are scored instead of generated once more.

    Args:
        model: an `AVModel`.
        requests: a `Request` for each prompt.
        temperature, top_p, seed, conditions_per_pass: as in `run`.

    Returns:
        For each request, one `Run` per condition.

    Raises:
        As `run`.

    Example:
        >>> model, clip = avnb.load("toy-omni"), avnb.datasets.load("toybox", n=2)[0]
        >>> asked = [Request(model.prompt(clip, f"Describe what you {verb}.")) for verb in ("see", "hear")]
        >>> [len(runs) for runs in run_all(model, asked)]
        [1, 1]
    """
    requests = [replace(request, conditions=tuple(request.conditions)) for request in requests]
    grove = _Grove(model, partial(Chooser, temperature, top_p, seed), conditions_per_pass)
    for request in requests:
        grove.check(request)
    if current() is None or temperature > 0:
        return grove.run(requests)
    memory, put_off = _memory_of(model), current().put_off
    if put_off is not None and any(map(memory.lacks, requests)):
        put_off.setdefault(model, []).extend(requests)
        raise DeferredError
    memory.answer(grove, requests)
    return memory.recorded(grove, requests)


class DeferredError(Exception):
    """The request was taken down, to be answered with others; see `deferred`."""


@contextmanager
def deferred():
    """Within the block requests that have no answer yet are taken down, and end in a `DeferredError`.

    At the end of the block all that a model was asked is answered as one tree: who asks again has his answer. To be
    used in a block of `models.shared.shared`.
    """
    memory = current()
    memory.put_off = put_off = {}
    try:
        yield
    finally:
        memory.put_off = None
    for model, requests in put_off.items():
        _memory_of(model).answer(_Grove(model), requests)


def _memory_of(model):
    return current().engines.setdefault(model, _Memory())


class _Memory:
    """What the engine remembers of a model while it is asked about one clip.

    Attributes:
        trunks: the beginnings of prompts.
        answers: greedy answers, by prompt, condition and greatest length.
    """

    def __init__(self):
        self.trunks, self.answers = Trunks(), {}

    def lacks(self, request):
        return request.generates and any(key not in self.answers for key in _keys(request))

    def answer(self, grove, requests):
        """Generates the answers that are not known yet, as one tree."""
        wanted = {}
        for request in requests:
            if request.generates:
                unknown = [key for key in _keys(request) if key not in self.answers]
                some = wanted.setdefault((request.prompt, request.max_new_tokens), {})
                some |= dict.fromkeys(condition for _, condition, _ in unknown)
        asked = [Request(prompt, tuple(some), n) for (prompt, n), some in wanted.items() if some]
        for request, runs in zip(asked, grove.run(asked, expected=requests), strict=True):
            self.answers |= zip(_keys(request), runs, strict=True)

    def recorded(self, grove, requests):
        """The runs of requests whose answers are known, with all that they ask to record."""
        known = [[self.answers[key] for key in _keys(r)] if r.generates else None for r in requests]
        left = [
            replace(request, forced=[run.token_ids.tolist() for run in runs]) if runs else request
            for request, runs in zip(requests, known, strict=True)
            if runs is None or request.capture is not None
        ]
        found = iter(grove.run(left))
        results = []
        for request, runs in zip(requests, known, strict=True):
            if runs is None:
                results.append(next(found))
            elif request.capture is None:
                results.append(runs)
            else:
                results.append([replace(a, stopped=b.stopped) for a, b in zip(next(found), runs, strict=True)])
        return results


def _keys(request):
    return [(request.prompt, condition, request.max_new_tokens) for condition in request.conditions]


class _Grove:
    """Requests on their way through one decoder.

    Args:
        model: an `AVModel`.
        chooser: makes the `Chooser` of the tokens, for each pass anew.
        n_per_pass: branches that are decoded at a time; None for as many as memory allows.
    """

    def __init__(self, model, chooser=Chooser, n_per_pass=None):
        if n_per_pass is not None and n_per_pass < 1:
            raise ValueError(f"conditions_per_pass={n_per_pass} must be 1 or more")
        self.model, self.chooser, self.n_per_pass = model, chooser, n_per_pass
        self.call = Caller(model.decoder)

    def check(self, request):
        """Raises what `run` raises before anything runs."""
        if not request.conditions:
            raise ValueError("conditions is empty; Condition() is the baseline")
        if request.max_new_tokens < 0:
            raise ValueError(f"max_new_tokens={request.max_new_tokens} must be 0 or more")
        branches = self._branches(request)
        for branch in branches:
            branch.check_length()
        longest = max(branch.limit for branch in branches)
        self.model.check_context(len(request.prompt), longest, request.prompt.clip_id)
        self._recorder(request)

    @torch.inference_mode()
    def run(self, requests, expected=()):
        """The runs of each request; `expected` are others that will follow, for whom what they need is kept."""
        if not requests:
            return []
        inside = current() is not None
        trunks = _memory_of(self.model).trunks if inside else Trunks()
        stems = [self._stem(request) for request in requests]
        others = [self._stem(request) for request in expected if request.capture is not None]
        if inside or len(stems) > 1:
            for stem in [*stems, *others]:
                stem.stand_on(trunks)
        with served(self.call.decoder, self.call.together):
            for batch in self._passes(stems):
                self._answer(batch)
                for stem, branches in batch:
                    stem.recorder.flush()
                    stem.leave(branches)
        return [[self._finished(branch, stem.recorder) for branch in stem.branches] for stem in stems]

    def _branches(self, request):
        n_layers, n_heads, n = self.call.n_layers, self.call.n_heads, len(request.conditions)
        forced = [None] * n if request.forced is None else _answers(self.model, request.forced, n)
        return [
            Branch(
                i,
                condition,
                resolve(condition, request.prompt, n_layers, n_heads),
                place(condition, request.prompt, n_layers),
                request.max_new_tokens if answer is None else len(answer),
                answer,
            )
            for i, (condition, answer) in enumerate(zip(request.conditions, forced, strict=True))
        ]

    def _recorder(self, request):
        return Recorder(request.capture or Capture(), request.prompt, self.call.n_layers)

    def _stem(self, request):
        return Stem(self.call, request.prompt, self._branches(request), self._recorder(request))

    def _passes(self, stems):
        """Batches of (stem, branches) that fit into memory and can be one batch of a decoder.

        Of a stem, those branches come first that leave the shared path in early layers.
        """
        batch = []
        for stem in stems:
            if batch and not _fit(stem, batch[0][0]):
                yield batch
                batch = []
            stem.prefill()
            left = sorted(stem.branches, key=lambda b: b.start_layer)
            while left:
                most = self.n_per_pass or max(1, int(free_bytes(stem.final.device) // self._bytes(stem)))
                room = most - sum(len(branches) for _, branches in batch)
                if room < 1:
                    yield batch
                    batch = []
                    continue
                if len(left) > room:
                    log.info("%d conditions in passes of %d", len(left), room)
                batch.append((stem, left[:room]))
                left = left[room:]
        if batch:
            yield batch

    def _bytes(self, stem):
        """An estimate of what one branch takes."""
        recorder, decoder = stem.recorder, self.call.decoder
        n_rows = max(stem.n_prompt - stem.branch_point, 1)
        n_maps = 0 if recorder.map_positions is None else len(recorder.map_positions)
        n_shares = 0 if recorder.groups is None else len(recorder.groups) * self.call.n_heads
        recorded = 4 * self.call.n_layers * (stem.n_more + 1) * (n_maps + n_shares)
        size = stem.final.element_size()
        return branch_bytes(decoder.config, stem.n_prompt, n_rows, stem.n_more, size) + recorded

    def _answer(self, batch):
        """Answers of all branches of (stem, branches) in a batch, generated or given."""
        n_more = max(stem.n_more for stem, _ in batch)
        started = [(*member, *member[0].branch(member[1], n_more)) for member in batch]
        started = [one for one in started if one[0].n_tokens]  # of the others the prompt alone is asked
        if not started:
            return
        device = started[0][2].device
        lasts = [last.to(device) for _, _, last, _ in started]
        _, *ends = np.cumsum([0, *map(len, lasts)]).tolist()
        which = torch.cat(
            [which + end - len(last) for (*_, which), last, end in zip(started, lasts, ends, strict=True)]
        )
        logits = self.model.head(torch.cat(lasts))[which]
        members = [(stem, branches) for stem, branches, *_ in started]
        if members[0][1][0].forced is None:
            self._decode(members, logits)
        else:
            self._score(members, logits)

    def _decode(self, members, logits):
        """Answers, one token per step for all branches that have not stopped."""
        choose, step = self.chooser(), 0
        while True:
            for stem, branches, rows in _spread(members):
                stem.recorder.add_logits(logits[rows, None], [b.index for b in branches], step)
            tokens = choose(logits)
            found = zip(tokens.tolist(), logprobs(logits, tokens).tolist(), strict=True)
            kept, left = [], []
            for stem, branches, rows in _spread(members):
                for branch, (token, score) in zip(branches, found, strict=False):
                    branch.tokens.append(token)
                    branch.logprobs.append(score)
                    branch.stopped = token in self.model.stop_ids
                here = [i for i, b in enumerate(branches) if not b.stopped and len(b.tokens) < b.limit]
                if here and len(here) < len(branches):
                    stem.select(branches, here)
                if here:
                    left.append((stem, [branches[i] for i in here]))
                kept += [rows.start + i for i in here]
            if not left:
                return
            members = left
            if len(kept) < len(tokens):
                tokens = tokens[torch.as_tensor(kept, device=tokens.device)]
            logits = self.model.head(self._answer_rows(members, tokens[:, None], step)[:, -1])
            step += 1

    def _score(self, members, logits):
        """Log-probabilities of given answers, one a branch, all their tokens and all branches in one pass."""
        branches = [branch for _, some in members for branch in some]
        longest = max(branch.limit for branch in branches)
        if longest > 1:  # what fills up a shorter answer comes after it, where none of its tokens looks
            filled = torch.as_tensor([b.forced + [0] * (longest - b.limit) for b in branches])
            hidden = self._answer_rows(members, filled[:, :-1], 0)
        recorders = [stem.recorder for stem, some in members for _ in some]
        for i, (branch, recorder) in enumerate(zip(branches, recorders, strict=True)):
            rows = logits[i : i + 1]
            if branch.limit > 1:
                rows = torch.cat([rows, self.model.head(hidden[i, : branch.limit - 1])])
            recorder.add_logits(rows[None], [branch.index], 0)
            branch.tokens = list(branch.forced)
            branch.logprobs = logprobs(rows, torch.as_tensor(branch.forced).to(rows.device)).tolist()

    def _answer_rows(self, members, tokens, step):
        """Final hidden states [n, rows, width] of answer tokens [n, rows], the first being token `step`."""
        stems = [stem for stem, _ in members]
        positions = [stem.positions_after(step, tokens.shape[1]) for stem in stems]
        if len(members) > 1:
            spread = zip(positions, members, strict=True)
            positions = [p.expand(*p.shape[:-2], len(some), -1) for p, (_, some) in spread]
        indices = [[branch.index for branch in some] for _, some in members]

        def watch(layer, hidden):
            for (stem, _, rows), who in zip(_spread(members), indices, strict=True):
                stem.record(layer, hidden[rows] if len(members) > 1 else hidden, who, stem.n_prompt + step)
            return hidden

        return self.call(
            [(stem.server, len(some)) for stem, some in members],
            watch if any(stem.recorder.layers for stem in stems) else None,
            input_ids=tokens.to(stems[0].prompt.embeds.device),
            position_ids=torch.cat(positions, dim=-2),
            **stems[0].inputs_after,
        )

    def _finished(self, branch, recorder):
        ids = np.asarray(branch.tokens, dtype=np.int64)
        text = None if self.model.tokenizer is None else self.model.decode(ids)
        recorded = recorder.collect(branch.index, len(ids))
        scores = np.asarray(branch.logprobs, dtype=np.float32)
        return Run(branch.condition, ids, scores, text, branch.stopped, **recorded)


def _spread(members):
    """(stem, branches, their rows in the batch)"""
    ends = np.cumsum([0, *(len(branches) for _, branches in members)]).tolist()
    return [(*member, slice(a, z)) for member, (a, z) in zip(members, pairwise(ends), strict=True)]


def _fit(stem, other):
    """Whether the answers of two prompts can be one batch of a decoder."""
    given = [one.branches[0].forced is not None for one in (stem, other)]
    axes = [one.positions.shape[:-1] for one in (stem, other)]
    return given[0] == given[1] and axes[0] == axes[1] and same(stem.inputs_after, other.inputs_after)


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
