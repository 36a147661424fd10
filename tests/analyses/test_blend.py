"""Blends: the noun of what is seen and the verb of what is heard, in one sentence and not in two."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

import avnb
from avnb.analyses import blend
from avnb.analyses.changes import change
from avnb.questions import HEAR

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


@pytest.fixture
def answering(monkeypatch):
    """A model that gives an answer, and whose cuts cost a word what is planted: {target: {word: nats}}."""
    toy = avnb.load("toy-omni")
    model = SimpleNamespace(name="planted", tokenizer=toy.tokenizer, decoder=toy.decoder, prompt=lambda *_: None)

    def plant(text, costs):
        ids = toy.tokenizer(text)["input_ids"]
        words = [toy.tokenizer.decode([token]).strip() for token in ids]

        def run(model, prompt, conditions=(), forced=None, **_):
            if forced is None:
                return [SimpleNamespace(text=text, token_ids=ids)]
            assert forced == ids
            targets = [condition.rules[0].target if condition.rules else None for condition in conditions]
            return [
                SimpleNamespace(logprobs=[-1.0 - costs.get(target, {}).get(word, 0.0) for word in words])
                for target in targets
            ]

        monkeypatch.setattr(blend, "run", run)
        return model

    return plant


def test_a_cut_costs_the_word_that_it_feeds(answering):
    costs = {"video": {"helicopter": 6.0, "mooing": 0.5}, "audio": {"mooing": 4.0}}
    clip = avnb.Clip("a", "a.mp4", seen=("helicopter",), heard=("cow",))
    found = change(blend.words(answering("I hear a cow. I hear a helicopter mooing.", costs), [clip]))
    found = found.set_index(["quantity", "blocked"])["value"]
    assert found[blend.SEEN, "video"] == -6 and found[blend.HEARD, "video"] == -0.5
    assert found[blend.SEEN, "audio"] == 0 and found[blend.HEARD, "audio"] == -4
    assert found[blend.SEEN, "control: video"] == 0


@pytest.mark.parametrize("text", ["I hear a cow mooing.", "I see a helicopter mooing.", ""])
def test_an_answer_that_is_no_blend_has_no_word(answering, text):
    clip = avnb.Clip("a", "a.mp4", seen=("helicopter",), heard=("cow",))
    (row,) = blend.words(answering(text, {}), [clip]).itertuples()
    assert (row.quantity, row.blocked) == ("", "nothing") and pd.isna(row.value)


@pytest.mark.parametrize(
    ("seen", "heard", "text"),
    [
        ((-5, 0), (-1, -4), "Either word comes from its own modality"),
        ((-5, 0), (-4, -4), f"Only {blend.SEEN} clearly comes from"),
        ((-2.3, -2), (-4, -4.3), "not clear"),  # within what twelve clips scatter
    ],
)
def test_a_word_comes_from_what_costs_it_more(seen, heard, text):
    """Planted: what the cuts of picture and sound take from either word."""
    rng = np.random.default_rng(0)
    costs = {"nothing": (0, 0), "video": (seen[0], heard[0]), "audio": (seen[1], heard[1])}
    rows = [
        (f"{clip}", "counterfactual", HEAR, word, cut, 0, 8 if any(both) else 0, 0, nats + rng.normal(0, 0.5))
        for clip in range(12)
        for cut, both in costs.items()
        for word, nats in zip((blend.SEEN, blend.HEARD), both, strict=True)
    ]
    columns = ["clip", "kind", "question", "quantity", "blocked", "start", "stop", "draw", "value"]
    table = pd.DataFrame(rows, columns=columns)
    found = blend.origin(table)
    assert found.n == 12 and text in found.text
    assert found.changes[blend.SEEN, "video"].mean == pytest.approx(seen[0], abs=0.5)
    few = blend.origin(table[table["clip"].isin(["0", "1"])])
    assert few.n == 2 and few.apart is None
