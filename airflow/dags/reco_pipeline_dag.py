"""The pipeline day by day: silver, a check of it, gold, a check of that.

Airflow lives in an environment of its own, which cannot import reco_platform. Each task starts a program of the
project's `.venv`; what is out of date is Snakemake's business, as on the command line. docs/airflow.md is the manual.
"""

from __future__ import annotations

import json
import os
import shlex
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from airflow.sdk import DAG, BaseOperator, Param, chain
from airflow.sdk.exceptions import AirflowException, AirflowFailException

HOME = Path(os.environ.get("RECO_HOME") or Path(__file__).resolve().parents[2])
SCHEDULE = os.environ.get("RECO_SCHEDULE", "@daily")
RETRY_SECONDS = int(os.environ.get("RECO_RETRY_SECONDS", "60"))

FIRST = (
    "dataset", "dataset_path", "lakehouse", "storage_format",
    "rank", "max_iter", "reg_param", "cold_start_strategy", "biased", "bias_damping", "engine", "solver", "nonnegative",
    "seed", "num_blocks", "top_n",
)  # fmt: skip
"""Keys at the top of the form; the others are folded away below them."""

FOREIGN = ("AIRFLOW", "PYTHON", "VIRTUAL_ENV")
"""Beginnings of environment variables that are meant for Airflow and not for the project."""

WRONG_USE = 2
"""The exit code of the project's programs for a wrong key or value: trying again does not help."""

BEGINS, ENDS = ("[ERROR]", "Failed: "), ("  -> ", "Then run again")
"""How lines begin with which the project's programs start and end the story of a failure."""

HIDING = {"mlflow_tracking_uri": "MLFLOW_TRACKING_URI", "spark_conf": "RECO_SPARK_CONF"}
"""Keys whose values may hold secrets, with their environment variables: a command line anybody could see."""


def params() -> dict[str, Param]:
    """A parameter for each key of the config, checked by the config's own schema.

    Unless one is given it is null, and the environment and config.yaml decide.
    """
    schema = HOME / "config" / "config.schema.json"
    if not schema.is_file():
        raise FileNotFoundError(f"{HOME} is not the project's folder: it has no {schema.name}. Set RECO_HOME to it.")
    keys = json.loads(schema.read_text(encoding="utf-8"))["properties"]
    ordered = sorted(keys, key=lambda key: FIRST.index(key) if key in FIRST else len(FIRST))
    return {key: param(keys[key], None if key in FIRST else "All other keys") for key in ordered}


def param(schema: dict[str, Any], section: str | None) -> Param:
    """One key of the config, or null."""
    (allowed,) = (option for option in schema.get("anyOf", [schema]) if option["type"] != "null")
    allowed = {name: value for name, value in allowed.items() if name not in ("default", "description", "title")}
    allowed["type"] = ["null", allowed["type"]]
    if "enum" in allowed:
        allowed["enum"] = [None, *allowed["enum"]]
    return Param(None, description=schema["description"], section=section, **allowed)


def given(values: dict[str, Any]) -> list[str]:
    """The parameters that are set and may be seen, as `--config` takes them."""
    pairs = [f"{key}={worded(value)}" for key, value in values.items() if value is not None and key not in HIDING]
    return ["--config", *pairs] if pairs else []


def hidden(values: dict[str, Any]) -> dict[str, str]:
    """The others, as environment variables."""
    return {name: worded(values[key]) for key, name in HIDING.items() if values.get(key) is not None}


def worded(value: Any) -> str:
    if isinstance(value, list):
        return ",".join(map(str, value))
    return value if isinstance(value, str) else json.dumps(value)


def failure(lines: list[str]) -> str:
    """What a program says of its failure, up to the next thing to do; otherwise its last words."""
    begins = [number for number, line in enumerate(lines) if line.startswith(BEGINS)]
    if not begins:
        return "\n".join(lines[-3:])
    said = lines[begins[-1] :]
    ends = [number for number, line in enumerate(said) if line.startswith(ENDS)]
    return "\n".join(said[: ends[0] + 1] if ends else said[:1])


class ProjectTask(BaseOperator):
    """Runs a program of the project with the run's parameters; every line it says goes to the task's log at once.

    Args:
        program: a path below the project's folder, and arguments.
    """

    def __init__(self, *, program: list[str], **options: Any) -> None:
        super().__init__(**options)
        self.program = program
        self.process: subprocess.Popen[str] | None = None

    def execute(self, context: Any) -> None:
        lines, code = self.run_program(context)
        if code:
            self.fail(lines, code)

    def run_program(self, context: Any) -> tuple[list[str], int]:
        """The program's output and its exit code. The supervisor ends the program when this task ends, in any way."""
        command = [".venv/bin/python", "tools/supervisor.py", *self.program, *given(context["params"])]
        secrets = hidden(context["params"])
        self.log.info("%s%s", "".join(f"{name}=*** " for name in secrets), shlex.join(command[2:]))
        kept = {name: value for name, value in os.environ.items() if not name.startswith(FOREIGN)}
        lines = []
        with subprocess.Popen(
            command, cwd=HOME, env={**kept, "PYTHONPATH": str(HOME / "src"), **secrets}, start_new_session=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
        ) as self.process:  # fmt: skip
            for line in self.process.stdout or ():
                lines.append(line.rstrip("\n"))
                self.log.info("%s", lines[-1])
        return lines, self.process.returncode

    def fail(self, lines: list[str], code: int) -> None:
        message = f"{self.program[0]} ended with exit code {code}:\n{failure(lines)}"
        raise AirflowFailException(message) if code == WRONG_USE else AirflowException(message)

    def on_kill(self) -> None:
        if self.process is not None and self.process.stdin is not None:
            self.process.stdin.close()


class Verify(ProjectTask):
    """Checks a layer. What is found is the XCom `findings`; errors fail the task, and it is not tried again."""

    def execute(self, context: Any) -> None:
        lines, code = self.run_program(context)
        if "{" not in lines:
            self.fail(lines, code)
        text = "\n".join(lines[lines.index("{") :])
        found, _ = json.JSONDecoder().raw_decode(text)
        context["ti"].xcom_push(key="findings", value=found)
        if not found["passed"]:
            raise AirflowFailException("validation failed:\n" + "\n".join(found["errors"]))


def target(task_id: str, name: str, hours: int) -> ProjectTask:
    program = [".venv/bin/reco", name, "--cores", "all"]
    return ProjectTask(task_id=task_id, program=program, execution_timeout=timedelta(hours=hours))


def verify(task_id: str, layer: str) -> Verify:
    program = [".venv/bin/reco", "validate", "--layer", layer, "--json"]
    return Verify(task_id=task_id, program=program, execution_timeout=timedelta(hours=1))


with DAG(
    "reco_pipeline",
    description="MovieLens CSV to checked tables, an ALS model, top-N lists, metrics and a report",
    doc_md=__doc__,
    schedule=SCHEDULE if SCHEDULE not in ("", "none") else None,
    start_date=datetime(2025, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,
    params=params(),
    default_args={
        "retries": 2,
        "retry_delay": timedelta(seconds=RETRY_SECONDS),
        "retry_exponential_backoff": 2.0,
        "max_retry_delay": timedelta(minutes=30),
    },
    tags=["reco-platform"],
):
    chain(
        target("run_etl_bronze_to_silver", "silver", hours=3),
        verify("verify_silver_output", "silver"),
        target("run_train_als_generate_recos", "gold", hours=12),
        verify("verify_gold_output", "gold"),
    )
