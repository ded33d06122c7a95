"""What each step of a run did, one JSON line each, and the table that a person sees at the end."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

VARIABLE = "RECO_RUN_JOURNAL"


def record(step: str, outcome: str, why: list[str], seconds: float, environ: Mapping[str, str] = os.environ) -> None:
    """Adds a line to the run's journal, if this process is part of a run.

    Args:
        step: name of the step.
        outcome: worked, restored or failed.
        why: what differed, in words.
        seconds: how long it took.
        environ: holds the journal's path.
    """
    path = environ.get(VARIABLE)
    if not path:
        return
    line = json.dumps({"step": step, "outcome": outcome, "why": why, "seconds": round(seconds, 2)}, ensure_ascii=False)
    with Path(path).open("a", encoding="utf-8") as file:
        file.write(line + "\n")


def start(folder: Path, keep: int = 20) -> Path:
    """A new, empty journal in a folder; all but the newest `keep` are removed."""
    folder.mkdir(parents=True, exist_ok=True)
    for old in sorted(folder.glob("*.jsonl"), reverse=True)[keep - 1 :]:
        old.unlink(missing_ok=True)
    path = folder / f"{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}-{os.getpid()}.jsonl"
    path.touch()
    return path


def read(path: Path) -> list[dict[str, Any]]:
    """The events of a journal; a last line that a killed process left unfinished is no event."""
    text = path.read_text(encoding="utf-8") if path.is_file() else ""
    return [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n")]


def table(events: list[dict[str, Any]], steps: list[str]) -> str:
    """One line a step: worked, restored, failed or up to date, how long, and why."""
    latest = {event["step"]: event for event in events}
    rows = []
    for step in steps:
        event = latest.get(step)
        if event is None:
            rows.append(f"  {step:<15} up to date")
        else:
            rows.append(f"  {step:<15} {event['outcome']:<10} {event['seconds']:>6.1f} s  {'; '.join(event['why'])}")
    return "\n".join(rows)
