"""Every figure of the book: one palette, one style, drawn from tidy tables or from a clip.

>>> PALETTE["audio"], PALETTE["video"]
('#D55E00', '#0072B2')
"""

import matplotlib.pyplot as plt
import numpy as np
import seaborn as sns
from scipy.signal import ShortTimeFFT

# Okabe and Ito's colours, told apart by colour-blind readers too; the same meaning on every page.
PALETTE = {"audio": "#D55E00", "video": "#0072B2", "text": "#777777", "control": "#BBBBBB"}
RATE = 16_000  # Hz


def style():
    """The look of all figures; call it once, before the first one."""
    sns.set_theme(style="ticks", context="notebook", font_scale=0.9)
    plt.rcParams.update({"axes.spines.top": False, "axes.spines.right": False, "figure.dpi": 110})


def spectrogram(wave, ax, title=""):
    """The power of a sound over time (s) and frequency (kHz), in dB below its loudest moment.

    Args:
        wave: float32 [n], mono, 16 kHz.
        ax: matplotlib axes to draw on.
        title: of the axes.

    Returns:
        The image, for a colour bar.
    """
    power = ShortTimeFFT.from_window("hann", RATE, 512, 384, scale_to="magnitude").spectrogram(wave)
    decibels = 10 * np.log10(power / max(power.max(), 1e-12) + 1e-8)
    image = ax.imshow(
        decibels, origin="lower", aspect="auto", cmap="magma", vmin=-70, vmax=0,
        extent=(0, len(wave) / RATE, 0, RATE / 2000),
    )  # fmt: skip
    ax.set(title=title, xlabel="time (s)", ylabel="frequency (kHz)")
    return image


def spectrograms(waves, titles):
    """Sounds beside each other on one scale. Returns the figure."""
    fig, axes = plt.subplots(
        1, len(waves), figsize=(2.6 * len(waves), 2.3), sharey=True, squeeze=False, layout="constrained"
    )
    for ax, wave, title in zip(axes[0], waves, titles, strict=True):
        image = spectrogram(wave, ax, title)
        ax.label_outer()
    fig.colorbar(image, ax=axes, label="power (dB)", pad=0.01)
    return fig


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


def growth(cells, names):
    """What a sweep costs against its number of conditions, for each length of the prompt.

    Args:
        cells: DataFrame from `speed.cells()`, for one answer length.
        names: which methods to show, {method: label}.

    Returns:
        The figure.
    """
    table = cells[cells["method"].isin(names)].assign(method=lambda t: t["method"].map(names))
    colours = dict(zip(names.values(), ("#009E73", PALETTE["control"], PALETTE["text"]), strict=False))
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
    sns.move_legend(grid, "upper center", bbox_to_anchor=(0.45, 0), ncol=len(names), title=None, frameon=False)
    return grid.figure
