"""Training by pyspark.ml's ALS on ratings that executors read; no rating reaches the driver.

The driver gets only data that grow with users and movies: their biases and, at the end, their factors.

The model is equal to the bit on any number of cores and executors. The sums for the biases are over integers, so their
order does not matter. ALS adds the ratings of a row in the order in which its shuffles deliver them, and only a shuffle
from a single task always delivers in the same order. So up to MAX_ORDERED_RATINGS ratings, one task reads them in the
order of the files and distributes them to the blocks. An executor must hold them in memory, since Spark reorders rows
that it spills. The iterations, which take most of the time, run as `num_blocks` tasks.
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
from reco_platform.models.als.model import Model, Side, side_from_table
from reco_platform.models.als.training import TrainingStats, no_ratings_error
from reco_platform.spark import cluster
from reco_platform.splits.interactions import MICROSECONDS_OF_A_DAY

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame, SparkSession

MAX_ORDERED_RATINGS = 1_000_000_000
"""With more ratings, many tasks read them: one would take hours. The last bits of factors may then differ."""

RATING_UNIT = 1 << 24
"""Ratings are float32 numbers of at least 0.5 (contract of interactions), so whole multiples of its inverse."""

BIAS_UNIT = 1 << 32
"""Movie biases are rounded to whole multiples of its inverse."""

RESERVED_HEAP = 300 << 20  # bytes of a heap that Spark reserves
HEAP_PER_RATING = 64
"""Bytes. A rating takes 12, and 12 more while the blocks of both sides are built. They must fit into half of 0.6 of the
heap, which execution cannot evict; the rest allows for blocks that are larger than the mean."""

UNITS = {"k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}

ONE_PARTITION = {
    "spark.sql.files.maxPartitionBytes": str(2**63 - 1),
    "spark.sql.files.openCostInBytes": "0",
    "spark.sql.files.minPartitionNum": "1",
}
"""Settings with which one task reads all files, the largest first."""


@dataclass(frozen=True)
class BiasTerms:
    """The biases of users and movies; all 0 if the model has none.

    Attributes:
        stats: number and mean of the training ratings.
        users: user_id in rising order, and the user's bias.
        movies: movie_id in rising order, and the movie's bias.
        mean: the mean that predictions start from.
    """

    stats: TrainingStats
    users: pa.Table
    movies: pa.Table
    mean: float


def interactions(spark: SparkSession, uris: list[str], folds: Collection[str], *more: str) -> DataFrame:
    """The ratings of some folds: user_id, movie_id and rating.

    Args:
        spark: the session.
        uris: URIs of the files of gold/interactions.
        folds: names of the folds.
        more: names of further columns.
    """
    from pyspark.sql import functions as f  # noqa: PLC0415

    return spark.read.parquet(*uris).filter(f.col("fold").isin(*folds)).select("user_id", "movie_id", "rating", *more)


def train(ratings: DataFrame, params: Mapping[str, Any], checkpoints: str) -> tuple[Model, TrainingStats]:
    """Trains a model, on the residuals of the biases if params["biased"]; see `training.train`.

    ALS-WR (Zhou et al. 2008): the regularisation of each row is scaled by its number of ratings.

    Args:
        ratings: user_id, movie_id and rating; distinct pairs.
        params: rank, max_iter, reg_param, nonnegative, seed, num_blocks, biased, bias_damping, min_user_ratings and
            min_item_ratings.
        checkpoints: URI of a folder that executors can access, where ALS truncates its lineage every ten iterations.

    Raises:
        DataError: if no rating has a user and a movie with enough ratings.
        EnvironmentProblemError: if an executor cannot hold the ratings.
    """
    terms = fit_biases(ratings, params)
    spark = ratings.sparkSession
    spark.sparkContext.setCheckpointDir(checkpoints)
    in_one_order = terms.stats.ratings <= MAX_ORDERED_RATINGS
    if in_one_order:
        check_memory(spark, terms.stats.ratings)
    with temporary_settings(spark, ONE_PARTITION if in_one_order else {}):
        residuals = subtract_biases(terms, ratings, broadcast_users=in_one_order)
        fitted = als(params).fit(residuals.coalesce(1) if in_one_order else residuals)
        model = Model(side_from_table(fitted.userFactors.toArrow()), side_from_table(fitted.itemFactors.toArrow()))
    if params["biased"]:
        model = model.with_terms(
            terms.mean + biases_of(terms.users, model.users), biases_of(terms.movies, model.movies)
        )
    return model, terms.stats


def train_implicit(ratings: DataFrame, params: Mapping[str, Any], checkpoints: str) -> tuple[Model, TrainingStats]:
    """Trains factors on positives and all other pairs, by ALS with implicitPrefs.

    Spark's objective (Hu, Koren, Volinsky 2008) has a weight of 1 for unobserved pairs, and 1 + alpha s with value 1
    for a positive of strength s. With alpha = 1 / unobserved_weight it is that of `native.train` divided by
    unobserved_weight, but for values of 1 + unobserved_weight / s instead of 1, and for a regularisation that counts
    positives alone. So lists are similar to those of the native engine, not equal.

    Args:
        ratings: user_id, movie_id, rating and rating_ts; distinct pairs.
        params: those of `positives`, ranking_rank, ranking_max_iter, ranking_reg_param, unobserved_weight, seed,
            num_blocks, min_user_ratings and min_item_ratings.
        checkpoints: see `train`.

    Raises:
        DataError, EnvironmentProblemError: see `train`.
    """
    spark = ratings.sparkSession
    spark.sparkContext.setCheckpointDir(checkpoints)
    minima = params["min_user_ratings"], params["min_item_ratings"]
    rows = with_enough_ratings(ratings, *minima)
    stats = stats_of(rows)
    if not stats.ratings:
        raise no_ratings_error(ratings.count(), *minima)
    in_one_order = stats.ratings <= MAX_ORDERED_RATINGS
    if in_one_order:
        check_memory(spark, stats.ratings)
    with temporary_settings(spark, ONE_PARTITION if in_one_order else {}):
        positives = strengths(rows, params)
        own = {"rank": params["ranking_rank"], "max_iter": params["ranking_max_iter"], "nonnegative": False}
        reg_param = params["ranking_reg_param"] / params["unobserved_weight"]
        solver = als({**params, **own, "reg_param": reg_param})
        solver.setImplicitPrefs(True).setAlpha(1 / params["unobserved_weight"])
        fitted = solver.fit(positives.coalesce(1) if in_one_order else positives)
        sides = (side_from_table(factors.toArrow()) for factors in (fitted.userFactors, fitted.itemFactors))
        return Model(*sides), stats


def stats_of(rows: DataFrame) -> TrainingStats:
    """Number and mean of the ratings; the sum is over integers, so it is the same in any order."""
    from pyspark.sql import functions as f  # noqa: PLC0415

    units = f.sum((f.col("rating").cast("double") * RATING_UNIT).cast("bigint"))
    count, total = rows.agg(f.count(f.lit(1)), units).collect()[0]
    return TrainingStats(count, total / (count * RATING_UNIT) if count else 0.0)


def strengths(rows: DataFrame, params: Mapping[str, Any]) -> DataFrame:
    """Value times weight of each positive as its rating; see `ranking.positives`. A strength of 0 is left out."""
    from pyspark.sql import functions as f  # noqa: PLC0415

    lowest, highest, latest = rows.agg(f.min("rating"), f.max("rating"), f.max(f.unix_micros("rating_ts"))).collect()[0]
    rating, liked = f.col("rating").cast("double"), params["liked_rating"]
    strength = f.lit(1.0)
    if params["positives"] == "liked":
        rows = rows.filter(rating >= liked)
    if params["positives"] == "graded":
        disliked, best = params["disliked_rating"], params["best_rating"]
        strength = f.greatest(f.lit(0.0), f.least(f.lit(1.0), (rating - disliked) / (best - disliked)))
    if params["positives"] == "weighted" and highest > lowest:
        strength = 1 + params["positive_strength"] * (rating - lowest) / (highest - lowest)
    if params["positive_half_life"] is not None:
        age = (f.lit(latest) - f.unix_micros("rating_ts")) / MICROSECONDS_OF_A_DAY
        strength = strength * f.greatest(f.lit(1e-6), f.pow(f.lit(2.0), -age / params["positive_half_life"]))
    return rows.select("user_id", "movie_id", strength.cast("float").alias("rating")).filter("rating > 0")


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


# --- biases, from sums over integers


def fit_biases(ratings: DataFrame, params: Mapping[str, Any]) -> BiasTerms:
    """Mean and biases as `biases.fit` defines them, with movie biases rounded to a multiple of 1 / BIAS_UNIT."""
    from pyspark.sql import functions as f  # noqa: PLC0415

    minima = params["min_user_ratings"], params["min_item_ratings"]
    rows = with_enough_ratings(ratings, *minima)
    units = f.sum((f.col("rating").cast("double") * RATING_UNIT).cast("bigint")).alias("units")
    movies = collect_sorted(rows.groupBy("movie_id").agg(f.count(f.lit(1)).alias("count"), units))
    counts, sums = arrays(movies, "count", "units")
    total = int(counts.sum())
    if not total:
        raise no_ratings_error(ratings.count(), *minima)
    mean = sum(sums.tolist()) / (total * RATING_UNIT)  # Python integers, rounded once
    biased, damping = params["biased"], params["bias_damping"]
    movie_biases = np.rint((sums / RATING_UNIT - counts * mean) / (counts + damping) * BIAS_UNIT) * biased
    movies = pa.table({"movie_id": movies["movie_id"], "movie_units": pa.array(movie_biases.astype(np.int64))})
    rated = rows.join(f.broadcast(ratings.sparkSession.createDataFrame(movies)), "movie_id")
    users = collect_sorted(
        rated.groupBy("user_id").agg(f.count(f.lit(1)).alias("count"), units, f.sum("movie_units").alias("movie_units"))
    )
    counts, sums, movie_units = arrays(users, "count", "units", "movie_units")
    user_biases = (sums / RATING_UNIT - counts * mean - movie_units / BIAS_UNIT) / (counts + damping) * biased
    return BiasTerms(
        TrainingStats(total, mean),
        pa.table({"user_id": users["user_id"], "user_bias": pa.array(user_biases)}),
        pa.table({"movie_id": movies["movie_id"], "movie_bias": pa.array(movie_biases / BIAS_UNIT)}),
        mean * biased,
    )


def with_enough_ratings(ratings: DataFrame, min_user_ratings: int, min_item_ratings: int) -> DataFrame:
    """The ratings whose user and movie both have enough ratings; see `training.with_enough_ratings`."""
    rows = ratings
    for column, minimum in (("user_id", min_user_ratings), ("movie_id", min_item_ratings)):
        if minimum > 1:
            enough = ratings.groupBy(column).count().filter(f"count >= {minimum}").select(column)
            rows = rows.join(enough, column)
    return rows


def collect_sorted(sums: DataFrame) -> pa.Table:
    """Collects rows of users or movies to the driver, by rising id."""
    table = sums.toArrow()
    return table.sort_by(table.column_names[0])


def arrays(table: pa.Table, *names: str) -> list[Int64Array]:
    return [table[name].to_numpy() for name in names]


def subtract_biases(terms: BiasTerms, ratings: DataFrame, *, broadcast_users: bool) -> DataFrame:
    """The residual of each rating; ratings of users and movies without enough ratings are left out.

    Broadcast joins keep the order of the rows; a shuffle join would not.
    """
    from pyspark.sql import functions as f  # noqa: PLC0415

    spark = ratings.sparkSession
    users, movies = spark.createDataFrame(terms.users), spark.createDataFrame(terms.movies)
    rows = ratings.join(f.broadcast(movies), "movie_id").join(
        f.broadcast(users) if broadcast_users else users, "user_id"
    )
    expected: Column = f.lit(terms.mean) + f.col("movie_bias") + f.col("user_bias")
    return rows.select("user_id", "movie_id", (f.col("rating").cast("double") - expected).cast("float").alias("rating"))


def biases_of(table: pa.Table, side: Side) -> Float64Array:
    """The biases of the users or movies of a side, shape (n,)."""
    ids, biases = (table.column(number).to_numpy() for number in range(2))
    if not np.array_equal(ids, side.ids):
        raise AssertionError("ALS returned factors of other users or movies than those with ratings")
    return np.asarray(biases)


# --- reading in one order


@contextmanager
def temporary_settings(spark: SparkSession, values: Mapping[str, str]) -> Iterator[None]:
    """Sets some settings of a session, and restores them afterwards."""
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
    """Checks that an executor can hold a number of ratings without spilling.

    Raises:
        EnvironmentProblemError: if its heap is too small.
    """
    local = cluster.runs_in_driver(spark.sparkContext.master)
    setting, key = ("spark.driver.memory", "driver_memory") if local else ("spark.executor.memory", "executor_memory")
    heap = bytes_of(spark.sparkContext.getConf().get(setting, "1g") or "1g")
    needed = RESERVED_HEAP + HEAP_PER_RATING * ratings
    if heap < needed:
        raise EnvironmentProblemError(
            f"{ratings:,} ratings need a heap of {needed >> 20:,} MB, and {key} is {heap >> 20:,} MB: "
            "Spark would spill them to disk in a different order each time, and the model would not be reproducible",
            f"--config {key}={(needed >> 20) + 1}m, or engine=native",
        )


def bytes_of(size: str) -> int:
    """Bytes of a size in Spark's notation, such as 800m or 4g."""
    number, unit = re.fullmatch(r"(\d+)([kmgt]?)b?", size.lower()).groups()  # type: ignore[union-attr]
    return int(number) * UNITS.get(unit, 1)
