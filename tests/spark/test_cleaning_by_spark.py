"""Cleaning by Spark: the same rows, counts, sums and quarantine as in threads of one machine."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from support.builders import write_lines
from support.cleaned import CLEANINGS, HAZARDS, Outcome, by_spark, natively, rows_of

pytestmark = pytest.mark.spark


def assert_equal(one: Outcome, other: Outcome) -> None:
    assert one.cleaned == other.cleaned
    assert Counter(rows_of(one.table())) == Counter(rows_of(other.table()))
    found, expected = (Counter(json.dumps(row, sort_keys=True) for row in part.rejected()) for part in (one, other))
    assert found == expected


@pytest.mark.parametrize("table", HAZARDS)
def test_hazards_come_out_alike(spark: Any, tmp_path: Path, table: str) -> None:
    header, hazards = HAZARDS[table]
    source = write_lines(tmp_path / f"{table}.csv", header, [line for line, _ in hazards])
    native = natively(source, table, tmp_path / "native")
    assert native.cleaned.rejected > 0
    assert_equal(native, by_spark(spark, source, table, tmp_path / "spark"))


@pytest.mark.parametrize("table", HAZARDS)
def test_a_file_without_one_good_row_comes_out_alike(spark: Any, tmp_path: Path, table: str) -> None:
    header, hazards = HAZARDS[table]
    source = write_lines(tmp_path / f"{table}.csv", header, [line for line, reasons in hazards if reasons])
    native, spark_made = natively(source, table, tmp_path / "native"), by_spark(spark, source, table, tmp_path / "s")
    assert native.cleaned == spark_made.cleaned
    assert native.cleaned.rows_out == 0


@pytest.mark.parametrize("table", CLEANINGS)
def test_the_demo_data_come_out_alike(spark: Any, demo_folder: Path, tmp_path: Path, table: str) -> None:
    source = demo_folder / f"{table}.csv"
    assert_equal(natively(source, table, tmp_path / "native"), by_spark(spark, source, table, tmp_path / "spark"))
