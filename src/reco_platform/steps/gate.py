"""Registers the models, and makes them champion if there is none or if they are significantly better than it."""

import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from reco_platform.engine.provenance import git_commit
from reco_platform.engine.task import Task
from reco_platform.evaluation.champion_gate import (
    Decision,
    decide_by_differences,
    decide_without_comparison,
    decide_without_factors,
)
from reco_platform.lakehouse import tables
from reco_platform.lakehouse.receipts import Receipt
from reco_platform.models.als.model import factors_problem, read_model
from reco_platform.models.ranking.shaping import POSITIVES_PARAMS
from reco_platform.steps.model_artifact import ranking_kind, run_version
from reco_platform.tracking import client as tracking
from reco_platform.tracking.registered_models import RANKING, RATING, SERVED, registered_name

MODEL_FILES = 10  # in a registered model: the factors and what MLflow adds
OFF = "tracking is off: tracking=false"


def work(task: Task) -> Receipt:
    version = run_version(task)
    if not task.params["tracking"]:
        return publish(task, Decision(version, "untracked", OFF), {})
    try:
        return publish(task, decide(task), {"tracked": True})
    except tracking.TrackingError as problem:
        task.log(tracking.warning(problem))
        return publish(task, Decision(version, "untracked", problem.reason), {"tracked": False})


def publish(task: Task, decision: Decision, facts: dict[str, Any]) -> Receipt:
    task.log(f"{decision.state}: {decision.reason}")
    text = json.dumps(decision.to_json(), indent=1, allow_nan=False) + "\n"
    facts = {"model_version": decision.model_version, "state": decision.state, **facts}
    return task.publish_file(text, facts, decision.model_version)


def decide(task: Task) -> Decision:
    """The decision, recorded in the store; the earlier decision if this model was already compared.

    Raises:
        TrackingError: if the store cannot be reached.
    """
    name = registered_name(task.params["registered_model"], task.dataset)
    candidate_tags, models = model_tags(task), registered_inputs(task)
    size = sum(tables.content_bytes(task.root, task.inputs[source]) for source in models.values())
    with tracking.Session() as store, tempfile.TemporaryDirectory(prefix="champion-") as scratch:
        state = store.call(
            "gate_state", name=name, model_version=candidate_tags["model_version"], fingerprint=candidate_tags["model"]
        )
        champion = state["champion"]
        earlier = Decision(**state["decision"]) if state["decision"] else None
        if earlier and earlier.is_valid_for(task.params["gate_metric"]):
            return earlier
        decision = decide_without_comparison(candidate_tags, champion)
        if decision is None:
            found = store.call(
                "download_models", transfer=2 * size, name=name, number=champion["number"], into=scratch
            )["folders"]
            folders = {part: Path(folder) for part, folder in found.items() if folder}
            decision = decide_by_comparison(task, candidate_tags, champion, folders)
        store.call(
            "register_model",
            transfer=2 * size + len(models) * MODEL_FILES * tracking.FILE_BYTES,
            name=name,
            models={part: str(task.path(source).resolve()) for part, source in models.items()},
            tags=candidate_tags,
            decision=decision.to_json(),
            decision_tags=decision.tags(),
            champion=champion["number"] if champion else None,
        )
    return decision


def registered_inputs(task: Task) -> dict[str, str]:
    """The input that holds each part of the registered model; a part that is another one is left out."""
    parts = {RATING: "model", RANKING: "ranking", SERVED: "served_model"}
    paths: dict[str, str] = {}
    for part, source in parts.items():
        paths.setdefault(task.inputs[source].path, part)
    return {part: parts[part] for part in paths.values()}


def model_tags(task: Task) -> dict[str, str]:
    """Tags that identify a registered model."""
    return {
        "model_version": run_version(task),
        "served_version": str(task.inputs["served_model"].facts["model_version"]),
        "dataset": task.dataset,
        "interactions": task.inputs["interactions"].fingerprint,
        "model": task.inputs["model"].fingerprint,
        "ranking": task.inputs["ranking"].fingerprint,
        "ranking_model": ranking_kind(task),
        "positives": json.dumps(
            {key: task.params[key] for key in (*POSITIVES_PARAMS, "positive_strength")}, sort_keys=True
        ),
        "git_commit": git_commit() or "unknown",
    }


def decide_by_comparison(
    task: Task, candidate_tags: Mapping[str, str], champion: Mapping[str, str], folders: Mapping[str, Path]
) -> Decision:
    """The decision against a champion; `folders` holds the parts of it that the store still has."""
    from reco_platform.evaluation import dataset as eval_dataset  # noqa: PLC0415
    from reco_platform.evaluation import model_difference  # noqa: PLC0415
    from reco_platform.evaluation.model_difference import LIST_LENGTH, Ranker  # noqa: PLC0415
    from reco_platform.models.ranking.models import read_ranking_model  # noqa: PLC0415
    from reco_platform.splits import interactions  # noqa: PLC0415  # restoring needs no compiled code

    expected = {RATING: champion["model"]}
    if champion.get("ranking", champion["model"]) != champion["model"]:
        expected[RANKING] = champion["ranking"]
    for part, fingerprint in expected.items():
        problem = factors_problem(folders.get(part), fingerprint)
        if problem:
            return decide_without_factors(candidate_tags, champion, problem)
    folds = (interactions.TRAINING, (interactions.TEST,))
    parts = interactions.read_parts(task.open("interactions"), eval_dataset.COLUMNS, folds, task.threads)
    train, test = map(eval_dataset.rating_arrays, parts)
    found = {}
    if RANKING in expected or candidate_tags["ranking"] != candidate_tags["model"]:
        ours = Ranker(read_ranking_model(task.path("ranking")), task.params)
        theirs = Ranker(
            read_ranking_model(folders[RANKING if RANKING in expected else RATING]),
            task.params | json.loads(champion.get("positives", "{}")),
        )
        found[f"ndcg@{LIST_LENGTH}"] = model_difference.ndcg_difference(
            ours, theirs, train, test, task.params, threads=task.threads
        )
    model, other = read_model(task.path("model")), read_model(folders[RATING])
    found[task.params["gate_metric"]] = model_difference.rmse_difference(model, other, train, test, task.params)
    return decide_by_differences(candidate_tags, champion, found)
