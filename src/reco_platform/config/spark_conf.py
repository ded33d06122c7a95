"""Settings of Spark given as the key spark_conf: how they are written, and which are refused."""

from __future__ import annotations

import json
import re
from typing import Any

from reco_platform.contracts.spark_settings import ORDER_SETTINGS, RESULT_SETTINGS

SETTING_NAME = r"spark\.[\w./-]+"

SETTINGS_WITH_A_KEY = {
    "spark.master": "spark_master",
    "spark.driver.memory": "driver_memory",
    "spark.executor.memory": "executor_memory",
    "spark.executor.cores": "executor_cores",
    "spark.executor.instances": "executor_instances",
}
"""Settings that have a key of their own."""


def parse_settings(value: Any) -> dict[str, Any]:
    """Settings of Spark by name, from a mapping or from text: JSON, or `spark.a=1,spark.b=2`.

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
    """A setting's value as Spark reads it."""
    return str(value).lower() if isinstance(value, bool) else value


def as_argument(value: Any) -> Any:
    """A value as `--config` takes it: settings joined by commas."""
    return ",".join(f"{name}={each}" for name, each in value.items()) if isinstance(value, dict) else value


def setting_problem(setting: str) -> str | None:
    """Why a setting may not be in spark_conf; None if it may."""
    if not re.fullmatch(SETTING_NAME, setting):
        return f"spark_conf: {setting!r} is no setting of Spark: their names begin with spark."
    if setting in SETTINGS_WITH_A_KEY:
        return f"spark_conf: {setting} has a key of its own, {SETTINGS_WITH_A_KEY[setting]}"
    if setting in {*RESULT_SETTINGS, *ORDER_SETTINGS}:
        return f"spark_conf: {setting} is fixed, since results depend on it"
    if setting == "spark.submit.deployMode":
        return f"spark_conf: {setting} is fixed: the driver runs where Snakemake runs"
    return None
