"""Intervals over clips: they cover the truth, use the pairing, and count clips rather than rows."""

import math

import numpy as np
import pandas as pd
import pytest

from avnb.stats import clustered, curve, detectable, difference, interval, resampled, standing, summarise, verdict


def test_interval_is_that_of_the_mean():
    values = np.random.default_rng(0).normal(3, 2, size=200)
    mean, low, high, n = interval(values)
    assert mean == pytest.approx(values.mean()) and n == 200
    half = 1.96 * values.std(ddof=1) / math.sqrt(200)  # what the normal theory says
    assert low == pytest.approx(mean - half, abs=0.15 * half) and high == pytest.approx(mean + half, abs=0.15 * half)


def test_interval_covers_the_true_mean():
    draws = np.random.default_rng(1).beta(0.5, 1.5, size=(200, 40))  # skewed, within 0..1 as fidelity is
    results = [interval(values) for values in draws]
    covered = np.mean([result.low <= 0.25 <= result.high for result in results])
    assert 0.89 <= covered <= 0.99
    assert all(0 <= result.low <= result.mean <= result.high <= 1 for result in results)


def test_interval_is_reproducible():
    values = np.random.default_rng(4).random(50)
    assert interval(values) == interval(values) and interval(values) == interval(
        pd.Series(values, index=range(50, 0, -1))
    )
    assert interval(values, seed=1) != interval(values, seed=2)


@pytest.mark.filterwarnings("error")
def test_few_and_equal_values():
    mean, low, high, n = interval([0.5])
    assert (mean, n) == (0.5, 1) and math.isnan(low) and math.isnan(high)
    for values in ([1, 1], [0, 1], [0] * 39 + [1], [0.5] * 5 + [0.25]):
        result = interval(values)
        assert 0 <= result.low < result.high <= 1 and result.low <= result.mean <= result.high
    assert interval([0] * 12).low == 0 and interval([0] * 12).high == pytest.approx(0.2, abs=0.05)  # Jeffreys: 0.18
    assert math.isnan(interval([-7.0, -7.0]).low), "of equal log-probabilities nobody knows how far others lie"


def values_of(kind, n, rng):
    """n values of clips, and their true mean."""
    if kind == "change":
        return rng.choice([-1.0, 0.0, 1.0], p=[0.1, 0.7, 0.2], size=n), 0.1
    return ((rng.random(n) < 0.15) * 1.0, 0.15) if kind == "right or wrong" else (rng.normal(2, 3, n), 2)


@pytest.mark.parametrize("n", [4, 8, 12, 40])
@pytest.mark.parametrize("kind", ["change", "right or wrong", "nats"])
def test_intervals_of_few_clips_cover_the_truth(kind, n):
    rng, covered = np.random.default_rng(n), []
    for _ in range(200):
        values, truth = values_of(kind, n, rng)
        found = interval(values, signed=kind == "change")
        covered.append(found.low <= truth <= found.high)
    assert np.mean(covered) >= 0.91, "of 200 samples; 0.95 with a standard error of 0.015"


def values_of_sources(kind, n, rng, n_sources=20):
    """n values of clips that show so many sources, of which each has a mean of its own; theirs; and the true mean."""
    of = rng.integers(n_sources, size=n)
    if kind == "nats":
        return rng.normal(2, 2, n_sources)[of] + rng.normal(0, 2, n), of, 2
    if kind == "right or wrong":
        return (rng.random(n) < rng.beta(0.6, 3.4, n_sources)[of]) * 1.0, of, 0.15
    return (rng.random(n) < rng.beta(1, 4, n_sources)[of]) * 1.0 - (rng.random(n) < 0.1), of, 0.1


@pytest.mark.parametrize("n", [100, 400])
@pytest.mark.parametrize("kind", ["change", "right or wrong", "nats"])
def test_intervals_of_clips_that_share_sources_cover_the_truth_of_other_sources(kind, n):
    rng, covered, apart = np.random.default_rng(n), [], []
    for _ in range(100):
        values, of, truth = values_of_sources(kind, n, rng)
        for some, clusters in ((covered, of), (apart, None)):
            found = interval(values, signed=kind == "change", clusters=clusters)
            some.append(found.low <= truth <= found.high)
    assert np.mean(covered) >= (0.9 if kind == "nats" else 0.96), "of 100 samples; 0.95 with a standard error of 0.02"
    assert n < 400 or np.mean(apart) < 0.8, "as if every clip were another source"


