"""The published numbers: complete, and never mixed with ours."""

from pathlib import Path

import numpy as np
import pytest

from avnb import Clip, layers, paper
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


@pytest.mark.parametrize(("published", "direction"), [(-0.006, "unclear"), (-0.13, "yes")])
def test_what_a_plot_cannot_tell_from_zero_has_no_direction(published, direction):
    name = {-0.006: "factual audio fidelity", -0.13: "factual video fidelity"}[published]
    name += ", video blocked - baseline"
    assert paper.quantities()[name].value == pytest.approx(published, abs=1e-3)
    row = paper.compare({name: Interval(-0.2, -0.3, -0.1, 9)}).iloc[0]
    assert row["same direction?"] == direction


def test_a_level_has_no_direction():
    row = paper.compare({"latent recall": Interval(0.5, 0.4, 0.6, 9)}).iloc[0]
    assert row["same direction?"] == "–" and row["paper"] == "0.61"


def test_unknown_quantities_are_named():
    with pytest.raises(ValueError, match="no published number is called 'x'.*latent recall"):
        paper.compare({"x": None})


def test_attention_curves_are_shares_against_depth():
    table = paper.attention_curve()
    assert table.query("layer == 21").set_index("group")["value"].to_dict() == {
        "audio": 0.07,
        "video": 0.5,
        "text": 0.43,
    }
    assert table["depth"].tolist() == [(layer + 0.5) / 36 for layer in table["layer"]]
    complete = table.pivot(index="layer", columns="group", values="value").dropna().sum(axis=1)
    assert complete.between(0.93, 1.07).all()  # read off a plot, so shares of a layer sum to about one


def test_layers_are_compared_by_depth():
    curves = np.array([[1, 0, 0, 0, 0, 0], [0, 0, 0, 1, 1, 1]])
    np.testing.assert_allclose(layers.early_minus_late(curves, 1 / 6), [1, -0.6])
    np.testing.assert_allclose(layers.early_minus_late(curves, 1 / 2), [1 / 3, -1])
    # One curve, sampled by a decoder of 36 layers and by one of 12.
    fine, coarse = ((layers.relative_depth(n) < 0.5) * 0.3 for n in (36, 12))
    assert layers.early_minus_late(fine, 1 / 2) == layers.early_minus_late(coarse, 1 / 2) == pytest.approx(0.3)


def test_published_attention_falls_for_audio_and_rises_for_video():
    found = paper.quantities()
    audio = found["attention to audio, first sixth of the layers - the rest"]
    # By hand: layers 0 to 5 as read; of the rest, the layers read (10, 11, 15 ...), and between two of them as many
    # layers as lie there, at the mean of the two.
    early = 44 + 32 + 28 + 2 + 3 + 1
    read = 3 + 6 + 2 + 8 + 7 + 2 + 3 + 6
    between = 4 * (1 + 3) / 2 + 3 * (6 + 2) / 2 + 3 * (2 + 8) / 2 + 1 * (8 + 7) / 2 + 3 * (7 + 2) / 2
    between += 4 * (2 + 3) / 2 + 4 * (3 + 6) / 2
    assert audio.value == pytest.approx(early / 600 - (read + between) / 3000)
    assert found["attention to audio, mean of all layers"].value == pytest.approx((early + read + between) / 3600)
    assert audio.effect and audio.provenance == "derived from digitised points, straight in between"
    assert found["attention to video, first half of the layers - second half"].value < -0.1
    means = [found[f"attention to {group}, mean of all layers"].value for group in ("audio", "video", "text")]
    assert sum(means) == pytest.approx(1, abs=0.03)
