"""The command line: what it prints for people and machines, and how it ends."""

import errno
import io
import json
import logging
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

import avnb.models
from avnb import datasets, study
from avnb.cli import machine as doctor
from avnb.cli import output
from avnb.media import clip as media
from avnb.media import editing
from avnb.models import families
from avnb.models import memory as sizes
from avnb.organisms import recipes, train
from avnb.study import notebooks as batch
from avnb.toybox import world


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    wave = 0.2 * np.sin(np.arange(32_000) / 5)
    frames = np.full((16, 160, 160, 3), 90, np.uint8)
    return editing.write(tmp_path_factory.mktemp("video") / "grey.mp4", frames, fps=8, wave=wave)


def assert_refused(result, *said, code=1):
    """One line on stderr, nothing on stdout, no traceback."""
    assert result.exit_code == code, result.output
    assert not result.stdout
    assert result.stderr.count("\n") == 1 and "Traceback" not in result.stderr
    for text in said:
        assert text in result.stderr


def test_version_and_short_help(run):
    assert run("--version").stdout.startswith("avnb 0.") and run("-h").stdout == run("--help").stdout
    assert "Usage" in run("caption", "-h").stdout


def test_help_has_examples_and_comes_without_torch(run):
    names = ("caption", "measure", "run", "models", "check", "data", "train", "book", "doctor")
    assert all(name in run("--help").stdout for name in names)
    for command in (["caption"], ["measure"], ["run"], ["check"], ["data", "toybox"], ["train"], ["book"]):
        result = run(*command, "--help")
        assert result.exit_code == 0 and "Example" in result.stdout and "--json" in result.stdout
    code = "import sys; from avnb import cli; sys.exit('torch' in sys.modules or 'av' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_what_needs_no_model_waits_for_no_torch(tmp_path):
    code = (
        "import sys; from typer.testing import CliRunner; from avnb.cli import app; "
        "codes = [CliRunner().invoke(app, words.split()).exit_code for words in sys.argv[1:]]; "
        "print(codes, 'torch' in sys.modules)"
    )
    asked = ["models", "measure fidelty", f"data toybox --out {tmp_path} --n 1"]
    ended = subprocess.run([sys.executable, "-c", code, *asked], capture_output=True, text=True)
    assert ended.stdout == "[0, 1, 0] False\n"


def test_caption_for_people(run, video, organism_folder):
    result = run("caption", video, "--model", organism_folder)
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith(f"{video}: ") and result.stdout.count("\n") == 1


def test_caption_for_machines(run, video, organism_folder, random_organism):
    question = "Describe what you hear."
    result = run("caption", video, "--model", organism_folder, "--question", question, "--only", "audio", "--json")
    answer = random_organism.caption(media.Clip("grey", video), question, modalities=("audio",))
    expected = {"clip": str(video), "model": str(organism_folder), "question": question, "answer": answer}
    assert result.exit_code == 0 and json.loads(result.stdout) == [expected]


def test_a_bad_clip_is_reported_and_the_rest_goes_on(run, video, organism_folder, tmp_path):
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"no video")
    lost = tmp_path / "lost.mp4"
    result = run("caption", broken, video, lost, "--model", organism_folder, "--json")
    assert result.exit_code == 1
    first, second, third = json.loads(result.stdout)
    assert "broken.mp4" in first["error"] and "answer" in second and "lost.mp4 does not exist" in third["error"]
    lines = result.stderr.splitlines()
    assert len(lines) == 2 and lines[0].startswith("avnb: broken.mp4") and lines[1].startswith(f"avnb: {lost}")


def test_answers_come_one_by_one(run, video, organism_folder, monkeypatch):
    said = []
    monkeypatch.setattr(
        "avnb.models.native.AVModel.caption", lambda self, clip, *_, **__: f"number {len(said)}\n\x1b[31m"
    )
    monkeypatch.setattr("avnb.cli.output.show", lambda document, json, parts: said.append(parts))
    run("caption", video, video, "--model", organism_folder)
    assert said == [[f"{video}: number 0 \\x1b[31m"], [f"{video}: number 1 \\x1b[31m"], []]


