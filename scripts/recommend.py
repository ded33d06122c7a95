"""The top N movies of every user of the training data, as a table."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from reco_platform import layout
from reco_platform.als.model import Model, read_model
from reco_platform.contracts import RECOMMENDATION, RECOMMENDATIONS, TIME
from reco_platform.fingerprint import arrow_sums, fingerprint
from reco_platform.receipts import Receipt
from reco_platform.steps import Task, run, stage_arrow

if TYPE_CHECKING:
    from reco_platform.topn import TopN


def work(task: Task) -> Receipt:
    from reco_platform.topn import seen_rows, top_n  # noqa: PLC0415  # a restore needs no compiled code

    model = read_model(task.path("model"))
    train = task.open("interactions").dataset().to_table(["user_id", "movie_id"], filter=pc.field("fold") != "test")
    columns = [train["user_id"].to_numpy(), train["movie_id"].to_numpy()]
    if not task.params["exclude_seen"]:
        columns = [column[:0] for column in columns]
    version = task.path("model").name
    best = top_n(model, task.params["top_n"], seen_rows(model, *columns), task.threads)
    table = recommendations(model, best, version)
    stable = [name for name in RECOMMENDATIONS.names if name != "generated_ts"]
    content = fingerprint(RECOMMENDATIONS.schema_hash, arrow_sums(table, stable))
    staging = stage_arrow(task, layout.RECOMMENDATIONS, table)
    facts = {"model_version": version, "top_n": task.params["top_n"]}
    return task.publish(
        staging, RECOMMENDATIONS, layout.RECOMMENDATIONS, fingerprint=content, rows=len(table), facts=facts
    )


def recommendations(model: Model, best: TopN, version: str) -> pa.Table:
    """A row for each user, as the contract says."""
    starts = np.repeat(best.offsets[:-1], np.diff(best.offsets))
    ranks = (np.arange(1, len(starts) + 1) - starts).astype(np.int32)
    fields = [pa.array(values) for values in (best.movie_ids, best.scores, ranks)]
    structs = pa.StructArray.from_arrays(fields, fields=list(RECOMMENDATION))
    users = len(model.users.ids)
    now = pa.scalar(int(time.time() * 1e6), pa.int64()).cast(TIME)
    columns = [
        pa.array(model.users.ids),
        pa.ListArray.from_arrays(pa.array(best.offsets.astype(np.int32)), structs),
        pa.repeat(version, users),
        pa.repeat(now, users),
    ]
    return pa.table(columns, names=RECOMMENDATIONS.names).cast(RECOMMENDATIONS.schema)


if __name__ == "__main__":
    sys.exit(run("recommend", __doc__, work))
