"""Means over clips with their bootstrap 95 % intervals, alone, paired, by group and by cluster.

>>> interval([0.0, 0.5, 1.0, 0.5])
Interval(mean=0.5, low=0.125, high=0.875, n=4)
"""

from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.stats import bootstrap


class Interval(NamedTuple):
    """A mean over n clips and its 95 % interval [low, high]."""

    mean: float
    low: float
    high: float
    n: int


def interval(values, seed=0) -> Interval:
    """The mean of one value per clip, with its bootstrap 95 % interval (BCa, 9999 resamples of the clips).

    Args:
        values: numbers, one per clip.
        seed: of the resampling; the same values and seed give the same interval.

    Returns:
        `Interval`. A single clip says nothing about others: its low and high are NaN. Where all values are equal, so
        are low and high.

    Raises:
        ValueError: no values, or some that are not finite.

    Example:
        >>> interval([0.25, 0.25, 0.25])
        Interval(mean=0.25, low=0.25, high=0.25, n=3)
    """
    values = np.asarray(values, dtype=float)
    if values.ndim != 1 or not len(values) or not np.isfinite(values).all():
        n_bad = int((~np.isfinite(values)).sum())
        raise ValueError(
            f"values [shape {list(values.shape)}, {n_bad} not finite] must be finite numbers, one per clip"
        )
    mean, n = float(values.mean()), len(values)
    if n == 1:
        return Interval(mean, np.nan, np.nan, n)
    if np.ptp(values) == 0:
        return Interval(mean, mean, mean, n)
    rng = np.random.default_rng(seed)
    limits = bootstrap((values,), np.mean, method="BCa", batch=1000, random_state=rng).confidence_interval
    return Interval(mean, float(limits.low), float(limits.high), n)


def difference(a, b, seed=0) -> Interval:
    """The mean of a - b, paired over clips, with its interval.

    Args:
        a, b: one value per clip each. Two Series are paired by their index (clip ids), anything else by position.
        seed: of the resampling.

    Returns:
        `Interval` of the differences.

    Raises:
        ValueError: a and b are not about the same clips, a clip repeats, or as in `interval`.

    Example:
        >>> blocked, free = pd.Series({"0": 1.0, "1": 0.5}), pd.Series({"1": 0.25, "0": 0.75})
        >>> difference(blocked, free).mean
        0.25
    """
    if isinstance(a, pd.Series) and isinstance(b, pd.Series):
        if not (a.index.is_unique and b.index.is_unique and set(a.index) == set(b.index)):
            n_common = len(a.index.intersection(b.index))
            raise ValueError(
                f"a ({len(a)}) and b ({len(b)}) need one value for each clip, of the same clips; {n_common} match"
            )
        b = b.reindex(a.index)
    a, b = np.asarray(a, dtype=float), np.asarray(b, dtype=float)
    if a.shape != b.shape:
        raise ValueError(f"a {list(a.shape)} and b {list(b.shape)} need one value for each clip, of the same clips")
    return interval(a - b, seed)


def resampled(statistic, *samples, seed=0) -> Interval:
    """Any statistic of samples of clips, with its bootstrap 95 % interval (percentiles, 10,000 resamples).

    Every sample is resampled on its own, so that two samples may hold different clips.

    Args:
        statistic: takes the samples, each with an axis of resamples put in front, and gives one value per resample.
        samples: arrays [n_clips, ...].
        seed: of the resampling.

    Returns:
        `Interval`, n counting the clips of all samples. Its low and high are NaN if a sample holds a single clip, or
        if the statistic is not finite for some resamples.

    Raises:
        ValueError: a sample is empty.

    Example:
        >>> resampled(lambda a, b: a.mean(1) - b.mean(1), [1.0, 1.0, 1.0], [0.5, 0.5])
        Interval(mean=0.5, low=0.5, high=0.5, n=5)
    """
    samples = [np.asarray(sample, dtype=float) for sample in samples]
    sizes = [len(sample) for sample in samples]
    if not all(sizes):
        raise ValueError(f"samples of {sizes} clips; each needs at least one")
    with np.errstate(divide="ignore", invalid="ignore"):
        value = float(statistic(*(sample[None] for sample in samples))[0])
        if min(sizes) == 1:
            return Interval(value, np.nan, np.nan, sum(sizes))
        rng = np.random.default_rng(seed)
        drawn = ([s[rng.integers(len(s), size=(1000, len(s)))] for s in samples] for _ in range(10))
        values = np.concatenate([statistic(*batch) for batch in drawn])
    low, high = np.quantile(values, [0.025, 0.975]) if np.isfinite(values).all() else (np.nan, np.nan)
    return Interval(value, float(low), float(high), sum(sizes))


