"""The worker process of `tracking.client`: executes commands on MLflow, with JSON messages over a pipe.

Runs are found by their tag `model_version`, sweeps by their tag `sweep`, registered versions by their tags, and are
updated if they exist, so that every command can be repeated.
"""

from __future__ import annotations

import fcntl
import json
import math
import os
import re
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from multiprocessing.connection import Connection
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from reco_platform.tracking.registered_models import RANKING, RATING

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run
    from mlflow.entities.model_registry import ModelVersion

    from reco_platform.tracking import pyfunc_model  # noqa: F401  # its code changes what is logged

EXPERIMENT = "reco-platform"
EVALUATED = (RATING, RANKING)
CHAMPION, CHALLENGER = "champion", "challenger"
SCORER = Path(__file__).with_name("pyfunc_model.py")
MODEL = "model"
ARTIFACTS = f"{MODEL}/artifacts"
FACTORS = f"{ARTIFACTS}/{RATING}"
DECISION = "gate"
UNKNOWN_CHAMPION = {"model_version": "that others registered", "dataset": "unknown", "model": "", "interactions": ""}
"""Values for the tags of a champion that another program registered."""

METRIC_BATCH = 900  # MLflow accepts 1,000 in one request
MAX_PARAM_LENGTH, MAX_TAG_LENGTH = 6000, 5000


def main() -> int:
    channel = Connection(int(sys.argv[1]))
    try:
        import mlflow  # noqa: F401, PLC0415
    except Exception as error:
        send(channel, {"problem": "MLflow does not work here", "detail": f"{type(error).__name__}: {error}"})
        return 1
    send(channel, {})
    client = None
    while True:
        try:
            message = json.loads(channel.recv_bytes())
        except EOFError:
            return 0
        try:
            client = client or open_store()
            send(channel, COMMANDS[message["command"]](client, **message["arguments"]))
        except Exception as error:
            send(channel, {"problem": reason_of(error), "detail": f"{type(error).__name__}: {error}"})


