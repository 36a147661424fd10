"""Figure of the replicas: what organisms of every upbringing hear, see, and answer."""

import matplotlib.pyplot as plt

from avnb.plots.style import PALETTE

_PANELS = {
    "hearing": ("says what is heard\n(fidelity,\nconflicting clips)", "audio"),
    "seeing": ("says what is seen\n(fidelity,\nconflicting clips)", "video"),
    "followed": ("answers what\nis asked\n(share of answers)", "other"),
}
_MARKS = "osD^v"


def replicas(table, title):
    """One row for each upbringing, one mark for each replica; hollow where the organism does not follow its questions.

    Args:
        table: of `contrasts.organisms`.
        title: of the figure; the number of replicas is added.

    Returns:
        The figure.
    """
    arms, seeds = list(table["arm"].unique()), sorted(table["seed"].unique())
    fig, axes = plt.subplots(1, 3, figsize=(9, 0.34 * len(arms) + 1.6), sharey=True, layout="constrained")
    for ax, (name, (label, colour)) in zip(axes, _PANELS.items(), strict=True):
        for row in table.itertuples():
            place, n = seeds.index(row.seed), len(seeds)
            y = len(arms) - 1 - arms.index(row.arm) + 0.22 * ((n - 1) / 2 - place)
            fill = PALETTE[colour] if row.follows else "none"
            ax.plot(getattr(row, name), y, _MARKS[place % 5], color=PALETTE[colour], markerfacecolor=fill, markersize=5)
        ax.set(xlim=(-0.04, 1.04), xlabel=label)
        ax.grid(axis="y", alpha=0.3)
    axes[0].set_yticks(range(len(arms)), labels=arms[::-1])
    handles = [
        plt.Line2D([], [], color="black", marker=_MARKS[i % 5], linestyle="", label=f"replica {seed}")
        for i, seed in enumerate(seeds)
    ]
    hollow = {"markerfacecolor": "none", "label": "question not followed"}
    handles.append(plt.Line2D([], [], color="black", marker="o", linestyle="", **hollow))
    fig.legend(handles=handles, loc="outside lower center", ncol=len(handles), frameon=False)
    fig.suptitle(f"{title} ({len(seeds)} replicas)")
    return fig
