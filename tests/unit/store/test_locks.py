"""One process at a time holds a folder, and a lock ends with its process."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from reco_platform.store import locks


def test_a_held_folder_is_refused_and_names_its_holder(tmp_path: Path) -> None:
    folder = tmp_path / "lakehouse"
    assert locks.lock_holder(folder) is None
    lock = locks.acquire_lock(folder)
    assert lock is not None
    with lock:
        assert locks.acquire_lock(folder) is None
        assert locks.lock_holder(folder) == str(os.getpid())
    assert locks.lock_holder(folder) is None
    again = locks.acquire_lock(folder)
    assert again is not None
    again.close()


def test_the_lock_of_a_killed_process_is_free(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from reco_platform.store import locks;"
        "lock = locks.acquire_lock(Path(sys.argv[1])); print('held', flush=True); input()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        assert locks.lock_holder(tmp_path) == str(process.pid)
        process.kill()
    assert locks.lock_holder(tmp_path) is None
