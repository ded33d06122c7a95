"""Training by pyspark.ml's ALS."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from reco_platform.als.model import Model, read_model

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

SINGLE_PARTITION_ROWS = 5_000_000


def train(spark: SparkSession, rows: pa.Table, params: Mapping[str, Any]) -> Model:
    """A model of user_id, movie_id and rating.

    ALS-WR (Zhou et al. 2008): the regularisation of each row is scaled by its number of ratings.

    Args:
        spark: the session.
        rows: sorted by user and movie.
        params: rank, max_iter, reg_param, nonnegative, seed, num_blocks.
    """
    from pyspark.ml.recommendation import ALS  # noqa: PLC0415

    als = ALS(
        userCol="user_id",
        itemCol="movie_id",
        ratingCol="rating",
        rank=params["rank"],
        maxIter=params["max_iter"],
        regParam=params["reg_param"],
        nonnegative=params["nonnegative"],
        seed=params["seed"],
        numUserBlocks=params["num_blocks"],
        numItemBlocks=params["num_blocks"],
    )
    with tempfile.TemporaryDirectory(prefix="als-") as scratch:
        folder = Path(scratch)
        # A row group is read by one task, so the order of the rows does not depend on the number of cores.
        columns = rows.select(["user_id", "movie_id", "rating"])
        pq.write_table(columns, folder / "ratings.parquet", row_group_size=SINGLE_PARTITION_ROWS)
        ratings = spark.read.parquet((folder / "ratings.parquet").as_uri())
        if len(rows) <= SINGLE_PARTITION_ROWS:
            # Factors depend on the order in which a block's ratings arrive; one partition gives the same order always.
            ratings = ratings.coalesce(1)
        spark.sparkContext.setCheckpointDir(str(folder / "checkpoints"))  # cut the lineage every ten iterations
        als.fit(ratings).write().save((folder / "model").as_uri())
        return read_model(folder / "model")
