"""The figures of the benchmarks show the numbers of their tables."""

import matplotlib.pyplot as plt
import pandas as pd
import pytest

from avnb import plots


def test_answered_shows_every_mean_and_chance():
    rows = [("a", "both", 0.9, 0.8, 1.0, 8, 0.5), ("a", "video", 0.7, 0.6, 0.8, 8, 0.5)]
    rows += [("b", "both", 0.4, 0.3, 0.5, 6, 0.25)]
    table = pd.DataFrame(rows, columns=["task", "inputs", "mean", "low", "high", "n", "chance"])
    figure = plots.benchmarks.answered(table, "title")
    (ax,) = figure.axes
    drawn = {line.get_label(): list(line.get_xdata()) for line in ax.lines}
    assert drawn["both"] == [0.9, 0.4] and drawn["picture alone"][0] == 0.7
    assert [text.get_text() for text in ax.get_yticklabels()] == ["a\nn = 8", "b\nn = 6"]
    plt.close(figure)


def test_apart_is_drawn_between_the_measured_ends():
    rows = [("m", "own", 0.9), ("m", "foreign", 0.3), ("k", "own", 0.8), ("k", "foreign", 0.7)]
    figure = plots.benchmarks.apart(pd.DataFrame(rows, columns=["model", "sound", "mean"]), {"a set": 0.2}, "title")
    drawn = {line.get_label(): list(line.get_ydata()) for line in figure.axes[0].lines}
    assert drawn["m"] == pytest.approx([0.9, 0.3]) and drawn["k"] == pytest.approx([0.8, 0.7])
    plt.close(figure)
