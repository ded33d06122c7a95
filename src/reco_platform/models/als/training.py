"""ALS training by the native engine, on tables of ratings: which ratings count, the biases, the factors.

Nothing here knows of tasks, receipts or storage; `steps.training` does.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from reco_platform.core.arrays import Float32Array, Int32Array, Int64Array
from reco_platform.core.errors import DataError
from reco_platform.core.words import counted
from reco_platform.models import biases
from reco_platform.models.als.model import Model, Side

COLUMNS = ("user_id", "movie_id", "user_index", "movie_index", "rating")


@dataclass(frozen=True)
class TrainedModel:
    """A model, and its objective per rating after each iteration; empty where the engine does not report it."""

    model: Model
    objective: list[float]


@dataclass(frozen=True)
class TrainingStats:
    """The number of ratings that a model was trained on, and their mean."""

    ratings: int
    mean: float


def training_stats(rows: pa.Table) -> TrainingStats:
    return TrainingStats(len(rows), float(np.mean(rows["rating"].to_numpy(), dtype=np.float64)))


class CallbackResult(NamedTuple):
    """What a callback answers: text for the log line of the iteration, and whether training is to stop."""

    message: str = ""
    stop: bool = False


class Positives(NamedTuple):
    """Values to predict and their weights, shape (ratings,); None if all are 1."""

    values: Float32Array | None
    weights: Float32Array | None


Callback = Callable[[int, float | None, Model], CallbackResult]
"""Called after each iteration with its number (from 1), the objective per rating where known, and the model so far."""

Log = Callable[[str], None]


def no_callback(iteration: int, objective: float | None, model: Model) -> CallbackResult:
    return CallbackResult()


def with_enough_ratings(rows: pa.Table, min_user_ratings: int, min_item_ratings: int) -> pa.Table:
    """The ratings whose user and movie both have enough ratings.

    Ratings are counted once, over all rows given, so a user may have fewer than the minimum in the result.

    Raises:
        DataError: if no rating is left.
    """
    users, movies = rows["user_index"].to_numpy(), rows["movie_index"].to_numpy()
    enough = (np.bincount(users) >= min_user_ratings)[users] & (np.bincount(movies) >= min_item_ratings)[movies]
    if not enough.any():
        raise no_ratings_error(len(rows), min_user_ratings, min_item_ratings)
    return rows if enough.all() else rows.filter(pa.array(enough))


def no_ratings_error(ratings: int, min_user_ratings: int, min_item_ratings: int) -> DataError:
    return DataError(
        f"none of the {ratings:,} training ratings has both a user with at least min_user_ratings={min_user_ratings} "
        f"ratings and a movie with at least min_item_ratings={min_item_ratings} ratings",
        "set smaller values",
    )


def train(
    rows: pa.Table, params: Mapping[str, Any], *, threads: int, log: Log, callback: Callback = no_callback
) -> TrainedModel:
    """Trains a model; with params["biased"] on the residuals of the biases, otherwise on the ratings themselves.

    Biases are those of Koren 2010 (Factor in the Neighbors, section 2.1); LensKit's BiasedMF trains on the same
    residuals. They become two more columns of the factors, so that products of factors are whole ratings.

    Args:
        rows: COLUMNS; the dense indexes rise with the ids.
        params: rank, max_iter, reg_param, seed, solver, biased and, if biased, bias_damping.
        threads: at least 1; never changes the result.
        log: gets a line before training and after each iteration.
        callback: called after each iteration.

    Raises:
        ConfigError, DataError: see `native.train`.
    """
    if not params["biased"]:
        return train_factors(rows, params, threads=threads, log=log, callback=callback)
    users, movies, values = (rows[name].to_numpy() for name in ("user_index", "movie_index", "rating"))
    fitted = biases.fit(users, movies, values, params["bias_damping"])
    column = rows.schema.get_field_index("rating")
    residuals = rows.set_column(column, "rating", pa.array(fitted.residuals(users, movies, values)))
    # Dense indexes rise with the ids, as a model's rows do.
    terms = (fitted.mean + fitted.users[present(users)], fitted.movies[present(movies)])

    def with_biases(iteration: int, objective: float | None, model: Model) -> CallbackResult:
        return callback(iteration, objective, model.with_terms(*terms))

    trained = train_factors(residuals, params, threads=threads, log=log, callback=with_biases)
    return TrainedModel(trained.model.with_terms(*terms), trained.objective)


def train_factors(
    rows: pa.Table,
    params: Mapping[str, Any],
    *,
    threads: int,
    log: Log,
    callback: Callback = no_callback,
    positives: Positives | None = None,
    unobserved_weight: float = 0.0,
) -> TrainedModel:
    """Factors alone, without biases; for the other arguments see `train`.

    Args:
        rows: COLUMNS, of which the rating is not needed with `positives`.
        params: rank, max_iter, reg_param, seed, solver.
        threads, log, callback: see `train`.
        positives: values to predict and their weights; default the ratings.
        unobserved_weight: see `native.train`.
    """
    from reco_platform.models.als import native  # noqa: PLC0415  # restoring a result needs no compiled code
    from reco_platform.models.als.ratings import ratings  # noqa: PLC0415

    user_index, movie_index = rows["user_index"].to_numpy(), rows["movie_index"].to_numpy()
    user_ids, movie_ids = present_ids(user_index, rows["user_id"]), present_ids(movie_index, rows["movie_id"])

    def after_iteration(iteration: int, objective: float, users: Float32Array, movies: Float32Array) -> bool:
        loss = objective / len(rows)
        result = callback(iteration, loss, Model(Side(user_ids, users), Side(movie_ids, movies)))
        message = f"objective per rating {loss:.5f}{result.message}"
        ended.append(time.monotonic() - started)
        log(progress(ended, params["max_iter"], message))
        return result.stop

    started, ended = time.monotonic(), list[float]()
    log(f"{len(rows):,} ratings, {counted(threads, 'thread')}")
    factors = native.train(
        ratings(user_index, movie_index, *((rows["rating"].to_numpy(),) if positives is None else positives)),
        rank=params["rank"],
        max_iter=params["max_iter"],
        reg_param=params["reg_param"],
        seed=params["seed"],
        solver=params["solver"],
        threads=threads,
        unobserved_weight=unobserved_weight,
        callback=after_iteration,
    )
    model = Model(Side(user_ids, factors.users), Side(movie_ids, factors.movies))
    return TrainedModel(model, (factors.objective / len(rows)).tolist())


def progress(ended: Sequence[float], max_iter: int, message: str) -> str:
    """A log line with the seconds so far, and from the second iteration on an estimate of those left.

    Args:
        ended: when each iteration so far ended, in seconds since the start. The estimate leaves out the first one: it
            may have compiled kernels.
        max_iter: number of iterations.
        message: what to say about the latest.
    """
    iteration, elapsed = len(ended), ended[-1]
    line = f"iteration {iteration}/{max_iter}: {message}, {elapsed:.1f} s"
    if iteration == 1:
        return line
    left = (elapsed - ended[0]) / (iteration - 1) * (max_iter - iteration)
    return f"{line}, {left:.1f} s left"


def present(index: Int32Array) -> Int64Array:
    """The dense indexes that occur, in rising order."""
    return np.flatnonzero(np.bincount(index))


def present_ids(index: Int32Array, ids: pa.ChunkedArray) -> Int32Array:
    """The ids of the dense indexes that occur, in rising order of the indexes."""
    id_of_index = np.zeros(int(index.max()) + 1, np.int32)
    id_of_index[index] = ids.to_numpy()
    return id_of_index[present(index)]
