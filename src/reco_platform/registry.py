"""The steps of the pipeline: for each its script, the config keys that shape its result, and what it reads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from reco_platform.config import Config
from reco_platform.digests import code_digest


@dataclass(frozen=True)
class Step:
    """One step.

    Attributes:
        name: also the name of its rule and of its script.
        reads: its inputs by name; True where it reads the facts of a receipt too, not the content alone.
        keys: config keys that shape its result.
        spark: whether it needs a Spark session.
        files: files other than Python modules that shape its result.
    """

    name: str
    reads: Mapping[str, bool] = field(default_factory=dict)
    keys: tuple[str, ...] = ()
    spark: bool = False
    files: tuple[str, ...] = ()

    @property
    def script(self) -> str:
        return f"scripts/{self.name}.py"


CONTENT, WITH_FACTS = False, True
QUALITY = ("sample_size", "sample_seed", "max_reject_share", "storage_format")
MODEL = ("rank", "max_iter", "reg_param", "nonnegative", "seed", "num_blocks")
SHOWN = ("cold_start_strategy", "top_n", "storage_format")

STEPS = {
    step.name: step
    for step in (
        Step("bronze"),
        Step("silver_ratings", {"bronze": CONTENT}, QUALITY, spark=True),
        Step("silver_movies", {"bronze": CONTENT}, QUALITY, spark=True),
        Step("silver_tags", {"bronze": CONTENT}, QUALITY, spark=True),
        Step("etl_report", {"ratings": WITH_FACTS, "movies": WITH_FACTS, "tags": WITH_FACTS}, ("storage_format",)),
        Step("interactions", {"ratings": CONTENT}, ("test_fraction", "validation_fraction", "storage_format")),
        Step("train_als", {"interactions": CONTENT}, MODEL, spark=True),
        Step("recommend", {"interactions": CONTENT, "model": CONTENT}, ("top_n", "exclude_seen", "storage_format")),
        Step("evaluate", {"interactions": CONTENT, "model": CONTENT}, ("cold_start_strategy",)),
        Step(
            "run_metrics",
            {"interactions": CONTENT, "model": CONTENT, "evaluation": CONTENT, "recommendations": CONTENT},
            (*MODEL, *SHOWN),
        ),
        Step(
            "report",
            {
                "etl_report": CONTENT,
                "movies": CONTENT,
                "tags": CONTENT,
                "interactions": CONTENT,
                "recommendations": CONTENT,
                "run_metrics": CONTENT,
            },
            files=("src/reco_platform/templates/report.html.j2",),
        ),
    )
}


def parameters(step: Step, config: Config) -> dict[str, Any]:
    """What shapes a step's result besides its inputs: its config values and the digest of its code."""
    values = {key: getattr(config, key) for key in step.keys}
    return {**values, "code": code_digest(step.script, step.files)}
