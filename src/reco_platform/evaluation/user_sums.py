"""Metrics as ratios of sums over users: the one form in which they are averaged, split by group and resampled."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from reco_platform.core.arrays import BoolArray, Float64Array

DIGITS = 10


@dataclass(frozen=True)
class Metric:
    """A name such as ndcg@10; whether the ratio's square root is meant, as in RMSE; which direction is better."""

    name: str
    root: bool = False
    smaller_is_better: bool = False


@dataclass(frozen=True)
class Figure:
    """A metric's value, or why it has none. Values have ten significant digits."""

    value: float | None
    missing_because: str | None = None


@dataclass(frozen=True)
class UserSums:
    """Metric j is sum(numerators[:, j]) / sum(denominators[:, over[j]]) over all users, or the root of that.

    Attributes:
        metrics: m of them.
        numerators: shape (users, m); a user who does not count has 0 here and in the denominator.
        denominators: shape (users, d): how many rows, or 1 where a metric is a mean over users.
        over: m columns of the denominators.
    """

    metrics: tuple[Metric, ...]
    numerators: Float64Array
    denominators: Float64Array
    over: tuple[int, ...]

    def of_group(self, members: BoolArray) -> UserSums:
        """The same with all users but `members`, shape (users,), left out."""
        keep = members[:, None]
        return replace(self, numerators=self.numerators * keep, denominators=self.denominators * keep)


def means(metrics: Sequence[Metric], values: Float64Array, counted: BoolArray) -> UserSums:
    """Means over the users that count.

    Args:
        metrics: m of them.
        values: shape (users, m), 0 for users who do not count.
        counted: shape (users,).
    """
    return UserSums(tuple(metrics), values, counted[:, None].astype(np.float64), (0,) * len(metrics))


def joined(parts: Sequence[UserSums]) -> UserSums:
    """The metrics of several, over the same users."""
    starts = np.cumsum([0, *(part.denominators.shape[1] for part in parts)])
    return UserSums(
        tuple(metric for part in parts for metric in part.metrics),
        np.hstack([part.numerators for part in parts]),
        np.hstack([part.denominators for part in parts]),
        tuple(int(start) + at for part, start in zip(parts, starts, strict=False) for at in part.over),
    )


def ratios(sums: UserSums, numerators: Float64Array, denominators: Float64Array) -> Float64Array:
    """The metrics from sums over users, shapes (..., m) and (..., d); NaN where a denominator is 0."""
    below = denominators[..., list(sums.over)]
    found = np.full(numerators.shape, np.nan)
    np.divide(numerators, below, out=found, where=below != 0)
    roots = np.array([metric.root for metric in sums.metrics], bool)
    return np.where(roots, np.sqrt(np.where(roots, found, 0)), found)


def figures(sums: UserSums) -> dict[str, Figure]:
    """Every metric by name."""
    values = ratios(sums, sums.numerators.sum(axis=0), sums.denominators.sum(axis=0))
    return {metric.name: figure(value) for metric, value in zip(sums.metrics, values, strict=True)}


def figure(value: float, missing_because: str = "no user counts") -> Figure:
    """A value that may be NaN as one that may be missing."""
    return Figure(None, missing_because) if np.isnan(value) else Figure(significant(value))


def significant(value: float) -> float:
    """Rounded to ten significant digits, beyond which the order of a summation may show."""
    return float(f"{value:.{DIGITS - 1}e}")


def named(sums: UserSums, form: str) -> UserSums:
    """The same metrics with `_form` after their names."""
    return replace(sums, metrics=tuple(replace(metric, name=f"{metric.name}_{form}") for metric in sums.metrics))


def plain(found: Any) -> dict[str, Any]:
    """A figure, interval or difference as JSON has it: a reason is named only where a value is missing."""
    return {key: value for key, value in asdict(found).items() if key != "missing_because" or value is not None}
