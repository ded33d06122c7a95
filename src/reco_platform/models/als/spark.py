"""Training by pyspark.ml's ALS on ratings that executors read: none comes to the driver.

The driver gets what grows with users and movies alone: their biases and, at the end, their factors.

The model is the same to the last bit on any number of cores and executors. Sums are taken over whole numbers, so that
no order changes them. ALS itself adds the ratings of a row in the order in which its shuffles deliver them, and only a
shuffle from one task delivers always in the same order. So up to ONE_ORDER ratings one task reads them, in the order
of the files, and hands them out to the blocks; an executor must be able to hold them in memory, since Spark reorders
what it has to spill. All that is repeated, the iterations, is done by `num_blocks` tasks.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from reco_platform.core.arrays import Float64Array, Int64Array
from reco_platform.core.errors import EnvironmentProblemError
from reco_platform.models.als.model import Model, Side, side_of
from reco_platform.models.als.training import TrainingStats, no_ratings_error
from reco_platform.spark import cluster

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame, SparkSession

ONE_ORDER = 1_000_000_000
"""Ratings beyond which many tasks read: one would take hours, and the last bits of factors may then differ."""

RATING_UNIT = 1 << 24
"""Float32 numbers from 0.5 on, which ratings are, are whole multiples of its inverse (the contract of interactions)."""

BIAS_UNIT = 1 << 32
"""Biases of movies are rounded to whole multiples of its inverse."""

SPARE_HEAP = 300 << 20  # Spark leaves so much of a heap alone
HEAP_PER_RATING = 64
"""Bytes. A rating takes 12. They are held while both sides' blocks are built from them, by 12 more, within the half of
0.6 of the heap that nothing else may take; the rest is for blocks of which one is larger than the others."""

UNITS = {"k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}

ONE_PARTITION = {
    "spark.sql.files.maxPartitionBytes": str(2**63 - 1),
    "spark.sql.files.openCostInBytes": "0",
    "spark.sql.files.minPartitionNum": "1",
}
"""Settings under which all files are read by one task, the largest first."""


@dataclass(frozen=True)
class Terms:
    """What is known of the ratings without any taste.

    Attributes:
        data: how many there are, and their mean.
        users: user_id, rising, and the user's bias, 0 throughout if the model has none.
        movies: the same of movies.
        mean: what the biases start from; 0 if the model has none.
    """

    data: TrainingStats
    users: pa.Table
    movies: pa.Table
    mean: float


def interactions(spark: SparkSession, uris: list[str], folds: Collection[str]) -> DataFrame:
    """The ratings of some folds.

    Args:
        spark: the session.
        uris: the files of gold/interactions.
        folds: whose rows.
    """
    from pyspark.sql import functions as f  # noqa: PLC0415

    return spark.read.parquet(*uris).filter(f.col("fold").isin(*folds)).select("user_id", "movie_id", "rating")


def train(ratings: DataFrame, params: Mapping[str, Any], checkpoints: str) -> tuple[Model, TrainingStats]:
    """A model of ratings, on what biases leave of them if it is biased (see training.train).

    ALS-WR (Zhou et al. 2008): the regularisation of each row is scaled by its number of ratings.

    Args:
        ratings: user_id, movie_id and rating; no pair twice.
        params: rank, max_iter, reg_param, nonnegative, seed, num_blocks, biased, bias_damping and both minima.
        checkpoints: address of a folder, which executors see too, where ALS cuts its lineage every ten iterations.

    Raises:
        DataError: if no rating has a user and a movie with enough of them.
        EnvironmentProblemError: if an executor cannot hold the ratings.
    """
    terms = terms_of(ratings, params)
    spark = ratings.sparkSession
    spark.sparkContext.setCheckpointDir(checkpoints)
    in_one_order = terms.data.ratings <= ONE_ORDER
    if in_one_order:
        check_memory(spark, terms.data.ratings)
    with settings(spark, ONE_PARTITION if in_one_order else {}):
        rest = left_by(terms, ratings, broadcast_users=in_one_order)
        fitted = als(params).fit(rest.coalesce(1) if in_one_order else rest)
        model = Model(side_of(fitted.userFactors.toArrow()), side_of(fitted.itemFactors.toArrow()))
    if params["biased"]:
        model = model.plus(terms.mean + bias_of(terms.users, model.users), bias_of(terms.movies, model.movies))
    return model, terms.data


def als(params: Mapping[str, Any]) -> Any:
    from pyspark.ml.recommendation import ALS  # noqa: PLC0415

    return ALS(
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


# --- sums that no order changes


def terms_of(ratings: DataFrame, params: Mapping[str, Any]) -> Terms:
    """Mean and biases as biases.fit defines them, but that a movie's bias is rounded to a multiple of 1 / BIAS_UNIT."""
    from pyspark.sql import functions as f  # noqa: PLC0415

    least = params["min_user_ratings"], params["min_item_ratings"]
    rows = supported(ratings, *least)
    units = f.sum((f.col("rating").cast("double") * RATING_UNIT).cast("bigint")).alias("units")
    movies = collected(rows.groupBy("movie_id").agg(f.count(f.lit(1)).alias("count"), units))
    counts, sums = arrays(movies, "count", "units")
    total = int(counts.sum())
    if not total:
        raise no_ratings_error(ratings.count(), *least)
    mean = sum(sums.tolist()) / (total * RATING_UNIT)  # whole numbers of any size, and one rounding
    biased, damping = params["biased"], params["bias_damping"]
    of_movies = np.rint((sums / RATING_UNIT - counts * mean) / (counts + damping) * BIAS_UNIT) * biased
    movies = pa.table({"movie_id": movies["movie_id"], "movie_units": pa.array(of_movies.astype(np.int64))})
    rated = rows.join(f.broadcast(ratings.sparkSession.createDataFrame(movies)), "movie_id")
    users = collected(
        rated.groupBy("user_id").agg(f.count(f.lit(1)).alias("count"), units, f.sum("movie_units").alias("left"))
    )
    counts, sums, left = arrays(users, "count", "units", "left")
    of_users = (sums / RATING_UNIT - counts * mean - left / BIAS_UNIT) / (counts + damping) * biased
    return Terms(
        TrainingStats(total, mean),
        pa.table({"user_id": users["user_id"], "user_bias": pa.array(of_users)}),
        pa.table({"movie_id": movies["movie_id"], "movie_bias": pa.array(of_movies / BIAS_UNIT)}),
        mean * biased,
    )


