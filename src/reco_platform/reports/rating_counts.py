"""How the ratings are spread: over time, stars and movies. Two columns of the ratings are read."""

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
"""From 0 to 5 stars in halves."""


@dataclass(frozen=True)
class Counts:
    """Ratings counted.

    Attributes:
        months: (year, month, ratings) from the first month to the last, months without ratings included.
        stars: ratings by stars, to the nearest half, from the least that occurs to the most.
        movies: ratings of each movie that has any, falling, shape (movies,).
    """

    months: list[tuple[int, int, int]]
    stars: dict[float, int]
    movies: Int64Array


def count(ratings: OpenTable) -> Counts:
    """The counts of silver ratings."""
    months: Counter[tuple[int, int]] = Counter()
    stars = np.zeros(HALF_STARS, np.int64)
    movies = []
    for path in ratings.files:
        content = pq.ParquetFile(path).read(columns=["movie_id", "rating"])
        months[month_of(path)] += len(content)
        stars += np.bincount(np.rint(2 * content["rating"].to_numpy()).astype(np.int64), minlength=HALF_STARS)
        movies += content["movie_id"].chunks
    each = pc.value_counts(pa.chunked_array(movies)).field("counts").to_numpy()
    return Counts(without_gaps(months), by_star(stars), -np.sort(-each))


def month_of(path: Path) -> tuple[int, int]:
    """Year and month of a file of a table that is partitioned by them."""
    found = dict(part.split("=", 1) for part in path.parts if part.startswith(("year=", "month=")))
    return int(found["year"]), int(found["month"])


def without_gaps(months: Counter[tuple[int, int]]) -> list[tuple[int, int, int]]:
    numbers = [12 * year + month - 1 for year, month in months]
    pairs = [(number // 12, number % 12 + 1) for number in range(min(numbers), max(numbers) + 1)]
    return [(year, month, months[year, month]) for year, month in pairs]


def by_star(counts: Int64Array) -> dict[float, int]:
    found = np.flatnonzero(counts)
    return {half / 2: int(counts[half]) for half in range(found[0], found[-1] + 1)}
