"""Reductions of event ranks against the same by hand."""

import numpy as np
import pandas as pd
import pytest

from avnb import latent, layers, plots

LAYERS, EVENTS = range(4), ("dog", "bell", "rain")


@pytest.fixture
def ranks():
    """Two clips: in x a dog is heard and seen; in y a bell and rain are heard, a dog is seen."""
    rng = np.random.default_rng(0)
    clips = {"x": ("factual", ["dog"], ["dog"], {"bell": 0.5, "rain": 0.5})}
    clips["y"] = "counterfactual", ["bell", "rain"], ["dog"], {"train": 1.0}
    rows = [
        (clip, kind, group, layer, event, rng.integers(1, 12), 7, event in heard, event in seen, null.get(event, 0.0))
        for clip, (kind, heard, seen, null) in clips.items()
        for group in ("audio", "last")
        for layer in LAYERS
        for event in (*EVENTS, *(["train"] if clip == "y" else []))
    ]
    columns = ["clip", "kind", "group", "layer", "event", "rank", "position", "heard", "seen", "null"]
    return pd.DataFrame(rows, columns=columns)


@pytest.mark.parametrize("top_k", [1, 4, 11])
@pytest.mark.parametrize("depth", [(0, 1), (0.5, 1), (0.25, 0.75)])
def test_recall(ranks, top_k, depth):
    table = latent.recall(ranks, top_k, depth).set_index(["clip", "group", "target"])["value"]
    assert len(table) == 2 * 2 * 3
    for clip, group, target, events in [
        ("x", "audio", "heard", ["dog"]),
        ("y", "last", "heard", ["bell", "rain"]),
        ("y", "audio", "seen", ["dog"]),
        ("x", "audio", "other clips", ["bell", "rain"]),
        ("y", "audio", "other clips", ["train"]),
    ]:
        some = ranks[(ranks["clip"] == clip) & (ranks["group"] == group) & (ranks["layer"] / 4).between(*depth, "left")]
        lowest = some.groupby("event")["rank"].min()
        assert table[clip, group, target] == pytest.approx(np.mean([lowest[e] <= top_k for e in events]))


def test_layers_by_themselves(ranks):
    table = latent.recall(ranks, 4, by_layer=True).set_index(["clip", "group", "layer", "target"])["value"]
    logs = latent.log_ranks(ranks).set_index(["clip", "group", "layer", "target"])["value"]
    assert len(table) == len(logs) == 2 * 2 * 4 * 3
    for layer in LAYERS:
        some = ranks.query("clip == 'y' and group == 'audio' and layer == @layer and heard")["rank"]
        assert table["y", "audio", layer, "heard"] == (some <= 4).mean()
        assert logs["y", "audio", layer, "heard"] == pytest.approx(np.log10(some).mean())
    pooled = latent.recall(ranks, 4).set_index(["clip", "group", "target"])["value"]
    assert (pooled >= table.groupby(["clip", "group", "target"]).max().reindex(pooled.index)).all()


def test_ranks_after_the_last_layer(ranks):
    logs = latent.log_ranks(ranks).query("kind == 'counterfactual'")
    found = latent.last_ranks(pd.concat(logs.assign(clip=logs["clip"] + str(i)) for i in range(3)))
    rows = ranks.query("clip == 'y' and group == 'audio' and layer == @LAYERS[-1] and heard")["rank"]
    assert found["heard"].mean == pytest.approx(np.exp(np.log(rows).mean())) and found["heard"].n == 3
    assert set(latent.last_ranks(logs[logs["target"] != "seen"])) == {"heard", "other clips"}


def test_a_rank_of_ten_is_like_any_other():
    """Logarithms of 0, 1 and 2 are no bounds of a score."""

    def told(last):
        logs = np.log10([2, 3, 4, 5, 6, 7, 8, last])
        rows = {"clip": list("abcdefgh"), "layer": 0, "group": "audio", "target": "heard", "value": logs}
        return latent.last_ranks(pd.DataFrame(rows))["heard"]

    assert told(10)[:3] == pytest.approx(told(10.001)[:3], rel=0.01)
    drawn = np.random.default_rng(0).choice(np.log10([2, 3, 4, 5, 6, 7, 8, 10]), size=(4000, 8)).mean(1)
    low, high = 10 ** np.quantile(drawn, [0.025, 0.975])
    assert told(10).low == pytest.approx(low, rel=0.2) and told(10).high == pytest.approx(high, rel=0.25)
    few = pd.DataFrame({"clip": ["x", "y"], "layer": 0, "group": "audio", "target": "heard", "value": [0.0, 0.5]})
    assert latent.last_ranks(few)["heard"].low == 1, "no rank is below"


def test_who_is_ahead(ranks):
    curves = latent.recall(ranks, 4, by_layer=True)
    more = [curves.assign(clip=curves["clip"] + str(i)) for i in range(24)]
    gaps = latent.gaps(pd.concat(more)).query("kind == 'counterfactual'")
    wide = curves[curves["clip"] == "y"].pivot(index=["group", "layer"], columns="target", values="value")
    expected = (wide["seen"] - wide["heard"]).rename("mean")
    pd.testing.assert_series_equal(gaps.set_index(["group", "layer"])["mean"], expected)
    assert (gaps["n"] == 24).all()
    table = latent.ahead(gaps).set_index("group")  # equal clips, so that every difference is sure
    for group, rows in expected.groupby("group"):
        for column, side in (("a ahead", rows > 0), ("b ahead", rows < 0)):
            layers = [str(layer) for _, layer in rows.index[side]]
            assert table.loc[group, column] == (", ".join(layers) or "none")