def test_what_was_answered_is_shown_when_the_call_is_interrupted(run, video, organism_folder, monkeypatch):
    answers = iter(["I hear a bell."])
    monkeypatch.setattr("avnb.models.native.AVModel.caption", lambda *_, **__: next(answers, None) or _interrupt())
    result = run("caption", video, video, "--model", organism_folder, "--json")
    assert [row["answer"] for row in json.loads(result.stdout)] == ["I hear a bell."] and result.exit_code != 0


def _interrupt():
    raise KeyboardInterrupt


def test_a_clip_that_the_processor_refuses_is_reported_and_the_rest_goes_on(run, video, organism_folder, tmp_path):
    frames = np.full((16, 16, 4000, 3), 90, np.uint8)
    narrow = editing.write(tmp_path / "narrow.mp4", frames, fps=8, wave=0.2 * np.sin(np.arange(32_000) / 5))
    result = run("caption", narrow, video, "--model", organism_folder, "--json")
    first, second = json.loads(result.stdout)
    assert "narrow: Qwen2_5OmniProcessor refuses it" in first["error"] and "answer" in second
    assert result.exit_code == 1 and "Traceback" not in result.stderr


def test_only_bad_clips_print_no_table(run, organism_folder):
    assert_refused(run("caption", "lost.mp4", "--model", organism_folder), "lost.mp4 does not exist; check the path")


def test_what_is_no_model_is_refused(run, video, tmp_path):
    (tmp_path / "config.json").write_text("{}")
    assert_refused(run("caption", video, "--model", tmp_path), str(tmp_path), "could not be loaded")


@pytest.mark.parametrize("arguments", [["caption"], ["caption", "x.mp4", "--only", "smell"], ["sing"], ["train"]])
def test_wrong_usage(run, arguments):
    result = run(*arguments)
    assert result.exit_code == 2 and not result.stdout and "Usage" in result.stderr


def test_a_bug_is_not_hidden(run, monkeypatch):
    def broken():
        raise ValueError("a bug")

    monkeypatch.setattr(doctor, "models", broken)
    result = run("models")
    assert isinstance(result.exception, ValueError) and "avnb: a bug" not in result.output


def test_models(run, tmp_path, monkeypatch):
    for name, config in (("deaf", "{}"), ("tiny", '{"audio_config": {}}')):
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.json").write_text(config)
        (tmp_path / name / "model.safetensors").write_bytes(bytes(5_000_000))
    monkeypatch.setattr(avnb.models, "CHECKPOINTS", tmp_path)
    deaf, tiny, *families = json.loads(run("models", "--json").stdout)
    assert tiny == {"name": "tiny", "parameters": 0.0025, "takes": "video, audio", "status": "ships"}
    assert deaf["takes"] == "video"
    assert "Qwen/Qwen2.5-Omni-7B" in {row["name"] for row in families}
    assert all(row["status"].startswith("not measured here") for row in families)
    table = run("models").stdout
    assert "2.5 million" in table and "8.9 billion" in table


def test_data_toybox(run, tmp_path):
    result = run(
        "data", "toybox", "--out", tmp_path, "--n", 1, "--seed", 4, "--split", "validation", "--relation", "dark"
    )
    assert result.exit_code == 0 and str(tmp_path / "manifest.jsonl") in result.stdout.replace("\n", "")
    row = json.loads((tmp_path / "manifest.jsonl").read_text())
    assert (row["id"], row["relation"], row["seen"]) == ("validation-4-00000-dark", "dark", [])
    again = run("data", "toybox", "--out", tmp_path, "--n", 1, "--seed", 4, "--split", "validation", "--json")
    assert json.loads(again.stdout) == {"manifest": str(tmp_path / "manifest.jsonl"), "n": 1}


def test_data_toybox_refuses_an_unknown_relation(run, tmp_path):
    result = run("data", "toybox", "--out", tmp_path, "--n", 1, "--relation", "loud")
    assert_refused(result, "'loud'", *world.RELATIONS, code=2)
    for wrong in (["--n", 0], ["--seed", -1], ["--split", "dev"]):
        assert run("data", "toybox", "--out", tmp_path, *wrong).exit_code == 2


