"""What a run shows of its steps while it goes on."""

from __future__ import annotations

import io
import logging
import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from rich.console import Console
from snakemake_interface_logger_plugins.common import LogEvent

from reco_platform.engine import journal, run_summary
from reco_platform.engine.log_tail import ANSI_CODES
from reco_platform.lakehouse import layout
from reco_platform.pipeline.run_display import RunDisplay, RunView
from snakemake_logger_plugin_reco import LogHandler

START = datetime(2026, 1, 1, tzinfo=UTC)


def event(kind: journal.Kind, step: str, artifact: str = "a", **details: object) -> journal.Event:
    return journal.Event.model_validate({
        "time": START.isoformat(), "run": "r", "step": step, "artifact": artifact, "event": kind,
        "log": layout.log(step, artifact), **details,
    })  # fmt: skip


def test_a_step_has_one_line_at_its_end_and_a_row_while_it_runs() -> None:
    view = RunView({})
    assert view.add(event("started", "train_als")) == []
    assert view.add(event("progress", "train_als", text="iteration 3/10")) == []
    ((_, row),) = view.rows(START + timedelta(seconds=4))
    assert row == "  train_als       running       4.0 s  iteration 3/10"
    assert view.add(event("worked", "train_als", seconds=5.0, why=["rank 50 -> 8"])) == [
        "  train_als       worked        5.0 s  rank 50 -> 8"
    ]
    assert view.rows(START) == []


def test_parallel_trials_share_one_row_and_one_line() -> None:
    view = RunView({"trial": 3})
    trials = [layout.trial(name) for name in ("x", "y", "z")]
    for trial in trials:
        view.add(event("started", "trial", trial))
    assert view.add(event("worked", "trial", trials[0], seconds=1.0, why=["first run"])) == []
    view.add(event("progress", "trial", trials[1], text="iteration 1/2"))
    ((_, row),) = view.rows(START)
    assert row == "  trial           running       0.0 s  1 of 3 done, 2 running"
    assert view.add(event("failed", "trial", trials[1], seconds=1.0, why=["no rows"])) == []
    (line,) = view.add(event("worked", "trial", trials[2], seconds=1.0, why=["first run"]))
    assert line == "  trial           2 worked, 1 failed    3.0 s"


def test_at_the_end_a_killed_step_has_a_line_and_others_are_counted() -> None:
    view = RunView({})
    view.add(event("worked", "interactions", seconds=1.0))
    outcomes = dict.fromkeys(("bronze", "a", "b", "c"), "up to date") | {"report": "not run"}
    steps = [
        run_summary.StepSummary(step=step, outcome=outcome, attempts={}, seconds=0, why=[], peak_memory_mb=None)
        for step, outcome in outcomes.items()
    ]
    for step, outcome in {"interactions": "worked", "train_als": "failed"}.items():
        steps.append(run_summary.StepSummary(
            step=step, outcome=outcome, attempts={outcome: 1}, seconds=2, why=["killed"], peak_memory_mb=None
        ))  # fmt: skip
    summary = run_summary.Summary(
        run="r", outcome="failed", started="", target="gold", command="", lakehouse="l", dataset="d", steps=steps
    )
    assert view.rest(summary) == [
        "  train_als       failed        2.0 s", "  4 steps         up to date", "  report          not run",
    ]  # fmt: skip


@pytest.fixture
def path(tmp_path: Path) -> Path:
    found = tmp_path / "_runs" / "r.jsonl"
    found.parent.mkdir()
    (tmp_path / "_logs").mkdir()
    lines = ["[gate] [WARNING] not logged to MLflow at x", "  -> start it", "[gate] done"]
    (tmp_path / layout.log("gate", "a")).write_text("\n".join(lines), "utf-8")
    events = [event("started", "gate"), event("worked", "gate", seconds=1.0, why=["w" * 200])]
    found.write_text("".join(f"{one.model_dump_json()}\n" for one in events), "utf-8")
    return found


