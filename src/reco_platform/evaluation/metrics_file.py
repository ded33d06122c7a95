"""The metrics file of a run: its schema, from which docs/run_metrics.schema.json is generated, and its CSV form."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

Share = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=0)]


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Value(Strict):
    """A number, or why it is missing."""

    value: float | None
    missing_because: str | None = None


class Interval(Value):
    """A value with its 95% bootstrap interval over users."""

    low: float | None
    high: float | None


class Difference(Interval):
    """The model's metric minus a baseline's, on the same resamples."""

    better_share: Share | None = Field(description="Share of the resamples in which the model is better")


class Verdict(Difference):
    """Whether the model is better or worse than a baseline: decided if the interval of the difference excludes 0."""

    metric: str
    baseline: str
    verdict: Literal["better", "worse", "undecided"]


class Folds(Strict):
    """Counts of test ratings and users. Warm means that the model knows the user and the movie."""

    rows: Count
    warm_rows: Count
    cold_row_share: Share | None
    users: Count
    warm_users: Count
    cold_user_share: Share | None
    relevant_rows: Count
    ranked_users: Count
    warm_users_without_relevant: Count
    catalogue: Count


class Strata(Strict):
    """Metrics by the popularity of movies and by the activity of users; by stratum, system and metric."""

    movies: dict[str, dict[str, dict[str, Value]]]
    users: dict[str, dict[str, dict[str, Value]]]
    test_rows: dict[str, Count]


class Evaluation(Strict):
    """`systems`, `catalogue` and `differences` are by system, then by metric."""

    rmse: float | None
    rmse_missing_because: str | None = None
    test_count: Count
    predictions_count: Count
    coverage: Share
    cold_count: Count
    cold_share: Share
    folds: Folds
    systems: dict[str, dict[str, Interval]]
    catalogue: dict[str, dict[str, Value]]
    strata: Strata
    differences: dict[str, dict[str, Difference]]
    verdicts: list[Verdict]
    headline_k: int
    ranking_system: str = Field(description="The system whose lists are served")
    popular_half_life: Count = Field(
        description="Half-life in days of the popularity of late, chosen on the validation fold"
    )
    absent: dict[str, str] = Field(description="Baselines that could not be trained, each with its reason")


class RunMetrics(Strict):
    """One run: hyperparameters, data, training, evaluation and recommendations."""

    model_version: str
    served_version: str = Field(description="Model version of the recommendations: differs after a refit")
    refit: bool = Field(description="Whether the served model was trained on all ratings after the evaluation")
    chosen_by: str | None = Field(description="Name of the sweep that chose the hyperparameters")
    execution_ts: str
    hyperparameters: dict[str, str | int | float | bool | None]
    dataset_info: dict[str, Any]
    training: dict[str, Any] = Field(description="From the model's receipt: users, movies, objective")
    ranking: dict[str, Any] | None = Field(
        description="The model that orders the lists: version, hyperparameters, training; null if it is the same"
    )
    evaluation: Evaluation
    recommendations: dict[str, Any]


def schema() -> dict[str, Any]:
    """The JSON schema of the metrics file."""
    return RunMetrics.model_json_schema()


COLUMNS = ("model_version", "part", "stratum", "system", "metric", "value", "low", "high")


def table(metrics: Mapping[str, Any]) -> str:
    """Every metric of a run as CSV, one a line, for plotting."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    for part, stratum, system, metric, numbers in lines(metrics["evaluation"]):
        cells = ("" if (number := numbers.get(key)) is None else number for key in ("value", "low", "high"))
        writer.writerow([metrics["model_version"], part, stratum, system, metric, *cells])
    return out.getvalue()


def lines(evaluation: Mapping[str, Any]) -> Iterator[tuple[str, str, str, str, Mapping[str, Any]]]:
    """Part, stratum, system, metric and numbers of each line of the CSV file."""
    for part in ("systems", "catalogue", "differences"):
        for system, metrics in evaluation[part].items():
            for metric, numbers in metrics.items():
                yield part, "", system, metric, numbers
    for side in ("movies", "users"):
        for stratum, systems in evaluation["strata"][side].items():
            for system, metrics in systems.items():
                for metric, numbers in metrics.items():
                    yield "strata", stratum, system, metric, numbers
