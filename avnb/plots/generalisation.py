"""Figures that set several models side by side: filled marks were measured here, hollow ones are published."""

import matplotlib.pyplot as plt
from matplotlib.lines import Line2D

from avnb.plots.style import PALETTE, SHADE
from avnb.study import compare as numbers

_BLOCKS = {
    numbers.HERE: "measured here",
    numbers.PUBLISHED: "published, not run here",
}
_ROW = 0.36  # inches


def fidelity(table):
    """Audio fidelity of factual and counterfactual clips, and its drop, model by model.

    Args:
        table: from `generalisation.numbers`.

    Returns:
        The figure.
    """
    columns = [
        {
            numbers.FACTUAL: ("ordinary clips", PALETTE["audio"], "o"),
            numbers.COUNTERFACTUAL: ("conflicting clips", PALETTE["audio"], "D"),
        },
        {numbers.DROP: ("drop", PALETTE["audio"], "s")},
    ]
    fig, axes = _grid(table, columns, ["audio fidelity (0 to 1)", "how much less on conflicting clips"], (1.5, 1))
    for row in axes:
        row[0].set_xlim(-0.03, 1.03)
        row[1].axvline(0, color="black", linewidth=0.8)
    drop = table[(table["quantity"] == numbers.DROP) & (table["source"] == numbers.HERE)]
    n_fall = int((drop["low"] > 0).sum())
    fig.suptitle(f"{n_fall} of {len(drop)} models run here clearly name the sound of conflicting clips less well")
    return fig


def inside(table):
    """Knockout recovery, latent recall and the shortcut index, model by model, each with its control.

    Args:
        table: from `generalisation.numbers`.

    Returns:
        The figure.
    """
    columns = [
        {
            numbers.RECOVERY: ("answer cannot look at the picture", PALETTE["audio"], "o"),
            numbers.RECOVERY_CONTROL: ("control: random positions", PALETTE["text"], "s"),
        },
        {
            numbers.RECALL: ("the clip's own sounds", PALETTE["audio"], "D"),
            numbers.RECALL_NULL: ("chance: another clip's sounds", PALETTE["text"], "^"),
        },
        {numbers.SHORTCUT: ("shortcut index", PALETTE["other"], "o")},
    ]
    columns = [{name: look for name, look in column.items() if (table["quantity"] == name).any()} for column in columns]
    labels = ["change of audio fidelity", "share of sounds (0 to 1)", "0 sound decides, 1 picture"]
    titles = ["Recovery", "Latent recall", "Shortcut index"]
    kept = [i for i, column in enumerate(columns) if column]
    fig, axes = _grid(table, [columns[i] for i in kept], [labels[i] for i in kept])
    for i, ax in zip(kept, axes[0], strict=True):
        ax.set_title(titles[i])
    beyond = table[table["quantity"] == numbers.RECOVERY_BEYOND]
    if len(beyond):
        n_clear = int(beyond["stands"].sum())
        fig.suptitle(
            f"Looking away brings the sound back, beyond the control, in {n_clear} of {len(beyond)} models run here"
        )
    for row in axes:
        for i, ax in zip(kept, row, strict=True):
            if i == 0:
                ax.axvline(0, color="black", linewidth=0.8)
            else:
                ax.set_xlim(-0.03, 1.03)
    return fig


def _grid(table, columns, labels, widths=None):
    """One row of axes for each source, one column for each dict quantity -> (label, colour, marker)."""
    table = table[table["quantity"].isin({name for column in columns for name in column})]
    names = {source: list(dict.fromkeys(table.loc[table["source"] == source, "model"])) for source in _BLOCKS}
    names = {source: some for source, some in names.items() if some}
    heights = [len(some) + 0.4 for some in names.values()]
    fig, axes = plt.subplots(
        len(names), len(columns), figsize=(9, _ROW * sum(heights) + 1.9), squeeze=False, sharex="col", sharey="row",
        height_ratios=heights, width_ratios=widths, layout="constrained",
    )  # fmt: skip
    for row, (source, some) in zip(axes, names.items(), strict=True):
        for ax, column in zip(row, columns, strict=True):
            rows = table[(table["source"] == source) & table["quantity"].isin(column)]
            _points(ax, rows, some, column, filled=source == numbers.HERE)
            if rows.empty:
                ax.text(
                    0.5, 0.5, f"not {source}", transform=ax.transAxes, ha="center", va="center", color=PALETTE["text"]
                )
        row[0].set(yticks=range(len(some)), yticklabels=some, ylim=(len(some) - 0.4, -0.6))
        row[0].text(0, 1.02, _BLOCKS[source], transform=row[0].transAxes, ha="right", va="bottom", weight="bold")
        if source == numbers.PUBLISHED:
            for ax in row:
                ax.axhspan(-0.6, len(some) - 0.4, color=SHADE, linewidth=0, zorder=0)
    for ax, label in zip(axes[-1], labels, strict=True):
        ax.set_xlabel(label, fontsize=9)
    looks = [look for column in columns if len(column) > 1 for look in column.values()]
    handles = [Line2D([], [], color=colour, marker=marker, linestyle="", label=text) for text, colour, marker in looks]
    fig.legend(handles=handles, loc="outside lower center", ncol=2, frameon=False, fontsize=9)
    return fig, axes


def _points(ax, table, names, column, filled):
    """The numbers of some quantities, one line for each model, with their intervals."""
    shifts = {1: (0,), 2: (-0.14, 0.14)}[len(column)]
    for shift, (quantity, (_, colour, marker)) in zip(shifts, column.items(), strict=True):
        rows = table[table["quantity"] == quantity].set_index("model").reindex(names)
        y = [i + shift for i in range(len(names))]
        ax.hlines(y, rows["low"], rows["high"], color=colour, linewidth=1.8)
        face = colour if filled else "white"
        ax.plot(rows["mean"], y, marker, color=colour, markerfacecolor=face, markersize=6.5, markeredgewidth=1.5)
    ax.grid(axis="x", color=SHADE, linewidth=0.6)
    ax.set_axisbelow(True)
