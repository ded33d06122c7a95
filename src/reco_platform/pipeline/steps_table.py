"""The table of steps: one entry a step. Rules, paths, status, validation, retention and docs derive from it."""

from __future__ import annotations

from typing import Any

from reco_platform.config.model import Config, keys_of
from reco_platform.engine.code.digest import code_digest
from reco_platform.engine.step import Layer, ReportCopy, Step
from reco_platform.lakehouse import layout
from reco_platform.lakehouse.layout import TABLES, Lakehouse


def step(name: str, makes: str, layer: Layer, **fields: Any) -> Step:
    """An entry of the table; the config keys that shape its result are those whose fields name it."""
    return Step(name, makes, layer=layer, keys=keys_of(name), **fields)


_TEMPLATES = "src/reco_platform/reports/templates"
_PAGE = (f"{_TEMPLATES}/base.html.j2", f"{_TEMPLATES}/parts.html.j2")
_VERSIONED_JSON = "{artifact}_{version}.json"

IDS = ("users", "items")
"""The tables of source ids."""

_ENTRIES = (
    step(
        "bronze", "bronze", "bronze", kind="file", artifact="bronze/movielens/{dataset}",
        description="Generates, downloads or copies the CSV files, and describes each by its checksum.",
        memory_mb=1000,
    ),
    step(
        "silver_ratings", "ratings", "silver", kind="table", artifact=layout.silver("ratings"), reads=("bronze",),
        description="Ratings: typed, checked, deduplicated, partitioned by year and month.",
        all_threads=True, memory_mb=3000,
    ),
    step(
        "silver_movies", "movies", "silver", kind="table", artifact=layout.silver("movies"), reads=("bronze",),
        description="Movies: typed and checked, genres split, release year parsed from the title.",
        memory_mb=3000,
    ),
    step(
        "silver_tags", "tags", "silver", kind="table", artifact=layout.silver("tags"), reads=("bronze",),
        description="Tags: typed and checked, partitioned by year and month; nothing if the data set has none.",
        memory_mb=3000,
    ),
    step(
        "silver_users", "users", "silver", kind="table", artifact=layout.silver("users"), reads=("bronze",),
        only_if="has_text_ids",
        description="The source id of each user; only where ids are texts (id_type=text).",
        memory_mb=2000,
    ),
    step(
        "silver_items", "items", "silver", kind="table", artifact=layout.silver("items"), reads=("bronze",),
        only_if="has_text_ids",
        description="The source id of each movie; only where ids are texts (id_type=text).",
        memory_mb=2000,
    ),
    step(
        "etl_report", "etl_report", "silver", kind="file", reads=TABLES, reads_facts=True,
        artifact="silver/_reports/etl_bronze_to_silver_report_{dataset}", content="{artifact}.json",
        description="Counts of the rows that went into and came out of every silver table.",
    ),
    step(
        "interactions", "interactions", "gold", kind="table", artifact="gold/interactions", reads=("ratings",),
        description="The latest rating of each user and movie, with dense indexes and a fold.",
        memory_mb=2000,
    ),
    step(
        "train_als", "model", "gold", kind="model", artifact="gold/models/als", content="{artifact}/{version}",
        reads=("interactions",), version_of="model",
        description="The ALS model, trained on the train and validation folds.",
        all_threads=True, memory_mb=3000,
    ),
    step(
        "train_plain", "als_plain", "gold", kind="model", artifact="gold/baselines/als_plain",
        content="{artifact}/{version}", reads=("interactions",), only_if="biased", serves_as=("plain_model",),
        description="ALS without biases on the same folds: a baseline for the model with biases.",
        all_threads=True, memory_mb=3000,
    ),
    step(
        "train_ranking", "ranking_model", "gold", kind="model", artifact="gold/models/ranking",
        content="{artifact}/{version}", reads=("interactions",), only_if="has_ranking_model",
        serves_as=("ranking", "served_model"),
        description="The model that orders the lists, trained on the train and validation folds.",
        all_threads=True, memory_mb=3000,
    ),
    step(
        "refit", "als_refit", "gold", kind="model", artifact="gold/models/als_refit", content="{artifact}/{version}",
        reads=("interactions",), only_if="refits_rating_model", serves_as=("served_model",),
        description="The served model, trained on all folds; with refit=true and ranking_model=explicit.",
        all_threads=True, memory_mb=3000,
    ),
    step(
        "refit_ranking", "ranking_refit", "gold", kind="model", artifact="gold/models/ranking_refit",
        content="{artifact}/{version}", reads=("interactions",), only_if="refits_ranking_model",
        serves_as=("served_model",),
        description="The served ranking model, trained on all folds; part of gold with refit=true.",
        all_threads=True, memory_mb=3000,
    ),
    step(
        "recommend", "recommendations", "gold", kind="table", artifact="gold/recommendations_als",
        reads=("interactions", "served_model"), version_of="served_model",
        description="The top N movies of every user whom the served model knows.",
        all_threads=True,
    ),
    step(
        "fallback", "fallback", "gold", kind="table", artifact="gold/recommendations_fallback",
        reads=("interactions", "served_model"), version_of="served_model", only_if="fallback_lists",
        description="The most popular movies for all other users; part of gold with fallback_lists=true.",
    ),
    step(
        "evaluate", "evaluation", "gold", kind="file", artifact="gold/metrics/_evaluation/evaluation",
        content=_VERSIONED_JSON, version_of="run",
        reads=("interactions", "model", "plain_model", "ranking", "movies"),
        description="Metrics of the models and the baselines on the test fold, with intervals.",
        all_threads=True,
    ),
    step(
        "run_metrics", "run_metrics", "gold", kind="file", artifact="gold/metrics/run_metrics",
        content=_VERSIONED_JSON, version_of="run", reads_facts=True,
        reads=("interactions", "model", "ranking", "served_model", "evaluation", "recommendations"),
        description="One JSON file on what was trained, on what data, and how good it is.",
    ),
    step(
        "metrics_table", "metrics_table", "gold", kind="file", artifact="gold/metrics/_table/run_metrics",
        content="gold/metrics/run_metrics_{version}.csv", reads=("run_metrics",), version_of="run",
        description="The same metrics as CSV, one metric a line.",
        report_copy=ReportCopy("metrics.csv", "metrics.rst", "Model", "metrics"),
    ),
    step(
        "gate", "gate", "gold", kind="file", artifact="gold/metrics/_gate/gate", content=_VERSIONED_JSON,
        reads=("interactions", "model", "ranking", "served_model"), version_of="run",
        description="Registers the models in MLflow and compares them with the present champion.",
    ),
    step(
        "report", "report", "gold", kind="file", artifact="reports/report", content="reports/{version}.html",
        version_of="run", files=(*_PAGE, f"{_TEMPLATES}/report.html.j2"),
        reads=("etl_report", *TABLES, *IDS, "interactions", "recommendations", "run_metrics", "gate"),
        reads_if_made=IDS,
        description="One HTML file on the run: quality, data, training, evaluation, example users, provenance.",
        report_copy=ReportCopy("report.html", "report.rst", "Model", "report of the run"),
    ),
    step(
        "track", "tracking", "gold", kind="file", artifact="gold/metrics/_tracking/tracking",
        content=_VERSIONED_JSON, version_of="run", reads_facts=True, only_if="tracking",
        reads=("interactions", "model", "ranking", "recommendations", "run_metrics", "gate", "report"),
        description="Logs the run to MLflow; part of gold unless tracking=false.",
    ),
    step(
        "sweep_data", "sweep_data", "sweeps", kind="folder", artifact=layout.SWEEP_DATA,
        reads=("interactions", "movies"),
        description="The train and validation folds as arrays: all that trials read.",
    ),
    step(
        "trial", "trial", "sweeps", kind="file", artifact=layout.trial("{trial}"), content="{artifact}.json",
        reads=("sweep_data",),
        description="One fit; if it fails, its result says so and the other trials continue.",
    ),
    step(
        "leaderboard", "leaderboard", "sweeps", kind="folder", artifact=layout.sweep("{sweep}"),
        reads_trials=True, own=("sweep", "axes", "cells"), files=(*_PAGE, f"{_TEMPLATES}/sweep.html.j2"),
        description="The trials from best to worst, and a config file with the best.",
        memory_mb=500,
    ),
    step(
        "track_sweep", "sweep_tracking", "sweeps", kind="file", artifact=layout.sweep_tracking("{sweep}"),
        content="{artifact}.json", reads=("leaderboard",), only_if="tracking",
        description="Logs the sweep to MLflow; part of sweep unless tracking=false.",
        memory_mb=500,
    ),
)  # fmt: skip

