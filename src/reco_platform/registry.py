"""The steps of the pipeline: for each its script, the config keys that shape its result, and what it reads."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from reco_platform.config import Config
from reco_platform.digests import code_digest
from reco_platform.layout import TABLES, Lakehouse


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
    """

    name: str
    makes: str
    reads: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    reads_facts: bool = False
    makes_file: bool = False

    @property
    def script(self) -> str:
        return f"scripts/{self.name}.py"


QUALITY = ("sample_size", "sample_seed", "max_reject_share", "storage_format")
SPLIT = ("test_fraction", "validation_fraction", "storage_format")
MODEL = ("engine", "solver", "rank", "max_iter", "reg_param", "nonnegative", "seed", "num_blocks")
LISTS = ("top_n", "min_item_ratings", "exclude_seen", "storage_format")
SHOWN = (*MODEL, "cold_start_strategy", "top_n", "storage_format")

RUN = ("interactions", "model", "evaluation", "recommendations")
PAGE = ("etl_report", "movies", "tags", "interactions", "recommendations", "run_metrics")
TEMPLATE = "src/reco_platform/templates/report.html.j2"

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
        Step("recommend", "recommendations", ("interactions", "model"), LISTS),
        Step("evaluate", "evaluation", ("interactions", "model"), ("cold_start_strategy",), makes_file=True),
        Step("run_metrics", "run_metrics", RUN, SHOWN, makes_file=True),
        Step("report", "report", PAGE, files=(TEMPLATE,), makes_file=True),
    )
}
MAKERS = {step.makes: step for step in STEPS.values()}


def input_artifacts(step: Step, house: Lakehouse) -> dict[str, str]:
    """The artifact behind each of a step's inputs."""
    return {name: house.bronze(step.makes) if name == "bronze" else house.artifact(name) for name in step.reads}


def parameters(step: Step, config: Config) -> dict[str, Any]:
    """What shapes a step's result besides its inputs: its config values and the digest of its code."""
    values = {key: getattr(config, key) for key in step.keys}
    return {**values, "code": code_digest(step.script, step.files)}
