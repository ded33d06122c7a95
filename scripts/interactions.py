"""Silver ratings ready for training: one row a (user, movie), dense indexes, and a fold by one global cut in time."""

import sys

import pyarrow as pa

from reco_platform import layout, splitting
from reco_platform.arrow_fingerprint import arrow_sums
from reco_platform.contracts import INTERACTIONS
from reco_platform.errors import DataError
from reco_platform.fingerprint import fingerprint
from reco_platform.receipts import Receipt
from reco_platform.steps import Task, run, stage_arrow


def work(task: Task) -> Receipt:
    rows = splitting.latest(task.open("ratings").read(["user_id", "movie_id", "rating", "rating_ts"]))
    moments = splitting.microseconds(rows["rating_ts"])
    cuts = splitting.time_cuts(moments, task.params["test_fraction"], task.params["validation_fraction"])
    table = pa.table(
        {
            "user_id": rows["user_id"],
            "movie_id": rows["movie_id"],
            "user_index": splitting.dense(rows["user_id"].to_numpy()),
            "movie_index": splitting.dense(rows["movie_id"].to_numpy()),
            "rating": rows["rating"],
            "rating_ts": rows["rating_ts"],
            "fold": splitting.folds(moments, cuts),
        }
    ).cast(INTERACTIONS.schema)
    counts = {item["values"]: item["counts"] for item in table["fold"].value_counts().to_pylist()}
    if not counts.get("test"):
        raise DataError(
            f"the test fold is empty: {len(table):,} ratings, of which the latest share the cut's moment",
            "give more data, or raise test_fraction",
        )
    facts = {
        "train_count": counts.get("train", 0) + counts.get("validation", 0),
        "validation_count": counts.get("validation", 0),
        "test_count": counts["test"],
        "validation_after": splitting.timestamp(cuts.train),
        "test_after": splitting.timestamp(cuts.test),
    }
    content = fingerprint(INTERACTIONS.schema_hash, arrow_sums(table, INTERACTIONS.names))
    staging = stage_arrow(task, layout.INTERACTIONS, table)
    return task.publish(staging, INTERACTIONS, layout.INTERACTIONS, fingerprint=content, rows=len(table), facts=facts)


if __name__ == "__main__":
    sys.exit(run("interactions", __doc__, work))