def open_store() -> MlflowClient:
    """A client of the store. A SQLite file is created under another name: MLflow cannot repair half-created tables."""
    from mlflow import MlflowClient  # noqa: PLC0415

    uri = os.environ["MLFLOW_TRACKING_URI"]
    database = Path(uri.removeprefix("sqlite:///"))
    if uri.startswith("sqlite:///") and "?" not in uri and not database.exists():
        database.parent.mkdir(parents=True, exist_ok=True)
        with (database.parent / ".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not database.exists():
                new = database.with_suffix(".new")
                new.unlink(missing_ok=True)
                MlflowClient(f"sqlite:///{new}").search_experiments(max_results=1)  # creates the tables
                new.replace(database)
    return MlflowClient()


def send(channel: Connection, message: dict[str, Any]) -> None:
    channel.send_bytes(json.dumps(message).encode())


REASONS = {
    r"timed? ?out": "it does not answer in time",
    r"error code (\d{3})|^(\d{3}) \w+ Error|: (\d{3}) (?:Client|Server) Error": "it answers with HTTP {}",
    r"too many (\d{3}) error": "it answers with HTTP {}",
    r"No space left|disk is full|disk I/O error|File too large": "there is no space left",
    r"unable to open database|Permission denied|readonly database": "it cannot be opened",
    r"Connection refused|NewConnectionError|Name or service|getaddrinfo|Max retries": "it cannot be reached",
    r"Connection aborted|Connection reset|RemoteDisconnected|IncompleteRead|ProtocolError": "the connection broke",
}
"""Patterns in error messages and their meaning; the first match counts."""


def reason_of(error: Exception) -> str:
    """The reason of an error without hosts, times and port numbers."""
    text = f"{type(error).__name__}: {error}"
    for pattern, reason in REASONS.items():
        found = re.search(pattern, text, re.IGNORECASE | re.MULTILINE)
        if found:
            return reason.format(next((group for group in found.groups() if group), ""))
    return f"MLflow raised {type(error).__name__}"


# --- gate


def gate_state(client: MlflowClient, name: str, model_version: str, fingerprint: str) -> dict[str, Any]:
    """The current champion, and an earlier decision on this model.

    Args:
        client: of the store.
        name: of the registered model.
        model_version: of the model to be decided on.
        fingerprint: of its factors.

    Returns:
        champion: its tags and the number of its version; None if there is none.
        decision: the earlier decision; None if there is none.
    """
    champion = champion_of(client, name)
    ours = version_of(client, name, model_version, fingerprint)
    return {
        "champion": {**UNKNOWN_CHAMPION, **champion.tags, "number": str(champion.version)} if champion else None,
        "decision": json.loads(ours.tags[DECISION]) if ours and DECISION in ours.tags else None,
    }


def champion_of(client: MlflowClient, name: str) -> ModelVersion | None:
    """The version with the alias champion; None if there is none, or no such model."""
    try:
        return client.get_model_version_by_alias(name, CHAMPION)
    except Exception as error:
        if is_not_found(error):
            return None
        raise


def is_not_found(error: Exception) -> bool:
    """Whether an error means that something does not exist, and not that the store fails."""
    code = getattr(error, "error_code", "")
    return code == "RESOURCE_DOES_NOT_EXIST" or (
        code == "INVALID_PARAMETER_VALUE" and f"alias {CHAMPION} not found" in str(error)
    )


def version_of(client: MlflowClient, name: str, model_version: str, fingerprint: str = "") -> ModelVersion | None:
    """The newest registered version of a model; with exactly these factors if their fingerprint is given."""
    wanted = f"name = '{name}' and tags.model_version = '{model_version}'"
    wanted += f" and tags.model = '{fingerprint}'" if fingerprint else ""
    found = client.search_model_versions(wanted)
    return max(found, key=lambda one: int(one.version), default=None)


def download_models(client: MlflowClient, name: str, number: str, into: str) -> dict[str, Any]:
    """Downloads the evaluated models of a registered version into a folder.

    Returns:
        folders: the folder of each part; None if the store does not have it.
    """
    run_id = client.get_model_version(name, number).run_id
    return {"folders": {part: download_folder(client, run_id, f"{ARTIFACTS}/{part}", into) for part in EVALUATED}}


def download_folder(client: MlflowClient, run_id: str, path: str, into: str) -> str | None:
    """Downloads a folder of a run's artifacts; None if the store does not have it."""
    try:
        found: str = client.download_artifacts(run_id, path, into)
    except Exception as error:
        if isinstance(error, FileNotFoundError) or is_not_found(error) or "No such file" in str(error):
            return None
        raise
    return found if any(Path(found).rglob("*.*")) else None


def register_model(
    client: MlflowClient,
    *,
    name: str,
    models: dict[str, str],
    tags: dict[str, str],
    decision: dict[str, Any],
    decision_tags: dict[str, str],
    champion: str | None,
) -> dict[str, Any]:
    """Logs and registers a model, and sets the alias that was decided.

    Args:
        client: of the store.
        name: of the registered model.
        models: the folder of each part, see `registered_models.PARTS`; the rating model in Spark's format.
        tags: of run and version: model_version, model (the fingerprint of its factors) and others.
        decision: of the champion gate.
        decision_tags: the same as tags for people.
        champion: the number of the version that was champion at the time of the decision.
    """
    current = champion_of(client, name)
    if (str(current.version) if current else None) != champion:
        return {"problem": "another model became champion meanwhile", "detail": ""}
    run = run_of(client, tags["model_version"])
    version = version_of(client, name, tags["model_version"], tags["model"])
    if version is None:
        upload_model(client, run.info.run_id, models)
        version = create_version(client, name, run.info.run_id, tags)
    update_run(client, run, params={}, metrics={}, tags={**tags, **decision_tags})
    for key, value in decision_tags.items():
        client.set_model_version_tag(name, version.version, key, value)
    client.update_model_version(name, version.version, description(decision))
    if decision["state"] in {"first", CHAMPION}:
        set_champion(client, name, version, current, decision["reason"])
    else:
        client.set_registered_model_alias(name, CHALLENGER, version.version)
    client.set_model_version_tag(name, version.version, DECISION, json.dumps(decision))
    return {"run_id": run.info.run_id, "number": str(version.version)}


def description(decision: Mapping[str, Any]) -> str:
    return f"{decision['model_version']}, {decision['state']}: {decision['reason']}"


def upload_model(client: MlflowClient, run_id: str, models: Mapping[str, str]) -> None:
    """Uploads the model to the run's artifacts, in a form that MLflow and Spark can load."""
    import mlflow.pyfunc  # noqa: PLC0415
    from mlflow.models import ModelSignature  # noqa: PLC0415
    from mlflow.types.schema import ColSpec, Schema  # noqa: PLC0415

    inputs = Schema([ColSpec("long", "user_id"), ColSpec("long", "movie_id")])
    with tempfile.TemporaryDirectory(prefix="mlflow-model-") as scratch:
        model = Path(scratch) / MODEL
        for part, folder in models.items():
            shutil.copytree(folder, Path(scratch) / part, ignore=shutil.ignore_patterns("_*"))
        mlflow.pyfunc.save_model(
            str(model),
            python_model=str(SCORER),
            artifacts={part: str(Path(scratch) / part) for part in models},
            signature=ModelSignature(inputs, Schema([ColSpec("double", "prediction")])),
            pip_requirements=[
                f"{package}=={package_version(package)}" for package in ("mlflow", "numpy", "pandas", "pyarrow")
            ],
        )
        client.log_artifacts(run_id, str(model), MODEL)


def package_version(package: str) -> str:
    from importlib import metadata  # noqa: PLC0415

    return metadata.version(package)


def create_version(client: MlflowClient, name: str, run_id: str, tags: Mapping[str, str]) -> ModelVersion:
    """Creates a version of the registered model, and that model if it does not exist."""
    try:
        client.create_registered_model(name)
    except Exception as error:
        if getattr(error, "error_code", "") != "RESOURCE_ALREADY_EXISTS":
            raise
    return client.create_model_version(name, f"runs:/{run_id}/{MODEL}", run_id, dict(tags))


def set_champion(
    client: MlflowClient, name: str, version: ModelVersion, before: ModelVersion | None, reason: str
) -> None:
    """Makes a version the champion, and notes in the description of the previous one what replaced it."""
    client.set_registered_model_alias(name, CHAMPION, version.version)
    if CHALLENGER in client.get_model_version(name, version.version).aliases:
        client.delete_registered_model_alias(name, CHALLENGER)
    if before is not None and before.version != version.version:
        replaced = f"replaced by {version.tags['model_version']}: {reason}"
        client.update_model_version(name, before.version, f"{before.description or ''}\n\n{replaced}".strip())


def find_model(client: MlflowClient, name: str, model_version: str) -> dict[str, Any]:
    """Finds a registered version of a model.

    Returns:
        number: of the version; None if there is none.
        fingerprints: of its evaluated models by part, as registered.
        run_id: of the run with the factors.
        size: of all its models, in bytes.
        known: all registered model versions.
    """
    version = version_of(client, name, model_version)
    if version is None:
        return {"number": None, "known": known_versions(client, name)}
    return {
        "number": str(version.version),
        "fingerprints": fingerprints(version.tags),
        "run_id": version.run_id,
        "size": artifact_bytes(client, version.run_id, ARTIFACTS),
        "known": known_versions(client, name),
    }


def fingerprints(tags: Mapping[str, str]) -> dict[str, str]:
    """The fingerprint of each evaluated model; the ranking model has one of its own only if it is another model."""
    rating = tags.get("model", "")
    ranking = tags.get("ranking", rating)
    return {RATING: rating} | ({RANKING: ranking} if ranking != rating else {})


def artifact_bytes(client: MlflowClient, run_id: str, path: str) -> int:
    """The size of a folder of a run's artifacts, in bytes."""
    found = client.list_artifacts(run_id, path)
    return sum(artifact_bytes(client, run_id, one.path) if one.is_dir else one.file_size or 0 for one in found)


def promote(client: MlflowClient, name: str, number: str) -> dict[str, Any]:
    """Makes a version the champion without comparing it.

    Returns:
        replaced: model_version of the previous champion; None if there was none.
    """
    version, before = client.get_model_version(name, number), champion_of(client, name)
    model_version = version.tags["model_version"]
    replaced = {**UNKNOWN_CHAMPION, **before.tags}["model_version"] if before else None
    if before is None or before.version != version.version:
        set_champion(client, name, version, before, "promoted by hand")
        instead = f" in place of {replaced}" if replaced else ""
        client.update_model_version(name, version.version, f"{model_version}, champion: promoted by hand{instead}")
    return {"replaced": replaced}


def known_versions(client: MlflowClient, name: str) -> list[str]:
    """All registered model versions."""
    return sorted({one.tags.get("model_version", "?") for one in client.search_model_versions(f"name = '{name}'")})


# --- runs


def experiment_id(client: MlflowClient) -> str:
    """The id of the experiment with all runs; it is created or restored if needed."""
    found = client.get_experiment_by_name(EXPERIMENT)
    if found is not None and found.lifecycle_stage == "deleted":
        client.restore_experiment(found.experiment_id)
    if found is not None:
        return str(found.experiment_id)
    folder = sys.argv[2]
    return str(client.create_experiment(EXPERIMENT, artifact_location=Path(folder).as_uri() if folder else None))


def run_of(client: MlflowClient, model_version: str) -> Run:
    """The run of a model version; it is created if needed."""
    return find_or_create_run(client, {"model_version": model_version}, model_version)


def find_or_create_run(client: MlflowClient, tags: Mapping[str, str], name: str) -> Run:
    """The first run with these tags, or a new one."""
    experiment = experiment_id(client)
    wanted = " and ".join(f"tags.`{key}` = '{value}'" for key, value in tags.items())
    runs = client.search_runs([experiment], wanted, max_results=1, order_by=["attributes.start_time ASC"])
    return runs[0] if runs else client.create_run(experiment, tags=dict(tags), run_name=name)


def log_run(
    client: MlflowClient,
    *,
    model_version: str,
    params: dict[str, Any],
    metrics: dict[str, float],
    curve: dict[str, list[float]],
    tags: dict[str, str],
    dataset: dict[str, Any],
    files: list[list[str]],
) -> dict[str, Any]:
    """Creates or updates the run of a model version.

    Args:
        client: of the store.
        model_version: of the run.
        params: by name. MLflow cannot change a parameter, so a changed one becomes a tag.
        metrics: by name.
        curve: for each name the values of steps 1, 2, ...
        tags: by name.
        dataset: name, digest, source, context and profile.
        files: pairs of a local file and its folder in the run's artifacts.
    """
    run = run_of(client, model_version)
    texts = {key: str(value)[:MAX_PARAM_LENGTH] for key, value in params.items()}
    changed = {key: value for key, value in texts.items() if run.data.params.get(key, value) != value}
    changed_tags = {f"now.{key}": value for key, value in changed.items()}
    outdated = [key for key in run.data.tags if key.startswith("now.") and key not in changed_tags]
    unchanged = {key: value for key, value in texts.items() if key not in changed}
    update_run(client, run, params=unchanged, metrics=metrics, curve=curve, tags={**tags, **changed_tags})
    for key in outdated:
        client.delete_tag(run.info.run_id, key)
    log_dataset(client, run.info.run_id, dataset)
    for path, folder in files:
        client.log_artifact(run.info.run_id, path, folder or None)
    client.set_terminated(run.info.run_id)
    return {"run_id": run.info.run_id}


def update_run(
    client: MlflowClient,
    run: Run,
    *,
    params: Mapping[str, Any],
    metrics: Mapping[str, float],
    tags: Mapping[str, Any],
    curve: Mapping[str, list[float]] = MappingProxyType({}),
) -> None:
    """Logs new values; a value that the run already has is not logged again."""
    from mlflow.entities import Metric, Param, RunTag  # noqa: PLC0415

    now, last = int(time.time() * 1000), run.data.metrics
    points = [Metric(key, value, now, 0) for key, value in metrics.items() if not same(last.get(key), value)]
    points += [
        Metric(key, value, now, step)
        for key, values in curve.items()
        if values and not same(last.get(key), values[-1])
        for step, value in enumerate(values, 1)
    ]
    named = [Param(key, str(value)[:MAX_PARAM_LENGTH]) for key, value in params.items()]
    labels = [RunTag(key, str(value)[:MAX_TAG_LENGTH]) for key, value in tags.items()]
    client.log_batch(run.info.run_id, params=named[:100], tags=labels)
    for first in range(0, len(points), METRIC_BATCH):
        client.log_batch(run.info.run_id, metrics=points[first : first + METRIC_BATCH])


def same(before: float | None, value: float) -> bool:
    return before is not None and (before == value or (math.isnan(before) and math.isnan(value)))


def log_dataset(client: MlflowClient, run_id: str, dataset: Mapping[str, Any]) -> None:
    from mlflow.entities import Dataset, DatasetInput, InputTag  # noqa: PLC0415

    source, profile = json.dumps({"uri": dataset["source"]}), json.dumps(dataset["profile"])
    entity = Dataset(dataset["name"], dataset["digest"], "local", source, profile=profile)
    client.log_inputs(run_id, [DatasetInput(entity, [InputTag("mlflow.data.context", dataset["context"])])])


# --- sweeps


def log_sweep(
    client: MlflowClient,
    *,
    name: str,
    dataset: str,
    tags: dict[str, str],
    trials: list[dict[str, Any]],
    files: list[list[str]],
) -> dict[str, Any]:
    """Creates or updates a sweep: a parent run with a nested run for each trial.

    Args:
        client: of the store.
        name: of the sweep.
        dataset: name of the data set; sweeps of two data sets may have the same name.
        tags: further tags of the parent.
        trials: each with id, params, metrics, curve, and error (None or a text).
        files: of the parent, as for `log_run`.
    """
    parent = find_or_create_run(client, {"sweep": name, "dataset": dataset}, name)
    update_run(client, parent, params={}, metrics={"trials": float(len(trials))}, tags=tags)
    for trial in trials:
        identity = {"trial": trial["id"], "mlflow.parentRunId": parent.info.run_id}
        run = find_or_create_run(client, identity, trial["id"])
        labels = {"error": trial["error"]} if trial["error"] else {}
        update_run(client, run, params=trial["params"], metrics=trial["metrics"], curve=trial["curve"], tags=labels)
        client.set_terminated(run.info.run_id, "FAILED" if trial["error"] else "FINISHED")
    for path, folder in files:
        client.log_artifact(parent.info.run_id, path, folder or None)
    client.set_terminated(parent.info.run_id)
    return {"run_id": parent.info.run_id}


COMMANDS: dict[str, Callable[..., dict[str, Any]]] = {
    "gate_state": gate_state, "download_models": download_models, "register_model": register_model,
    "log_run": log_run, "find_model": find_model, "promote": promote, "log_sweep": log_sweep,
}  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
