"""Figures of the logit lens."""

from itertools import product

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib import font_manager

from avnb import stats
from avnb.analyses import patches
from avnb.analyses.changes import NOTHING
from avnb.layers import relative_depth
from avnb.plots import sounds
from avnb.plots.style import INK, KINDS, PALETTE

COLOURS = {"heard": PALETTE["audio"], "seen": PALETTE["video"], "other clips": PALETTE["control"]}
_LABELS = {
    "heard": "what is heard",
    "seen": "what is seen",
    "other clips": "what is heard in other clips (chance)",
}
_PLACES = {
    "last": "where the answer goes on",
    "lens": "the lens",
    "heard": "probe, taught what is heard",
    "seen": "probe, taught what is seen",
    "shuffled": "probe, taught shuffled sounds (control)",
}
_PATCHES = {  # whose states, and what of them the answer names -> colour, line, label
    (patches.FREE, patches.LENT): (
        PALETTE["audio"], "o:", "sound of another clip, answer cut off\nfrom the picture: that sound (control)"
    ),
    (patches.PICTURE, patches.LENT): (PALETTE["video"], "s-", "picture of another clip: that picture"),
    (patches.OTHER, patches.LENT): (PALETTE["audio"], "s--", "sound of another clip: that sound"),
    (patches.ALONE, patches.HEARD): (PALETTE["audio"], "o-", "own sound alone: what is heard"),
    (patches.CUT_OFF, patches.HEARD): (PALETTE["other"], "x-", "own sound, cut off from the picture:\nwhat is heard"),
}  # fmt: skip
_CELLS = COLOURS | {"heard and seen": PALETTE["other"], "": PALETTE["text"]}
_RAISED = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")
_WIDE_FONTS = ("Noto Sans CJK SC", "Noto Sans CJK JP", "WenQuanYi Zen Hei", "Droid Sans Fallback")


def story(table, wave, title, n_columns=12, n_rows=12):
    """What the audio positions would say, layer by layer, under the spectrogram of the sound (figure 5).

    A column stands for a stretch of the sound. A cell shows the best token that names something heard or seen, with its
    rank raised unless that is 1; where none does, the most probable token. Of more layers than rows, as many are shown,
    evenly spread, the last one always.

    Args:
        table: from `lens.mark`, of a table of `lens.decode` (group "audio"), whose `top_k` says how far to look.
        wave: the sound, float32 [n], 16 kHz.
        title: of the figure.
        n_columns, n_rows: how much to show at most.

    Returns:
        The figure.
    """
    positions, layers = np.sort(table["position"].unique()), np.sort(table["layer"].unique())
    n_columns, n_rows = min(n_columns, len(positions)), min(n_rows, len(layers))
    layers = layers[np.linspace(len(layers) - 1, 0, n_rows).round().astype(int)[::-1]]
    column = np.searchsorted(positions, table["position"]) * n_columns // len(positions)
    cells = table.assign(column=column)[table["layer"].isin(layers)]
    cells = cells.assign(silent=cells["target"] == "").sort_values(
        ["silent", "rank", "probability"], ascending=[1, 1, 0]
    )
    cells = cells.groupby(["layer", "column"], as_index=False).first()
    seconds = len(wave) / sounds.RATE
    width = seconds / n_columns
    fig, (above, below) = plt.subplots(
        2, 1, figsize=(10, 1.7 + 0.32 * n_rows), sharex=True, layout="constrained",
        gridspec_kw={"height_ratios": [1.25, 0.32 * n_rows]},
    )  # fmt: skip
    sounds.spectrogram(wave, above, "")
    fig.suptitle(title, fontsize="medium")
    above.set(xlabel="", ylabel="kHz")
    font = ["DejaVu Sans", *(name for name in _WIDE_FONTS if name in font_manager.get_font_names())]
    for cell in cells.itertuples():
        row = np.searchsorted(layers, cell.layer)
        strength = (0.35 if cell.target else 0.1) + 0.4 * cell.probability
        strength /= 2 if cell.target == "heard and seen" else 1  # black as the words are
        below.add_patch(
            plt.Rectangle((cell.column * width, row), width, 1, facecolor=_CELLS[cell.target], alpha=strength, lw=0)
        )
        weight = "bold" if cell.target else "normal"
        x = (cell.column + 0.5) * width
        text = _short(cell.token, cell.rank)
        below.text(
            x, row + 0.45, text, ha="center", va="center", fontsize=7, weight=weight, family=font, parse_math=False
        )
    below.set(xlim=(0, seconds), ylim=(0, n_rows), xlabel="time (s)", ylabel="after layer")
    below.set_yticks(np.arange(n_rows) + 0.5, labels=layers)
    below.tick_params(axis="y", length=0)
    shown = {name: colour for name, colour in _CELLS.items() if name and (cells["target"] == name).any()}
    handles = [
        plt.Rectangle((0, 0), 1, 1, facecolor=colour, alpha=0.3 if name == "heard and seen" else 0.6)
        for name, colour in shown.items()
    ]
    labels = [f"names what is {name}" for name in shown]
    handles.append(plt.Rectangle((0, 0), 1, 1, facecolor=PALETTE["text"], alpha=0.25))
    fig.legend(handles, [*labels, "names neither"], loc="outside lower center", ncol=4, frameon=False)
    return fig


