"""The journal of a run."""

from __future__ import annotations

from pathlib import Path

from reco_platform import journal


def test_a_step_outside_of_a_run_writes_nothing(tmp_path: Path) -> None:
    journal.record("bronze", "worked", [], 1.0, {})
    journal.record("bronze", "worked", [], 1.0, {journal.VARIABLE: ""})
    assert list(tmp_path.iterdir()) == []


def test_what_steps_record_is_read_back_in_order(tmp_path: Path) -> None:
    path = journal.start(tmp_path / "runs")
    environ = {journal.VARIABLE: str(path)}
    assert journal.read(path) == []
    journal.record("bronze", "worked", ["first run"], 1.234, environ)
    journal.record("silver_tags", "failed", ["café\nis closed"], 0.0, environ)
    assert journal.read(path) == [
        {"step": "bronze", "outcome": "worked", "why": ["first run"], "seconds": 1.23},
        {"step": "silver_tags", "outcome": "failed", "why": ["café\nis closed"], "seconds": 0.0},
    ]
    assert len(path.read_text(encoding="utf-8").splitlines()) == 2


def test_only_the_newest_journals_are_kept(tmp_path: Path) -> None:
    for number in range(9):
        (tmp_path / f"2020010{number}T000000Z-1.jsonl").touch()
    (tmp_path / "note.txt").touch()
    new = journal.start(tmp_path, keep=3)
    kept = sorted(path.name for path in tmp_path.iterdir())
    assert new.name in kept
    assert "note.txt" in kept
    assert [name for name in kept if name.startswith("2020")] == [f"2020010{n}T000000Z-1.jsonl" for n in (7, 8)]


def test_a_journal_that_is_not_there_has_no_events(tmp_path: Path) -> None:
    assert journal.read(tmp_path / "none.jsonl") == []


def test_the_table_tells_each_steps_outcomes_in_the_order_asked(tmp_path: Path) -> None:
    events = [
        {"step": "train_als", "outcome": "failed", "why": ["out of memory"], "seconds": 2.0},
        {"step": "train_als", "outcome": "worked", "why": ["rank 10 -> 20", "code changed"], "seconds": 12.34},
        {"step": "bronze", "outcome": "restored", "why": ["asked again"], "seconds": 0.1},
    ]
    rows = journal.table(events, ["bronze", "silver_tags", "train_als"]).splitlines()
    assert [row.split()[0] for row in rows] == ["bronze", "silver_tags", "train_als"]
    assert "restored" in rows[0]
    assert rows[1].split(maxsplit=1)[1] == "up to date"
    assert rows[2].endswith("1 failed, 1 worked   14.3 s  out of memory; rank 10 -> 20; code changed")
