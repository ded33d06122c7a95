"""The train and validation folds alone, as arrays that many trials share by mapping them into memory.

Dense indexes are counted over these two folds, so that the folder says nothing of the test fold, not even its size.
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
GENRES = "genres.parquet"


@dataclass(frozen=True)
class Folds:
    """Both folds.

    Attributes:
        user_ids: by dense index, rising.
        movie_ids: by dense index, rising.
        train: columns by name of COLUMNS, each of shape (ratings,); moments in microseconds since 1970.
        validation: the same.
        genres: movie_id and genres of the movies.
    """

    user_ids: Int32Array
    movie_ids: Int32Array
    train: dict[str, npt.NDArray[Any]]
    validation: dict[str, npt.NDArray[Any]]
    genres: pa.Table


def collected(train: pa.Table, validation: pa.Table, movies: pa.Table) -> Folds:
    """From tables with user_id, movie_id, rating and rating_ts, in the order of their rows.

    Args:
        train: rows of the train fold.
        validation: rows of the validation fold.
        movies: movie_id and genres.
    """
    ids = {name: np.unique(np.concatenate([one[name].to_numpy() for one in (train, validation)])) for name in IDS}
    kept = movies.filter(pa.array(np.isin(movies["movie_id"].to_numpy(), ids["movie_id"]))).sort_by("movie_id")
    return Folds(ids["user_id"], ids["movie_id"], columns(train, ids), columns(validation, ids), kept)


IDS = ("user_id", "movie_id")


def columns(rows: pa.Table, ids: dict[str, Int32Array]) -> dict[str, npt.NDArray[Any]]:
    users, movies = (np.searchsorted(ids[name], rows[name].to_numpy()).astype(np.int32) for name in IDS)
    moments = interactions.microseconds(rows["rating_ts"])
    return dict(zip(COLUMNS, (users, movies, rows["rating"].to_numpy(), moments), strict=True))


def write(folds: Folds, folder: Path) -> str:
    """Writes them into an existing folder; returns a fingerprint of the content, sixteen hex digits."""
    for name, array in named(folds):
        np.save(folder / f"{name}.npy", array)
    pq.write_table(folds.genres, folder / GENRES)
    return content_of(folder)


def content_of(folder: Path) -> str:
    """The fingerprint of what lies in a folder."""
    arrays = "".join(sha256_file(path) for path in sorted(folder.glob("*.npy")))
    genres = pq.read_table(folder / GENRES).to_pylist()
    return hashlib.sha256(f"{arrays}{genres}".encode()).hexdigest()[:16]


def named(folds: Folds) -> Iterator[tuple[str, npt.NDArray[Any]]]:
    yield "user_ids", folds.user_ids
    yield "movie_ids", folds.movie_ids
    for fold in FOLDS:
        for column, array in getattr(folds, fold).items():
            yield f"{fold}_{column}", array


def read(folder: Path) -> Folds:
    """The folds in a folder; arrays are mapped, so that processes side by side share them.

    Raises:
        TableError: if a file is no plain array.
    """

    def mapped(name: str) -> npt.NDArray[Any]:
        path = folder / f"{name}.npy"
        try:
            found: npt.NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
        except (OSError, EOFError, ValueError) as error:
            hint = project.run_command("sweep", "--forcerun sweep_data")
            raise TableError(f"{path} is no array of numbers ({type(error).__name__})", hint) from error
        return found

    parts = {fold: {column: mapped(f"{fold}_{column}") for column in COLUMNS} for fold in FOLDS}
    genres = pq.read_table(folder / GENRES)
    return Folds(mapped("user_ids"), mapped("movie_ids"), parts["train"], parts["validation"], genres)
