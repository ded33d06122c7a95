"""Make a step exit when its run ends, however the run ends.

The run's main process holds the writing end of a named pipe, which the kernel closes when that process ends. A step
reads from the pipe and is notified at once, without polling and without process ids, which the system may reuse.
"""

from __future__ import annotations

import errno
import os
import select
import signal
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import FrameType

from reco_platform.core.errors import TableError

SCRATCH_VARIABLE = "RECO_SCRATCH"
"""Environment variable: the folder for a run's temporary files, which contains the pipe."""

PIPE = "alive"
EXIT_SECONDS = 60.0  # within which a step that has lost its run exits, even during a long write to a slow disk
POLL_SECONDS = 0.05
SAME_STOP_SECONDS = 0.5
"""Signals that follow the first within this time belong to it: a terminal and a parent process both send one."""

RERUN_HINT = "run the same command again: finished results are kept"


class Stopped(KeyboardInterrupt):
    """A signal that asks this process to end."""

    def __init__(self, number: int) -> None:
        self.number = number
        super().__init__(f"stopped by {signal.Signals(number).name}")

    @property
    def exit_code(self) -> int:
        return 128 + self.number


def as_stopped(error: KeyboardInterrupt) -> Stopped:
    """The interrupt as `Stopped`: pyspark's own SIGINT handler raises a plain KeyboardInterrupt."""
    return error if isinstance(error, Stopped) else Stopped(signal.SIGINT)


def install_signal_handlers() -> None:
    """Makes SIGINT, SIGTERM and SIGHUP raise `Stopped`."""

    def stop(number: int) -> None:
        raise Stopped(number)

    on_first_signal((signal.SIGINT, signal.SIGTERM, signal.SIGHUP), stop)


def on_first_signal(numbers: Sequence[signal.Signals], act: Callable[[int], None]) -> None:
    """Calls `act` with the first of these signals. One that follows at once is ignored; a later one ends the process.

    A signal that is already ignored stays ignored, such as SIGHUP under nohup.

    Args:
        numbers: the signals.
        act: may raise; it is called in the main thread.
    """
    first: float | None = None

    def handle(number: int, _: FrameType | None) -> None:
        nonlocal first
        if first is None:
            first = time.monotonic()
            act(number)
        elif time.monotonic() - first > SAME_STOP_SECONDS:
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)

    for each in numbers:
        if signal.getsignal(each) is not signal.SIG_IGN:
            signal.signal(each, handle)


# --- in the run's main process


def create_pipe(folder: Path) -> int:
    """Creates the pipe in a folder and opens it for as long as this process lives; returns its descriptor."""
    path = folder / PIPE
    os.mkfifo(path, 0o600)
    return os.open(path, os.O_RDWR | os.O_NONBLOCK)  # child processes do not inherit it


def wait_for_steps(folder: Path, timeout: float = EXIT_SECONDS) -> None:
    """Waits until all steps of a killed run have exited.

    Args:
        folder: the killed run's temporary files.
        timeout: seconds.

    Raises:
        TableError: a step is still running after that.
    """
    deadline = time.monotonic() + timeout
    while has_reader(folder / PIPE):
        if time.monotonic() > deadline:
            raise TableError(
                f"a step of a killed run is still running: it has {folder / PIPE} open",
                f"find its process, end it, then run again: fuser -v {folder / PIPE}",
            )
        time.sleep(POLL_SECONDS)


def has_reader(pipe: Path) -> bool:
    """Whether a process has the pipe open for reading."""
    try:
        os.close(os.open(pipe, os.O_WRONLY | os.O_NONBLOCK))
    except OSError as error:
        if error.errno in (errno.ENXIO, errno.ENOENT):
            return False
        raise
    return True


# --- in a step


def watch_run(environ: Mapping[str, str] = os.environ) -> None:
    """Makes this process exit when its run ends; does nothing where it is not part of a run."""
    folder = environ.get(SCRATCH_VARIABLE)
    if not folder:
        return
    try:
        pipe = os.open(Path(folder) / PIPE, os.O_RDONLY | os.O_NONBLOCK)
    except FileNotFoundError:  # Java started Python so late that the next run has removed this run's files
        exit_with_run()
    with suppress(BlockingIOError):  # means that the other end is open
        if os.read(pipe, 1) == b"":
            exit_with_run()
    threading.Thread(target=wait_for_end, args=(pipe,), daemon=True).start()


def wait_for_end(pipe: int) -> None:
    poll = select.poll()
    poll.register(pipe, 0)  # POLLHUP is reported without being requested
    poll.poll()
    exit_with_run()


def exit_with_run() -> None:
    """Ends this process without running anything else."""
    with suppress(OSError):
        print(f"[ERROR] the run of this step was killed, so the step exits too\n  -> {RERUN_HINT}", file=sys.stderr)
        sys.stderr.flush()
    os._exit(1)
