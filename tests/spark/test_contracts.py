"""Contracts: what Spark and Delta hold is what they say, and each check finds a violation of it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from reco_platform.cleaning import quality
from reco_platform.contracts.tables import CONTRACTS, MOVIES, RATINGS, TAGS, Contract, violations
from reco_platform.fingerprint.spark import spark_fields
from reco_platform.lakehouse import manifests, publish, tables
from support import oracle
from support.builders import small_dataset
from support.cleaned import CLEANINGS, natively

MOMENT = datetime(2020, 2, 29, 12, 30, tzinfo=UTC)
MODEL_VERSION = "0a1b2c3d-4e5f6071"

GOOD_ROWS: dict[str, list[dict[str, Any]]] = {
    "ratings": [
        {"user_id": 1, "movie_id": 10, "rating": 0.5, "rating_ts": MOMENT, "year": 2020, "month": 2},
        {"user_id": 1, "movie_id": 11, "rating": 5.0, "rating_ts": MOMENT, "year": 2020, "month": 2},
    ],
    "movies": [
        {"movie_id": 10, "title": "Heat (1995)", "genres_string": "Crime", "genres": ["Crime"], "release_year": 1995},
        {"movie_id": 11, "title": "Heat", "genres_string": "", "genres": [], "release_year": None},
    ],
    "tags": [
        {"user_id": 1, "movie_id": 10, "tag": "dark", "tag_ts": MOMENT, "year": 2020, "month": 2},
        {"user_id": 1, "movie_id": 10, "tag": "dark", "tag_ts": MOMENT, "year": 2020, "month": 2},
    ],
}


def sample(contract: Contract) -> pd.DataFrame:
    return pa.Table.from_pylist(GOOD_ROWS[contract.name], schema=contract.schema).to_pandas()


# --- what is written


@pytest.mark.spark
@pytest.mark.parametrize("table", CLEANINGS)
def test_what_is_written_has_exactly_the_contracts_schema(spark: Any, tmp_path: Path, table: str) -> None:
    contract, target = CONTRACTS[table], tmp_path / "silver" / table
    source = small_dataset(tmp_path) / f"{table}.csv"
    outcome = natively(source, table, tmp_path / "made")
    counts, staging = outcome.cleaned, outcome.staging
    in_files = [field for field in contract.schema if field.name not in contract.partition_by]
    for path in tables.data_files(staging):
        schema = pq.read_schema(path)
        assert [(field.name, field.type) for field in schema] == [(field.name, field.type) for field in in_files]
        assert tuple(part.partition("=")[0] for part in path.relative_to(staging).parts[:-1]) == contract.partition_by
    assert spark_fields(spark.read.parquet(str(staging)).select(contract.names).schema) == [
        tuple(column.split(" ", 1)) for column in contract.ddl.split(", ")
    ]
    version = publish.publish_table(
        staging, target, storage_format="delta", schema=contract.schema, partition_by=contract.partition_by,
        fingerprint="0", rows=counts.rows_out, dataset="small",
    )  # fmt: skip
    assert version is not None
    manifest = manifests.read_manifest(target, version)
    assert manifest is not None
    opened = tables.OpenTable(target, manifest, version).read()
    assert opened.select(contract.names).schema.equals(contract.schema)
    assert len(opened) == len(oracle.TABLES[table](source).good)


def test_delta_readers_see_the_contracts_schema_and_rows(tmp_path: Path) -> None:
    from deltalake import DeltaTable

    source = small_dataset(tmp_path) / "ratings.csv"
    target = tmp_path / "silver" / "ratings"
    staging = natively(source, "ratings", tmp_path / "made").staging
    publish.publish_table(
        staging, target, storage_format="delta", schema=RATINGS.schema, partition_by=RATINGS.partition_by,
        fingerprint="0", rows=2, dataset="small",
    )  # fmt: skip
    table = DeltaTable(str(target))
    fields = [(field.name, field.type.type) for field in table.schema().fields]
    assert fields == [
        ("user_id", "integer"),
        ("movie_id", "integer"),
        ("rating", "float"),
        ("rating_ts", "timestamp"),
        ("year", "integer"),
        ("month", "integer"),
    ]
    assert table.metadata().partition_columns == ["year", "month"]
    rows = table.to_pyarrow_table().sort_by("user_id").to_pylist()
    assert rows[1] == {
        "user_id": 2,
        "movie_id": 10,
        "rating": 3.5,
        "rating_ts": datetime(2001, 9, 9, 1, 46, 41, tzinfo=UTC),
        "year": 2001,
        "month": 9,
    }


# --- what the checks find


@pytest.mark.parametrize("contract", [RATINGS, MOVIES, TAGS], ids=lambda contract: contract.name)
def test_a_good_sample_breaks_nothing(contract: Contract) -> None:
    assert violations(contract, sample(contract)) == []


def with_value(name: str, value: Any) -> Callable[[pd.DataFrame], pd.DataFrame]:
    return lambda frame: frame.assign(**{name: [value, *frame[name][1:]]}).astype(
        {name: frame[name].dtype} if value is not None else {}
    )


BOUNDS = [
    (contract, field.name, bound, check)
    for contract in (RATINGS, MOVIES, TAGS)
    for field in contract.fields
    for bound, check in ((field.minimum, "greater_than_or_equal_to"), (field.maximum, "less_than_or_equal_to"))
    if bound is not None
]


@pytest.mark.parametrize(
    ("contract", "name", "bound", "check"), BOUNDS, ids=[f"{c.name}-{n}-{b:g}" for c, n, b, _ in BOUNDS]
)
def test_a_value_beyond_a_bound_is_found(contract: Contract, name: str, bound: float, check: str) -> None:
    step = 0.5 if name == "rating" else 1
    beyond = bound - step if check.startswith("greater") else bound + step
    assert violations(contract, with_value(name, bound)(sample(contract))) == []
    found = violations(contract, with_value(name, beyond)(sample(contract)))
    assert found == [f"{name}: {check}({bound}) fails for 1 of the sampled rows"]


NOT_NULL = [(c, field.name) for c in (RATINGS, MOVIES, TAGS) for field in c.fields if not field.nullable]


@pytest.mark.parametrize(("contract", "name"), NOT_NULL, ids=[f"{c.name}-{name}" for c, name in NOT_NULL])
def test_a_null_where_none_may_be_is_found(contract: Contract, name: str) -> None:
    found = violations(contract, with_value(name, None)(sample(contract)))
    assert f"{name}: not_nullable fails for 1 of the sampled rows" in found


@pytest.mark.parametrize("name", ["genres_string", "release_year"])
def test_a_null_where_one_may_be_is_no_violation(name: str) -> None:
    assert violations(MOVIES, with_value(name, None)(sample(MOVIES))) == []


@pytest.mark.parametrize("contract", [RATINGS, MOVIES], ids=lambda contract: contract.name)
def test_two_rows_of_one_key_are_found(contract: Contract) -> None:
    frame = sample(contract)
    found = violations(contract, pd.concat([frame, frame.head(1)], ignore_index=True))
    assert found
    assert all("unique" in text for text in found)


@pytest.mark.parametrize("contract", [RATINGS, MOVIES, TAGS], ids=lambda contract: contract.name)
def test_a_missing_and_a_surplus_column_are_found(contract: Contract) -> None:
    frame = sample(contract)
    for name in contract.names:
        assert any(
            name in text or "column_in_dataframe" in text for text in violations(contract, frame.drop(columns=name))
        )
    assert any("column_in_schema" in text for text in violations(contract, frame.assign(surplus=1)))


@pytest.mark.parametrize(
    ("contract", "name", "kind"),
    [(RATINGS, "user_id", "int64"), (RATINGS, "rating", "float64"), (RATINGS, "rating_ts", "datetime64[us]")],
)
def test_a_column_of_another_type_is_found(contract: Contract, name: str, kind: str) -> None:
    frame = sample(contract)
    changed = frame[name].dt.tz_localize(None) if kind.startswith("datetime") else frame[name].astype(kind)
    found = violations(contract, frame.assign(**{name: changed}))
    assert [text.split(":")[0] for text in found] == [name]


def test_the_sample_check_reads_staged_files_and_finds_what_they_break(tmp_path: Path) -> None:
    row = {**GOOD_ROWS["ratings"][0], "rating": 9.5}
    folder = tmp_path / "year=2020" / "month=2"
    folder.mkdir(parents=True)
    table = pa.Table.from_pylist([GOOD_ROWS["ratings"][1], row], schema=RATINGS.schema)
    pq.write_table(table.drop_columns(["year", "month"]), folder / "part-0.parquet")
    sampled, broken = quality.check_sample(RATINGS, tmp_path, size=10, seed=1)
    assert sampled == 2
    assert broken == ["rating: less_than_or_equal_to(5.0) fails for 1 of the sampled rows"]
    assert quality.check_sample(RATINGS, tmp_path, size=1, seed=1)[0] == 1
