"""Metrics as ratios of sums over users, the common form from which means, groups and bootstrap resamples follow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from reco_platform.core.arrays import BoolArray, Float64Array

DIGITS = 10


@dataclass(frozen=True)
class Metric:
    """A name such as ndcg@10; whether its value is the square root of the ratio, as RMSE; which direction is better."""

    name: str
    root: bool = False
    smaller_is_better: bool = False


@dataclass(frozen=True)
class MetricValue:
    """A metric's value, rounded to DIGITS significant digits, or why it has none."""

    value: float | None
    missing_because: str | None = None


@dataclass(frozen=True)
class UserSums:
    """Metric j is sum(numerators[:, j]) / sum(denominators[:, denominator_of[j]]) over users, or its square root.

    Attributes:
        metrics: m of them.
        numerators: shape (users, m); a user without a value has 0 here and in the denominator.
        denominators: shape (users, d): numbers of rows, or 1 where a metric is a mean over users.
        denominator_of: the column of `denominators` of each metric, m of them.
    """

    metrics: tuple[Metric, ...]
    numerators: Float64Array
    denominators: Float64Array
    denominator_of: tuple[int, ...]

    def for_group(self, members: BoolArray) -> UserSums:
        """The sums of a group of users alone; `members` has shape (users,)."""
        keep = members[:, None]
        return replace(self, numerators=self.numerators * keep, denominators=self.denominators * keep)


def means(metrics: Sequence[Metric], values: Float64Array, has_value: BoolArray) -> UserSums:
    """Metrics that are means over the users with a value.

    Args:
        metrics: m of them.
        values: shape (users, m), 0 for users without a value.
        has_value: shape (users,).
    """
    return UserSums(tuple(metrics), values, has_value[:, None].astype(np.float64), (0,) * len(metrics))


def concatenate(parts: Sequence[UserSums]) -> UserSums:
    """All metrics of several UserSums over the same users."""
    starts = np.cumsum([0, *(part.denominators.shape[1] for part in parts)])
    return UserSums(
        tuple(metric for part in parts for metric in part.metrics),
        np.hstack([part.numerators for part in parts]),
        np.hstack([part.denominators for part in parts]),
        tuple(
            int(start) + column for part, start in zip(parts, starts, strict=False) for column in part.denominator_of
        ),
    )


def ratios(sums: UserSums, numerators: Float64Array, denominators: Float64Array) -> Float64Array:
    """Metric values from sums over users, of shapes (..., m) and (..., d); NaN where a denominator is 0."""
    divisors = denominators[..., list(sums.denominator_of)]
    quotients = np.full(numerators.shape, np.nan)
    np.divide(numerators, divisors, out=quotients, where=divisors != 0)
    roots = np.array([metric.root for metric in sums.metrics], bool)
    return np.where(roots, np.sqrt(np.where(roots, quotients, 0)), quotients)


def metric_values(sums: UserSums) -> dict[str, MetricValue]:
    """The value of every metric over all users, by name."""
    values = ratios(sums, sums.numerators.sum(axis=0), sums.denominators.sum(axis=0))
    return {metric.name: metric_value(value) for metric, value in zip(sums.metrics, values, strict=True)}


def metric_value(value: float, missing_because: str = "no user has a value") -> MetricValue:
    """A MetricValue from a number; NaN means that the value is missing."""
    return MetricValue(None, missing_because) if np.isnan(value) else MetricValue(round_significant(value))


def round_significant(value: float) -> float:
    """Rounded to DIGITS significant digits; further digits may depend on the order of a summation."""
    return float(f"{value:.{DIGITS - 1}e}")


def with_suffix(sums: UserSums, suffix: str) -> UserSums:
    """The same metrics with `_suffix` appended to their names."""
    return replace(sums, metrics=tuple(replace(metric, name=f"{metric.name}_{suffix}") for metric in sums.metrics))


def to_json(result: Any) -> dict[str, Any]:
    """A metric value, interval or difference as a JSON object; missing_because is left out where there is a value."""
    return {key: value for key, value in asdict(result).items() if key != "missing_because" or value is not None}
