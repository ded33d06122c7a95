"""Tables of ratings as training reads them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from reco_platform.models.als import training


def rating_rows(user: Any, movie: Any, value: Any) -> pa.Table:
    """Rows as training reads them; ids have gaps."""
    user, movie = np.asarray(user, np.int32), np.asarray(movie, np.int32)
    indexes = [np.unique(ids, return_inverse=True)[1].astype(np.int32) for ids in (user, movie)]
    columns = (7 * user + 3, 5 * movie + 2, *indexes, np.asarray(value, np.float32))
    return pa.table([pa.array(column) for column in columns], names=list(training.COLUMNS))


def random_rows(count: int = 2000) -> pa.Table:
    rng = np.random.default_rng(2)
    pairs = np.unique(np.column_stack([rng.integers(0, 90, count), 2 * rng.integers(0, 40, count)]), axis=0)
    return rating_rows(*pairs.T, 0.5 * rng.integers(1, 11, len(pairs)))


def columns_of(rows: pa.Table, *names: str) -> list[Any]:
    return [rows[name].to_numpy() for name in names]
