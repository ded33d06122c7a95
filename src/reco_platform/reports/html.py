"""Render the HTML pages of runs and sweeps, each one file without external resources; number formats of both pages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

TEMPLATES = Path(__file__).parent / "templates"


@dataclass(frozen=True)
class Table:
    """A table of texts; the first cell of each row is its name."""

    caption: str
    head: Sequence[str]
    rows: Sequence[Sequence[str]]


def render(template: str, **values: Any) -> str:
    """A page from its template, with all values escaped. The same values give the same bytes."""
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True,
    )  # fmt: skip
    environment.filters |= {
        "count": format_count, "share": format_share, "time": format_time, "config_value": format_config_value,
    }  # fmt: skip
    return environment.get_template(template).render(**values)


# --- number formats


def format_count(number: int) -> str:
    return f"{number:,}"


def format_share(number: float | None) -> str:
    return "-" if number is None else f"{number:.1%}"


def format_time(text: str) -> str:
    """2019-04-16T15:21:15.000000Z as 2019-04-16 15:21 UTC."""
    return f"{text[:10]} {text[11:16]} UTC"


def format_config_value(value: Any) -> str:
    """A parameter's value as it is written in config."""
    return str(value).lower() if isinstance(value, bool) else "-" if value is None else str(value)
