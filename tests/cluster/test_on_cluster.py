"""The pipeline on a real cluster of two workers: the same receipts as in one process, also when a worker is killed."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

from reco_platform.spark import cluster
from reco_platform.spark.cluster import LocalCluster
from support.listening import heard_only_here
from support.project import RECO, Project, Run, wait_for

pytestmark = [pytest.mark.cluster, pytest.mark.pipeline, pytest.mark.timeout(1800)]

# More ratings than ALS hands out at once in each block, several files, and iterations on both sides of a checkpoint.
ASKED = {
    "dataset": "demo", "dataset_path": None, "rank": 20, "max_iter": 12,
    "etl_engine": "spark", "engine": "spark-ml", "driver_memory": "1g",
}  # fmt: skip
FOLDER = "demo"
LAST_SHUFFLES = 6  # the ratings are handed out, by three, and some iterations done


@dataclass(frozen=True)
class Here:
    """A project and the cluster that it has started."""

    project: Project
    known: LocalCluster

    @property
    def asked(self) -> dict[str, Any]:
        return {**ASKED, "spark_master": self.known.master}

    def settings(self) -> dict[str, str]:
        return cluster.read_properties(self.known.properties_file(self.project.path("results/cluster")))


def tool(project: Project, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*RECO, "cluster", *words], cwd=project.root,
        env=project.environment({"PYTHONPATH": "src"}), capture_output=True, text=True, check=False,
    )  # fmt: skip


def free_ports() -> int:
    """The first of some ports in a row that nobody uses."""
    for first in range(17077, 20000, 10):
        with suppress(OSError):
            for port in range(first, first + 6):
                socket.create_server(("127.0.0.1", port)).close()
            return first
    raise AssertionError("no free ports")


def receipts(project: Project) -> dict[str, str]:
    return project.receipts(FOLDER)


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project whose interactions are in several files."""
    project = Project.create(tmp_path_factory.mktemp("source") / "project")
    project.edit("src/reco_platform/steps/interactions.py", "FILE_ROWS = 1 << 21", "FILE_ROWS = 30_000")
    return project


