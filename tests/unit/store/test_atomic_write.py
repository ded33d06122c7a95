"""Files are written whole or not at all."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from reco_platform.store import atomic_write


def test_folders_are_made_and_old_content_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b.json"
    atomic_write.write_text(path, "first café\r\n")
    atomic_write.write_text(path, "second")
    assert path.read_bytes() == b"second"
    assert list(path.parent.iterdir()) == [path]


def test_the_permissions_are_those_of_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        atomic_write.write_text(tmp_path / "a.json", "x")
    finally:
        os.umask(before)
    assert (tmp_path / "a.json").stat().st_mode & 0o777 == 0o640


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    target = tmp_path / "a.json"
    target.mkdir()
    (target / "kept").touch()
    with pytest.raises(OSError, match=r"a\.json"):
        atomic_write.write_text(target, "new")
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["a.json", "kept"]


def test_a_writer_killed_before_the_end_leaves_the_old_file(tmp_path: Path) -> None:
    target = tmp_path / "a.json"
    atomic_write.write_text(target, "old")
    code = (
        "import os, signal, sys; from reco_platform.store import atomic_write;"
        "os.fsync = lambda _: os.kill(os.getpid(), signal.SIGKILL);"
        "atomic_write.write_text(sys.argv[1], 'new')"
    )
    run = subprocess.run([sys.executable, "-c", code, str(target)], check=False)
    assert run.returncode == -signal.SIGKILL
    assert target.read_text(encoding="utf-8") == "old"


def test_a_private_file_and_its_folder_are_for_their_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "new" / "secret.properties"
    atomic_write.write_private(path, "old")
    atomic_write.write_private(path, "s3=cr#et\n")
    assert path.read_text(encoding="utf-8") == "s3=cr#et\n"
    assert (path.stat().st_mode & 0o777, path.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    assert list(path.parent.iterdir()) == [path]
