"""Judges the model on the test fold, beside the baselines: rating error, ranking, and what the lists are like."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import pyarrow as pa

from reco_platform import interactions, layout
from reco_platform.als.model import read_model
from reco_platform.receipts import Receipt
from reco_platform.steps import Task, run

if TYPE_CHECKING:
    from reco_platform.evaluation import Rows

COLUMNS = ["user_id", "movie_id", "user_index", "movie_index", "rating", "rating_ts"]


def work(task: Task) -> Receipt:
    from reco_platform import evaluation  # noqa: PLC0415  # a restore needs no compiled code

    folder = task.path("model")
    model, plain = read_model(folder), task.path("plain_model")
    folds = (interactions.TRAINING, (interactions.TEST,))
    train, test = map(rows_of, interactions.read_parts(task.open("interactions"), COLUMNS, folds, task.threads))
    predicted = model.predict(test.users, test.movies)
    settings = evaluation.settings_from(task.params, task.threads)
    found = {
        **evaluation.rating_metrics(test.ratings, predicted, task.params["cold_start_strategy"]),
        **evaluation.evaluate(
            model,
            None if plain == folder else read_model(plain),
            train,
            test,
            genres=task.open("movies").read(["movie_id", "genres"]),
            settings=settings,
        ),
    }
    return task.publish_file(layout.evaluation(folder.name), json.dumps(found, indent=1, allow_nan=False) + "\n")


def rows_of(table: pa.Table) -> Rows:
    from reco_platform.evaluation import Rows  # noqa: PLC0415  # a restore needs no compiled code

    users, movies, user_index, movie_index, ratings = (table[name].to_numpy() for name in COLUMNS[:5])
    moments = table["rating_ts"].cast(pa.int64()).to_numpy()
    return Rows(users, movies, user_index, movie_index, ratings, moments)


if __name__ == "__main__":
    sys.exit(run("evaluate", __doc__, work))