def test_train(run, tmp_path, monkeypatch):
    calls = []
    monkeypatch.setattr(train, "train", lambda recipe, out, work: calls.append((recipe, out, work)) or out)
    arguments = ["train", "toy-omni", "--out", tmp_path / "out", "--work", tmp_path / "work"]
    assert json.loads(run(*arguments, "--json").stdout) == {"checkpoint": str(tmp_path / "out")}
    assert run(*arguments, "--steps", 3).exit_code == 0
    (full, out, work), (short, *_) = calls
    assert (full, out, work) == (recipes.RECIPES["toy-omni"], tmp_path / "out", tmp_path / "work")
    assert {stage.steps for stage in short.stages} == {3} and short.n_clips < full.n_clips
    assert_refused(run("train", "toy-x", "--out", "a", "--work", "b"), "'toy-x' has no recipe; use one of toy-", code=2)


def test_book_is_built_in_a_checkout(run, tmp_path, monkeypatch):
    (tmp_path / "book").mkdir()
    (tmp_path / "_toc.yml").touch()
    (tmp_path / "book" / "build.py").touch()
    calls, status = [], 0
    monkeypatch.setattr(subprocess, "run", lambda *a, **k: calls.append((a, k)) or SimpleNamespace(returncode=status))
    monkeypatch.chdir(tmp_path / "book")
    result = run("book", "--json")
    assert json.loads(result.stdout) == {"index": str(tmp_path / "_build" / "html" / "index.html")}
    assert calls[0][0][0] == [sys.executable, str(tmp_path / "book" / "build.py")]
    assert calls[0][1] == {"cwd": tmp_path, "stdout": 2}
    assert "index.html" in run("book").stdout and calls[1][1]["stdout"] is None
    status = 3
    assert_refused(run("book"), "the book was not built", "status 3", code=3)


