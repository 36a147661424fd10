"""Workers: the same table as in one process, whatever becomes of them."""

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from functools import cache

import pandas as pd
import psutil
import pytest

import avnb
from avnb import study
from avnb.models.native import AVModel
from avnb.questions import HEAR
from avnb.study import notebooks as batch
from avnb.study import together, workers
from avnb.study.estimate import estimate
from avnb.study.fingerprints import model_fingerprint

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
    tables, _ = workers.measure(client, ["fidelity"], "toy-omni", clips, out=tmp_path, **SMALL)
    killer.join()
    assert n_done[0] < len(clips), "it was killed when all was done"
    pd.testing.assert_frame_equal(tables["fidelity"], undisturbed)
    assert [path.suffix for path in tmp_path.iterdir()] == [".parquet"], "parts are left"


def test_an_interrupt_ends_all_and_keeps_what_is_done(tmp_path, tmp_path_factory, monkeypatch):
    clips = avnb.datasets.load("toybox", n=32)  # so many that it comes before the end
    undisturbed = study.measure("fidelity", "toy-omni", clips, out=tmp_path_factory.mktemp("undisturbed"), **SMALL)
    code = f"""if __name__ == "__main__":
    import avnb
    from avnb.study import together, workers
    clips = avnb.datasets.load("toybox", n={len(clips)})
    with workers.measuring(workers=2) as measure:
        measure(["fidelity"], "toy-omni", clips, out={str(tmp_path)!r}, **{SMALL!r})
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


def test_a_worker_reads_the_weights_of_a_model_once(organism_folder, monkeypatch):
    name = str(organism_folder)
    monkeypatch.setattr(workers, "_loader", cache(workers._loader.__wrapped__))
    model, expected = workers._loader(name)(name), model_fingerprint(avnb.load(name))
    monkeypatch.setattr(type(model.hf), "state_dict", lambda self: pytest.fail("they were read again"))
    assert model_fingerprint(workers._loader(name)(name)) == expected


def test_an_estimate_starts_a_worker_of_its_own(clips):
    found = estimate("fidelity", "toy-omni", clips, n_timed=1, workers=1, questions=[HEAR], inputs=["both"])
    assert found.load > 0 and found.seconds >= found.load + found.each * len(clips)


def test_what_is_there_is_read_and_a_bad_clip_is_named(client, clips, tmp_path, monkeypatch, caplog):
    bad = avnb.Clip("bad", "not-there.mp4")
    monkeypatch.chdir(tmp_path)
    for _ in range(2):
        caplog.clear()
        tables, _ = workers.measure(client, ["fidelity"], "toy-omni", [bad, *clips[:1]], out="tables", **SMALL)
        table = tables["fidelity"]
        assert set(table["clip"]) == {clips[0].id} and list(table.attrs["left_out"]) == ["bad"]
        assert "left out clip bad: " in caplog.text
    assert len(list((tmp_path / "tables").glob("*.parquet"))) == 1


def test_what_an_analysis_refuses_is_said_in_its_words(client, clips, tmp_path):
    asked = {"dataset": "toybox", "out": tmp_path, "layer": 1}
    tables, failed = workers.measure(client, ["fidelity"], "toy-omni", clips, **asked)
    assert not tables and "no option 'layer'" in str(failed["fidelity"])
    with pytest.raises(study.StudyError, match="none of fidelity, lens has an option 'layer'"):
        workers.measure(client, ["fidelity", "lens"], "toy-omni", clips, **asked)


def test_several_analyses_on_workers_give_the_tables_of_one_pass_here(client, clips, tmp_path):
    names = ["fidelity", "attention"]
    asked = {"dataset": "toybox", "max_new_tokens": 4, "inputs": ["both"]}
    here, _ = together.measure(names, "toy-omni", clips[:3], out=tmp_path / "here", **asked)
    there, failed = workers.measure(client, names, "toy-omni", clips[:3], out=tmp_path / "there", **asked)
    assert failed == {} and list(there) == list(here)
    for name in names:
        pd.testing.assert_frame_equal(there[name], here[name])


def test_what_no_worker_survives_says_so(client, monkeypatch):
    monkeypatch.setattr(client.cluster.scheduler, "allowed_failures", 0)
    monkeypatch.setattr(workers, "_measured", lambda *asked: os._exit(1))
    with pytest.raises(study.StudyError, match="workers died again and again"):
        workers.measure(client, ["fidelity"], "toy-omni", [None], dataset="x")


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
import avnb
from avnb import study
from avnb.models.native import AVModel

def refuse(*asked):
    raise AssertionError("the notebook measures itself")

avllm, AVModel.prompt = avnb.load(model), refuse
clips = avnb.datasets.load("toybox", n=8)
options = {"questions": ["Describe what you hear."], "inputs": ["both"], "max_new_tokens": 4}
study.measure("fidelity", avllm, clips, dataset="toybox", out=out, **options)
"""


def test_workers_fill_the_tables_of_a_notebook(client, clips, organism_folder, tmp_path):
    (tmp_path / "02_each.py").write_text(NOTEBOOK)
    (job,) = batch.plan([str(organism_folder)], [tmp_path / "02_each.py"], tmp_path / "runs")
    with workers.at_hand(scheduler=client.scheduler.address):
        (outcome,) = batch.execute([job])
    assert outcome.status == "done", outcome.error
    assert workers.SCHEDULER not in os.environ
    (path,) = (tmp_path / "runs").rglob("*--*.parquet")
    alone = study.measure("fidelity", str(organism_folder), clips, out=tmp_path / "alone", **SMALL)
    pd.testing.assert_frame_equal(study.read(path), alone)


def test_a_model_that_workers_load_otherwise_is_not_measured_by_them(client, clips, organism_folder, tmp_path):
    model = avnb.load(str(organism_folder))
    with workers.at_hand(scheduler=client.scheduler.address):
        model.hf.get_output_embeddings().weight.data[0, 0] += 1
        with pytest.raises(study.StudyError, match="was changed after it was loaded"):
            study.measure("fidelity", model, clips, out=tmp_path, **SMALL)
        model.source = None
        assert len(study.measure("fidelity", model, clips[:1], out=tmp_path, **SMALL)) > 0


def test_dask_is_not_imported_where_it_is_not_asked_for():
    code = "import sys, avnb.study.workers; sys.exit('distributed' in sys.modules or 'dask' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


@pytest.mark.skipif(not has_slurm, reason="there is no Slurm that answers on this machine")
def test_jobs_of_slurm_measure_the_same(clips, undisturbed, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with workers.connected(workers=2, cluster="slurm") as client:
        tables, _ = workers.measure(client, ["fidelity"], "toy-omni", clips, out=tmp_path / "tables", **SMALL)
        hosts = client.run(lambda: os.environ["SLURM_JOB_ID"])
    assert len(set(hosts.values())) == len(hosts) >= 1
    pd.testing.assert_frame_equal(tables["fidelity"], undisturbed)
