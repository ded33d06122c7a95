"""Whether a difference between two systems is significant."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def verdict(metric: str, difference: Mapping[str, Any]) -> str:
    """`better` or `worse` if the interval of the difference excludes 0, otherwise `undecided`."""
    low, high = difference["low"], difference["high"]
    if low is None or low <= 0 <= high:
        return "undecided"
    return "better" if (high < 0) == metric.startswith("rmse") else "worse"
