"""The journal of a run."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import jsonschema
import pytest

from reco_platform.engine import journal
from reco_platform.engine.journal import Event


def environ(path: Path) -> dict[str, str]:
    return {journal.VARIABLE: str(path)}


def event(kind: str, step: str = "trial", artifact: str = "a", **details: object) -> Event:
    return Event(time="", run="", step=step, artifact=artifact, event=kind, log="", **details)  # type: ignore[arg-type]


def test_a_step_outside_of_a_run_writes_nothing(tmp_path: Path) -> None:
    journal.record("worked", "bronze", "bronze/movielens/x", {})
    journal.record("worked", "bronze", "bronze/movielens/x", {journal.VARIABLE: ""})
    assert list(tmp_path.iterdir()) == []


def test_recorded_events_are_read_back_in_order_and_match_the_schema_in_docs(tmp_path: Path, root: Path) -> None:
    path = journal.start(tmp_path / "runs")
    assert journal.read(path) == []
    before = datetime.now(UTC)
    journal.record("started", "bronze", "bronze/movielens/x", environ(path))
    journal.record("progress", "trial", "sweeps/trials/12ab/result", environ(path), text="half\u2028way")
    journal.record("failed", "silver_tags", "silver/tags", environ(path), why=["café\nis closed"], seconds=1.5)
    started, progress, failed = journal.read(path)
    assert (started.event, started.step, started.log, started.run) == (
        "started", "bronze", "_logs/bronze.log", path.stem,
    )  # fmt: skip
    assert (progress.text, progress.log) == ("half\u2028way", "_logs/trial_12ab.log")
    assert (failed.why, failed.seconds) == (["café\nis closed"], 1.5)
    assert before.replace(microsecond=0) <= datetime.fromisoformat(failed.time) <= datetime.now(UTC)
    lines = path.read_text(encoding="utf-8").split("\n")
    schema = json.loads((root / "docs" / "run_event.schema.json").read_text("utf-8"))
    assert len(lines) == 4 and lines[-1] == ""
    for line in lines[:-1]:
        jsonschema.validate(json.loads(line), schema)


def test_an_incomplete_line_of_a_killed_process_is_skipped_and_corrupts_no_later_line(tmp_path: Path) -> None:
    path = journal.start(tmp_path)
    journal.record("started", "train_als", "gold/models/als", environ(path))
    with path.open("ab") as file:
        file.write('{"time":"2026-01-01T00:00:00.000Z","run":"é'.encode()[:-1])
    assert [entry.event for entry in journal.read(path)] == ["started"]
    journal.record("worked", "recommend", "gold/recommendations_als", environ(path))
    assert [entry.event for entry in journal.read(path)] == ["started", "worked"]


@pytest.mark.slow
def test_parallel_jobs_do_not_corrupt_each_others_lines(tmp_path: Path, root: Path) -> None:
    path = journal.start(tmp_path)
    code = (
        "import sys; from reco_platform.engine import journal\n"
        "for n in range(200): journal.record('progress', sys.argv[1], 'a', text='x' * 50 * (n % 90))"
    )
    env = {**os.environ, **environ(path), "PYTHONPATH": str(root / "src")}
    jobs = [subprocess.Popen([sys.executable, "-c", code, f"step{n}"], env=env) for n in range(3)]
    assert [job.wait() for job in jobs] == [0, 0, 0]
    assert [path.read_text("utf-8").count(f'"step{n}"') for n in range(3)] == [200] * 3
    assert len(journal.read(path)) == 600 == len(path.read_text("utf-8").splitlines())


def test_a_journal_that_cannot_be_written_is_a_warning_and_fails_no_step(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    journal.record("worked", "bronze", "x", environ(tmp_path / "gone" / "run.jsonl"))
    assert "[WARNING]" in capsys.readouterr().err


def test_only_the_newest_runs_are_kept_with_all_their_files(tmp_path: Path) -> None:
    for number in range(9):
        for suffix in (".jsonl", ".summary.json", ".openlineage.jsonl"):
            (tmp_path / f"2020010{number}T000000Z-1{suffix}").touch()
    (tmp_path / "note.txt").touch()
    new = journal.start(tmp_path, keep=3)
    kept = {journal.run_of(path) for path in tmp_path.iterdir()}
    assert kept == {new.stem, "note", "20200107T000000Z-1", "20200108T000000Z-1"}
    assert len(list(tmp_path.glob("20200108*"))) == 3


def test_a_missing_journal_has_no_events(tmp_path: Path) -> None:
    assert journal.read(tmp_path / "none.jsonl") == []


def test_an_attempt_without_an_end_event_has_failed() -> None:
    events = [
        event("started", artifact="a"),
        event("started", artifact="b"),
        event("progress", artifact="a", text="half"),
        event("worked", artifact="b", why=["first run"]),
        event("started", artifact="a"),
        event("restored", artifact="a"),
        event("started", artifact="c"),
    ]
    ends = [(end.artifact, end.event, end.why) for end in journal.attempt_ends(events)]
    assert ends == [
        ("b", "worked", ["first run"]),
        ("a", "failed", [journal.NO_EXIT_EVENT]),
        ("a", "restored", []),
        ("c", "failed", [journal.NO_EXIT_EVENT]),
    ]
