"""Workers: the same table as in one process, whatever becomes of them."""

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from functools import partial

import pandas as pd
import psutil
import pytest

import avnb
from avnb import study
from avnb.models.native import AVModel
from avnb.questions import HEAR
from avnb.study import notebooks as batch
from avnb.study import workers

SMALL = {"questions": [HEAR], "inputs": ["both"], "max_new_tokens": 4, "dataset": "toybox"}
has_slurm = shutil.which("sbatch") is not None and not subprocess.run(["sinfo"], capture_output=True).returncode


@pytest.fixture(scope="module")
def clips():
    return avnb.datasets.load("toybox", n=8)


@pytest.fixture(scope="module")
def undisturbed(clips, tmp_path_factory):
    return study.measure("fidelity", "toy-omni", clips, out=tmp_path_factory.mktemp("here"), **SMALL)


@pytest.fixture(scope="module")
def client():
    """Two workers, on a machine that pretends to have two GPUs."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(workers, "_gpus", lambda: ["3", "GPU-5"])
        with workers.connected(workers=2) as client:
            client.wait_for_workers(2)
            yield client


def parts_in(folder):
    try:
        return list(folder.rglob(".*.part/*.parquet"))
    except FileNotFoundError:  # a part that was being written has got its name meanwhile
        return parts_in(folder)


def test_every_worker_has_a_gpu_and_a_thread_of_its_own(client):
    found = client.run(lambda: (os.environ["CUDA_VISIBLE_DEVICES"], os.environ["OMP_NUM_THREADS"]))
    assert sorted(found.values()) == [("3", "1"), ("GPU-5", "1")]


def test_a_killed_worker_costs_nothing(client, clips, undisturbed, tmp_path):
    n_done = []

    def kill():
        pids = client.run(os.getpid)
        while not parts_in(tmp_path):
            time.sleep(0.01)
        os.kill(next(iter(pids.values())), signal.SIGKILL)
        n_done.append(len(parts_in(tmp_path)))

    killer = threading.Thread(target=kill)
    killer.start()
    table = workers.measure(client, "fidelity", "toy-omni", clips, out=tmp_path, **SMALL)
    killer.join()
    assert n_done[0] < len(clips), "it was killed when all was done"
    pd.testing.assert_frame_equal(table, undisturbed)
    assert [path.suffix for path in tmp_path.iterdir()] == [".parquet"], "parts are left"


def test_an_interrupt_ends_all_and_keeps_what_is_done(clips, undisturbed, tmp_path, monkeypatch):
    code = f"""if __name__ == "__main__":
    import avnb
    from avnb.study import workers
    clips = avnb.datasets.load("toybox", n={len(clips)})
    with workers.measuring(workers=2) as measure:
        measure("fidelity", "toy-omni", clips, out={str(tmp_path)!r}, **{SMALL!r})
