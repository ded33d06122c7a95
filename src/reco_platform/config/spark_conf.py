"""Parsing and formatting of Spark settings in the config key spark_conf."""

from __future__ import annotations

import json
import re
from typing import Any

SETTING_NAME = r"spark\.[\w./-]+"


def parse_settings(value: Any) -> dict[str, Any]:
    """Spark settings by name, from a mapping or from text: JSON, or `spark.a=1,spark.b=2`.

    Raises:
        ValueError: for text that is neither.
    """
    if not isinstance(value, str):
        return dict(value)
    if value.lstrip().startswith("{"):
        found: dict[str, Any] = json.loads(value)
        return found
    pairs = [pair.partition("=") for pair in re.split(r",\s*(?=[\w.]+=)", value)]
    if not all(separator for _, separator, _ in pairs):
        raise ValueError("a setting without a value")
    return {name.strip(): each for name, _, each in pairs}


def setting_text(value: Any) -> Any:
    """A Spark setting's value as Spark reads it."""
    return str(value).lower() if isinstance(value, bool) else value


def as_argument(value: Any) -> Any:
    """A value in the syntax of `--config`: settings joined by commas."""
    return ",".join(f"{name}={each}" for name, each in value.items()) if isinstance(value, dict) else value
