"""Read the interactions table by fold: only the requested columns and rows, in threads."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from reco_platform.contracts.tables import INTERACTIONS
from reco_platform.core.arrays import BoolArray, Int64Array

if TYPE_CHECKING:
    from reco_platform.lakehouse.tables import OpenTable

TRAIN, VALIDATION, TEST = "train", "validation", "test"
FOLDS = (TRAIN, VALIDATION, TEST)
"""All folds. A row's fold number is the position here."""

TRAINING = (TRAIN, VALIDATION)
"""The folds on which the models are trained that are evaluated on the test fold."""

COLUMNS = ("user_id", "movie_id", "user_index", "movie_index", "rating", "rating_ts")
"""All columns but the fold."""

MICROSECONDS_OF_A_DAY = 24 * 60 * 60 * 1_000_000


def read(table: OpenTable, columns: Sequence[str], folds: Collection[str], threads: int) -> pa.Table:
    """Reads the rows of some folds in the order of the table; each column is one chunk.

    Args:
        table: gold/interactions.
        columns: any columns except fold.
        folds: which folds.
        threads: at least 1.
    """
    return read_parts(table, columns, (folds,), threads)[0]


def read_parts(
    table: OpenTable, columns: Sequence[str], parts: Sequence[Collection[str]], threads: int
) -> list[pa.Table]:
    """As `read`, for several choices of folds in one pass over the files."""
    kinds = {name: INTERACTIONS.schema.field(name).type for name in columns}
    with ThreadPoolExecutor(threads) as pool:
        masks = [list(pool.map(lambda path, folds=folds: fold_mask(path, folds), table.files)) for folds in parts]
        starts = [np.cumsum([0, *(int(mask.sum()) for mask in own)]) for own in masks]
        found = [{name: np.empty(own[-1], numpy_type(kind)) for name, kind in kinds.items()} for own in starts]

        def fill(number: int) -> None:
            content = pq.read_table(table.files[number], columns=list(columns), use_threads=False)
            for name in columns:
                column = content[name].cast(pa.from_numpy_dtype(numpy_type(kinds[name]))).to_numpy()
                for into, mask, start in zip(found, masks, starts, strict=True):
                    kept = column if mask[number].all() else column[mask[number]]
                    into[name][start[number] : start[number + 1]] = kept

        list(pool.map(fill, range(len(table.files))))
    return [pa.table({name: pa.array(own[name]).cast(kinds[name]) for name in columns}) for own in found]


def microseconds(column: pa.Array | pa.ChunkedArray) -> Int64Array:
    """Timestamps of any unit and time zone as microseconds since 1970 UTC, shape (rows,)."""
    return column.cast(pa.timestamp("us", "UTC")).cast(pa.int64()).to_numpy()


def fold_mask(path: Path, folds: Collection[str]) -> BoolArray:
    """Which rows of a file belong to some folds, shape (rows,)."""
    column = pq.read_table(path, columns=["fold"], read_dictionary=["fold"], use_threads=False)["fold"]
    parts = []
    for chunk in column.chunks:
        wanted = np.array([fold in folds for fold in chunk.dictionary.to_pylist()], bool)
        parts.append(wanted[chunk.indices.to_numpy()])
    return np.concatenate([np.zeros(0, bool), *parts])


def numpy_type(kind: pa.DataType) -> Any:
    """The NumPy type into which a column is read; int64 for timestamps."""
    return np.dtype(np.int64) if pa.types.is_timestamp(kind) else kind.to_pandas_dtype()
