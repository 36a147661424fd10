"""The command line of studies at scale: `avnb estimate`, and who measures."""

import json
import os
import signal
import subprocess
import sys
import time
from types import SimpleNamespace

import pytest

from avnb.toybox import world


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    return world.write(tmp_path_factory.mktemp("clips"), n=4)


def test_estimate_for_people_and_machines(run, clips, organism_folder):
    asked = ["estimate", "fidelity", "--models", organism_folder, "--data", clips, "--timed", 2]
    asked += ["--set", "max_new_tokens=2", "--set", 'inputs=["both"]']
    (found,) = json.loads(run(*asked, "--json").stdout)
    assert (found["model"], found["jobs"], found["timed"], found["requests"]) == (organism_folder.name, 4, 2, 0)
    assert found["seconds"] > found["load"] > 0 and found["cost"] is None
    shown = run(*asked).stdout
    assert "4, 2 of them measured for this" in shown and "memory of a prompt" in shown and "cost" not in shown


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (("--workers", 2, "--scheduler", "tcp://127.0.0.1:1"), "a scheduler has workers of its own"),
        (("--cluster", "pbs"), "there is no cluster 'pbs'; use slurm"),
    ],
)
@pytest.mark.parametrize("command", [("measure", "fidelity", "--models", "toy-omni"), ("run", "--models", "toy-omni")])
def test_who_measures_is_checked(run, clips, tmp_path, command, asked, said):
    data = ["--data", clips] if command[0] == "measure" else ["--notebooks", "02_caption_fidelity"]
    result = run(*command, *data, "--out", tmp_path / "out", *asked)
    assert result.exit_code == 1 and said in result.stderr and result.stderr.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_a_plain_call_starts_nothing(run, clips, tmp_path, monkeypatch, organism_folder):
    from avnb.study import workers

    monkeypatch.setattr(workers, "connected", lambda *asked: pytest.fail("workers were started"))
    asked = ["--set", "max_new_tokens=2", "--set", 'inputs=["both"]', "--n", 2, "--out", tmp_path, "--json"]
    result = run("measure", "fidelity", "--models", organism_folder, "--data", clips, *asked)
    assert result.exit_code == 0 and json.loads(result.stdout)["means"]


SLEEPS = """\
# %% tags=["parameters"]
model = "toy-omni"

# %%
import time
from pathlib import Path

Path("began").touch()
time.sleep(60)
"""


def test_an_interrupt_of_run_says_what_was_done_and_nothing_else(tmp_path):
    (tmp_path / "a.py").write_text(SLEEPS)
    command = [sys.executable, "-c", "from avnb.cli import app; app()", "run", "--models", "toy-omni"]
    command += ["--notebooks", "a.py", "--out", "out"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    running = subprocess.Popen(command, cwd=tmp_path, start_new_session=True, **pipes)
    while not (tmp_path / "began").exists():
        assert running.poll() is None
        time.sleep(0.05)
    os.killpg(running.pid, signal.SIGINT)
    try:
        said, complained = running.communicate(timeout=30)
    except subprocess.TimeoutExpired:  # seen once, on a busy machine: nobody heard the first one. People press again
        os.killpg(running.pid, signal.SIGINT)
        said, complained = running.communicate(timeout=60)
    assert running.returncode == 130 and said == "0 done, 0 kept, 0 n/a, 0 failed; see out\n"
    assert complained.strip() in ("", "Aborted.")
    assert not list((tmp_path / "out").rglob("*.*")), "unfinished notebooks are left"


def test_book_takes_runs(run, tmp_path, monkeypatch):
    for name in ("book", "runs"):
        (tmp_path / name).mkdir()
    (tmp_path / "_toc.yml").touch()
    (tmp_path / "book" / "build.py").touch()
    calls = []
    monkeypatch.setattr(subprocess, "run", lambda command, **_: calls.append(command) or SimpleNamespace(returncode=0))
    monkeypatch.chdir(tmp_path)
    assert run("book", "--runs", "runs").exit_code == 0
    assert calls == [[sys.executable, str(tmp_path / "book" / "build.py"), "--runs", str(tmp_path / "runs")]]
    assert run("book", "--runs", "nowhere").exit_code == 2 and len(calls) == 1
