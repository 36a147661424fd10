"""A study whose workers and client are killed again and again, with a corrupt clip in it, ends in the tables of an
undisturbed one.

When they are killed is drawn anew at every run; `AVNB_SOAK_SEED=N` draws as the run that printed this seed.
"""

import os
import random
import signal
import sys
import time
from dataclasses import replace

import pandas as pd
import psutil
import pytest

from avnb import datasets, study
from avnb.study import together

N_KILLS = 2  # of the client; before each, and before the end, a worker is killed too

NAMES = ["fidelity", "lens", "swap"]
OPTIONS = {"dataset": "soak", "max_new_tokens": 8}

STUDY = f"""
import sys

if __name__ == "__main__":
    from avnb import datasets
    from avnb.study import workers

    clips = datasets.load(sys.argv[2])
    with workers.measuring(workers=2) as measure:
        measure({NAMES}, sys.argv[1], clips, out=sys.argv[3], **{OPTIONS})
"""


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    """A manifest of clips, one of which is corrupt."""
    folder = tmp_path_factory.mktemp("clips")
    (folder / "bad.mp4").write_bytes(b"no video")
    good = datasets.load("toybox", n=8)
    return datasets.save([replace(good[0], id="bad", video=folder / "bad.mp4"), *good], folder / "clips.jsonl")


@pytest.fixture
def start(organism_folder, clips, tmp_path):
    """Starts a study, with two workers, that leaves its tables in a folder."""
    started = []
    script = tmp_path / "study.py"
    script.write_text(STUDY)

    def start(folder):
        command = [sys.executable, str(script), str(organism_folder), str(clips), str(folder)]
        started.append(psutil.Popen(command))
        return started[-1]

    yield start
    for process in started:
        if process.is_running():
            process.kill()
            process.wait()


def measured(folder):
    """How many jobs are done, of all that have no table yet."""
    return len(list(folder.glob(".*.part/*.parquet")))


def wait_for(process, folder, n_more, seconds):
    """Waits until so many more jobs are done or the study has ended, and then these seconds."""
    before = measured(folder)
    while process.poll() is None and before <= measured(folder) < before + n_more:
        time.sleep(0.02)
    time.sleep(seconds)


def kill_a_worker(process, rng):
    """Kills one of the workers of a study, and gives whether there was one."""
    workers = [one for one in process.children(recursive=True) if "spawn_main" in " ".join(one.cmdline())]
    if workers:
        rng.choice(workers).kill()
    return bool(workers)


def everything(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


@pytest.mark.soak
def test_a_study_whose_workers_and_client_are_killed_at_random_ends_as_the_undisturbed_one(
    start, organism_folder, clips, tmp_path
):
    seed = int(os.environ.get("AVNB_SOAK_SEED") or random.randrange(10**6))
    print(f"AVNB_SOAK_SEED={seed}")  # pytest shows it where the test fails
    undisturbed, disturbed, rng = tmp_path / "undisturbed", tmp_path / "disturbed", random.Random(seed)
    together.measure(NAMES, str(organism_folder), datasets.load(clips), out=undisturbed, **OPTIONS)
    n_workers, n_clients, orphans = 0, 0, []
    for i in range(N_KILLS + 1):
        process = start(disturbed)
        wait_for(process, disturbed, rng.randint(1, 3), rng.uniform(0, 0.2))
        n_workers += process.poll() is None and kill_a_worker(process, rng)
        if i < N_KILLS:
            wait_for(process, disturbed, rng.randint(1, 2), rng.uniform(0, 0.2))
            assert process.poll() is None, "it ended before it was killed"
            orphans += process.children(recursive=True)
            process.kill()
            n_clients += process.wait() == -signal.SIGKILL
    assert process.wait() == 0
    assert n_workers >= N_KILLS and n_clients == N_KILLS
    assert not psutil.wait_procs(orphans, timeout=30)[1], "workers go on without their client"

    assert everything(disturbed) == everything(undisturbed)
    tables = sorted(path.name for path in undisturbed.glob("*.parquet"))
    assert len(tables) == 3
    for name in tables:
        one, other = (study.read(folder / name) for folder in (undisturbed, disturbed))
        pd.testing.assert_frame_equal(one, other)
        assert one.attrs == other.attrs and "bad" in one.attrs["left_out"]
