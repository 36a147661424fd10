"""What a model knows inside: event ranks of the logit lens, reduced to shares, means and two-by-two tables.

All of these take the table of `lens.event_ranks`: how close every layer of a model is to naming every event.

    >>> ranks = avnb.lens.event_ranks(avnb.load("toy-omni"), avnb.datasets.load("toybox", n=4))
    >>> sorted(recall(ranks)["target"].unique())
    ['heard', 'other clips', 'seen']
"""

from itertools import product

import numpy as np
import pandas as pd

from avnb import stats
from avnb.datasets import sources
from avnb.layers import depth_layers
from avnb.text import stems

# What an average is about -> the column of `lens.event_ranks` by which its events count.
TARGETS = {"heard": "heard", "seen": "seen", "other clips": "null"}

TOP_KS = (1, 2, 3, 5, 10)
DEPTHS = ((0.0, 1.0), (0.0, 0.5), (0.25, 0.75), (0.5, 1.0), (0.75, 1.0))

_BOTH = (["inside", "said"], ["inside"], ["said"])  # which cells make up B, I and S of `tie`


def recall(ranks, top_k=1, depth=(0.0, 1.0), by_layer=False) -> pd.DataFrame:
    """Shares of the events of a clip, and of other clips, that a group of positions decodes to.

    Args:
        ranks: from `lens.event_ranks`.
        top_k: the rank up to which an event is decoded.
        depth: which layers count, as in `depth_layers`.
        by_layer: one value for each of these layers, instead of one for all of them together.

    Returns:
        DataFrame: clip, kind, group, layer (with `by_layer`), target, value in [0, 1]: of what is "heard", of what is
        "seen" (clips whose seen events are known), and of what is heard in "other clips", the null.

    Raises:
        ValueError: no layer begins in this part.

    Example:
        >>> ranks = avnb.lens.event_ranks(avnb.load("toy-omni"), avnb.datasets.load("toybox", n=4))
        >>> early, late = (recall(ranks, 5, depth)["value"].mean() for depth in ((0, 1), (0.5, 1)))
        >>> bool(early >= late)
        True
    """
    part = ranks[ranks["layer"].isin(depth_layers(ranks["layer"].max() + 1, depth))]
    axes = ["clip", "kind", "group", *(["layer"] if by_layer else [])]
    best = part.groupby([*axes, "event"], sort=False)
    best = best.agg(value=("rank", "min"), **{column: (column, "first") for column in TARGETS.values()}).reset_index()
    return _by_target(best.assign(value=(best["value"] <= top_k).astype(float)), axes)


def log_ranks(ranks) -> pd.DataFrame:
    """How close each layer is to naming what is heard, what is seen, and what is heard in other clips.

    Args:
        ranks: from `lens.event_ranks`.

    Returns:
        DataFrame: clip, kind, group, layer, target (as in `recall`), value: the mean of log10 rank over the events (0:
        the most probable token names it). Ranks span orders of magnitude, so that their logarithms are averaged.

    Example:
        >>> ranks = avnb.lens.event_ranks(avnb.load("toy-omni"), avnb.datasets.load("toybox", n=4))
        >>> bool((log_ranks(ranks)["value"] >= 0).all())
        True
    """
    return _by_target(ranks.assign(value=np.log10(ranks["rank"])), ["clip", "kind", "group", "layer"])


