"""Figures of caption fidelity and of the two-by-two swap design."""

import matplotlib.pyplot as plt
import numpy as np
import seaborn as sns

from avnb.paper import published
from avnb.plots.style import KINDS, PALETTE, SHADE
from avnb.stats import summarise

_ABOUT = {"video": "the picture", "audio": "the sound"}
_INPUTS = {"both": "", "video": ", from the picture alone", "audio": ", from the sound alone"}


def cells(table, null, title, xlabel="fidelity (0 to 1)"):
    """Means by question and by what is judged, a row each: ordinary clips filled, conflicting ones hollow.

    Args:
        table: of `fidelity.measure` or `fidelity.confusions`, of one model; other kinds of clips are left out.
        null: of `fidelity.chance` or `fidelity.confusions`; its column `null` is drawn where it is known.
        title: the finding.
        xlabel: what the value is, in 0..1.

    Returns:
        The figure.
    """
    by = ["modality", "question", "inputs", "kind"]
    means = summarise(table[table["kind"].isin(KINDS)], by)
    nulls = null.dropna(subset="null").groupby(by)["null"].mean()
    rows = list(means.sort_values(by[:3], kind="stable")[by[:3]].drop_duplicates().itertuples(index=False, name=None))
    fig, ax = plt.subplots(figsize=(7.4, 1.3 + 0.42 * len(rows)), layout="constrained")
    for y, row in enumerate(rows):
        colour, shown = PALETTE[row[0]], means[(means[by[:3]] == list(row)).all(axis=1)].set_index("kind")
        ax.hlines(y, shown["mean"].min(), shown["mean"].max(), color=colour, linewidth=1.5, alpha=0.5)
        for kind, shift in (("factual", -0.13), ("counterfactual", 0.13)):
            if kind in shown.index:
                one = shown.loc[kind]
                ax.hlines(y + shift, one["low"], one["high"], color=colour, linewidth=1.3)
                face = colour if kind == "factual" else "white"
                ax.plot(one["mean"], y, "o", color=colour, markerfacecolor=face, markersize=7)
            if (*row, kind) in nulls:
                ax.plot(nulls[*row, kind], y, marker="|", color=PALETTE["text"], markersize=13, markeredgewidth=2)
        ends = " → ".join(f"{shown.loc[kind, 'mean']:.2f}" for kind in KINDS if kind in shown.index)
        ax.annotate(ends, (1.02, y), xycoords=ax.get_yaxis_transform(), va="center", fontsize=9)
    labels = [f"“{_short(question)}”: {_ABOUT[modality]}{_INPUTS[inputs]}" for modality, question, inputs in rows]
    ax.set_yticks(range(len(rows)), labels)
    ax.set(xlim=(-0.02, 1.02), ylim=(len(rows) - 0.5, -0.5), xlabel=xlabel)
    ax.set_title(title)
    points = {"marker": "o", "linestyle": "", "color": "black"}
    sizes = means.groupby("kind")["n"].max()
    entries = {
        f"{KINDS[kind]} (n = {sizes[kind]})": plt.Line2D(
            [], [], **points, markerfacecolor="black" if kind == "factual" else "white"
        )
        for kind in KINDS
        if kind in sizes
    }
    tick = {"marker": "|", "linestyle": "", "color": PALETTE["text"], "markersize": 11, "markeredgewidth": 2}
    entries["chance"] = plt.Line2D([], [], **tick)
    _legend_below(fig, entries, n_columns=3)
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
    ax.set_title(title)
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
            ax.vlines(one.mean, y, y + shift, color=PALETTE["audio"], linewidth=1.2)
    ax.axhspan(-0.5, len(rows) - 0.5, color=SHADE, zorder=0, linewidth=0)
    ax.set_yticks(range(len(names)), names)
    ax.set(ylim=(len(names) - 0.4, -0.6), xlim=(0, 1.02), xlabel="audio fidelity (0 to 1)")
    points = {"marker": "o", "linestyle": "", "color": "black"}
    entries = {
        "ordinary clips": plt.Line2D([], [], **points),
        "conflicting clips": plt.Line2D([], [], **points, markerfacecolor="white"),
        "95 % interval (this run)": plt.Line2D([], [], color=PALETTE["audio"], linewidth=1.2),
    }
    _legend_below(fig, entries, n_columns=3)
    # The published levels are of other clips and another judge: no title sets them beside these.
    own = ", ".join(
        f"{name} goes from {factual.mean:.2f} to {other.mean:.2f}" for name, (factual, other) in here.items()
    )
    ax.set_title(f"Of another sound, every published model names less; {own}")
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
    left.set(
        xlabel="sound of", ylabel="picture of", title=f"margin of A's caption, nats (n = {means['n'].max()} pairs)"
    )
    left.set(xticklabels=["clip A", "clip B"], yticklabels=["clip A", "clip B"])
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
    fig.legend(handles, ["of the sound", "of the picture"], frameon=False, loc="outside lower right", ncol=2)
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
