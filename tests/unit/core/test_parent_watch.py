"""Signals that end a process: the first is acted on, one at the same moment is ignored, a later one ends it."""

from __future__ import annotations

import signal
import subprocess
import sys

PROGRAM = """
import os, signal, time
from reco_platform.core import parent_watch

numbers = (signal.SIGINT, signal.SIGTERM)
parent_watch.install_signal_handlers()
signal.pthread_sigmask(signal.SIG_BLOCK, numbers)
for number in numbers:
    os.kill(os.getpid(), number)
try:
    signal.pthread_sigmask(signal.SIG_UNBLOCK, numbers)
    time.sleep(60)
except parent_watch.Stopped as stopped:
    print(stopped, flush=True)
    time.sleep(2 * parent_watch.SAME_STOP_SECONDS)
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(60)
"""


def test_two_signals_at_once_stop_a_process_once_and_a_later_one_ends_it() -> None:
    ran = subprocess.run([sys.executable, "-c", PROGRAM], check=False, text=True, capture_output=True, timeout=30)
    assert ran.stdout in ("stopped by SIGINT\n", "stopped by SIGTERM\n"), "the system chooses which comes first"
    assert ran.stderr == ""
    assert ran.returncode == -signal.SIGTERM
