"""MLflow at arm's length. A process of its own talks to the store under a deadline, so that a store that is away, slow
or broken costs a warning and never a run.

The store is what `MLFLOW_TRACKING_URI` names, or a SQLite file under results/. Secrets travel by environment alone.
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

VARIABLE = "MLFLOW_TRACKING_URI"
FOLDER = Path("results/mlflow")
DATABASE = FOLDER / "mlflow.db"

CREDENTIALS = ("MLFLOW_TRACKING_PASSWORD", "MLFLOW_TRACKING_TOKEN", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
"""Variables by which MLflow and the stores of its files take secrets."""

START_SECONDS = 60.0  # to import mlflow, which asks nobody
SERVER_SECONDS = 8.0  # with the import it stays within 15
FILE_SECONDS = 60.0  # SQLite on this machine, whose tables may have to be made first
BYTES_A_SECOND = 1 << 20  # a slower upload counts as none
FILE_BYTES = 1 << 17  # what each file counts besides, for the request

SETTINGS = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "0",
    "MLFLOW_HTTP_REQUEST_BACKOFF_JITTER": "0",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "3",
}
"""Of MLflow, unless the environment has them already: its own would wait 20 minutes for each request."""

QUIET = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_RECORD_ENV_VARS_IN_MODEL_LOGGING": "false",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "GIT_PYTHON_REFRESH": "quiet",
}


class StoreProblemError(Exception):
    """The store did not do what was asked.

    Args:
        reason: without hosts, times and numbers, so that a receipt may hold it.
        detail: what exactly was said, without secrets.
    """

    def __init__(self, reason: str, detail: str = "") -> None:
        self.reason = reason
        self.detail = detail
        super().__init__(reason)


def told(log: Callable[[], None], say: Callable[[str], None]) -> dict[str, Any]:
    """What a receipt says of whether the store was told.

    Args:
        log: tells it, and may raise StoreProblemError.
        say: gets a warning where it could not be told.
    """
    try:
        log()
    except StoreProblemError as problem:
        say(warning(problem))
        return {"tracked": False, "reason": problem.reason}
    return {"tracked": True}


def address(environ: Mapping[str, str] = os.environ) -> str:
    """The store's address, secrets included."""
    return environ.get(VARIABLE) or f"sqlite:///{DATABASE.resolve()}"


def is_default(environ: Mapping[str, str] = os.environ) -> bool:
    return not environ.get(VARIABLE)


def artifacts(uri: str) -> str | None:
    """The folder for artifacts of a database without a server; a server knows its own."""
    if uri.startswith("http"):
        return None
    database = Path(uri.partition(":///")[2].partition("?")[0]) if uri.startswith("sqlite") else DATABASE
    return str((database.parent / "artifacts").resolve())


def warning(problem: StoreProblemError, environ: Mapping[str, str] = os.environ) -> str:
    """What a person should know: where, what, and that nothing is lost."""
    detail = f"\n     {problem.detail}" if problem.detail else ""
    return (
        f"[WARNING] not logged to MLflow at {redact_uri(address(environ))}: {problem.reason}{detail}\n"
        "  -> nothing else is lost, and the next run logs it; tracking=false does without"
    )


def weight(files: Collection[Path]) -> int:
    """What files count as when they are carried, in bytes."""
    return sum(path.stat().st_size + FILE_BYTES for path in files)


class Session:
    """A conversation with a store: `with Session() as store: store.ask("verb", ...)`.

    All answers together may take so many seconds, and more for what has to be carried.
    """

    def __init__(self, environ: Mapping[str, str] = os.environ) -> None:
        self.environ = dict(environ)
        self.uri = address(environ)
        self.left = SERVER_SECONDS if not self.uri.startswith("sqlite") else FILE_SECONDS
        self.ready = False

    def __enter__(self) -> Session:
        ours, theirs = Pipe()
        self.said = tempfile.TemporaryFile()
        self.channel = ours
        command = [sys.executable, "-m", mlflow_worker.__name__, str(theirs.fileno()), artifacts(self.uri) or ""]
        self.process = subprocess.Popen(
            command, env=self.child_environment(), pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL, stdout=self.said, stderr=self.said,
        )  # fmt: skip
        theirs.close()
        return self

    def __exit__(self, *_: object) -> None:
        self.channel.close()
        self.process.kill()
        self.process.wait()
        self.said.close()

    def child_environment(self) -> dict[str, str]:
        uri, credentials = split_credentials(self.uri)
        own = {VARIABLE: uri, "MLFLOW_REGISTRY_URI": uri, "PYTHONPATH": project.python_path()}
        return {**SETTINGS, **self.environ, **QUIET, **credentials, **own}

    def ask(self, verb: str, *, carry: int = 0, **request: Any) -> dict[str, Any]:
        """The answer of one of the functions in mlflow_child.VERBS.

        Args:
            verb: its name.
            carry: bytes of files that it moves.
            request: its arguments, as JSON has them.

        Raises:
            StoreProblemError: if it fails, or gives no answer in time.
        """
        if not self.ready:
            self.answer(START_SECONDS, "MLflow does not start")
            self.ready = True
        self.left += carry / BYTES_A_SECOND
        started = time.monotonic()
        self.tell({"verb": verb, "request": request})
        found = self.answer(self.left, "it gives no answer in time")
        self.left -= time.monotonic() - started
        return found

    def tell(self, message: dict[str, Any]) -> None:
        try:
            self.channel.send_bytes(json.dumps(message).encode())
        except OSError as error:
            raise self.problem("the process that talks to it ended", self.last_meaningful_line()) from error

    def answer(self, seconds: float, otherwise: str) -> dict[str, Any]:
        """The next message, awaited for at most so long."""
        try:
            if not self.channel.poll(max(seconds, 0)):
                raise self.problem(otherwise)
            found: dict[str, Any] = json.loads(self.channel.recv_bytes())
        except (EOFError, OSError) as error:
            raise self.problem("the process that talks to it ended", self.last_meaningful_line()) from error
        if "problem" in found:
            raise self.problem(found["problem"], found["detail"])
        return found

    def problem(self, reason: str, detail: str = "") -> StoreProblemError:
        given = [self.environ.get(name, "") for name in CREDENTIALS]
        for secret in [*filter(None, given), *uri_secrets(self.uri)]:
            detail = detail.replace(secret, "***")
        return StoreProblemError(reason, " ".join(detail.split())[:400])

    def last_meaningful_line(self) -> str:
        self.said.seek(0)
        return self.said.read().decode("utf-8", "replace")[-400:]
