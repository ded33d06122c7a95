"""Promotion of a registered model to champion, whether or not it is better."""

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

FILES = 8  # of a model's factors, or less


def promote(asked: Workflow, version: str) -> str:
    """Makes a registered model the champion, and says what that changed.

    Args:
        asked: names the store and the registered model.
        version: a model version, such as 6eab05d6-5d7885f9.

    Raises:
        TableError: if no such model is registered, or the store has other factors than were registered.
        EnvironmentProblemError: if MLflow's store does not do it.
    """
    environ = {**os.environ, tracking.URI_VARIABLE: asked.config.mlflow_tracking_uri or ""}
    here = f"{asked.lakehouse.root}/{STEP_OF['model'].artifact}/{version}"
    try:
        with tracking.Session(environ) as store:
            return promoted(store, asked.config.registered_model, version, here)
    except tracking.TrackingError as problem:
        where = redact_uri(tracking.tracking_uri(environ))
        raise EnvironmentProblemError(
            f"MLflow at {where}: {problem.reason} {problem.detail}".rstrip(), "nothing was changed; try again"
        ) from problem


def promoted(store: tracking.Session, name: str, version: str, here: str) -> str:
    """Promotes a model, and says what that changed.

    Args:
        store: MLflow.
        name: of the registered model.
        version: its model version.
        here: where the lakehouse has its factors, for the message.

    Raises:
        TableError: no such model is registered, or the store has other factors than were registered.
        TrackingError: the store does not do it.
    """
    found = store.call("find_model", name=name, model_version=version)
    if found["number"] is None:
        known = ", ".join(found["known"]) or "none"
        raise TableError(f"{name} has no registered model {version!r}", f"give one of these: {known}")
    problem = damage(store, name, found)
    if problem:
        mlflow = project.shown(Path(sys.executable).with_name("mlflow"))
        raise TableError(
            f"the factors of {version} in MLflow {problem}: it was not promoted",
            f"give another of these: {', '.join(found['known'])}; or put them back: {mlflow} artifacts "
            f"log-artifacts --run-id {found['run_id']} --artifact-path {mlflow_worker.FACTORS} --local-dir {here}",
        )
    replaced = store.call("promote", name=name, number=found["number"])["replaced"]
    if replaced == version:
        return f"{version} is the champion of {name} already: nothing changed"
    return f"{version} is now the champion of {name}; it replaces {replaced or 'nobody: there was none'}"


def damage(store: tracking.Session, name: str, found: dict[str, Any]) -> str | None:
    """Why the factors that the store has are not those that were registered; None if they are."""
    transfer = found["size"] + FILES * tracking.FILE_BYTES
    with tempfile.TemporaryDirectory(prefix="promote-") as scratch:
        folder = store.call("download_factors", transfer=transfer, name=name, number=found["number"], into=scratch)[
            "folder"
        ]
        return factors_problem(Path(folder) if folder else None, found["fingerprint"])
