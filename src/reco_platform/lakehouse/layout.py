"""Shared paths in a lakehouse; the paths of results are in the table of steps."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from reco_platform.core import project
from reco_platform.core.errors import ConfigError
from reco_platform.core.hashing import sha256
from reco_platform.lakehouse.receipts import RECEIPT
from reco_platform.store.paths import StorePath, is_remote, store_path

TABLES = ("ratings", "movies", "tags")
LOGS = "_logs"

LAKEHOUSE, DATASET = "RECO_LAKEHOUSE", "RECO_DATASET"
"""Environment variables with the lakehouse and the data set of the current run."""


@dataclass(frozen=True)
class Lakehouse:
    """Paths of one data set's lakehouse.

    Args:
        root: a folder, or hdfs://host:port/path.
        dataset: name of the data set.
    """

    root: str
    dataset: str

    @property
    def runs(self) -> Path:
        return self.records / "_runs"

    @property
    def logs(self) -> Path:
        return self.records / LOGS

    @property
    def spark_events(self) -> Path:
        return self.records / "_spark-events"

    @cached_property
    def path(self) -> StorePath:
        """The root of all content."""
        return store_path(self.root)

    @cached_property
    def records(self) -> Path:
        """The folder of receipts, logs and journals: the root itself, or a local folder if the root is remote."""
        return Path(f"results/{self.dataset}-{sha256(self.root)[:8]}" if is_remote(self.root) else self.root)

    @property
    def folder(self) -> Path:
        """The root as a local folder.

        Raises:
            ConfigError: if the root is remote.
        """
        if is_remote(self.root):
            records = project.as_typed_path(self.records)
            raise ConfigError(
                f"{self.root} is remote: files are removed from local lakehouses only",
                f"remove it with HDFS's own tools: hdfs dfs -rm -r {self.root}, and its receipts: rm -r {records}",
            )
        return Path(self.root)

    def receipt(self, artifact: str) -> str:
        """Path of an artifact's receipt; in a local lakehouse it is beside the content."""
        return str(self.records / f"{artifact}{RECEIPT}")

    def content(self, artifact: str) -> StorePath:
        """Path of a table, model or file."""
        return self.path / artifact

    def bronze(self, table: str) -> str:
        return f"bronze/movielens/{self.dataset}/{table}"

    def quality_report(self, table: str) -> str:
        return f"silver/_reports/quality_{table}_{self.dataset}.json"


def silver(table: str) -> str:
    return f"silver/{table}"


def quarantine(table: str) -> str:
    return f"silver/_quarantine/{table}"


REJECTED_BY_FAILED_RUNS = "silver/_rejected_by_failed_runs"
"""Rows that made a step stop. Nothing reads them: they are for people, until the table's step succeeds."""


def rejected_by_failed_run(table: str) -> str:
    return f"{REJECTED_BY_FAILED_RUNS}/{table}"


SWEEPS = "sweeps"
TRIALS = "sweeps/trials/"
SWEEP_DATA = "sweeps/data"


def trial(trial_id: str) -> str:
    return f"{TRIALS}{trial_id}/result"


def trial_params(trial_id: str) -> str:
    return f"{TRIALS}{trial_id}/params.json"


def sweep(name: str) -> str:
    """The folder with leaderboard.csv, leaderboard.json, report.html and best.yaml."""
    return f"sweeps/{name}"


def sweep_tracking(name: str) -> str:
    return f"sweeps/_tracking/{name}"


def version_in(name: str) -> str:
    """The model version in the version of lists; lists of popular movies have popular-<half-life>d-<model version>."""
    return re.sub(r"^popular-\d+d-", "", name)


MADE_FROM = "dataset.json"
"""The file that says what a lakehouse was made from."""

SERVING = "_serving"
"""Arrays that processes which answer questions map into memory; may be deleted at any time."""

RUN_FILES = ("_logs", "_runs", "_spark-events", SERVING, "config.resolved.json", MADE_FROM)
"""Files and folders of runs, apart from results."""


def latest(name: str) -> str:
    return f"reports/_latest/{name}"


def log(step: str, artifact: str) -> str:
    """The log of a step's job, relative to the records folder; each trial has its own."""
    return f"{LOGS}/{step}_{Path(artifact).parent.name}.log" if step == "trial" else f"{LOGS}/{step}.log"