def last_ranks(table, seed=0) -> dict:
    """How close the last layer is to naming something at the positions of the sound, over the clips of a kind.

    Clips that show the same source are resampled together.

    Args:
        table: from `log_ranks`, one kind of clips.
        seed: of the resampling.

    Returns:
        dict: target (as in `recall`): `stats.Interval` of the geometric mean of the rank (1: the most probable token);
        targets that no clip has are left out.

    Example:
        >>> ranks = avnb.lens.event_ranks(avnb.load("toy-omni"), avnb.datasets.load("toybox", n=8))
        >>> found = last_ranks(log_ranks(ranks).query("kind == 'counterfactual'"))
        >>> found["seen"].mean < found["heard"].mean
        True
    """
    last = table[(table["layer"] == table["layer"].max()) & (table["group"] == "audio")].dropna(subset="value")
    found = {
        target: stats.resampled(lambda m: m[..., 0], some[["value"]], seed=seed, clusters=[sources(some["clip"])])
        for target, some in last.groupby("target")  # `interval` would take some logarithms for scores
    }
    ranks = {target: (10 ** np.maximum(log[:3], 0)).tolist() for target, log in found.items()}  # none is below 1
    return {target: stats.Interval(*three, found[target].n) for target, three in ranks.items()}


def gaps(table, a="seen", b="heard", seed=0, clusters=None) -> pd.DataFrame:
    """How much more one target is decoded than another, layer by layer: where does the picture take over?

    Low and high are those of one band for all layers of a group (`stats.curve`), as nobody fixed a layer beforehand.

    Args:
        table: from `recall` with `by_layer`, or from `log_ranks` (where less is closer).
        a, b: two of its targets.
        seed: of the resampling.
        clusters: which clips count together (a Series by clip), as in `stats.interval`.

    Returns:
        DataFrame: kind, group, layer, then mean, low, high, n of a - b, paired over the clips that have both.

    Example:
        >>> rows = [("0", "factual", "audio", 3, "seen", 1.0), ("0", "factual", "audio", 3, "heard", 0.5)]
        >>> table = pd.DataFrame(rows, columns=["clip", "kind", "group", "layer", "target", "value"])
        >>> gaps(table)[["layer", "mean", "n"]].values.tolist()
        [[3.0, 0.5, 1.0]]
    """
    axes, found = ["kind", "group", "clip", "layer"], []
    wide = table.pivot(index=axes, columns="target", values="value").reindex(columns=[a, b]).dropna()
    for (kind, group), some in (wide[a] - wide[b]).groupby(["kind", "group"]):
        band = stats.curve(some.droplevel(["kind", "group"]).unstack("layer"), seed, clusters=clusters)
        found.append(band.drop(columns="stands").reset_index().assign(kind=kind, group=group))
    columns = [*axes[:2], "layer", *stats.Interval._fields]
    return pd.concat(found, ignore_index=True)[columns] if found else pd.DataFrame(columns=columns)


def ahead(gaps) -> pd.DataFrame:
    """After which layers one of the two targets of `gaps` is ahead: the band of a - b leaves out zero.

    Args:
        gaps: from `gaps`, of a table of `recall`.

    Returns:
        DataFrame: kind, group, a ahead, b ahead (layers, as text).

    Example:
        >>> columns = ["kind", "group", "layer", "low", "high"]
        >>> rows = [("factual", "audio", 0, -0.1, 0.2), ("factual", "audio", 1, 0.1, 0.4)]
        >>> ahead(pd.DataFrame(rows, columns=columns))[["a ahead", "b ahead"]].values.tolist()
        [['1', 'none']]
    """
    rows = []
    for names, group in gaps.groupby(["kind", "group"], sort=False):
        sides = (group["low"] > 0, group["high"] < 0)
        rows.append((*names, *(", ".join(map(str, sorted(group.loc[side, "layer"]))) or "none" for side in sides)))
    return pd.DataFrame(rows, columns=["kind", "group", "a ahead", "b ahead"])