"""
    (tmp_path / "study.py").write_text(code)
    running = subprocess.Popen([sys.executable, tmp_path / "study.py"], start_new_session=True)
    while not parts_in(tmp_path):
        assert running.poll() is None
        time.sleep(0.01)
    started = psutil.Process(running.pid).children(recursive=True)
    os.killpg(running.pid, signal.SIGINT)  # as a terminal does: the workers get it too
    assert running.wait() != 0
    assert not psutil.wait_procs(started, timeout=30)[1], "workers are left"
    n_done, asked = len(parts_in(tmp_path)), []
    real = AVModel.prompt
    monkeypatch.setattr(AVModel, "prompt", lambda self, clip, *a, **k: asked.append(clip) or real(self, clip, *a, **k))
    table = study.measure("fidelity", "toy-omni", clips, out=tmp_path, **SMALL)
    assert 0 < n_done == len(clips) - len({clip.id for clip in asked})
    pd.testing.assert_frame_equal(table, undisturbed)


def test_what_is_there_is_read_and_a_bad_clip_is_named(client, clips, tmp_path, monkeypatch, caplog):
    bad = avnb.Clip("bad", "not-there.mp4")
    monkeypatch.chdir(tmp_path)
    for _ in range(2):
        caplog.clear()
        table = workers.measure(client, "fidelity", "toy-omni", [bad, *clips[:1]], out="tables", **SMALL)
        assert set(table["clip"]) == {clips[0].id} and list(table.attrs["left_out"]) == ["bad"]
        assert "left out clip bad: " in caplog.text
    assert len(list((tmp_path / "tables").glob("*.parquet"))) == 1


def test_what_an_analysis_refuses_is_said_in_its_words(client, clips, tmp_path):
    with pytest.raises(study.StudyError, match="no option 'layer'"):
        workers.measure(client, "fidelity", "toy-omni", clips, dataset="toybox", out=tmp_path, layer=1)


def test_what_no_worker_survives_says_so(client, monkeypatch):
    monkeypatch.setattr(client.cluster.scheduler, "allowed_failures", 0)
    with pytest.raises(study.StudyError, match="workers died again and again"):
        list(workers.mapped(client, os._exit, [1]))


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"scheduler": "tcp://127.0.0.1:1", "workers": 2}, "workers of its own"),
        ({"cluster": "pbs"}, "no cluster 'pbs'"),
        ({"scheduler": "nowhere"}, "scheduler nowhere does not answer"),
    ],
)
def test_what_cannot_be_connected_says_so(asked, said):
    import dask

    at_once = dask.config.set({"distributed.comm.timeouts.connect": "1s"})
    with at_once, pytest.raises(study.StudyError, match=said), workers.connected(**asked):
        pass


def test_without_dask_or_slurm_it_says_what_is_missing(monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "which", lambda name: None)
        with pytest.raises(study.StudyError, match="no sbatch"), workers.connected(cluster="slurm"):
            pass
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(study.StudyError, match=r'pip install "avnb\[cluster\]"'), workers.connected(workers=2):
        pass


NOTEBOOK = """\
# %% tags=["parameters"]
model = "toy-omni"
out = None

# %%
import os
from pathlib import Path

Path(out, "gpu.txt").write_text(os.environ["CUDA_VISIBLE_DEVICES"])
"""
ALL = """\
# %% tags=["parameters"]
tables = None
models = None

# %%
from pathlib import Path

assert len([*Path(tables).rglob("gpu.txt")]) == len(models) == 2
"""


def test_notebooks_run_on_workers_and_what_is_about_all_comes_last(client, tmp_path):
    for name, text in (("02_each", NOTEBOOK), ("07_all", ALL)):
        (tmp_path / f"{name}.py").write_text(text)
    jobs = batch.plan(["toy-omni", "toy-vl"], [tmp_path / "07_all.py", tmp_path / "02_each.py"], tmp_path / "runs")
    outcomes = batch.execute(jobs, each=partial(workers.mapped, client))
    assert [outcome.status for outcome in outcomes] == ["done"] * 3, [outcome.error for outcome in outcomes]
    assert outcomes[-1].job.name == "07_all"
    found = {path.read_text() for path in (tmp_path / "runs").rglob("gpu.txt")}
    assert found == {"3", "GPU-5"}


def test_dask_is_not_imported_where_it_is_not_asked_for():
    code = "import sys, avnb.study.workers; sys.exit('distributed' in sys.modules or 'dask' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


@pytest.mark.skipif(not has_slurm, reason="there is no Slurm that answers on this machine")
def test_jobs_of_slurm_measure_the_same(clips, undisturbed, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with workers.connected(workers=2, cluster="slurm") as client:
        table = workers.measure(client, "fidelity", "toy-omni", clips, out=tmp_path / "tables", **SMALL)
        hosts = client.run(lambda: os.environ["SLURM_JOB_ID"])
    assert len(set(hosts.values())) == len(hosts) >= 1
    pd.testing.assert_frame_equal(table, undisturbed)
