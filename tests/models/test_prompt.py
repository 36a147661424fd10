"""Segments: the type of every prompt position."""

import numpy as np
import pytest

from avnb.models.prompt import GROUPS, MEDIA, TYPES, PromptError, Segments

PROMPT = ["system", "template", "boundary", "video", "video", "audio", "video", "boundary", "query", "query", "last"]


def test_positions_of_a_type():
    segments = Segments(PROMPT)
    assert len(segments) == 11
    assert segments.positions("video").tolist() == [3, 4, 6]
    assert segments.positions("query").tolist() == [8, 9]
    assert segments.positions("image").tolist() == []
    assert segments.positions("last").dtype == np.int64


def test_text_is_everything_but_media():
    segments = Segments(PROMPT)
    assert segments.positions("text").tolist() == [0, 1, 2, 7, 8, 9, 10]
    every = np.concatenate([segments.positions(group) for group in ("text", *MEDIA)])
    assert sorted(every) == list(range(len(PROMPT)))


@pytest.mark.parametrize("name", GROUPS)
def test_every_type_is_in_one_group(name):
    members = [kind for kinds in GROUPS[name].values() for kind in kinds]
    assert sorted(members) == sorted(TYPES)


def test_table_lists_runs():
    table = Segments(PROMPT).table()
    assert table.columns.tolist() == ["start", "stop", "type"]
    assert table["type"].tolist() == [
        *("system", "template", "boundary", "video", "audio", "video", "boundary", "query", "last")
    ]
    assert table["start"].tolist() == [0, *table["stop"][:-1]] and table["stop"].iloc[-1] == len(PROMPT)
    rebuilt = np.repeat(table["type"], table["stop"] - table["start"])
    assert rebuilt.tolist() == PROMPT


def test_table_of_a_single_run():
    assert Segments(["video"] * 4).table().to_numpy().tolist() == [[0, 4, "video"]]


def test_unknown_types_and_groups_are_refused():
    with pytest.raises(PromptError, match=r"\['sound'\] are unknown; use system, template"):
        Segments(["video", "sound"])
    with pytest.raises(PromptError, match="'sound' is unknown; use one of system.*text"):
        Segments(PROMPT).positions("sound")
