"""Silver ratings ready for training: one row per user and movie, dense indexes, and a fold by config `split`."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow.parquet as pq

from reco_platform.contracts.tables import INTERACTIONS
from reco_platform.engine.task import Task
from reco_platform.fingerprint.arrow import arrow_sums
from reco_platform.fingerprint.spec import RowSums, fingerprint
from reco_platform.lakehouse import publish
from reco_platform.lakehouse.receipts import Receipt

if TYPE_CHECKING:
    from reco_platform.core.arrays import Int8Array
    from reco_platform.splits.latest import LatestRatings

FILE_ROWS = 1 << 21
TIME_COLUMN = "rating_ts"  # nearly all values are distinct, so dictionary encoding would not help


def work(task: Task) -> Receipt:
    # Restoring needs no compiled code.
    from reco_platform.splits.latest import latest_ratings  # noqa: PLC0415
    from reco_platform.splits.split import split, split_facts  # noqa: PLC0415

    ratings = task.open("ratings").read(["user_id", "movie_id", "rating", "rating_ts"])
    rows = latest_ratings(ratings, task.threads)
    del ratings
    folds = split(rows, task.params)
    facts = split_facts(rows, folds)
    staging = publish.create_staging_folder(task.root / task.content_path())
    content = fingerprint(INTERACTIONS.schema_hash, write(rows, folds.fold, staging, task.threads))
    return task.publish(staging, INTERACTIONS, fingerprint=content, rows=len(rows), facts=facts)


def write(rows: LatestRatings, fold: Int8Array, staging: Path, threads: int) -> RowSums:
    """Writes files of FILE_ROWS rows, regardless of the number of threads, and sums the hashes of their rows."""

    def write_file(first: int) -> RowSums:
        table = rows.table(fold, first, min(first + FILE_ROWS, len(rows)))
        pq.write_table(
            table,
            staging / f"part-{first // FILE_ROWS:05d}.parquet",
            compression="zstd",
            row_group_size=FILE_ROWS // 2,
            use_dictionary=[name for name in INTERACTIONS.names if name != TIME_COLUMN],
            column_encoding={TIME_COLUMN: "DELTA_BINARY_PACKED"},
            store_schema=False,  # with it the fold would be read as a dictionary; the contract says text
        )
        return arrow_sums(table, INTERACTIONS.names)

    with ThreadPoolExecutor(threads) as pool:
        return sum(pool.map(write_file, range(0, len(rows), FILE_ROWS)), RowSums(0, 0, 0))