def choices(ranks, top_ks=TOP_KS, depths=DEPTHS, seed=0) -> pd.DataFrame:
    """What latent recall would be for other choices of `top_k` and `depth`.

    Args:
        ranks: from `lens.event_ranks`.
        top_ks, depths: the choices; all combinations.
        seed: of the resampling.

    Returns:
        DataFrame: kind, group, depth (a text, "0.75-1"), top_k, value, null (means over clips), then mean, low, high, n
        of value - null, and whether it stands: there is one band for all choices of a kind and group (`stats.curve`),
        so that the best of them was allowed for. Clips that show the same source are resampled together.

    Example:
        >>> ranks = avnb.lens.event_ranks(avnb.load("toy-omni"), avnb.datasets.load("toybox", n=4))
        >>> choices(ranks, top_ks=[5]).query("kind == 'factual'")["depth"].tolist()
        ['0-1', '0-0.5', '0.25-0.75', '0.5-1', '0.75-1']
    """
    choice, keys = ["depth", "top_k"], ["kind", "group"]
    recalled = {
        (f"{depth[0]:g}-{depth[1]:g}", top_k): recall(ranks, top_k, depth).set_index([*keys, "clip", "target"])
        for depth, top_k in product(depths, top_ks)
    }
    shares = pd.concat(recalled, names=choice)["value"].unstack("target")
    found = {}
    for names, group in shares.groupby(keys):
        wide = group.droplevel(keys).unstack(choice)
        above = (wide["heard"] - wide["other clips"])[list(recalled)].dropna()  # clips of which nothing is heard
        band = stats.curve(above, seed, clusters=sources(above.index))
        band.insert(0, "null", wide.loc[above.index, "other clips"].mean())
        band.insert(0, "value", wide.loc[above.index, "heard"].mean())
        found[names] = band
    return pd.concat(found, names=keys).reset_index()


def inside_and_said(recalled, fidelity) -> pd.DataFrame:
    """What is heard inside, against what is said: the two-by-two table of every event heard in a clip.

    Args:
        recalled: from `lens.latent_recall`.
        fidelity: from `fidelity.measure`, the rows of one question, inputs and modality "audio"; the same clips.

    Returns:
        DataFrame: clip, kind, inside, said (booleans: decoded at the audio positions; named in the answer), value: the
        share of the clip's heard events in this cell, and null: the share of said(c), times the mean share of inside
        over all clips of this kind, whose mean over clips is what the cell would hold if inside and said had nothing
        to do with each other. Four rows per clip; clips of which nothing is known to be heard have none. An event is
        decoded if the stems of its words are. Whether the two are tied: `tie`.

    Raises:
        ValueError: the tables are not about the same clips, or have several rows for one.

    Example:
        >>> recalled = pd.DataFrame({"clip": ["a"], "kind": "factual", "value": [0.5], "found": [("dog",)]})
        >>> said = pd.DataFrame({"clip": ["a"], "matched": [("dog",)], "missed": [("bell",)]})
        >>> inside_and_said(recalled, said).query("value > 0")[["inside", "said", "value"]].values.tolist()
        [[True, True, 0.5], [False, False, 0.5]]
    """
    said = fidelity.set_index("clip")
    if not (recalled["clip"].is_unique and said.index.is_unique and set(recalled["clip"]) == set(said.index)):
        raise ValueError(
            f"recalled ({len(recalled)} rows) and fidelity ({len(said)} rows) must hold the same clips, each once; "
            "choose one question, inputs and modality"
        )
    inside_share = recalled.groupby("kind")["value"].mean()
    rows = []
    for row in recalled.itertuples():
        matched, missed = (list(said.loc[row.clip, name]) for name in ("matched", "missed"))
        found = {stem for event in row.found for stem in stems(event)}
        n_events = len(matched) + len(missed)
        if not n_events or np.isnan(row.value):
            continue
        for inside, by_said in product((True, False), ((True, matched), (False, missed))):
            value = sum(found.issuperset(stems(event)) == inside for event in by_said[1]) / n_events
            chance = inside_share[row.kind] if inside else 1 - inside_share[row.kind]
            rows.append((row.clip, row.kind, inside, by_said[0], value, chance * len(by_said[1]) / n_events))
    return pd.DataFrame(rows, columns=["clip", "kind", "inside", "said", "value", "null"])