STEPS = {one.name: one for one in _ENTRIES}
LAYERS: tuple[Layer, ...] = ("bronze", "silver", "gold", "sweeps")
SWEEP_STEPS = tuple(one.name for one in _ENTRIES if one.layer == "sweeps")
STEP_OF = {one.makes: one for one in _ENTRIES if one.layer != "sweeps"}
"""The step that makes each result of bronze, silver and gold."""

SILVER = tuple(one.makes for one in _ENTRIES if one.layer == "silver")
GOLD = tuple(one.makes for one in _ENTRIES if one.layer == "gold")
TABLE_RESULTS = tuple(one.makes for one in _ENTRIES if one.kind == "table")

_REPLACES_MODEL = {
    name: tuple(one.makes for one in reversed(_ENTRIES) if name in one.serves_as)
    for name in dict.fromkeys(name for one in _ENTRIES for name in one.serves_as)
}
"""Inputs that refer to the model unless the configuration enables a step whose result replaces it, by name; of several
such steps the last one of the table counts."""


def resolve_input(name: str, config: Config) -> str:
    """The result that an input name refers to, as configured."""
    if name not in _REPLACES_MODEL:
        return name
    return next((one for one in _REPLACES_MODEL[name] if STEP_OF[one].is_enabled(config)), "model")


