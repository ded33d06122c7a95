"""A step ends with the run that it belongs to, however that ends.

The run holds the writing end of a named pipe, which the kernel closes with its process. A step that reads from the pipe
is told so at once, without asking again and again, and without process ids, which may by then be another's.
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

SCRATCH = "RECO_SCRATCH"
"""Names the folder for the temporary files of a run, which has the pipe in it."""

PIPE = "alive"
PATIENCE = 60.0  # seconds in which a step that has lost its run is gone, a long write to a slow disk included
BETWEEN_LOOKS = 0.05
GO_ON = "run the same command again: what is finished stays"


class Stopped(KeyboardInterrupt):
    """A signal that asks this process to end."""

    def __init__(self, number: int) -> None:
        self.number = number
        super().__init__(f"stopped by {signal.Signals(number).name}")

    @property
    def exit_code(self) -> int:
        return 128 + self.number


def stopped_by(error: KeyboardInterrupt) -> Stopped:
    """The signal behind an interrupt: pyspark has a handler of SIGINT of its own, which raises a plain one."""
    return error if isinstance(error, Stopped) else Stopped(signal.SIGINT)


def install_signal_handlers() -> None:
    """Makes SIGINT, SIGTERM and SIGHUP raise `Stopped`."""

    def stop(number: int) -> None:
        raise Stopped(number)

    on_first((signal.SIGINT, signal.SIGTERM, signal.SIGHUP), stop)


def on_first(numbers: Sequence[signal.Signals], act: Callable[[int], None]) -> None:
    """Calls `act` with the first of these signals; one that comes with it is passed over, a later one ends the process.

    One that is ignored already stays so: as SIGHUP by nohup, that work may outlive its terminal.

    Args:
        numbers: of the signals.
        act: may raise; it is called in the main thread.
    """
    acted = False
    heeded = [each for each in numbers if signal.getsignal(each) is not signal.SIG_IGN]

    def handle(number: int, _: FrameType | None) -> None:
        nonlocal acted
        if acted:
            return
        acted = True
        for each in heeded:
            signal.signal(each, signal.SIG_DFL)
        act(number)

    for each in heeded:
        signal.signal(each, handle)


# --- the run's side


def hold(folder: Path) -> int:
    """Makes the pipe in a folder and holds it as long as this process lives; gives its descriptor."""
    path = folder / PIPE
    os.mkfifo(path, 0o600)
    return os.open(path, os.O_RDWR | os.O_NONBLOCK)  # not inherited by any child


def wait_for_steps(folder: Path, patience: float = PATIENCE) -> None:
    """Waits until no step of a run that was killed is left.

    Args:
        folder: of that run's temporary files.
        patience: seconds.

    Raises:
        TableError: if one is still there after that.
    """
    last = time.monotonic() + patience
    while being_read(folder / PIPE):
        if time.monotonic() > last:
            raise TableError(
                f"a step of a run that was killed is still at work: it reads {folder / PIPE}",
                f"see which process it is, end it, then run again: fuser -v {folder / PIPE}",
            )
        time.sleep(BETWEEN_LOOKS)


def being_read(pipe: Path) -> bool:
    """Whether a process has a pipe open to read."""
    try:
        os.close(os.open(pipe, os.O_WRONLY | os.O_NONBLOCK))
    except OSError as error:
        if error.errno in (errno.ENXIO, errno.ENOENT):
            return False
        raise
    return True


# --- a step's side


def watch(environ: Mapping[str, str] = os.environ) -> None:
    """Sees to it that this process ends with its run, where it is part of one."""
    folder = environ.get(SCRATCH)
    if not folder:
        return
    try:
        pipe = os.open(Path(folder) / PIPE, os.O_RDONLY | os.O_NONBLOCK)
    except FileNotFoundError:  # Java took its time to start Python, and the run after has cleared up
        end_with_run()
    with suppress(BlockingIOError):  # which says that somebody holds the other end
        if os.read(pipe, 1) == b"":
            end_with_run()
    threading.Thread(target=wait_for_end, args=(pipe,), daemon=True).start()


def wait_for_end(pipe: int) -> None:
    poll = select.poll()
    poll.register(pipe, 0)  # the other end's closing is told unasked
    poll.poll()
    end_with_run()


def end_with_run() -> None:
    """Ends this process without any more work."""
    with suppress(OSError):
        print(f"[ERROR] the run that this step belongs to was killed, so it ends too\n  -> {GO_ON}", file=sys.stderr)
        sys.stderr.flush()
    os._exit(1)
