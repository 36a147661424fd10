"""Figures of the origin of the bias, from the tables of `avnb.organisms.dose` and from learning curves."""

import matplotlib.pyplot as plt
import pandas as pd
import seaborn as sns
from matplotlib.colors import to_rgba
from matplotlib.ticker import NullFormatter

from avnb.plots.style import PALETTE

ORDERS = {"vision first": PALETTE["video"], "audio first": PALETTE["audio"], "from scratch": PALETTE["text"]}
_MARKS = dict(zip(ORDERS, "os^", strict=True))


def response(table, seeds, measures, title):
    """Measures against the dose, one panel each, one line for each order of training.

    Args:
        table: of `response.response`: lines and bands (over clips and runs).
        seeds: of `response.by_seed`: a small mark for every organism, hollow where it does not follow its questions.
        measures: name of a measure -> (label of its axis, limits of the axis or None).
        title: of the figure; the n of clips and seeds are added.

    Returns:
        The figure.
    """
    n_columns = 2 if len(measures) == 4 else len(measures)
    n_rows = len(measures) // n_columns
    size = (3.7 * n_columns, 2.8 * n_rows + 0.7)
    fig, axes = plt.subplots(n_rows, n_columns, figsize=size, layout="constrained", squeeze=False)
    doses = sorted(table["dose"].unique())
    for ax, (measure, (label, limits)) in zip(axes.flat, measures.items(), strict=True):
        for order, colour in ORDERS.items():
            line = table[(table["quantity"] == measure) & (table["order"] == order)].sort_values("dose")
            at = [doses.index(dose) for dose in line["dose"]]
            ax.plot(at, line["mean"], color=colour, marker=_MARKS[order], markersize=5, label=order)
            ax.fill_between(at, line["low"], line["high"], color=colour, alpha=0.15, linewidth=0)
            dots = seeds[(seeds["quantity"] == measure) & (seeds["order"] == order)]
            at = [doses.index(dose) for dose in dots["dose"]]
            fill = [to_rgba(colour, 0.55 * follows) for follows in dots["follows"]]
            ax.scatter(at, dots["value"], s=9, facecolors=fill, edgecolors=to_rgba(colour, 0.55), linewidth=0.6)
        ax.set_xticks(range(len(doses)), labels=[f"{100 * dose:g}" for dose in doses])
        ax.set(xlabel="conflicting clips in training (%)", ylabel=label, ylim=limits)
    n_seeds = seeds["seed"].nunique()
    fig.suptitle(f"{title} (n = {table['n'].max()} clips, {n_seeds} seeds)")
    handles, labels = axes[0][0].get_legend_handles_labels()
    fig.legend(handles, labels, loc="outside lower center", ncol=len(ORDERS), frameon=False)
    return fig


def learning(log, title, smooth=20):
    """The loss of every step of training, stage by stage, with its running mean.

    Args:
        log: rows with stage, step and loss (nats), in order.
        title: of the figure.
        smooth: steps of the running mean.

    Returns:
        The figure.
    """
    table = pd.DataFrame(log)
    stages = table["stage"].unique()
    fig, axes = plt.subplots(
        1, len(stages), figsize=(max(4.2, 3 * len(stages)), 2.6), sharey=True, squeeze=False, layout="constrained"
    )
    for ax, stage in zip(axes[0], stages, strict=True):
        rows = table[table["stage"] == stage]
        ax.plot(rows["step"], rows["loss"], color=PALETTE["control"], linewidth=0.8)
        ax.plot(rows["step"], rows["loss"].rolling(smooth, min_periods=1).mean(), color=PALETTE["other"])
        ax.set(title=stage, xlabel="step", yscale="log")
    axes[0][0].set(ylabel="loss (nats)")
    axes[0][0].yaxis.set_minor_formatter(NullFormatter())
    fig.suptitle(title)
    return fig


def treatments(table, measures, title):
    """What a short treatment changes: every measure untreated and after each dose, with intervals over clips.

    Args:
        table: DataFrame: quantity, treatment ("none", "0 %", ...), mean, low, high, n.
        measures: which ones, from the top.
        title: of the figure; n is added.

    Returns:
        The figure.
    """
    fig, ax = plt.subplots(figsize=(7.2, 0.62 * len(measures) + 1.1), layout="constrained")
    names = list(table["treatment"].unique())
    colours = ["black", *sns.blend_palette([PALETTE["control"], PALETTE["other"]], len(names) - 1)]
    for place, (name, colour) in enumerate(zip(names, colours, strict=True)):
        rows = table[table["treatment"] == name].set_index("quantity").loc[list(measures)]
        y = [len(measures) - 1 - i + 0.2 * ((len(names) - 1) / 2 - place) for i in range(len(measures))]
        reach = [rows["mean"] - rows["low"], rows["high"] - rows["mean"]]
        label = "untreated" if name == "none" else f"{name} conflict"
        face = {"markerfacecolor": "white"} if name == "none" else {}
        ax.errorbar(rows["mean"], y, xerr=reach, fmt="osD^v"[place % 5], color=colour, label=label, capsize=2, **face)
    ax.set_yticks(range(len(measures)), labels=list(measures)[::-1])
    ax.set(xlim=(-0.03, 1.03), xlabel="fidelity", title=f"{title} (n = {table['n'].max()})")
    fig.legend(loc="outside lower center", ncol=len(names), frameon=False)
    return fig
