"""tools/supervisor.py: a command ends with the process that started it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from support.project import wait_for

SUPERVISOR = [sys.executable, "tools/supervisor.py", "--grace", "0.3"]


@contextmanager
def supervised(*command: str) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen([*SUPERVISOR, *command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield process


def parent_and_child(pid_file: Path, ignore_sigterm: bool = False) -> str:
    """A shell script with a child; it writes both process ids to a file, and may ignore SIGTERM."""
    first = "trap '' TERM; " if ignore_sigterm else ""
    return f"{first}sleep 600 & echo $$ $! > {pid_file}.tmp; mv {pid_file}.tmp {pid_file}; wait"


def read_pids(pid_file: Path) -> list[int]:
    wait_for(pid_file.exists)
    return [int(word) for word in pid_file.read_text("utf-8").split()]


def all_ended(pids: list[int]) -> bool:
    return not any(map(alive, pids))


def alive(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


@pytest.mark.parametrize(("script", "code"), [("exit 0", 0), ("exit 3", 3), ("kill -9 $$", 137)])
def test_the_exit_code_is_that_of_the_command(script: str, code: int) -> None:
    with supervised("bash", "-c", f"echo output; {script}") as process:
        assert process.stdout
        assert process.stdout.read() == "output\n"
        assert process.wait() == code


@pytest.mark.parametrize("ignore_sigterm", [False, True])
def test_closing_its_input_ends_the_command_and_its_children(tmp_path: Path, ignore_sigterm: bool) -> None:
    with supervised("bash", "-c", parent_and_child(tmp_path / "noted", ignore_sigterm)) as process:
        pids = read_pids(tmp_path / "noted")
        assert process.stdin
        process.stdin.close()
        assert process.wait() == 128 + (signal.SIGKILL if ignore_sigterm else signal.SIGTERM)
        assert all_ended(pids)


def test_a_command_ends_when_its_starter_is_killed(tmp_path: Path) -> None:
    command = [*SUPERVISOR, "bash", "-c", parent_and_child(tmp_path / "noted")]
    code = f"import subprocess; subprocess.Popen({command}, stdin=subprocess.PIPE).wait()"
    starter = subprocess.Popen([sys.executable, "-c", code])
    pids = read_pids(tmp_path / "noted")
    starter.kill()
    starter.wait()
    wait_for(lambda: all_ended(pids))


def test_a_killed_command_leaves_no_child_behind(tmp_path: Path) -> None:
    with supervised("bash", "-c", parent_and_child(tmp_path / "noted")) as process:
        shell, child = read_pids(tmp_path / "noted")
        os.kill(shell, signal.SIGKILL)
        assert process.wait() == 128 + signal.SIGKILL
        assert all_ended([child])


def test_sigterm_is_forwarded(tmp_path: Path) -> None:
    with supervised("bash", "-c", parent_and_child(tmp_path / "noted")) as process:
        pids = read_pids(tmp_path / "noted")
        process.terminate()
        assert process.wait() == 128 + signal.SIGTERM
        assert all_ended(pids)
