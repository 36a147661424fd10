"""Figures that do not move say the same as the pieces that they stand for."""

import re

import pytest
from bs4 import BeautifulSoup

from avnb import stats
from avnb.organisms import dose
from avnb.show import explore, stills


def parsed(svg):
    return BeautifulSoup(svg, "html.parser")


def test_what_is_learnt_first_is_told_by_shape_and_by_colour():
    looks = stills.marks(["vision first", "audio first", "from scratch", "audio first"])
    assert list(looks) == ["vision first", "audio first", "from scratch"]
    assert len({look["path"] for look in looks.values()}) == len({look["colour"] for look in looks.values()}) == 3


def test_every_organism_lies_where_it_sees_and_hears():
    runs = [{"order": order, "dose": 0.1, "sees": 0.0, "hears": 1.0} for order in ("vision first", "audio first")]
    page = parsed(stills.plane([*runs, runs[0] | {"sees": 1.0, "dose": 0.5}]))
    places = [re.findall(r"[\d.]+", dot["transform"]) for dot in page.select(".avnb-dot")]
    assert [place[:2] for place in places] == [["60.0", "10.0"], ["60.0", "10.0"], ["390.0", "10.0"]]
    assert float(places[2][2]) > float(places[0][2]), "more conflict is larger"
    assert page.select(".avnb-dot")[0]["d"] != page.select(".avnb-dot")[1]["d"]


def test_cells_have_the_colour_of_what_is_named_and_both_halves_where_both_are():
    kinds = [["heard", "heard", ""], ["seen", "both", "neither"]]
    page = parsed(stills.grids({"a model": (["x", "y"], ["1", "2", "3"], kinds)}))
    fills = [rect["fill"] for rect in page.select("rect")][:5]
    assert fills == [stills.HEARD, stills.SEEN, stills.SEEN, stills.HEARD, "none"]
    assert page.rect["width"] == "44.0", "neighbours alike are one"
    assert "a model: heard 2 of 5, seen 1 of 5" in page.svg["aria-label"]
    many = parsed(stills.grids({"deep": (list(range(36)), ["m"], [["seen"]] * 36)}))
    assert {"0", "35"} <= {text.get_text() for text in many.select("text")}
    assert "17" not in {text.get_text() for text in many.select("text")}


def test_the_last_mean_is_that_of_all_clips():
    values = [0.0, 1.0] * 30
    page = parsed(stills.jumps({"one": values}))
    assert float(page.select("circle")[-1]["cx"]) == pytest.approx(130 + 300 * stats.interval(values).mean)
    assert "all 60" in page.get_text()


def test_a_piece_shows_a_figure_without_scripts():
    page = parsed(explore.raise_one(dose.results()).data)
    assert len(page.select(".avnb-still > figure .avnb-dot")) == 54
    assert parsed(explore.how_many_clips({"one": [0.5, 1.0]}).data).select_one(".avnb-still > figure svg")
