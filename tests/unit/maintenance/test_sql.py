"""SQL over a lakehouse by DuckDB."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from reco_platform.cli import query
from reco_platform.core.errors import ConfigError, TableError
from reco_platform.lakehouse import layout, publish
from reco_platform.lakehouse.layout import Lakehouse
from reco_platform.lakehouse.receipts import Receipt
from reco_platform.maintenance import sql
from reco_platform.maintenance.sql import Database

ROWS = pa.table({"movie_id": [1, 2], "title": ["Toy, Story", 'The "Heat"'], "genres": [["Drama", "War"], None]})


@pytest.fixture
def lakehouse(tmp_path: Path) -> Lakehouse:
    """A lakehouse with two versions of movies: of one row, and of two."""
    found = Lakehouse(str(tmp_path / "lake"), "demo")
    for rows in (ROWS.slice(0, 1), ROWS):
        target = found.path / layout.silver("movies")
        target.parent.mkdir(parents=True, exist_ok=True)
        staging = publish.create_staging_folder(target)
        pq.write_table(rows, staging / "part-00000.parquet")
        fingerprint = f"rows{len(rows)}"
        version = publish.publish_table(
            staging, target, storage_format="delta", schema=rows.schema, partition_by=(), fingerprint=fingerprint,
            rows=len(rows), dataset="demo",
        )  # fmt: skip
        receipt = Receipt("silver/movies", "table", "silver/movies", "delta", version, len(rows), "", fingerprint, {})
        Path(found.receipt("silver/movies")).write_text(receipt.text(), "utf-8")
    return found


def test_tables_are_views_and_each_version_can_be_named(lakehouse: Lakehouse) -> None:
    database = Database(lakehouse)
    now, before, versions = database.run(
        'SELECT count(*) AS n FROM movies; SELECT count(*) AS n FROM "movies@0"; SELECT * FROM history ORDER BY version'
    )
    assert (now["n"].to_pylist(), before["n"].to_pylist()) == ([2], [1])
    found = versions.to_pylist()
    assert [(row["version"], row["is_current"], row["rows"]) for row in found] == [(0, False, 1), (1, True, 2)]


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("SELECT * FROM movis", "there is no table 'movis'; did you mean movies?", "tables: movies, history"),
        ('SELECT * FROM "movies@7"', "movies has no version 7", "its versions: 0, 1"),
        ("SELECT titel FROM movies", 'Referenced column "titel" not found', "DESCRIBE"),
        ("SELCT 1", "syntax error", "tables: movies, history"),
    ],
)
def test_a_wrong_statement_names_what_there_is(lakehouse: Lakehouse, text: str, message: str, hint: str) -> None:
    with pytest.raises(ConfigError) as error:
        Database(lakehouse).run(text)
    assert message in error.value.message and hint in str(error.value.hint)


def test_a_lakehouse_without_tables_says_how_to_make_them(tmp_path: Path) -> None:
    with pytest.raises(TableError, match="has no tables yet"):
        Database(Lakehouse(str(tmp_path), "demo"))


def test_results_are_written_in_every_format(lakehouse: Lakehouse, tmp_path: Path) -> None:
    (found,) = Database(lakehouse).run("SELECT * FROM movies ORDER BY movie_id")
    csv = sql.as_text(found, "csv").splitlines()
    assert csv[0] == '"movie_id","title","genres"' and csv[2].startswith('2,"The ""Heat""",')
    assert [json.loads(line)["genres"] for line in sql.as_text(found, "json").splitlines()] == [["Drama", "War"], None]
    table = sql.as_text(found, "table").splitlines()
    assert table[0].split() == ["movie_id", "title", "genres"] and table[-1] == "(2 rows)"
    assert table[2].startswith("       1  Toy, Story")
    target = tmp_path / "out.parquet"
    sql.write(found, target, query.format_of(None, target))
    assert pq.read_table(target).equals(found)
    with pytest.raises(ConfigError, match="needs a file"):
        query.format_of("parquet", None)


def test_a_long_result_shows_its_beginning_and_its_length() -> None:
    text = sql.text_table(pa.table({"n": list(range(1234))}))
    assert len(text.splitlines()) == 2 + sql.MAX_ROWS + 1 and "1,234 rows" in text


def test_the_prompt_reads_statements_over_several_lines_and_goes_on_after_an_error(
    lakehouse: Lakehouse, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    typed = iter(["SELECT count(*) AS n", "FROM movies;", "SELECT * FROM nothing;", "", "exit"])
    monkeypatch.setattr("builtins.input", lambda _: next(typed))
    query.prompt(Database(lakehouse))
    out, error = capsys.readouterr()
    assert "Tables: movies, history" in out and "(1 row)" in out
    assert "there is no table 'nothing'" in error
