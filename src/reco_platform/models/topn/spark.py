"""Top-N lists by Spark: each task gets some users with their seen movies, and all movies.

Only the lists reach the driver, neither the users' factors nor their seen movies.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from reco_platform.models.als.model import Model, Side
from reco_platform.models.topn.exact import Catalogue, Seen, TopN, fastest_catalogue, seen_by_position, top_n_of_block

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

LISTS = "id int, movie_ids array<int>, scores array<float>"


def top_n_by_spark(users: DataFrame, model: Model, n: int, seen: DataFrame | None) -> TopN:
    """The lists of all users, equal to the bit to those of `topn.exact.top_n`.

    Args:
        users: id and features of every user of the model.
        model: the factors.
        n: length of the lists.
        seen: user_id and movie_id of movies to leave out; None for none.
    """
    from pyspark.sql import functions as f  # noqa: PLC0415

    unseen = Seen(np.zeros(len(model.users.ids) + 1, np.int64), np.empty(0, np.int32))
    movies = users.sparkSession.sparkContext.broadcast(fastest_catalogue(model, n, unseen))

    def search(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            if len(batch):
                yield lists_of_batch(batch, movies.value, n)

    blocks = users.withColumn("seen", f.lit(None).cast("array<int>"))
    if seen is not None:
        own = seen.groupBy(f.col("user_id").alias("id")).agg(f.collect_list("movie_id").alias("seen"))
        blocks = users.join(own, "id", "left")
    lists = blocks.select("id", "features", "seen").mapInArrow(search, LISTS).toArrow().sort_by("id")
    counts = lists["movie_ids"].combine_chunks().value_lengths().to_numpy()
    ids, scores = (lists[name].combine_chunks().flatten().to_numpy() for name in ("movie_ids", "scores"))
    return TopN(ids, scores, np.concatenate([np.zeros(1, np.int64), np.cumsum(counts, dtype=np.int64)]))


def lists_of_batch(users: pa.RecordBatch, movies: Catalogue, n: int) -> pa.RecordBatch:
    """The lists of a batch of users with columns id, features and seen, which may be null."""
    factors = users["features"].flatten().to_numpy().reshape(len(users), -1)
    counts = users["seen"].value_lengths().fill_null(0).to_numpy()
    movie_positions, known = Side(movies.ids, movies.factors).positions(users["seen"].flatten().to_numpy())
    user_positions = np.repeat(np.arange(len(users), dtype=np.int32), counts)
    best = top_n_of_block(
        factors, movies, seen_by_position(user_positions[known], movie_positions[known], len(users), len(movies.ids)), n
    )
    offsets = pa.array(best.offsets.astype(np.int32))
    lists = [pa.ListArray.from_arrays(offsets, pa.array(values)) for values in (best.movie_ids, best.scores)]
    return pa.record_batch([users["id"], *lists], names=["id", "movie_ids", "scores"])
