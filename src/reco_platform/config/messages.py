"""Error messages for config values: key, value, source, what is allowed, the nearest valid name."""

from __future__ import annotations

import difflib
from functools import cache
from typing import Any

from reco_platform.config.model import MAX_LIST_LENGTH, Config
from reco_platform.config.patterns import MEANING, RANKING_METRICS, RATING_METRICS


def describe(kind: str, key: str, value: Any, source: str) -> str:
    """The message for a config value that is not allowed.

    Args:
        kind: pydantic's error type.
        key: the config key.
        value: its value, without secrets.
        source: name of the source of the value.
    """
    if kind == "extra_forbidden":
        near = difflib.get_close_matches(key, Config.model_fields, n=1, cutoff=0.5)
        guess = f"; did you mean {near[0]}?" if near else f"; known keys: {', '.join(sorted(Config.model_fields))}"
        return f"unknown key {key!r} (from {source}){guess}"
    near = difflib.get_close_matches(str(value), allowed_values(key, str(value)), n=1, cutoff=0.5)
    guess = f"; did you mean {near[0]}?" if near else ""
    return f"{key}={value!r} (from {source}) is not allowed: {allowed(key)}{guess}"


@cache
def schemas() -> dict[str, Any]:
    """The JSON schema of each key."""
    found: dict[str, Any] = Config.model_json_schema()["properties"]
    return found


def allowed_values(key: str, given: str) -> list[str]:
    """The allowed words of a key, if it is an enumeration; ranking metrics get the list length of the given value."""
    if key == "sweep_metric":
        k = given.partition("@")[2]
        return [*RATING_METRICS, *(f"{name}@{k if k.isdigit() else 10}" for name in RANKING_METRICS)]
    return [str(value) for value in schemas()[key].get("enum", [])]


def allowed(key: str) -> str:
    """The allowed values of a key, as text."""
    schema = schemas()[key]
    options = [option for option in schema.get("anyOf", [schema]) if option.get("type") != "null"]
    option = options[0]
    if "enum" in option:
        return "one of " + ", ".join(map(str, option["enum"]))
    if option["type"] == "object":
        return "settings such as spark.a=1,spark.b=2, or JSON"
    if option["type"] == "array":
        return f"whole numbers from 1 to {MAX_LIST_LENGTH:,}, joined by commas"
    if "pattern" in option:
        limit = f", of at most {option['maxLength']} characters" if "maxLength" in option else ""
        return MEANING[option["pattern"]] + limit
    words = {"integer": "a whole number", "number": "a number", "boolean": "true or false", "string": "text"}[
        option["type"]
    ]
    bounds = {
        "minimum": "at least",
        "exclusiveMinimum": "above",
        "maximum": "at most",
        "exclusiveMaximum": "below",
    }
    limits = [f"{text} {option[name]:,}" for name, text in bounds.items() if name in option]
    return " ".join([words, *limits]) if limits else words