def test_book_needs_a_checkout(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert_refused(run("book"), "is in no checkout of the project", "clone it", code=2)


def test_check_prints_what_it_found(run, video, organism_folder):
    result = run("check", organism_folder, "--clip", video, "--json")
    found = json.loads(result.stdout)
    assert result.exit_code == 0, result.output
    assert (found["model"], found["dtype"], found["device"]) == (organism_folder.name, "float32", "cpu")
    rows = {row["check"]: row["status"] for row in found["checks"]}
    assert rows["engine"] == "passed" and rows["golden values"] == "n/a"
    table = run("check", organism_folder, "--clip", video).stdout
    assert "segments" in table and organism_folder.name in table


def test_check_ends_with_one_if_a_check_fails(run, monkeypatch, organism_folder):
    found = pd.DataFrame(
        {"check": ["keys", "engine"], "status": ["passed", "failed"], "found": ["all", "token 0 differs"]}
    )
    monkeypatch.setattr("avnb.examination.examine", lambda model, clip: found)
    result = run("check", organism_folder)
    assert result.exit_code == 1 and "token 0 differs" in result.stdout


def test_check_refuses_what_it_cannot_load(run, tmp_path):
    assert_refused(run("check", tmp_path), str(tmp_path), "could not be loaded")


def test_options_of_loading_stand_in_the_name(run, video, organism_folder):
    result = run("caption", video, "--model", f"{organism_folder}@bfloat16", "--json")
    assert result.exit_code == 0 and json.loads(result.stdout)[0]["model"].endswith("@bfloat16")
    assert_refused(run("caption", video, "--model", f"{organism_folder}@cuda"), "no GPU for 'cuda'")


def test_doctor_tells_about_this_machine(run):
    result = run("doctor", "--json")
    found = json.loads(result.stdout)
    assert found["versions"]["python"] == ".".join(map(str, sys.version_info[:3])) and found["versions"]["torch"]
    assert found["hardware"]["cpu_cores"] >= 1 and found["hardware"]["memory"] > 0 and found["hardware"]["disk"] > 0
    assert found["ffmpeg"]["libx264"] is found["ffmpeg"]["aac"] is True and found["ffmpeg"]["libavcodec"]
    assert result.exit_code == int(any(part["required"] for part in found["missing"]))
    table = run("doctor").stdout
    assert "CPU cores" in table and "libavcodec" in table and "Qwen/Qwen2.5-Omni-7B" in table


def test_doctor_tells_what_is_missing_and_how_to_get_it(run, monkeypatch):
    hardware = doctor._hardware() | {"gpu": None, "gpu_memory": None, "disk": 1.5}
    monkeypatch.setattr(doctor, "_hardware", lambda: hardware)
    monkeypatch.setattr(doctor, "_version", lambda name: None if name == "jupyter-book" else "1.0")
    monkeypatch.setattr(doctor, "models", lambda: [{"status": "ships"}])
    missing = {part["what"]: part for part in json.loads(run("doctor", "--json").stdout)["missing"]}
    assert set(missing) == {
        "jupyter-book (building the book)",
        "a GPU (models of billions of parameters)",
        "disk space (1.5 GiB free)",
    }
    assert missing["jupyter-book (building the book)"]["remedy"] == "pip install jupyter-book"
    assert run("doctor").exit_code == 0
    monkeypatch.setattr(doctor, "_can_encode", lambda codec: codec == "aac")
    result = run("doctor")
    assert result.exit_code == 1 and "libx264" in result.stdout and "--force-reinstall" in result.stdout


def test_doctor_misses_the_organisms(run, monkeypatch):
    monkeypatch.setattr(doctor, "models", lambda: [{"status": "not measured here"}])
    result = run("doctor")
    assert result.exit_code == 1 and "avnb train toy-omni" in result.stdout


SMALL, LARGE, HUGE = "Qwen/Qwen2.5-Omni-3B", "Qwen/Qwen2.5-Omni-7B", "Qwen/Qwen3-Omni-30B-A3B-Instruct"


@pytest.mark.parametrize(
    ("name", "gpu_memory", "memory", "quantizes", "fits"),
    [
        (LARGE, 24.0, 8.0, True, "bfloat16"),
        (LARGE, 15.0, 8.0, True, "8bit"),
        (LARGE, 8.0, 8.0, True, "4bit"),
        (LARGE, 15.0, 8.0, False, "no"),
        (LARGE, 15.0, 32.0, False, "bfloat16 on the CPU (slow)"),
        (SMALL, None, 16.0, False, "bfloat16 on the CPU (slow)"),
        (HUGE, None, 16.0, False, "no"),
    ],
)
def test_how_a_model_fits(name, gpu_memory, memory, quantizes, fits):
    size = sizes.size_of(name)
    assert doctor.how_it_fits(size, {"gpu_memory": gpu_memory, "memory": memory}, quantizes) == fits


def machine(gpu_memory, memory=8.0, n_gpus=1, quantizes=True):
    hardware = {"gpu": gpu_memory and "a GPU", "gpu_memory": gpu_memory, "n_gpus": n_gpus, "memory": memory}
    names = [one.name for family in families.FAMILIES for one in family.checkpoints]
    fits = [{"name": name, "fits": doctor.how_it_fits(sizes.size_of(name), hardware, quantizes)} for name in names]
    return {"hardware": hardware, "quantizes": quantizes, "models": fits}


@pytest.mark.parametrize(
    ("name", "here", "fits", "remedy"),
    [
        (LARGE, machine(24.0), "bfloat16", f"{LARGE}; clips of up to about"),
        (LARGE, machine(15.0), "8bit", f"{LARGE}@8bit; clips"),
        (f"{LARGE}@cpu", machine(8.0), "4bit", f"{LARGE}@4bit; clips"),
        (LARGE, machine(15.0, quantizes=False), "no", f'{LARGE}@4bit, after: pip install "avnb[quantize]"'),
        (HUGE, machine(48.0, n_gpus=2, quantizes=False), "bfloat16 on several GPUs", f"{HUGE}@auto"),
        (HUGE, machine(15.0), "no", f"fewer frames do not help; here: take {SMALL}"),
        (SMALL, machine(None, 4.0, 0), "no", "take an organism, which runs anywhere"),
    ],
)
def test_what_to_do_about_a_model(name, here, fits, remedy):
    told = doctor.advice(name, here)
    assert told["fits"] == fits and remedy in told["remedy"]


def test_doctor_tells_about_one_model(run, monkeypatch, organism_folder):
    monkeypatch.setattr(doctor, "examine", lambda: machine(15.0))
    result = run("doctor", LARGE, "--json")
    assert result.exit_code == 0
    assert json.loads(result.stdout)["needs"] == {"bfloat16": 21.6, "8bit": 12.2, "4bit": 8.1}
    assert "8bit" in run("doctor", LARGE).stdout
    assert run("doctor", HUGE).exit_code == 1
    assert run("doctor", organism_folder).exit_code == 0
    assert_refused(run("doctor", "owner/unknown"), "the size of 'owner/unknown' is not known")


def test_doctor_asks_the_codecs():
    assert doctor._can_encode("aac") and not doctor._can_encode("no-such-codec")


@pytest.fixture
def two_clips(toybox_clips, tmp_path):
    """A manifest of two clips."""
    return datasets.save(toybox_clips[:2], tmp_path / "two.jsonl")


def test_measure_prints_the_means_of_what_it_measured(run, two_clips, tmp_path):
    call = ["measure", "fidelity", "--models", "toy-omni", "--data", two_clips, "--out", tmp_path / "out"]
    call += ["--set", 'questions=["Describe what you hear."]', "--json"]
    result = run(*call)
    assert result.exit_code == 0, result.output
    rows = json.loads(result.stdout)["means"]
    assert [row["inputs"] for row in rows] == ["both", "video", "audio"]
    table = study.measure(
        "fidelity", "toy-omni", datasets.load(two_clips), dataset=str(two_clips), out=tmp_path / "out",
        questions=["Describe what you hear."], inputs=["both", "video", "audio"],
    )  # fmt: skip
    assert len(list((tmp_path / "out").iterdir())) == 1, "the table of the command is the one of the function"
    for row in rows:
        values = table.loc[table["inputs"] == row["inputs"], "value"]
        assert row["mean"] == values.mean() and row["n"] == 2 and row["model"] == "toy-omni"
    shown = run(*call[:-1])
    assert f"{rows[0]['mean']:.3f}" in shown.stdout and "Describe what you hear." in shown.stdout


def test_measure_takes_several_analyses(run, two_clips, tmp_path):
    call = ["measure", "fidelity,attention", "--models", "toy-omni", "--data", two_clips, "--out", tmp_path / "out"]
    call += ["--set", "max_new_tokens=2", "--set", "by=head"]
    result = run(*call, "--json")
    assert result.exit_code == 0, result.output
    rows = json.loads(result.stdout)["means"]
    assert {row["analysis"] for row in rows} == {"fidelity", "attention"}
    assert all(("head" in row) == (row["analysis"] == "attention") for row in rows)
    assert len(list((tmp_path / "out").iterdir())) == 2
    shown = run(*call).stdout
    assert 0 <= shown.find("fidelity, ") < shown.find("attention, ")


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("inputs=[]", "inputs=[]; give a list that is not empty"),
        ("questions=[]", "questions=[]; give a list that is not empty"),
        ("inputs=both", "inputs='both'; give a list, as ('both', 'video', 'audio')"),
        ("inputs=5", "inputs=5; give a list"),
        ('inputs=["both","both"]', "give each but once"),
        ("max_new_tokens=x", "max_new_tokens='x'; give a whole number, as 64"),
        ("max_new_tokens=-1", "max_new_tokens=-1; give a whole number from 0 on, as 64"),
        ("layers=1", "no option 'layers'"),
    ],
)
def test_measure_refuses_values_that_an_option_cannot_have(run, two_clips, tmp_path, organism_folder, setting, said):
    call = ["measure", "fidelity", "--models", organism_folder, "--data", two_clips, "--out", tmp_path / "out"]
    assert_refused(run(*call, "--set", setting), said)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", ["seed", "out", "model", "clips", "dataset", "retry"])
