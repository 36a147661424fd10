"""A quantity has one value wherever it is shown: on the pages of the book, in README and on the cards."""

from pathlib import Path

import pandas as pd
import pytest
from bs4 import BeautifulSoup

from avnb import models, show
from avnb.organisms import recipes
from avnb.stats import Interval
from book import agreement

ROOT = Path(__file__).parents[2]
NAME = "toy-omni: audio fidelity, counterfactual"


def outside():
    """What README and the cards show."""
    yield from agreement.in_readme((ROOT / "README.md").read_text(encoding="utf8"))
    for name in recipes.RECIPES:
        yield from agreement.on_card(name, (models.CHECKPOINTS / name / "README.md").read_text(encoding="utf8"))


def page(*outputs):
    return BeautifulSoup("".join(outputs), "html.parser")


def test_readme_and_cards_agree():
    shown = list(outside())
    for model in ("toy-omni", "smol-omni"):
        of = NAME.replace("toy-omni", model)
        assert {one.where for one in shown if one.of == of} == {"README.md", f"card of {model}"}
    assert agreement.differing(shown) == {}


@pytest.mark.parametrize(
    ("mean", "low", "n", "differs"),
    [(0.148, 0.11, 200, False), (0.2, 0.11, 200, True), (0.148, 0.1, 200, True), (0.148, 0.11, 100, True)],
)
def test_a_page_with_another_value_interval_or_n_is_found(mean, low, n, differs):
    known = agreement.on_page(page(show.marked("0.15", Interval(0.148, 0.11, 0.2, 200), NAME)), "chapter 2")
    other = agreement.on_page(page(show.marked("0.15", Interval(mean, low, 0.2, n), NAME)), "chapter 7")
    assert bool(agreement.differing([*known, *other])) == differs


def test_a_page_that_disagrees_with_readme_is_found():
    told = show.told(Interval(0.3, 0.2, 0.4, 200), of=NAME)
    shown = agreement.on_page(page(show.in_short("It hears.", {"fidelity": told}).data), "chapter 2")
    assert list(agreement.differing([*outside(), *shown])) == [NAME]


def test_marks_survive_boxes_and_tables_and_other_text_does_not():
    told = show.told(Interval(-0.001, -0.2, 0.4, 20), signed=True, of="a <b>")
    box = page(show.in_short("It.", {"x": told, "y": "0.1 (0 to 1) <i>", "z": "as text"}).data)
    table = page(show.table(pd.DataFrame({"here": [told, "<i>"]}, dtype=object), "All").data)
    for one in (box, table):
        assert agreement.on_page(one, "") == [agreement.Shown("a <b>", ("0.00", "-0.20", "0.40"), "20", "")]
        assert not one.select("i")
    assert agreement.unmarked(box) == ["0.1 (0 to 1) <i>"]


@pytest.mark.book
def test_the_book_readme_and_the_cards_agree(book):
    shown = [one for name, found in book.items() for one in agreement.on_page(found, name)]
    several = [one.of for one in shown]
    assert NAME in several and len(several) > len(set(several)), "nothing is shown twice: are the marks still there?"
    assert agreement.differing([*outside(), *shown]) == {}


@pytest.mark.book
def test_every_interval_in_a_box_says_of_what_it_is(book):
    assert {name: left for name, found in book.items() if (left := agreement.unmarked(found))} == {}
