"""The figure of the making of conflicting clips."""

import matplotlib.pyplot as plt
import numpy as np
import seaborn as sns

from avnb.plots.style import PALETTE


def similarity_heatmap(similarity, donors, random):
    """How alike the clips' sounds are described, with the donor of every clip: the chosen one, and one drawn at random.

    Args:
        similarity: [n, n], from `curate.similarity`.
        donors: int [n], the index of each clip's donor.
        random: int [n], the index of a donor drawn at random, the control.

    Returns:
        The figure.
    """
    n, rows = len(donors), np.arange(len(donors))
    chosen, by_chance = similarity[rows, donors].mean(), similarity[rows, random].mean()
    fig, ax = plt.subplots(figsize=(6, 4.6), layout="constrained")
    label = {"label": "similarity of the captions (cosine)"}
    sns.heatmap(similarity, ax=ax, cmap="mako", vmin=0, vmax=1, square=True, cbar_kws=label, rasterized=True)
    ax.scatter(np.asarray(donors) + 0.5, rows + 0.5, s=24, color=PALETTE["audio"], label="chosen donor")
    looks = {"marker": "x", "s": 22, "linewidth": 1.4, "color": PALETTE["control"]}
    ax.scatter(np.asarray(random) + 0.5, rows + 0.5, label="random donor (control)", **looks)
    ax.set(xlabel="whose sound is taken", ylabel="clip", xticks=[], yticks=[])
    ax.set_title(
        f"Similarity to the clip's own caption: chosen donor {chosen:.2f}, random one {by_chance:.2f} (n = {n})"
    )
    fig.legend(loc="outside lower center", ncol=2, frameon=False, labelcolor="black")
    return fig
