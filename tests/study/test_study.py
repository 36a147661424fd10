import contextlib
import errno
import os
import random
import shutil
import sys
import time
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pandas as pd
import pyarrow.parquet as pq
import pytest
import torch

import avnb
from avnb import analyses, judge, stats, study
from avnb.analyses.jobs import each
from avnb.media import reading
from avnb.models.native import AVModel
from avnb.questions import HEAR
from avnb.study import parts, tables
from avnb.study.fingerprints import model_fingerprint


@pytest.fixture
def counted(monkeypatch):
    """An analysis "counted" that remembers for which clips it was called; `fails_at` names one that it fails at."""
    module = ModuleType("avnb.analyses.counted")
    module.calls, module.fails_at, module.plan = [], None, each

    def measure(model, clips, level=1, names=("a", "b"), seed=0):
        rows = []
        for clip in (job.clip for job in clips):
            if clip.id == module.fails_at:
                raise RuntimeError("interrupted")
            module.calls.append(clip.id)
            missed = names if clip.heard else ()
            rows.append((clip.id, clip.kind, level + seed + len(module.calls) / 8, clip.heard, missed, ()))
        return pd.DataFrame(rows, columns=["clip", "kind", "value", "matched", "missed", "invented"])

    module.measure = measure
    monkeypatch.setitem(sys.modules, "avnb.analyses.counted", module)
    monkeypatch.setitem(analyses.ANALYSES, "counted", analyses.Analysis("counts", means_by=("kind",)))
    of_code(monkeypatch, "today's")
    return module


def of_code(monkeypatch, print_):
    """The code of an analysis has this fingerprint."""
    for module in (study, tables):
        monkeypatch.setattr(module, "code_fingerprint", lambda analysis: print_)


@pytest.fixture
def measured(random_organism, toybox_clips, tmp_path):
    """Calls `study.measure` with the analysis "counted"."""

    def call(model=random_organism, clips=toybox_clips, out=tmp_path, **options):
        return study.measure("counted", model, clips, dataset="toybox", out=out, **options)

    return call


