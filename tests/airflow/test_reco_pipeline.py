"""The DAG in a real Airflow: its own `dags test`, and a running scheduler asked through its REST API."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from support.airflow_server import DAG, Airflow, Outcome, Server, project, wait_for
from support.listening import heard_only_here
from support.project import Project

pytestmark = pytest.mark.airflow

ETL, VERIFY_SILVER, TRAIN, VERIFY_GOLD = TASKS = (
    "run_etl_bronze_to_silver", "verify_silver_output", "run_train_als_generate_recos", "verify_gold_output",
)  # fmt: skip
CONF = {"storage_format": "delta", "top_n": 5, "mlflow_tracking_uri": "http://me:secret@127.0.0.1:9"}
SMALL = {"rank": "4", "max_iter": "3", "tracking": "false"}


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("airflow")


# --- `airflow dags test`, on the data set demo


@pytest.fixture(scope="module")
def airflow(scratch: Path) -> Airflow:
    return Airflow(scratch / "home", project(scratch / "demo", tracking="false"))


@pytest.fixture(scope="module")
def given(scratch: Path) -> dict[str, str]:
    """Every variable of the environment that sets a key."""
    return {
        "LAKEHOUSE_PATH": str(scratch / "lakehouse"),
        "STORAGE_FORMAT": "parquet",
        "MLFLOW_TRACKING_URI": "sqlite:///elsewhere.db",
        "ALS_RANK": "4",
        "ALS_MAX_ITER": "3",
        "ALS_REG_PARAM": "0.3",
        "ALS_COLD_START_STRATEGY": "nan",
        "TOP_N": "7",
    }


@pytest.fixture(scope="module")
def first(airflow: Airflow, given: dict[str, str]) -> tuple[str, Outcome]:
    """What setting up says, and the first run of the DAG."""
    said = airflow.prepare()
    return said, airflow.test(env=given, conf=CONF)


def events(lakehouse: Path) -> list[dict[str, Any]]:
    """What the steps of the latest run of Snakemake did."""
    journal = max((lakehouse / "_runs").glob("*[0-9].jsonl"))
    return [json.loads(line) for line in journal.read_text("utf-8").splitlines()]


def models(lakehouse: Path) -> set[str]:
    return {path.name for path in (lakehouse / "gold/models/als").iterdir() if path.name[0] not in "._"}


def test_a_run_makes_gold_of_the_environment_and_of_parameters_which_win_over_it(
    first: tuple[str, Outcome], airflow: Airflow, given: dict[str, str]
) -> None:
    said, run = first
    assert airflow.password in said
    assert run.code == 0, run.output
    assert run.states == dict.fromkeys(TASKS, "success")
    assert {name: found["errors"] for name, found in run.findings.items()} == {VERIFY_SILVER: [], VERIFY_GOLD: []}
    assert "[train_als] made gold/models/als/" in run.output, "what a step says is in the task's log"
    assert "MLFLOW_TRACKING_URI=*** .venv/bin/reco silver --cores" in run.output and "me:secret" not in run.output
    lakehouse = Path(given["LAKEHOUSE_PATH"])
    resolved = json.loads((lakehouse / "config.resolved.json").read_text("utf-8"))
    found = {key: resolved[key] for key in (
        "dataset", "storage_format", "mlflow_tracking_uri", "rank", "max_iter", "reg_param", "cold_start_strategy",
        "top_n",
    )}  # fmt: skip
    assert found == {
        "dataset": "demo", "storage_format": "delta", "mlflow_tracking_uri": "http://***@127.0.0.1:9", "rank": 4,
        "max_iter": 3, "reg_param": 0.3, "cold_start_strategy": "nan", "top_n": 5,
    }  # fmt: skip
    assert len(models(lakehouse)) == 1


def test_a_second_run_does_nothing(first: tuple[str, Outcome], airflow: Airflow, given: dict[str, str]) -> None:
    before = models(Path(given["LAKEHOUSE_PATH"]))
    run = airflow.test(env=given, conf=CONF)
    assert run.code == 0, run.output
    assert run.states == dict.fromkeys(TASKS, "success")
    assert events(Path(given["LAKEHOUSE_PATH"])) == []
    assert models(Path(given["LAKEHOUSE_PATH"])) == before


def test_a_damaged_silver_table_fails_its_check_and_stops_what_follows(
    first: tuple[str, Outcome], airflow: Airflow, given: dict[str, str], scratch: Path
) -> None:
    damaged = shutil.copytree(given["LAKEHOUSE_PATH"], scratch / "damaged")
    victim = next((damaged / "silver/ratings").rglob("*.parquet"))
    victim.unlink()
    run = airflow.test(env=given, conf={**CONF, "lakehouse": str(damaged)})
    assert run.code != 0
    assert run.states == {
        ETL: "success", VERIFY_SILVER: "failed", TRAIN: "upstream_failed", VERIFY_GOLD: "upstream_failed"
    }  # fmt: skip
    (error,) = run.findings[VERIFY_SILVER]["errors"]
    assert victim.name in error
    assert f"validation failed:\n{error}" in run.output.replace("\\n", "\n")


def test_bad_values_fail_with_the_message_of_the_config(first: tuple[str, Outcome], airflow: Airflow) -> None:
    bad = {
        "STORAGE_FORMAT": "orc", "MLFLOW_TRACKING_URI": "nowhere", "ALS_RANK": "0", "ALS_MAX_ITER": "many",
        "ALS_REG_PARAM": "-1", "ALS_COLD_START_STRATEGY": "skip", "TOP_N": "1.5",
    }  # fmt: skip
    run = airflow.test(env={**bad, "LAKEHOUSE_PATH": ""}, conf={"rnak": 5})
    assert run.code != 0
    assert run.states == {ETL: "failed", **dict.fromkeys(TASKS[1:], "upstream_failed")}
    failure = run.output[run.output.index("AirflowFailException") :]
    for variable, value in bad.items():
        assert f"='{value}' (from environment variable {variable}) is not allowed: " in failure.replace('"', "'")
    assert "did you mean rank?" in failure


def test_a_lakehouse_that_cannot_be_one_fails_before_anything_is_made(
    first: tuple[str, Outcome], airflow: Airflow
) -> None:
    run = airflow.test(env={"LAKEHOUSE_PATH": "config/config.yaml"})
    assert run.states == {ETL: "failed", **dict.fromkeys(TASKS[1:], "upstream_failed")}
    assert "lakehouse=config/config.yaml (from environment variable LAKEHOUSE_PATH): " in run.output


SLOW = """
from datetime import timedelta
from airflow.sdk import DAG
from reco_pipeline_dag import ProjectTask

