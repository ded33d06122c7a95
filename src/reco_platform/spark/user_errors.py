"""Errors of Spark that a setting of the user causes, as one error with the setting and what to give instead."""

from __future__ import annotations

import re

from reco_platform.core.errors import DataError, RecoError

SETTING = re.compile(r"(spark\.[\w.]+) should be ([^,\n]+), but was ([^\n]+)")
VALUE = re.compile(
    r"(?:NumberFormatException|IllegalArgumentException): ([^\n]*(?:specified as|For input string|parse)[^\n]*)"
)
NO_CLASS = re.compile(r"ClassNotFoundException: ([\w.$]+)")

SINGULAR = (
    "pyspark.ml cannot solve for a user or movie with fewer ratings than factors, because the regularisation is 0",
    "set reg_param above 0 (for ranking_model=implicit ranking_reg_param), or engine=native, which trains without",
)
CORRECT = "correct it in spark_conf, or leave it out"


def setting_error(error: BaseException) -> RecoError | None:
    """The error as one that names the user's setting; None if no setting is known to cause it."""
    text = f"{type(error).__name__}: {error}"
    if "SingularMatrixException" in text:
        return DataError(*SINGULAR)
    found = SETTING.search(text)
    if found:
        return DataError(f"spark_conf: {found[1]}={found[3].strip()} is not allowed: expected {found[2]}", CORRECT)
    found = VALUE.search(text)
    if found:
        return DataError(f"Spark does not take a value of spark_conf: {found[1].strip()}", CORRECT)
    found = NO_CLASS.search(text)
    if found:
        return DataError(f"Spark has no class {found[1]}, which a value of spark_conf names", CORRECT)
    return None