def files(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_table_is_measured_once(counted, measured, tmp_path, toybox_clips):
    fresh = measured()
    assert counted.calls == [clip.id for clip in toybox_clips]
    pd.testing.assert_frame_equal(fresh, measured())
    assert len(counted.calls) == len(toybox_clips) and len(files(tmp_path)) == 1


def test_tuples_are_lists_whether_read_or_fresh(counted, measured, toybox_clips):
    table = measured()
    assert table["matched"].tolist() == [list(clip.heard) for clip in toybox_clips]
    assert table["missed"].tolist() == [["a", "b"]] * len(toybox_clips)
    assert table["invented"].tolist() == [[]] * len(toybox_clips)


def test_the_model_is_named(counted, measured, random_organism):
    assert set(measured()["model"]) == {random_organism.name}


def test_a_list_and_a_tuple_are_the_same_parameter(counted, measured):
    measured(names=("a", "b"))
    n_calls = len(counted.calls)
    measured(names=["a", "b"], level=1)  # a default, spelled out
    assert len(counted.calls) == n_calls


@pytest.mark.parametrize("changed", [{"level": 2}, {"names": ["c"]}, {"seed": 1}])
def test_other_parameters_are_measured_anew_beside_the_old_ones(counted, measured, tmp_path, toybox_clips, changed):
    measured()
    measured(**changed)
    assert len(counted.calls) == 2 * len(toybox_clips) and len(files(tmp_path)) == 2


def test_other_clips_are_measured_anew(counted, measured, toybox_clips):
    measured(clips=toybox_clips[:2])
    table = measured(clips=toybox_clips[1:3])
    assert table["clip"].tolist() == [clip.id for clip in toybox_clips[1:3]] and len(counted.calls) == 4


def test_a_clip_with_other_content_is_measured_anew(counted, measured, tmp_path, toybox_clips):
    video = shutil.copy(toybox_clips[0].video, tmp_path / "0.mp4")
    clip = replace(toybox_clips[0], video=video)
    measured(clips=[clip], out=tmp_path / "out")
    shutil.copy(toybox_clips[1].video, video)
    measured(clips=[clip], out=tmp_path / "out")
    measured(clips=[replace(clip, heard=("bell",))], out=tmp_path / "out")
    assert len(counted.calls) == 3 and len(files(tmp_path / "out")) == 1, "the old table is replaced"


def test_of_a_finished_table_only_the_clips_that_changed_are_measured_again(
    counted, measured, tmp_path, toybox_clips, monkeypatch
):
    before = measured(out=tmp_path / "out")
    changed = [*toybox_clips[:2], replace(toybox_clips[2], heard=()), toybox_clips[3]]
    counted.calls.clear()
    after = measured(clips=changed, out=tmp_path / "out")
    assert counted.calls == [toybox_clips[2].id] and after["clip"].tolist() == before["clip"].tolist()
    kept = [0, 1, 3]
    pd.testing.assert_frame_equal(after.iloc[kept], before.iloc[kept])
    assert len(files(tmp_path / "out")) == 1, "parts are left"
    of_code(monkeypatch, "other")
    counted.calls.clear()
    measured(clips=changed, out=tmp_path / "out")
    assert len(counted.calls) == 4, "rows of other code were kept"


def test_rows_that_were_related_to_each_other_are_measured_again(counted, measured, toybox_clips):
    counted.relate = lambda table: table.iloc[::-1].copy()
    measured()
    counted.calls.clear()
    measured(clips=[replace(toybox_clips[0], heard=()), *toybox_clips[1:]])
    assert len(counted.calls) == 4


def test_a_clip_that_changes_while_it_is_measured_is_left_out_for_now(counted, measured, toybox_clips, tmp_path):
    a, b = (clip.video.read_bytes() for clip in toybox_clips[:2])
    clip, real = replace(toybox_clips[0], video=tmp_path / "0.mp4"), counted.measure
    clip.video.write_bytes(a)

    def meanwhile(*arguments, **options):
        clip.video.write_bytes(b)
        rows = real(*arguments, **options)
        clip.video.write_bytes(a)
        return rows

    counted.measure = meanwhile
    table = measured(clips=[clip], out=tmp_path / "out")
    assert table.empty and "changed while it was measured" in table.attrs["left_out"][clip.id]
    counted.measure = real
    assert len(measured(clips=[clip], out=tmp_path / "out")) == 1


def test_the_same_clip_in_another_folder_is_read(counted, measured, tmp_path, toybox_clips):
    moved = replace(toybox_clips[0], video=shutil.copy(toybox_clips[0].video, tmp_path / "0.mp4"))
    measured(clips=toybox_clips[:1], out=tmp_path / "out")
    measured(clips=[moved], out=tmp_path / "out")
    assert len(counted.calls) == 1


def test_other_code_is_measured_anew(counted, measured, toybox_clips, monkeypatch):
    measured()
    of_code(monkeypatch, "other")
    measured()
    assert len(counted.calls) == 2 * len(toybox_clips)


def test_a_retrained_model_of_the_same_name_is_measured_anew(counted, measured, organism_folder, tmp_path):
    folder = shutil.copytree(organism_folder, tmp_path / "organism")
    before = measured(str(folder), out=tmp_path / "out")
    hf = avnb.load(str(folder)).hf
    with torch.no_grad():
        hf.model.language_model.layers[-1].mlp.down_proj.weight.mul_(1.01)
    hf.save_pretrained(folder)
    after = measured(str(folder), out=tmp_path / "out")
    assert not before["value"].equals(after["value"]) and len(files(tmp_path / "out")) == 1
    pd.testing.assert_frame_equal(after, measured(str(folder), out=tmp_path / "out"))


def test_an_interrupted_measurement_goes_on_where_it_stopped(counted, measured, toybox_clips, tmp_path):
    ids = [clip.id for clip in toybox_clips]
    counted.fails_at = ids[2]
    with pytest.raises(RuntimeError, match="interrupted"):
        measured()
    counted.fails_at = None
    table = measured()
    assert counted.calls == ids, "finished clips were measured again"
    assert table["clip"].tolist() == ids
    assert table["value"].tolist() == [1 + i / 8 for i in range(1, len(ids) + 1)]
    assert [path.suffix for path in tmp_path.iterdir()] == [".parquet"], "parts are left"


def test_parts_of_an_older_model_are_not_used(counted, measured, toybox_clips, random_organism):
    counted.fails_at = toybox_clips[2].id
    with pytest.raises(RuntimeError):
        measured()
    counted.fails_at = None
    weight = random_organism.hf.model.language_model.norm.weight
    with torch.no_grad():
        weight.mul_(2)
    measured()
    with torch.no_grad():
        weight.mul_(0.5)
    assert len(counted.calls) == 2 + len(toybox_clips)


def test_a_failed_write_leaves_no_table(counted, measured, monkeypatch, tmp_path):
    def cut_off(table, path, **options):
        path.write_bytes(b"PAR1")
        raise OSError("disk full")

    with monkeypatch.context() as patch:
        patch.setattr(pq, "write_table", cut_off)
        with pytest.raises(OSError, match="disk full"):
            measured()
    assert not list(tmp_path.rglob("*.parquet"))
    measured()


@pytest.fixture
def read_only(monkeypatch):
    """Has a folder refuse what is made in it, as the system does (root may write anywhere)."""
    real = os.mkdir

    def refuse(folder):
        def mkdir(path, *arguments, **options):
            if folder in Path(path).parents or Path(path) == folder:
                raise OSError(errno.EROFS, "Read-only file system", str(path))
            real(path, *arguments, **options)

        monkeypatch.setattr(os, "mkdir", mkdir)

    return refuse


def test_a_folder_that_cannot_be_written_to_is_told_and_left_as_it_was(counted, measured, tmp_path, read_only):
    read_only(tmp_path / "out")
    with pytest.raises(OSError, match="Read-only file system: '.*out"):
        measured(out=tmp_path / "out")
    assert files(tmp_path) == [] and len(counted.calls) == 1, "it is told at the first row, not at the last"


def test_a_table_in_a_folder_that_cannot_be_written_to_is_read(counted, measured, tmp_path, read_only):
    table = measured()
    read_only(tmp_path)
    pd.testing.assert_frame_equal(measured(), table)
    with pytest.raises(OSError, match="Read-only"):
        measured(level=2)
    assert len(files(tmp_path)) == 1


def test_a_file_tells_what_it_is(counted, measured, tmp_path, toybox_clips, random_organism):
    measured(seed=3, level=2)
    about = study.read_about(next(tmp_path.glob("*.parquet")))
    assert about["analysis"] == "counted" and about["model"] == random_organism.name and about["dataset"] == "toybox"
    assert about["parameters"] == {"level": 2, "names": ["a", "b"], "seed": 3} and about["seed"] == 3
    assert about["clips"] == [clip.id for clip in toybox_clips]
    assert about["made_with"]["torch"] == torch.__version__.split("+")[0]
    assert about["made_with"]["model"]["class"] == "Qwen2_5OmniThinkerForConditionalGeneration"


def test_a_clip_without_rows_leaves_its_part_empty(counted, measured, toybox_clips, monkeypatch):
    full = counted.measure
    skipped = toybox_clips[0].id
    monkeypatch.setattr(
        counted, "measure", lambda model, clips: full(model, [job for job in clips if job.clip.id != skipped])
    )
    assert measured()["clip"].tolist() == [clip.id for clip in toybox_clips[1:]]
    assert list(measured(clips=toybox_clips[:1]).columns)[:2] == ["model", "clip"]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        ({"analysis": "fidelty"}, "no analysis 'fidelty'.*fidelity, swap"),
        ({"level": {1, 2}}, r"level=\{1, 2\} is no plain JSON"),
        ({"layer": 2}, "no option 'layer'; it has level, names$"),
        ({"clips": []}, "without a clip"),
    ],
)
def test_what_cannot_be_measured_says_so(counted, random_organism, toybox_clips, tmp_path, call, message):
    analysis, clips = call.pop("analysis", "counted"), call.pop("clips", toybox_clips)
    with pytest.raises(avnb.AvnbError, match=message):
        study.measure(analysis, random_organism, clips, dataset="toybox", out=tmp_path, **call)


