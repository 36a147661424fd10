"""Variation: the same seed gives the same draws, and no two splits share a value."""

import numpy as np
import pytest

from avnb.toybox.vary import N_SLICES, SPLITS, Variation


def draws(split, seed, n=50, low=0.0, high=1.0):
    variation = Variation(split, seed)
    return [variation.uniform(low, high) for _ in range(n)]


@pytest.mark.parametrize("seed", [0, 7, (3, 4), (3, 4, 1)])
def test_a_seed_repeats_its_draws(seed):
    def everything():
        v = Variation("train", seed)
        return [v.uniform(0, 1), v.integer(0, 1000), v.choice("abcdefgh"), v.chance(0.5), v.uniform(5, 6)]

    assert everything() == everything()


def test_seeds_and_splits_draw_differently():
    streams = [tuple(draws(split, seed)) for split in SPLITS for seed in (0, 1, (0, 1), (1, 0))]
    assert len(set(streams)) == len(streams)
    counts = {tuple(Variation(split, 0).integer(0, 10**9) for _ in range(3)) for split in SPLITS}
    assert len(counts) == len(SPLITS)


def test_splits_share_no_slice_and_cover_all():
    slices = {split: {int(x * N_SLICES) for x in draws(split, 0, 4000)} for split in SPLITS}
    for split in SPLITS:
        assert not any(slices[split] & slices[other] for other in SPLITS if other != split)
    assert set().union(*slices.values()) == set(range(N_SLICES))


@pytest.mark.parametrize("split", SPLITS)
def test_every_split_spans_the_whole_range(split):
    counts, _ = np.histogram(draws(split, 0, 2000, -10, 30), bins=8, range=(-10, 30))
    assert counts.min() > 150  # 250 expected


def test_bounds():
    values = draws("test", 1, 3000, 220, 480)
    assert min(values) >= 220 and max(values) < 480 and isinstance(values[0], float)
    v = Variation("test", 0)
    assert {v.integer(2, 5) for _ in range(100)} == {2, 3, 4}
    assert {v.choice(("sea", "field")) for _ in range(50)} == {"sea", "field"}


def test_chance():
    v = Variation("validation", 0)
    assert 0.15 < np.mean([v.chance(0.2) for _ in range(1000)]) < 0.25
    assert not any(v.chance(0) for _ in range(20)) and all(v.chance(1) for _ in range(20))


def test_an_unknown_split_is_refused():
    with pytest.raises(ValueError, match="'dev' is unknown; use one of train, validation, test"):
        Variation("dev", 0)
