"""Evaluates the models and the baselines on the test fold: rating error, ranking, and beyond accuracy."""

import json

from reco_platform.engine.task import Task
from reco_platform.lakehouse.receipts import Receipt
from reco_platform.models.als.model import read_model
from reco_platform.splits import interactions
from reco_platform.steps.half_life import chosen_half_life
from reco_platform.steps.model_artifact import ranking_kind, run_version


def work(task: Task) -> Receipt:
    from reco_platform.evaluation import dataset as eval_dataset  # noqa: PLC0415
    from reco_platform.evaluation.evaluate import evaluate  # noqa: PLC0415
    from reco_platform.evaluation.settings import settings_from_params  # noqa: PLC0415
    from reco_platform.models.ranking import models  # noqa: PLC0415

    half_life = chosen_half_life(task)
    folder, plain, ranking = (task.path(name) for name in ("model", "plain_model", "ranking"))
    model, params = read_model(folder), task.params | {"ranking_model": ranking_kind(task)}
    folds = (interactions.TRAINING, (interactions.TEST,))
    table = task.open("interactions")
    train, test = map(
        eval_dataset.rating_arrays, interactions.read_parts(table, eval_dataset.COLUMNS, folds, task.threads)
    )
    found = evaluate(
        model,
        None if plain == folder else read_model(plain),
        None if ranking == folder else models.read_ranking_model(ranking),
        train,
        test,
        genres=task.open("movies").read(["movie_id", "genres"]),
        settings=settings_from_params(params, task.threads, half_life),
    )
    version = run_version(task)
    return task.publish_file(json.dumps(found, indent=1, allow_nan=False) + "\n", {"model_version": version}, version)