def test_a_handful_of_equal_answers_is_no_finding():
    assert not verdict([1, 1], [0, 0]).stands and not verdict([1] * 4, [0] * 4).stands
    assert verdict([1] * 8, [0] * 8).stands, "a sign test would say the same: 2 / 2 ** 8 < 0.05"


def test_clips_that_share_a_source_count_together():
    rng = np.random.default_rng(3)
    sources = np.repeat(np.arange(12), 10)
    values = rng.normal(0, 1, 12)[sources] + rng.normal(0, 0.2, 120)
    alone, together = interval(values), interval(values, clusters=sources)
    assert together.mean == alone.mean and np.ptp(together[1:3]) > 2 * np.ptp(alone[1:3])
    indexed = pd.Series(sources, [f"{i}" for i in range(120)])
    effect = pd.Series(values, indexed.index)
    assert difference(effect[::-1], effect * 0, clusters=indexed)[1:3] == pytest.approx(together[1:3], abs=0.1)


def test_a_curve_of_noise_leaves_out_zero_as_seldom_as_one_point():
    rng = np.random.default_rng(0)
    curves = [curve(pd.DataFrame(rng.normal(size=(30, 12)))) for _ in range(60)]
    assert sum(one["stands"].any() for one in curves) <= 7
    apart = [(one["mean"].abs() > 1.96 / math.sqrt(30)).any() for one in curves]
    assert sum(apart) > 15, "point by point, chance would be called a finding"
    planted = curve(pd.DataFrame(rng.normal(size=(30, 12)) + np.repeat([0, 1.5], [9, 3])))
    assert planted["stands"].tolist() == [False] * 9 + [True] * 3


def test_of_many_effects_chance_makes_none_stand_and_the_planted_one_does():
    rng = np.random.default_rng(1)

    def noise():
        return pd.DataFrame(rng.normal(size=(30, 15)))

    assert sum(standing(noise(), noise()).any() for _ in range(60)) <= 5
    planted = noise()
    planted[3] += 1.5
    assert standing(planted, noise())[lambda found: found].index.tolist() == [3]
    assert not standing(planted, planted + 0.1 * noise()).any(), "the control shows it too"
    planted[3] += np.repeat([3, -1.5, -1.5], 10)
    assert standing(planted, noise())[3], "as if every clip were a witness of its own"
    assert not standing(planted, noise(), clusters=np.repeat([0, 1, 2], 10)).any(), "one of three sources"


def test_what_was_not_seen_is_told():
    nothing = pd.Series(np.tile([0.0, 0.5, -0.5, 0.0], 6))
    found = verdict(nothing, nothing * 0, baseline=np.full(24, 0.04))
    size = detectable(found.effect)
    assert f"24 clips show a change of {size:.2f} in four of five cases." in found.text
    assert "From 0.04 it cannot fall by more than 0.04, so that a fall could not be seen." in found.text
    rng = np.random.default_rng(0)
    samples = [interval(rng.normal(size, nothing.std(), 24), signed=True) for _ in range(200)]
    assert np.mean([one.low > 0 for one in samples]) == pytest.approx(0.8, abs=0.08)


@pytest.mark.parametrize("values", [[], [0.5, np.nan], [np.inf, 1], [[1.0, 2.0]]])
def test_values_that_have_no_interval(values):
    with pytest.raises(ValueError, match="must be finite numbers, one per clip"):
        interval(values)


def test_pairing_narrows_the_interval():
    rng = np.random.default_rng(2)
    easy = rng.uniform(0, 0.9, size=60)  # how easy a clip is, for both conditions
    a, b = easy + 0.05 + rng.normal(0, 0.02, 60), easy + rng.normal(0, 0.02, 60)
    paired = difference(a, b)
    assert paired.mean == pytest.approx(a.mean() - b.mean()) and paired.low < 0.05 < paired.high
    unpaired = difference(a, rng.permutation(b))
    assert unpaired.mean == pytest.approx(paired.mean)
    assert paired.high - paired.low < 0.2 * (unpaired.high - unpaired.low)
    assert paired.low > 0 > unpaired.low  # only the pairing shows the effect


def test_series_are_paired_by_clip():
    a = pd.Series({"x": 0.9, "y": 0.5, "z": 0.1})
    b = pd.Series({"z": 0.0, "x": 0.8, "y": 0.4})
    result = difference(a, b)
    assert result.low == pytest.approx(0.1) and result.high == pytest.approx(0.1) and result.n == 3
    for wrong in (b[:2], b.rename({"z": "w"}), pd.concat([b, b])):
        with pytest.raises(ValueError, match="of the same clips"):
            difference(a, wrong)
    with pytest.raises(ValueError, match="of the same clips"):
        difference([1.0, 2.0], [1.0])


