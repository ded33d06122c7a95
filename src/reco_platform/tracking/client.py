"""Log to MLflow from a separate process with a deadline: a store that is down, slow or broken never fails a run.

The store is the one that `MLFLOW_TRACKING_URI` names, or a SQLite file in results/. Secrets are passed only in the
environment.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Collection, Mapping
from multiprocessing import Pipe
from pathlib import Path
from typing import Any

from reco_platform.core import project
from reco_platform.core.redaction import redact_uri, split_credentials, uri_secrets
from reco_platform.tracking import mlflow_worker

URI_VARIABLE = "MLFLOW_TRACKING_URI"
FOLDER = Path("results/mlflow")
DATABASE = FOLDER / "mlflow.db"

CREDENTIALS = ("MLFLOW_TRACKING_PASSWORD", "MLFLOW_TRACKING_TOKEN", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
"""Environment variables with secrets for MLflow and its artifact stores."""

START_SECONDS = 60.0  # for importing mlflow, which connects to nothing
SERVER_SECONDS = 8.0  # with the import a step stays within 15 seconds
FILE_SECONDS = 60.0  # for a local SQLite file, whose tables may have to be created first
BYTES_PER_SECOND = 1 << 20  # a slower upload counts as failed
FILE_BYTES = 1 << 17  # added for each file, for the time of its request

MLFLOW_DEFAULTS = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "0",
    "MLFLOW_HTTP_REQUEST_BACKOFF_JITTER": "0",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "3",
}
"""Used where the environment does not set these variables: MLflow's own defaults wait 20 minutes for each request."""

QUIET = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_RECORD_ENV_VARS_IN_MODEL_LOGGING": "false",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "GIT_PYTHON_REFRESH": "quiet",
}


class TrackingError(Exception):
    """The store did not execute a command.

    Args:
        reason: without hosts, times and numbers, so that it can be part of a receipt.
        detail: the original message, without secrets.
    """

    def __init__(self, reason: str, detail: str = "") -> None:
        self.reason = reason
        self.detail = detail
        super().__init__(reason)


def log_or_warn(log: Callable[[], None], warn: Callable[[str], None]) -> dict[str, Any]:
    """Logs to the store, or prints a warning; returns the facts for the receipt.

    Args:
        log: logs, and may raise TrackingError.
        warn: called with the warning if it does.
    """
    try:
        log()
    except TrackingError as error:
        warn(warning(error))
        return {"tracked": False, "reason": error.reason}
    return {"tracked": True}


def tracking_uri(environ: Mapping[str, str] = os.environ) -> str:
    """The store's address, with secrets."""
    return environ.get(URI_VARIABLE) or database_uri(DATABASE.resolve())


def database_uri(database: Path) -> str:
    """The address of a SQLite file; relative to the working directory where its folder would end the path.

    SQLAlchemy takes what stands behind `?` for options, and has no way to escape it.
    """
    if "?" in str(database) and database.is_relative_to(Path.cwd()):
        database = database.relative_to(Path.cwd())
    return f"sqlite:///{database}"


def artifact_folder(uri: str) -> str | None:
    """The folder for artifacts of a database; None for a server, which has its own."""
    if uri.startswith("http"):
        return None
    database = Path(uri.partition(":///")[2].partition("?")[0]) if uri.startswith("sqlite") else DATABASE
    return str((database.parent / "artifacts").resolve())


def warning(error: TrackingError, environ: Mapping[str, str] = os.environ) -> str:
    """The warning for the user: what failed and where, and that nothing is lost."""
    detail = f"\n     {error.detail}" if error.detail else ""
    return (
        f"[WARNING] not logged to MLflow at {redact_uri(tracking_uri(environ))}: {error.reason}{detail}\n"
        "  -> the results are complete, and the next run logs them; tracking=false switches logging off"
    )


def upload_bytes(files: Collection[Path]) -> int:
    """The bytes by which the upload of some files extends the deadline."""
    return sum(path.stat().st_size + FILE_BYTES for path in files)


class Session:
    """A connection to a store through a worker process: `with Session() as store: store.call("command", ...)`.

    All calls together have a deadline, which is extended by the bytes that they transfer.
    """

    def __init__(self, environ: Mapping[str, str] = os.environ) -> None:
        self.environ = dict(environ)
        self.uri = tracking_uri(environ)
        self.seconds_left = SERVER_SECONDS if not self.uri.startswith("sqlite") else FILE_SECONDS
        self.is_ready = False

    def __enter__(self) -> Session:
        ours, theirs = Pipe()
        self.output = tempfile.TemporaryFile()
        self.channel = ours
        command = [sys.executable, "-m", mlflow_worker.__name__, str(theirs.fileno()), artifact_folder(self.uri) or ""]
        self.process = subprocess.Popen(
            command, env=self._worker_environment(), pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL, stdout=self.output, stderr=self.output,
        )  # fmt: skip
        theirs.close()
        return self

    def __exit__(self, *_: object) -> None:
        self.channel.close()
        self.process.kill()
        self.process.wait()
        self.output.close()

    def call(self, command: str, *, transfer: int = 0, **arguments: Any) -> dict[str, Any]:
        """Executes one of mlflow_worker.COMMANDS and returns its result.

        Args:
            command: its name.
            transfer: bytes of files that it uploads or downloads.
            arguments: its arguments, as JSON values.

        Raises:
            TrackingError: it fails, or does not answer in time.
        """
        if not self.is_ready:
            self._receive(START_SECONDS, "MLflow does not start")
            self.is_ready = True
        self.seconds_left += transfer / BYTES_PER_SECOND
        started = time.monotonic()
        self._send({"command": command, "arguments": arguments})
        found = self._receive(self.seconds_left, "it does not answer in time")
        self.seconds_left -= time.monotonic() - started
        return found

    def _worker_environment(self) -> dict[str, str]:
        uri, credentials = split_credentials(self.uri)
        own = {URI_VARIABLE: uri, "MLFLOW_REGISTRY_URI": uri, "PYTHONPATH": project.python_path()}
        return {**MLFLOW_DEFAULTS, **self.environ, **QUIET, **credentials, **own}

    def _send(self, message: dict[str, Any]) -> None:
        try:
            self.channel.send_bytes(json.dumps(message).encode())
        except OSError as error:
            raise self._error("its client process ended", self._worker_output()) from error

    def _receive(self, seconds: float, timeout_reason: str) -> dict[str, Any]:
        """The worker's next message. Raises TrackingError if there is none within `seconds`, or if it is an error."""
        try:
            if not self.channel.poll(max(seconds, 0)):
                raise self._error(timeout_reason)
            found: dict[str, Any] = json.loads(self.channel.recv_bytes())
        except (EOFError, OSError) as error:
            raise self._error("its client process ended", self._worker_output()) from error
        if "problem" in found:
            raise self._error(found["problem"], found["detail"])
        return found

    def _error(self, reason: str, detail: str = "") -> TrackingError:
        """A TrackingError whose detail contains no secrets."""
        passwords = [self.environ.get(name, "") for name in CREDENTIALS]
        for secret in [*filter(None, passwords), *uri_secrets(self.uri)]:
            detail = detail.replace(secret, "***")
        return TrackingError(reason, " ".join(detail.split())[:400])

    def _worker_output(self) -> str:
        self.output.seek(0)
        return self.output.read().decode("utf-8", "replace")[-400:]
