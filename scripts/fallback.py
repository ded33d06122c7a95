"""The most popular movies of late for every user whom the served model does not know, as a table of their own."""

import sys

import numpy as np
import pyarrow as pa

from reco_platform import lists
from reco_platform.als.model import read_model
from reco_platform.contracts import RECOMMENDATIONS_FALLBACK
from reco_platform.receipts import Receipt
from reco_platform.steps import Task, run


def work(task: Task) -> Receipt:
    from reco_platform import baselines  # noqa: PLC0415  # a restore needs no compiled code

    folder, days = task.path("served_model"), task.params["popular_days"]
    model = read_model(folder)
    users = np.setdiff1d(task.open("interactions").read(["user_id"])["user_id"].to_numpy(), model.users.ids)
    known = lists.known_rows(task, ["user_id", "movie_id", "rating_ts"])
    theirs = ~model.users.positions(known["user_id"].to_numpy())[1] & task.params["exclude_seen"]
    seen = known.filter(pa.array(theirs))
    best = baselines.most_popular(model, users, known, seen, days=days, n=task.params["top_n"])
    version = f"popular-{days}d-{folder.name}"
    return lists.publish(task, RECOMMENDATIONS_FALLBACK, lists.table_of(users, best, version), version)


if __name__ == "__main__":
    sys.exit(run("fallback", __doc__, work))
