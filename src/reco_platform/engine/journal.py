"""What happens in a run: one JSON line an event, in a file of the run."""

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
ENDS = ("worked", "restored", "failed")
NO_EXIT_EVENT = "it ended without a word: killed, or crashed"

Kind = Literal["started", "progress", "worked", "restored", "failed"]


class Event(BaseModel):
    """One line of a run's journal. Every attempt at a step has a `started`, and one of the others as its end."""

    model_config = ConfigDict(frozen=True)

    time: str = Field(description="When it was written: ISO 8601, UTC, with milliseconds")
    run: str = Field(description="The run: its start (UTC) and the process id of Snakemake; also the files' name")
    step: str = Field(description="Name of the step, which is also its rule's")
    artifact: str = Field(description="What the step makes, as a path in the lakehouse")
    event: Kind = Field(description="What happened; worked, restored and failed end an attempt")
    attempt: str | None = Field(default=None, description="At a start and an end: the attempt's run id in the lineage")
    log: str = Field(description="The step's log, below the folder that holds _runs")
    seconds: float | None = Field(default=None, description="At an end: since the attempt began, Java's start included")
    why: list[str] = Field(default=[], description="At an end: why the step was asked to run, or why it failed")
    text: str | None = Field(default=None, description="Of progress: what the step said")
    peak_memory_mb: int | None = Field(
        default=None,
        description="At an end: most memory of the Python process or of one that it started; not of Spark's Java",
    )


def current(environ: Mapping[str, str] = os.environ) -> Path | None:
    """The journal of the run that this process is part of."""
    path = environ.get(VARIABLE)
    return Path(path) if path else None


def record(kind: Kind, step: str, artifact: str, environ: Mapping[str, str] = os.environ, **details: Any) -> None:
    """Adds an event to the run's journal, if this process is part of a run.

    Args:
        kind: what happened.
        step: name of the step.
        artifact: what it makes.
        environ: holds the journal's path.
        details: more of an event's fields.
    """
    path = current(environ)
    if path is None:
        return
    event = Event(
        time=clock(), run=path.stem, step=step, artifact=artifact, event=kind, log=layout.log(step, artifact), **details
    )
    append(path, event.model_dump_json(exclude_defaults=True))


def clock() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def append(path: Path, line: str) -> None:
    """Adds a line to a file, one job at a time, so that jobs side by side and killed ones leave others' lines whole.

    What is looked at and what is written go together: while another job writes, the file ends in the middle of a line.

    A step that has done its work does not fail because this cannot be written: that is said, and no more.
    """
    try:
        with path.open("a+b", buffering=0) as file:
            fcntl.flock(file, fcntl.LOCK_EX)  # until the file is closed, however that comes about
            size = file.seek(0, os.SEEK_END)
            torn = size > 0 and os.pread(file.fileno(), 1, size - 1) != b"\n"
            file.write(b"\n" * torn + line.encode() + b"\n")
    except OSError as error:
        print(f"[WARNING] {path} lacks an event: {error.strerror}", file=sys.stderr, flush=True)


def start(folder: Path, keep: int = 20) -> Path:
    """A new, empty journal in a folder; of all runs but the newest `keep` every file is removed."""
    folder.mkdir(parents=True, exist_ok=True)
    runs = sorted({run_of(path) for path in folder.glob("[0-9]*.jsonl")}, reverse=True)
    for old in [path for path in folder.iterdir() if run_of(path) in runs[keep - 1 :]]:
        old.unlink(missing_ok=True)
    path = folder / f"{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}-{os.getpid()}.jsonl"
    path.touch()
    return path


def run_of(path: Path) -> str:
    """The run that a file in the folder of the runs belongs to."""
    return path.name.partition(".")[0]


def read(path: Path) -> list[Event]:
    """The events of a journal; a line that a killed process left unfinished is no event."""
    text = path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""
    return [event for line in text.split("\n") if (event := parsed(line))]


def parsed(line: str) -> Event | None:
    try:
        return Event.model_validate_json(line)
    except ValidationError:
        return None


def endings(events: Iterable[Event]) -> Iterator[Event]:
    """How each attempt at a step ended, once the run is over; one that said nothing of its end has failed."""
    begun: dict[tuple[str, str], Event] = {}
    for event in events:
        key = event.step, event.artifact
        if event.event == "started":
            if key in begun:
                yield unsaid(begun[key])
            begun[key] = event
        elif event.event in ENDS:
            begun.pop(key, None)
            yield event
    yield from map(unsaid, begun.values())


def unsaid(started: Event) -> Event:
    return started.model_copy(update={"event": "failed", "why": [NO_EXIT_EVENT]})
