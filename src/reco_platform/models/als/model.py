"""A trained model: the factors of users and movies, as Spark's ALSModel stores them."""

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
"""Ids below this are looked up in a table, others by bisection."""

ROW_GROUP = 65_536
"""Rows written at once; an Arrow list column counts its values in 32 bits."""

PREDICTED_AT_ONCE = 1 << 16  # rows whose factors fit the cache

FACTORS = pa.schema([("id", pa.int32()), ("features", pa.list_(pa.float32()))])


@dataclass(frozen=True)
class Side:
    """Ids in rising order, shape (n,), and their factors, shape (n, rank)."""

    ids: Int32Array
    factors: Float32Array

    def positions(self, wanted: Int32Array) -> tuple[IntArray, BoolArray]:
        """Where each wanted id, none negative, stands, and whether it is there at all; both shaped like `wanted`."""
        if not len(self.ids):
            return np.zeros(len(wanted), np.int64), np.zeros(len(wanted), bool)
        largest = int(self.ids[-1])
        if len(wanted) > len(self.ids) and largest < LARGEST_TABLE:
            table = np.full(largest + 2, -1, np.int32)
            table[self.ids] = np.arange(len(self.ids), dtype=np.int32)
            at = table[np.minimum(wanted, largest + 1)]
            return at, at >= 0
        at = np.minimum(np.searchsorted(self.ids, wanted), len(self.ids) - 1)
        return at, self.ids[at] == wanted

    def wider(self, columns: Float64Array) -> Side:
        """With more columns after the factors, shape (n, more)."""
        return Side(self.ids, np.hstack([self.factors, columns.astype(np.float32)]))


@dataclass(frozen=True)
class Model:
    """Both sides; a prediction is the product of a user's and a movie's factors."""

    users: Side
    movies: Side

    def plus(self, users: Float64Array, movies: Float64Array) -> Model:
        """A model whose products are larger by two terms, one of the user and one of the movie: two columns more.

        Args:
            users: the term of each user, shape (users,); next to it stands a 1.
            movies: the term of each movie, shape (movies,); before it stands a 1.
        """
        ones = np.ones_like
        return Model(
            self.users.wider(np.column_stack([users, ones(users)])),
            self.movies.wider(np.column_stack([ones(movies), movies])),
        )

    def predict(self, user_ids: Int32Array, movie_ids: Int32Array) -> Float64Array:
        """Predicted ratings, shape as given; NaN where the user or the movie was not in training."""
        at_user, user_known = self.users.positions(user_ids)
        at_movie, movie_known = self.movies.positions(movie_ids)
        warm = np.flatnonzero(user_known & movie_known)
        predicted = np.full(len(user_ids), np.nan)
        for first in range(0, len(warm), PREDICTED_AT_ONCE):
            rows = warm[first : first + PREDICTED_AT_ONCE]
            left, right = self.users.factors[at_user[rows]], self.movies.factors[at_movie[rows]]
            predicted[rows] = np.einsum("ij,ij->i", left, right, dtype=np.float64)
        return predicted


def read_model(folder: Path) -> Model:
    """The model in a folder of Spark's format."""
    return Model(read_side(folder / "userFactors"), read_side(folder / "itemFactors"))


def write_model(model: Model, folder: Path) -> None:
    """Writes a model as Spark 4.2 does, for `pyspark.ml.recommendation.ALSModel.load`; the same bytes every time.

    Args:
        model: what to write.
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
    write_side(model.users, folder / "userFactors")
    write_side(model.movies, folder / "itemFactors")


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
    return side_of(side_table(folder))


def side_of(table: pa.Table) -> Side:
    """A side from its ids and factors in any order."""
    table = table.cast(FACTORS).sort_by("id")
    features = table["features"].combine_chunks()
    width = len(features.values) // max(len(table), 1)
    return Side(table["id"].to_numpy(), features.values.to_numpy().reshape(len(table), width))


def side_table(folder: Path) -> pa.Table:
    return pq.read_table(str(folder), partitioning=None).cast(FACTORS)


def difference(folder: Path | None, expected: str) -> str | None:
    """Why the factors in a folder cannot be used as those of a fingerprint, in words; None if they are those.

    Args:
        folder: in Spark's format; None where there is none any more.
        expected: the fingerprint.
    """
    if folder is None:
        return "are gone from the store"
    try:
        return None if model_fingerprint(folder) == expected else "are not those that were registered"
    except (OSError, ValueError) as error:
        return f"cannot be read ({type(error).__name__})"


def model_fingerprint(folder: Path) -> str:
    """Of the factors alone, whatever the files and the metadata beside them."""
    sides = [
        fingerprint(name, arrow_sums(side_table(folder / name), FACTORS.names))
        for name in ("userFactors", "itemFactors")
    ]
    return fingerprint("-".join(sides), arrow_sums(FACTORS.empty_table(), FACTORS.names))
