"""Compute the row hashes of fingerprint.spec from Arrow data, without a JVM."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pyarrow as pa

from reco_platform.fingerprint.spec import RowSums

BATCH_ROWS = 1 << 20


def arrow_sums(data: Iterable[pa.RecordBatch] | pa.Table, columns: Sequence[str]) -> RowSums:
    """The sums of the row hashes, equal to those of `fingerprint.spark.spark_sums`. Runs in threads without the GIL.

    Arrow reads Spark's INT96 timestamps as nanoseconds, which overflow outside the years 1677 to 2262. Read Parquet
    files that may contain such times with `coerce_int96_timestamp_unit="us"`.

    Args:
        data: record batches, or a table.
        columns: names of the columns to hash, in order.

    Raises:
        KeyError: the data lack a column.
        TypeError: a column's type cannot be hashed.
        pyarrow.ArrowInvalid: a timestamp is not a whole number of microseconds.
    """
    from reco_platform.fingerprint.kernels import SLICE_ROWS, slice_hashes  # noqa: PLC0415

    def sums(batch: pa.RecordBatch) -> RowSums:
        rows = low = high = 0
        for first in range(0, batch.num_rows, SLICE_ROWS):
            hashes = slice_hashes(batch.slice(first, SLICE_ROWS), columns)
            rows += len(hashes)
            low += int(np.sum(hashes & np.uint64(0xFFFFFFFF)))
            high += int(np.sum(hashes >> np.uint64(32)))
        return RowSums(rows, low, high)

    batches = data.to_batches(max_chunksize=BATCH_ROWS) if isinstance(data, pa.Table) else data
    with ThreadPoolExecutor() as pool:
        return sum(pool.map(sums, batches), RowSums(0, 0, 0))
