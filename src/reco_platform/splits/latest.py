"""The latest rating of each (user, movie), sorted, with users and movies numbered from 0."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np
import pyarrow as pa

from reco_platform.contracts.tables import INTERACTIONS
from reco_platform.core.arrays import Float32Array, Int8Array, Int32Array, Int64Array, IntArray
from reco_platform.splits import kernels
from reco_platform.splits.interactions import FOLDS, microseconds

LARGEST_LOOKUP_TABLE = 1 << 24  # ids up to this number use a lookup table, larger ones a binary search
BATCH_ROWS = 1 << 18
MAX_SORTERS = 8  # each needs a counter for every user, so memory limits their number


@dataclass(frozen=True)
class IdIndex:
    """Numbers ids from 0 in ascending order.

    Attributes:
        ids: the distinct ids, ascending, shape (ids,).
    """

    ids: Int32Array

    @classmethod
    def of(cls, chunks: Sequence[Int32Array]) -> IdIndex:
        """The index of all ids in some arrays; ids must not be negative."""
        largest = max((int(chunk.max(initial=0)) for chunk in chunks), default=0)
        if largest > LARGEST_LOOKUP_TABLE:
            return cls(np.unique(np.concatenate(chunks)))
        present = np.zeros(largest + 1, bool)
        for chunk in chunks:
            present[chunk] = True
        return cls(np.flatnonzero(present).astype(np.int32))

    @cached_property
    def lookup_table(self) -> Int32Array | None:
        if len(self.ids) == 0 or self.ids[-1] > LARGEST_LOOKUP_TABLE:
            return None
        table = np.zeros(int(self.ids[-1]) + 1, np.int32)
        table[self.ids] = np.arange(len(self.ids), dtype=np.int32)
        return table

    def numbers(self, ids: Int32Array) -> Int32Array:
        """The number of each id, in the shape of `ids`."""
        if self.lookup_table is None:
            return np.searchsorted(self.ids, ids).astype(np.int32)
        return self.lookup_table[ids]


@dataclass(frozen=True)
class LatestRatings:
    """One row for each (user, movie), sorted by user, then by movie.

    Attributes:
        users: user ids, ascending, shape (users,).
        movies: movie ids, ascending, shape (movies,).
        starts: the row where each user's rows begin, and the number of rows, shape (users + 1,).
        movie_index: positions in `movies`, shape (rows,).
        ratings: shape (rows,).
        timestamps: microseconds since 1970 UTC, shape (rows,).
    """

    users: Int32Array
    movies: Int32Array
    starts: Int64Array
    movie_index: Int32Array
    ratings: Float32Array
    timestamps: Int64Array

    def __len__(self) -> int:
        return len(self.timestamps)

    def user_of(self, row: int) -> int:
        """The id of a row's user."""
        return int(self.users[np.searchsorted(self.starts, row, side="right") - 1])

    def table(self, fold: Int8Array, first: int, end: int) -> pa.Table:
        """The rows [first, end) with the columns of the contract; the fold is dictionary-encoded.

        Args:
            fold: positions in FOLDS, shape (rows,).
            first: first row.
            end: row after the last.
        """
        starts: Int64Array = np.clip(self.starts, first, end)
        user_index = np.repeat(np.arange(len(self.users), dtype=np.int32), np.diff(starts))
        movie_index = self.movie_index[first:end]
        columns = {
            "user_id": self.users[user_index],
            "movie_id": self.movies[movie_index],
            "user_index": user_index,
            "movie_index": movie_index,
            "rating": self.ratings[first:end],
            "rating_ts": pa.array(self.timestamps[first:end]).cast(INTERACTIONS.schema.field("rating_ts").type),
            "fold": pa.DictionaryArray.from_arrays(fold[first:end], list(FOLDS)),
        }
        return pa.table(columns).select(INTERACTIONS.names)


def latest_ratings(ratings: pa.Table, threads: int = 1) -> LatestRatings:
    """Keeps the latest rating of each (user, movie): a counting sort by user, then a sort by movie for each user.

    Args:
        ratings: columns user_id int32, movie_id int32, rating float, rating_ts timestamp, in any order of rows; no two
            rows may have the same user, movie and timestamp.
        threads: how many; never changes the result.
    """
    batches = ratings.to_batches(max_chunksize=BATCH_ROWS)
    sorters = min(threads, MAX_SORTERS)
    users = IdIndex.of([batch["user_id"].to_numpy() for batch in batches])
    movies = IdIndex.of([batch["movie_id"].to_numpy() for batch in batches])
    groups = [batches[number::sorters] for number in range(sorters)]
    rows = ratings.num_rows
    movie_index, values, timestamps = np.empty(rows, np.int32), np.empty(rows, np.float32), np.empty(rows, np.int64)
    counts = np.zeros((sorters, len(users.ids)), np.int64)

    def count(group: int) -> None:
        for batch in groups[group]:
            kernels.count(users.numbers(batch["user_id"].to_numpy()), counts[group])

    def scatter(group: int) -> None:
        for batch in groups[group]:
            kernels.scatter(
                users.numbers(batch["user_id"].to_numpy()),
                movies.numbers(batch["movie_id"].to_numpy()),
                batch["rating"].to_numpy(),
                microseconds(batch["rating_ts"]),
                next_rows[group],
                movie_index,
                values,
                timestamps,
            )

    def sort(bounds: tuple[int, int]) -> None:
        kernels.sort_by_movie(*bounds, starts, movie_index, values, timestamps)
        kernels.mark_latest(*bounds, starts, movie_index, timestamps, keep)

    keep = np.empty(rows, bool)
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(count, range(sorters)))
        starts = offsets(counts.sum(axis=0))
        next_rows = starts[:-1] + np.cumsum(counts, axis=0) - counts
        list(pool.map(scatter, range(sorters)))
        list(pool.map(sort, even_ranges(starts, 4 * threads)))
    if not keep.all():
        kept_before = offsets(keep)
        starts, movie_index, values, timestamps = kept_before[starts], movie_index[keep], values[keep], timestamps[keep]
    return LatestRatings(users.ids, movies.ids, starts, movie_index, values, timestamps)


def offsets(counts: IntArray) -> Int64Array:
    """Where groups of these sizes begin, and where the last one ends, shape (groups + 1,)."""
    return np.concatenate([np.zeros(1, np.int64), np.cumsum(counts, dtype=np.int64)])


def even_ranges(starts: Int64Array, parts: int) -> list[tuple[int, int]]:
    """Ranges [first, end) of users with about the same number of rows.

    Args:
        starts: the row where each user's rows begin, and the number of rows, shape (users + 1,).
        parts: number of ranges.
    """
    edges = np.searchsorted(starts, np.linspace(0, starts[-1], parts + 1)).tolist()
    edges[-1] = len(starts) - 1
    return list(pairwise(edges))