def recall_curves(table, top_k, title):
    """The share of events that are decoded after every layer, with intervals over clips.

    Args:
        table: from `latent.recall` with `by_layer`.
        top_k: of that table.
        title: of the figure.

    Returns:
        The figure: one panel per kind of clip and group of positions.
    """
    fig, axes = _curves(table, title, f"share named in the top {top_k}")
    for ax in axes.flat:
        ax.set(ylim=(-0.03, 1.03))
    return fig


def rank_curves(table, title):
    """The rank of events after every layer, geometric mean with intervals over clips; the top is the best.

    Args:
        table: from `latent.log_ranks`.
        title: of the figure.

    Returns:
        The figure: one panel per kind of clip and group of positions.
    """
    fig, axes = _curves(table, title, "rank (1 = would say it)", lambda value: 10**value)
    drawn = np.concatenate([line.get_ydata() for ax in axes.flat for line in ax.lines])
    worst = np.nanmax(drawn, initial=1)  # a panel of what is seen is empty where nothing is known to be seen
    few = (1, 2, 3, 5, 10, 30, 100) if worst < 300 else (1, 10, 100, 1000, 10_000, 100_000)
    ticks = [tick for tick in few if tick < 2 * worst]
    for ax in axes.flat:
        ax.set(yscale="log")
        ax.set_ylim(0.85, 2 * worst)  # no rank is below 1, wide as an interval may be
        ax.set_yticks(ticks, labels=ticks)
        ax.minorticks_off()
    axes.flat[0].invert_yaxis()  # the panels share one axis
    return fig


def choices(table, title):
    """How far latent recall stands above chance, for every choice of layers and top k.

    Args:
        table: from `latent.choices`, one kind and group.
        title: of the figure.

    Returns:
        The figure: recall beyond chance, with the 95 % band for all cells, in every cell.
    """
    mean = table.pivot(index="depth", columns="top_k", values="mean").reindex(table["depth"].unique())
    cells = table.set_index(["depth", "top_k"])
    fig, ax = plt.subplots(figsize=(6.4, 0.62 * len(mean) + 1.2), layout="constrained")
    limit = max(0.1, np.abs(mean.to_numpy()).max())
    image = ax.imshow(mean, cmap="PuOr_r", vmin=-limit, vmax=limit, aspect="auto")
    for i, depth in enumerate(mean.index):
        for j, top_k in enumerate(mean.columns):
            cell = cells.loc[(depth, top_k)]
            dark = abs(cell["mean"]) > 0.7 * limit
            text = f"{cell['mean']:.2f}\n({cell['low']:.2f} to {cell['high']:.2f})"
            ax.text(j, i, text, ha="center", va="center", fontsize=7, color="white" if dark else INK)
    ax.set(xlabel="top k", ylabel="layers (relative depth)", title=title)
    ax.set_xticks(range(len(mean.columns)), labels=mean.columns)
    ax.set_yticks(range(len(mean.index)), labels=mean.index)
    ax.spines[:].set_visible(False)
    ax.tick_params(length=0)
    fig.colorbar(image, ax=ax, label="recall beyond chance")
    return fig


