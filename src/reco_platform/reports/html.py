"""What the pages of runs and sweeps share: each is one HTML file that needs nothing else, and writes values alike."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

TEMPLATES = Path(__file__).parent / "templates"


@dataclass(frozen=True)
class Table:
    """A table of texts; the first word of each row is its name."""

    caption: str
    head: Sequence[str]
    rows: Sequence[Sequence[str]]


def rendered(template: str, **values: Any) -> str:
    """A page from its template, escaped throughout. The same values give the same bytes."""
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True,
    )  # fmt: skip
    environment.filters |= {"count": count, "share": share, "moment": moment, "shown": shown}
    return environment.get_template(template).render(**values)


# --- numbers in words


def count(number: int) -> str:
    return f"{number:,}"


def share(number: float | None) -> str:
    return "-" if number is None else f"{number:.1%}"


def moment(text: str) -> str:
    """2019-04-16T15:21:15.000000Z as 2019-04-16 15:21 UTC."""
    return f"{text[:10]} {text[11:16]} UTC"


def shown(value: Any) -> str:
    """A parameter's value as it is written in config."""
    return str(value).lower() if isinstance(value, bool) else "-" if value is None else str(value)
