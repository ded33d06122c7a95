"""Counts of the silver ratings by month, stars and movie, for the charts of a run's page."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from reco_platform.core.arrays import Int64Array
from reco_platform.lakehouse.tables import OpenTable

MOST_BARS = 20
"""Ratings on a long scale are counted in steps, so that a chart has about this number of bars."""


@dataclass(frozen=True)
class RatingCounts:
    """Numbers of ratings.

    Attributes:
        months: (year, month, ratings) from the first month to the last, including months without ratings.
        stars: by rating, to the nearest half up to 5 and in longer steps beyond, from the lowest to the highest.
        movies: of each movie with ratings, falling, shape (movies,).
    """

    months: list[tuple[int, int, int]]
    stars: dict[float, int]
    movies: Int64Array


def count_ratings(ratings: OpenTable) -> RatingCounts:
    """Counts ratings; reads the columns movie_id and rating."""
    months: Counter[tuple[int, int]] = Counter()
    stars: Counter[float] = Counter()
    movies = []
    for path in ratings.files:
        content = pq.ParquetFile(path).read(columns=["movie_id", "rating"])
        months[month_of(path)] += len(content)
        values, counts = np.unique(content["rating"].to_numpy(), return_counts=True)
        stars.update(dict(zip(values.tolist(), counts.tolist(), strict=True)))
        movies += content["movie_id"].chunks
    movie_counts = pc.value_counts(pa.chunked_array(movies)).field("counts").to_numpy()
    return RatingCounts(fill_gaps(months), counts_by_star(stars), -np.sort(-movie_counts))


def month_of(path: Path) -> tuple[int, int]:
    """Year and month of a data file of a table that is partitioned by both."""
    partition = dict(part.split("=", 1) for part in path.parts if part.startswith(("year=", "month=")))
    return int(partition["year"]), int(partition["month"])


def fill_gaps(months: Counter[tuple[int, int]]) -> list[tuple[int, int, int]]:
    numbers = [12 * year + month - 1 for year, month in months]
    pairs = [(number // 12, number % 12 + 1) for number in range(min(numbers), max(numbers) + 1)]
    return [(year, month, months[year, month]) for year, month in pairs]


def counts_by_star(counts: Counter[float]) -> dict[float, int]:
    """Numbers of ratings by the nearest step, without gaps."""
    width = step_between(min(counts), max(counts))
    steps: Counter[int] = Counter()
    for rating, number in counts.items():
        steps[round(rating / width)] += number
    return {step * width: steps[step] for step in range(min(steps), max(steps) + 1)}


def step_between(least: float, greatest: float) -> float:
    """The step in which ratings are counted: halves on MovieLens's scale, whole numbers on longer ones, or more."""
    if greatest <= 5 and least >= -5:
        return 0.5
    return float(max(1, math.ceil((greatest - least) / MOST_BARS)))
