"""How far long work is, reported at most once a second."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

SECONDS = 1.0

Report = Callable[[str], None]
Part = TypeVar("Part")


def no_report(_: str) -> None:
    """Reports nothing."""


def reported(
    parts: Iterable[Part], report: Report, unit: str, total: float | None = None, length: Callable[[Any], int] = len
) -> Iterator[Part]:
    """Yields the parts, and reports the sum of their lengths while they pass.

    Args:
        parts: of some length each, such as batches of rows.
        report: called with lines such as `3,100,000 rows (about 42%)`; never during the first second.
        unit: of the lengths, plural.
        total: the expected sum, if it is known.
        length: of a part.
    """
    done, last = 0, time.monotonic()
    for part in parts:
        yield part
        done += length(part)
        if time.monotonic() - last >= SECONDS:
            last = time.monotonic()
            share = f" (about {min(99, round(100 * done / total))}%)" if total else ""
            report(f"{done:,} {unit}{share}")
