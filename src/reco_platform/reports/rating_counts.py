"""Counts of the silver ratings by month, stars and movie, for the charts of a run's page."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from reco_platform.core.arrays import Int64Array
from reco_platform.lakehouse.tables import OpenTable

HALF_STARS = 11
"""Numbers of stars from 0 to 5 in steps of a half."""


@dataclass(frozen=True)
class RatingCounts:
    """Numbers of ratings.

    Attributes:
        months: (year, month, ratings) from the first month to the last, including months without ratings.
        stars: by stars, to the nearest half, from the lowest that occurs to the highest.
        movies: of each movie with ratings, falling, shape (movies,).
    """

    months: list[tuple[int, int, int]]
    stars: dict[float, int]
    movies: Int64Array


def count_ratings(ratings: OpenTable) -> RatingCounts:
    """Counts ratings; reads the columns movie_id and rating."""
    months: Counter[tuple[int, int]] = Counter()
    stars = np.zeros(HALF_STARS, np.int64)
    movies = []
    for path in ratings.files:
        content = pq.ParquetFile(path).read(columns=["movie_id", "rating"])
        months[month_of(path)] += len(content)
        stars += np.bincount(np.rint(2 * content["rating"].to_numpy()).astype(np.int64), minlength=HALF_STARS)
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


def counts_by_star(counts: Int64Array) -> dict[float, int]:
    present = np.flatnonzero(counts)
    return {half / 2: int(counts[half]) for half in range(present[0], present[-1] + 1)}
