"""The lists of topn.py from tasks of a cluster: one pass over blocks of users, with the movies sent to each worker."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from reco_platform.als.model import Model
from reco_platform.topn import Seen, TopN, best_of, catalogue_for, joined

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

BLOCK_USERS = 8192
BLOCK = "first long, factors binary, bounds binary, movies binary"
FOUND = "first long, movie_ids binary, scores binary, offsets binary"


def top_n_by_spark(spark: SparkSession, model: Model, n: int, seen: Seen, block_users: int = BLOCK_USERS) -> TopN:
    """The same as `topn.top_n`, to the last bit.

    Args:
        spark: the session.
        model: the factors.
        n: how many.
        seen: what to leave out, from `topn.seen_rows`.
        block_users: users of a task.
    """
    movies = spark.sparkContext.broadcast(catalogue_for(model, n, seen))
    rank = model.users.factors.shape[1]

    def search(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            for block in batch.to_pylist():
                users = np.frombuffer(block["factors"], np.float32).reshape(-1, rank)
                own = Seen(np.frombuffer(block["bounds"], np.int64), np.frombuffer(block["movies"], np.int32))
                found = best_of(users, movies.value, own, n)
                yield pa.RecordBatch.from_pylist([{"first": block["first"], **in_bytes(found)}])

    blocks = [block_of(model, seen, first, block_users) for first in range(0, len(model.users.ids), block_users)]
    frame = spark.createDataFrame(blocks, BLOCK).repartition(len(blocks), "first")
    rows = sorted(frame.mapInArrow(search, FOUND).collect(), key=lambda row: row["first"])
    return joined([from_bytes(row["movie_ids"], row["scores"], row["offsets"]) for row in rows])


def block_of(model: Model, seen: Seen, first: int, count: int) -> tuple[int, bytes, bytes, bytes]:
    """A block of users as one row: their factors and what they have seen."""
    users = slice(first, first + count)
    bounds = seen.part(users).bounds
    own = seen.movies[bounds[0] : bounds[-1]]
    factors = np.ascontiguousarray(model.users.factors[users])
    return first, factors.tobytes(), (bounds - bounds[0]).tobytes(), own.tobytes()


def in_bytes(found: TopN) -> dict[str, bytes]:
    return {
        "movie_ids": found.movie_ids.tobytes(),
        "scores": found.scores.tobytes(),
        "offsets": found.offsets.tobytes(),
    }


def from_bytes(movie_ids: bytes, scores: bytes, offsets: bytes) -> TopN:
    return TopN(np.frombuffer(movie_ids, np.int32), np.frombuffer(scores, np.float32), np.frombuffer(offsets, np.int64))
