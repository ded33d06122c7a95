"""Cleanup after a run that was stopped or killed: running steps and temporary files.

Each run writes a marker file that lists its folders for temporary files. A successful run removes the folders and the
marker. A marker that is still there means that the previous run was killed or that one of its steps failed; the next
run then removes what it left.
"""

from __future__ import annotations

import atexit
import os
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import psutil  # type: ignore[import-untyped]

from reco_platform.core import parent_watch
from reco_platform.lakehouse import manifests, publish
from reco_platform.lakehouse.layout import Lakehouse
from reco_platform.store import atomic_write
from reco_platform.store.paths import StorePath, remove_tree

MARKER = ".unfinished"
PREFIX = "reco-run-"
SOURCE_CACHE = "snakemake-runtime-cache"  # Snakemake copies the workflow's files here, in one folder per run
GRACE_SECONDS = 5.0  # from SIGTERM to SIGKILL
POLL_SECONDS = 0.1
LOG_PIPES = frozenset({"bash", "sh", "tee"})  # left to exit by themselves: they still write the steps' last output


# --- temporary files


def begin(lakehouse: Lakehouse, snakemake_folders: Sequence[str] = ()) -> Path:
    """Creates the run's folder for temporary files, and the marker that lists it.

    Args:
        lakehouse: the lakehouse.
        snakemake_folders: folders for temporary files that Snakemake has created itself.
    """
    marker = lakehouse.runs / MARKER
    folder = scratch_folder()
    atomic_write.write_text(marker, "".join(f"{path}\n" for path in (folder, *snakemake_folders)))
    return folder


def scratch_folder() -> Path:
    """Creates a folder for the temporary files of this run and its steps; it is removed when the process exits."""
    folder = Path(tempfile.mkdtemp(prefix=PREFIX))
    parent_watch.create_pipe(folder)
    tempfile.tempdir = str(folder)  # Snakemake takes its jobs' TMPDIR from here
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def recover(lakehouse: Lakehouse) -> None:
    """Waits for the remaining steps of a killed run, and removes its incomplete files.

    The caller must hold the lakehouse's lock.

    Raises:
        TableError: if a step of the killed run does not exit.
    """
    marker = lakehouse.runs / MARKER
    if not marker.is_file():
        return
    for folder in marked_folders(marker):
        parent_watch.wait_for_steps(folder)
        shutil.rmtree(folder, ignore_errors=True)
    roots: dict[str, StorePath] = {str(lakehouse.records): lakehouse.records, lakehouse.root: lakehouse.path}
    for root in roots.values():
        for pending in [*root.rglob(f"{manifests.PENDING}.json")]:
            publish.remove_leftovers(pending.parent.parent)
        for old in [*root.rglob(f"{publish.PREVIOUS}-*")]:
            publish.finish_swap(old.with_name(old.name.removeprefix(f"{publish.PREVIOUS}-")))
        for path in [*root.rglob(atomic_write.TEMPORARY_FILES), *root.rglob(f"{publish.STAGING}-*")]:
            remove_tree(path) if path.is_dir() else path.unlink(missing_ok=True)


def marked_folders(marker: Path) -> list[Path]:
    """The temporary folders listed in a marker that still exist."""
    return [path for path in map(Path, marker.read_text(encoding="utf-8").splitlines()) if is_temporary_folder(path)]


def is_temporary_folder(folder: Path) -> bool:
    """Whether a folder listed in a marker looks like one created by a run of this user, and is safe to remove."""
    if folder.is_symlink() or not folder.is_dir() or folder.stat().st_uid != os.getuid():
        return False
    created_here = folder.name.startswith(PREFIX) and (folder / parent_watch.PIPE).is_fifo()
    return created_here or folder.name.startswith("snakemake") or folder.parent.name == SOURCE_CACHE


def remove_temporary_files_at_exit(lakehouse: Lakehouse) -> None:
    """Removes the temporary files and the marker when the process exits, after a successful run."""
    atexit.register(remove_temporary_files, lakehouse)


def remove_temporary_files(lakehouse: Lakehouse) -> None:
    """Removes the temporary files of a completed run, then the marker that lists them."""
    marker = lakehouse.runs / MARKER
    if marker.is_file():  # missing if the lakehouse was moved in the meantime
        for folder in marked_folders(marker):
            shutil.rmtree(folder, ignore_errors=True)
        marker.unlink()


# --- signals


def install_signal_handlers() -> None:
    """Makes SIGINT, SIGTERM and SIGHUP stop the running steps; a second signal ends this process immediately.

    Call this after Snakemake has installed its own handlers. They wait for running jobs on SIGTERM, which may take
    hours, and on SIGINT they rely on the terminal to signal the jobs.
    """

    def stop(number: int) -> None:
        name = signal.Signals(number).name
        with suppress(OSError):  # the terminal may be closed
            print(
                f"[ERROR] stopped by {name}: running steps are terminated\n  -> {parent_watch.RERUN_HINT}",
                file=sys.stderr,
            )
        threading.Thread(target=stop_steps, daemon=True).start()
        raise KeyboardInterrupt

    parent_watch.on_first_signal((signal.SIGINT, signal.SIGTERM, signal.SIGHUP), stop)


def stop_steps() -> None:
    """Terminates all child processes, kills those left after GRACE_SECONDS, and repeats until the process exits."""
    deadline = time.monotonic() + GRACE_SECONDS
    terminated: set[psutil.Process] = set()
    while True:
        running = set(psutil.Process().children(recursive=True))
        for process in running if time.monotonic() > deadline else running - terminated:
            stop_process(process, by_force=time.monotonic() > deadline)
        terminated |= running
        time.sleep(POLL_SECONDS)


def stop_process(process: psutil.Process, *, by_force: bool) -> None:
    with suppress(psutil.Error):
        if by_force:
            process.kill()
        elif process.name() not in LOG_PIPES:
            process.terminate()
