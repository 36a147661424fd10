"""The published numbers: complete, and never mixed with ours."""

from pathlib import Path

import pytest

from avnb import Clip, paper
from avnb.stats import Interval


def test_every_part_names_its_provenance():
    parts = {k: v for k, v in paper.published().items() if k not in ("paper", "provenance")}
    assert parts
    assert all("provenance" in part for part in parts.values())


def test_dataset_table_counts_the_clips_of_this_run():
    clips = [Clip("a", Path("a.mp4")), Clip("b", Path("b.mp4")), Clip("a+b", Path("ab.mp4"), kind="counterfactual")]
    table = paper.dataset_table(clips).set_index("quantity")
    assert table.loc["clips", ["paper", "here"]].tolist() == [500, 3]
    assert table.loc["factual", ["paper", "here"]].tolist() == [250, 2]
    assert table.loc["counterfactual", ["paper", "here"]].tolist() == [250, 1]


@pytest.mark.parametrize(
    ("here", "direction"),
    [
        (Interval(-0.2, -0.3, -0.1, 9), "yes"),
        (Interval(0.2, 0.1, 0.3, 9), "no"),
        (Interval(-0.2, -0.5, 0.1, 9), "unclear"),
        (Interval(-0.2, float("nan"), float("nan"), 1), "unclear"),
        (None, "–"),
    ],
)
def test_direction_needs_an_interval_without_zero(here, direction):
    row = paper.compare({"audio fidelity, counterfactual - factual": here}).iloc[0]
    assert row["same direction?"] == direction and row["provenance"] == "derived"
    assert (row["here"] == "not measured here") == (here is None)


def test_a_level_has_no_direction():
    row = paper.compare({"latent recall": Interval(0.5, 0.4, 0.6, 9)}).iloc[0]
    assert row["same direction?"] == "–" and row["paper"] == "0.61"


def test_unknown_quantities_are_named():
    with pytest.raises(ValueError, match="no published number is called 'x'.*latent recall"):
        paper.compare({"x": None})
