"""Figures of the making of counterfactual clips."""

import matplotlib.pyplot as plt
import numpy as np
import seaborn as sns

from avnb.plots.style import PALETTE


def similarity_heatmap(similarity, donors):
    """How alike the clips' sounds are described, with every clip's donor marked.

    Args:
        similarity: [n, n], from `curate.similarity`.
        donors: int [n], the index of each clip's donor.

    Returns:
        The figure.
    """
    n = len(donors)
    fig, ax = plt.subplots(figsize=(5.4, 4.4), layout="constrained")
    sns.heatmap(similarity, ax=ax, cmap="mako", vmin=0, vmax=1, square=True, cbar_kws={"label": "cosine similarity"})
    ax.scatter(np.asarray(donors) + 0.5, np.arange(n) + 0.5, s=22, color=PALETTE["audio"], label="chosen donor")
    ticks = np.arange(0, n, max(1, n // 8))
    ax.set(xlabel="donor (clip number)", ylabel="clip number", xticks=ticks + 0.5, yticks=ticks + 0.5)
    ax.set(xticklabels=ticks, yticklabels=ticks, title=f"Donors sound unlike the clip they are given to (n = {n})")
    ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.14), frameon=False)
    return fig


def similarity_histogram(table):
    """Similarity of a clip's own caption and the caption of the sound it got.

    Args:
        table: DataFrame with the columns `sound` (what kind of donor) and `similarity`.

    Returns:
        The figure.
    """
    fig, ax = plt.subplots(figsize=(6, 2.8), layout="constrained")
    colours = dict(zip(table["sound"].unique(), (PALETTE["audio"], PALETTE["control"], PALETTE["video"]), strict=False))
    bins = np.linspace(min(0, table["similarity"].min()) - 1e-4, 1, 15)
    n = table.groupby("sound").size().max()
    sns.histplot(table, x="similarity", hue="sound", bins=bins, multiple="dodge", shrink=0.85, ax=ax, palette=colours)
    ax.set(
        xlabel="similarity to the clip's own audio caption",
        ylabel="clips",
        title=f"How like its own sound is the one a clip gets? (n = {n})",
    )
    sns.move_legend(ax, "upper center", title=None, frameon=False)
    return fig
