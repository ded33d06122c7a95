"""The last meaningful line of a log."""

from __future__ import annotations

from pathlib import Path

import pytest

from reco_platform.engine.log_tail import MAX_LENGTH, last_meaningful_line

LOGS = {
    "the project's own error, with a hint": (
        "[train_als] works: first run\n[ERROR] train_als: rank is too large\n  -> try less\nbye\n",
        ("[ERROR] train_als: rank is too large", "try less"),
    ),
    "the project's own error, over several lines": (
        "[ERROR] leaderboard: 1 of 2 trials failed\n  trial 12: no rows\n  -> the same command\n",
        ("[ERROR] leaderboard: 1 of 2 trials failed", "the same command"),
    ),
    "the hint of an earlier error does not belong to the last one": (
        "[ERROR] a: one\n  -> first\n[ERROR] b: two\n",
        ("[ERROR] b: two", ""),
    ),
    "Python": (
        'Traceback (most recent call last):\n  File "x.py", line 3, in f\n    g(1)\n    ~^^^\nValueError: no id\n',
        ("ValueError: no id", ""),
    ),
    "Java behind Python": (
        "py4j.protocol.Py4JJavaError: An error occurred while calling o66.fit.\n"
        ": org.apache.spark.SparkException: Job aborted\n\tat org.apache.spark.X.run(X.scala:3)\n"
        "Driver stacktrace:\n\tat org.apache.spark.Y.run(Y.scala:4)\n"
        "Caused by: java.lang.OutOfMemoryError: Java heap space\n\tat java.base/java.util.Z.a(Z.java:5)\n"
        "at scala.Predef$.require(Predef.scala:337)\n\t... 1 more\n"
        "26/11/25 04:08:38 INFO ShutdownHookManager: Deleting directory\n",
        ("Caused by: java.lang.OutOfMemoryError: Java heap space", ""),
    ),
    "progress bars and colours": (
        "\x1b[31mdisk is full\x1b[0m\n 50%|█████     | 5/10\rload:  60%|████  | 6/10\n[Stage 3:===>  (1 + 1) / 2]\r\n",
        ("disk is full", ""),
    ),
    "a line that overwrites a progress bar": ("10%|#\r20%|##\rconnection lost\n\n", ("connection lost", "")),
    "percent in words": ("[silver] 3% of the rows were rejected\n", ("[silver] 3% of the rows were rejected", "")),
    "killed in the middle": ("[train_als] iteration 3/10\n", ("[train_als] iteration 3/10", "")),
    "empty": ("\n \n", ("", "")),
}


@pytest.mark.parametrize("name", LOGS)
def test_the_last_meaningful_line_is_found(tmp_path: Path, name: str) -> None:
    text, expected = LOGS[name]
    log = tmp_path / "step.log"
    log.write_text(text, encoding="utf-8", newline="")
    assert last_meaningful_line(log) == expected


def test_a_log_that_is_missing_very_long_or_not_text_raises_no_error(tmp_path: Path) -> None:
    assert last_meaningful_line(tmp_path / "none.log") == ("", "")
    log = tmp_path / "step.log"
    log.write_bytes(b"first\n" + b"\xff" * 3_000_000)
    assert last_meaningful_line(log)[0] == "\ufffd" * MAX_LENGTH
