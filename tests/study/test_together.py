"""Several analyses in one pass: the tables of separate calls, row for row, and what they share run once."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import avnb
from avnb import study
from avnb.study import together

SHORT = {"max_new_tokens": 8, "spans": [[0, 4], [0, 8]], "n_draws": 1, "depth": [0.5, 1.0]}
SHORT |= {"base": "toy-omni"}
NAMES = ["fidelity", "attention", "lens", "knockout", "tokens"]


@pytest.fixture(scope="module")
def model():
    return avnb.load("toy-omni")


@pytest.fixture(scope="module")
def clips():
    return avnb.datasets.load("toybox", n=3)


def options(*names):
    """The options that some of these analyses have."""
    return {key: SHORT[key] for key in SHORT if key in set().union(*map(together.options_of, names))}


def separate(model, clips, out, names=NAMES):
    return {name: study.measure(name, model, clips, dataset="toybox", out=out, **options(name)) for name in names}


def at_once(model, clips, out, names=NAMES):
    return together.measure(names, model, clips, dataset="toybox", out=out, **options(*names))


def assert_equal(tables, others):
    assert list(tables) == list(others)
    for name, table in tables.items():
        numbers = table.select_dtypes("floating").columns
        pd.testing.assert_frame_equal(table.drop(columns=numbers), others[name].drop(columns=numbers))
        np.testing.assert_allclose(table[numbers], others[name][numbers], atol=2e-5, rtol=1e-4, err_msg=name)


def rows_of(model):
    """A list that grows by the rows of every call of the decoder."""
    rows = []
    handle = model.decoder.layers[0].register_forward_pre_hook(
        lambda module, args, kwargs: rows.append((args[0] if args else kwargs["hidden_states"]).shape[:2].numel()),
        with_kwargs=True,
    )
    return rows, handle


def test_the_tables_are_those_of_separate_calls(model, clips, tmp_path):
    alone = separate(model, clips, tmp_path / "alone")
    tables, failed = at_once(model, clips, tmp_path / "together")
    assert failed == {}
    assert_equal(tables, alone)
    names = [sorted(path.name for path in (tmp_path / folder).iterdir()) for folder in ("alone", "together")]
    assert names[0] == names[1] and len(names[0]) == len(NAMES)


def test_the_media_of_a_clip_run_once(model, clips, tmp_path):
    clip, names = clips[:1], ["fidelity", "attention", "lens", "knockout"]
    types = model.prompt(clip[0], "Describe what you hear.").segments.types
    n_media = int(np.flatnonzero(np.isin(types, ("audio", "video")))[-1]) + 1
    rows, handle = rows_of(model)
    try:
        at_once(model, clip, tmp_path, names)
    finally:
        handle.remove()
    n_questions = 9  # three with both modalities, three with either
    n_conditions = 2 * 8  # of two questions beside the baseline: two spans of two modalities, each with a control
    assert rows.count(n_media) == 1
    assert n_questions + n_conditions in rows, "not all branches of the clip decode as one batch"


def test_an_interrupted_pass_goes_on_where_it_stopped(model, clips, tmp_path, monkeypatch):
    alone = separate(model, clips, tmp_path / "alone", NAMES[:2])
    asked, original = [], together.answered

    def interrupted(*arguments):
        if len(asked) == 2:
            raise KeyboardInterrupt
        asked.append(1)
        return original(*arguments)

    monkeypatch.setattr(together, "answered", interrupted)
    with pytest.raises(KeyboardInterrupt):
        at_once(model, clips, tmp_path / "together", NAMES[:2])
    monkeypatch.setattr(together, "answered", lambda *arguments: asked.append(1) or original(*arguments))
    tables, _ = at_once(model, clips, tmp_path / "together", NAMES[:2])
    assert_equal(tables, alone)
    assert len(asked) == len(clips), "a clip was measured again, or none was kept"


def test_what_is_on_disk_is_read(model, clips, tmp_path):
    first, _ = at_once(model, clips[:2], tmp_path, ["fidelity", "lens"])
    rows, handle = rows_of(model)
    again, _ = at_once(model, clips[:2], tmp_path, ["fidelity", "lens"])
    handle.remove()
    assert_equal(again, first)
    assert rows == []


def test_a_bad_clip_and_a_failing_analysis_stop_nothing_else(model, clips, tmp_path):
    bad = replace(clips[1], video=tmp_path / "missing.mp4")
    (tmp_path / "missing.mp4").write_bytes(b"no video")
    mixed = [clips[0], bad, clips[2]]
    alone = separate(model, mixed, tmp_path / "alone", ["fidelity", "lens"])
    names = ["fidelity", "knockout", "lens"]
    given = options(*names) | {"dataset": "toybox", "out": tmp_path / "together", "blocked": ["nothing like it"]}
    tables, failed = together.measure(names, model, mixed, **given)
    assert_equal(tables, alone)
    assert tables["fidelity"].attrs["left_out"].keys() == {bad.id}
    assert "nothing like it" in str(failed["knockout"])


@pytest.mark.parametrize(
    ("names", "given", "message"),
    [
        (["fidelity", "fidelity"], {}, "named twice"),
        (["fidelity", "lens"], {"blocked": ["audio"]}, "none of fidelity, lens has an option 'blocked'"),
    ],
)
def test_bad_calls_are_named(model, clips, names, given, message):
    with pytest.raises(study.StudyError, match=message):
        together.measure(names, model, clips, dataset="toybox", **given)
