"""Verdicts on patches: planted effects are called what they are, and nothing is called nothing."""

import numpy as np
import pandas as pd
import pytest

from avnb.analyses import patches
from avnb.analyses.patches import ALONE, FREE, HEARD, LENT, OTHER, PICTURE


def planted(own=0.1, sound=0.0, picture=0.8, carried=0.9, n=40, seed=0):
    """A table in which the share of clips with a hit is planted for every patch."""
    rng, rows = np.random.default_rng(seed), []
    what = [("nothing", 0, 0, HEARD, 0.1), (ALONE, 0, 7, HEARD, own), (OTHER, 0, 7, LENT, sound)]
    what += [(PICTURE, 0, 7, LENT, picture), (FREE, 0, 7, LENT, carried)]
    for name, start, stop, quantity, share in what:
        hits = rng.permutation(np.arange(n) < share * n)
        rows += [(str(i), name, start, stop, quantity, float(hit)) for i, hit in enumerate(hits)]
    return pd.DataFrame(rows, columns=["clip", "instead", "start", "stop", "quantity", "value"])


@pytest.mark.parametrize(
    ("shares", "claim"),
    [
        ({}, "picture"),
        ({"own": 0.8}, "both"),
        ({"sound": 0.8, "picture": 0.0}, "sound"),
        ({"sound": 0.3, "picture": 0.3}, "neither"),
        ({"carried": 0.1}, ""),
    ],
)
def test_the_verdict_names_what_was_planted(shares, claim):
    found = patches.verdict(planted(**shares))
    assert found.claim == claim
    assert found.own.n == 40 and found.carried.mean == pytest.approx(shares.get("carried", 0.9))


def test_nothing_is_rarely_taken_for_an_effect():
    claims = [patches.verdict(planted(sound=0.3, picture=0.3, seed=seed)).claim for seed in range(40)]
    assert claims.count("neither") >= 33


def test_clips_that_lack_a_stranger_do_not_count():
    table = planted()
    table = table[(table["clip"] != "0") | (table["instead"] != OTHER)]
    assert patches.verdict(table).picture.n == 39
    later = table.assign(start=table["start"] + 3)
    assert patches.per_clip(later, ALONE, HEARD, 3).size == 40 and patches.per_clip(later, ALONE, HEARD, 0).empty
