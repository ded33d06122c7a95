"""A trained ALS model: the factors of users and movies, stored in the format of Spark's ALSModel."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from reco_platform.core.arrays import BoolArray, Float32Array, Float64Array, Int32Array, IntArray
from reco_platform.core.hashing import short_hash
from reco_platform.fingerprint.arrow import arrow_sums
from reco_platform.fingerprint.spec import fingerprint

DEFAULT_PARAMS = {
    "blockSize": 4096,
    "coldStartStrategy": "nan",
    "itemCol": "item",
    "predictionCol": "prediction",
    "userCol": "user",
}
"""Spark's defaults, which a saved model repeats."""

MODEL_PARAMS = {"userCol": "user_id", "itemCol": "movie_id", "coldStartStrategy": "drop"}
"""Spark's parameters of every saved model; their hash is part of its uid."""

LARGEST_TABLE = 1 << 24
"""Ids below this are looked up in a table, others by binary search."""

ROW_GROUP = 65_536
"""Rows per Parquet row group; an Arrow list column counts its values in 32 bits."""

USERS, MOVIES, WEIGHTS = "userFactors", "itemFactors", "itemWeights"
"""Folders of a saved model: factors of both sides, or weights between movies (see models.ranking.item_weights)."""

PREDICTION_BLOCK = 1 << 16  # rows whose factors fit into the cache

FACTORS = pa.schema([("id", pa.int32()), ("features", pa.list_(pa.float32()))])


@dataclass(frozen=True)
class Side:
    """The users or the movies of a model: ids in rising order, shape (n,), and their factors, shape (n, rank)."""

    ids: Int32Array
    factors: Float32Array

    def positions(self, wanted: Int32Array) -> tuple[IntArray, BoolArray]:
        """The position of each id and whether the model has it, both with the shape of `wanted`.

        No id may be negative. The position of an id that the model does not have is undefined.
        """
        if not len(self.ids):
            return np.zeros(len(wanted), np.int64), np.zeros(len(wanted), bool)
        largest = int(self.ids[-1])
        if len(wanted) > len(self.ids) and largest < LARGEST_TABLE:
            table = np.full(largest + 2, -1, np.int32)
            table[self.ids] = np.arange(len(self.ids), dtype=np.int32)
            positions = table[np.minimum(wanted, largest + 1)]
            return positions, positions >= 0
        positions = np.minimum(np.searchsorted(self.ids, wanted), len(self.ids) - 1)
        return positions, self.ids[positions] == wanted

    @classmethod
    def without_factors(cls, ids: Int32Array) -> Side:
        """A side that only knows its ids, in rising order."""
        return cls(ids, np.empty((len(ids), 0), np.float32))

    def with_columns(self, columns: Float64Array) -> Side:
        """With columns, shape (n, more), appended to the factors."""
        return Side(self.ids, np.hstack([self.factors, columns.astype(np.float32)]))


@dataclass(frozen=True)
class Model:
    """Users and movies; a prediction is the dot product of a user's and a movie's factors."""

    users: Side
    movies: Side

    def with_terms(self, users: Float64Array, movies: Float64Array) -> Model:
        """A model whose predictions are increased by a term of the user and a term of the movie.

        It has two more columns: the term and 1 for users, 1 and the term for movies.

        Args:
            users: the term of each user, shape (users,).
            movies: the term of each movie, shape (movies,).
        """
        ones = np.ones_like
        return Model(
            self.users.with_columns(np.column_stack([users, ones(users)])),
            self.movies.with_columns(np.column_stack([ones(movies), movies])),
        )

    def predict(self, user_ids: Int32Array, movie_ids: Int32Array) -> Float64Array:
        """Predicted ratings, with the shape of the ids; NaN where the model does not have the user or the movie."""
        user_positions, user_known = self.users.positions(user_ids)
        movie_positions, movie_known = self.movies.positions(movie_ids)
        warm = np.flatnonzero(user_known & movie_known)
        predicted = np.full(len(user_ids), np.nan)
        for first in range(0, len(warm), PREDICTION_BLOCK):
            rows = warm[first : first + PREDICTION_BLOCK]
            left, right = self.users.factors[user_positions[rows]], self.movies.factors[movie_positions[rows]]
            predicted[rows] = np.einsum("ij,ij->i", left, right, dtype=np.float64)
        return predicted