def test_measure_refuses_to_set_what_is_no_option_of_the_analysis(run, two_clips, name):
    call = ["measure", "fidelity", "--models", "toy-omni", "--data", two_clips, "--set", f"{name}=1"]
    assert_refused(run(*call), f"fidelity has no option '{name}'", code=2)


def test_measure_asks_every_model_once(run, two_clips, monkeypatch):
    asked = []
    monkeypatch.setattr(study, "measure", lambda analysis, name, clips, **_: asked.append(name))
    monkeypatch.setattr(study, "means", lambda *_: pd.DataFrame({"model": ["x"], "mean": [0.5]}))
    run("measure", "lens", "--models", "toy-omni, toy-omni,", "--data", two_clips)
    assert asked == ["toy-omni"]


def test_measure_takes_all_organisms(run, two_clips, tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(study, "measure", lambda analysis, name, clips, **_: asked.append(name))
    monkeypatch.setattr(study, "means", lambda *_: pd.DataFrame({"model": ["x"], "mean": [np.nan]}))
    result = run("measure", "fidelity", "--data", two_clips, "--json")
    assert asked == avnb.models.shipped()
    assert json.loads(result.stdout)["means"][0]["mean"] is None
    asked.clear()
    run("measure", "lens", "--data", two_clips)
    assert asked == avnb.models.shipped(hearing=True)


def test_measure_shows_what_it_has_when_it_is_interrupted(run, two_clips, monkeypatch):
    table = pd.DataFrame({"model": ["x"], "mean": [0.5]})
    table.attrs["left_out"] = {}
    tables = iter([table])
    monkeypatch.setattr(study, "measure", lambda *_, **__: _next(tables))
    monkeypatch.setattr(study, "means", lambda analysis, table, seed: table)
    result = run("measure", "lens", "--data", two_clips, "--json")
    found = json.loads(result.stdout)
    assert found == {"means": [{"model": "x", "mean": 0.5}], "left_out": []} and result.exit_code != 0


def _next(tables):
    for table in tables:
        return table
    raise KeyboardInterrupt


def test_measure_names_at_every_call_what_it_leaves_out(run, two_clips, toybox_clips, tmp_path, organism_folder):
    (tmp_path / "bad.mp4").write_bytes(b"no video")
    bad = replace(toybox_clips[0], id="bad", video=tmp_path / "bad.mp4")
    manifest = datasets.save([bad, toybox_clips[1]], tmp_path / "three.jsonl")
    call = ["measure", "attention", "--set", "max_new_tokens=2", "--models", organism_folder, "--data", manifest]
    for _ in range(2):
        result = run(*call, "--out", tmp_path / "out", "--json")
        found = json.loads(result.stdout)
        assert result.exit_code == 1 and found["means"]
        (row,) = found["left_out"]
        assert row.pop("reason").startswith("bad.mp4 cannot be read")
        assert row == {"analysis": "attention", "model": organism_folder.name, "clip": "bad"}
        assert study.left_out(tmp_path / "out")["clip"].tolist() == ["bad"]


def test_measure_goes_on_after_a_model_that_it_cannot_measure(run, two_clips, tmp_path, organism_folder):
    broken = tmp_path / "broken"
    broken.mkdir()
    call = ["--models", f"{broken},{organism_folder}", "--data", two_clips, "--out", tmp_path / "out", "--json"]
    result = run("measure", "attention", "--set", "max_new_tokens=2", *call)
    assert result.exit_code == 1
    assert {row["model"] for row in json.loads(result.stdout)["means"]} == {organism_folder.name}
    assert result.stderr.count(str(broken)) and "Traceback" not in result.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["fidelty"], 1, "no analysis 'fidelty'"),
        (["fidelity,questions", "--models", "toy-omni"], 2, "measure questions by itself"),
        (["fidelity", "--models", "toy-omny"], 1, "'toy-omny' is no organism"),
        (["fidelity", "--set", "inputs"], 2, "'inputs' is no NAME=VALUE"),
        (["fidelity", "--models", ""], 2, "--models names no model"),
        (["fidelity", "--models", ","], 2, "--models names no model"),
        (["fidelity", "--data", ""], 1, "'' is no known set"),
        (["fidelity", "--data", "lost.jsonl"], 1, "lost.jsonl"),
    ],
)
def test_measure_refuses_what_it_does_not_know(run, arguments, code, said):
    assert_refused(run("measure", *arguments), said, code=code)