def inside_and_said(table, title):
    """Shares of what is heard that is decoded inside, said, both or neither, beside what independence would give.

    Args:
        table: from `latent.inside_and_said`.
        title: of the figure.

    Returns:
        The figure: one panel per kind of clip.
    """
    cells = [(True, True), (True, False), (False, True), (False, False)]
    labels = ["inside,\nsaid", "inside,\nnot said", "not inside,\nsaid", "neither"]
    kinds = table["kind"].unique()
    fig, axes = plt.subplots(1, len(kinds), figsize=(4.1 * len(kinds), 3), sharey=True, squeeze=False)
    for ax, kind in zip(axes[0], kinds, strict=True):
        some = table[table["kind"] == kind]
        found = stats.summarise(some, ["inside", "said"]).set_index(["inside", "said"]).loc[cells]
        null = some.groupby(["inside", "said"])["null"].mean().loc[cells]
        errors = _bars(found)
        ax.bar(range(4), found["mean"], 0.62, yerr=errors, color=PALETTE["audio"], ecolor="black", capsize=3)
        marks = ax.hlines(null, np.arange(4) - 0.4, np.arange(4) + 0.4, color="black", linestyle=":", linewidth=1.6)
        ax.set_xticks(range(4), labels=labels)
        ax.set(title=f"{KINDS.get(kind, kind)} (n = {found['n'].iloc[0]})", ylim=(0, 1.03))
        ax.tick_params(axis="x", length=0)
    axes[0, 0].set(ylabel="share of what is heard")
    fig.suptitle(title, fontsize="medium")
    fig.legend([marks], ["if inside and said were independent (chance)"], loc="lower center", frameon=False)
    fig.tight_layout(rect=(0, 0.06, 1, 1))
    return fig


def cut_off(rows, title):
    """What is read and what is said, without a cut and with it.

    Args:
        rows: (label, mean without, mean with the cut, `stats.Interval` of the change) each.
        title: of the figure.

    Returns:
        The figure: an open dot without, a filled one with the cut, and around it the interval of the change.
    """
    fig, ax = plt.subplots(figsize=(7, 0.55 * len(rows) + 1.1), layout="constrained")
    for y, (label, before, after, change) in enumerate(reversed(rows)):
        colour = COLOURS["seen" if "seen" in label else "heard"]
        ax.plot([before + change.low, before + change.high], [y, y], color=colour, linewidth=2, alpha=0.6)
        ax.scatter([before], [y], s=48, facecolor="none", edgecolor=colour, zorder=3)
        ax.scatter([after], [y], s=48, color=colour, zorder=4)
    ax.set_yticks(range(len(rows)), labels=[row[0] for row in reversed(rows)])
    ax.set(xlim=(-0.03, 1.03), ylim=(-0.6, len(rows) - 0.4), xlabel="share (0 to 1)", title=title)
    ax.tick_params(axis="y", length=0)
    return fig


def readouts(table, top_k, title):
    """What the lens and the probes find at the positions of the sound after every layer, with intervals over clips.

    Args:
        table: from `probe.recall`.
        top_k: of that table.
        title: of the figure.

    Returns:
        The figure: one panel per kind of clip and readout.
    """
    fig, axes = _curves(table.rename(columns={"readout": "group"}), title, f"share named in the top {top_k}")
    for ax in axes.flat:
        ax.set(ylim=(-0.03, 1.03))
    return fig


