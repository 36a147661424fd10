"""Figures: they show what the numbers say."""

import matplotlib
import numpy as np
import pandas as pd
import pytest

matplotlib.use("agg")

from avnb import plots


@pytest.fixture(autouse=True)
def closed():
    yield
    matplotlib.pyplot.close("all")


def test_spectrogram_is_bright_where_the_tone_is():
    tone = np.sin(2 * np.pi * 2000 * np.arange(16_000) / 16_000).astype(np.float32)
    fig, ax = matplotlib.pyplot.subplots()
    image = plots.sounds.spectrogram(tone, ax, "2 kHz")
    decibels = image.get_array()
    rows = np.linspace(0, 8, decibels.shape[0])
    assert rows[decibels.mean(axis=1).argmax()] == pytest.approx(2.0, abs=0.05)
    assert decibels.max() == pytest.approx(0, abs=0.1)
    assert ax.get_xlabel() == "time (s)" and ax.get_ylabel() == "frequency (kHz)"


def test_a_silent_sound_has_a_spectrogram():
    fig = plots.sounds.spectrograms([np.zeros(8000, np.float32)], ["silence"])
    assert np.isfinite(fig.axes[0].images[0].get_array()).all()


def test_heatmap_marks_the_donors():
    fig = plots.curation.similarity_heatmap(np.eye(3), [1, 2, 0])
    marks = fig.axes[0].collections[-1].get_offsets()
    assert marks.tolist() == [[1.5, 0.5], [2.5, 1.5], [0.5, 2.5]]
    assert "n = 3" in fig.axes[0].get_title()


def test_histogram_counts_every_clip():
    table = pd.DataFrame({"sound": ["chosen"] * 3 + ["random"] * 2, "similarity": [0.0, 0.0, 0.1, 0.9, 1.0]})
    fig = plots.curation.similarity_histogram(table)
    assert sum(patch.get_height() for patch in fig.axes[0].patches) == 5
