"""Reading training ratings and publishing a model, shared by all training steps."""

from __future__ import annotations

from collections.abc import Collection, Mapping
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


def training_rows(task: Task, folds: Collection[str]) -> pa.Table:
    """The interactions in some folds whose user and movie have enough ratings, sorted by user and movie."""
    rows = interactions.read(task.open("interactions"), training.COLUMNS, folds, task.threads)
    return training.with_enough_ratings(rows, task.params["min_user_ratings"], task.params["min_item_ratings"])


def publish_model(
    task: Task, trained: TrainedModel, stats: TrainingStats, shaping_params: Mapping[str, Any]
) -> Receipt:
    """Saves a model under its version, `<hash of shaping_params>-<fingerprint of the data>`, and returns its receipt.

    Args:
        task: with the input interactions.
        trained: the model to save.
        stats: of its training ratings.
        shaping_params: the parameters that determine the model; see `training_engine.shaping_params`.
    """
    version = f"{short_hash(shaping_params)}-{task.inputs['interactions'].fingerprint[:8]}"
    path, model = task.content_path(version), trained.model
    staging = publish.create_staging_folder(task.root / path)
    write_model(model, staging)
    content, users = model_fingerprint(staging), len(model.users.ids)
    publish.publish_folder(staging, task.root / path, fingerprint=content, rows=users)
    facts = {
        "model_version": version,
        "engine": shaping_params["engine"],
        "users": users,
        "movies": len(model.movies.ids),
        "ratings": stats.ratings,
        "mean": stats.mean,
        "biased": shaping_params["biased"],
        "rank": shaping_params["rank"],
        "width": model.users.factors.shape[1],
        "objective": [float(f"{loss:.10g}") for loss in trained.objective],
    }
    return Receipt(task.artifact, "model", path, shaping_params["engine"], None, users, "", content, facts)
