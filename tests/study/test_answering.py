"""Several clips before a model at once: the same tables, their answers decoded as one batch."""

from dataclasses import replace

import pandas as pd
import pytest

from avnb import study
from avnb.analyses.jobs import each
from avnb.study.answering import answered
from avnb.study.parts import Parts


def test_clips_at_once_give_the_same_table(random_organism, toybox_clips, tmp_path, monkeypatch):
    head, rows, tables = random_organism.head, [], []
    monkeypatch.setattr(random_organism, "head", lambda hidden: (rows.append(len(hidden)), head(hidden))[1])
    for n, n_rows in ((1, 3), (2, 6)):  # the inputs of a clip, with either modality or both
        rows.clear()
        monkeypatch.setattr(study, "clips_at_once", lambda model, n=n: n)
        options = {"questions": ["Describe what you hear."], "max_new_tokens": 4, "out": tmp_path / str(n)}
        tables.append(study.measure("fidelity", random_organism, toybox_clips[:4], dataset="toybox", **options))
        assert max(rows) == n_rows
    pd.testing.assert_frame_equal(*tables)


def test_a_bad_clip_among_others_is_left_out(random_organism, toybox_clips, tmp_path, monkeypatch):
    monkeypatch.setattr(study, "clips_at_once", lambda model: 3)
    clips = [toybox_clips[0], replace(toybox_clips[1], id="lost", video=tmp_path / "lost.mp4"), toybox_clips[2]]
    (tmp_path / "lost.mp4").write_bytes(b"no video")
    table = study.measure("fidelity", random_organism, clips, dataset="toybox", out=tmp_path / "out", max_new_tokens=2)
    assert set(table["clip"]) == {clips[0].id, clips[2].id} and table.attrs["left_out"].keys() == {"lost"}


def test_what_came_before_an_error_is_kept(toybox_clips, tmp_path):
    jobs, asked = each(toybox_clips[:3]), []
    bad = jobs[1]

    def rows(job):
        asked.append(job.id)
        if job is bad:
            raise RuntimeError("interrupted")
        return pd.DataFrame({"clip": [job.id]})

    def filled():
        todo, found = Parts(tmp_path / "parts", [], jobs).fill(jobs, rows, at_once=3), None
        try:
            while True:
                found = answered([work for _, work in todo.send(found)])
        except StopIteration as end:
            return end.value

    with pytest.raises(RuntimeError, match="interrupted"):
        filled()
    jobs[1:2] = each([toybox_clips[3]])
    asked.clear()
    assert filled()["clip"].tolist() == [job.id for job in jobs]
    assert jobs[0].id not in asked