def test_files_that_are_no_tables_say_so(tmp_path):
    (tmp_path / "a.parquet").write_bytes(b"no table")
    with pytest.raises(study.StudyError, match="delete it and measure again"):
        study.read(tmp_path / "a.parquet")
    pd.DataFrame({"a": [1]}).to_parquet(tmp_path / "b.parquet")
    with pytest.raises(study.StudyError, match="not written by"):
        study.read_about(tmp_path / "b.parquet")


def sizes(folder, **options):
    found = study.collect(folder, "counted", **options)
    return found.groupby("model").size().to_dict() if len(found) else {}


@pytest.fixture
def named(random_organism, organism_folder):
    """Two models of other names."""
    models = [avnb.load(str(organism_folder)) for _ in "ab"]
    for model, name in zip(models, ("one", "other/one"), strict=True):
        model.name = name
    return models


def test_collect_takes_the_table_that_was_last_asked_for(counted, measured, named, tmp_path, toybox_clips):
    one, other = named
    measured(one, out=tmp_path / "a")
    measured(one, clips=toybox_clips[:2], out=tmp_path / "a")
    measured(other, clips=toybox_clips[:3], out=tmp_path / "b")
    for path in tmp_path.rglob("*.parquet"):
        os.utime(path, (0, 0))  # as a copy without times leaves them
    assert sizes(tmp_path) == {"one": 2, "other/one": 3}, "the newest, not the largest"
    measured(one, out=tmp_path / "a")
    assert sizes(tmp_path) == {"one": 4, "other/one": 3}, "to be read again is to be asked for"
    assert len(counted.calls) == 9
    of_two = sizes(tmp_path, holds=lambda table, about: len(about["clips"]) == 2)
    assert of_two == {"one": 2}
    assert sizes(tmp_path, names=["one", "three"]) == {"one": 4}
    assert study.collect(tmp_path, "fidelity").empty
    with pytest.raises(study.StudyError, match="no folder"):
        study.collect(tmp_path / "c", "counted")


