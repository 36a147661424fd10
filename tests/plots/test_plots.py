"""Figures: they show what the numbers say."""

import matplotlib
import numpy as np
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


def test_heatmap_marks_chosen_and_random_donors_and_tells_their_means():
    fig = plots.curation.similarity_heatmap(np.eye(3), [1, 2, 0], [0, 2, 1])
    chosen, random = (marks.get_offsets().tolist() for marks in fig.axes[0].collections[-2:])
    assert chosen == [[1.5, 0.5], [2.5, 1.5], [0.5, 2.5]] and random == [[0.5, 0.5], [2.5, 1.5], [1.5, 2.5]]
    assert "is 0.00 like the clip's own, a random one's 0.33 (n = 3)" in fig.axes[0].get_title()
