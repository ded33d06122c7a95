"""The last line of a log that means something: not a frame of a stack, not a progress bar."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

TAIL_BYTES = 256 * 1024
LONGEST = 300

COLOURS = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]")
NOISE = re.compile(
    r"\s"  # frames and source lines of a stack, the rest of a message
    r"|at [\w.$/<>]+\(|\.\.\. \d+ more|Driver stacktrace:"
    r"|\d\d/\d\d/\d\d \d\d:\d\d:\d\d (INFO|DEBUG|TRACE) "
    r"|.*(\d+%\s*\||\d+%[|\s]*[#=█>-]|\[Stage \d+:|[█▏▎▍▌▋▊▉]|={5}|#{5})"  # bars
)
OURS = re.compile(r"\[ERROR\] ")
HINT = "  -> "


def last_words(path: Path) -> tuple[str, str]:
    """What a log says last, and what it says to do next; each empty where there is nothing.

    An `[ERROR]` line is ours and meant for people: the last of them comes before whatever follows it.
    """
    lines = list(meaningful(tail(path)))
    said = next((line for line in reversed(lines) if OURS.match(line)), "")
    if not said:
        return next((line for line in reversed(lines) if not line.startswith(HINT)), "")[:LONGEST], ""
    after = lines[len(lines) - lines[::-1].index(said) :]
    hint = next((line.removeprefix(HINT) for line in after if line.startswith(HINT)), "")
    return said[:LONGEST], hint


def tail(path: Path) -> str:
    """The end of a log; of one that is not there nothing."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - TAIL_BYTES))
            return file.read().decode("utf-8", errors="replace")
    except OSError:
        return ""


def meaningful(text: str) -> Iterator[str]:
    """Its lines without noise; of one that was written over, as bars are, what stood there at the end."""
    for line in text.split("\n"):
        shown = COLOURS.sub("", line).rstrip("\r").rpartition("\r")[2].rstrip()
        if shown and (shown.startswith(HINT) or not NOISE.match(shown)):
            yield shown
