"""What a run leaves for those who watch it: journal, summary, lineage, Spark's event logs; how it tells a failure."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import urllib.request
from pathlib import Path
from typing import Any

import jsonschema
import psutil
import pytest

from reco_platform.engine import journal
from reco_platform.engine.openlineage import lineage_path
from reco_platform.engine.run_summary import path_of
from support.listening import heard_only_here
from support.openlineage_model import checked
from support.project import RECO, Project, Run, wait_for

pytestmark = pytest.mark.pipeline

TRACKED_OFF = {
    "bronze", "silver_ratings", "silver_movies", "silver_tags", "etl_report", "interactions", "train_als",
    "train_plain", "recommend", "evaluate", "run_metrics", "metrics_table", "gate", "report",
}  # fmt: skip


def latest(project: Project) -> Path:
    return project.journals()[-1]


def summary(project: Project) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path_of(latest(project)).read_text("utf-8"))
    schema = json.loads(project.path("docs/run_summary.schema.json").read_text("utf-8"))
    jsonschema.validate(found, schema)
    return found


def lineage(project: Project) -> list[dict[str, Any]]:
    lines = lineage_path(latest(project)).read_text("utf-8").splitlines()
    events = [json.loads(line) for line in lines]
    assert all(checked(event) for event in events)
    return events


def test_every_step_says_its_start_and_its_end_in_the_journal(built_run: tuple[Project, Run]) -> None:
    project = built_run[0]
    schema = json.loads(project.path("docs/run_event.schema.json").read_text("utf-8"))
    for line in latest(project).read_text("utf-8").splitlines():
        jsonschema.validate(json.loads(line), schema)
    events = journal.read(latest(project))
    for kind in ("started", "worked"):
        assert sorted(event.step for event in events if event.event == kind) == sorted(TRACKED_OFF)
    assert any("iteration 3/3" in (event.text or "") for event in events if event.step == "train_als")
    for event in events:
        assert (project.lakehouse() / event.log).is_file(), event.log
        if event.event == "worked":
            assert event.why and event.seconds is not None and (event.peak_memory_mb or 0) > 50


def test_the_summary_tells_programs_what_the_table_tells_people(built_run: tuple[Project, Run]) -> None:
    project, run = built_run
    found = summary(project)
    assert (found["outcome"], found["exit"], found["target"], found["failures"]) == ("succeeded", 0, "gold", [])
    assert found["command"].startswith("snakemake --cores 2 gold --config rank=4 ")
    assert {step["step"]: step["outcome"] for step in found["steps"]} == dict.fromkeys(TRACKED_OFF, "worked")
    assert all(run.output.count(f"  {step['step']:<15} worked ") == 1 for step in found["steps"])
    assert len(run.output.splitlines()) <= 60
    assert "rule train_als" not in run.output, "Snakemake's log is in its file"
    (log,) = (project.root / ".snakemake/log").glob("*.log")
    assert "rule train_als" in log.read_text("utf-8")
    assert found["seconds"] >= max(step["seconds"] for step in found["steps"])


def test_the_lineage_leads_from_the_recommendations_back_to_the_csv_files(built_run: tuple[Project, Run]) -> None:
    project = built_run[0]
    events = lineage(project)
    assert [events[0]["job"]["name"], events[-1]["job"]["name"]] == ["pipeline"] * 2
    assert (events[0]["eventType"], events[-1]["eventType"]) == ("START", "COMPLETE")
    runs = {event["run"]["runId"] for event in events}
    kinds = {run: sorted(event["eventType"] for event in events if event["run"]["runId"] == run) for run in runs}
    assert list(kinds.values()) == [["COMPLETE", "START"]] * (len(TRACKED_OFF) + 1)
    parents = {event["run"]["facets"]["parent"]["run"]["runId"] for event in events[1:-1]}
    assert parents == {events[0]["run"]["runId"]}

    done = [event for event in events[1:-1] if event["eventType"] == "COMPLETE"]
    makers = {place(one): event for event in done for one in event["outputs"]}
    todo, seen = [str(project.lakehouse() / "gold/recommendations_als")], set()
    while todo:
        name = todo.pop()
        seen.add(str(Path(name).relative_to(project.lakehouse())))
        todo += [place(one) for one in makers[name]["inputs"]]
        for one in makers[name]["inputs"]:
            written = next(made for made in makers[place(one)]["outputs"] if place(made) == place(one))
            assert one["facets"]["version"] == written["facets"]["version"]
    assert seen == {
        "gold/recommendations_als", "gold/models/als", "gold/interactions", "silver/ratings",
        "bronze/movielens/small/ratings",
    }  # fmt: skip
    ratings = next(one for one in makers[str(project.lakehouse() / "silver/ratings")]["outputs"])
    receipt = project.receipt("silver/ratings")
    assert ratings["outputFacets"]["outputStatistics"]["rowCount"] == receipt["rows"]
    assert ratings["facets"]["version"]["datasetVersion"] == str(receipt["version"]) == "0"


def place(one: dict[str, Any]) -> str:
    assert one["namespace"] == "file"
    return str(one["name"])


def test_a_failed_run_names_the_step_its_log_its_last_word_and_the_next_command(built: Project) -> None:
    built.path("data/movies.csv").write_text("movieId,title,genre\n1,Heat (1995),Drama\n", "utf-8")
    run = built.snakemake()
    assert run.code == 1
    told = run.output[run.output.index("Failed: silver_movies, which makes silver/movies\n") :].splitlines()
    log, says, following, command = told[1:5]
    assert log == "  log      results/small/_logs/silver_movies.log" and built.path(log.split()[1]).is_file()
    assert says.startswith("  message  [ERROR] silver_movies: ") and "'genres' is missing" in says
    assert following.startswith("  next     the columns ")
    assert command.startswith("Then run again   snakemake --cores 2 gold --config rank=4 ")
    found = summary(built)
    assert (found["outcome"], found["exit"]) == ("failed", 1)
    assert [(one["step"], one["log"]) for one in found["failures"]] == [("silver_movies", log.split()[1])]
    outcomes = {step["step"]: step["outcome"] for step in found["steps"]}
    assert (outcomes["silver_movies"], outcomes["report"]) == ("failed", "not run")
    ends = {(event["job"]["name"], event["eventType"]) for event in lineage(built)}
    assert {("silver_movies", "FAIL"), ("pipeline", "FAIL"), ("bronze", "COMPLETE")} <= ends


def is_training(run: Path) -> bool:
    return any(event.step == "train_als" and event.text for event in journal.read(run))


def test_a_step_that_is_killed_is_told_as_failed(built: Project) -> None:
    with built.started(rank=200, max_iter=200) as process:
        wait_for(lambda: len(built.journals()) > 1 and is_training(latest(built)))
        training = next(
            one for one in psutil.Process(process.pid).children(recursive=True)
            if one.cmdline()[1:2] == ["scripts/train_als.py"]
        )  # fmt: skip
        training.kill()
        output, _ = process.communicate(timeout=120)
    assert "train_als       failed " in output and f"cause    {journal.NO_EXIT_EVENT}" in output
    assert re.search(r"  \d+ steps +up to date", output), "what did not have to run is not listed as not run"
    assert "bash" not in output
    assert "Failed: train_als" in output and "message  [train_als] " in output
    assert "next     dmesg shows whether the machine ran out of memory" in output
    assert summary(built)["failures"][0]["why"] == [journal.NO_EXIT_EVENT]
    events = [event["eventType"] for event in lineage(built) if event["job"]["name"] == "train_als"]
    assert events == ["START", "FAIL"]


def test_a_run_without_a_stale_step_says_so_and_one_that_is_killed_stays_under_way(built: Project) -> None:
    said = built.gold().output.splitlines()
    (line,) = [line for line in said if "Nothing to be done" in line]
    version = built.receipt("gold/metrics/run_metrics")["facts"]["model_version"]
    assert version in line and f"reports/{version}.html" in line and " ago" in line
    assert len(said) <= 5
    found = summary(built)
    assert (found["outcome"], found["exit"], found["steps"]) == ("no step ran", None, [])
    assert not lineage_path(latest(built)).exists()
    with built.started(rank=200, max_iter=200) as process:
        wait_for(lambda: len(built.journals()) > 2 and journal.read(latest(built)))
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    assert (summary(built)["outcome"], summary(built)["ended"]) == ("under way", None)


def test_sparks_history_server_shows_a_step_whose_event_log_was_kept(built: Project) -> None:
    before = built.receipts()
    none = built.reco("history")
    assert none.code == 1 and "no event logs of Spark" in none.output and "Traceback" not in none.output
    for path in (built.lakehouse() / "silver" / "tags").rglob("*"):
        if path.is_file():
            path.unlink()
    run = built.gold("silver", "--forcerun", "silver_tags", etl_engine="spark", spark_event_logs="true")
    assert run.worked == {"silver_tags"} and built.receipts() == before
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
        taken = built.reco("history", "--port", str(port))
        assert taken.code == 1 and f"port {port} of 127.0.0.1 cannot be used" in taken.output
    server = subprocess.Popen(
        [*RECO, "history", "--port", str(port), "--config", "lakehouse=results/small"],
        cwd=built.root, env=built.environment({"PYTHONPATH": "src"}), stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    try:
        wait_for(lambda: asked(port, "applications") or server.poll() is not None)
        (application,) = asked(port, "applications") or []
        assert (application["name"], application["attempts"][0]["completed"]) == ("silver_tags", True)
        jobs = asked(port, f"applications/{application['id']}/jobs")
        assert jobs and {job["status"] for job in jobs} == {"SUCCEEDED"}
        assert heard_only_here(server.pid)
        server.send_signal(signal.SIGINT)
        assert server.wait(timeout=60) == 130
    finally:
        server.kill()
        server.wait()


def asked(port: int, path: str) -> Any:
    """What the server answers by its REST API; None where it does not yet."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/v1/{path}", timeout=10) as answer:
            return json.load(answer)
    except (OSError, ValueError):  # not there yet, or there without its API
        return None
