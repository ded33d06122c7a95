"""Lists of recommendations as the tables that their contracts describe."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from reco_platform.contracts.tables import RECOMMENDATION, RECOMMENDATIONS, TIME, Contract
from reco_platform.engine.task import Task
from reco_platform.fingerprint.arrow import arrow_sums
from reco_platform.fingerprint.files import VOLATILE_KEYS
from reco_platform.fingerprint.spec import fingerprint
from reco_platform.lakehouse.receipts import Receipt
from reco_platform.splits import interactions

if TYPE_CHECKING:
    from reco_platform.core.arrays import Int32Array
    from reco_platform.models.topn.exact import TopN


def known_folds(task: Task) -> tuple[str, ...]:
    """The folds that serving may know: all after a refit, otherwise those that are not for testing."""
    return interactions.FOLDS if task.params["refit"] else interactions.TRAINING


def known_rows(task: Task, columns: list[str]) -> pa.Table:
    """The interactions of these folds."""
    return interactions.read(task.open("interactions"), columns, known_folds(task), task.threads)


def table_of(user_ids: Int32Array, best: TopN, version: str) -> pa.Table:
    """A row for each user, shape (users, 4)."""
    starts = np.repeat(best.offsets[:-1], np.diff(best.offsets))
    ranks = (np.arange(1, len(starts) + 1) - starts).astype(np.int32)
    fields = [pa.array(values) for values in (best.movie_ids, best.scores, ranks)]
    structs = pa.StructArray.from_arrays(fields, fields=list(RECOMMENDATION))
    now = pa.scalar(int(time.time() * 1e6), pa.int64()).cast(TIME)
    columns = [
        pa.array(user_ids),
        pa.ListArray.from_arrays(pa.array(best.offsets.astype(np.int32)), structs),
        pa.repeat(version, len(user_ids)),
        pa.repeat(now, len(user_ids)),
    ]
    return pa.table(columns, names=RECOMMENDATIONS.names).cast(RECOMMENDATIONS.schema)


def publish(task: Task, contract: Contract, table: pa.Table, version: str) -> Receipt:
    """Publishes lists where the step's artifact lies; the time of writing is no part of the fingerprint."""
    stable = [name for name in contract.names if name not in VOLATILE_KEYS]
    content = fingerprint(contract.schema_hash, arrow_sums(table, stable))
    staging = task.stage_table(table)
    facts = {"model_version": version, "top_n": task.params["top_n"]}
    return task.publish(staging, contract, fingerprint=content, rows=len(table), facts=facts)
