"""Blends: the noun of what is seen and the verb of what is heard, in one sentence and not in two."""

import pandas as pd
import pytest

from avnb.analyses import blend

ANSWERS = {
    "a": ("I hear a helicopter mooing.", ["helicopter"], ["cow"]),
    "b": ("I hear a cow mooing. There is also a helicopter.", ["helicopter"], ["cow"]),
    "c": ("I hear a helicopter whirring.", ["helicopter"], []),
    "d": ("I hear a drum honking.", ["drum"], ["car"]),
}


@pytest.fixture
def blended():
    rows = [(clip, text, seen, heard) for clip, (text, seen, heard) in ANSWERS.items()]
    return blend.blends(pd.DataFrame(rows, columns=["clip", "answer", "elsewhere", "matched"]))


def test_two_sentences_and_one_source_are_no_blend(blended):
    assert blended.set_index("clip")["value"].to_dict() == {"a": 1, "b": 0, "c": 0, "d": 1}
    assert blended.set_index("clip").loc["d", ["seen", "heard"]].tolist() == ["drum", "car"]


def test_two_things_in_one_sentence_mix_whatever_the_clip_holds():
    assert [blend.mixes(text) for text, *_ in ANSWERS.values()] == [True, False, False, True]


def test_a_cut_costs_the_word_that_it_feeds(blended):
    words = ["I", " hear", " a", " helicopter", " mooing"]
    cuts = {"nothing": [0, 0, 0, -0.5, -0.5], "video": [0, 0, 0, -6.5, -1], "control: video": [-9] * 5}
    rows = [("a", name, step, words[step], value) for name, some in cuts.items() for step, value in enumerate(some)]
    found = blend.by_word(pd.DataFrame(rows, columns=["clip", "blocked", "step", "token", "value"]), blended)
    assert found.values.tolist() == [["of what is seen", "video", -6.0, 1], ["of what is heard", "video", -0.5, 1]]


def test_without_a_blend_there_is_no_word(blended):
    none = blended.assign(value=0.0)
    assert blend.by_word(pd.DataFrame(columns=["clip", "blocked", "step", "token", "value"]), none).empty