def supported(ratings: DataFrame, least_of_user: int, least_of_movie: int) -> DataFrame:
    """The ratings of users and movies that have enough of them: see training.with_enough_ratings."""
    rows = ratings
    for column, least in (("user_id", least_of_user), ("movie_id", least_of_movie)):
        if least > 1:
            enough = ratings.groupBy(column).count().filter(f"count >= {least}").select(column)
            rows = rows.join(enough, column)
    return rows


def collected(sums: DataFrame) -> pa.Table:
    """Rows of users or movies by rising id."""
    table = sums.toArrow()
    return table.sort_by(table.column_names[0])


def arrays(table: pa.Table, *names: str) -> list[Int64Array]:
    return [table[name].to_numpy() for name in names]


def left_by(terms: Terms, ratings: DataFrame, *, broadcast_users: bool) -> DataFrame:
    """What the biases leave of each rating; ratings of users and movies without enough of them are gone.

    Joins with tables that every executor gets keep the order of the rows; one by a shuffle would not.
    """
    from pyspark.sql import functions as f  # noqa: PLC0415

    spark = ratings.sparkSession
    users, movies = spark.createDataFrame(terms.users), spark.createDataFrame(terms.movies)
    rows = ratings.join(f.broadcast(movies), "movie_id").join(
        f.broadcast(users) if broadcast_users else users, "user_id"
    )
    expected: Column = f.lit(terms.mean) + f.col("movie_bias") + f.col("user_bias")
    return rows.select("user_id", "movie_id", (f.col("rating").cast("double") - expected).cast("float").alias("rating"))


def bias_of(table: pa.Table, side: Side) -> Float64Array:
    """The biases of a side's rows, shape (n,)."""
    ids, biases = (table.column(number).to_numpy() for number in range(2))
    if not np.array_equal(ids, side.ids):
        raise AssertionError("ALS has made factors of others than those who have ratings")
    return np.asarray(biases)


# --- one order


@contextmanager
def settings(spark: SparkSession, values: Mapping[str, str]) -> Iterator[None]:
    """Sets some of a session's settings for a while."""
    before = {name: spark.conf.get(name, None) for name in values}
    for name, value in values.items():
        spark.conf.set(name, value)
    try:
        yield
    finally:
        for name, old in before.items():
            if old is None:
                spark.conf.unset(name)
            else:
                spark.conf.set(name, old)


def check_memory(spark: SparkSession, ratings: int) -> None:
    """Makes sure that no executor has to spill so many ratings.

    Raises:
        EnvironmentProblemError: if it might.
    """
    alone = cluster.runs_in_driver(spark.sparkContext.master)
    setting, key = ("spark.driver.memory", "driver_memory") if alone else ("spark.executor.memory", "executor_memory")
    heap = bytes_of(spark.sparkContext.getConf().get(setting, "1g") or "1g")
    needed = SPARE_HEAP + HEAP_PER_RATING * ratings
    if heap < needed:
        raise EnvironmentProblemError(
            f"{ratings:,} ratings need a heap of {needed >> 20:,} MB, and {key} is {heap >> 20:,} MB: "
            "Spark would spill them to disk, in another order each time, and the model's last bits with it",
            f"--config {key}={(needed >> 20) + 1}m, or engine=native",
        )


def bytes_of(size: str) -> int:
    """A size as Spark writes it, such as 800m or 4g."""
    number, unit = re.fullmatch(r"(\d+)([kmgt]?)b?", size.lower()).groups()  # type: ignore[union-attr]
    return int(number) * UNITS.get(unit, 1)
