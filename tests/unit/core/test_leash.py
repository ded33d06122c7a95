"""tools/leash.py: what it runs ends with whoever started it."""

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

LEASH = [sys.executable, "tools/leash.py", "--grace", "0.3"]


@contextmanager
def leashed(*command: str) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen([*LEASH, *command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield process


def family(noted: Path, deaf: bool = False) -> str:
    """A shell script with a child; both note their process ids, and may be deaf to SIGTERM."""
    first = "trap '' TERM; " if deaf else ""
    return f"{first}sleep 600 & echo $$ $! > {noted}.tmp; mv {noted}.tmp {noted}; wait"


def ids(noted: Path) -> list[int]:
    wait_for(noted.exists)
    return [int(word) for word in noted.read_text("utf-8").split()]


def all_gone(pids: list[int]) -> bool:
    return not any(map(alive, pids))


def alive(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


@pytest.mark.parametrize(("script", "code"), [("exit 0", 0), ("exit 3", 3), ("kill -9 $$", 137)])
def test_the_exit_code_is_the_commands(script: str, code: int) -> None:
    with leashed("bash", "-c", f"echo said; {script}") as process:
        assert process.stdout
        assert process.stdout.read() == "said\n"
        assert process.wait() == code


@pytest.mark.parametrize("deaf", [False, True])
def test_closing_its_input_ends_the_command_and_its_children(tmp_path: Path, deaf: bool) -> None:
    with leashed("bash", "-c", family(tmp_path / "noted", deaf)) as process:
        pids = ids(tmp_path / "noted")
        assert process.stdin
        process.stdin.close()
        assert process.wait() == 128 + (signal.SIGKILL if deaf else signal.SIGTERM)
        assert all_gone(pids)


def test_a_killed_starter_takes_the_command_along(tmp_path: Path) -> None:
    command = [*LEASH, "bash", "-c", family(tmp_path / "noted")]
    code = f"import subprocess; subprocess.Popen({command}, stdin=subprocess.PIPE).wait()"
    starter = subprocess.Popen([sys.executable, "-c", code])
    pids = ids(tmp_path / "noted")
    starter.kill()
    starter.wait()
    wait_for(lambda: all_gone(pids))


def test_a_killed_command_leaves_no_child_behind(tmp_path: Path) -> None:
    with leashed("bash", "-c", family(tmp_path / "noted")) as process:
        shell, child = ids(tmp_path / "noted")
        os.kill(shell, signal.SIGKILL)
        assert process.wait() == 128 + signal.SIGKILL
        assert all_gone([child])


def test_sigterm_is_passed_on(tmp_path: Path) -> None:
    with leashed("bash", "-c", family(tmp_path / "noted")) as process:
        pids = ids(tmp_path / "noted")
        process.terminate()
        assert process.wait() == 128 + signal.SIGTERM
        assert all_gone(pids)
