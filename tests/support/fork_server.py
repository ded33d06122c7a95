"""A process that has imported what programs of the project need, and runs each of them in a fork of itself.

Starting Python and importing numba, pandas and Snakemake takes most of the time of a small run. What a fork runs is the
real Snakemake with the real rules and scripts; only the imports are shared. The server has one thread, so that forking
is safe. `forked_runs.py` starts it.

A request is a JSON object and a newline, with three descriptors for the standard streams of a program to run:

    {"run": ["scripts/report.py", ...], "folder": ..., "environment": {...}, "umask": 18}
        is answered by the exit code in digits;
    {"serve": SOCKET, "source": FOLDER}
        by `ready` from a new server, which has also imported the project's modules in that folder, and ends when the
        connection is closed.
"""

from __future__ import annotations

import atexit
import importlib
import json
import os
import pkgutil
import runpy
import select
import shutil
import signal
import socket
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

LONGEST = 1 << 20  # bytes read at once
PACKAGES = (
    "numba", "pandas", "scipy.linalg", "scipy.sparse", "pyarrow.csv", "pyarrow.dataset", "pyarrow.parquet", "deltalake",
    "pandera.pandas", "jinja2", "matplotlib.figure", "matplotlib.backends.backend_svg", "snakemake.api",
    "snakemake.cli", "snakemake.dag", "snakemake.workflow",
)  # fmt: skip
LEFT_OUT = ("spark", "mlflow_worker", "pyfunc_model")
"""Modules of the project that few programs import, and that import much; by parts of their names."""


def import_all(names: Iterable[str]) -> None:
    """Imports modules; one that cannot be imported fails later, in the program that needs it."""
    for name in names:
        with suppress(Exception):
            importlib.import_module(name)


def modules_in(source: str) -> list[str]:
    """The project's modules in a folder, which they are imported from from now on."""
    sys.path.insert(0, source)
    package = importlib.import_module("reco_platform")
    found = (module.name for module in pkgutil.walk_packages(package.__path__, "reco_platform."))
    return [name for name in found if not any(part in name for part in LEFT_OUT)]


def serve(path: str, owner: int, ready: int) -> None:
    """Answers requests until the owner of this server has gone.

    Args:
        path: of the socket.
        owner: a descriptor that can be read at its end when the owner is gone.
        ready: a descriptor to write to when the server listens.
    """
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for the forks
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()
        os.write(ready, b"ready")
        while owner not in (readable := select.select([listener, owner], [], [])[0]):
            assert readable == [listener]
            connection, _ = listener.accept()
            if os.fork() == 0:
                listener.close()
                answer(connection)
            connection.close()


def answer(connection: socket.socket) -> None:
    """Does what a request asks, in a process of its own; does not return."""
    text, streams, _, _ = socket.recv_fds(connection, LONGEST, 3)
    while not text.endswith(b"\n"):
        text += connection.recv(LONGEST)
    request = json.loads(text)
    if "serve" in request:
        import_all(modules_in(request["source"]))
        serve(request["serve"], connection.fileno(), connection.fileno())
        os._exit(0)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    child = os.fork()
    if child == 0:
        connection.close()
        run(request, streams)
    for stream in streams:
        os.close(stream)
    _, status = os.waitpid(child, 0)
    with suppress(OSError):  # the test that asked has ended
        connection.sendall(str(os.waitstatus_to_exitcode(status)).encode())
    os._exit(0)


def run(request: dict[str, Any], streams: list[int]) -> None:
    """Runs a program and ends this process as Python would; does not return."""
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    sys.stdin, sys.stdout, sys.stderr = (
        os.fdopen(number, mode, buffering=1, closefd=False) for number, mode in enumerate("rww")
    )
    os.environ.clear()
    os.environ.update(request["environment"])
    os.chdir(request["folder"])
    os.umask(request["umask"])
    time.tzset()
    tempfile.tempdir = None  # TMPDIR may be another
    code = exit_code(request["run"])
    with suppress(BaseException):
        threading._shutdown()  # type: ignore[attr-defined]  # as Python does: waits for threads
    with suppress(BaseException):
        atexit._run_exitfuncs()
    for output in (sys.stdout, sys.stderr):
        with suppress(OSError):
            output.flush()
    os._exit(code)


def exit_code(words: list[str]) -> int:
    """Runs Snakemake or a program of the project, and gives its exit code."""
    sys.argv = words
    try:
        if words[0] == "snakemake":
            sys.executable = os.environ["RECO_TEST_PYTHON"]  # a run's PATH begins with its folder
            importlib.import_module("snakemake.cli").main(words[1:])
        else:
            sys.path.insert(0, str(Path(words[0]).resolve().parent))
            runpy.run_path(words[0], run_name="__main__")
    except SystemExit as end:
        if isinstance(end.code, str):
            print(end.code, file=sys.stderr)
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        traceback.print_exc()
        return 1
    return 0


if __name__ == "__main__":
    sys.path.pop(0)  # the folder of this file is no place to import from
    import_all(PACKAGES)
    serve(sys.argv[1], owner=0, ready=1)
    shutil.rmtree(Path(sys.argv[1]).parent)
