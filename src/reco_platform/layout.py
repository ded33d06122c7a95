"""Where everything lies in a lakehouse: the one place that knows a path."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

TABLES = ("ratings", "movies", "tags")
LOGS = "_logs"


@dataclass(frozen=True)
class Lakehouse:
    """Paths of one data set's lakehouse, relative to its root.

    Args:
        root: a folder.
        dataset: name of the data set.
    """

    root: str
    dataset: str

    @property
    def records(self) -> Path:
        """The folder on this machine that holds what is said of runs: their journals, logs and Spark's events."""
        return Path(self.root)

    @property
    def runs(self) -> Path:
        return self.records / "_runs"

    @property
    def logs(self) -> Path:
        return self.records / LOGS

    @property
    def spark_events(self) -> Path:
        return self.records / "_spark-events"

    def receipt(self, artifact: str) -> str:
        """The receipt's path: beside what it stands for."""
        return str(Path(self.root) / f"{artifact}.receipt.json")

    def local(self, artifact: str) -> Path:
        return Path(self.root) / artifact

    def bronze(self, table: str) -> str:
        return f"bronze/movielens/{self.dataset}/{table}"

    def artifact(self, name: str) -> str:
        """Where a step's result lies, by the name under which others read it."""
        return self.etl_report if name == "etl_report" else ARTIFACTS[name]

    def quality_report(self, table: str) -> str:
        return f"silver/_reports/quality_{table}_{self.dataset}.json"

    @property
    def etl_report(self) -> str:
        return f"silver/_reports/etl_bronze_to_silver_report_{self.dataset}"


def silver(table: str) -> str:
    return f"silver/{table}"


def quarantine(table: str) -> str:
    return f"silver/_quarantine/{table}"


INTERACTIONS = "gold/interactions"
MODELS = "gold/models/als"
REFITS = "gold/models/als_refit"
PLAIN_MODELS = "gold/baselines/als_plain"
RECOMMENDATIONS = "gold/recommendations_als"
FALLBACK = "gold/recommendations_fallback"
EVALUATION = "gold/metrics/_evaluation/evaluation"
RUN_METRICS = "gold/metrics/run_metrics"
METRICS_TABLE = "gold/metrics/_table/run_metrics"
GATE = "gold/metrics/_gate/gate"
TRACKING = "gold/metrics/_tracking/tracking"
REPORT = "reports/report"
SWEEP_DATA = "sweeps/data"

ARTIFACTS = {
    **{table: silver(table) for table in TABLES},
    "interactions": INTERACTIONS,
    "model": MODELS,
    "als_refit": REFITS,
    "als_plain": PLAIN_MODELS,
    "recommendations": RECOMMENDATIONS,
    "fallback": FALLBACK,
    "evaluation": EVALUATION,
    "run_metrics": RUN_METRICS,
    "metrics_table": METRICS_TABLE,
    "gate": GATE,
    "report": REPORT,
    "sweep_data": SWEEP_DATA,
    "tracking": TRACKING,
}


def model(model_version: str) -> str:
    return f"{MODELS}/{model_version}"


def als_refit(model_version: str) -> str:
    return f"{REFITS}/{model_version}"


def als_plain(model_version: str) -> str:
    return f"{PLAIN_MODELS}/{model_version}"


def evaluation(model_version: str) -> str:
    return f"{EVALUATION}_{model_version}.json"


def run_metrics(model_version: str) -> str:
    return f"{RUN_METRICS}_{model_version}.json"


def metrics_table(model_version: str) -> str:
    return f"{RUN_METRICS}_{model_version}.csv"


def gate(model_version: str) -> str:
    return f"{GATE}_{model_version}.json"


def tracking(model_version: str) -> str:
    return f"{TRACKING}_{model_version}.json"


def trial(trial_id: str) -> str:
    return f"sweeps/trials/{trial_id}/result"


def trial_params(trial_id: str) -> str:
    return f"sweeps/trials/{trial_id}/params.json"


def sweep(name: str) -> str:
    """A folder: leaderboard.csv, leaderboard.json, report.html, best.yaml."""
    return f"sweeps/{name}"


def sweep_tracking(name: str) -> str:
    return f"sweeps/_tracking/{name}"


def latest(name: str) -> str:
    return f"reports/_latest/{name}"


def report(model_version: str) -> str:
    return f"reports/{model_version}.html"


def log(step: str, artifact: str) -> str:
    """The log of a step's job as its rule names it, in the folder of the records; each trial has its own."""
    return f"{LOGS}/{step}_{Path(artifact).parent.name}.log" if step == "trial" else f"{LOGS}/{step}.log"
