"""Metadata of config keys beyond their type; each key declares it in its own field."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from pydantic import Field


@dataclass(frozen=True)
class Key:
    """Metadata of one config key.

    Attributes:
        shapes: names of the steps whose result depends on the key; a change reruns exactly these.
        env: environment variable that sets the key; None if there is none.
        secret: whether its value may contain secrets, which messages and saved configurations redact.
        axis: whether a sweep may vary it.
    """

    shapes: frozenset[str] = frozenset()
    env: str | None = None
    secret: bool = False
    axis: bool = False


def key(
    default: Any,
    *,
    description: str,
    shapes: Collection[str] = (),
    env: str | None = None,
    secret: bool = False,
    axis: bool = False,
    **constraints: Any,
) -> Any:
    """A pydantic field for a config key.

    Args:
        default: its default value.
        description: its meaning, for docs, config.yaml, the JSON schema and Airflow's form.
        shapes: see `Key`.
        env: see `Key`.
        secret: see `Key`.
        axis: see `Key`.
        constraints: bounds and patterns, as pydantic.Field takes them.
    """
    extra: dict[str, Any] = {
        name: value for name, value in (("x-env", env), ("writeOnly", secret or None)) if value is not None
    }
    field = Field(default, description=description, json_schema_extra=extra or None, **constraints)
    field.metadata.append(Key(frozenset(shapes), env, secret, axis))
    return field
