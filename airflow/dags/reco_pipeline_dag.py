"""The pipeline on a schedule: silver, its validation, gold, its validation.

Airflow has an environment of its own, which cannot import reco_platform. Each task starts a program of the project's
`.venv`; as on the command line, Snakemake decides what is out of date. docs/airflow.md is the manual.
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

TOP_KEYS = (
    "dataset", "dataset_path", "lakehouse", "storage_format",
    "rank", "max_iter", "reg_param", "cold_start_strategy", "biased", "bias_damping", "engine", "solver", "nonnegative",
    "seed", "num_blocks", "top_n",
)  # fmt: skip
"""Keys at the top of the form; the others are in a folded section below them."""

AIRFLOW_PREFIXES = ("AIRFLOW", "PYTHON", "VIRTUAL_ENV")
"""Prefixes of environment variables that are meant for Airflow; the project's programs do not get them."""

USAGE_ERROR = 2
"""The exit code of the project's programs for a wrong key or value; a retry would fail again."""

ERROR_STARTS, ERROR_ENDS = ("[ERROR]", "Failed: "), ("  -> ", "Then run again")
"""The first words of the first and of the last line of an error message of the project's programs."""

SCHEMA_ONLY = ("default", "description", "title", "writeOnly", "x-env")
"""Fields of the config's schema that do not restrict a value."""


def config_keys() -> dict[str, dict[str, Any]]:
    """The JSON schema of each key of the configuration.

    Raises:
        FileNotFoundError: RECO_HOME is not the project's folder.
    """
    schema = HOME / "config" / "config.schema.json"
    if not schema.is_file():
        raise FileNotFoundError(f"{HOME} is not the project's folder: it has no {schema.name}. Set RECO_HOME to it.")
    keys: dict[str, dict[str, Any]] = json.loads(schema.read_text(encoding="utf-8"))["properties"]
    return keys


KEYS = config_keys()
SECRET_VARIABLES = {name: key["x-env"] for name, key in KEYS.items() if key.get("writeOnly")}
"""The environment variable of each key that may contain secrets: others could see them on a command line."""


def params() -> dict[str, Param]:
    """A parameter for each key of the configuration, checked by the key's own schema.

    The default is null: then the environment and config.yaml decide.
    """
    ordered = sorted(KEYS, key=lambda key: TOP_KEYS.index(key) if key in TOP_KEYS else len(TOP_KEYS))
    return {key: param(KEYS[key], None if key in TOP_KEYS else "All other keys") for key in ordered}


def param(schema: dict[str, Any], section: str | None) -> Param:
    """The parameter of one key, which may also be null."""
    (allowed,) = (option for option in schema.get("anyOf", [schema]) if option["type"] != "null")
    allowed = {name: value for name, value in allowed.items() if name not in SCHEMA_ONLY}
    allowed["type"] = ["null", allowed["type"]]
    if "enum" in allowed:
        allowed["enum"] = [None, *allowed["enum"]]
    return Param(None, description=schema["description"], section=section, **allowed)


def config_arguments(values: dict[str, Any]) -> list[str]:
    """The parameters that are set, except secret ones, as arguments of `--config`."""
    public = {key: value for key, value in values.items() if value is not None and key not in SECRET_VARIABLES}
    return ["--config", *(f"{key}={as_text(value)}" for key, value in public.items())] if public else []


def secret_environment(values: dict[str, Any]) -> dict[str, str]:
    """The secret parameters that are set, as environment variables."""
    return {name: as_text(values[key]) for key, name in SECRET_VARIABLES.items() if values.get(key) is not None}


def as_text(value: Any) -> str:
    """A value as `--config` and environment variables take it."""
    if isinstance(value, list):
        return ",".join(map(str, value))
    return value if isinstance(value, str) else json.dumps(value)


def error_message(lines: list[str]) -> str:
    """The last error message in a program's output, with its hint; otherwise the last lines."""
    starts = [number for number, line in enumerate(lines) if line.startswith(ERROR_STARTS)]
    if not starts:
        return "\n".join(lines[-3:])
    message = lines[starts[-1] :]
    ends = [number for number, line in enumerate(message) if line.startswith(ERROR_ENDS)]
    return "\n".join(message[: ends[0] + 1] if ends else message[:1])


class ProjectTask(BaseOperator):
    """Runs a program of the project with the run's parameters, and copies each line of its output to the task's log.

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
        """The lines of the program and its exit code. When this task ends, the supervisor ends the program."""
        command = [".venv/bin/python", "tools/supervisor.py", *self.program, *config_arguments(context["params"])]
        secrets = secret_environment(context["params"])
        self.log.info("%s%s", "".join(f"{name}=*** " for name in secrets), shlex.join(command[2:]))
        kept = {name: value for name, value in os.environ.items() if not name.startswith(AIRFLOW_PREFIXES)}
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
        message = f"{self.program[0]} ended with exit code {code}:\n{error_message(lines)}"
        raise AirflowFailException(message) if code == USAGE_ERROR else AirflowException(message)

    def on_kill(self) -> None:
        if self.process is not None and self.process.stdin is not None:
            self.process.stdin.close()


class Verify(ProjectTask):
    """Validates a layer. The findings are the XCom `findings`; errors fail the task without a retry."""

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
    program = [".venv/bin/reco", name, "--cores", "all", "--verbose"]
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
