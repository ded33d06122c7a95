"""Standard streams that cannot fail: what cannot be shown must not end work that succeeds.

Letters that the encoding of the terminal lacks are replaced. If the reader of a pipe is gone (`reco status | head -1`),
or the disk with a redirected output is full, the rest of the output is dropped and the program goes on: its exit code
says how the work went.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from typing import Any

STREAMS = {"stdin": 0, "stdout": 1, "stderr": 2}


class SafeStream:
    """A text stream whose errors of writing are dropped; everything else is that of the stream itself."""

    def __init__(self, stream: Any) -> None:
        self.stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)

    def write(self, text: str) -> int:
        try:
            return int(self.stream.write(text))
        except (OSError, ValueError):  # no reader, no space, or closed
            self.drop()
            return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        try:
            self.stream.flush()
        except (OSError, ValueError):
            self.drop()

    def drop(self) -> None:
        """Sends the rest of the output nowhere, what is buffered included: Python flushes it when the process ends."""
        try:
            with open(os.devnull, "wb") as nowhere:  # noqa: PTH123
                os.dup2(nowhere.fileno(), self.stream.fileno())
        except (OSError, ValueError):  # it has no file
            self.stream = open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115


def prepare() -> None:
    """Makes this process's standard streams safe; where one is closed, so that no other file gets its number."""
    for name, number in STREAMS.items():
        try:
            os.fstat(number)
        except OSError:
            nowhere = os.open(os.devnull, os.O_RDWR)  # the lowest free number: usually this one
            if nowhere != number:
                os.dup2(nowhere, number)
                os.close(nowhere)
        if name != "stdin":
            setattr(sys, name, safe(getattr(sys, name)))


def safe(stream: Any) -> Any:
    """A stream that replaces letters which its encoding lacks, and whose errors are dropped."""
    if isinstance(stream, SafeStream):
        return stream
    if stream is None:
        stream = open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115
    if hasattr(stream, "reconfigure"):
        stream.reconfigure(errors="replace")
    return SafeStream(stream)