def test_collect_leaves_out_what_was_measured_otherwise(counted, measured, named, tmp_path, toybox_clips, monkeypatch):
    one, other = named
    measured(other, out=tmp_path / "b", level=2)
    measured(one, out=tmp_path / "a", seed=1)
    assert sizes(tmp_path, dataset="toybox", seed=1) == {"one": 4} and sizes(tmp_path, dataset="mine") == {}
    assert sizes(tmp_path) == {"one": 4, "other/one": 4} and sizes(tmp_path, alike=["level"]) == {"one": 4}
    with monkeypatch.context() as patch:
        of_code(patch, "other")
        assert sizes(tmp_path) == {}
        measured(one, clips=toybox_clips[:2], out=tmp_path / "c")
        assert sizes(tmp_path) == {"one": 2}


def test_collect_leaves_out_tables_of_older_weights(counted, measured, named, tmp_path, toybox_clips):
    model, _ = named
    measured(model, out=tmp_path)
    with torch.no_grad():
        model.hf.model.language_model.norm.weight.mul_(2)
    study.measure("fidelity", model, toybox_clips[:1], dataset="toybox", out=tmp_path, questions=[HEAR])
    assert sizes(tmp_path) == {}, "the newest table of another analysis tells that the model was retrained"


def test_means_keep_models_apart(counted):
    table = pd.DataFrame({"clip": [0, 1, 0, 1], "kind": "factual", "value": [0.0, 1.0, 1.0, 1.0]})
    found = study.means("counted", table.assign(model=["a", "a", "b", "b"]))
    expected = [["a", "factual", *stats.interval([0.0, 1.0])], ["b", "factual", *stats.interval([1.0, 1.0])]]
    assert found.values.tolist() == expected


def test_means_of_the_lens_keep_kinds_and_the_null_apart():
    table = pd.DataFrame({"model": "a", "clip": range(4), "kind": ["factual", "counterfactual"] * 2, "found": "x"})
    found = study.means("lens", table.assign(value=[1.0, 0.5, 1.0, 0.5], null=[0.25, 0.0, 0.25, 0.0]))
    expected = {("factual", "value"): 1, ("factual", "null"): 0.25, ("counterfactual", "value"): 0.5}
    assert found.set_index(["kind", "quantity"])["mean"].to_dict() == expected | {("counterfactual", "null"): 0}


def test_fingerprints_tell_weights_apart(organism_folder):
    first, second = (avnb.load(str(organism_folder)) for _ in range(2))
    assert model_fingerprint(first) == model_fingerprint(second)
    with torch.no_grad():
        second.hf.model.audio_tower.layers[0].fc1.weight.add_(1e-3)
    assert model_fingerprint(first) != model_fingerprint(second)
    assert model_fingerprint(first) != model_fingerprint(avnb.load(str(organism_folder), torch.bfloat16))


