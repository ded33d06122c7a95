"""Airflow for tests: its own commands in a scratch AIRFLOW_HOME, and a running server asked through its REST API."""

from __future__ import annotations

import json
import signal
import sqlite3
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.parse import quote

from support.mlflow_server import free_port
from support.project import RECO, ROOT, Project

AIRFLOW = ROOT / ".venv-airflow" / "bin" / "airflow"
TOOL = [*RECO, "airflow"]
DAG = "/api/v2/dags/reco_pipeline"
PATIENCE = 400  # seconds; a run takes a tenth of it on an idle machine
BETWEEN_LOOKS = 0.5


def project(root: Path, **config: str) -> Project:
    """A project with these values in its config.yaml, and the environment that the DAG starts programs from."""
    made = Project.create(root)
    (made.root / ".venv").symlink_to(sys.prefix)
    for key, line in config.items():
        was = next(
            one for one in made.path("config/config.yaml").read_text("utf-8").splitlines() if one.startswith(f"{key}:")
        )
        made.edit("config/config.yaml", was, f"{key}: {line}")
    return made


@dataclass(frozen=True)
class Outcome:
    """What `airflow dags test` made of a DAG."""

    code: int
    output: str
    states: dict[str, str | None]
    findings: dict[str, dict[str, Any]]


@dataclass(frozen=True)
class Airflow:
    """An AIRFLOW_HOME made by the project's own tool, whose DAG works in a project."""

    home: Path
    project: Project

    def environment(self, extra: Mapping[str, str] | None = None) -> dict[str, str]:
        own = {"AIRFLOW_HOME": str(self.home), "RECO_HOME": str(self.project.root)}
        return self.project.environment({"PYTHONPATH": "src", **own, **(extra or {})})

    def prepare(self) -> str:
        """What `prepare` says."""
        command = [*TOOL, "prepare", "--home", str(self.home)]
        ran = subprocess.run(
            command, cwd=ROOT, env=self.environment(), capture_output=True, text=True, check=True
        )  # fmt: skip
        return ran.stdout

    @property
    def password(self) -> str:
        found: str = json.loads((self.home / "passwords.json").read_text("utf-8"))["admin"]
        return found

    def test(self, *words: str, conf: Mapping[str, Any] | None = None, env: Mapping[str, str] | None = None) -> Outcome:
        """Runs `airflow dags test`, of reco_pipeline unless the words say otherwise."""
        command = [str(AIRFLOW), "dags", "test", *(words or ("reco_pipeline",)), "--conf", json.dumps(conf or {})]
        ran = subprocess.run(
            command, cwd=self.home, env=self.environment(env), capture_output=True, text=True, check=False
        )
        with closing(sqlite3.connect(self.home / "airflow.db")) as database:
            (run,) = database.execute("SELECT run_id FROM dag_run ORDER BY id DESC LIMIT 1").fetchone()
            states = database.execute("SELECT task_id, state FROM task_instance WHERE run_id = ?", [run]).fetchall()
            pushed = database.execute("SELECT task_id, value FROM xcom WHERE run_id = ?", [run]).fetchall()
        findings = {task: json.loads(value) for task, value in pushed}
        return Outcome(ran.returncode, ran.stdout + ran.stderr, dict(states), findings)

    @contextmanager
    def serving(self, **env: str) -> Iterator[Server]:
        """The server of `make airflow` on a free port, stopped as by Ctrl-C."""
        port = free_port()
        command = [*TOOL, "serve", "--home", str(self.home), "--port", str(port)]
        process = subprocess.Popen(
            command, cwd=ROOT, env=self.environment(env), stdout=subprocess.PIPE, text=True, start_new_session=True
        )
        try:
            yield Server(f"http://127.0.0.1:{port}", process, until_ready(process))
        finally:
            process.send_signal(signal.SIGINT)
            process.wait()


def until_ready(process: subprocess.Popen[str]) -> list[str]:
    """What a starting server says until it is there."""
    said: list[str] = []
    for line in process.stdout or ():
        said.append(line)
        if line.startswith("Airflow is at"):
            return said
    raise AssertionError("".join(said))


@dataclass
class Server:
    """A running Airflow."""

    address: str
    process: subprocess.Popen[str]
    said: list[str]
    token: str = field(default="", repr=False)

    def ask(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> tuple[int, Any]:
        """Status and JSON of an answer."""
        request = urllib.request.Request(  # noqa: S310  # our own server
            self.address + path,
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json", "Authorization": f"Bearer {self.token}"},
        )
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310  # the same
                return answer.status, json.load(answer)
        except HTTPError as error:
            return error.code, json.load(error)

    def get(self, path: str) -> Any:
        status, answer = self.ask("GET", path)
        assert status == 200, answer
        return answer

    def log_in(self, password: str) -> None:
        _, answer = self.ask("POST", "/auth/token", {"username": "admin", "password": password})
        self.token = answer["access_token"]

    def trigger(self, **conf: Any) -> str:
        """The path of a new run."""
        status, answer = self.ask("POST", f"{DAG}/dagRuns", {"logical_date": None, "conf": conf})
        assert status == 200, answer
        return f"{DAG}/dagRuns/{quote(answer['dag_run_id'])}"

    def tasks(self, run: str) -> dict[str, dict[str, Any]]:
        """The state of each task of a run, by its name."""
        return {task["task_id"]: task for task in self.get(f"{run}/taskInstances")["task_instances"]}

    def succeeds(self, run: str) -> None:
        """Waits for the end of a run, which must be a success."""
        state = wait_for(lambda: state if (state := self.get(run)["state"]) in ("success", "failed") else None)
        assert state == "success", self.logs(run)

    def logs(self, run: str) -> str:
        """What the failed tasks of a run said."""
        failed = [task for task in self.tasks(run).values() if task["state"] == "failed"]
        pages = [f"{run}/taskInstances/{task['task_id']}/logs/{task['try_number']}" for task in failed]
        return "\n".join(str(line.get("event", line)) for page in pages for line in self.get(page)["content"])


def wait_for(what: Any) -> Any:
    """Waits until a function gives something true, and gives it."""
    end = time.monotonic() + PATIENCE
    while not (found := what()):
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(BETWEEN_LOOKS)
    return found