def clustered(values, clusters, statistic=None, seed=0) -> Interval:
    """A mean, or any statistic of means, of values that come in clusters: questions about the same video, say.

    Whole clusters are resampled, so that ten questions about one video count as little as they tell (percentiles,
    10,000 resamples). Every value weighs the same, whatever the size of its cluster.

    Args:
        values: numbers [n], or [n, k] for a statistic of k means.
        clusters: [n], to which cluster each belongs.
        statistic: takes the means [n_resamples, k] and gives one value per resample; None is the first mean itself.
        seed: of the resampling.

    Returns:
        `Interval`, n counting the values. Its low and high are NaN if there is a single cluster, or if the statistic is
        not finite for some resamples.

    Raises:
        ValueError: no values, some that are not finite, or a value without a cluster.

    Example:
        >>> clustered([1.0, 1.0, 0.0, 0.0], ["a", "a", "b", "b"])
        Interval(mean=0.5, low=0.0, high=1.0, n=4)
    """
    values = np.asarray(values, dtype=float)
    values = values[:, None] if values.ndim == 1 else values
    of, names = pd.factorize(np.asarray(clusters))
    if not len(values) or len(of) != len(values) or (of < 0).any() or not np.isfinite(values).all():
        raise ValueError(f"{len(values)} values of {len(of)} clusters must be finite numbers, each of a cluster")
    sums, sizes = np.zeros((len(names), values.shape[1])), np.bincount(of)
    np.add.at(sums, of, values)

    def measured(times):
        means = times @ sums / (times @ sizes)[:, None]
        return means[:, 0] if statistic is None else statistic(means)

    with np.errstate(divide="ignore", invalid="ignore"):
        value = float(measured(np.ones((1, len(names))))[0])
        if len(names) == 1:
            return Interval(value, np.nan, np.nan, len(values))
        rng = np.random.default_rng(seed)
        evenly = np.full(len(names), 1 / len(names))
        drawn = np.concatenate([measured(rng.multinomial(len(names), evenly, size=1000)) for _ in range(10)])
    low, high = np.quantile(drawn, [0.025, 0.975]) if np.isfinite(drawn).all() else (np.nan, np.nan)
    return Interval(value, float(low), float(high), len(values))


def crossed(values, statistic=None, seed=0) -> Interval:
    """A mean over runs and clips, or any statistic of such means; both are resampled (percentiles, 10,000 resamples).

    So the interval holds what another training would do and what other clips would do. Three runs say little about all:
    with so few, take it as a band that holds the runs, not for a coverage of 95 %.

    Args:
        values: [n_runs, n_clips], or [n_runs, n_clips, k] for a statistic of k means.
        statistic: takes the means [n_resamples, k] and gives one value per resample; None is the first mean itself.
        seed: of the resampling.

    Returns:
        `Interval`, n counting the clips.

    Raises:
        ValueError: no values, or some that are not finite.

    Example:
        >>> crossed([[0.0, 0.0], [1.0, 1.0]])
        Interval(mean=0.5, low=0.0, high=1.0, n=2)
    """
    values = np.asarray(values, dtype=float)
    values = values[..., None] if values.ndim == 2 else values
    if values.ndim != 3 or not values.size or not np.isfinite(values).all():
        raise ValueError(f"values [shape {list(values.shape)}] must be finite numbers, one per run and clip")

    def measured(runs, clips):
        means = np.einsum("br,rck,bc->bk", runs, values, clips, optimize=True)
        return means[:, 0] if statistic is None else statistic(means)

    n_runs, n_clips, _ = values.shape
    rng = np.random.default_rng(seed)
    evenly = [np.full(n, 1 / n) for n in (n_runs, n_clips)]
    drawn = [rng.multinomial(len(share), share, size=10_000) / len(share) for share in evenly]
    value = measured(*(share[None] for share in evenly))[0]
    low, high = np.quantile(measured(*drawn), [0.025, 0.975])
    return Interval(float(value), float(low), float(high), n_clips)