def test_summary_by_groups_counts_clips():
    rng = np.random.default_rng(3)
    values = rng.random(30)
    once = pd.DataFrame({"clip": range(30), "kind": ["mute", "factual"] * 15, "model": "toy", "value": values})
    result = summarise(once, ["model", "kind"])
    assert list(result.columns) == ["model", "kind", "mean", "low", "high", "n"]
    assert result["kind"].tolist() == ["mute", "factual"] and result["n"].tolist() == [15, 15]
    assert tuple(result.iloc[0, 2:]) == pytest.approx(tuple(interval(values[::2])))
    again = pd.concat([once] * 3)
    pd.testing.assert_frame_equal(summarise(again, ["model", "kind"]), result)  # the same answer thrice is one clip
    without = summarise(again.drop(columns="clip"), "kind")
    assert without["n"].tolist() == [45, 45]


def test_summary_names_what_is_missing():
    table = pd.DataFrame({"clip": [0], "value": [1.0]})
    with pytest.raises(ValueError, match="no column 'kind'; it has clip, value"):
        summarise(table, "kind")
    with pytest.raises(ValueError, match="not finite"):
        summarise(pd.DataFrame({"clip": [0, 0], "kind": 1, "value": [1.0, np.nan]}), "kind")


def test_resampled_statistics():
    rng = np.random.default_rng(0)
    a, b = rng.normal(1, 1, 60), rng.normal(0, 2, 40)

    def gap(a, b):
        return a - b

    found = resampled(gap, a, b)
    error = np.sqrt(a.var() / 60 + b.var() / 40)
    assert found.mean == pytest.approx(a.mean() - b.mean()) and found.n == 100
    assert found[1:3] == pytest.approx((found.mean - 1.96 * error, found.mean + 1.96 * error), abs=0.1 * error)
    assert found == resampled(gap, a, b, seed=0) != resampled(gap, a, b, seed=1)
    wide = resampled(lambda x: x[..., 0] / x[..., 1], np.stack([2 * a, a], 1))  # rows stay together
    assert wide[:3] == pytest.approx((2, 2, 2))


def test_resampled_statistics_of_clusters_are_those_of_their_means():
    rng = np.random.default_rng(0)
    means, clusters = rng.normal(size=20), np.repeat(np.arange(20), 8)

    def same(x):
        return x

    wide = resampled(same, means[clusters], clusters=[clusters])
    assert wide.n == 160 and wide[:3] == pytest.approx(resampled(same, means)[:3])
    narrow = resampled(same, means[clusters])
    assert wide.high - wide.low > 2 * (narrow.high - narrow.low)


def test_resampled_statistics_that_say_nothing():
    def share(a, b):
        return b / a

    assert np.isnan(resampled(share, [0.0, 0.0, 0.0], [1.0, 0.5])[1:3]).all()
    single = resampled(share, [2.0], [1.0, 1.0])
    assert single.mean == 0.5 and np.isnan(single.low) and single.n == 3
    with pytest.raises(ValueError, match=r"samples of \[2, 0\] clips"):
        resampled(share, [1.0, 2.0], [])


def around(mean, n=40, spread=0.1, seed=0):
    """n values of clips with about this mean."""
    return pd.Series(np.random.default_rng(seed).normal(mean, spread, n), index=[f"clip-{i}" for i in range(n)])


@pytest.mark.parametrize("sign", [1, -1])
def test_an_effect_beyond_its_control_stands(sign):
    effect, control = sign * around(0.4), sign * around(0.1, seed=1)
    found = verdict(effect, control[::-1])  # paired by clip, whatever their order
    assert found.stands and found.text.startswith("The effect stands out from its control: ")
    assert found.effect == interval(effect) and found.control == interval(control[::-1])
    assert found.difference == difference(effect, control)
    for number in (found.effect.mean, found.control.mean, found.difference.low):
        assert f"{number:+.2f}" in found.text
    assert found.text.endswith("(n = 40).")


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("control", [0.4, 0.9])
def test_an_effect_that_the_control_shows_too_does_not_stand(sign, control):
    found = verdict(sign * around(0.4), sign * around(control, seed=1))
    assert not found.stands and found.text.startswith("**No finding, the control shows the same effect**: ")