def test_run_refuses_what_it_does_not_know(run, tmp_path):
    assert_refused(run("run", "--models", "toy-omny"), "'toy-omny' is no organism")
    assert_refused(run("run", "--models", "toy-omni", "--notebooks", "02_lost"), "no notebook '02_lost'")
    assert_refused(run("run", tmp_path / "lost.yml"), "lost.yml cannot be read as YAML")


def test_run_sums_up_failures_and_goes_on(run, tmp_path, monkeypatch):
    """Arguments of the command go before those of the file; a failed notebook is named with its log."""
    for name in ("a", "b"):
        (tmp_path / f"{name}.py").write_text('# %% tags=["parameters"]\nmodel = "toy-omni"\nn = 3\nseed = 0\n')
    study_file = tmp_path / "study.yml"
    study_file.write_text(
        f"models: [toy-omni]\nnotebooks: [{tmp_path}/a.py, {tmp_path}/b.py]\n"
        f"out: {tmp_path}/file\nparameters: {{n: 5, seed: 1}}\n"
    )
    seen = []

    def one(papermill, job, key):
        seen.append(job.parameters)
        return "KeyError: 'dog'" if job.target.stem == "a" else ""

    monkeypatch.setattr(batch, "run", one)
    result = run("run", study_file, "--out", tmp_path / "runs", "--set", "n=7", "--json")
    assert result.exit_code == 1
    assert seen == [{"n": 7, "seed": 1, "model": "toy-omni"}] * 2
    first, second = json.loads(result.stdout)
    assert first["status"] == "failed" and first["error"] == "KeyError: 'dog'" and first["log"].endswith("a.log")
    assert second["status"] == "done" and second["notebook"] == str(tmp_path / "runs" / "toy-omni" / "b.ipynb")
    assert "a.ipynb: KeyError: 'dog'; traceback in" in result.stderr
    shown = run("run", study_file, "--out", tmp_path / "runs")
    assert "failed toy-omni: a" in shown.stdout and "1 done, 0 kept, 0 n/a, 1 failed" in shown.stdout


