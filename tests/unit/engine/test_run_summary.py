"""The summary of a run."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from reco_platform.engine import journal, run_summary
from reco_platform.lakehouse import layout


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """The journal of a run that has begun."""
    path = journal.start(tmp_path / "_runs")
    begun = run_summary.Summary(
        run=path.stem, outcome="under way", started=journal.utc_now(), target="gold", command="snakemake gold",
        lakehouse="lake", dataset="demo",
    )  # fmt: skip
    run_summary.write(path, begun)
    return path


def record(run: Path, kind: journal.Kind, step: str, artifact: str = "a", **details: object) -> None:
    journal.record(kind, step, artifact, {journal.VARIABLE: str(run)}, **details)


def test_the_command_can_be_pasted_and_contains_no_secret() -> None:
    argv = ["/x/bin/snakemake", "--config", "dataset_path=my data", "mlflow_tracking_uri=http://me:secret@host/a?t=x"]
    command = run_summary.command_text(argv)
    assert "secret" not in command and "t=x" not in command
    assert shlex.split(command)[:3] == ["snakemake", "--config", "dataset_path=my data"]


def test_the_outcome_of_a_step_and_its_failures_are_those_of_its_last_attempts(run: Path) -> None:
    for artifact in ("a", "b"):
        record(run, "failed", "trial", artifact, seconds=1.0, why=["out of memory"], peak_memory_mb=90)
    record(run, "worked", "trial", "a", seconds=2.0, why=["first run"], peak_memory_mb=70)
    record(run, "failed", "gate", why=["no store"], seconds=0.5)
    record(run, "restored", "gate", why=["first run"], seconds=0.1)
    found = run_summary.finish(run, "failed", ["bronze", "trial", "gate"])
    assert [(step.step, step.outcome) for step in found.steps] == [
        ("bronze", "not run"), ("trial", "failed"), ("gate", "restored"),
    ]  # fmt: skip
    trial = found.steps[1]
    assert (trial.attempts, trial.seconds, trial.peak_memory_mb) == ({"failed": 2, "worked": 1}, 4.0, 90)
    assert [(failure.step, failure.artifact) for failure in found.failures] == [("trial", "b")]
    assert run_summary.read(run) == found
    assert run_summary.step_line(trial).endswith("2 failed, 1 worked    4.0 s")
    assert run_summary.step_line(found.steps[0]).split(maxsplit=1)[1] == "not run"


def test_a_step_that_ends_before_it_can_say_so_is_told_from_its_log(run: Path) -> None:
    log = run.parents[1] / layout.log("gate", "")
    log.parent.mkdir()
    log.write_text("ModuleNotFoundError: No module named 'mlflow'\n", "utf-8")
    record(run, "worked", "bronze")
    summary = run_summary.finish(run, "failed", ["bronze", "gate", "report"])
    first, *lines = run_summary.failure_lines(summary)
    assert first == "Failed: gate, it ended before it began its work"
    assert any("No module named 'mlflow'" in line for line in lines)


def test_failures_show_the_log_and_its_last_line_or_the_reason_if_the_log_is_empty(run: Path) -> None:
    log = run.parents[1] / layout.log("train_als", "gold/models/als")
    log.parent.mkdir()
    log.write_text("[ERROR] train_als: no ratings\n  -> fix them\n", "utf-8")
    record(run, "failed", "train_als", "gold/models/als", why=["no ratings"])
    for number in range(6):
        record(run, "failed", "trial", f"sweeps/trials/{number}/result", why=["killed"])
    lines = run_summary.failure_lines(run_summary.finish(run, "failed", []))
    assert lines[:4] == [
        "Failed: train_als, which makes gold/models/als", f"  log      {log}",
        "  message  [ERROR] train_als: no ratings", "  next     fix them",
    ]  # fmt: skip
    assert lines[4:7] == [
        "Failed: trial, which makes sweeps/trials/0/result", f"  log      {log.with_name('trial_0.log')}",
        "  message  killed",
    ]  # fmt: skip
    assert lines[-2:] == ["  and 2 more, in the summary of the run", "Then run again   snakemake gold"]


def test_a_failure_outside_of_the_steps_is_reported_as_such(run: Path) -> None:
    lines = run_summary.failure_lines(run_summary.finish(run, "failed", ["bronze"]))
    assert lines == [
        "No step failed: Snakemake stopped the run with the error above.",
        "Then run again   snakemake gold",
    ]
    assert run_summary.finish(run, "succeeded", ["bronze"]).steps[0].outcome == "up to date"
