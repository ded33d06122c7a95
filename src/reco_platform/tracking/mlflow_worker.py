"""What is said to MLflow, by a process of its own (see tracking). It takes and gives JSON over one pipe.

A run is found by its tag `model_version`, a sweep by its tag `sweep`, a registered version by its tags: whatever is
there already is brought up to date, so that anything may be said twice.
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

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run
    from mlflow.entities.model_registry import ModelVersion

    from reco_platform.tracking import pyfunc_model  # noqa: F401  # its code shapes what is logged

EXPERIMENT = "reco-platform"
CHAMPION, CHALLENGER = "champion", "challenger"
SCORER = Path(__file__).with_name("pyfunc_model.py")
MODEL = "model"
FACTORS = f"{MODEL}/artifacts/als"
DECISION = "gate"
FOREIGN = {"model_version": "that others registered", "dataset": "unknown", "model": "", "interactions": ""}
"""What stands for the tags of a champion that was not registered here."""

BATCH = 900
LONGEST_PARAM, LONGEST_TAG = 6000, 5000


def main() -> int:
    channel = Connection(int(sys.argv[1]))
    try:
        import mlflow  # noqa: F401, PLC0415
    except Exception as error:
        say(channel, {"problem": "MLflow does not work here", "detail": f"{type(error).__name__}: {error}"})
        return 1
    say(channel, {})
    client = None
    while True:
        try:
            message = json.loads(channel.recv_bytes())
        except EOFError:
            return 0
        try:
            client = client or opened()
            say(channel, VERBS[message["verb"]](client, **message["request"]))
        except Exception as error:
            say(channel, {"problem": reason_of(error), "detail": f"{type(error).__name__}: {error}"})


def opened() -> MlflowClient:
    """The store. SQLite's file is first made aside: half of its tables could never be mended."""
    from mlflow import MlflowClient  # noqa: PLC0415

    uri = os.environ["MLFLOW_TRACKING_URI"]
    database = Path(uri.removeprefix("sqlite:///"))
    if uri.startswith("sqlite:///") and "?" not in uri and not database.exists():
        database.parent.mkdir(parents=True, exist_ok=True)
        with (database.parent / ".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not database.exists():
                aside = database.with_suffix(".new")
                aside.unlink(missing_ok=True)
                MlflowClient(f"sqlite:///{aside}").search_experiments(max_results=1)
                aside.replace(database)
    return MlflowClient()


def say(channel: Connection, message: dict[str, Any]) -> None:
    channel.send_bytes(json.dumps(message).encode())


REASONS = {
    r"timed? ?out": "it gives no answer in time",
    r"error code (\d{3})|^(\d{3}) \w+ Error|: (\d{3}) (?:Client|Server) Error": "it answers with HTTP {}",
    r"too many (\d{3}) error": "it answers with HTTP {}",
    r"No space left|disk is full|disk I/O error|File too large": "there is no space left",
    r"unable to open database|Permission denied|readonly database": "it cannot be opened",
    r"Connection refused|NewConnectionError|Name or service|getaddrinfo|Max retries": "it cannot be reached",
    r"Connection aborted|Connection reset|RemoteDisconnected|IncompleteRead|ProtocolError": "it broke off",
}
"""What is found in an error's text, and what that means; the first that fits."""


def reason_of(error: Exception) -> str:
    """An error in words without hosts, times and numbers of ports."""
    text = f"{type(error).__name__}: {error}"
    for pattern, reason in REASONS.items():
        found = re.search(pattern, text, re.IGNORECASE | re.MULTILINE)
        if found:
            return reason.format(next((group for group in found.groups() if group), ""))
    return f"MLflow says {type(error).__name__}"


# --- gate


def look(client: MlflowClient, name: str, model_version: str, fingerprint: str) -> dict[str, Any]:
    """The present champion's tags, and what was decided of this model before.

    Returns:
        champion: None, or its tags and the number of its version.
        decision: None, or the decision.
    """
    champion = champion_of(client, name)
    ours = version_of(client, name, model_version, fingerprint)
    return {
        "champion": {**FOREIGN, **champion.tags, "number": str(champion.version)} if champion else None,
        "decision": json.loads(ours.tags[DECISION]) if ours and DECISION in ours.tags else None,
    }


def champion_of(client: MlflowClient, name: str) -> ModelVersion | None:
    """The version with the alias champion; None where there is no such model, or none has it."""
    try:
        return client.get_model_version_by_alias(name, CHAMPION)
    except Exception as error:
        if unknown(error):
            return None
        raise


def unknown(error: Exception) -> bool:
    """Whether an error says that there is no such thing, and not that the store does not work."""
    code = getattr(error, "error_code", "")
    return code == "RESOURCE_DOES_NOT_EXIST" or (
        code == "INVALID_PARAMETER_VALUE" and f"alias {CHAMPION} not found" in str(error)
    )


def version_of(client: MlflowClient, name: str, model_version: str, fingerprint: str = "") -> ModelVersion | None:
    """The newest registered version of a model, with these very factors if their fingerprint is given."""
    wanted = f"name = '{name}' and tags.model_version = '{model_version}'"
    wanted += f" and tags.model = '{fingerprint}'" if fingerprint else ""
    found = client.search_model_versions(wanted)
    return max(found, key=lambda one: int(one.version), default=None)


def fetch(client: MlflowClient, name: str, number: str, into: str) -> dict[str, Any]:
    """Brings a registered version's factors into a folder.

    Returns:
        folder: where they are, in Spark's format; None if the store no longer has them.
    """
    run_id = client.get_model_version(name, number).run_id
    try:
        return {"folder": client.download_artifacts(run_id, FACTORS, into)}
    except Exception as error:
        if isinstance(error, FileNotFoundError) or unknown(error) or "No such file" in str(error):
            return {"folder": None}
        raise


def enter(
    client: MlflowClient,
    *,
    name: str,
    factors: str,
    tags: dict[str, str],
    decision: dict[str, Any],
    champion: str | None,
) -> dict[str, Any]:
    """Logs and registers a model, and gives it the alias that was decided.

    Args:
        client: of the store.
        name: of the registered model.
        factors: a folder in Spark's format.
        tags: of run and version: model_version, model (the fingerprint of its factors) and others.
        decision: as gate has it.
        champion: the number of the version that was champion when it was decided.
    """
    present = champion_of(client, name)
    if (str(present.version) if present else None) != champion:
        return {"problem": "another model became champion meanwhile", "detail": ""}
    run = run_of(client, tags["model_version"])
    version = version_of(client, name, tags["model_version"], tags["model"])
    if version is None:
        upload_model(client, run.info.run_id, factors)
        version = register(client, name, run.info.run_id, tags)
    put(client, run, params={}, metrics={}, tags=tags)
    client.update_model_version(name, version.version, description(decision))
    if decision["state"] in {"first", CHAMPION}:
        set_champion(client, name, version, present, decision["reason"])
    else:
        client.set_registered_model_alias(name, CHALLENGER, version.version)
    client.set_model_version_tag(name, version.version, DECISION, json.dumps(decision))
    return {"run_id": run.info.run_id, "number": str(version.version)}


def description(decision: Mapping[str, Any]) -> str:
    return f"{decision['model_version']}, {decision['state']}: {decision['reason']}"


def upload_model(client: MlflowClient, run_id: str, factors: str) -> None:
    """The model as MLflow and as Spark load it, in the run's artifacts."""
    import mlflow.pyfunc  # noqa: PLC0415
    from mlflow.models import ModelSignature  # noqa: PLC0415
    from mlflow.types.schema import ColSpec, Schema  # noqa: PLC0415

    inputs = Schema([ColSpec("long", "user_id"), ColSpec("long", "movie_id")])
    with tempfile.TemporaryDirectory(prefix="mlflow-model-") as scratch:
        als, model = Path(scratch) / "als", Path(scratch) / MODEL
        shutil.copytree(factors, als, ignore=shutil.ignore_patterns("_*"))
        mlflow.pyfunc.save_model(
            str(model),
            python_model=str(SCORER),
            artifacts={"als": str(als)},
            signature=ModelSignature(inputs, Schema([ColSpec("double", "prediction")])),
            pip_requirements=[f"{package}=={version(package)}" for package in ("mlflow", "numpy", "pandas", "pyarrow")],
        )
        client.log_artifacts(run_id, str(model), MODEL)


def version(package: str) -> str:
    from importlib import metadata  # noqa: PLC0415

    return metadata.version(package)


def register(client: MlflowClient, name: str, run_id: str, tags: Mapping[str, str]) -> ModelVersion:
    """A new version of the registered model, which is made if it is not there."""
    try:
        client.create_registered_model(name)
    except Exception as error:
        if getattr(error, "error_code", "") != "RESOURCE_ALREADY_EXISTS":
            raise
    return client.create_model_version(name, f"runs:/{run_id}/{MODEL}", run_id, dict(tags))


def set_champion(
    client: MlflowClient, name: str, version: ModelVersion, before: ModelVersion | None, reason: str
) -> None:
    """Makes a version the champion; the one before is told by whom it was replaced."""
    client.set_registered_model_alias(name, CHAMPION, version.version)
    if CHALLENGER in client.get_model_version(name, version.version).aliases:
        client.delete_registered_model_alias(name, CHALLENGER)
    if before is not None and before.version != version.version:
        replaced = f"replaced by {version.tags['model_version']}: {reason}"
        client.update_model_version(name, before.version, f"{before.description or ''}\n\n{replaced}".strip())


def find(client: MlflowClient, name: str, model_version: str) -> dict[str, Any]:
    """A registered model.

    Returns:
        number: of its version; None if there is none.
        fingerprint: of its factors, as it was registered.
        run_id: of the run that holds them.
        size: of them, in bytes.
        known: all registered model versions.
    """
    version = version_of(client, name, model_version)
    if version is None:
        return {"number": None, "known": known(client, name)}
    return {
        "number": str(version.version),
        "fingerprint": version.tags.get("model", ""),
        "run_id": version.run_id,
        "size": size_of(client, version.run_id, FACTORS),
        "known": known(client, name),
    }


def size_of(client: MlflowClient, run_id: str, path: str) -> int:
    """What a folder of a run's artifacts holds, in bytes."""
    found = client.list_artifacts(run_id, path)
    return sum(size_of(client, run_id, one.path) if one.is_dir else one.file_size or 0 for one in found)


def promote(client: MlflowClient, name: str, number: str) -> dict[str, Any]:
    """Makes a version champion without asking whether it is better.

    Returns:
        replaced: model_version of the champion before; None if there was none.
    """
    version, before = client.get_model_version(name, number), champion_of(client, name)
    model_version = version.tags["model_version"]
    replaced = {**FOREIGN, **before.tags}["model_version"] if before else None
    if before is None or before.version != version.version:
        set_champion(client, name, version, before, "promoted by hand")
        was = f" in place of {replaced}" if replaced else ""
        client.update_model_version(name, version.version, f"{model_version}, champion: promoted by hand{was}")
    return {"replaced": replaced}


def known(client: MlflowClient, name: str) -> list[str]:
    return sorted({one.tags.get("model_version", "?") for one in client.search_model_versions(f"name = '{name}'")})


# --- runs


def experiment(client: MlflowClient) -> str:
    """The id of the one experiment that holds every run."""
    found = client.get_experiment_by_name(EXPERIMENT)
    if found is not None and found.lifecycle_stage == "deleted":
        client.restore_experiment(found.experiment_id)
    if found is not None:
        return str(found.experiment_id)
    folder = sys.argv[2]
    return str(client.create_experiment(EXPERIMENT, artifact_location=Path(folder).as_uri() if folder else None))


def run_of(client: MlflowClient, model_version: str) -> Run:
    """The one run of a model version."""
    return found_run(client, {"model_version": model_version}, model_version)


def found_run(client: MlflowClient, tags: Mapping[str, str], name: str) -> Run:
    """The first run that has these tags, or a new one that has them."""
    place = experiment(client)
    wanted = " and ".join(f"tags.`{key}` = '{value}'" for key, value in tags.items())
    runs = client.search_runs([place], wanted, max_results=1, order_by=["attributes.start_time ASC"])
    return runs[0] if runs else client.create_run(place, tags=dict(tags), run_name=name)


def log(
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
    """Brings a run up to date.

    Args:
        client: of the store.
        model_version: whose run.
        params: by name. MLflow never changes a parameter: what differs from what is there becomes a tag.
        metrics: by name.
        curve: values of the steps from 1, by name.
        tags: by name.
        dataset: name, digest, source, context and profile.
        files: pairs of a local file and the folder for it among the run's artifacts.
    """
    run = run_of(client, model_version)
    stated = {key: str(value)[:LONGEST_PARAM] for key, value in params.items()}
    changed = {key: value for key, value in stated.items() if run.data.params.get(key, value) != value}
    kept = {f"now.{key}": value for key, value in changed.items()}
    back = [key for key in run.data.tags if key.startswith("now.") and key not in kept]
    first = {key: value for key, value in stated.items() if key not in changed}
    put(client, run, params=first, metrics=metrics, curve=curve, tags={**tags, **kept})
    for key in back:
        client.delete_tag(run.info.run_id, key)
    log_dataset(client, run.info.run_id, dataset)
    for path, folder in files:
        client.log_artifact(run.info.run_id, path, folder or None)
    client.set_terminated(run.info.run_id)
    return {"run_id": run.info.run_id}


def put(
    client: MlflowClient,
    run: Run,
    *,
    params: Mapping[str, Any],
    metrics: Mapping[str, float],
    tags: Mapping[str, Any],
    curve: Mapping[str, list[float]] = MappingProxyType({}),
) -> None:
    """Logs what is new; a value that the run has already gets no second entry."""
    from mlflow.entities import Metric, Param, RunTag  # noqa: PLC0415

    now, last = int(time.time() * 1000), run.data.metrics
    points = [Metric(key, value, now, 0) for key, value in metrics.items() if not same(last.get(key), value)]
    points += [
        Metric(key, value, now, step)
        for key, values in curve.items()
        if values and not same(last.get(key), values[-1])
        for step, value in enumerate(values, 1)
    ]
    named = [Param(key, str(value)[:LONGEST_PARAM]) for key, value in params.items()]
    labels = [RunTag(key, str(value)[:LONGEST_TAG]) for key, value in tags.items()]
    client.log_batch(run.info.run_id, params=named[:100], tags=labels)
    for first in range(0, len(points), BATCH):
        client.log_batch(run.info.run_id, metrics=points[first : first + BATCH])


def same(before: float | None, value: float) -> bool:
    return before is not None and (before == value or (math.isnan(before) and math.isnan(value)))


def log_dataset(client: MlflowClient, run_id: str, dataset: Mapping[str, Any]) -> None:
    from mlflow.entities import Dataset, DatasetInput, InputTag  # noqa: PLC0415

    source, profile = json.dumps({"uri": dataset["source"]}), json.dumps(dataset["profile"])
    entity = Dataset(dataset["name"], dataset["digest"], "local", source, profile=profile)
    client.log_inputs(run_id, [DatasetInput(entity, [InputTag("mlflow.data.context", dataset["context"])])])


# --- sweeps


def sweep(
    client: MlflowClient,
    *,
    name: str,
    dataset: str,
    tags: dict[str, str],
    trials: list[dict[str, Any]],
    files: list[list[str]],
) -> dict[str, Any]:
    """Brings a sweep up to date: a parent run with one nested run a trial.

    Args:
        client: of the store.
        name: of the sweep.
        dataset: whose; sweeps of two data sets may have one name.
        tags: more of the parent.
        trials: each with id, params, metrics, curve, and error (None or a text).
        files: as for log, of the parent.
    """
    parent = found_run(client, {"sweep": name, "dataset": dataset}, name)
    put(client, parent, params={}, metrics={"trials": float(len(trials))}, tags=tags)
    for trial in trials:
        identity = {"trial": trial["id"], "mlflow.parentRunId": parent.info.run_id}
        run = found_run(client, identity, trial["id"])
        labels = {"error": trial["error"]} if trial["error"] else {}
        put(client, run, params=trial["params"], metrics=trial["metrics"], curve=trial["curve"], tags=labels)
        client.set_terminated(run.info.run_id, "FAILED" if trial["error"] else "FINISHED")
    for path, folder in files:
        client.log_artifact(parent.info.run_id, path, folder or None)
    client.set_terminated(parent.info.run_id)
    return {"run_id": parent.info.run_id}


VERBS: dict[str, Callable[..., dict[str, Any]]] = {
    "look": look, "fetch": fetch, "enter": enter, "log": log, "find": find, "promote": promote, "sweep": sweep,
}  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
