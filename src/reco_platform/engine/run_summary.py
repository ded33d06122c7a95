"""The summary of a run: a JSON file beside its journal for other programs, and the text about what failed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, Field

from reco_platform.config import commands
from reco_platform.core import os_limits, project
from reco_platform.engine import journal
from reco_platform.engine.journal import Event
from reco_platform.engine.log_tail import ERROR_LINE, last_meaningful_line
from reco_platform.lakehouse import layout
from reco_platform.store.atomic_write import write_text

SUFFIX = ".summary.json"
UP_TO_DATE, NOT_RUN = "up to date", "not run"
Outcome = Literal["under way", "succeeded", "failed", "no step ran"]


class StepSummary(BaseModel):
    """One step of the run; a step with several results, such as the trials of a sweep, has one entry."""

    step: str
    outcome: str = Field(description="worked, restored or failed; up to date; or not run, if the run failed earlier")
    attempts: dict[str, int] = Field(description="Number of attempts by outcome")
    seconds: float = Field(description="Duration of all attempts")
    why: list[str] = Field(description="Why it ran, or why it failed")
    peak_memory_mb: int | None = Field(description="Largest peak memory of an attempt; see the journal")


class Failure(BaseModel):
    """One attempt that failed."""

    step: str
    artifact: str
    why: list[str]
    log: str = Field(description="Path of its log")
    last_line: str = Field(description="The last meaningful line of the log")
    hint: str = Field(description="What to do next; may be empty")


class Summary(BaseModel):
    """A run: its command, times, and the outcome of each step."""

    run: str = Field(description="The run; also the base name of its files")
    outcome: Outcome = Field(description="under way: also if the run was killed; no step ran: nothing was stale")
    exit: int | None = Field(default=None, description="Snakemake's exit code, if a step ran")
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
    """Path of the summary that belongs to a journal."""
    return run.with_suffix(SUFFIX)


def command_text(argv: Sequence[str]) -> str:
    """The command as typed, ready to paste; without secrets."""
    return commands.typed_command(argv)


def write(run: Path, summary: Summary) -> None:
    write_text(path_of(run), summary.model_dump_json(indent=1) + "\n")


def read(run: Path) -> Summary:
    return Summary.model_validate_json(path_of(run).read_text(encoding="utf-8"))


def finish(run: Path, outcome: Outcome, steps: Sequence[str], up_to_date: Collection[str] = ()) -> Summary:
    """Completes the summary that was written at the start of the run.

    Args:
        run: path of the journal.
        outcome: of the whole run.
        steps: names of the target's steps, in order.
        up_to_date: those of a failed run that did not have to run.
    """
    ends = list(journal.attempt_ends(journal.read(run)))
    last = {(end.step, end.artifact): end for end in ends}  # the log covers the last attempt only
    started, ended = read(run), journal.utc_now()
    duration = datetime.fromisoformat(ended) - datetime.fromisoformat(started.started).astimezone(UTC)

    failures = [describe_failure(run, end) for end in last.values() if end.event == "failed"]
    if outcome == "failed" and not failures:
        began = datetime.fromisoformat(started.started).timestamp()
        failures = failures_before_start(run, set(steps) - {end.step for end in ends}, began)

    def default_outcome(step: str) -> str:
        return UP_TO_DATE if outcome == "succeeded" or step in up_to_date else NOT_RUN

    summary = started.model_copy(
        update={
            "outcome": outcome,
            "exit": {"succeeded": 0, "failed": 1}.get(outcome),
            "ended": ended,
            "seconds": round(duration.total_seconds(), 2),
            "steps": [
                step_summary(step, [end for end in ends if end.step == step], default_outcome(step)) for step in steps
            ],
            "failures": failures,
        }
    )
    write(run, summary)
    return summary


def step_summary(step: str, ends: Sequence[Event], default_outcome: str) -> StepSummary:
    counts = Counter(str(end.event) for end in ends)
    last = {end.artifact: end.event for end in ends}.values()
    outcome = next((name for name in ("failed", "worked", "restored") if name in last), default_outcome)
    why = list(dict.fromkeys(reason for end in ends for reason in end.why))
    seconds = round(sum(end.seconds or 0 for end in ends), 2)
    peak = max((end.peak_memory_mb for end in ends if end.peak_memory_mb is not None), default=None)
    return StepSummary(step=step, outcome=outcome, attempts=dict(counts), seconds=seconds, why=why, peak_memory_mb=peak)


def step_line(step: StepSummary) -> str:
    """One step's line on the terminal; a step with several attempts shows the number of each outcome.

    Why a step failed is not part of it: the end of the run says so, once.
    """
    if not step.attempts:
        return f"  {step.step:<15} {step.outcome}"
    counts = ", ".join(f"{n} {name}" for name, n in step.attempts.items())
    outcome = counts if sum(step.attempts.values()) > 1 else step.outcome
    why = "" if step.outcome == "failed" else "; ".join(step.why)
    return f"  {step.step:<15} {outcome:<10} {step.seconds:>6.1f} s  {why}".rstrip()


def describe_failure(run: Path, end: Event) -> Failure:
    log = run.parents[1] / end.log
    last_line, hint = last_meaningful_line(log)
    killed = end.why in ([journal.NO_EXIT_EVENT], [os_limits.JAVA_ENDED[0]])
    if end.why and not killed and not ERROR_LINE.match(last_line):  # a trial ends well, and its result is the error
        last_line = "; ".join(end.why)
    if not hint:
        _, hint = os_limits.library_message(last_line) or ("", os_limits.KILLED_HINT if killed else "")
    return Failure(
        step=end.step, artifact=end.artifact, why=end.why, log=project.shown(log), last_line=last_line, hint=hint
    )


def failures_before_start(run: Path, steps: Collection[str], began: float) -> list[Failure]:
    """The steps that ended before they could write to the journal, such as one whose packages cannot be imported.

    Args:
        run: path of the journal.
        steps: names of steps without an end in the journal.
        began: when the run began, in seconds since 1970.
    """
    found = []
    for step in sorted(steps):
        log = run.parents[1] / layout.log(step, "")
        if log.is_file() and log.stat().st_mtime >= began and (line := last_meaningful_line(log))[0]:
            why = ["it ended before it began its work"]
            found.append(
                Failure(step=step, artifact="", why=why, log=project.shown(log), last_line=line[0], hint=line[1])
            )
    return found


def failure_lines(summary: Summary, most: int = 5) -> list[str]:
    """The failures with their reasons, and the next command, as text for the terminal."""
    if not summary.failures:
        lines = ["No step failed: Snakemake stopped the run with the error above."]
    else:
        lines = [line for failure in summary.failures[:most] for line in failure_text(failure)]
    more = len(summary.failures) - most
    lines += [f"  and {more} more, in the summary of the run"] if more > 0 else []
    command = commands.instead(summary.command, [failure.hint for failure in summary.failures])
    return [*lines, f"Then run again   {command}"]


def failure_text(failure: Failure) -> list[str]:
    message = failure.last_line or "; ".join(failure.why)
    cause = journal.NO_EXIT_EVENT if failure.why == [journal.NO_EXIT_EVENT] and message != journal.NO_EXIT_EVENT else ""
    labelled = {"cause": cause, "log": failure.log, "message": message, "next": failure.hint}
    lines = [f"  {label:<8} {text}" for label, text in labelled.items() if text]
    makes = f"which makes {failure.artifact}" if failure.artifact else failure.why[0]
    return [f"Failed: {failure.step}, {makes}", *lines]