def test_fingerprints_tell_processors_apart(organism_folder):
    def changed(change):
        model = avnb.load(str(organism_folder))
        change(model)
        return model_fingerprint(model)

    found = {
        changed(lambda model: None),
        changed(lambda model: setattr(model.processor.video_processor, "fps", 0.5)),
        changed(lambda model: setattr(model.processor.feature_extractor, "hop_length", 200)),
        changed(lambda model: setattr(model.processor, "chat_template", "{{ messages }}")),
        changed(lambda model: model.tokenizer.add_tokens("another word")),
        changed(lambda model: model.stop_ids.add(0)),
    }
    assert len(found) == 6
    assert changed(lambda model: None) in found


SMALL = {
    "fidelity": {"questions": [HEAR], "inputs": ["both"]},
    "knockout": {"questions": [HEAR], "spans": [[0, 8]], "n_draws": 1},
    "tokens": {"base": "toy-vl", "max_new_tokens": 4},
}


@pytest.fixture(scope="module")
def few():
    return avnb.datasets.load("toybox", n=6)


@pytest.mark.parametrize("name", analyses.ANALYSES)
def test_job_by_job_is_the_same_as_all_at_once(name, few, tmp_path):
    """What makes it right to resume and to share out: no job depends on another."""
    model, options = avnb.load("toy-omni"), SMALL.get(name, {})
    at_once = avnb.measure(name, model, few, **options)
    table = study.measure(name, model, few, dataset="toybox", out=tmp_path, **options).drop(columns="model")
    at_once = at_once.map(lambda value: list(value) if isinstance(value, tuple) else value)
    pd.testing.assert_frame_equal(table, at_once.reset_index(drop=True), check_dtype=False, rtol=1e-4, atol=1e-5)
    assert {"clip", "kind", "question"} <= set(table.columns)


