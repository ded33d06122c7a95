"""Judges the model on the test fold, beside the baselines: rating error, ranking, and what the lists are like."""

import json
import sys

from reco_platform import interactions, layout
from reco_platform.als.model import read_model
from reco_platform.receipts import Receipt
from reco_platform.steps import Task, run


def work(task: Task) -> Receipt:
    from reco_platform import evaluation, scene  # noqa: PLC0415  # a restore needs no compiled code

    folder = task.path("model")
    model, plain = read_model(folder), task.path("plain_model")
    folds = (interactions.TRAINING, (interactions.TEST,))
    table = task.open("interactions")
    train, test = map(scene.rows_of, interactions.read_parts(table, scene.COLUMNS, folds, task.threads))
    found = evaluation.evaluate(
        model,
        None if plain == folder else read_model(plain),
        train,
        test,
        genres=task.open("movies").read(["movie_id", "genres"]),
        settings=evaluation.settings_from(task.params, task.threads),
    )
    return task.publish_file(layout.evaluation(folder.name), json.dumps(found, indent=1, allow_nan=False) + "\n")


if __name__ == "__main__":
    sys.exit(run("evaluate", __doc__, work))
