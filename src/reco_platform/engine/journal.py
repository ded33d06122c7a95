"""The journal of a run: a file with one JSON line per event."""

from __future__ import annotations

import fcntl
import os
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from reco_platform.lakehouse import layout

VARIABLE = "RECO_RUN_JOURNAL"
END_EVENTS = ("worked", "restored", "failed")
NO_EXIT_EVENT = "exited without reporting a status: killed or crashed"

Kind = Literal["started", "progress", "worked", "restored", "failed"]


class Event(BaseModel):
    """One line of a run's journal. Each attempt at a step has one `started` event and, unless killed, one end event."""

    model_config = ConfigDict(frozen=True)

    time: str = Field(description="When the event was written: ISO 8601, UTC, with milliseconds")
    run: str = Field(description="The run: its start (UTC) and Snakemake's process id; also the base name of its files")
    step: str = Field(description="Name of the step and of its rule")
    artifact: str = Field(description="The step's result, as a path in the lakehouse")
    event: Kind = Field(description="What happened; worked, restored and failed end an attempt")
    attempt: str | None = Field(default=None, description="At a start and an end: the attempt's OpenLineage run id")
    log: str = Field(description="Path of the step's log, relative to the folder that contains _runs")
    seconds: float | None = Field(
        default=None, description="At an end: duration of the attempt, including the start of Java"
    )
    why: list[str] = Field(default=[], description="At an end: why the step ran, or why it failed")
    text: str | None = Field(default=None, description="For progress: the message")
    peak_memory_mb: int | None = Field(
        default=None,
        description="At an end: peak memory of the Python process or of a child process; Spark's Java is not included",
    )


def current(environ: Mapping[str, str] = os.environ) -> Path | None:
    """Path of the journal of the current run; None outside a run."""
    path = environ.get(VARIABLE)
    return Path(path) if path else None


def record(kind: Kind, step: str, artifact: str, environ: Mapping[str, str] = os.environ, **details: Any) -> None:
    """Adds an event to the run's journal, if this process is part of a run.

    Args:
        kind: what happened.
        step: name of the step.
        artifact: the artifact that the step makes.
        environ: environment variables, with the journal's path.
        details: further fields of the event.
    """
    path = current(environ)
    if path is None:
        return
    event = Event(
        time=utc_now(),
        run=path.stem,
        step=step,
        artifact=artifact,
        event=kind,
        log=layout.log(step, artifact),
        **details,
    )
    append(path, event.model_dump_json(exclude_defaults=True))


def utc_now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def append(path: Path, line: str) -> None:
    """Appends a line to a file under an exclusive lock, so that parallel or killed jobs never corrupt other lines.

    The lock covers the check for an incomplete last line as well as the write. If the file cannot be written, this
    prints a warning: a missing event must not fail a step that has done its work.
    """
    try:
        with path.open("a+b", buffering=0) as file:
            fcntl.flock(file, fcntl.LOCK_EX)  # released when the file is closed
            size = file.seek(0, os.SEEK_END)
            is_incomplete = size > 0 and os.pread(file.fileno(), 1, size - 1) != b"\n"
            file.write(b"\n" * is_incomplete + line.encode() + b"\n")
    except OSError as error:
        print(f"[WARNING] {path} lacks an event: {error.strerror}", file=sys.stderr, flush=True)


def start(folder: Path, keep: int = 20) -> Path:
    """Creates an empty journal in a folder, and removes all files of runs older than the newest `keep`."""
    folder.mkdir(parents=True, exist_ok=True)
    runs = sorted({run_of(path) for path in folder.glob("[0-9]*.jsonl")}, reverse=True)
    for old in [path for path in folder.iterdir() if run_of(path) in runs[keep - 1 :]]:
        old.unlink(missing_ok=True)
    path = folder / f"{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}-{os.getpid()}.jsonl"
    path.touch()
    return path


def run_of(path: Path) -> str:
    """Name of the run that a file in the runs folder belongs to."""
    return path.name.partition(".")[0]


def read(path: Path) -> list[Event]:
    """The events of a journal; incomplete lines of killed processes are skipped."""
    text = path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""
    return [event for line in text.split("\n") if (event := parse_event(line))]


def parse_event(line: str) -> Event | None:
    try:
        return Event.model_validate_json(line)
    except ValidationError:
        return None


def attempt_ends(events: Iterable[Event]) -> Iterator[Event]:
    """The end event of each attempt, after the run is over; an attempt without one counts as failed."""
    begun: dict[tuple[str, str], Event] = {}
    for event in events:
        key = event.step, event.artifact
        if event.event == "started":
            if key in begun:
                yield without_exit_event(begun[key])
            begun[key] = event
        elif event.event in END_EVENTS:
            begun.pop(key, None)
            yield event
    yield from map(without_exit_event, begun.values())


def without_exit_event(started: Event) -> Event:
    return started.model_copy(update={"event": "failed", "why": [NO_EXIT_EVENT]})
