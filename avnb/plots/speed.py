"""What the engine costs, as a figure."""

import seaborn as sns

from avnb.plots.style import PALETTE


def growth(cells, names):
    """What a sweep costs against its number of conditions, for each length of the prompt.

    Args:
        cells: DataFrame from `speed.cells()`, for one answer length.
        names: which methods to show, {method: label}.

    Returns:
        The figure.
    """
    table = cells[cells["method"].isin(names)].assign(method=lambda t: t["method"].map(names))
    colours = dict(zip(names.values(), (PALETTE["other"], PALETTE["text"], PALETTE["control"]), strict=False))
    grid = sns.relplot(
        table, x="conditions", y="ratio", hue="method", style="method", col="prompt", kind="line", markers=True,
        palette=colours, height=2.9, aspect=0.95, hue_order=names.values(), style_order=names.values(),
    )  # fmt: skip
    grid.set(xscale="log", yscale="log", xlabel="conditions N", ylabel="time (one plain generate = 1)")
    grid.set_titles("{col_name} prompt tokens")
    ticks = sorted(table["conditions"].unique())
    for ax in grid.axes.flat:
        ax.axhline(1, color="black", linewidth=0.8, linestyle=":")
        ax.set_xticks(ticks, labels=ticks, minor=False)
        ax.minorticks_off()
    n = table["conditions"].max()
    last = table[table["conditions"] == n].groupby("method", sort=False)["ratio"].mean()
    told = ", ".join(f"{time:.0f} ({method})" for method, time in last.items())
    grid.figure.suptitle(f"{n} conditions take as long as {told} plain answers", y=1.04)
    sns.move_legend(grid, "upper center", bbox_to_anchor=(0.45, 0), ncol=len(names), title=None, frameon=False)
    return grid.figure
