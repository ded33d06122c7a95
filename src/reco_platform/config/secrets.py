"""Redaction of secrets in config values: addresses and Spark settings."""

from __future__ import annotations

import re
from typing import Any

from reco_platform.config.model import SECRET_KEYS, Config
from reco_platform.config.spark_conf import SETTING_NAME, as_argument, parse_settings
from reco_platform.core.redaction import redact_uri

SECRET = re.compile(
    "secret|passw|passphrase|[.]pass$|token|credential|(access|account|api|encryption|private)[._-]?key|[.]sas[.]",
    re.IGNORECASE,
)
"""Names of settings with secret values: those that Spark and Hadoop redact, and storage keys."""

SECRET_PAIR = re.compile(rf"(?:^|(?<=\W)|(?<=-C))({'|'.join(sorted(SECRET_KEYS))})=(.*)", re.DOTALL)


def redact_value(key: str, value: Any) -> Any:
    """A key's value without secrets: addresses without passwords, Spark settings without secret values."""
    if key not in SECRET_KEYS:
        return value
    if key != "spark_conf":
        return redact_uri(str(value)) if value else None
    try:
        found = parse_settings(value or {})
    except (ValueError, TypeError):
        return "***"
    return {name: redact_setting(name, str(each)) for name, each in found.items()}


def redact_setting(name: str, value: str) -> str:
    """A Spark setting's value without secrets; as in Spark, a secret-like word in name or value redacts all of it."""
    known = re.fullmatch(SETTING_NAME, name) is not None  # otherwise it may be part of a secret that contains a comma
    return redact_uri(value) if known and not SECRET.search(name) and not SECRET.search(value) else "***"


def redact_word(word: str) -> str:
    """A word of a command line, such as KEY=VALUE, without secrets."""
    found = SECRET_PAIR.search(word)
    if found is None:
        return redact_uri(word) if "://" in word else word
    return f"{word[: found.start(2)]}{as_argument(redact_value(*found.groups()))}"


def redact_config(config: Config) -> dict[str, Any]:
    """All config values by key, without secrets."""
    return {key: redact_value(key, value) for key, value in config.model_dump().items()}