def test_in_a_pipe_there_are_plain_lines_with_warnings_from_the_log(
    path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    display = RunDisplay(path, {}, Console(file=io.StringIO()))
    display.start()
    display.close()
    assert capsys.readouterr().out.splitlines() == [
        "Steps of this run", f"  gate            worked        1.0 s  {'w' * 200}",
        "  [WARNING] not logged to MLflow at x", "    -> start it",
    ]  # fmt: skip


def test_with_verbose_the_log_of_a_step_follows_its_line(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    RunDisplay(path, {}, Console(file=io.StringIO()), with_logs=True).refresh(START)
    assert capsys.readouterr().out.splitlines()[2:] == [
        "[gate] [WARNING] not logged to MLflow at x", "  -> start it", "[gate] done",
    ]  # fmt: skip


def test_a_long_step_in_a_pipe_says_that_it_runs_now_and_then(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with path.open("a", encoding="utf-8") as file:
        for one in (event("started", "train_als"), event("progress", "train_als", text="iteration 1/9")):
            file.write(f"{one.model_dump_json()}\n")
    display = RunDisplay(path, {}, Console(file=io.StringIO()))
    for seconds in (1, 21, 22, 39, 42):
        display.refresh(START + timedelta(seconds=seconds))
    said = [line for line in capsys.readouterr().out.splitlines() if "running" in line]
    assert said == [f"  train_als       running      {seconds}.0 s  iteration 1/9" for seconds in (21, 42)]


@pytest.mark.parametrize("width", [80, 160])
def test_on_a_terminal_a_running_step_is_drawn_in_its_place_and_lines_fit(path: Path, width: int) -> None:
    out = io.StringIO()
    console = Console(file=out, force_terminal=True, width=width, highlight=False, _environ={"TERM": "xterm"})
    display = RunDisplay(path, {}, console)
    with path.open("a", encoding="utf-8") as file:
        file.write(f"{event('started', 'train_als').model_dump_json()}\n")
    display.refresh(START)
    shown = [without_codes(line) for line in out.getvalue().splitlines()]
    assert all(len(line) <= width for line in shown)
    assert any(line.endswith("www...") for line in shown) and any("running" in line for line in shown)
    display.refresh(START + timedelta(seconds=9))
    display.live.stop()
    assert "\x1b[" in out.getvalue() and "9.0 s" in out.getvalue()


def without_codes(line: str) -> str:
    return ANSI_CODES.sub("", line)


def test_a_reader_that_is_gone_does_not_stop_the_run(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as gone:
        monkeypatch.setattr("sys.stdout", gone)
        display = RunDisplay(path, {})
        display.start()
        display.close()
        monkeypatch.undo()
        assert not display.thread.is_alive()
        with pytest.raises(BrokenPipeError):
            gone.close()


# --- Snakemake's own log


class Settings:
    verbose = dryrun = debug_dag = False


@pytest.fixture
def handler() -> Iterator[LogHandler]:
    yield LogHandler(Settings(), None)


def record(level: int, message: str, log_event: LogEvent | None = None) -> logging.LogRecord:
    found = logging.LogRecord("snakemake", level, "", 0, message, (), None)
    found.event = log_event
    return found


def test_of_snakemakes_log_only_its_own_errors_are_shown(
    handler: LogHandler, capsys: pytest.CaptureFixture[str]
) -> None:
    handler.emit(record(logging.INFO, "Building DAG of jobs..."))
    handler.emit(record(logging.WARNING, "Removing output files of failed job"))
    handler.emit(record(logging.ERROR, "Error in rule x", LogEvent.JOB_ERROR))
    handler.emit(
        record(logging.ERROR, "WorkflowError:\nAt least one job did not complete successfully.", LogEvent.ERROR)
    )
    handler.emit(record(logging.ERROR, "MissingRuleException: no rule makes x", LogEvent.ERROR))
    assert capsys.readouterr().err == "[ERROR] MissingRuleException: no rule makes x\n"
    assert not handler.is_idle
    handler.emit(record(logging.INFO, "Nothing to be done (all requested files are present and up to date)."))
    assert handler.is_idle
    handler.common_settings.verbose = True
    handler.emit(record(logging.INFO, "Building DAG of jobs..."))
    assert "Building DAG" in capsys.readouterr().err
