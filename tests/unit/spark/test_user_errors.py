"""Errors of Spark that a setting causes are told as one error with the setting, without a stack trace."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from reco_platform.engine.attempt import Attempt
from reco_platform.engine.runner import report_failure
from reco_platform.pipeline.steps_table import STEPS
from reco_platform.spark.user_errors import setting_error

# As py4j and Spark 4 write them.
TEXTS = {
    "An error occurred while calling o66.fit.\n: org.apache.spark.SparkException: Job aborted\nCaused by: "
    "org.apache.spark.ml.optim.SingularMatrixException: Cholesky solver failed.\n\tat x.Y.z(Y.scala:3)": "reg_param",
    "[INVALID_CONF] spark.sql.shuffle.partitions should be int, but was many": "spark.sql.shuffle.partitions=many",
    "java.lang.NumberFormatException: Size must be specified as bytes (b), E.g. 50b": "specified as bytes",
    "java.lang.IllegalArgumentException: Failed to parse time string: soon": "parse time string: soon",
    "java.lang.ClassNotFoundException: org.acme.Codec": "org.acme.Codec",
}


@pytest.mark.parametrize("text", TEXTS)
def test_a_step_that_a_setting_stops_names_it(tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str) -> None:
    attempt = Attempt(STEPS["train_als"], str(tmp_path), "gold/models/als", time.time())
    assert report_failure("train_als", attempt, RuntimeError(text)) == 1
    lines = capsys.readouterr().err.splitlines()
    assert [line[:8] for line in lines] == ["[ERROR] ", "  -> " + lines[1][5:8]]
    assert TEXTS[text] in "\n".join(lines)


@pytest.mark.parametrize("text", ["list index out of range", "org.apache.spark.SparkException: Job aborted", ""])
def test_any_other_error_is_a_bug_and_keeps_its_trace(tmp_path: Path, text: str) -> None:
    assert setting_error(RuntimeError(text)) is None
    with pytest.raises(RuntimeError):
        report_failure("x", Attempt(STEPS["train_als"], str(tmp_path), "a", time.time()), RuntimeError(text))
