"""What each step of a run did, one JSON line each, and the table that a person sees at the end."""

from __future__ import annotations

import json
import os
import time
from collections import Counter
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
    return "\n".join(f"  {step:<15} {row([event for event in events if event['step'] == step])}" for step in steps)


def row(events: list[dict[str, Any]]) -> str:
    """One step's line: of a step that ran several times, how often with which outcome."""
    if not events:
        return "up to date"
    outcomes = Counter(event["outcome"] for event in events)
    seconds = sum(event["seconds"] for event in events)
    why = "; ".join(dict.fromkeys(reason for event in events for reason in event["why"]))
    said = events[0]["outcome"] if len(events) == 1 else ", ".join(f"{n} {name}" for name, n in outcomes.items())
    return f"{said:<10} {seconds:>6.1f} s  {why}"
