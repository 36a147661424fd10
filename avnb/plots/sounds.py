"""Pictures of sounds."""

import matplotlib.pyplot as plt
import numpy as np
from scipy.signal import ShortTimeFFT

RATE = 16_000  # Hz


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


def spectrograms(waves, titles, n_columns=3) -> plt.Figure:
    """Sounds on one scale, at most `n_columns` beside each other. Returns the figure."""
    n_columns = min(n_columns, len(waves))
    n_rows = -(-len(waves) // n_columns)
    size = (2.5 * n_columns + 0.3, 1.75 * n_rows + 0.6)
    fig, axes = plt.subplots(n_rows, n_columns, figsize=size, sharey=True, squeeze=False, layout="constrained")
    for i, (ax, wave, title) in enumerate(zip(axes.flat, waves, titles, strict=False)):
        image = spectrogram(wave, ax, title)
        if i % n_columns:
            ax.set_ylabel("")
        if i + n_columns < len(waves):
            ax.set_xlabel("")
    for ax in axes.flat[len(waves) :]:
        ax.remove()
    fig.colorbar(image, ax=axes.flat[: len(waves)], label="power (dB below the loudest)", pad=0.01)
    return fig
