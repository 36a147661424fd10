"""Figures: they show what the numbers say."""

import matplotlib
import numpy as np
import pandas as pd
import pytest

matplotlib.use("agg")

from avnb import plots
from avnb.analyses import patches
from avnb.plots.style import INK


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
    assert "chosen donor 0.00, random one 0.33 (n = 3)" in fig.axes[0].get_title()


def test_what_was_put_in_has_a_line_by_its_layer_and_the_clip_as_it_is_a_level():
    rows = [("a", "nothing", 0, 0, patches.HEARD, 0.25)]
    rows += [("a", patches.PICTURE, s, 3, patches.LENT, value) for s, value in enumerate((1.0, 0.5, 0.0))]
    rows += [("a", patches.PICTURE, s, 3, patches.SEEN, 0.75) for s in range(3)]
    fig = plots.lens.patched(pd.DataFrame(rows, columns=["clip", "instead", "start", "stop", "quantity", "value"]), "t")
    line, level = fig.axes[0].lines
    assert line.get_xydata().tolist() == [[0, 1], [1, 0.5], [2, 0]] and line.get_color() == plots.PALETTE["video"]
    assert set(level.get_ydata()) == {0.25}
    told = [text.get_text() for text in fig.legends[0].get_texts()]
    assert told == ["picture of another clip: that picture", "nothing put in: what is heard"]


def test_every_readout_has_a_panel():
    rows = [("a", "counterfactual", name, 0, "heard", 0.5) for name in ("lens", "heard", "seen", "shuffled")]
    table = pd.DataFrame(rows, columns=["clip", "kind", "readout", "layer", "target", "value"])
    titles = [ax.get_title().split("\n")[0] for ax in plots.lens.readouts(table, 3, "t").axes]
    assert titles[0] == "the lens" and titles[1] == "probe, taught what is heard" and len(titles) == 4


def test_ink_on_coloured_cells_does_not_follow_the_page():
    rows = [("0-1", 1, 0.05, 0.0, 0.1, 9), ("0-1", 3, 0.9, 0.8, 1.0, 9)]
    cells = pd.DataFrame(rows, columns=["depth", "top_k", "mean", "low", "high", "n"])
    inks = {text.get_color() for text in plots.lens.choices(cells, "title").axes[0].texts}
    assert inks == {"white", INK}, "black becomes white in dark mode, on a cell that stays light"
