"""What became of a run, for programs: one JSON file beside its journal, written when it begins and when it ends."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, Field

from reco_platform.config import commands
from reco_platform.core import os_limits, project
from reco_platform.engine import journal
from reco_platform.engine.journal import Event
from reco_platform.engine.log_tail import last_words
from reco_platform.store.atomic_write import write_text

SUFFIX = ".summary.json"
UP_TO_DATE, NOT_RUN = "up to date", "not run"
Outcome = Literal["under way", "succeeded", "failed", "no step ran"]


class StepSummary(BaseModel):
    """One step of the run; a step with several results, such as the trials of a sweep, is counted in one."""

    step: str
    outcome: str = Field(description="worked, restored, failed; up to date; not run, in a run that failed before it")
    attempts: dict[str, int] = Field(description="How many attempts ended in which way")
    seconds: float = Field(description="Of all attempts")
    why: list[str] = Field(description="Why it was asked to run, or why it failed")
    peak_memory_mb: int | None = Field(description="The most that an attempt took; see the journal")


class Failure(BaseModel):
    """One attempt that failed."""

    step: str
    artifact: str
    why: list[str]
    log: str = Field(description="Path of its log")
    last_line: str = Field(description="The last line of the log that means something")
    hint: str = Field(description="What the log says to do next; may be empty")


class Summary(BaseModel):
    """A run: what was asked, when, and what became of each step."""

    run: str = Field(description="The run, which is also the name of its files")
    outcome: Outcome = Field(description="under way: also of a run that was killed; no step ran: nothing was stale")
    exit: int | None = Field(default=None, description="Snakemake's exit code, where a step ran to say it")
    started: str = Field(description="ISO 8601, UTC")
    ended: str | None = Field(default=None, description="The same")
    seconds: float | None = None
    target: str = Field(description="bronze_files, silver, gold or sweep")
    command: str = Field(description="The command line, without secrets")
    lakehouse: str
    dataset: str
    steps: list[StepSummary] = []
    failures: list[Failure] = []


def path_of(run: Path) -> Path:
    """The summary's path from the journal's."""
    return run.with_suffix(SUFFIX)


def command(argv: Sequence[str]) -> str:
    """The command that was typed, to be pasted; without secrets."""
    return commands.typed(argv)


def write(run: Path, summary: Summary) -> None:
    write_text(path_of(run), summary.model_dump_json(indent=1) + "\n")


def read(run: Path) -> Summary:
    return Summary.model_validate_json(path_of(run).read_text(encoding="utf-8"))


def finish(run: Path, outcome: Outcome, steps: Sequence[str]) -> Summary:
    """Completes the summary that the run began with.

    Args:
        run: the journal.
        outcome: of the whole run.
        steps: the target's, in their order.
    """
    ends = list(journal.endings(journal.read(run)))
    last = {(end.step, end.artifact): end for end in ends}  # a log tells of the last attempt alone
    begun, ended = read(run), journal.clock()
    took = datetime.fromisoformat(ended) - datetime.fromisoformat(begun.started).astimezone(UTC)
    otherwise = UP_TO_DATE if outcome == "succeeded" else NOT_RUN
    whole = begun.model_copy(
        update={
            "outcome": outcome,
            "exit": {"succeeded": 0, "failed": 1}.get(outcome),
            "ended": ended,
            "seconds": round(took.total_seconds(), 2),
            "steps": [of_step(step, [end for end in ends if end.step == step], otherwise) for step in steps],
            "failures": [failure(run, end) for end in last.values() if end.event == "failed"],
        }
    )
    write(run, whole)
    return whole


def of_step(step: str, ends: Sequence[Event], otherwise: str) -> StepSummary:
    counts = Counter(str(end.event) for end in ends)
    last = {end.artifact: end.event for end in ends}.values()
    outcome = next((name for name in ("failed", "worked", "restored") if name in last), otherwise)
    why = list(dict.fromkeys(reason for end in ends for reason in end.why))
    seconds = round(sum(end.seconds or 0 for end in ends), 2)
    peak = max((end.peak_memory_mb for end in ends if end.peak_memory_mb is not None), default=None)
    return StepSummary(step=step, outcome=outcome, attempts=dict(counts), seconds=seconds, why=why, peak_memory_mb=peak)


def step_line(one: StepSummary) -> str:
    """One step's line for people: of a step that ran several times, how often with which outcome."""
    if not one.attempts:
        return f"  {one.step:<15} {one.outcome}"
    several = ", ".join(f"{n} {name}" for name, n in one.attempts.items())
    said = several if sum(one.attempts.values()) > 1 else one.outcome
    return f"  {one.step:<15} {said:<10} {one.seconds:>6.1f} s  {'; '.join(one.why)}"


def failure(run: Path, end: Event) -> Failure:
    log = run.parents[1] / end.log
    said, hint = last_words(log)
    if not hint:
        killed = end.why in ([journal.NO_EXIT_EVENT], [os_limits.JAVA_ENDED[0]])
        _, hint = os_limits.library_message(said) or ("", os_limits.KILLED_HINT if killed else "")
    return Failure(step=end.step, artifact=end.artifact, why=end.why, log=project.shown(log), last_line=said, hint=hint)


def failure_lines(summary: Summary, most: int = 5) -> list[str]:
    """What failed and why, and the next command, for people."""
    if not summary.failures:
        lines = ["No step failed: what Snakemake says above stopped the run."]
    else:
        lines = [line for one in summary.failures[:most] for line in lines_of(one)]
    more = len(summary.failures) - most
    lines += [f"  and {more} more, in the summary of the run"] if more > 0 else []
    return [*lines, f"Then run again   {summary.command}"]


def lines_of(one: Failure) -> list[str]:
    said = one.last_line or "; ".join(one.why)
    labelled = {"log": one.log, "it says": said, "next": one.hint}
    lines = [f"  {label:<8} {text}" for label, text in labelled.items() if text]
    return [f"Failed: {one.step}, which makes {one.artifact}", *lines]
