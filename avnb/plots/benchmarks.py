"""Figures of questions with options: what is answered with a modality taken away, and what tells models apart."""

import matplotlib.pyplot as plt
import numpy as np

from avnb.plots.style import PALETTE

_LOOKS = {
    "both": ("both", "black", "D"),
    "silent": ("picture, silent track", PALETTE["video"], "s"),
    "video": ("picture alone", PALETTE["video"], "o"),
    "audio": ("sound alone", PALETTE["audio"], "o"),
    "text": ("text alone", PALETTE["text"], "x"),
}


def answered(table, title):
    """Accuracy of each task with and without each modality, beside chance.

    Args:
        table: from `questions.accuracy`, by source, task and inputs, of one rule.
        title: of the figure.

    Returns:
        The figure.
    """
    tasks = list(dict.fromkeys(table["task"]))
    fig, ax = plt.subplots(figsize=(8, 0.75 * len(tasks) + 1.6), layout="constrained")
    for i, (inputs, (label, colour, marker)) in enumerate(_LOOKS.items()):
        rows = table[table["inputs"] == inputs].set_index("task").reindex(tasks)
        y = np.arange(len(tasks)) + 0.15 * (i - 2)
        ax.hlines(y, rows["low"], rows["high"], color=colour, linewidth=1.6)
        ax.plot(rows["mean"], y, marker, color=colour, label=label, markersize=6)
    for i, task in enumerate(tasks):
        some = table[table["task"] == task]
        ax.vlines(some["chance"].iloc[0], i - 0.42, i + 0.42, color=PALETTE["control"], linestyle=":", linewidth=2)
    labels = [f"{task}\nn = {table.loc[table['task'] == task, 'n'].max()}" for task in tasks]
    ax.set(yticks=range(len(tasks)), yticklabels=labels, ylim=(len(tasks) - 0.45, -0.55), xlim=(-0.03, 1.03))
    ax.set(xlabel="share of questions answered (dotted: chance)")
    fig.suptitle(title)
    fig.legend(loc="outside lower center", ncol=len(_LOOKS), frameon=False, fontsize=9)
    return fig


def apart(table, shares, title):
    """What sets of different make-up say of several models: their accuracy, by the share of clips in conflict.

    Args:
        table: DataFrame: model, sound ("own" or "foreign"), mean (accuracy).
        shares: name -> share of questions about foreign sounds in a set, drawn as a line.
        title: of the figure.

    Returns:
        The figure.
    """
    fig, ax = plt.subplots(figsize=(7, 3.6), layout="constrained")
    x = np.linspace(0, 1, 2)
    lines = ["-", "--", "-."]
    for (model, some), line in zip(table.groupby("model", sort=False), lines, strict=False):
        mean = some.set_index("sound")["mean"]
        ends = (1 - x) * mean["own"] + x * mean["foreign"]
        ax.plot(x, ends, color=PALETTE["other"], linestyle=line, label=model, linewidth=2)
    for name, share in shares.items():
        ax.axvline(share, color=PALETTE["control"], linestyle=":", linewidth=2)
        ax.text(share + 0.01, 0.02, name, rotation=90, fontsize=9, va="bottom", color=PALETTE["text"])
    ax.set(xlabel="share of questions whose sound does not belong to the picture", ylabel="accuracy", ylim=(0, 1.03))
    ax.set(xlim=(0, 1), title=title)
    ax.legend(frameon=False, loc="lower right")
    return fig
