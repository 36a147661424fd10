"""Figures of caption fidelity and of the two-by-two swap design."""

import matplotlib.pyplot as plt
import numpy as np
import seaborn as sns
from matplotlib.patches import Patch

from avnb.media.clip import KINDS
from avnb.paper import published
from avnb.plots.style import PALETTE
from avnb.stats import summarise

_ABOUT = {"video": "about the picture", "audio": "about the sound"}
_CHANCE = {"color": "black", "linestyle": (0, (1, 1)), "linewidth": 1.8}

# How a kind of clips fills its bar; the colour says the modality.
_FILLS = {"factual": (1.0, ""), "counterfactual": (0.5, "//"), "shifted": (0.75, ".."), "mute": (0.2, "")}
_INPUTS = {"both": "", "video": "\nfrom video alone", "audio": "\nfrom sound alone"}


def bars(table, null, title, ylabel="fidelity"):
    """Means by question, modality and kind of clips, with intervals and what chance gives.

    Args:
        table: of `fidelity.measure` or `fidelity.confusions`, of one model.
        null: of `fidelity.chance` or `fidelity.confusions`; its column `null` is drawn where it is known.
        title: the finding.
        ylabel: what the value is, in 0..1.

    Returns:
        The figure.
    """
    by = ["modality", "question", "inputs", "kind"]
    means = summarise(table, by).sort_values("modality", ascending=False, kind="stable")
    nulls = null.dropna(subset="null").groupby(by)["null"].mean()
    groups = list(means[by[:3]].drop_duplicates().itertuples(index=False, name=None))
    kinds = [kind for kind in KINDS if kind in set(means["kind"])]
    width = 0.8 / len(kinds)
    fig, ax = plt.subplots(figsize=(max(5.0, 1.0 + 1.55 * len(groups)), 3.4), layout="constrained")
    for row in means.itertuples():
        group, colour, (alpha, hatch) = (
            (row.modality, row.question, row.inputs),
            PALETTE[row.modality],
            _FILLS[row.kind],
        )
        x = groups.index(group) + width * (kinds.index(row.kind) - len(kinds) / 2 + 0.5)
        ax.bar(x, row.mean, 0.9 * width, color=(colour, alpha), edgecolor=colour, hatch=hatch, linewidth=0.8)
        ax.vlines(x, row.low, row.high, color="black", linewidth=1.3)
        if row.mean == 0:
            ax.annotate("0", (x, 0), (0, 3), textcoords="offset points", ha="center", color=colour, fontsize=9)
        if (*group, row.kind) in nulls:
            ax.hlines(nulls[*group, row.kind], x - 0.45 * width, x + 0.45 * width, **_CHANCE)
    ax.set_xticks(range(len(groups)), [f"“{_short(question)}”{_INPUTS[inputs]}" for _, question, inputs in groups])
    for label, (modality, *_) in zip(ax.get_xticklabels(), groups, strict=True):
        label.set_color(PALETTE[modality])
    ax.set(ylim=(0, 1.02), ylabel=ylabel, xlim=(-0.5, len(groups) - 0.5), title=title)
    entries = {}
    for kind, n in means.groupby("kind")["n"].max().reindex(kinds).items():
        alpha, hatch = _FILLS[kind]
        entries[f"{kind} (n = {n})"] = Patch(facecolor=("black", 0.7 * alpha), edgecolor="black", hatch=hatch)
    for modality in means["modality"].unique():
        entries[_ABOUT[modality]] = Patch(color=PALETTE[modality])
    entries["chance"] = plt.Line2D([], [], **_CHANCE)
    _legend_below(fig, entries, n_columns=4)
    return fig


def changes(table, title):
    """Changes of fidelity, one a row, with their intervals; rows whose label starts with "control" in grey.

    Args:
        table: DataFrame with the columns label, mean, low, high, n.
        title: the finding.

    Returns:
        The figure.
    """
    fig, ax = plt.subplots(figsize=(6.6, 0.8 + 0.42 * len(table)), layout="constrained")
    for y, row in enumerate(table[::-1].itertuples()):
        colour = PALETTE["text"] if row.label.startswith("control") else PALETTE["audio"]
        ax.plot(row.mean, y, "o", color=colour, markersize=7)
        ax.hlines(y, row.low, row.high, color=colour, linewidth=2)
    ax.axvline(0, color="black", linewidth=0.8)
    ax.set_yticks(range(len(table)), [f"{row.label} (n = {row.n})" for row in table[::-1].itertuples()])
    ax.set(xlabel="change of audio fidelity, with 95 % interval", ylim=(-0.6, len(table) - 0.4))
    ax.set_title(title, loc="right")
    return fig


