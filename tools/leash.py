"""Runs a command that ends with whoever started it: `python tools/leash.py [--grace SECONDS] COMMAND ...`

The starter holds the other end of this program's standard input and lets go by closing it. The kernel closes it too
where the starter is killed, so nothing is left at work. The command's process group, a JVM that it started included, is
then asked to end (SIGTERM) and killed after the grace. Only the standard library.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress

GRACE = 10.0
BETWEEN_LOOKS = 0.05


def parser() -> argparse.ArgumentParser:
    shape = argparse.ArgumentParser(prog="tools/leash.py", description=__doc__)
    shape.add_argument("--grace", type=float, default=GRACE, help="seconds from SIGTERM to SIGKILL")
    shape.add_argument("command", nargs=argparse.REMAINDER, help="a program and its arguments")
    return shape


def end(group: int, grace: float) -> None:
    """Ends every process of a group: SIGTERM, and SIGKILL for what is still there after `grace` seconds."""
    with suppress(ProcessLookupError):  # nobody is left
        os.killpg(group, signal.SIGTERM)
        last = time.monotonic() + grace
        while time.monotonic() < last:
            time.sleep(BETWEEN_LOOKS)
            os.killpg(group, 0)
        os.killpg(group, signal.SIGKILL)


def wait_to_be_let_go() -> None:
    while os.read(sys.stdin.fileno(), 1024):
        pass


def main() -> int:
    arguments = parser().parse_args()
    process = subprocess.Popen(arguments.command, stdin=subprocess.DEVNULL, process_group=0)

    def end_it() -> None:
        wait_to_be_let_go()
        end(process.pid, arguments.grace)

    def pass_on(number: int, _: object) -> None:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, number)

    signal.signal(signal.SIGTERM, pass_on)
    threading.Thread(target=end_it, daemon=True).start()
    code = process.wait()
    end(process.pid, arguments.grace)  # what it leaves behind where it was killed alone
    return code if code >= 0 else 128 - code


if __name__ == "__main__":
    sys.exit(main())