with DAG("slow", schedule=None):
    ProjectTask(task_id="slow", program=["bash", "-c", {slow!r}], execution_timeout=timedelta(seconds=3))
    ProjectTask(task_id="failing", program=["bash", "-c", {failing!r}])
"""
STORY = ["Failed: silver_movies, which makes silver/movies", "  log      a.log", "Then run again   snakemake"]


def test_a_task_beyond_its_time_ends_its_program_and_a_failed_one_says_why(
    first: tuple[str, Outcome], airflow: Airflow, scratch: Path
) -> None:
    noted = scratch / "pid"
    folder = scratch / "dags"
    folder.mkdir()
    (folder / "slow_dag.py").write_text(
        SLOW.format(slow=f"echo $$ > {noted}; sleep 600", failing=f"printf '%s\\n' {shlex.join(STORY)} end; exit 1"),
        "utf-8",
    )
    ours = str(Path("airflow/dags").resolve())
    run = airflow.test("slow", env={"AIRFLOW__CORE__DAGS_FOLDER": str(folder), "PYTHONPATH": ours})
    assert run.states == {"slow": "failed", "failing": "failed"}, run.output
    assert "bash ended with exit code 1:\n" + "\n".join(STORY) in run.output.replace("\\n", "\n")
    assert "AirflowTaskTimeout" in run.output
    assert not psutil.pid_exists(int(noted.read_text("utf-8")))


# --- a running scheduler, on a folder of CSV files


@pytest.fixture(scope="module")
def mine(scratch: Path) -> Project:
    return project(scratch / "mine", dataset="small", dataset_path="data", **SMALL)


@pytest.fixture(scope="module")
def server(first: tuple[str, Outcome], airflow: Airflow, mine: Project) -> Iterator[Server]:
    with Airflow(airflow.home, mine).serving(RECO_SCHEDULE="0 3 * * *", RECO_RETRY_SECONDS="1") as running:
        assert heard_only_here(running.process.pid)
        yield running


@pytest.fixture(scope="module")
def scheduled(server: Server, airflow: Airflow) -> str:
    """The run that the scheduler begins once the DAG is switched on, after its end."""
    assert server.ask("GET", DAG)[0] == 401, "nobody may ask without a token"
    server.log_in(airflow.password)
    wait_for(lambda: server.ask("GET", DAG)[1].get("timetable_summary") == "0 3 * * *")
    assert server.get(DAG)["is_paused"]
    assert server.ask("PATCH", DAG, {"is_paused": False})[0] == 200
    (run,) = wait_for(lambda: server.get(f"{DAG}/dagRuns?run_type=scheduled")["dag_runs"])
    path = f"{DAG}/dagRuns/{run['dag_run_id'].replace('+', '%2B')}"
    server.succeeds(path)
    return path


def test_the_password_is_printed_once_and_the_dag_is_as_designed(
    server: Server, scheduled: str, airflow: Airflow
) -> None:
    assert not [line for line in server.said if airflow.password in line]
    details = server.get(f"{DAG}/details")
    assert (details["catchup"], details["max_active_runs"]) == (False, 1)
    tasks = {task["task_id"]: task for task in server.get(f"{DAG}/tasks")["tasks"]}
    assert [tasks[name]["downstream_task_ids"] for name in TASKS] == [[VERIFY_SILVER], [TRAIN], [VERIFY_GOLD], []]
    for task in tasks.values():
        assert (task["retries"], task["retry_exponential_backoff"]) == (2, 2.0)
        assert task["execution_timeout"]
    schema = json.loads(Path("config/config.schema.json").read_text("utf-8"))["properties"]
    assert set(details["params"]) == set(schema)
    status, answer = server.ask("POST", f"{DAG}/dagRuns", {"logical_date": None, "conf": {"rank": 0}})
    assert (status, "0 is less than the minimum of 1" in str(answer)) == (400, True)


def add_rating(mine: Project, line: str) -> None:
    with (mine.root / "data/ratings.csv").open("a", encoding="utf-8") as file:
        file.write(f"{line}\n")


def test_new_rows_make_a_new_model_beside_the_old_and_without_them_none_is_made(
    server: Server, scheduled: str, mine: Project
) -> None:
    lakehouse = mine.lakehouse()
    old = models(lakehouse)
    findings = server.get(f"{scheduled}/taskInstances/{VERIFY_GOLD}/xcomEntries/findings")["value"]
    assert json.loads(findings)["passed"] if isinstance(findings, str) else findings["passed"]
    add_rating(mine, "1,2,4.5,1700000000")
    server.succeeds(server.trigger())
    new = models(lakehouse)
    assert new > old
    assert len(new) == len(old) + 1 == 2
    server.succeeds(server.trigger())
    assert models(lakehouse) == new
    assert events(lakehouse) == []


def under_way(server: Server, run: str) -> tuple[int, list[psutil.Process]]:
    """The process of a run's first task and all that it has started, once Spark is among them."""

    def spark() -> tuple[int, list[psutil.Process]] | None:
        pid = server.tasks(run)[ETL]["pid"]
        started = psutil.Process(pid).children(recursive=True) if pid and psutil.pid_exists(pid) else []
        return (pid, started) if any(one.name() == "java" for one in started) else None

    found: tuple[int, list[psutil.Process]] = wait_for(spark)
    return found


def test_a_killed_task_leaves_no_spark_behind_and_its_retry_succeeds(
    server: Server, scheduled: str, mine: Project
) -> None:
    add_rating(mine, "2,3,1.0,1700000001")
    run = server.trigger(etl_engine="spark")
    pid, started = under_way(server, run)
    os.kill(pid, signal.SIGKILL)
    _, alive = psutil.wait_procs(started, timeout=60)
    assert not alive
    server.succeeds(run)
    assert {name: task["try_number"] for name, task in server.tasks(run).items()} == {**dict.fromkeys(TASKS, 1), ETL: 2}


def test_ctrl_c_ends_everything_a_task_and_its_spark_included(server: Server, scheduled: str, mine: Project) -> None:
    add_rating(mine, "3,4,2.0,1700000002")
    run = server.trigger(etl_engine="spark")
    under_way(server, run)
    everything = psutil.Process(server.process.pid).children(recursive=True)
    server.process.send_signal(signal.SIGINT)
    assert server.process.wait() == 0
    assert not [one for one in everything if one.is_running() and one.status() != psutil.STATUS_ZOMBIE]
