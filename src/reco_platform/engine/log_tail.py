"""The last meaningful line of a log, skipping stack frames and progress bars."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

TAIL_BYTES = 256 * 1024
MAX_LENGTH = 600

ANSI_CODES = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]")
NOISE = re.compile(
    r"\s"  # stack frames, source lines and continuation lines are indented
    r"|at [\w.$/<>]+\(|\.\.\. \d+ more|Driver stacktrace:"
    r"|\d\d/\d\d/\d\d \d\d:\d\d:\d\d (INFO|DEBUG|TRACE) "
    r"|.*(\d+%\s*\||\d+%[|\s]*[#=█>-]|\[Stage \d+:|[█▏▎▍▌▋▊▉]|={5}|#{5})"  # progress bars
)
ERROR_LINE = re.compile(r"\[ERROR\] ")
HINT = "  -> "


def last_meaningful_line(path: Path) -> tuple[str, str]:
    """The last meaningful line of a log and the hint that follows it; each is empty if there is none.

    The project's own `[ERROR]` lines are written for users, so the last of them takes precedence over later lines.
    """
    lines = list(meaningful_lines(tail(path)))
    error_line = next((line for line in reversed(lines) if ERROR_LINE.match(line)), "")
    if not error_line:
        return next((line for line in reversed(lines) if not line.startswith(HINT)), "")[:MAX_LENGTH], ""
    after = lines[len(lines) - lines[::-1].index(error_line) :]
    hint = next((line.removeprefix(HINT) for line in after if line.startswith(HINT)), "")
    return error_line[:MAX_LENGTH], hint


def tail(path: Path) -> str:
    """The last TAIL_BYTES of a log; empty if it cannot be read."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - TAIL_BYTES))
            return file.read().decode("utf-8", errors="replace")
    except OSError:
        return ""


def meaningful_lines(text: str) -> Iterator[str]:
    """The lines without noise; of a line overwritten with carriage returns, as by progress bars, the final text."""
    for line in text.split("\n"):
        shown = ANSI_CODES.sub("", line).rstrip("\r").rpartition("\r")[2].rstrip()
        if shown and (shown.startswith(HINT) or not NOISE.match(shown)):
            yield shown
