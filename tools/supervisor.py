"""Run a command that ends with the process that started it: `python tools/supervisor.py [--grace SECONDS] COMMAND ...`

The starter keeps the other end of this program's standard input open. Closing it stops the command; the kernel also
closes it when the starter is killed, so no process is left over. The command's process group, including a JVM that it
started, then gets SIGTERM, and SIGKILL after the grace period. Uses only the standard library.
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
POLL_SECONDS = 0.05


def argument_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="tools/supervisor.py", description=__doc__)
    parser.add_argument("--grace", type=float, default=GRACE, help="seconds from SIGTERM to SIGKILL")
    parser.add_argument("command", nargs=argparse.REMAINDER, help="a program and its arguments")
    return parser


def end_group(group: int, grace: float) -> None:
    """Ends every process of a group: SIGTERM, and SIGKILL for those that are left after `grace` seconds."""
    with suppress(ProcessLookupError):  # no process is left
        os.killpg(group, signal.SIGTERM)
        last = time.monotonic() + grace
        while time.monotonic() < last:
            time.sleep(POLL_SECONDS)
            os.killpg(group, 0)
        os.killpg(group, signal.SIGKILL)


def wait_until_stdin_closes() -> None:
    while os.read(sys.stdin.fileno(), 1024):
        pass


def main() -> int:
    arguments = argument_parser().parse_args()
    process = subprocess.Popen(arguments.command, stdin=subprocess.DEVNULL, process_group=0)

    def end_with_starter() -> None:
        wait_until_stdin_closes()
        end_group(process.pid, arguments.grace)

    def forward(number: int, _: object) -> None:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, number)

    signal.signal(signal.SIGTERM, forward)
    threading.Thread(target=end_with_starter, daemon=True).start()
    code = process.wait()
    end_group(process.pid, arguments.grace)  # processes of the group that outlive the command
    return code if code >= 0 else 128 - code


if __name__ == "__main__":
    sys.exit(main())
