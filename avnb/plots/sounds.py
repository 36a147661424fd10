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


def spectrograms(waves, titles) -> plt.Figure:
    """Sounds beside each other on one scale. Returns the figure."""
    fig, axes = plt.subplots(
        1, len(waves), figsize=(2.6 * len(waves), 2.3), sharey=True, squeeze=False, layout="constrained"
    )
    for ax, wave, title in zip(axes[0], waves, titles, strict=True):
        image = spectrogram(wave, ax, title)
        ax.label_outer()
    fig.colorbar(image, ax=axes, label="power (dB)", pad=0.01)
    return fig
