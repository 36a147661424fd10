"""What a measurement will take, before it is begun: seconds by a few of its jobs, memory by the model's configuration,
and what it will ask of a judge by model.

>>> clips = avnb.datasets.load("toybox", n=6)
>>> found = estimate("fidelity", "toy-omni", clips, n_timed=2, questions=["Describe what you hear."])
>>> found.jobs, found.timed, found.seconds > found.load, found.requests
(6, 2, True, 0.0)
"""

import math
import tempfile
import time
from contextlib import contextmanager
from functools import cache
from typing import NamedTuple

from avnb import judge as judges
from avnb import models, study
from avnb.engine.needs import needs
from avnb.media.clip import ClipError
from avnb.questions import HEAR, SEE
from avnb.study.fingerprints import unchanging
from avnb.study.tables import StudyError
from avnb.study.workers import SHARES, seconds_to_start

_LONGEST_ANSWER = 64  # tokens, where an analysis says nothing of it


class Estimate(NamedTuple):
    """What a measurement will take.

    Attributes:
        model: its name.
        jobs: how many are measured, one for each clip or pair.
        timed: how many of them were measured for this.
        load: seconds to load the model; with workers, to start one here and have it load the model, which all do at the
            same time.
        each: seconds of one job.
        seconds: of all, from the call to the table.
        weights, prompt, condition: bytes of the model, of one prompt with an answer, and of every further condition of
            a knockout that is answered at the same time.
        requests, tokens_in, tokens_out: what a judge by model will be asked; 0 without one.
        cost: of these requests, in the currency of the prices; NaN without prices.
    """

    model: str
    jobs: int
    timed: int
    load: float
    each: float
    seconds: float
    weights: int
    prompt: int
    condition: int
    requests: float
    tokens_in: float
    tokens_out: float
    cost: float


def estimate(analysis, model, clips, *, n_timed=3, workers=None, prices=None, seed=0, **options) -> Estimate:
    """Measures a few jobs of a measurement, spread over all of them, and keeps nothing but the judge's verdicts.

    With workers one is started, to see how long that takes. What they lose to each other where they share a device or
    processor cores is not foreseen, nor how long jobs wait in the queue of a cluster.

    Args:
        analysis: a name of `ANALYSES`.
        model: name of a model.
        clips: all clips that will be measured.
        n_timed: how many jobs to measure; one more comes first and is not counted.
        workers: how many will share the work, each on a device like this one; None measures in one process.
        prices: (of a million tokens in, of a million tokens out) of the judge.
        seed, **options: as in `study.measure`.

    Raises:
        StudyError: fewer than two jobs, or none of those that were tried can be measured; and what `study.measure`
            raises.
    """
    jobs = study.planned(analysis, clips, options)
    if len(jobs) < 2:
        raise StudyError(f"{analysis} has {len(jobs)} jobs with these clips, too few for an estimate; measure them")
    apart = seconds_to_start(model) if workers else None  # before it is loaded here: one device may not hold both
    start = time.perf_counter()
    loaded = unchanging(models.load(model))
    load = apart or time.perf_counter() - start
    judge = judges.named(options["judge"]) if "judge" in options else None
    taken = getattr(judge, "taken", [])
    once = cache(models.load)  # what an analysis compares the model with

    with tempfile.TemporaryDirectory() as folder, _threads(1 if workers else None):

        def took(share):
            start = time.perf_counter()
            shared = {"dataset": "estimate", "seed": seed, "out": folder, "share": share, "load": once}
            rows = study.measure(analysis, loaded, clips, **shared, **options)
            return time.perf_counter() - start, rows

        took(slice(1))
        call, _ = took(slice(0))
        n_before = len(taken)
        share = slice(1, None, max(1, (len(jobs) - 1) // n_timed))
        share = slice(1, 1 + n_timed * share.step, share.step)
        seconds, rows = took(share)
    timed = len(jobs[share])
    if rows.empty:
        raise StudyError(f"{analysis}: none of {timed} jobs can be measured: {_reason(rows)}")
    each = max(0.0, seconds - call) / timed
    requests = (len(taken) - n_before) / timed * len(jobs)
    asked = judge.estimate(requests) if requests else {"tokens_in": 0, "tokens_out": 0}
    tokens = asked["tokens_in"], asked["tokens_out"]
    cost = sum(price * n / 1e6 for price, n in zip(prices, tokens, strict=True)) if prices else float("nan")
    total = in_all(len(jobs), load, call, each, workers)
    memory = _memory(loaded, [job.clip for job in jobs], options.get("max_new_tokens", _LONGEST_ANSWER))
    return Estimate(loaded.name, len(jobs), timed, load, each, total, *memory, requests, *tokens, cost)


def in_all(jobs, load, call, each, workers=None):
    """Seconds from the call to the table.

    Args:
        jobs: how many there are.
        load, each: as in `Estimate`.
        call: seconds of a call that finds nothing to measure.
        workers: how many share the jobs; None for none.

    Example:
        >>> in_all(100, load=4.0, call=0.5, each=1.0), in_all(100, load=30.0, call=0.5, each=1.0, workers=2)
        (104.5, 82.5)
    """
    heaps = math.ceil(min(jobs, SHARES * workers) / workers) if workers else 0
    return load + (heaps + 1) * call + each * math.ceil(jobs / (workers or 1))  # the last call makes the table


@contextmanager
def _threads(n):
    """Within the block torch has this many threads, as on a worker; None leaves it as it is."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(n or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _memory(model, clips, max_new_tokens):
    """Bytes of the weights, of the prompt of the first clip that can be read, and of a further condition on it."""
    weights = sum(weight.numel() * weight.element_size() for weight in model.hf.parameters())
    for clip in clips:
        try:
            prompt = model.prompt(clip, HEAR if model.hears else SEE)
        except ClipError:
            continue
        size = prompt.embeds.element_size()
        return weights, *needs(model.decoder.config, len(prompt), max_new_tokens, element_size=size)
    return weights, 0, 0


def _reason(rows):
    return next(iter(rows.attrs["left_out"].values()), "they have no rows")
