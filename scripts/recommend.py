"""The top N movies of every user of the training data, as a table."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from reco_platform import layout
from reco_platform.als.model import Ids, Model, read_model
from reco_platform.arrow_fingerprint import arrow_sums
from reco_platform.contracts import RECOMMENDATION, RECOMMENDATIONS, TIME
from reco_platform.errors import DataError
from reco_platform.fingerprint import fingerprint
from reco_platform.receipts import Receipt
from reco_platform.session import spark_session
from reco_platform.steps import Task, run, stage_arrow

if TYPE_CHECKING:
    from reco_platform.topn import TopN


def work(task: Task) -> Receipt:
    train = task.open("interactions").dataset().to_table(["user_id", "movie_id"], filter=pc.field("fold") != "test")
    users, movies = train["user_id"].to_numpy(), train["movie_id"].to_numpy()
    model = read_model(task.path("model")).with_support(movies, task.params["min_item_ratings"])
    if len(model.movies.ids) == 0:
        raise DataError(
            f"no movie has min_item_ratings={task.params['min_item_ratings']} training ratings",
            "set a smaller min_item_ratings",
        )
    seen = (users, movies) if task.params["exclude_seen"] else (users[:0], movies[:0])
    version = task.path("model").name
    table = recommendations(model, best_of_all(task, model, seen), version)
    stable = [name for name in RECOMMENDATIONS.names if name != "generated_ts"]
    content = fingerprint(RECOMMENDATIONS.schema_hash, arrow_sums(table, stable))
    staging = stage_arrow(task, layout.RECOMMENDATIONS, table)
    facts = {"model_version": version, "top_n": task.params["top_n"]}
    return task.publish(
        staging, RECOMMENDATIONS, layout.RECOMMENDATIONS, fingerprint=content, rows=len(table), facts=facts
    )


def needs_spark(task: Task) -> bool:
    """A model that took a cluster has its lists made there too."""
    return task.inputs["model"].format == "spark-ml"


def best_of_all(task: Task, model: Model, seen: tuple[Ids, Ids]) -> TopN:
    """The lists of every user, `seen` pairs of user and movie ids left out."""
    from reco_platform import topn, topn_spark  # noqa: PLC0415  # a restore needs no compiled code

    rows = topn.seen_rows(model, *seen)
    if needs_spark(task):
        return topn_spark.top_n_by_spark(spark_session("recommend", task.log_level), model, task.params["top_n"], rows)
    return topn.top_n(model, task.params["top_n"], rows, task.threads)


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
    sys.exit(run("recommend", __doc__, work, needs_spark))
