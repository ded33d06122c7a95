"""After a killed or stopped run, the output names the next command, and running it once recovers everything."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from chaos import crashes
from chaos.crashes import EVERY_STEP, CrashTest, Kill, Scenario, processes_in
from reco_platform.core import os_limits
from reco_platform.engine import cleanup, journal
from support.project import RECO, Project, wait_for

pytestmark = [pytest.mark.pipeline, pytest.mark.usefixtures("heeding")]
ENDED_WITHIN = 10  # seconds: what docs/operations.md promises

ONE_STEP = Scenario("one step", 1, ("first",), "first", EVERY_STEP, remove_result=True)
BY_SPARK = Scenario("Spark cleans", 1, ("first",), "by spark", EVERY_STEP, remove_result=True)


@pytest.fixture
def crash_test(built: Project) -> CrashTest:
    """A crash test in the project that was built already."""
    found = crashes.crash_test_for(built, "delta", extra_config={}, in_forks=True)
    found.save_reference(("first",))
    return found


@pytest.mark.parametrize(
    "kill",
    [
        Kill(ONE_STEP, "interactions", "snakemake", 0.2, publishing=True),
        Kill(ONE_STEP, "recommend", "step", 0.3, publishing=False),
    ],
    ids=str,
)
def test_one_more_run_after_a_kill_gives_what_the_reference_run_gave(crash_test: CrashTest, kill: Kill) -> None:
    assert crashes.kill_and_rerun(crash_test, kill) == []


def test_a_step_whose_java_is_killed_reports_it(crash_test: CrashTest) -> None:
    before = set(crash_test.project.journals())
    assert crashes.kill_and_rerun(crash_test, Kill(BY_SPARK, "silver_movies", "java", 0.6, publishing=False)) == []
    told = [
        json.loads(path.with_suffix(".summary.json").read_text())
        for path in set(crash_test.project.journals()) - before
    ]
    (failure,) = (failure for summary in told for failure in summary["failures"])
    assert failure["why"] in ([os_limits.JAVA_ENDED[0]], [journal.NO_EXIT_EVENT]), (
        "the second where Python had not begun"
    )
    assert "dmesg shows whether the machine ran out of memory" in failure["hint"]


@pytest.mark.nightly
def test_a_killed_publication_of_parquet_is_recovered(tmp_path: Path) -> None:
    found = crashes.crash_test_for(Project.create(tmp_path / "project"), "parquet", extra_config={})
    assert crashes.kill_and_rerun(found, Kill(ONE_STEP, "recommend", "group", 0.5, publishing=True)) == []


def test_leftovers_are_detected(crash_test: CrashTest) -> None:
    """Plants each kind of leftover, so that the check of the campaign is seen to fail."""
    wanted, before = crash_test.reference(("first",)), crashes.outside_files(crash_test.project)
    assert crashes.differences(crash_test, wanted) == []
    assert crashes.leftovers(crash_test, before) == []
    for planted in ("tmp/spark-1", "project/hs_err_pid1.log"):
        (crash_test.project.root.parent / planted).write_text("")
    half, marker = crash_test.lakehouse / "silver/.x.json.1.tmp", crash_test.lakehouse / "_runs" / cleanup.MARKER
    half.write_text("")
    marker.write_text("")
    found = " ".join(crashes.leftovers(crash_test, before))
    assert all(name in found for name in ("tmp/spark-1", "hs_err_pid1.log", half.name, marker.name))
    assert f"small/silver/{half.name} exists, but not after" in " ".join(crashes.differences(crash_test, wanted))
    shutil.rmtree(crash_test.lakehouse / "silver" / "movies")
    crash_test.project.edit("results/small/gold/interactions.receipt.json", '"train_count": ', '"train_count": 1')
    problems = " ".join(crashes.differences(crash_test, wanted))
    assert "silver/movies is missing" in problems
    assert "receipt gold/interactions.receipt.json differs" in problems
    with subprocess.Popen(["sleep", "600"], cwd=crash_test.project.root) as left:
        assert f"process {left.pid} is left: sleep 600" in crashes.orphans(crash_test.project.root)
        left.kill()
    assert crashes.orphans(crash_test.project.root) == []


def test_a_seed_decides_the_kills_and_they_cover_every_step() -> None:
    first = crashes.kills(1, 50)
    assert first == crashes.kills(1, 50) != crashes.kills(2, 50)
    assert {kill.victim for kill in first} == {"snakemake", "step", "worker", "java", "group"}
    assert {kill.step for kill in first} >= {*EVERY_STEP, "track", "start"}


# --- signals


def is_training(project: Project, before: set[Path]) -> bool:
    new = set(project.journals()) - before
    return any(event.step == "train_als" and event.text for path in new for event in journal.read(path))


@pytest.mark.parametrize(
    ("number", "whole_group", "by_tool"),
    [(signal.SIGTERM, False, False), (signal.SIGINT, True, True)],
    ids=["SIGTERM-snakemake", "SIGINT-terminal-of-run_pipeline"],
)
def test_a_stopped_run_ends_its_steps_and_says_how_to_go_on(
    built: Project, number: signal.Signals, whole_group: bool, by_tool: bool
) -> None:
    first, before = built.receipts(), set(built.journals())
    command = built.command(rank=200, max_iter=200)
    if by_tool:
        pairs = command[command.index("--config") :]
        command = [*RECO, "train", "--run", "--cores", "2", *pairs]
    process = subprocess.Popen(
        command, cwd=built.root, env=built.environment({"PYTHONPATH": "src"} if by_tool else {}), text=True,
        start_new_session=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    try:
        wait_for(lambda: is_training(built, before) or process.poll() is not None)
        (os.killpg if whole_group else os.kill)(process.pid, number)
        stopped = time.monotonic()
        wait_for(lambda: not [one for one in processes_in(built.root) if one.pid != process.pid])
        assert time.monotonic() - stopped < ENDED_WITHIN
        output, _ = process.communicate(timeout=60)
    finally:
        crashes.kill_group(process)
    assert process.returncode == 1
    assert f"[ERROR] stopped by {number.name}" in output
    assert "Failed: train_als" in output
    assert "Traceback" not in output
    assert output.rstrip().splitlines()[-1].startswith("Then run again") or "Then run again   snakemake" in output
    assert built.gold().worked == set(), "going back finds all that was made before"
    assert built.receipts() == first
    assert not list(built.lakehouse().rglob("_staging-*"))


def test_a_killed_snakemake_takes_its_steps_along(built: Project) -> None:
    before = set(built.journals())
    with built.started(rank=200, max_iter=200) as process:
        wait_for(lambda: is_training(built, before) or process.poll() is not None)
        process.kill()
        killed = time.monotonic()
        process.wait()
        wait_for(lambda: not list(processes_in(built.root)))
        assert time.monotonic() - killed < ENDED_WITHIN
        assert "the run of this step was killed" in built.path("results/small/_logs/train_als.log").read_text()


def test_a_run_under_nohup_outlives_its_terminal(built: Project) -> None:
    before = set(built.journals())
    with subprocess.Popen(
        ["nohup", *built.command(rank=100, max_iter=50)], cwd=built.root, env=built.environment({}), text=True,
        start_new_session=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    ) as process:  # fmt: skip
        wait_for(lambda: is_training(built, before) or process.poll() is not None)
        os.killpg(process.pid, signal.SIGHUP)
        output, _ = process.communicate()
    assert process.returncode == 0, output
    assert built.gold(rank=100, max_iter=50).worked == set()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_step_run_by_hand_stops_with_a_message(built: Project, number: signal.Signals, code: int) -> None:
    lakehouse, receipt = "results/small", "results/small/gold/models/als.receipt.json"
    command = [
        sys.executable, "scripts/train_als.py", "--lakehouse", lakehouse, "--dataset", "small", "--receipt", receipt,
        "--interactions", f"{lakehouse}/gold/interactions.receipt.json", "--params", '{"rank": 200, "max_iter": 200}',
    ]  # fmt: skip
    before = built.receipts()
    with subprocess.Popen(
        command, cwd=built.root, env=built.environment({"PYTHONPATH": "src"}), text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    ) as process:  # fmt: skip
        assert process.stdout
        output = [next(process.stdout), next(process.stdout)]
        process.send_signal(number)
        output += process.stdout.readlines()
    assert process.returncode == code
    assert f"[ERROR] train_als: stopped by {number.name}\n  -> run the same command again" in "".join(output)
    assert "Traceback" not in "".join(output)
    assert built.receipts() == before
