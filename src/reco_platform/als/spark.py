"""Training by pyspark.ml's ALS."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

SINGLE_PARTITION_ROWS = 5_000_000


def train(spark: SparkSession, files: Sequence[Path], rows: int, params: Mapping[str, Any], target: Path) -> None:
    """Trains on the train and validation folds and saves the model.

    ALS-WR (Zhou et al. 2008): the regularisation of each row is scaled by its number of ratings.

    Args:
        spark: the session.
        files: Parquet files of the interactions, sorted by user and movie.
        rows: their number of rows.
        params: rank, max_iter, reg_param, nonnegative, seed, num_blocks.
        target: an existing folder for the model in Spark's format.
    """
    from pyspark.ml.recommendation import ALS  # noqa: PLC0415

    ratings = spark.read.parquet(*map(str, files)).filter("fold <> 'test'").select("user_id", "movie_id", "rating")
    if rows <= SINGLE_PARTITION_ROWS:
        # Factors depend on the order in which a block's ratings arrive; one partition gives the same order always.
        ratings = ratings.coalesce(1)
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
        coldStartStrategy="drop",
    )
    with tempfile.TemporaryDirectory(prefix="als-checkpoints-") as checkpoints:  # cut the lineage every ten iterations
        spark.sparkContext.setCheckpointDir(checkpoints)
        als.fit(ratings).write().overwrite().save(str(target))
