"""Percentile bootstrap intervals of metrics and of differences between systems, over resampled users.

Each resample draws users with replacement, as many as there are, and computes every metric from the users drawn (Efron
and Tibshirani, An Introduction to the Bootstrap, 1993, chapter 13). All systems use the same resamples: the interval of
a difference is much narrower than the intervals of both systems suggest.

A resample is a row with the count of each user, so the sums of many resamples are one matrix product. Results are equal
to the bit for any BLAS, number of threads and block size. Resample b depends on the seed and b alone. And every user's
number is first rounded to a multiple of a power of two that is coarse enough for every sum over a resample to fit in 53
bits, so that sums are exact in any order. At 160,000 users this rounding is below 10^-10 of the column's maximum,
and its effect on a mean over users is smaller still.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from reco_platform.core.arrays import Float64Array, Int64Array
from reco_platform.evaluation.user_sums import Metric, MetricValue, UserSums, metric_values, ratios, round_significant

BLOCK_CELLS = 1 << 23  # counts in memory at a time: 64 MB
LEVEL = 0.95
SMALLEST_EXPONENT = -1000  # keeps the unit a normal float64


@dataclass(frozen=True)
class Resamples:
    """A system's metrics on all users and on each resample.

    Attributes:
        metrics: m of them.
        metric_values: on all users, by name.
        values: on each resample, shape (samples, m); NaN where no user of the resample has a value.
    """

    metrics: tuple[Metric, ...]
    metric_values: dict[str, MetricValue]
    values: Float64Array


@dataclass(frozen=True)
class Interval:
    """A metric on all users with its percentile interval; missing_because says why one or both are missing."""

    value: float | None
    low: float | None
    high: float | None
    missing_because: str | None = None


@dataclass(frozen=True)
class Difference:
    """One system's metric minus another's, its interval, and the share of resamples in which it is strictly better."""

    value: float | None
    low: float | None
    high: float | None
    better_share: float | None
    missing_because: str | None = None


def resample(systems: Mapping[str, UserSums], samples: int, seed: int) -> dict[str, Resamples]:
    """Resamples every system with the same draws of users.

    Args:
        systems: by name, over the same users.
        samples: number of resamples.
        seed: of the random draws.

    Raises:
        ValueError: the systems have different numbers of users.
    """
    sizes = {len(sums.numerators) for sums in systems.values()}
    if len(sizes) > 1:
        raise ValueError(f"systems with different numbers of users cannot share resamples: {sorted(sizes)}")
    totals = {name: np.zeros((samples, column_count(sums))) for name, sums in systems.items()}
    rounded = {
        name: round_for_exact_sums(np.hstack([sums.numerators, sums.denominators])) for name, sums in systems.items()
    }
    for rows, counts in resample_blocks(max(sizes, default=0), samples, seed):
        for name, numbers in rounded.items():
            np.matmul(counts, numbers, out=totals[name][rows])
    return {name: resamples_from(sums, totals[name]) for name, sums in systems.items()}


def column_count(sums: UserSums) -> int:
    return sums.numerators.shape[1] + sums.denominators.shape[1]


def resamples_from(sums: UserSums, totals: Float64Array) -> Resamples:
    """From the sums of each resample, shape (samples, m + d)."""
    numerators, denominators = np.hsplit(totals, [len(sums.metrics)])
    return Resamples(sums.metrics, metric_values(sums), ratios(sums, numerators, denominators))


def resample_blocks(users: int, samples: int, seed: int) -> Iterator[tuple[slice, Float64Array]]:
    """Blocks of resamples: their numbers, and the count of each user, shape (block, users), overwritten by the next."""
    step = max(1, min(samples, BLOCK_CELLS // max(users, 1)))
    counts = np.zeros((step, users))
    for first in range(0, samples, step):
        rows = slice(first, min(first + step, samples))
        for number in range(first, rows.stop):
            counts[number - first] = resample_counts(users, seed, number)
        yield rows, counts[: rows.stop - first]


def resample_counts(users: int, seed: int, number: int) -> Int64Array:
    """The count of each user in one resample, shape (users,)."""
    generator = np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, number])))
    chosen = generator.integers(0, users, users) if users else np.zeros(0, np.int64)
    return np.bincount(chosen, minlength=users)


def round_for_exact_sums(numbers: Float64Array) -> Float64Array:
    """Each column rounded to a power of two so coarse that the sum of as many draws as rows is exact in float64."""
    largest = np.abs(numbers).max(axis=0, initial=0)
    unit = np.ldexp(1.0, np.maximum(np.frexp(largest * len(numbers))[1] - 52, SMALLEST_EXPONENT))
    return np.rint(numbers / unit) * unit


def intervals(resamples: Resamples, level: float = LEVEL) -> dict[str, Interval]:
    """Every metric's value and interval by name; no interval where a resample has no value."""
    results = {}
    for column, metric in enumerate(resamples.metrics):
        overall, values = resamples.metric_values[metric.name], resamples.values[:, column]
        reason = overall.missing_because or missing_reason(values)
        low, high = (None, None) if reason else percentiles(values, level)
        results[metric.name] = Interval(overall.value, low, high, reason)
    return results


def differences(first: Resamples, second: Resamples, level: float = LEVEL) -> dict[str, Difference]:
    """`first` minus `second` for each metric that both have; both come from the same call of `resample`."""
    columns = {metric.name: column for column, metric in enumerate(second.metrics)}
    results = {}
    for column, metric in enumerate(first.metrics):
        if metric.name not in columns:
            continue
        values = first.values[:, column] - second.values[:, columns[metric.name]]
        ours, theirs = first.metric_values[metric.name], second.metric_values[metric.name]
        results[metric.name] = difference(metric, ours, theirs, values, level)
    return results


def difference(
    metric: Metric, ours: MetricValue, theirs: MetricValue, values: Float64Array, level: float
) -> Difference:
    """The difference in one metric, from the differences on each resample."""
    if ours.value is None or theirs.value is None:
        return Difference(None, None, None, None, ours.missing_because or theirs.missing_because)
    value, reason = round_significant(ours.value - theirs.value), missing_reason(values)
    if reason:
        return Difference(value, None, None, None, reason)
    better = values < 0 if metric.smaller_is_better else values > 0
    return Difference(value, *percentiles(values, level), float(better.mean()))


def missing_reason(values: Float64Array) -> str | None:
    """Why there is no interval; None if every resample has a value."""
    missing = int(np.isnan(values).sum())
    return f"in {missing:,} of {len(values):,} resamples no user has a value" if missing else None


def percentiles(values: Float64Array, level: float) -> tuple[float, float]:
    """The k-th smallest and the k-th largest, k = floor((samples + 1)(1 - level) / 2) (Efron and Tibshirani, p. 160).

    Raises:
        ValueError: fewer samples than the level needs.
    """
    rank = int((len(values) + 1) * (1 - level) / 2 + 1e-9)
    if rank < 1:
        raise ValueError(f"{len(values)} resamples are too few for an interval of level {level}")
    ordered = np.sort(values)
    return round_significant(ordered[rank - 1]), round_significant(ordered[-rank])