def possible_inputs(name: str) -> tuple[str, ...]:
    """The results that an input name may refer to, in any configuration."""
    return ("model", *_REPLACES_MODEL[name]) if name in _REPLACES_MODEL else (name,)


def artifact_of(name: str, dataset: str) -> str:
    """Path of a result's artifact in the lakehouse of a data set."""
    return next(one for one in _ENTRIES if one.makes == name).artifact_path(dataset)


def step_making(artifact: str, dataset: str) -> Step:
    """The step that makes an artifact; not for artifacts of bronze."""
    if artifact.startswith(layout.TRIALS):
        return STEPS["trial"]
    name = artifact.rpartition("/")[2]
    if artifact.startswith(f"{layout.SWEEPS}/") and artifact != layout.SWEEP_DATA:
        return STEPS["track_sweep" if artifact == layout.sweep_tracking(name) else "leaderboard"]
    return next(one for one in _ENTRIES if one.artifact_path(dataset) == artifact)


def input_artifacts(step: Step, lakehouse: Lakehouse, config: Config) -> dict[str, str]:
    """The artifact of each input of a step, by input name; without those that this configuration does not have."""
    return {
        name: lakehouse.bronze(step.makes)
        if name == "bronze"
        else artifact_of(resolve_input(name, config), lakehouse.dataset)
        for name in step.reads
        if name not in step.reads_if_made or STEP_OF[name].is_enabled(config)
    }


def folders_of(layer: str, dataset: str) -> tuple[str, ...]:
    """Folders and tables that the pipeline makes in a layer; for any other word the other files of runs."""
    if layer == "bronze":
        return (STEPS["bronze"].artifact_path(dataset),)
    if layer == "sweeps":
        return (layout.SWEEPS,)
    found = [one.artifact_path(dataset) for one in _ENTRIES if one.layer == layer and not one.is_file]
    for one in _ENTRIES:
        if one.layer == layer and one.is_file:
            parts = one.artifact_path(dataset).split("/")
            found.append("/".join(parts[: min(2, len(parts) - 1)]))
    companions = ("silver/_quarantine", layout.REJECTED_BY_FAILED_RUNS) if layer == "silver" else ()
    return tuple(dict.fromkeys([*found, *companions])) or layout.RUN_FILES


def needed_by(names: tuple[str, ...]) -> tuple[str, ...]:
    """Results and everything that they are made from, back to silver, in the order of the table."""
    found: set[str] = set()
    todo = list(names)
    while todo:
        name = todo.pop()
        if name in STEP_OF and name not in found:
            found.add(name)
            todo += STEP_OF[name].reads
    return tuple(name for name in STEP_OF if name in found - {"bronze"})


def parameters(step: Step, config: Config) -> dict[str, Any]:
    """What determines a step's result besides its inputs: its config values and the digest of its code."""
    values = {key: value for key, value in config.shaping().items() if key in step.keys}
    return {**values, "code": code_digest(step.script, step.files)}
