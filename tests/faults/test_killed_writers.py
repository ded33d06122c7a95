"""Writers killed at the one instant that a campaign of random moments seldom meets."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

from reco_platform.core import parent_watch
from reco_platform.engine import cleanup
from reco_platform.lakehouse import publish, tables
from reco_platform.lakehouse.layout import Lakehouse
from reco_platform.store import atomic_write
from support.builders import publish_ratings, ratings_table

FIRST_COMMIT = """
import os, signal, sys
from pathlib import Path
import deltalake.transaction
from support.builders import publish_ratings, ratings_table
deltalake.transaction.create_table_with_add_actions = lambda *_, **__: os.kill(os.getpid(), signal.SIGKILL)
publish_ratings(Path(sys.argv[1]), ratings_table())
"""


def killed(code: str, *words: str) -> None:
    tests = str(Path(__file__).resolve().parents[1])
    ran = subprocess.run(
        [sys.executable, "-c", code, *words],
        env={**os.environ, "PYTHONPATH": f"{tests}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"},
        check=False,
    )
    assert ran.returncode == -signal.SIGKILL


def test_the_first_writer_of_a_delta_table_killed_before_its_commit_leaves_no_table_of_another_format(
    tmp_path: Path,
) -> None:
    killed(FIRST_COMMIT, str(tmp_path))
    table = tmp_path / "silver" / "ratings"
    assert tables.data_files(table), "it had moved its files already"
    lakehouse = Lakehouse(str(tmp_path), "small")
    atomic_write.write_text(lakehouse.runs / cleanup.MARKER, f"{tmp_path / 'gone'}\n")
    cleanup.recover(lakehouse)
    assert publish.foreign_content(table, "delta", "small") is None
    assert tables.data_files(table) == []
    assert publish_ratings(tmp_path, ratings_table()).version == 0


def test_what_a_killed_run_left_is_put_right_and_what_others_made_stays(
    tmp_path: Path,
) -> None:
    lakehouse = Lakehouse(str(tmp_path / "lake"), "small")
    scratch, foreign = tmp_path / "reco-run-1", tmp_path / "somebody-elses"
    for folder in (scratch, foreign, lakehouse.records / "silver" / "_staging-ratings", lakehouse.runs):
        folder.mkdir(parents=True)
    os.mkfifo(scratch / parent_watch.PIPE)
    half, whole = lakehouse.records / "silver" / ".movies.receipt.json.x.tmp", lakehouse.records / "silver" / "tags.csv"
    for file in (half, whole, scratch / "spark-1"):
        file.touch()
    atomic_write.write_text(lakehouse.runs / cleanup.MARKER, f"{scratch}\n{foreign}\n")
    cleanup.recover(lakehouse)
    assert (
        not scratch.exists() and not half.exists() and not (lakehouse.records / "silver" / "_staging-ratings").exists()
    )
    assert foreign.is_dir() and whole.is_file()


def test_a_step_ends_with_the_process_that_holds_its_lifeline_and_the_next_run_waits_for_it(tmp_path: Path) -> None:
    run = subprocess.Popen(
        [sys.executable, "-c", f"from pathlib import Path\nfrom reco_platform.core import parent_watch\n"
         f"parent_watch.create_pipe(Path({str(tmp_path)!r})); print('held', flush=True); input()"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert run.stdout and run.stdout.readline() == "held\n"
    step = subprocess.Popen(
        [sys.executable, "-c", "import time\nfrom reco_platform.core import parent_watch\nparent_watch.watch_run()\n"
         "print('watches', flush=True); time.sleep(600)"],
        env={**os.environ, parent_watch.SCRATCH_VARIABLE: str(tmp_path)},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert step.stdout and step.stdout.readline() == "watches\n"
    assert parent_watch.has_reader(tmp_path / parent_watch.PIPE)
    run.kill()
    parent_watch.wait_for_steps(tmp_path)
    assert "-> run the same command again" in step.communicate()[1]
    assert step.returncode == 1
    run.communicate()


NO_EXCHANGE = """
import os, signal, sys
from pathlib import Path
from reco_platform.lakehouse import publish
class Libc: pass
publish.ctypes.CDLL = lambda *_, **__: Libc()  # as where the system cannot swap folders
rename, staging = Path.rename, Path(sys.argv[1]) / "_staging-page"
Path.rename = lambda old, new: os.kill(os.getpid(), signal.SIGKILL) if old == staging else rename(old, new)
publish.swap_folders(staging, Path(sys.argv[1]) / "page")
"""


def test_a_writer_killed_between_two_renames_loses_no_content(tmp_path: Path) -> None:
    for name in ("page", "_staging-page"):
        atomic_write.write_text(tmp_path / "reports" / name / "text", name)
    killed(NO_EXCHANGE, str(tmp_path / "reports"))
    assert not (tmp_path / "reports" / "page").exists()
    lakehouse = Lakehouse(str(tmp_path), "small")
    atomic_write.write_text(lakehouse.runs / cleanup.MARKER, f"{tmp_path / 'gone'}\n")
    cleanup.recover(lakehouse)
    assert [path.name for path in (tmp_path / "reports").iterdir()] == ["page"]
    assert (tmp_path / "reports" / "page" / "text").read_text("utf-8") == "page"