def read_model(folder: Path) -> Model:
    """Reads a model from a folder in Spark's format."""
    return Model(read_side(folder / USERS), read_side(folder / MOVIES))


def write_model(model: Model, folder: Path) -> None:
    """Writes a model as Spark 4.2 does, for `pyspark.ml.recommendation.ALSModel.load`; the same bytes every time.

    Args:
        model: the model.
        folder: an existing folder.
    """
    metadata = {
        "class": "org.apache.spark.ml.recommendation.ALSModel",
        "timestamp": 0,
        "sparkVersion": "4.2.0",
        "uid": f"ALS_{short_hash(MODEL_PARAMS)}",
        "paramMap": MODEL_PARAMS,
        "defaultParamMap": DEFAULT_PARAMS,
        "rank": model.users.factors.shape[1],
    }
    text = json.dumps(metadata, sort_keys=True, separators=(",", ":"))
    (folder / "metadata").mkdir()
    (folder / "metadata" / "part-00000").write_text(text + "\n", encoding="utf-8")
    write_side(model.users, folder / USERS)
    write_side(model.movies, folder / MOVIES)


def write_side(side: Side, folder: Path) -> None:
    folder.mkdir()
    with pq.ParquetWriter(
        folder / "part-00000.snappy.parquet", FACTORS, compression="snappy", use_dictionary=False
    ) as out:
        for first in range(0, len(side.ids), ROW_GROUP):
            part = slice(first, first + ROW_GROUP)
            out.write_table(factors_table(side.ids[part], side.factors[part]))


def factors_table(ids: Int32Array, factors: Float32Array) -> pa.Table:
    rows, rank = factors.shape
    offsets = pa.array(np.arange(rows + 1, dtype=np.int32) * rank)
    features = pa.ListArray.from_arrays(offsets, pa.array(np.ascontiguousarray(factors).reshape(-1)))
    return pa.table([pa.array(ids, pa.int32()), features], schema=FACTORS)


def read_side(folder: Path) -> Side:
    return side_from_table(side_table(folder))


def side_from_table(table: pa.Table) -> Side:
    """A side from a table of ids and factors in any order."""
    table = table.cast(FACTORS).sort_by("id")
    features = table["features"].combine_chunks()
    width = len(features.values) // max(len(table), 1)
    return Side(table["id"].to_numpy(), features.values.to_numpy().reshape(len(table), width))


def side_table(folder: Path) -> pa.Table:
    return pq.read_table(str(folder), partitioning=None).cast(FACTORS)


def factors_problem(folder: Path | None, expected: str) -> str | None:
    """Why a folder does not hold the factors with a fingerprint, for a message; None if it does.

    Args:
        folder: in Spark's format; None if it no longer exists.
        expected: the fingerprint.
    """
    if folder is None:
        return "are no longer in the store"
    try:
        return None if model_fingerprint(folder) == expected else "differ from those that were registered"
    except (OSError, ValueError) as error:
        return f"cannot be read ({type(error).__name__})"


def model_fingerprint(folder: Path) -> str:
    """The fingerprint of the factors or weights; it depends neither on the files nor on the metadata."""
    names = (WEIGHTS,) if (folder / WEIGHTS).is_dir() else (USERS, MOVIES)
    sides = [fingerprint(name, arrow_sums(side_table(folder / name), FACTORS.names)) for name in names]
    return fingerprint("-".join(sides), arrow_sums(FACTORS.empty_table(), FACTORS.names))
