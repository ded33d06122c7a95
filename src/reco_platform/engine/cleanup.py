"""What a run leaves when it is stopped or killed: steps under way, temporary files. Seen to by itself, or by the next.

A mark in the folder of the runs names the folder of temporary files. A run that ends well removes both, so a mark that
is found says that the run before was killed, or that a step of it failed.
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

MARK = ".unfinished"
PREFIX = "reco-run-"
SOURCES = "snakemake-runtime-cache"  # where Snakemake copies the files of a workflow to, in a folder for each run
GRACE = 5.0  # seconds from SIGTERM to SIGKILL
BETWEEN_LOOKS = 0.1
PLUMBING = frozenset({"bash", "sh", "tee"})  # they end with the programs that they serve, and carry their last words


# --- temporary files


def begin(lakehouse: Lakehouse, snakemakes: Sequence[str] = ()) -> Path:
    """Makes the folder for temporary files of this run, and the mark that names it.

    Args:
        lakehouse: the lakehouse.
        snakemakes: the folders for temporary files that Snakemake has made of its own accord.
    """
    mark = lakehouse.runs / MARK
    scratch = scratch_folder()
    atomic_write.write_text(mark, "".join(f"{path}\n" for path in (scratch, *snakemakes)))
    return scratch


def scratch_folder() -> Path:
    """A new folder for the temporary files of this run and its steps, removed at its end."""
    scratch = Path(tempfile.mkdtemp(prefix=PREFIX))
    parent_watch.create_pipe(scratch)
    tempfile.tempdir = str(scratch)  # Snakemake takes its jobs' TMPDIR from here
    atexit.register(shutil.rmtree, scratch, ignore_errors=True)
    return scratch


def recover(lakehouse: Lakehouse) -> None:
    """Waits for the last step of a killed run, and removes what was half-written.

    To be called by who holds the lakehouse's lock.

    Raises:
        TableError: if a step of a run that was killed does not end.
    """
    mark = lakehouse.runs / MARK
    if not mark.is_file():
        return
    for folder in named(mark):
        parent_watch.wait_for_steps(folder)
        shutil.rmtree(folder, ignore_errors=True)
    roots: dict[str, StorePath] = {str(lakehouse.records): lakehouse.records, lakehouse.root: lakehouse.path}
    for root in roots.values():
        for pending in [*root.rglob(f"{manifests.PENDING}.json")]:
            publish.remove_leftovers(pending.parent.parent)
        for path in [*root.rglob(atomic_write.TEMPORARY_FILES), *root.rglob(f"{publish.STAGING}-*")]:
            remove_tree(path) if path.is_dir() else path.unlink(missing_ok=True)


def named(mark: Path) -> list[Path]:
    """The folders for temporary files that a mark names, as far as they are there."""
    return [path for path in map(Path, mark.read_text(encoding="utf-8").splitlines()) if is_ours(path)]


def is_ours(folder: Path) -> bool:
    """Whether a mark names a folder such as runs of this user make: it is removed with all in it."""
    if folder.is_symlink() or not folder.is_dir() or folder.stat().st_uid != os.getuid():
        return False
    ours = folder.name.startswith(PREFIX) and (folder / parent_watch.PIPE).is_fifo()
    return ours or folder.name.startswith("snakemake") or folder.parent.name == SOURCES


def ended_well(lakehouse: Lakehouse) -> None:
    """Says that this run leaves nothing half-written: at the end of its process the mark goes."""
    atexit.register(clear_up, lakehouse)


def clear_up(lakehouse: Lakehouse) -> None:
    """Removes the temporary files of a run that leaves nothing half-written, and then the mark that names them."""
    mark = lakehouse.runs / MARK
    if mark.is_file():  # it goes with a lakehouse that was moved meanwhile
        for folder in named(mark):
            shutil.rmtree(folder, ignore_errors=True)
        mark.unlink()


# --- signals


def install_signal_handlers() -> None:
    """Makes SIGINT, SIGTERM and SIGHUP end the steps under way; a second signal ends this process at once.

    To be called when Snakemake has set up its own: on SIGTERM it waits for running jobs, hours perhaps, and on SIGINT
    it relies on the terminal to tell them.
    """

    def stop(number: int) -> None:
        name = signal.Signals(number).name
        with suppress(OSError):  # a terminal that has gone away
            print(
                f"[ERROR] stopped by {name}: the steps under way are ended\n  -> {parent_watch.RERUN_HINT}",
                file=sys.stderr,
            )
        threading.Thread(target=end_steps, daemon=True).start()
        raise KeyboardInterrupt

    parent_watch.on_first_signal((signal.SIGINT, signal.SIGTERM, signal.SIGHUP), stop)


def end_steps() -> None:
    """Asks every program below this process to end, and kills what is there after the grace; until nothing is left."""
    last = time.monotonic() + GRACE
    asked: set[psutil.Process] = set()
    while True:
        there = set(psutil.Process().children(recursive=True))
        for process in there if time.monotonic() > last else there - asked:
            end(process, by_force=time.monotonic() > last)
        asked |= there
        time.sleep(BETWEEN_LOOKS)


def end(process: psutil.Process, *, by_force: bool) -> None:
    with suppress(psutil.Error):
        if by_force:
            process.kill()
        elif process.name() not in PLUMBING:
            process.terminate()
