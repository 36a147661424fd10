"""What a measurement will take, against what it took."""

import math
import sys
import time
from types import ModuleType

import pandas as pd
import pytest
import torch

import avnb
from avnb import analyses, judge, study
from avnb.analyses.jobs import each
from avnb.study import estimate as estimates
from avnb.study import tables
from avnb.study.estimate import estimate, in_all


class Asked:
    """A judge that counts what it is asked."""

    name = "llm:asked"

    def __init__(self):
        self.taken = []

    def estimate(self, n):
        return {"requests": n, "tokens_in": 500 * n, "tokens_out": 10 * n, "seconds": n}


@pytest.fixture
def slow(monkeypatch):
    """An analysis that takes 0.05 s a job, and asks its judge twice; mute clips are left out."""
    module, one = ModuleType("avnb.analyses.slow"), Asked()
    module.plan, module.calls = each, []

    def measure(model, clips, judge="events", seed=0):
        rows = []
        for clip in (job.clip for job in clips):
            time.sleep(0.05)
            module.calls.append(clip.id)
            one.taken += [(1, 500, 10)] * 2
            rows += [] if clip.kind == "mute" else [(clip.id, 1.0)]
        table = pd.DataFrame(rows, columns=["clip", "value"])
        table.attrs["left_out"] = {} if rows else {clip.id: "it is silent"}
        return table

    module.measure = measure
    monkeypatch.setitem(sys.modules, "avnb.analyses.slow", module)
    monkeypatch.setitem(analyses.ANALYSES, "slow", analyses.Analysis("sleeps"))
    monkeypatch.setattr(judge, "named", lambda name: one)
    for place in (study, tables):
        monkeypatch.setattr(place, "code_fingerprint", lambda analysis: "today's")
    return module


def many(n, kind="factual"):
    return [avnb.Clip(str(i), f"{i}.mp4", kind=kind) for i in range(n)]


def test_it_tells_what_the_measurement_takes(slow, tmp_path):
    clips = many(40)
    found = estimate("slow", "toy-omni", clips, n_timed=8, prices=(2.0, 50.0), judge="llm:asked")
    assert found.jobs == 40 and found.timed == 8
    assert slow.calls == ["0", *[str(1 + 4 * i) for i in range(8)]], "one to warm up, the others spread over all"
    start = time.perf_counter()
    study.measure("slow", avnb.load("toy-omni"), clips, dataset="x", out=tmp_path, judge="llm:asked")
    assert 0.5 < (time.perf_counter() - start) / found.seconds < 2
    assert found.requests == 80 and found.tokens_in == 40_000 and found.tokens_out == 800
    assert found.cost == pytest.approx(0.08 + 0.04)


def test_workers_share_the_jobs_and_not_their_start(slow, monkeypatch):
    started, threads, real = [], [], slow.measure
    n_threads = torch.get_num_threads()

    def measure(*arguments, **options):
        threads.append(torch.get_num_threads())
        return real(*arguments, **options)

    monkeypatch.setattr(slow, "measure", measure)
    monkeypatch.setattr(estimates, "seconds_to_start", lambda model: started.append(model) or 1000.0)
    none, four = (estimate("slow", "toy-omni", many(40), workers=n) for n in (None, 4))
    assert started == ["toy-omni"] and four.load == 1000 and none.load < 1000
    assert set(threads[: len(threads) // 2]) == {n_threads} and set(threads[len(threads) // 2 :]) == {1}
    assert torch.get_num_threads() == n_threads
    assert 0 < four.seconds - four.load < 0.5 * (none.seconds - none.load)
    assert math.isnan(four.cost), "without prices"


def test_what_adds_up_with_workers():
    """Each starts at the same time, is called for every heap and once for the table, and does its part of the jobs."""
    assert in_all(100, load=5.0, call=0.25, each=1.2) == pytest.approx(5 + 0.25 + 120)
    assert in_all(100, load=28.0, call=0.25, each=1.2, workers=1) == pytest.approx(28 + 5 * 0.25 + 120)
    assert in_all(100, load=28.0, call=0.25, each=1.2, workers=2) == pytest.approx(28 + 5 * 0.25 + 60)
    assert in_all(8, load=0.0, call=10.0, each=1.0, workers=8) == 21, "one heap each"
    assert in_all(7, load=0.0, call=0.0, each=1.0, workers=4) == 2, "the last one is waited for"


def test_memory_follows_from_the_configuration(slow):
    clips = avnb.datasets.load("toybox", n=2)
    full, half = (estimate("slow", name, clips, n_timed=1) for name in ("toy-omni", "toy-omni@bfloat16"))
    n_parameters = sum(weight.numel() for weight in avnb.load("toy-omni").hf.parameters())
    assert full.weights == 4 * n_parameters and half.weights == 2 * n_parameters
    assert full.prompt > half.prompt > full.condition > half.condition > 0


@pytest.mark.parametrize(
    ("clips", "said"), [(many(1), "has 1 jobs.*measure them"), (many(4, "mute"), "none of 3 jobs.*it is silent")]
)
def test_what_cannot_be_estimated_says_so(slow, clips, said):
    with pytest.raises(study.StudyError, match=said):
        estimate("slow", "toy-omni", clips)
