"""Promote a registered model to champion, whether or not it is better than the present one."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path
from typing import Any

from reco_platform.core import project
from reco_platform.core.errors import EnvironmentProblemError, TableError
from reco_platform.core.redaction import redact_uri
from reco_platform.models.als.model import factors_problem
from reco_platform.pipeline.steps_table import STEP_OF
from reco_platform.pipeline.workflow import Workflow
from reco_platform.tracking import client as tracking
from reco_platform.tracking import mlflow_worker
from reco_platform.tracking.registered_models import registered_name

FACTOR_FILES = 24  # at most, of the three parts of a model


def promote(workflow: Workflow, version: str) -> str:
    """Makes a registered model the champion; returns a message about the change.

    Args:
        workflow: with the configuration of the store and of the registered model.
        version: a model version, such as 6eab05d6-5d7885f9.

    Raises:
        TableError: if no such model is registered, or its factors in the store have changed.
        EnvironmentProblemError: if MLflow cannot be used.
    """
    environ = {**os.environ, tracking.URI_VARIABLE: workflow.config.mlflow_tracking_uri or ""}
    folder = f"{workflow.lakehouse.root}/{STEP_OF['model'].artifact}/{version}"
    try:
        with tracking.Session(environ) as store:
            name = registered_name(workflow.config.registered_model, workflow.lakehouse.dataset)
            return promote_in_store(store, name, version, folder)
    except tracking.TrackingError as problem:
        where = redact_uri(tracking.tracking_uri(environ))
        raise EnvironmentProblemError(
            f"MLflow at {where}: {problem.reason} {problem.detail}".rstrip(), "nothing was changed; try again"
        ) from problem


def promote_in_store(store: tracking.Session, name: str, version: str, folder: str) -> str:
    """Promotes a model; returns a message about the change.

    Args:
        store: the session with MLflow.
        name: of the registered model.
        version: the model version.
        folder: of the factors in the lakehouse, for the message.

    Raises:
        TableError: no such model is registered, or its factors in the store have changed.
        TrackingError: MLflow cannot be used.
    """
    found = store.call("find_model", name=name, model_version=version)
    if found["number"] is None:
        known = ", ".join(found["known"]) or "none"
        raise TableError(f"{name} has no registered model {version!r}", f"give one of these: {known}")
    problem = stored_factors_problem(store, name, found)
    if problem:
        mlflow = project.shown(Path(sys.executable).with_name("mlflow"))
        raise TableError(
            f"the factors of {version} in MLflow {problem}: it was not promoted",
            f"give another of these: {', '.join(found['known'])}; or put them back: {mlflow} artifacts "
            f"log-artifacts --run-id {found['run_id']} --artifact-path {mlflow_worker.FACTORS} --local-dir {folder}",
        )
    replaced = store.call("promote", name=name, number=found["number"])["replaced"]
    if replaced == version:
        return f"{version} is the champion of {name} already: nothing changed"
    return f"{version} is now the champion of {name}; " + (
        f"it replaces {replaced}" if replaced else "there was none before"
    )


def stored_factors_problem(store: tracking.Session, name: str, found: dict[str, Any]) -> str | None:
    """Why the models in the store cannot be used; None if they are those that were registered."""
    transfer = found["size"] + FACTOR_FILES * tracking.FILE_BYTES
    with tempfile.TemporaryDirectory(prefix="promote-") as scratch:
        folders = store.call("download_models", transfer=transfer, name=name, number=found["number"], into=scratch)[
            "folders"
        ]
        problems = (
            factors_problem(Path(folders[part]) if folders[part] else None, expected)
            for part, expected in found["fingerprints"].items()
        )
        return next(filter(None, problems), None)
