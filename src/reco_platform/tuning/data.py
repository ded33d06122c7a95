"""The data of a sweep: the train and validation folds as arrays, which trials share as memory-mapped files.

Dense indexes are over these two folds alone, so the files contain nothing about the test fold, not even its size.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from reco_platform.core import project
from reco_platform.core.arrays import Int32Array
from reco_platform.core.errors import TableError
from reco_platform.splits import interactions
from reco_platform.store.paths import sha256_file

COLUMNS = ("user_index", "movie_index", "rating", "rating_ts")
FOLDS = ("train", "validation")
IDS = ("user_id", "movie_id")
GENRES = "genres.parquet"


@dataclass(frozen=True)
class Folds:
    """The train and the validation fold.

    Attributes:
        user_ids: by dense index, in rising order.
        movie_ids: by dense index, in rising order.
        train: the arrays of COLUMNS, shape (ratings,); rating_ts in microseconds since 1970.
        validation: like `train`.
        genres: movie_id and genres of the movies.
    """

    user_ids: Int32Array
    movie_ids: Int32Array
    train: dict[str, npt.NDArray[Any]]
    validation: dict[str, npt.NDArray[Any]]
    genres: pa.Table


def build_folds(train: pa.Table, validation: pa.Table, movies: pa.Table) -> Folds:
    """Folds from tables with user_id, movie_id, rating and rating_ts; the order of the rows is kept.

    Args:
        train: rows of the train fold.
        validation: rows of the validation fold.
        movies: movie_id and genres.
    """
    ids = {name: np.unique(np.concatenate([fold[name].to_numpy() for fold in (train, validation)])) for name in IDS}
    known_movies = movies.filter(pa.array(np.isin(movies["movie_id"].to_numpy(), ids["movie_id"]))).sort_by("movie_id")
    return Folds(ids["user_id"], ids["movie_id"], fold_columns(train, ids), fold_columns(validation, ids), known_movies)


def fold_columns(rows: pa.Table, ids: dict[str, Int32Array]) -> dict[str, npt.NDArray[Any]]:
    users, movies = (np.searchsorted(ids[name], rows[name].to_numpy()).astype(np.int32) for name in IDS)
    moments = interactions.microseconds(rows["rating_ts"])
    return dict(zip(COLUMNS, (users, movies, rows["rating"].to_numpy(), moments), strict=True))


def write_folds(folds: Folds, folder: Path) -> str:
    """Writes folds to an existing folder; returns the fingerprint of the content, sixteen hex digits."""
    for name, array in named_arrays(folds):
        np.save(folder / f"{name}.npy", array)
    pq.write_table(folds.genres, folder / GENRES)
    return content_fingerprint(folder)


def content_fingerprint(folder: Path) -> str:
    """The fingerprint of the folds in a folder, sixteen hex digits."""
    arrays = "".join(sha256_file(path) for path in sorted(folder.glob("*.npy")))
    genres = pq.read_table(folder / GENRES).to_pylist()
    return hashlib.sha256(f"{arrays}{genres}".encode()).hexdigest()[:16]


def named_arrays(folds: Folds) -> Iterator[tuple[str, npt.NDArray[Any]]]:
    yield "user_ids", folds.user_ids
    yield "movie_ids", folds.movie_ids
    for fold in FOLDS:
        for column, array in getattr(folds, fold).items():
            yield f"{fold}_{column}", array


def read_folds(folder: Path) -> Folds:
    """Reads folds from a folder; arrays are memory-mapped, so that parallel processes share them.

    Raises:
        TableError: if a file is not an array of numbers.
    """

    def mapped(name: str) -> npt.NDArray[Any]:
        path = folder / f"{name}.npy"
        try:
            array: npt.NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
        except (OSError, EOFError, ValueError) as error:
            hint = project.run_command("sweep", "--forcerun sweep_data")
            raise TableError(f"{path} is not an array of numbers ({type(error).__name__})", hint) from error
        return array

    parts = {fold: {column: mapped(f"{fold}_{column}") for column in COLUMNS} for fold in FOLDS}
    genres = pq.read_table(folder / GENRES)
    return Folds(mapped("user_ids"), mapped("movie_ids"), parts["train"], parts["validation"], genres)
