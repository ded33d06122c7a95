"""Runs of Snakemake and of the project's programs in forks of a process that has imported what they need.

A small run takes a fourth of the processor time that it takes in new processes; see `fork_server.py`. It differs from
them in this: a step is no child of its Snakemake, and hash seed, locale and limits are those of the server. What tests
these runs in new processes.
"""

from __future__ import annotations

import os
import shlex
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from reco_platform.spark.submit import USER_VARIABLES
from support import fork_client, fork_server

MOST_PROJECTS = 2
"""Of how many projects the servers are kept; each takes about 100 MB."""


@dataclass(frozen=True)
class Server:
    """A server that has imported the code of one project."""

    path: Path
    connection: socket.socket

    programs: Path

    @property
    def variables(self) -> dict[str, str]:
        """Environment variables by which programs reach this server."""
        return {fork_client.SERVER: str(self.path), fork_client.PYTHON: str(self.programs / "python")}

    def run(
        self, words: Sequence[str], folder: Path, environment: Mapping[str, str]
    ) -> subprocess.CompletedProcess[str]:
        with (
            Path(os.devnull).open() as nothing,
            tempfile.TemporaryFile("w+") as out,
            tempfile.TemporaryFile("w+") as error,
        ):
            streams = [nothing.fileno(), out.fileno(), error.fileno()]
            code = fork_client.run(str(self.path), list(words), str(folder), {**environment, **self.variables}, streams)
            for stream in (out, error):
                stream.seek(0)
            return subprocess.CompletedProcess(list(words), code, out.read(), error.read())


class Servers:
    """The first server, which has imported packages alone, and its forks for the projects that ran last.

    All of them end with this process, and the first removes their folder.
    """

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="fork-"))
        self.programs = self.folder / "bin"
        self.programs.mkdir()
        client = [sys.executable, "-I", "-S", fork_client.__file__]
        for name, words in {"python": client, "snakemake": [*client, "snakemake"]}.items():
            (self.programs / name).write_text(f'#!/bin/sh\nexec {shlex.join(words)} "$@"\n', "utf-8")
            (self.programs / name).chmod(0o755)
        self.known: dict[str, Server] = {}
        self.count = 0
        self.process = subprocess.Popen(
            [sys.executable, fork_server.__file__, str(self.folder / "first")],
            env={name: value for name, value in os.environ.items() if name not in USER_VARIABLES},
            cwd="/", stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )  # fmt: skip
        assert self.process.stdout and self.process.stdout.read(5) == b"ready"

    def of(self, root: Path) -> Server:
        """The server for the code of a project as it is now."""
        state = state_of(root)
        if state not in self.known:
            while len(self.known) >= MOST_PROJECTS:
                self.known.pop(next(iter(self.known))).connection.close()
            self.known[state] = self.new(root)
        return self.known[state]

    def new(self, root: Path) -> Server:
        self.count += 1
        path, connection = self.folder / str(self.count), socket.socket(socket.AF_UNIX)
        request = {"serve": str(path), "source": str(root / "src")}
        fork_client.ask(connection, str(self.folder / "first"), request)
        assert connection.recv(5) == b"ready"
        return Server(path, connection, self.programs)


def state_of(root: Path) -> str:
    """Tells a project's code from every other: where it lies, and time and size of each file."""
    looks = {path: path.stat() for path in sorted((root / "src").rglob("*")) if "__pycache__" not in path.parts}
    return f"{root} {hash(tuple((str(path), look.st_mtime_ns, look.st_size) for path, look in looks.items()))}"


@cache
def servers() -> Servers:
    """Those of this test process."""
    return Servers()


def run(words: Sequence[str], folder: Path, environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """Runs Snakemake or a program of the project in a project's folder, as `subprocess.run` does with `capture_output`.

    Args:
        words: `snakemake` or the path of a Python program, and arguments.
        folder: of the project.
        environment: of the program.
    """
    return servers().of(folder).run(words, folder, environment)


def shell(command: str, folder: Path, environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """Runs a command line in a project's folder, in which `snakemake` and `python` run in forks."""
    server = servers().of(folder)
    path = f"{server.programs}{os.pathsep}{environment['PATH']}"
    return subprocess.run(
        ["bash", "-c", command], cwd=folder, env={**environment, **server.variables, "PATH": path},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
