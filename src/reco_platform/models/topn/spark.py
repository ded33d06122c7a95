"""The lists of topn.py from tasks of a cluster: each gets some users with what they have seen, and all the movies.

What the driver gets are the lists; neither the users' factors nor what they have seen pass through it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from reco_platform.models.als.model import Model, Side
from reco_platform.models.topn.exact import Catalogue, Seen, TopN, best_of, catalogue_for, seen_at

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

LISTS = "id int, movie_ids array<int>, scores array<float>"


def top_n_by_spark(users: DataFrame, model: Model, n: int, seen: DataFrame | None) -> TopN:
    """The same as `topn.top_n`, to the last bit.

    Args:
        users: id and features, of every user of the model.
        model: the factors.
        n: how many.
        seen: user_id and movie_id, to be left out; None for nothing.
    """
    from pyspark.sql import functions as f  # noqa: PLC0415

    unseen = Seen(np.zeros(len(model.users.ids) + 1, np.int64), np.empty(0, np.int32))
    movies = users.sparkSession.sparkContext.broadcast(catalogue_for(model, n, unseen))

    def search(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            if len(batch):
                yield lists_of(batch, movies.value, n)

    blocks = users.withColumn("seen", f.lit(None).cast("array<int>"))
    if seen is not None:
        own = seen.groupBy(f.col("user_id").alias("id")).agg(f.collect_list("movie_id").alias("seen"))
        blocks = users.join(own, "id", "left")
    found = blocks.select("id", "features", "seen").mapInArrow(search, LISTS).toArrow().sort_by("id")
    counts = found["movie_ids"].combine_chunks().value_lengths().to_numpy()
    ids, scores = (found[name].combine_chunks().flatten().to_numpy() for name in ("movie_ids", "scores"))
    return TopN(ids, scores, np.concatenate([np.zeros(1, np.int64), np.cumsum(counts, dtype=np.int64)]))


def lists_of(users: pa.RecordBatch, movies: Catalogue, n: int) -> pa.RecordBatch:
    """The lists of some users: id, features and seen, which may be null."""
    factors = users["features"].flatten().to_numpy().reshape(len(users), -1)
    counts = users["seen"].value_lengths().fill_null(0).to_numpy()
    at_movie, known = Side(movies.ids, movies.factors).positions(users["seen"].flatten().to_numpy())
    at_user = np.repeat(np.arange(len(users), dtype=np.int32), counts)
    best = best_of(factors, movies, seen_at(at_user[known], at_movie[known], len(users), len(movies.ids)), n)
    offsets = pa.array(best.offsets.astype(np.int32))
    lists = [pa.ListArray.from_arrays(offsets, pa.array(values)) for values in (best.movie_ids, best.scores)]
    return pa.record_batch([users["id"], *lists], names=["id", "movie_ids", "scores"])