def tie(cells, seed=0) -> pd.DataFrame:
    """Whether what is decoded inside is what is said: the share that is both, minus what independence would give.

    With I(c), S(c) and B(c) the shares of the events heard in c that are inside, said, and both, this is
    mean(B) - mean(I) mean(S). All three means are resampled together: where everything is said, it is 0 for certain.
    So are clips that show the same source.

    Args:
        cells: from `inside_and_said`.
        seed: of the resampling.

    Returns:
        DataFrame: kind, mean, low, high, n.

    Example:
        >>> clips = [("a", True, True), ("b", False, False)]  # what is inside is said, and nothing else
        >>> rows = [(c, "factual", i, s, float(i == x and s == y)) for c, x, y in clips for i in (0, 1) for s in (0, 1)]
        >>> tie(pd.DataFrame(rows, columns=["clip", "kind", "inside", "said", "value"])).loc[0, ["mean", "n"]].tolist()
        [0.25, 2.0]
    """
    rows = []
    for kind, some in cells.groupby("kind", sort=False):
        shares = (some[some[names].all(axis=1)].groupby("clip")["value"].sum() for names in _BOTH)
        sample = pd.concat(shares, axis=1)
        tied, clusters = lambda m: m[..., 0] - m[..., 1] * m[..., 2], sources(sample.index)
        found = stats.resampled(tied, sample, seed=seed, clusters=[clusters])
        rows.append((kind, *found))
    return pd.DataFrame(rows, columns=["kind", *stats.Interval._fields])


def less_said(ranks, fidelity, top_ks=TOP_KS, depth=(0.0, 1.0), seed=0) -> pd.DataFrame:
    """Latent recall minus what the answers name, for every `top_k`: is the sign a finding or a choice?

    Args:
        ranks: from `lens.event_ranks`; its audio positions count.
        fidelity: from `fidelity.measure`, the rows of one question, inputs and modality "audio"; the same clips.
        top_ks: the choices.
        depth: which layers count, as in `depth_layers`.
        seed: of the resampling.

    Returns:
        DataFrame: kind, top_k, recall, fidelity (means over clips), then mean, low, high, n of recall - fidelity.

    Raises:
        ValueError: the tables are not about the same clips (`stats.difference`), or no layer begins in this part.

    Example:
        >>> model, clips = avnb.load("toy-omni"), avnb.datasets.load("toybox", n=4)
        >>> said = avnb.fidelity.measure(model, clips, ["Describe what you hear."], inputs=["both"])
        >>> less_said(avnb.lens.event_ranks(model, clips), said, top_ks=[1, 5])[["kind", "top_k"]].values.tolist()
        [['factual', 1], ['factual', 5], ['counterfactual', 1], ['counterfactual', 5]]
    """
    audio, rows = ranks[ranks["group"] == "audio"], []
    for kind, said in fidelity.groupby("kind", sort=False):
        said = said.set_index("clip")["value"]
        for top_k in top_ks:
            some = recall(audio[audio["kind"] == kind], top_k, depth)
            inside = some[some["target"] == "heard"].set_index("clip")["value"]
            gap = stats.difference(inside, said, seed, clusters=sources(inside.index))
            rows.append((kind, top_k, inside.mean(), said.mean(), *gap))
    return pd.DataFrame(rows, columns=["kind", "top_k", "recall", "fidelity", *stats.Interval._fields])


def _by_target(table, axes):
    """Means of `value` over the events of each target: the columns of `axes`, target, value."""
    means = {}
    for target, column in TARGETS.items():
        weights = table[column].astype(float)
        sums = table[axes].assign(value=table["value"] * weights, weight=weights).groupby(axes, sort=False).sum()
        means[target] = (sums["value"] / sums["weight"]).dropna()  # no event, no mean
    return pd.concat(means, names=["target"]).rename("value").reset_index()[[*axes, "target", "value"]]
