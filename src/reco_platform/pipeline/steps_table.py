"""The steps of the pipeline: for each its script, the config keys that shape its result, and what it reads."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from reco_platform.config.model import Config
from reco_platform.core.hashing import code_digest
from reco_platform.lakehouse.layout import TABLES, Lakehouse


@dataclass(frozen=True)
class Step:
    """One step.

    Attributes:
        name: also the name of its rule and of its script.
        makes: its result, by the name under which others read it.
        reads: its inputs by name.
        keys: config keys that shape its result.
        files: files other than Python modules that shape its result.
        reads_facts: whether it reads the facts in its inputs' receipts, and not their content alone.
        makes_file: whether its result is one file (otherwise a folder).
        reads_trials: whether it reads the trials of a sweep too: those that its parameter `cells` names.
        own: its parameters that are no config keys.
        only_if: the config key that must be true for the step to be part of the workflow; None for always.
    """

    name: str
    makes: str
    reads: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    reads_facts: bool = False
    makes_file: bool = False
    only_if: str | None = None
    reads_trials: bool = False
    own: tuple[str, ...] = ()

    def is_part(self, config: Config) -> bool:
        """Whether a run with this configuration has the step."""
        return self.only_if is None or bool(getattr(config, self.only_if))

    @property
    def script(self) -> str:
        return f"scripts/{self.name}.py"


QUALITY = ("sample_size", "sample_seed", "max_reject_share", "storage_format")
SPLIT = (
    "split", "test_fraction", "validation_fraction", "validation_from", "test_from", "last_k", "split_seed",
    "storage_format",
)  # fmt: skip
ALS = ("solver", "rank", "max_iter", "reg_param", "seed", "min_user_ratings", "min_item_ratings")
MODEL = ("engine", *ALS, "biased", "bias_damping", "nonnegative", "num_blocks")
LISTS = ("top_n", "exclude_seen", "refit", "storage_format")
FALLBACK = (*LISTS, "popular_days")
SHOWN = (*MODEL, "cold_start_strategy", "top_n", "storage_format", "chosen_by")
JUDGING = ("sweep_metric", "patience", "relevance", "relevant_rating", "bootstrap_samples", "bootstrap_seed")
CHOOSING = (*SPLIT, "sweep_metric", "patience", "sweep_allow_failures")

EVALUATION = (
    "cold_start_strategy", "evaluation_k", "relevance", "relevant_rating", "popular_days", "bias_damping",
    "bootstrap_samples", "bootstrap_seed",
)  # fmt: skip

STORE = ("registered_model", "mlflow_tracking_uri")
GATE = ("tracking", "gate_metric", "bias_damping", "bootstrap_samples", "bootstrap_seed", *STORE)
TRACKED = tuple(dict.fromkeys((*SPLIT, *MODEL, *FALLBACK, "fallback_lists", *EVALUATION, *STORE)))

SERVING = ("interactions", "served_model")
JUDGED = ("interactions", "model", "plain_model", "movies")
RUN = ("interactions", "model", "served_model", "evaluation", "recommendations")
PAGE = ("etl_report", "ratings", "movies", "tags", "interactions", "recommendations", "run_metrics", "gate")
LOGGED = ("interactions", "model", "recommendations", "run_metrics", "gate", "report")
TEMPLATES = "src/reco_platform/reports/templates"
OF_PAGES = (f"{TEMPLATES}/base.html.j2", f"{TEMPLATES}/parts.html.j2")
RUN_PAGE, SWEEP_PAGE = (*OF_PAGES, f"{TEMPLATES}/report.html.j2"), (*OF_PAGES, f"{TEMPLATES}/sweep.html.j2")

STEPS = {
    step.name: step
    for step in (
        Step("bronze", "bronze"),
        Step("silver_ratings", "ratings", ("bronze",), QUALITY),
        Step("silver_movies", "movies", ("bronze",), QUALITY),
        Step("silver_tags", "tags", ("bronze",), QUALITY),
        Step("etl_report", "etl_report", TABLES, ("storage_format",), reads_facts=True, makes_file=True),
        Step("interactions", "interactions", ("ratings",), SPLIT),
        Step("train_als", "model", ("interactions",), MODEL),
        Step("train_plain", "als_plain", ("interactions",), ALS, only_if="biased"),
        Step("refit", "als_refit", ("interactions",), MODEL, only_if="refit"),
        Step("recommend", "recommendations", SERVING, LISTS),
        Step("fallback", "fallback", SERVING, FALLBACK, only_if="fallback_lists"),
        Step("evaluate", "evaluation", JUDGED, EVALUATION, makes_file=True),
        Step("run_metrics", "run_metrics", RUN, SHOWN, reads_facts=True, makes_file=True),
        Step("metrics_table", "metrics_table", ("run_metrics",), makes_file=True),
        Step("gate", "gate", ("interactions", "model"), GATE, makes_file=True),
        Step("report", "report", PAGE, files=RUN_PAGE, makes_file=True),
        Step("track", "tracking", LOGGED, TRACKED, reads_facts=True, makes_file=True, only_if="tracking"),
        Step("sweep_data", "sweep_data", ("interactions", "movies")),
        Step("trial", "trial", ("sweep_data",), (*MODEL, *JUDGING), makes_file=True),
        Step(
            "leaderboard",
            "leaderboard",
            keys=CHOOSING,
            files=SWEEP_PAGE,
            reads_trials=True,
            own=("sweep", "axes", "cells"),
        ),
        Step("track_sweep", "sweep_tracking", ("leaderboard",), STORE, makes_file=True, only_if="tracking"),
    )
}
OF_SWEEPS = ("sweep_data", "trial", "leaderboard", "track_sweep")
MAKERS = {step.makes: step for step in STEPS.values() if step.name not in OF_SWEEPS}
"""The step behind each result of gold and before it."""

FALLBACKS = {"served_model": "als_refit", "plain_model": "als_plain"}
"""Inputs that are the model itself unless config adds a step that makes this one instead."""


def stands_for(name: str, config: Config) -> str:
    """The result that is read under a name."""
    if name not in FALLBACKS:
        return name
    return FALLBACKS[name] if MAKERS[FALLBACKS[name]].is_part(config) else "model"


def may_stand_for(name: str) -> tuple[str, ...]:
    """The results that may be read under a name, whatever the configuration."""
    return ("model", FALLBACKS[name]) if name in FALLBACKS else (name,)


def input_artifacts(step: Step, lakehouse: Lakehouse, config: Config) -> dict[str, str]:
    """The artifact behind each of a step's inputs."""
    return {
        name: lakehouse.bronze(step.makes) if name == "bronze" else lakehouse.artifact(stands_for(name, config))
        for name in step.reads
    }


def parameters(step: Step, config: Config) -> dict[str, Any]:
    """What shapes a step's result besides its inputs: its config values and the digest of its code."""
    values = {key: value for key, value in config.shaping().items() if key in step.keys}
    return {**values, "code": code_digest(step.script, step.files)}
