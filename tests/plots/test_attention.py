"""Figures of attention: they show the numbers of their tables, each group in its colour."""

import itertools

import matplotlib
import numpy as np
import pandas as pd
import pytest

matplotlib.use("agg")

from matplotlib.colors import to_hex

from avnb import attention, paper, plots
from avnb.plots import PALETTE

CLIPS, N_LAYERS, N_HEADS = ("a", "b", "c"), 4, 3
BASELINE = {"audio": 0.3, "video": 0.5, "text": 0.2}


@pytest.fixture(autouse=True)
def closed():
    yield
    matplotlib.pyplot.close("all")


def made(**axes):
    """A table of random shares over the axes and the three groups, made to sum to one."""
    rng = np.random.default_rng(1)
    index = pd.MultiIndex.from_product([CLIPS, *axes.values()], names=["clip", *axes])
    values = pd.DataFrame(rng.dirichlet([2, 4, 3], len(index)), index=index, columns=list(BASELINE))
    table = values.stack().rename_axis([*index.names, "group"]).rename("value").reset_index()
    return table.assign(null=table["group"].map(BASELINE), kind="factual")


@pytest.fixture
def table():
    return made(layer=range(N_LAYERS))


def line(ax, colour, style="-"):
    """The y values of the line of one colour and style."""
    (found,) = (x for x in ax.lines if to_hex(x.get_color()) == colour.lower() and x.get_linestyle() == style)
    return found.get_xdata(), found.get_ydata()


def test_curves_are_means_in_the_colour_of_their_group(table):
    fig = plots.attention.curves({"here": table, "control": table}, published=True)
    first, _, last = fig.axes
    for group, baseline in BASELINE.items():
        depth, mean = line(first, PALETTE[group])
        np.testing.assert_allclose(mean, table.query("group == @group").groupby("layer")["value"].mean())
        np.testing.assert_allclose(depth, [0.125, 0.375, 0.625, 0.875])
        np.testing.assert_allclose(line(first, PALETTE[group], "--")[1], baseline)
        read = paper.attention_curve().query("group == @group")
        np.testing.assert_allclose(line(last, PALETTE[group], ":"), [read["depth"], read["value"]])
    assert "n = 3" in first.get_title() and "published" in last.get_title()
    audio = table.query("group == 'audio'")["value"].mean() / BASELINE["audio"]
    assert f"audio {audio:.1f}" in fig.get_suptitle()


def test_intervals_enclose_the_mean(table):
    (ax,) = plots.attention.curves({"here": table}).axes
    bands = {to_hex(band.get_facecolor()[0][:3]): band.get_paths()[0].vertices for band in ax.collections}
    for group in BASELINE:
        depth, mean = line(ax, PALETTE[group])
        for x, y in zip(depth, mean, strict=True):
            edges = bands[PALETTE[group].lower()]
            edges = edges[np.isclose(edges[:, 0], x)][:, 1]
            assert edges.min() < y < edges.max()


def test_preferences_tell_kinds_by_line_and_the_control_by_colour(table):
    preference = attention.preference(table)
    tables = {"ordinary clips": preference, "conflicting clips": preference, "labels shuffled": preference}
    (ax,) = plots.attention.preferences(tables).axes
    mean = preference.groupby("layer")["value"].mean()
    for colour, style in ((PALETTE["other"], "-"), (PALETTE["other"], "--"), (PALETTE["control"], ":")):
        np.testing.assert_allclose(line(ax, colour, style)[1], mean)
    for shift, most in ((0.9, "sound"), (-0.9, "the picture")):
        leaning = preference.assign(value=shift + preference["value"] / 100)
        (ax,) = plots.attention.preferences(
            {"ordinary clips": leaning, "labels shuffled": leaning.assign(value=-leaning["value"])}
        ).axes
        assert f"position, {most} draws more" in ax.get_title() and f"({shift:+.1f}" in ax.get_title()
    balanced = preference.assign(value=preference["clip"].map({"a": -0.1, "b": 0.1, "c": 0.02}))
    assert "neither" in plots.attention.preferences({"ordinary clips": balanced}).axes[0].get_title()


def test_every_type_of_position_has_its_row_and_the_title_names_what_draws_most(table):
    (ax,) = plots.attention.fine(table.replace({"text": "query"})).axes
    drawn = {y: x for x, y in (line.get_xydata()[0] for line in ax.lines if line.get_marker() == "o")}
    means = table.replace({"text": "query"}).groupby("group")["value"].mean()
    names = [label.get_text() for label in ax.get_yticklabels()]
    words = plots.attention.TYPES
    assert {name: drawn[y] for y, name in enumerate(names)} == pytest.approx(means.rename(words).to_dict())
    assert f"most attention goes to {names[-1]} (n = 3)" in ax.get_title()
    times = means / pd.Series({"audio": 0.3, "video": 0.5, "query": 0.2})
    assert names == times.sort_values().index.map(words).tolist()