@pytest.mark.parametrize("name", ["swap", "lens", "tokens"])
def test_what_relates_clips_goes_on_where_it_was_killed(name, tmp_path, monkeypatch):
    few = avnb.datasets.load("toybox", n=8)
    model, options = avnb.load("toy-omni"), SMALL.get(name, {})
    whole = study.measure(name, model, few, dataset="toybox", out=tmp_path / "whole", **options)
    asked, real = [], type(model).prompt
    stop_at = {"swap": 6, "lens": 4, "tokens": 10}[name]  # swap and tokens ask several times about a job

    def prompt(self, clip, *args, **more):
        asked.append(clip.id)
        if len(asked) == stop_at:
            raise KeyboardInterrupt
        return real(self, clip, *args, **more)

    monkeypatch.setattr(type(model), "prompt", prompt)
    with pytest.raises(KeyboardInterrupt):
        study.measure(name, model, few, dataset="toybox", out=tmp_path / "killed", **options)
    before, stop_at = len(asked), None
    table = study.measure(name, model, few, dataset="toybox", out=tmp_path / "killed", **options)
    pd.testing.assert_frame_equal(table, whole, rtol=1e-4, atol=1e-5)
    n_jobs, n_each = {"swap": (len(table) // 4, 4), "lens": (len(few), 1), "tokens": (len(few), 6)}[name]
    n_finished = (before - 1) // n_each
    assert n_finished and len(asked) - before == (n_jobs - n_finished) * n_each, "what was finished is asked again"


def plain(clips):
    """The clips as a set with captions alone knows them."""
    return [replace(clip, seen=(), heard=()) for clip in clips]


@pytest.mark.parametrize("name", analyses.ANALYSES)
def test_clips_with_captions_alone_are_measured_or_left_out_with_a_reason(name, few, tmp_path):
    table = study.measure(name, "toy-omni", plain(few), dataset="plain", out=tmp_path, **SMALL.get(name, {}))
    kept, left_out = set("|".join(table["clip"]).split("|")) if len(table) else set(), table.attrs["left_out"]
    assert kept | set(left_out) == {clip.id for clip in few if name != "swap" or clip.kind == "factual"}
    assert all(left_out.values())
    if "reason" in table:
        assert (table["value"].notna() | (table["reason"] != "")).all()
    study.means(name, table)


def test_a_clip_that_cannot_be_used_is_named_at_every_call_and_asked_again_on_demand(few, tmp_path, caplog):
    lost = replace(few[0], id="lost", video=tmp_path / "lost.mp4")
    shared = {"dataset": "x", "out": tmp_path / "out", **SMALL["fidelity"]}
    for _ in range(2):
        caplog.clear()
        table = study.measure("fidelity", "toy-omni", [lost, few[1]], **shared)
        assert table["clip"].tolist() == [few[1].id]
        assert "lost.mp4 does not exist" in table.attrs["left_out"]["lost"]
        assert "left out clip lost" in caplog.text
    shutil.copy(few[0].video, lost.video)
    table = study.measure("fidelity", "toy-omni", [lost, few[1]], retry=True, **shared)
    assert table["clip"].tolist() == ["lost", few[1].id] and table.attrs["left_out"] == {}
    assert [path.suffix for path in (tmp_path / "out").iterdir()] == [".parquet"], "parts are left"


def test_a_damaged_part_is_measured_again(counted, measured, toybox_clips, tmp_path):
    counted.fails_at = toybox_clips[2].id
    with pytest.raises(RuntimeError):
        measured()
    counted.fails_at = None
    part = next(tmp_path.rglob("*.part/*.parquet"))
    part.write_bytes(part.read_bytes()[:100])
    assert len(measured()) == len(toybox_clips) and len(counted.calls) == 2 + 1 + len(toybox_clips) - 2


def test_a_damaged_table_is_measured_again(counted, measured, tmp_path, toybox_clips):
    table = measured()
    path = next(tmp_path.glob("*.parquet"))
    path.write_bytes(path.read_bytes()[:-100])
    assert measured()["clip"].tolist() == table["clip"].tolist() and len(counted.calls) == 2 * len(toybox_clips)


def test_any_bit_that_flips_in_a_table_is_noticed(counted, measured, tmp_path):
    """Rows, names and types of columns, what the table is of: whatever is read is what was written, or refused."""
    table = measured()
    path = next(tmp_path.glob("*.parquet"))
    about, whole, rng = study.read_about(path), path.read_bytes(), random.Random(0)
    n_good = 0
    for _ in range(150):
        damaged = bytearray(whole)
        damaged[rng.randrange(len(whole))] ^= 1 << rng.randrange(8)
        path.write_bytes(damaged)
        with contextlib.suppress(study.StudyError):
            found = study.read(path)
            assert found.equals(table) and [*found] == [*table] and study.read_about(path) == about
            n_good += 1
    assert n_good < 100


def test_a_clip_out_of_reach_is_asked_about_again_by_the_next_call(few, tmp_path, monkeypatch):
    """The system gave an error once: the disk holds the file all the time."""
    real, shared = reading.av.open, {"dataset": "x", "out": tmp_path / "out", **SMALL["fidelity"]}

    def fails(path, *args, **more):
        if path.endswith(few[0].video.name):
            raise OSError(errno.EIO, "Input/output error")
        return real(path, *args, **more)

    with monkeypatch.context() as patch:
        patch.setattr(reading.av, "open", fails)
        table = study.measure("fidelity", "toy-omni", few[:2], **shared)
    assert table.attrs["passing"] == [few[0].id] and table["clip"].tolist() == [few[1].id]
    assert study.left_out(tmp_path)["reason"].str.contains("input/output error").tolist() == [True]
    asked, frames = set(), AVModel._frames
    monkeypatch.setattr(AVModel, "_frames", lambda self, clip: asked.add(clip.id) or frames(self, clip))
    table = study.measure("fidelity", "toy-omni", few[:2], **shared)
    assert table["clip"].tolist() == [few[0].id, few[1].id] and asked == {few[0].id}
    assert study.left_out(tmp_path).empty and files(tmp_path / "out") == files(tmp_path / "out")[:1], "parts are left"


def test_a_damaged_clip_is_left_alone_until_it_is_asked_for(few, tmp_path, monkeypatch, caplog):
    (tmp_path / "bad.mp4").write_bytes(b"no video")
    clips = [replace(few[0], id="bad", video=tmp_path / "bad.mp4"), few[1]]
    shared = {"dataset": "x", "out": tmp_path / "out", **SMALL["fidelity"]}
    assert study.measure("fidelity", "toy-omni", clips, **shared).attrs["passing"] == []
    monkeypatch.setattr(AVModel, "_inputs", lambda *a, **k: pytest.fail("a model was asked"))
    caplog.clear()
    study.measure("fidelity", "toy-omni", clips, **shared)
    assert "left out clip bad: bad.mp4 cannot be read" in caplog.text
    (row,) = study.left_out(tmp_path / "out").to_dict("records")
    assert row | {"reason": ""} == {
        "model": "toy-omni",
        "analysis": "fidelity",
        "dataset": "x",
        "clip": "bad",
        "reason": "",
    }


@pytest.mark.parametrize("name", ["attention", "lens", "knockout"])
def test_a_mute_clip_is_left_out_where_sound_is_needed(name, few, tmp_path):
    mute = replace(few[0], id="mute", kind="mute", heard=(), audio_captions=())
    table = study.measure(name, "toy-omni", [mute, few[1]], dataset="x", out=tmp_path, **SMALL.get(name, {}))
    assert set(table["clip"]) == {few[1].id} and [*table.attrs["left_out"]] == ["mute"]


def test_a_clip_that_is_too_much_for_the_memory_is_left_out_for_now(few, tmp_path, monkeypatch):
    def frames(self, clip):
        raise torch.OutOfMemoryError("CUDA out of memory")

    with monkeypatch.context() as patch:
        patch.setattr(AVModel, "_frames", frames)
        table = study.measure("fidelity", "toy-omni", few[:1], dataset="x", out=tmp_path, **SMALL["fidelity"])
    assert table.empty and table.attrs["passing"] == [few[0].id]


def test_calls_that_end_while_others_go_on_do_not_collide(counted, measured, toybox_clips, tmp_path, monkeypatch):
    """The one that ends sweeps the parts, at any moment of the other."""
    real, sizes = counted.measure, []

    def meanwhile(model, clips, **options):
        if not sizes:
            sizes.append(0)
            sizes.append(len(measured()))  # another call, from beginning to end
        return real(model, clips, **options)

    monkeypatch.setattr(counted, "measure", meanwhile)
    assert len(measured()) == sizes[1] == len(toybox_clips)
    assert len(files(tmp_path)) == 1, "parts are left"


def test_a_part_whose_folder_another_call_swept_is_written_again(
    counted, measured, toybox_clips, tmp_path, monkeypatch
):
    writing = pq.write_table

    def swept(table, path, **options):
        monkeypatch.setattr(pq, "write_table", writing)
        shutil.rmtree(path.parent.parent)  # what was to hold the part
        writing(table, path, **options)

    monkeypatch.setattr(pq, "write_table", swept)
    assert measured()["clip"].tolist() == [clip.id for clip in toybox_clips] == counted.calls


def test_a_call_that_was_killed_before_it_could_sweep_is_swept_after(counted, measured, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(parts.Parts, "sweep", lambda *a, **k: None)
        measured()
    assert len(files(tmp_path)) == 2
    measured()
    assert len(files(tmp_path)) == 1


def test_clips_that_a_job_made_are_swept_once_nobody_has_used_them_for_a_day(few, counted, measured, tmp_path):
    """The next model needs them too, and so may a run that goes on at the same time."""

    def made():
        return sorted((tmp_path / parts.MADE).rglob("*.mp4"))

    def grow_old(paths):
        for folder in {path.parent for path in paths}:
            os.utime(folder, (time.time() - 25 * 3600,) * 2)

    (own := tmp_path / "clips" / "dogs").mkdir(parents=True)
    os.utime(own, (0, 0))
    study.measure("swap", "toy-omni", few, dataset="toybox", out=tmp_path)
    first, when = made(), [path.stat().st_mtime_ns for path in made()]
    assert len(first) >= 4
    grow_old(first)
    study.measure("swap", "toy-omni-balanced", few, dataset="toybox", out=tmp_path)
    assert made() == first and [path.stat().st_mtime_ns for path in first] == when, "they were not used again"
    grow_old(first[1:])
    measured()  # any table in this folder
    assert made() == first[:1]
    study.measure("swap", "toy-omni", few, dataset="toybox", out=tmp_path)
    assert made() == first[:1], "a table that is read makes nothing"
    assert own.is_dir(), "clips of somebody else are nobody's to sweep"


def test_a_call_on_other_clips_leaves_the_parts_of_this_one(counted, measured, toybox_clips):
    counted.fails_at = toybox_clips[2].id
    with pytest.raises(RuntimeError):
        measured()
    counted.fails_at = None
    measured(clips=toybox_clips[3:])
    counted.calls.clear()
    measured()
    assert counted.calls == [clip.id for clip in toybox_clips[2:]]


def test_a_model_with_a_long_name_has_a_table(counted, measured, random_organism, tmp_path, monkeypatch):
    monkeypatch.setattr(random_organism, "name", "owner/" + "x" * 250)
    assert measured().equals(measured()) and len(files(tmp_path)) == 1
    assert not study.collect(tmp_path, "counted").empty


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"level": "x"}, "level='x'; give a whole number, as 1"),
        ({"level": True}, "level=True; give a whole number"),
        ({"level": -1}, "give a whole number from 0 on"),
        ({"names": []}, r"names=\[\]; give a list that is not empty, as \('a', 'b'\)"),
        ({"names": "a"}, "names='a'; give a list"),
        ({"names": ["a", "a"]}, "give each but once"),
        ({"names": ["a", 1]}, "in the list give a text"),
    ],
)
def test_values_of_options_are_checked_before_anything_is_measured(counted, measured, options, message):
    with pytest.raises(study.StudyError, match=message):
        measured(**options)
    assert not counted.calls


