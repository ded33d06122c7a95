"""Reading training ratings and publishing a model, shared by all training steps."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pyarrow as pa

from reco_platform.core.hashing import short_hash
from reco_platform.engine.task import Task
from reco_platform.lakehouse import publish
from reco_platform.lakehouse.receipts import Receipt
from reco_platform.models.als import training
from reco_platform.models.als.model import model_fingerprint, write_model
from reco_platform.models.als.training import TrainedModel, TrainingStats
from reco_platform.splits import interactions


def training_rows(task: Task, folds: Collection[str], columns: Sequence[str] = training.COLUMNS) -> pa.Table:
    """The interactions in some folds whose user and movie have enough ratings, sorted by user and movie."""
    rows = interactions.read(task.open("interactions"), columns, folds, task.threads)
    return training.with_enough_ratings(rows, task.params["min_user_ratings"], task.params["min_item_ratings"])


def publish_model(
    task: Task,
    trained: TrainedModel,
    stats: TrainingStats,
    shaping_params: Mapping[str, Any],
    more_facts: Mapping[str, Any] = MappingProxyType({}),
) -> Receipt:
    """Saves factors and returns their receipt, with `more_facts`; see `publish_files`."""
    model = trained.model
    facts = {
        **more_facts,
        "users": len(model.users.ids),
        "movies": len(model.movies.ids),
        "ratings": stats.ratings,
        "mean": stats.mean,
        "biased": shaping_params.get("biased", False),
        "rank": shaping_params.get("rank", shaping_params.get("ranking_rank")),
        "width": model.users.factors.shape[1],
        "objective": [float(f"{loss:.10g}") for loss in trained.objective],
    }
    return publish_files(task, partial(write_model, model), shaping_params, facts)


def publish_files(
    task: Task, write: Callable[[Path], None], shaping_params: Mapping[str, Any], facts: Mapping[str, Any]
) -> Receipt:
    """Saves a model under its version, `<hash of shaping_params>-<fingerprint of the data>`, and returns its receipt.

    Args:
        task: with the input interactions.
        write: writes the model to an empty folder.
        shaping_params: the parameters that determine the model, with its engine.
        facts: of the receipt, with its number of users.
    """
    version = f"{short_hash(shaping_params)}-{task.inputs['interactions'].fingerprint[:8]}"
    path = task.content_path(version)
    staging = publish.create_staging_folder(task.root / path)
    write(staging)
    content = model_fingerprint(staging)
    publish.publish_folder(staging, task.root / path, fingerprint=content, rows=facts["users"])
    engine = shaping_params["engine"]
    every = {"model_version": version, "engine": engine, **facts}
    return Receipt(task.artifact, "model", path, engine, None, facts["users"], "", content, every)


def ranking_kind(task: Task) -> str:
    """The kind of the model that orders the lists, as stored; explicit for the rating model.

    Args:
        task: with the input ranking.
    """
    return str(task.inputs["ranking"].facts.get("ranking_model", "explicit"))


def run_version(task: Task) -> str:
    """The version of a run: that of the rating model, joined with that of the ranking model if it is another.

    Args:
        task: with the inputs model and ranking.
    """
    return joined_version(*(str(task.inputs[name].facts["model_version"]) for name in ("model", "ranking")))


def joined_version(rating: str, ranking: str) -> str:
    """For example 6eab05d6-1c2d3e4f-5d7885f9 for the models 6eab05d6-5d7885f9 and 1c2d3e4f-5d7885f9."""
    return rating if rating == ranking else f"{rating.partition('-')[0]}-{ranking}"