def test_sinks_are_counted_and_the_second_curve_is_theirs(table):
    rows = itertools.product(CLIPS, enumerate(["query", "audio", "video", "last"]))
    positions = pd.DataFrame([(clip, i, kind) for clip, (i, kind) in rows], columns=["clip", "position", "type"])
    positions["ratio"] = [20, 1, 1, 1] + [1] * 8
    left = table.assign(value=table["value"] / 2)
    fig = plots.attention.without_sinks(table, left, positions, factor=10.0)
    ax, beside = fig.axes
    assert ax.get_title() == "1 of 3 prompts have a sink" and ax.get_ylim()[1] > 20
    colours = [to_hex(points.get_facecolor()[0]) for points in ax.collections]
    assert colours == [PALETTE[group].lower() for group in BASELINE]
    audio = [x.get_ydata() for x in beside.lines if to_hex(x.get_color()) == PALETTE["audio"].lower()]
    np.testing.assert_allclose(audio[0], 2 * audio[1])


def test_heat_map_has_a_place_for_every_head():
    table = made(layer=range(N_LAYERS), head=range(N_HEADS))
    table.loc[(table["layer"] == 3) & (table["head"] == 1), "value"] = [0.6, 0.1, 0.3] * len(CLIPS)
    preference = attention.preference(table)
    found = attention.head_preferences(table)
    ax = plots.attention.heads(found).axes[0]
    drawn = ax.collections[0].get_array().reshape(N_LAYERS, N_HEADS)
    np.testing.assert_allclose(drawn, preference.groupby(["layer", "head"])["value"].mean().unstack())
    assert drawn[3, 1] == pytest.approx((2 - 0.2) / (2 + 0.2))
    sure = found[found["stands"]]
    assert len(sure) and ax.collections[1].get_offsets().tolist() == (sure[["head", "layer"]] + 0.5).to_numpy().tolist()
    assert ax.get_ylim() == (0, N_LAYERS), "the first layer lies below"


def test_steps_are_named_by_their_tokens():
    table = made(step=range(3), layer=range(N_LAYERS)).query("clip == 'a'")
    table = table.assign(token=table["step"].map({0: "I", 1: " hear", 2: "<|im_end|>"}))
    fig = plots.attention.steps(table)
    assert [text.get_text() for text in fig.axes[1].get_xticklabels()] == ["I", "hear", "(end)"]
    drawn = fig.axes[0].images[0].get_array()
    expected = table.query("group == 'audio'").pivot(index="layer", columns="step", values="value")
    np.testing.assert_allclose(drawn, expected / BASELINE["audio"])


def test_steps_that_few_clips_reach_are_left_out():
    table = made(step=range(4), layer=range(2))
    table = table[(table["step"] < 3) | (table["clip"] == "a")]
    (ax,) = plots.attention.over_steps(table).axes
    steps, mean = line(ax, PALETTE["video"])
    first, last = (table.query("group == 'audio' and step == @step")["value"].mean() for step in (0, 2))
    assert steps.tolist() == [0, 1, 2] and f"audio from {first:.0%} to {last:.0%}" in ax.get_title()
    np.testing.assert_allclose(mean, table.query("group == 'video' and step < 3").groupby("step")["value"].mean())


def test_attention_lies_on_its_frame():
    frames = np.zeros((14, 20, 40, 3), np.uint8)
    frames[6] = 255
    places = np.full((2, 7, 2, 4), 1e-3)
    places[1, 3, 0, 2] = 0.04
    fig = plots.attention.over_frames(frames, places, [" a", " dog"], chance=0.01)
    assert fig.get_suptitle().startswith("Where it looks hardest, for “dog”") and "4.0 times" in fig.get_suptitle()
    table = plots.attention.places(places, ["a", "dog"]).set_index(["word", "time", "row", "column"])["value"]
    assert table["dog", 3, 0, 2] == 0.04 and len(table) == places.size
    axes = fig.axes[:-1]
    assert len(axes) == 10 and [ax.get_title() for ax in axes[:2]] == ["a", "dog"]
    assert [ax.get_ylabel() for ax in axes[::2]] == [f"frames {i}–{i + 1}" for i in (0, 4, 6, 8, 12)]
    picture, weights = axes[5].images
    assert picture.get_array().min() == pytest.approx(255) and axes[3].images[0].get_array().max() == 0
    assert weights.get_array()[0, 2] == pytest.approx(4) and weights.get_array().argmax() == 2
    assert weights.get_extent() == picture.get_extent() == [0, 40, 20, 0]