def patched(table, title):
    """What answers name with states of another run put in after a layer and all later ones, by that layer.

    Args:
        table: from `patching.measure`, of one kind of clips.
        title: of the figure.

    Returns:
        The figure: a line for each kind of states, with intervals over clips; dashed, what is heard without a patch.
    """
    fig, ax = plt.subplots(figsize=(8.4, 3.8), layout="constrained")
    handles = []
    for (instead, quantity), (colour, style, label) in _PATCHES.items():
        some = table[(table["instead"] == instead) & (table["quantity"] == quantity) & table["value"].notna()]
        if len(some):
            line = stats.summarise(some, "start").sort_values("start")
            handles += ax.plot(line["start"], line["mean"], style, markersize=4, color=colour, label=label)
            ax.fill_between(line["start"], line["low"], line["high"], color=colour, alpha=0.15, lw=0)
    free = table[(table["instead"] == NOTHING) & (table["quantity"] == patches.HEARD)]["value"]
    handles.append(ax.axhline(free.mean(), color="black", linestyle="--", lw=1, label="nothing put in: what is heard"))
    ax.set(ylim=(-0.03, 1.03), xlabel="put in after this layer and all later ones", ylabel="share named in the answer")
    starts = sorted(table.loc[table["instead"] != NOTHING, "start"].unique())
    ax.set_xticks(starts[:: -(-len(starts) // 18)])  # more numbers would run into each other
    ax.set_title(title, fontsize="medium")
    fig.legend(handles=handles, loc="outside right upper", frameon=False)
    return fig


def _curves(table, title, ylabel, scale=lambda value: value):
    """Lines over relative depth with bands: kinds of clips by groups of positions; of one group, kinds in a row."""
    n_layers = table["layer"].max() + 1
    kinds, groups = table["kind"].unique(), table["group"].unique()
    n_rows, n_columns = (len(kinds), len(groups)) if len(groups) > 1 else (1, len(kinds))
    fig, axes = plt.subplots(
        n_rows, n_columns, figsize=(1.2 + 3.1 * n_columns, 0.9 + 2.3 * n_rows), sharex=True, sharey=True, squeeze=False,
        layout="constrained",
    )  # fmt: skip
    summary = stats.summarise(table, ["kind", "group", "target", "layer"])
    for ax, (kind, group) in zip(axes.flat, product(kinds, groups), strict=True):
        some = summary[(summary["kind"] == kind) & (summary["group"] == group)]
        heard = some[some["target"] == "heard"].sort_values("layer")
        for target, colour in COLOURS.items():
            line = some[some["target"] == target].sort_values("layer")
            if kind == "factual" and target == "seen" and np.array_equal(line["mean"], heard["mean"]):
                continue  # there it is what is heard
            style = "--" if target == "other clips" else "-"
            depth = relative_depth(n_layers)[line["layer"]]
            ax.plot(depth, scale(line["mean"]), style, marker="o", markersize=3, color=colour)
            ax.fill_between(depth, scale(line["low"]), scale(line["high"]), color=colour, alpha=0.2, lw=0)
        place = _PLACES.get(group, f"{group} positions")
        ax.set_title(f"{place}\n{KINDS.get(kind, kind)}, n = {some['n'].max()}", fontsize="small")
    axes[0, 0].set(xlim=(0, 1))
    middle = 0.5 if n_columns % 2 else 1.05  # of the row: of its middle panel, or between the two
    axes[-1, (n_columns - 1) // 2].set_xlabel(f"relative depth of {n_layers} layers (0 input, 1 output)", x=middle)
    fig.supylabel(ylabel, fontsize="medium")
    fig.suptitle(title, fontsize="medium")
    handles = [
        plt.Line2D([], [], color=COLOURS[target], linestyle="--" if target == "other clips" else "-", marker="o")
        for target in COLOURS
    ]
    fig.legend(handles, _LABELS.values(), loc="outside lower center", ncol=3, frameon=False)
    return fig, axes


def _bars(found):
    """Lengths [2, n] of error bars, none where the interval is not known."""
    return np.nan_to_num(np.stack([found["mean"] - found["low"], found["high"] - found["mean"]])).clip(0)


def _short(token, rank):
    """A token and its rank as they fit into a cell."""
    text = "" if token is None or pd.isna(token) else token.strip().replace("\n", "⏎").replace("\ufffd", "·")
    text = text if len(text) <= 10 else text[:9] + "…"
    return text if rank == 1 else text + str(rank).translate(_RAISED)