def test_what_is_not_known_to_be_seen_is_left_out(ranks):
    table = latent.recall(ranks.assign(seen=False))
    assert set(table["target"]) == {"heard", "other clips"}
    assert latent.gaps(latent.recall(ranks.assign(seen=False), by_layer=True)).empty


def test_depth():
    assert layers.depth_layers(36, (0.75, 1)) == list(range(27, 36))
    assert layers.depth_layers(3, (0.5, 1)) == [2]
    with pytest.raises(ValueError, match="holds none of 8 layers"):
        layers.depth_layers(8, (1, 1))


@pytest.fixture
def two_by_two():
    recalled = pd.DataFrame(
        {"clip": ["x", "y", "z"], "kind": ["factual", "factual", "mute"], "value": [1, 0.5, 1], "found": [("dog",)] * 3}
    )
    fidelity = pd.DataFrame(
        {"clip": ["z", "y", "x"], "matched": [(), ("dog",), ()], "missed": [("dog",), ("bell",), ("dog",)]}
    )
    return recalled, fidelity


def test_inside_and_said(two_by_two):
    table = latent.inside_and_said(*two_by_two)
    assert len(table) == 3 * 4
    cells = table.set_index(["clip", "inside", "said"])
    assert cells["value"][cells["value"] > 0].to_dict() == {
        ("x", True, False): 1,
        ("y", True, True): 0.5,
        ("y", False, False): 0.5,
        ("z", True, False): 1,
    }
    assert cells["null"].loc["y"].to_dict() == {
        (True, True): 0.375,
        (True, False): 0.375,
        (False, True): 0.125,
        (False, False): 0.125,
    }
    np.testing.assert_allclose(table.groupby("clip")[["value", "null"]].sum(), 1)
    fig = plots.lens.inside_and_said(table, "title")
    heights = [bar.get_height() for bar in fig.axes[0].patches]
    assert heights == [0.25, 0.5, 0, 0.25] and "n = 2" in fig.axes[0].get_title()


def cells_of(inside, said):
    """A two-by-two table of clips with one event each, by booleans."""
    clips = [f"c{i}" for i in range(len(inside))]
    found = [("dog",) if i else () for i in inside]
    recalled = pd.DataFrame({"clip": clips, "kind": "factual", "value": np.array(inside, float), "found": found})
    named, left = ([("dog",) if s == side else () for s in said] for side in (True, False))
    return latent.inside_and_said(recalled, pd.DataFrame({"clip": clips, "matched": named, "missed": left}))


def test_a_tie_is_a_covariance_over_clips():
    rng = np.random.default_rng(0)
    inside = rng.random(40) < 0.5
    said = np.where(rng.random(40) < 0.8, inside, ~inside)
    (found,) = latent.tie(cells_of(inside, said)).itertuples()
    assert found.mean == pytest.approx(np.cov(inside, said, ddof=0)[0, 1]) and found.n == 40
    drawn = rng.integers(40, size=(4000, 40))
    covariances = [np.cov(inside[i], said[i], ddof=0)[0, 1] for i in drawn]
    np.testing.assert_allclose([found.low, found.high], np.quantile(covariances, [0.025, 0.975]), atol=0.01)
    assert found.low > 0
    apart = latent.tie(cells_of(inside, rng.permutation(said))).iloc[0]
    assert apart["low"] < 0 < apart["high"]


def test_a_tie_over_clips_of_few_sources_is_less_sure():
    inside = np.arange(40) % 24 < 12
    table = cells_of(inside, inside)
    widths = [np.ptp(latent.tie(table)[["low", "high"]].values[0])]
    ids = [f"test-5-{i // 14:05d}-matching+c{i}" for i in range(40)]  # the pictures of three clips
    table["clip"] = table["clip"].map(dict(zip(table["clip"].unique(), ids, strict=True)))
    widths.append(np.ptp(latent.tie(table)[["low", "high"]].values[0]))
    assert widths[1] > 2 * widths[0]


def test_no_tie_can_be_seen_where_everything_is_said(two_by_two):
    inside = np.arange(20) % 3 == 0
    for table in (cells_of(inside, np.ones(20, bool)), cells_of(np.ones(20, bool), inside)):
        assert latent.tie(table)[["mean", "low", "high"]].values[0] == pytest.approx([0, 0, 0], abs=1e-12)
    found = latent.tie(latent.inside_and_said(*two_by_two)).set_index("kind")
    assert found.loc["factual", "mean"] == 0.25 - 0.75 * 0.25 and np.isnan(found.loc["mute", "low"])


def test_recall_less_fidelity(ranks):
    said = pd.DataFrame({"clip": ["y", "x"], "kind": ["counterfactual", "factual"], "value": [0.25, 0.75]})
    table = latent.less_said(ranks, said, top_ks=(1, 6), depth=(0.5, 1)).set_index(["kind", "top_k"])
    assert len(table) == 4
    for top_k in (1, 6):
        shares = latent.recall(ranks, top_k, (0.5, 1)).query("group == 'audio' and target == 'heard'")
        for clip, kind, value in said.itertuples(index=False):
            share = shares.set_index("clip")["value"][clip]
            row = table.loc[kind, top_k]
            assert row[["recall", "fidelity", "mean", "n"]].tolist() == [share, value, share - value, 1]


def test_tables_of_other_clips(two_by_two):
    recalled, fidelity = two_by_two
    for wrong in (fidelity[:2], pd.concat([fidelity, fidelity])):
        with pytest.raises(ValueError, match="the same clips, each once"):
            latent.inside_and_said(recalled, wrong)
