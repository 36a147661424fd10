"""Figures in pages: their caption, their colours, their text, and what can be taken away from them."""

import re
from urllib.parse import unquote

import matplotlib
import numpy as np
import pandas as pd
import pytest
from bs4 import BeautifulSoup

matplotlib.use("agg")

import matplotlib.pyplot as plt

from avnb import show
from avnb.show import figures
from avnb.stats import Interval


@pytest.fixture(autouse=True)
def from_one(monkeypatch):
    monkeypatch.setattr(figures, "_numbers", {})
    yield
    plt.close("all")


def drawn(title="More is heard than said"):
    fig, ax = plt.subplots(figsize=(4, 2))
    ax.plot([0, 1], color="black", marker="o", markerfacecolor="white")
    ax.plot([1, 0], color="#0072B2")
    ax.set_title(title)
    return fig


def parse(shown):
    return BeautifulSoup(shown.data, "html.parser")


def test_the_title_opens_the_caption_and_leaves_the_picture():
    page = parse(show.figure(drawn(), "Recall, n = 8.", "Two <lines>."))
    assert page.figcaption.b.text == "Figure 1. More is heard than said."
    assert "Recall, n = 8." in page.figcaption.text and "More is heard" not in page.svg.text
    assert page.svg["aria-label"] == "More is heard than said. Two <lines>." and page.svg["role"] == "img"
    assert not plt.get_fignums()


def test_the_title_of_the_whole_figure_comes_first_and_panels_keep_theirs():
    fig, axes = plt.subplots(1, 2)
    axes[0].set_title("left panel")
    fig.suptitle("Both fall")
    page = parse(show.figure(fig, "x"))
    assert page.figcaption.b.text == "Figure 1. Both fall." and "left panel" in page.svg.text


def test_numbers_count_figures_and_a_cell_that_runs_again_keeps_its_own():
    numbers = [parse(show.figure(drawn(), text)).figure["id"] for text in ("one", "two", "one")]
    assert numbers == ["figure-1", "figure-2", "figure-1"]


def test_text_stays_text_and_black_white_and_blue_follow_the_page():
    page = parse(show.figure(drawn(), "x"))
    assert "1.0" in [text.get_text() for text in page.svg.select("text")]
    svg = str(page.svg)
    assert not re.search("#000000|#ffffff|#0072b2(?!\\))", svg) and "currentColor" in svg
    assert "var(--avnb-paper,#fff)" in svg and "var(--avnb-seen,#0072b2)" in svg


def test_two_figures_share_no_ids():
    ids = [{one["id"] for one in parse(show.figure(drawn(), text)).svg.find_all(id=True)} for text in "ab"]
    assert ids[0] and ids[0].isdisjoint(ids[1])


def test_a_page_keeps_its_own_look():
    """A style inside an SVG would hold for all of the page."""
    assert not parse(show.figure(drawn(), "x")).svg.select("style, metadata")


def test_crowded_marks_become_one_small_image():
    fig, ax = plt.subplots()
    ax.scatter(*np.random.default_rng(0).random((2, 5000)))
    shown = show.figure(fig, "x").data
    assert len(shown) < 150_000 and "data:image/webp" in shown


def test_the_data_are_there_to_take_away():
    link = parse(show.figure(drawn(), "x", data=pd.DataFrame({"layer": [0], "value": [1 / 3]}))).select_one(
        "a[download]"
    )
    assert link["download"] == "figure-1.csv"
    assert unquote(link["href"]).split(",", 1)[1].split() == ["layer,value", "0,0.3333"]


def test_in_short_tells_n_and_interval_and_one_clip_has_none():
    box = parse(
        show.in_short("It hears.", {"recall": Interval(0.5, 0.25, 0.75, 8), "one": Interval(1, np.nan, np.nan, 1)})
    )
    assert [value.text for value in box.select("dd")] == ["0.50 (0.25 to 0.75), n = 8", "1.00, n = 1"]
    assert box.select_one("aside b").text == "It hears." and "Verdict" not in box.text