def test_what_else_does_not_stand():
    nothing = verdict(around(0.0, seed=3), around(0.3, seed=1))
    assert not nothing.stands and nothing.text.startswith("**No effect was seen**")
    same = around(0.1, spread=0)
    assert verdict(same * 0, same * 0).text.startswith("**No effect was seen**: +0.00 (-0.")
    noisy = verdict(around(0.1, spread=0.2), around(0.05, spread=0.4, seed=2))
    assert not noisy.stands and noisy.text.startswith("**No finding, the effect cannot be told from its control**")
    single = verdict(pd.Series({"x": 1.0}), pd.Series({"x": 0.0}))
    assert not single.stands and single.text.startswith("**One clip says nothing about others**")
    with pytest.raises(ValueError, match="of the same clips"):
        verdict(around(0.1), around(0.1, n=39))


def test_a_single_clip_has_no_chance_to_compare_with():
    unknown = verdict(pd.Series({"x": 1.0}), pd.Series({"x": np.nan}))
    assert not unknown.stands and unknown.effect.mean == 1 and np.isnan(unknown.control.mean)
    assert unknown.text == "**One clip says nothing about others**: +1.00, and its control is not known (n = 1)."
    for effect, control in (([np.nan], [0.0]), ([np.nan], [np.nan]), ([1.0, 1.0], [np.nan, 0.0])):
        with pytest.raises(ValueError, match="not finite"):
            verdict(effect, control)


def test_shuffled_signs_seldom_stand():
    rng = np.random.default_rng(5)
    draws = [(around(0.0, 30, seed=i) * rng.choice([-1, 1], 30), around(0.0, 30, seed=100 + i)) for i in range(40)]
    assert sum(verdict(effect, control).stands for effect, control in draws) <= 4


def in_clusters(n_clusters=60, seed=0):
    """Values that agree within clusters of different sizes."""
    rng = np.random.default_rng(seed)
    sizes = rng.integers(1, 9, n_clusters)
    clusters = np.repeat(np.arange(n_clusters), sizes)
    return rng.normal(rng.normal(0, 1, n_clusters)[clusters], 0.3), clusters


def test_clustered_interval_is_that_of_the_sandwich_estimator():
    values, clusters = in_clusters(400)
    found = clustered(values, clusters)
    # Cluster-robust standard error of a mean: residuals are summed within clusters before they are squared.
    error = math.sqrt(sum((values - values.mean())[clusters == c].sum() ** 2 for c in set(clusters))) / len(values)
    assert found.mean == pytest.approx(values.mean()) and found.n == len(values)
    assert (found.high - found.low) / 2 == pytest.approx(1.96 * error, rel=0.06)
    assert found.high - found.low > 1.5 * np.ptp(interval(values)[1:3]), "as if each value told as much"


def test_clustered_interval_is_that_of_drawing_clusters_one_by_one():
    values, clusters = in_clusters(12, seed=3)
    parts = [values[clusters == c] for c in range(12)]
    rng = np.random.default_rng(5)
    drawn = [np.concatenate([parts[i] for i in rng.integers(12, size=12)]).mean() for _ in range(4000)]
    width = np.ptp(np.quantile(drawn, [0.025, 0.975]))
    found = clustered(values, clusters)
    assert found[1:3] == pytest.approx(np.quantile(drawn, [0.025, 0.975]), abs=0.3 * width)
    assert np.ptp(found[1:3]) > width, "twelve clusters are few: Student's t asks for more"


def test_clustered_statistics_and_what_has_no_interval():
    values = np.array([[1.0, 2.0], [3.0, 2.0], [1.0, 4.0]])
    found = clustered(values, ["a", "a", "b"], lambda means: means[:, 0] / means[:, 1])
    assert found.mean == pytest.approx(5 / 8) and found.low < 1 / 4 and found.high > 1 and found.n == 3
    assert clustered([1, 1, 1], ["a", "b", "b"])[::3] == (1, 3)
    assert math.isnan(clustered([0, 1], ["a", "a"]).low)
    ratio = clustered([[1.0, 0.0], [1.0, 1.0]], ["a", "b"], lambda means: means[:, 0] / means[:, 1])
    assert ratio.mean == 2 and ratio.high > 100 and clustered(*in_clusters()) == clustered(*in_clusters())
    for bad in (([], []), ([1.0], ["a", "b"]), ([np.nan, 1], ["a", "b"]), ([1, 1], ["a", None])):
        with pytest.raises(ValueError, match="values"):
            clustered(*bad)