def drops(here):
    """Audio fidelity on factual and counterfactual clips: what the study published, and what was measured here.

    Args:
        here: model name -> (factual, counterfactual), two `stats.Interval`.

    Returns:
        The figure.
    """
    study = {name: one for name, one in published()["audio_fidelity_x100"].items() if isinstance(one, dict)}
    rows = {f"{name} (published)": (one["factual"] / 100, one["counterfactual"] / 100) for name, one in study.items()}
    names = [*rows, *here]
    fig, ax = plt.subplots(figsize=(6.6, 0.9 + 0.36 * len(names)), layout="constrained")
    for y, (factual, counterfactual) in enumerate(rows.values()):
        _dumbbell(ax, y, factual, counterfactual, PALETTE["text"])
    for y, pair in enumerate(here.values(), len(rows)):
        _dumbbell(ax, y, pair[0].mean, pair[1].mean, PALETTE["audio"])
        for one, shift in zip(pair, (-0.16, 0.16), strict=True):
            ax.hlines(y + shift, one.low, one.high, color=PALETTE["audio"], linewidth=1.2)
    ax.axhspan(-0.5, len(rows) - 0.5, color="#F3F3F3", zorder=0)
    ax.set_yticks(range(len(names)), names)
    ax.set(ylim=(len(names) - 0.4, -0.6), xlim=(0, 1.02), xlabel="audio fidelity")
    points = {"marker": "o", "linestyle": "", "color": "black"}
    entries = {
        "factual": plt.Line2D([], [], **points),
        "counterfactual": plt.Line2D([], [], **points, markerfacecolor="white"),
        "95 % interval (this run)": plt.Line2D([], [], color=PALETTE["audio"], linewidth=1.2),
    }
    _legend_below(fig, entries, n_columns=3)
    # The published levels are of other clips and another judge: no title sets them beside these.
    own = ", ".join(f"{name} changes by {other.mean - factual.mean:+.2f}" for name, (factual, other) in here.items())
    ax.set_title(f"With another sound, audio fidelity of {own}", loc="right")
    return fig


def swap(table, effects, title):
    """The margins of the two-by-two design, and its main effects pair by pair.

    Args:
        table: of `swap.margins` for the question that the left half shows.
        effects: DataFrame with the columns question, clip (the pair), modality ("audio" or "video"), value (nats).
        title: the finding.

    Returns:
        The figure.
    """
    fig, (left, right) = plt.subplots(1, 2, figsize=(7.6, 3.1), width_ratios=(1, 1.5), layout="constrained")
    means = summarise(table, ["video", "audio"]).set_index(["video", "audio"])
    wide = means["mean"].unstack()
    text = means.apply(_with_interval, axis=1).unstack()
    limit = max(wide.abs().to_numpy().max(), 1e-6)
    sns.heatmap(
        wide,
        ax=left,
        annot=text,
        fmt="",
        cmap="PRGn",
        vmin=-limit,
        vmax=limit,
        square=True,
        cbar=False,
        annot_kws={"size": 9},
    )
    left.set(xlabel="sound of clip", ylabel="picture of clip", title=f"margin (nats; pairs: {means['n'].max()})")
    left.tick_params(length=0, rotation=0)
    questions = list(effects["question"].unique())
    for modality, shift in (("audio", -0.17), ("video", 0.17)):
        for x, question in enumerate(questions):
            rows = effects[(effects["modality"] == modality) & (effects["question"] == question)]
            mean = summarise(rows, "modality").iloc[0]
            spread = np.linspace(-0.09, 0.09, len(rows)) if len(rows) > 1 else [0]
            right.plot(
                x + shift + np.asarray(spread), rows["value"], "o", color=PALETTE[modality], alpha=0.35, markersize=4
            )
            right.plot(x + shift, mean["mean"], "D", color=PALETTE[modality], markersize=7, markeredgecolor="black")
            right.vlines(x + shift, mean["low"], mean["high"], color="black", linewidth=1.3)
    right.axhline(0, color="black", linewidth=0.8)
    right.set_xticks(range(len(questions)), [f"“{_short(question)}”" for question in questions])
    right.set(ylabel="effect on the margin (nats)", xlim=(-0.5, len(questions) - 0.5), title="main effects")
    handles = [plt.Line2D([], [], marker="D", linestyle="", color=PALETTE[m]) for m in ("audio", "video")]
    right.legend(handles, ["of the sound", "of the picture"], frameon=False, loc="best")
    fig.suptitle(title)
    return fig


def _legend_below(fig, entries, n_columns):
    """A legend of label -> handle under the figure."""
    fig.legend(
        entries.values(), entries, loc="outside lower center", ncol=n_columns, frameon=False, handlelength=1.4,
        columnspacing=1.2,
    )  # fmt: skip


def _dumbbell(ax, y, factual, counterfactual, colour):
    ax.hlines(y, counterfactual, factual, color=colour, linewidth=1.5, zorder=1)
    ax.plot(factual, y, "o", color=colour, markersize=7)
    ax.plot(counterfactual, y, "o", color=colour, markerfacecolor="white", markersize=7)


def _with_interval(row):
    mean = f"{row['mean']:+.1f}"
    return mean if np.isnan(row["low"]) else f"{mean}\n[{row['low']:+.1f}, {row['high']:+.1f}]"


def _short(question):
    """A question as a label: "Describe what you hear." is "hear"."""
    return question.removeprefix("Describe what you ").rstrip(".")