def test_fingerprints_see_a_single_weight(organism_folder):
    model = avnb.load(str(organism_folder))
    before, weight = model_fingerprint(model), model.hf.model.language_model.layers[3].self_attn.o_proj.weight
    for row, column in ((0, 0), (77, 1), (127, 126)):
        with torch.no_grad():
            weight[row, column] += 1
        assert before != (before := model_fingerprint(model))


@pytest.mark.parametrize("name", [name for name in analyses.ANALYSES if name != "questions"])
def test_every_analysis_can_be_asked_again(name, few, tmp_path):
    """Also those whose tables hold no answer that could be judged again, and values that are missing for good."""
    clips = [few[0], replace(few[1], id="plain", seen=(), heard=(), audio_captions=("Noise.",))]
    given = {"dataset": "x", "out": tmp_path, **SMALL.get(name, {})}
    table = study.measure(name, "toy-omni", clips, **given)
    assert len(study.measure(name, "toy-omni", clips, retry=True, **given)) == len(table)


def test_answers_without_a_score_are_judged_again_on_demand_without_the_model(few, tmp_path, monkeypatch, caplog):
    class Judge:
        name, is_up = "mine", False

        def holds(self, clip, modality):
            return ()

        def score(self, answer, clip, modality):
            return judge.Score(0.5, leakage=0.25) if self.is_up else judge.Score.unscored(f"unreachable: {answer}")

    mine = Judge()
    monkeypatch.setattr(judge, "named", lambda name: mine)
    shared = {"dataset": "x", "out": tmp_path, "judge": "mine", **SMALL["fidelity"]}
    table = study.measure("fidelity", "toy-omni", few[:2], **shared)
    assert table["value"].isna().all()
    study.means("fidelity", table)
    assert f"{len(table)} of {len(table)} values are missing: unreachable" in caplog.text
    monkeypatch.setattr(AVModel, "caption", lambda *a, **k: pytest.fail("the model was asked again"))
    mine.is_up = True
    assert study.measure("fidelity", "toy-omni", few[:2], **shared).equals(table), "nothing without being told"
    mended = study.measure("fidelity", "toy-omni", few[:2], retry=True, **shared)
    assert (mended["value"] == 0.5).all() and (mended["leakage"] == 0.25).all() and (mended["reason"] == "").all()
    assert mended["answer"].equals(table["answer"])
    assert study.measure("fidelity", "toy-omni", few[:2], **shared).equals(mended)


def test_ids_that_are_paths_stay_in_their_folder(toybox_clips, tmp_path, organism_folder):
    """The files that swap makes are named after clips, whose ids a table or a program may give."""
    clips = [replace(clip, id=f"../../{i}/../outside") for i, clip in enumerate(toybox_clips)]
    table = study.measure("swap", str(organism_folder), clips, dataset="../x", out=tmp_path / "a" / "b")
    assert len(table) and table.attrs["left_out"] == {}
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["b"]
    assert len(list((tmp_path / "a" / "b" / parts.MADE).rglob("*.mp4"))) == len(table)
    assert not list(clips[0].video.parent.parent.rglob("*outside*")), "nor beside their sources"