def summarise(table, by, value="value", seed=0) -> pd.DataFrame:
    """Means with intervals, group by group.

    Args:
        table: a tidy DataFrame. With a column "clip", the rows of a clip are first averaged within each group, so that
            n counts clips and repeated measurements do not narrow the interval.
        by: one column name or several.
        value: the column that is averaged.
        seed: of the resampling, the same for each group.

    Returns:
        DataFrame: the columns of `by`, then mean, low, high, n; groups in order of appearance.

    Raises:
        ValueError: a column is missing, or as in `interval`.

    Example:
        >>> table = pd.DataFrame({"clip": [0, 0, 1], "kind": "factual", "value": [0.0, 1.0, 0.5]})
        >>> summarise(table, "kind").to_dict("list")
        {'kind': ['factual'], 'mean': [0.5], 'low': [0.5], 'high': [0.5], 'n': [2]}
    """
    by = [by] if isinstance(by, str) else list(by)
    if lacking := [name for name in [*by, value] if name not in table]:
        raise ValueError(f"the table has no column {lacking[0]!r}; it has {', '.join(map(str, table.columns))}")
    rows = []
    for key, group in table.groupby(by, sort=False, dropna=False, observed=True):
        values = group[value]
        if "clip" in table and "clip" not in by:
            values = values.groupby(group["clip"], sort=False).mean(skipna=False)
        rows.append((*key, *interval(values, seed)))
    return pd.DataFrame(rows, columns=[*by, *Interval._fields])


class Verdict(NamedTuple):
    """Whether an effect stands out from its control; `verdict` says how it is judged.

    Attributes:
        effect, control, difference: `Interval` of the effect, of the control, and of effect - control, paired.
        stands: whether the effect differs from zero and goes beyond its control.
        text: the same in a sentence of markdown, with the numbers.
    """

    effect: Interval
    control: Interval
    difference: Interval
    stands: bool
    text: str


def verdict(effect, control, seed=0) -> Verdict:
    """Whether an effect stands out from its control.

    It stands if its interval leaves out zero, and that of effect - control lies on the same side of zero. An effect
    that differs from zero without standing is no finding: the control shows it too, or cannot rule it out.

    Args:
        effect, control: one value per clip each, e.g. the change of fidelity; Series are paired by their index. The
            control of a single clip may be NaN: what chance gives is not known without other clips.
        seed: of the resampling.

    Returns:
        `Verdict`.

    Raises:
        ValueError: as in `difference`.

    Example:
        >>> blocked = pd.Series({"a": 0.5, "b": 0.25, "c": 0.5, "d": 0.75})
        >>> verdict(blocked, blocked * 0).stands
        True
        >>> verdict(blocked, blocked).text.split(":")[0]
        '**No finding, the control shows the same effect**'
    """
    if len(effect) == len(control) == 1 and np.isnan(np.asarray(control, dtype=float)).all():
        effect, unknown = interval(effect, seed), Interval(np.nan, np.nan, np.nan, 1)
        text = f"**One clip says nothing about others**: {effect.mean:+.2f}, and its control is not known (n = 1)."
        return Verdict(effect, unknown, unknown, False, text)
    gap = difference(effect, control, seed)
    effect, control = interval(effect, seed), interval(control, seed)
    differs, beyond, same = (_side(i) for i in (effect, gap, control))
    stands = differs != 0 and differs == beyond
    numbers = f"{_signed(effect)} against {_signed(control)} in the control, a difference of {_signed(gap)}"
    if effect.n == 1:
        claim = "**One clip says nothing about others**"
    elif stands:
        claim = "The effect stands out from its control"
    elif differs == 0:
        claim = "**No effect was seen**"
    elif differs in (same, -beyond):
        claim = "**No finding, the control shows the same effect**"
    else:
        claim = "**No finding, the effect cannot be told from its control**"
    return Verdict(effect, control, gap, stands, f"{claim}: {numbers} (n = {effect.n}).")


def _side(found):
    """1 or -1 where the interval lies above or below zero, 0 where it holds zero or is not known."""
    return int(found.low > 0) - int(found.high < 0)


def _signed(found):
    return f"{found.mean:+.2f} [{found.low:+.2f}, {found.high:+.2f}]"
