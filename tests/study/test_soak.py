"""A study that is killed again and again, with a corrupt clip in it, ends in the tables of an undisturbed one."""

import random
import signal
import subprocess
import sys
import time
from dataclasses import replace

import pandas as pd
import pytest

from avnb import datasets, study

N_KILLS = 3

STUDY = """
import sys
import avnb
from avnb import datasets, study

model, clips = avnb.load(sys.argv[1]), datasets.load(sys.argv[2])
print(flush=True)
for analysis in ("fidelity", "lens", "swap"):
    study.measure(analysis, model, clips, dataset="soak", out=sys.argv[3])
"""


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    """A manifest of clips, one of which is corrupt."""
    folder = tmp_path_factory.mktemp("clips")
    (folder / "bad.mp4").write_bytes(b"no video")
    good = datasets.load("toybox", n=8)
    return datasets.save([replace(good[0], id="bad", video=folder / "bad.mp4"), *good], folder / "clips.jsonl")


@pytest.fixture
def start(organism_folder, clips):
    """Starts a study that leaves its tables in a folder, and waits until it measures."""
    started = []

    def start(folder):
        command = [sys.executable, "-c", STUDY, str(organism_folder), str(clips), str(folder)]
        started.append(subprocess.Popen(command, stdout=subprocess.PIPE))
        assert started[-1].stdout.readline(), "it did not begin"
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.wait()


def everything(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


@pytest.mark.soak
def test_a_study_that_is_killed_at_random_ends_as_the_undisturbed_one(start, tmp_path):
    undisturbed, disturbed, rng = tmp_path / "undisturbed", tmp_path / "disturbed", random.Random(0)
    process, began = start(undisturbed), time.perf_counter()
    assert process.wait() == 0
    seconds = time.perf_counter() - began
    n_killed, n_left = 0, []
    for _ in range(N_KILLS):
        process = start(disturbed)
        time.sleep(rng.uniform(0.1, seconds / 2))
        process.send_signal(signal.SIGKILL)
        n_killed += process.wait() == -signal.SIGKILL
        n_left.append(len(list(disturbed.rglob(".unfinished*"))))
    assert n_killed >= N_KILLS - 1, "the last one may have ended before"
    assert max(n_left) <= 2, "what killed ones leave grows"
    assert start(disturbed).wait() == 0

    assert everything(disturbed) == everything(undisturbed)
    tables = sorted(path.name for path in undisturbed.glob("*.parquet"))
    assert len(tables) == 3
    for name in tables:
        one, other = (study.read(folder / name) for folder in (undisturbed, disturbed))
        pd.testing.assert_frame_equal(one, other, check_exact=True)
        assert one.attrs == other.attrs and "bad" in one.attrs["left_out"]