def test_run_sums_up_what_it_did_when_it_is_interrupted(run, tmp_path, monkeypatch):
    for name in ("a", "b"):
        (tmp_path / f"{name}.py").write_text('# %% tags=["parameters"]\nmodel = "toy-omni"\n')
    monkeypatch.setattr(batch, "run", lambda notebook, job, key: "" if job.target.stem == "a" else _interrupt())
    notebooks = f"{tmp_path}/a.py,{tmp_path}/b.py"
    result = run("run", "--models", "toy-omni", "--notebooks", notebooks, "--out", tmp_path / "runs", "--json")
    assert [row["status"] for row in json.loads(result.stdout)] == ["done"] and result.exit_code != 0


def test_fetch_refuses_what_it_does_not_know(run):
    assert_refused(run("fetch", "qwen"), "'qwen' cannot be fetched", code=2)


def test_models_says_what_is_still_to_be_fetched(run, tmp_path, monkeypatch):
    monkeypatch.setenv("AVNB_CACHE", str(tmp_path))
    rows = {row["name"]: row for row in json.loads(run("models", "--json").stdout)}
    assert rows["smol-omni"]["takes"] == "video, audio" and rows["smol-vl"]["takes"] == "video"
    assert "avnb fetch smol" in rows["smol-omni"]["status"]


def test_analyses_and_models_are_completed_in_a_shell():
    def completed(*words):
        asked = {"_AVNB_COMPLETE": "complete_bash", "COMP_WORDS": " ".join(words), "COMP_CWORD": str(len(words) - 1)}
        code = "from avnb.cli import app; app(prog_name='avnb')"
        return subprocess.run(
            [sys.executable, "-c", code], env=os.environ | asked, capture_output=True, text=True
        ).stdout.split()

    assert completed("avnb", "measure", "lens,at") == ["lens,attention"]
    assert completed("avnb", "caption", "--model", "toy-v") == ["toy-vl"]


def test_names_can_be_copied(run, tmp_path, monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setenv("AVNB_CACHE", str(tmp_path))
    assert "avnb fetch smol │\n" in run("models").stdout, "what a program reads is folded"
    narrow = Console(file=io.StringIO(), width=40, force_terminal=True)
    narrow.print(output.table([{"name": "Qwen/Qwen2.5-Omni-3B", "status": "not measured " * 9}], ["name", "status"]))
    assert "Qwen/Qwen2.5-Omni-3B" in narrow.file.getvalue()


def test_warnings_do_not_steer_the_terminal(run, capsys):
    run("models")
    record = logging.makeLogRecord({"levelno": logging.WARNING, "msg": "left out clip %s", "args": ("a\x1b[31m\nb",)})
    logging.lastResort.handle(record)
    assert capsys.readouterr().err == "left out clip a\\x1b[31m b\n"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no device that is always full")
def test_a_full_disk_behind_stdout_is_told_in_one_line():
    code = "from avnb.cli import app; app(prog_name='avnb')"
    with open("/dev/full", "w") as full:
        ended = subprocess.run([sys.executable, "-c", code, "models"], stdout=full, stderr=subprocess.PIPE, text=True)
    assert ended.returncode == 1 and ended.stderr.count("\n") == 1 and "No space left" in ended.stderr


def test_a_reader_that_stops_reading_is_no_error_to_tell(run, monkeypatch):
    def closed(*_, **__):
        raise BrokenPipeError(errno.EPIPE, "Broken pipe")

    monkeypatch.setattr(output, "table", closed)
    ended = run("models")
    assert ended.exit_code == 1 and ended.output == ""