@pytest.fixture(scope="module")
def expected(source: Project, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The receipts of a run in one process, on one core; the native engine cleans, which must not show."""
    project = source.copy(tmp_path_factory.mktemp("local") / "project")
    project.gold(cores=1, folder=FOLDER, **ASKED | {"etl_engine": "native"})
    return receipts(project)


@pytest.fixture(scope="module")
def here(source: Project, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Here]:
    project = source.copy(tmp_path_factory.mktemp("cluster") / "project")
    words = ("start", "--port", str(free_ports()))
    started = tool(project, *words)
    try:
        assert started.returncode == 0, started.stderr
        known = cluster.read_local_cluster(project.path("results/cluster"))
        assert known is not None
        again = tool(project, *words)
        assert "is already running" in again.stdout
        assert cluster.read_local_cluster(project.path("results/cluster")) == known
        yield Here(project, known)
    finally:
        workers = [process for process in psutil.process_iter() if str(project.root) in words_of(process)]
        stopped = tool(project, "stop")
        left = [process for process in workers if process.is_running() and process.status() != psutil.STATUS_ZOMBIE]
        assert re.search(r"stopped: master, worker-[12]\n", stopped.stdout), "the other one was killed"
        assert not left, [words_of(process) for process in left]
        assert not list(project.path("results/cluster").glob("*.properties"))


def words_of(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""


@pytest.fixture(scope="module")
def on_cluster(here: Here) -> Run:
    return here.project.gold(folder=FOLDER, **here.asked)


def test_receipts_are_those_of_a_run_in_one_process(here: Here, on_cluster: Run, expected: dict[str, str]) -> None:
    assert {"silver_ratings", "train_als", "recommend"} <= on_cluster.worked
    assert receipts(here.project) == expected
    assert len(expected) > 12


def test_executors_had_the_projects_code_from_the_driver(here: Here, on_cluster: Run) -> None:
    names = {path.name for path in here.project.path("results/cluster/work").rglob("*.zip")}
    assert names == {path.name for path in here.project.path(".cache/archives").iterdir()}
    assert len(names) == 1


def test_a_worker_killed_in_training_changes_nothing(here: Here, on_cluster: Run, expected: dict[str, str]) -> None:
    project = here.project
    shutil.rmtree(project.lakehouse(FOLDER) / "gold" / "models")
    (project.lakehouse(FOLDER) / "gold" / "models" / "als.receipt.json").unlink(missing_ok=True)
    workers = [psutil.Process(process.pid) for process in here.known.processes[1:]]
    secret = here.settings()["spark.authenticate.secret"]
    with project.started(**here.asked) as run:
        wait_for(lambda: any(map(has_iterated, workers)) or run.poll() is not None)
        assert run.poll() is None, "it ended before a worker could be killed"
        worker = next(filter(has_iterated, workers))
        commands = [words_of(process) for process in psutil.process_iter()]
        assert heard_only_here(run.pid) and heard_only_here(*(process.pid for process in here.known.processes))
        victims = [*worker.children(recursive=True), worker]
        for process in victims:
            os.kill(process.pid, signal.SIGKILL)
        said, _ = run.communicate(timeout=600)
    assert run.returncode == 0, said
    assert any("spark-submit" in command or "SparkSubmit" in command for command in commands)
    assert secret not in "".join(commands) + said
    assert re.search(r"train_als +worked", said)
    log = project.lakehouse(FOLDER) / "_logs" / "train_als.log"
    assert re.search(r"Lost executor|ExecutorLost|worker lost", log.read_text("utf-8"))
    assert receipts(project) == expected
    for path in project.lakehouse(FOLDER).rglob("*"):
        assert not (path.is_file() and secret.encode() in path.read_bytes()), path


def has_iterated(worker: psutil.Process) -> bool:
    """Whether an executor of a worker holds output of an iteration's shuffle."""
    with suppress(psutil.Error):
        for executor in worker.children():
            folders = executor.environ().get("SPARK_EXECUTOR_DIRS", "")
            files = Path(folders).rglob("shuffle_*.data") if folders else ()
            if len({path.name.split("_")[1] for path in files}) >= LAST_SHUFFLES:
                return True
    return False


def test_a_wrong_secret_is_refused_and_shown_nowhere(here: Here, on_cluster: Run) -> None:
    project, secret = here.project, "not-the-secret-of-this-cluster"
    shutil.rmtree(project.lakehouse(FOLDER) / "silver" / "movies")
    project.path("wrong.yaml").write_text(f"spark_conf:\n  spark.authenticate.secret: {secret}\n", encoding="utf-8")
    run = project.snakemake("silver", "--configfile", "wrong.yaml", folder=FOLDER, **here.asked)
    assert run.code == 1
    assert f"[ERROR] silver_movies: the Spark master at {here.known.master} rejected this application" in run.output
    assert "spark.authenticate.secret" in run.output
    assert secret not in run.output
    holders = {path for path in project.root.rglob("*") if path.is_file() and secret.encode() in path.read_bytes()}
    (private,) = holders - {project.path("wrong.yaml")}
    assert private.parent == project.path(".cache/spark")
    assert private.stat().st_mode & 0o777 == 0o600


def test_a_master_that_is_gone_is_said_at_once(here: Here, on_cluster: Run) -> None:
    shutil.rmtree(here.project.lakehouse(FOLDER) / "silver" / "movies", ignore_errors=True)
    began = time.monotonic()
    run = here.project.snakemake("silver", folder=FOLDER, **{**here.asked, "spark_master": "spark://127.0.0.1:9"})
    assert run.code == 1
    assert "[ERROR] silver_movies: no Spark master answers at spark://127.0.0.1:9" in run.output
    assert re.search(r"next +reco cluster start", run.output)
    assert time.monotonic() - began < 60, "Spark itself would have tried for a minute"
