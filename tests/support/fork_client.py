"""Requests to a fork server (`fork_server.py`). As a program it replaces Python in a forked run of Snakemake."""

from __future__ import annotations

import json
import os
import socket
import sys
from collections.abc import Iterable
from typing import Any

SERVER, PYTHON = "RECO_TEST_FORK_SERVER", "RECO_TEST_PYTHON"
"""Environment variables of a forked run: the server's socket, and the program that replaces Python."""

LONGEST = 1 << 20  # bytes read at once


def ask(connection: socket.socket, path: str, request: dict[str, Any], streams: Iterable[int] = ()) -> None:
    """Sends a request to a server, with descriptors for the standard streams of the program to run."""
    connection.connect(path)
    text = json.dumps(request).encode() + b"\n"
    sent = socket.send_fds(connection, [text], list(streams))
    connection.sendall(text[sent:])


def run(path: str, words: list[str], folder: str, environment: dict[str, str], streams: Iterable[int]) -> int:
    """Has a program run, and gives its exit code, negative for a signal."""
    mask = os.umask(0)
    os.umask(mask)
    request = {"run": words, "folder": folder, "environment": environment, "umask": mask}
    with socket.socket(socket.AF_UNIX) as connection:
        ask(connection, path, request, streams)
        return int(connection.recv(LONGEST))


if __name__ == "__main__":
    code = run(os.environ[SERVER], sys.argv[1:], os.getcwd(), dict(os.environ), (0, 1, 2))  # noqa: PTH109  # no import
    sys.exit(code if code >= 0 else 128 - code)
