"""Lists of recommendations as tables, in the schema of their contracts."""

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
    """The folds that the served lists may use: all after a refit, otherwise all but the test fold."""
    return interactions.FOLDS if task.params["refit"] else interactions.TRAINING


def known_rows(task: Task, columns: list[str]) -> pa.Table:
    """The interactions in the known folds."""
    return interactions.read(task.open("interactions"), columns, known_folds(task), task.threads)


def lists_table(user_ids: Int32Array | pa.Array, lists: TopN, version: str) -> pa.Table:
    """A table with one row per user, shape (users, 4)."""
    starts = np.repeat(lists.offsets[:-1], np.diff(lists.offsets))
    ranks = (np.arange(1, len(starts) + 1) - starts).astype(np.int32)
    fields = [pa.array(values) for values in (lists.movie_ids, lists.scores, ranks)]
    structs = pa.StructArray.from_arrays(fields, fields=list(RECOMMENDATION))
    now = pa.scalar(int(time.time() * 1e6), pa.int64()).cast(TIME)
    columns = [
        user_ids if isinstance(user_ids, pa.Array) else pa.array(user_ids),
        pa.ListArray.from_arrays(pa.array(lists.offsets.astype(np.int32)), structs),
        pa.repeat(version, len(user_ids)),
        pa.repeat(now, len(user_ids)),
    ]
    return pa.table(columns, names=RECOMMENDATIONS.names).cast(RECOMMENDATIONS.schema)


def publish(task: Task, contract: Contract, table: pa.Table, version: str) -> Receipt:
    """Publishes lists as the step's artifact; the fingerprint excludes the time of writing."""
    stable = [name for name in contract.names if name not in VOLATILE_KEYS]
    content = fingerprint(contract.schema_hash, arrow_sums(table, stable))
    staging = task.stage_table(table)
    facts = {"model_version": version, "top_n": task.params["top_n"]}
    return task.publish(staging, contract, fingerprint=content, rows=len(table), facts=facts)
