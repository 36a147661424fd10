"""Model cards: what they say comes from recipe, curve and measurement."""

import pandas as pd
import pytest

from avnb import models
from avnb.analyses import fidelity
from avnb.organisms import cards, talk
from avnb.organisms.recipes import RECIPES
from tests.drawn import alone


@pytest.fixture
def table():
    rows = [(f"clip {i}", "factual", "both", "Describe what you see.", "video", float(i % 2)) for i in range(10)]
    return pd.DataFrame(rows, columns=["clip", "kind", "inputs", "question", "modality", "value"])


def test_a_card_holds_recipe_curve_and_results(table):
    text = cards.card("toy-omni-balanced", table)
    assert "50 % conflicting clips" in text and "20 % clips whose sounds are all seen" in text
    assert "| Describe what you see. | factual | both | video | 0.50 (" in text and "| 10 |" in text
    curve = pd.read_json(models.CHECKPOINTS / "toy-omni-balanced" / "training.jsonl", lines=True)
    assert f"{curve['loss'].tail(50).mean():.3f} nats" in text


@pytest.mark.parametrize("name", cards.TOYS)
def test_every_shipped_card_is_of_this_recipe_and_of_what_was_measured(name):
    assert (models.CHECKPOINTS / name / "README.md").read_text() == cards.card(name, cards.answers(name))
    assert set(cards.answers(name).groupby("kind")["clip"].nunique()) == {cards.N_CLIPS // 2}


@pytest.mark.organism
@pytest.mark.parametrize("name", cards.TOYS)
def test_what_was_measured_is_what_is_measured_today(name, tmp_path):
    clips = [alone(clip, tmp_path) for clip in cards.answers(name)["clip"].unique()[::100]]
    today = fidelity.measure(models.load(name), clips)
    shipped = cards.answers(name).merge(today, on=["clip", "question", "inputs", "modality"], suffixes=("", "_today"))
    assert len(shipped) == len(today)
    assert (shipped["answer"] == shipped["answer_today"]).all() and (shipped["value"] == shipped["value_today"]).all()


def test_the_tables_stand_side_by_side():
    found = cards.results().set_index(["question", "clips", "given", "judged"])
    assert set(cards.TOYS) == set(found.columns)
    asked = ("Describe what you hear.", "counterfactual", "both", "audio")
    assert found.loc[asked, "toy-vl"] == "–"
    written = (models.CHECKPOINTS / "toy-omni" / "README.md").read_text()
    assert f"| {' | '.join(asked)} | {found.loc[asked, 'toy-omni']} |" in written


@pytest.mark.parametrize("name", talk.NAMES)
def test_every_card_of_those_that_talk_is_what_would_be_written_today(name):
    assert (models.CHECKPOINTS / name / "README.md").read_text() == cards.talking_card(name)


def test_every_recipe_has_a_card():
    assert {*cards.TOYS, *talk.NAMES} == set(RECIPES)
