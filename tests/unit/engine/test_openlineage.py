"""The lineage of a run, validated against OpenLineage's own model."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from reco_platform.cleaning import movies, ratings, tags
from reco_platform.cleaning.rules import CleaningRules
from reco_platform.contracts.tables import CONTRACTS
from reco_platform.datasets.csv_reader import LINE, ROW
from reco_platform.engine import journal, openlineage
from reco_platform.engine.attempt import Attempt
from reco_platform.lakehouse.receipts import Receipt
from reco_platform.pipeline.steps_table import STEPS
from reco_platform.splits.latest import latest_ratings
from reco_platform.splits.split import unchecked_split
from support.builders import publish_ratings, ratings_table
from support.openlineage_model import checked

CLEANINGS = {"ratings": ratings.CLEANING, "movies": movies.CLEANING, "tags": tags.CLEANING}
TEXTS = {
    "userId": ("1", "2"), "movieId": ("10", "20"), "rating": ("3.5", "4.0"), "timestamp": ("1000000000", "1500000000"),
    "title": ("Heat (1995)", "Ran (1985)"), "genres": ("Action", "Drama|War"), "tag": ("dark", "long"),
}  # fmt: skip


def bronze(table: str) -> Receipt:
    artifact = f"bronze/movielens/x/{table}"
    return Receipt(artifact, "file", f"{artifact}.csv", "csv", fingerprint="f00")


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = journal.start(tmp_path / "lake" / "_runs").resolve()
    monkeypatch.setenv(journal.VARIABLE, str(path))
    return path


def events(run: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in openlineage.lineage_path(run).read_text("utf-8").splitlines()]


# --- events


def test_an_attempt_emits_its_inputs_and_outputs_with_their_versions(run: Path) -> None:
    root = run.parents[1]
    made = replace(
        publish_ratings(root, ratings_table()), made_from={"step": "silver_ratings", "params": {"sample_size": 9}}
    )
    began = Attempt(STEPS["silver_ratings"], str(root), "silver/ratings", 1000.0)
    began.begin()
    replace(began, code="c0de", inputs={"bronze": bronze("ratings")}).end("worked", ["first run"], [made])
    start, complete = events(run)
    assert [checked(one).eventType.name for one in (start, complete)] == ["START", "COMPLETE"]  # type: ignore[union-attr]
    assert start["run"]["runId"] == complete["run"]["runId"] != complete["run"]["facets"]["parent"]["run"]["runId"]
    assert complete["job"]["facets"]["recoPlatform_sourceCode"]["digest"] == "c0de"
    assert complete["run"]["facets"]["executionParameters"]["parameters"] == [{"key": "sample_size", "value": "9"}]
    (read,), (written,) = complete["inputs"], complete["outputs"]
    assert read["name"] == str(root / "bronze/movielens/x/ratings")
    assert [field["name"] for field in read["facets"]["schema"]["fields"]] == list(ratings.CLEANING.source_columns)
    assert (written["namespace"], written["name"]) == ("file", str(root / "silver/ratings"))
    assert written["facets"]["version"]["datasetVersion"] == "0"
    assert written["outputFacets"]["outputStatistics"]["rowCount"] == made.rows == 6
    size = sum(path.stat().st_size for path in (root / "silver/ratings").rglob("*.parquet"))
    assert written["outputFacets"]["outputStatistics"]["size"] == size
    (origin,) = written["facets"]["columnLineage"]["fields"]["year"]["inputFields"]
    assert (origin["name"], origin["field"]) == (read["name"], "timestamp")
    assert [event.attempt for event in journal.read(run)] == [start["run"]["runId"]] * 2


def test_a_failed_attempt_emits_its_reason_and_the_run_ends_killed_attempts(run: Path) -> None:
    failing = Attempt(STEPS["train_als"], "lake", "gold/models/als", 1.0)
    failing.begin()
    failing.end("failed", ["no ratings"])
    Attempt(STEPS["evaluate"], "lake", openlineage.INVOCATION, 2.0).begin()
    openlineage.emit_missing_ends(run)
    kinds = [(checked(one).job.name, one["eventType"]) for one in events(run)]
    assert kinds == [("train_als", "START"), ("train_als", "FAIL"), ("evaluate", "START"), ("evaluate", "FAIL")]
    messages = [one["run"]["facets"]["errorMessage"]["message"] for one in events(run)[1::2]]
    assert messages == ["no ratings", journal.NO_EXIT_EVENT]
    assert events(run)[2]["run"]["runId"] == events(run)[3]["run"]["runId"]


def test_a_step_outside_of_a_run_writes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(journal.VARIABLE, raising=False)
    attempt = Attempt(STEPS["train_als"], str(tmp_path), "gold/models/als", 1.0)
    attempt.begin()
    attempt.end("worked", ["first run"])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("root", "namespace", "name"),
    [
        ("hdfs://node:8020/lake/", "hdfs://node:8020", "/lake/silver/ratings"),
        ("s3a://bucket/a/b", "s3a://bucket", "/a/b/silver/ratings"),
        ("/data/lake", "file", "/data/lake/silver/ratings"),
    ],
)
def test_datasets_are_named_by_store_and_path(root: str, namespace: str, name: str) -> None:
    assert openlineage.dataset_name(root, "silver/ratings") == {"namespace": namespace, "name": name}


def test_models_and_files_are_versioned_datasets_and_an_absent_table_is_not_a_dataset() -> None:
    model = Receipt("gold/models/als", "model", "gold/models/als/ab-cd", facts={"model_version": "ab-cd"})
    report = Receipt("reports/report", "file", "reports/ab-cd.html", "html", fingerprint="f00d")
    versions = [openlineage.dataset("lake", one)["facets"]["version"]["datasetVersion"] for one in (model, report)]
    assert versions == ["ab-cd", "f00d"]
    assert openlineage.present([model, Receipt("silver/tags", "absent", "silver/tags")]) == [model]


# --- columns


def test_columns_match_the_contracts_and_the_csv_files() -> None:
    inputs = {
        "users": "users",  # the dictionaries in bronze have the same columns
        "items": "items",
        "interactions": "ratings",
        "recommendations_als": "interactions",
        "recommendations_fallback": "interactions",
    }
    assert openlineage.COLUMNS.keys() == CONTRACTS.keys()
    for name, columns in openlineage.COLUMNS.items():
        assert not columns.copied.keys() & columns.computed.keys()
        unlisted = set(CONTRACTS[name].names) - columns.copied.keys() - columns.computed.keys()
        assert unlisted <= {"model_version", "generated_ts"}, name
        known = CLEANINGS[name].source_columns if name in CLEANINGS else CONTRACTS[inputs[name]].names
        assert {source for _, source, _ in columns.edges()} <= set(known)
        if name in CLEANINGS:
            assert sorted(openlineage.csv_columns(name)) == sorted(known)


def marked(cleaning: CleaningRules, texts: dict[str, str]) -> dict[str, Any]:
    columns = {name: pa.array([texts[name]]) for name in cleaning.source_columns}
    extra = {LINE: pa.nulls(1, pa.string()), ROW: pa.array([0])}
    found = cleaning.apply(pa.record_batch({**columns, **extra})).columns
    return {name: column.to_pylist() for name, column in found.items()}


@pytest.mark.parametrize("table", CLEANINGS)
def test_a_cleaned_column_depends_on_exactly_its_declared_source_columns(table: str) -> None:
    cleaning, declared = CLEANINGS[table], set(openlineage.COLUMNS[table].edges())
    before = {name: TEXTS[name][0] for name in cleaning.source_columns}
    found = {
        (column, source)
        for source in cleaning.source_columns
        for column, value in marked(cleaning, {**before, source: TEXTS[source][1]}).items()
        if value != marked(cleaning, before)[column] and column in cleaning.contract.names
    }
    assert found == {(column, source) for column, source, _ in declared}
    texts = {**before, "genres": "(no genres listed)"}
    copies = [(column, source) for column, source, kind in declared if kind == "IDENTITY"]
    assert all(marked(cleaning, texts)[column] == [texts[source]] for column, source in copies)


SPLIT = {
    "test_fraction": 0.3, "validation_fraction": 0.3, "validation_from": None, "test_from": None, "last_k": None,
    "split_seed": 1,
}  # fmt: skip


@pytest.mark.parametrize("kind", ["global_time", "user_time", "random"])
def test_a_fold_does_not_depend_on_columns_that_are_not_its_declared_sources(kind: str) -> None:
    table = pa.table(
        {
            "user_id": pa.array([number // 10 for number in range(40)], pa.int32()),
            "movie_id": pa.array([number * 7 % 41 for number in range(40)], pa.int32()),
            "rating": pa.array([0.5 + number % 9 / 2 for number in range(40)], pa.float32()),
            "rating_ts": pa.array([10**15 + number * 10**9 for number in range(40)], pa.timestamp("us", "UTC")),
        }
    )
    receipt = Receipt("i", "table", "gold/interactions", made_from={"params": {"split": kind}})
    columns = openlineage.column_sources(receipt)
    assert columns is not None
    others = {
        "rating": pa.array([1.0] * 40, pa.float32()),
        "rating_ts": pa.array([10**15 - number * 10**9 for number in range(40)], pa.timestamp("us", "UTC")),
        "user_id": pa.array([number // 10 * 3 for number in range(40)], pa.int32()),
    }

    def folds(rows: pa.Table) -> list[int]:
        made = unchecked_split(latest_ratings(rows, 1), {**SPLIT, "split": kind})
        return [int(fold) for fold in made.fold]

    changing = {
        name for name, column in others.items()
        if folds(table.set_column(table.schema.get_field_index(name), name, column)) != folds(table)
    }  # fmt: skip
    assert changing <= set(columns.computed["fold"])
    assert changing
