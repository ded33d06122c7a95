"""Judges the model on the test fold."""

import json
import sys

import pyarrow.compute as pc

from reco_platform import layout
from reco_platform.als.model import read_model
from reco_platform.evaluation import rating_metrics
from reco_platform.receipts import Receipt
from reco_platform.steps import Task, run


def work(task: Task) -> Receipt:
    folder = task.path("model")
    columns = ["user_id", "movie_id", "rating"]
    test = task.open("interactions").dataset().to_table(columns, filter=pc.field("fold") == "test")
    predicted = read_model(folder).predict(test["user_id"].to_numpy(), test["movie_id"].to_numpy())
    found = rating_metrics(test["rating"].to_numpy(), predicted, task.params["cold_start_strategy"])
    return task.publish_file(layout.evaluation(folder.name), json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    sys.exit(run("evaluate", __doc__, work))
