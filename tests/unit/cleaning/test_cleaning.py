"""Cleaning against the same rules in plain Python, on made, real and hand-made dirty data."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from reco_platform.cleaning import quality, ratings, rejections, tags
from reco_platform.cleaning.movies import split_genres
from reco_platform.contracts.tables import MOVIES, RATINGS
from reco_platform.core.errors import DataError
from reco_platform.core.rating_scale import parse_rating_scale
from reco_platform.fingerprint.arrow import arrow_sums
from reco_platform.lakehouse import layout
from reco_platform.pipeline.steps_table import folders_of
from reco_platform.steps import silver as silver_step
from support import oracle
from support.builders import MOVIES_HEADER, RATINGS_HEADER, TAGS_HEADER, csv_line, small_dataset, write_lines
from support.cleaned import CLEANINGS, HAZARDS, RATING_HAZARDS, Outcome, natively, rows_of, task_for

Clean = Callable[[Path, str], Outcome]


@pytest.fixture
def clean(tmp_path: Path) -> Clean:
    return lambda source, table: natively(source, table, tmp_path / source.parent.name)


@pytest.fixture(scope="module")
def demo_outcomes(demo_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Outcome]:
    folder = tmp_path_factory.mktemp("cleaned")
    return {table: natively(demo_folder / f"{table}.csv", table, folder) for table in CLEANINGS}


def assert_agrees(outcome: Outcome, expected: oracle.Found, table: str) -> None:
    counts = outcome.cleaned
    assert counts.rows_in == expected.rows_in
    assert counts.rows_out == len(expected.good)
    assert counts.rejected == len(expected.rejected)
    assert counts.rejected_by_reason == expected.reasons
    assert counts.duplicates == {kind: expected.duplicates[kind] for kind in ("exact", "conflicting")}
    assert counts.counts_add_up()
    written = outcome.table()
    assert Counter(rows_of(written)) == Counter(expected.good)
    assert arrow_sums(written, CLEANINGS[table].contract.names) == counts.sums
    reasons = Counter(tuple(sorted(row["reasons"])) for row in outcome.rejected())
    assert reasons == Counter(tuple(sorted(reasons)) for reasons in expected.rejected)


# --- made and real data


@pytest.mark.parametrize("table", CLEANINGS)
@pytest.mark.slow
def test_the_demo_data_is_cleaned_as_the_oracle_says(
    demo_outcomes: dict[str, Outcome], demo_folder: Path, table: str
) -> None:
    assert_agrees(demo_outcomes[table], oracle.TABLES[table](demo_folder / f"{table}.csv"), table)


def test_every_fault_that_the_demo_data_planted_is_found(demo_outcomes: dict[str, Outcome], demo_folder: Path) -> None:
    manifest = json.loads((demo_folder / "manifest.json").read_text(encoding="utf-8"))
    found = {table: outcome.cleaned for table, outcome in demo_outcomes.items()}
    planted = manifest["ratings"]["dirty"]
    assert found["ratings"].rows_in == manifest["ratings"]["rows_in"]
    assert found["ratings"].rows_out == manifest["ratings"]["valid_rows"] == 200_000
    assert found["ratings"].duplicates == {
        "exact": planted["exact_duplicate"],
        "conflicting": planted["conflicting_duplicate"],
    }
    assert found["ratings"].rejected == sum(planted.values()) - sum(found["ratings"].duplicates.values())
    assert found["ratings"].rejected_by_reason["malformed_line"] == planted["unparsable"]
    assert found["ratings"].rejected_by_reason["rating_not_a_number"] == planted["rating_not_a_number"]
    assert found["ratings"].rejected_by_reason["timestamp_not_a_number"] == planted["timestamp_not_a_number"]
    planted = manifest["movies"]["dirty"]
    assert found["movies"].rows_out == manifest["movies"]["valid_rows"]
    assert found["movies"].duplicates == {"exact": 0, "conflicting": planted["duplicate_movie"]}
    assert found["movies"].rejected_by_reason == {
        "malformed_line": planted["unparsable"],
        "null_movie": planted["null_movie"],
        "null_title": planted["null_title"],
    }
    planted = manifest["tags"]["dirty"]
    assert found["tags"].rows_in == manifest["tags"]["rows_in"]
    assert found["tags"].rows_out == manifest["tags"]["valid_rows"] + planted["exact_duplicate"]
    assert found["tags"].rejected_by_reason == {
        "malformed_line": planted["unparsable"],
        **{kind: planted[kind] for kind in ("null_user", "null_movie", "null_timestamp", "null_tag")},
    }


@pytest.mark.parametrize(("table", "rows"), [("ratings", 100_836), ("movies", 9_742), ("tags", 3_683)])
@pytest.mark.slow
def test_every_row_of_the_real_ml_latest_small_is_kept(clean: Clean, latest_small: Path, table: str, rows: int) -> None:
    source = latest_small / f"{table}.csv"
    outcome = clean(source, table)
    assert (outcome.cleaned.rows_in, outcome.cleaned.rows_out, outcome.cleaned.rejected) == (rows, rows, 0)
    assert_agrees(outcome, oracle.TABLES[table](source), table)


# --- hand-made hazards


@pytest.mark.parametrize("table", HAZARDS)
def test_each_rule_rejects_what_it_should_and_nothing_else(clean: Clean, tmp_path: Path, table: str) -> None:
    header, hazards = HAZARDS[table]
    source = write_lines(tmp_path / f"{table}.csv", header, [line for line, _ in hazards])
    expected = oracle.TABLES[table](source)
    assert Counter(expected.rejected) == Counter(reasons for _, reasons in hazards if reasons)
    rules = set(CLEANINGS[table].rule_names) - {"invalid_utf8"}
    assert set(expected.reasons) == rules, "every rule has a line"
    outcome = clean(source, table)
    assert_agrees(outcome, expected, table)


@pytest.mark.parametrize("table", HAZARDS)
def test_the_quarantine_holds_each_rejected_row_as_written(clean: Clean, tmp_path: Path, table: str) -> None:
    header, hazards = HAZARDS[table]
    bad = [(line, reasons) for line, reasons in hazards if reasons]
    source = write_lines(tmp_path / f"{table}.csv", header, [hazards[0][0], *(line for line, _ in bad)])
    found: Counter[tuple[str, tuple[str, ...]]] = Counter()
    for row in clean(source, table).rejected():
        values = [row[name] for name in CLEANINGS[table].source_columns]
        line = row["line"] if row["line"] is not None else csv_line(values)
        assert (row["line"] is None) == (None not in values)
        found[line, tuple(sorted(row["reasons"]))] += 1
    unquoted = [(line.replace('""', "") if line.startswith('""') else line, reasons) for line, reasons in bad]
    assert found == Counter((line, tuple(sorted(reasons))) for line, reasons in unquoted)


@pytest.mark.parametrize("table", ["movies", "tags"])
def test_text_that_is_not_utf_8_is_rejected_and_counted(clean: Clean, tmp_path: Path, table: str) -> None:
    rows = {
        "movies": b"movieId,title,genres\n1,Am\xe9lie (2001),Comedy\n2,Heat (1995),Dr\xe9me\n3,Heat (1995),Crime\n",
        "tags": b"userId,movieId,tag,timestamp\n1,1,caf\xe9,1\n1,1,\xff,1\n1,1,fine,1\n",
    }
    source = tmp_path / f"{table}.csv"
    source.write_bytes(rows[table])
    outcome = clean(source, table)
    assert outcome.cleaned.rejected_by_reason == {"invalid_utf8": 2}
    assert_agrees(outcome, oracle.TABLES[table](source), table)


def test_bytes_that_are_not_utf_8_are_no_rating(clean: Clean, tmp_path: Path) -> None:
    source = tmp_path / "ratings.csv"
    source.write_bytes(RATINGS_HEADER.encode() + b"\n1,2,4.0,5\n\xff,2,4.0,5\n1,2,4\xe9,5\n1,2,4.0,\xc3\n")
    outcome = clean(source, "ratings")
    assert outcome.cleaned.rows_out == 1
    assert_agrees(outcome, oracle.ratings(source), "ratings")


@pytest.mark.parametrize("table", HAZARDS)
def test_a_file_without_one_good_row_is_counted_in_full(clean: Clean, tmp_path: Path, table: str) -> None:
    header, hazards = HAZARDS[table]
    source = write_lines(tmp_path / f"{table}.csv", header, [line for line, reasons in hazards if reasons])
    outcome = clean(source, table)
    counts = outcome.cleaned
    assert (counts.rows_out, counts.rejected) == (0, counts.rows_in)
    assert counts.rejected_by_reason == oracle.TABLES[table](source).reasons
    report = quality.quality_report(counts, CLEANINGS[table].contract, 0, [], 1.0)
    assert report["problems"] == ["no row is left after cleaning"]


def test_column_order_bom_line_ends_and_more_columns_change_nothing(clean: Clean, tmp_path: Path) -> None:
    source = tmp_path / "ratings.csv"
    source.write_bytes("\ufefftimestamp,note,rating,movieId,userId\r\n9,x,4.5,2,1\r\n,y,3.0,2,1\r\n".encode())
    outcome = clean(source, "ratings")
    assert outcome.extra == ["note"]
    assert rows_of(outcome.table()) == [(1, 2, 4.5, 9, 1970, 1)]
    assert outcome.cleaned.rejected_by_reason == {"null_timestamp": 1}


def test_the_order_of_lines_changes_neither_rows_nor_sums(clean: Clean, tmp_path: Path) -> None:
    lines = [line for line, _ in RATING_HAZARDS]
    forwards = clean(write_lines(tmp_path / "a" / "ratings.csv", RATINGS_HEADER, lines), "ratings").cleaned
    backwards = clean(write_lines(tmp_path / "b" / "ratings.csv", RATINGS_HEADER, lines[::-1]), "ratings").cleaned
    assert forwards == backwards


def test_ranges_and_nulls_are_those_of_the_rows_kept(clean: Clean, tmp_path: Path) -> None:
    source = write_lines(tmp_path / "ratings.csv", RATINGS_HEADER, ["3,7,0.5,0", "4,5,5.0,1583020800", "-9,1,9,9"])
    found = quality.column_report(clean(source, "ratings").cleaned, RATINGS)
    assert found["user_id"] == {"null_percent": 0.0, "min": 3, "max": 4}
    assert found["rating"] == {"null_percent": 0.0, "min": 0.5, "max": 5.0}
    assert found["rating_ts"] == {"null_percent": 0.0, "min": "1970-01-01T00:00:00Z", "max": "2020-03-01T00:00:00Z"}
    assert (found["year"]["max"], found["month"]["min"]) == (2020, 1)


@pytest.mark.parametrize(
    ("written", "genres"),
    [
        ("Drama|", ["Drama"]),
        ("|Drama", ["Drama"]),
        ("Drama||Comedy", ["Drama", "Comedy"]),
        ("Drama| |Comedy", ["Drama", "Comedy"]),
        (" Drama | Comedy ", ["Drama", "Comedy"]),
        ("Drama\u00a0|\u2003Comedy\t", ["Drama", "Comedy"]),
        ("Science  Fiction|Science Fiction", ["Science Fiction"]),
        ("Drama|Comedy|Drama", ["Drama", "Comedy"]),
        ("(no genres listed)", []),
        (" (no genres listed) ", []),
        ("Drama|(no genres listed)", ["Drama"]),
        ("|", []),
        ("", []),
        ("  ", []),
        ("drama|Drama", ["drama", "Drama"]),
    ],
)
def test_a_genre_is_a_name_without_the_blanks_around_it(written: str, genres: list[str]) -> None:
    assert split_genres(written) == genres


def test_genres_that_differ_in_case_alone_are_counted_by_spelling(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = ["1,A,Drama|War", "2,B,drama", "3,C,Drama", "4,D,DRAMA |Comedy", "5,E,WAR", "6,F,ÉPIQUE|Épique"]
    write_lines(tmp_path / "bronze" / "movies.csv", MOVIES_HEADER, lines)
    silver_step.silver_table(task_for(tmp_path, "movies"), CLEANINGS["movies"])
    report = json.loads((tmp_path / "silver" / "_reports" / "quality_movies_own.json").read_text())
    assert report["genre_spellings"] == {
        "drama": {"Drama": 2, "DRAMA": 1, "drama": 1},
        "war": {"WAR": 1, "War": 1},
        "épique": {"ÉPIQUE": 1, "Épique": 1},
    }  # fmt: skip
    assert "genres that differ in case alone are kept apart: Drama 2, DRAMA 1, drama 1; WAR" in capsys.readouterr().out


def test_the_report_says_nothing_of_spellings_where_each_genre_has_one(tmp_path: Path) -> None:
    write_lines(tmp_path / "bronze" / "movies.csv", MOVIES_HEADER, ["1,A,Drama|War", "2,B,Drama"])
    silver_step.silver_table(task_for(tmp_path, "movies"), CLEANINGS["movies"])
    report = json.loads((tmp_path / "silver" / "_reports" / "quality_movies_own.json").read_text())
    assert "genre_spellings" not in report


def test_the_share_of_missing_years_is_reported(clean: Clean, tmp_path: Path) -> None:
    source = write_lines(tmp_path / "movies.csv", MOVIES_HEADER, ["1,A (1990),War", "2,B,War", "3,C,War", "4,D,War"])
    cleaned = clean(source, "movies").cleaned
    assert quality.column_report(cleaned, MOVIES)["release_year"] == {"null_percent": 75.0, "min": 1990, "max": 1990}


# --- the step: file in, table, quarantine and report out


@pytest.mark.parametrize("storage_format", ["delta", "parquet"])
def test_the_step_publishes_table_quarantine_and_report(tmp_path: Path, storage_format: str) -> None:
    lines = ["1,10,4.0,1000000000", "2,10,3.5,1000000001", "2,10,3.0,1000000001", "2,10,x,1000000001"]
    write_lines(tmp_path / "bronze" / "ratings.csv", RATINGS_HEADER, lines)
    receipt = silver_step.silver_table(task_for(tmp_path, "ratings", storage_format, share=0.5), ratings.CLEANING)
    assert (receipt.rows, receipt.schema_hash, receipt.format) == (2, RATINGS.schema_hash, storage_format)
    assert receipt.facts["rejected_by_reason"] == {"rating_not_a_number": 1}
    assert receipt.facts["duplicates"] == {"exact": 0, "conflicting": 1}
    assert len(pq.read_table(next((tmp_path / "silver/_quarantine/ratings").glob("*.parquet")))) == 1
    report = json.loads((tmp_path / "silver/_reports/quality_ratings_own.json").read_text(encoding="utf-8"))
    assert report["passed"]
    assert report["rows_in"] == report["rows_out"] + report["rejected"] + 1 == 4
    assert not list(tmp_path.glob("silver/_staging*")) and not list(tmp_path.glob("silver/**/staging-*"))


def test_the_same_rows_give_the_same_fingerprint_in_both_formats(tmp_path: Path) -> None:
    found = set()
    for storage_format in ("delta", "parquet"):
        small_dataset(tmp_path / storage_format / "bronze")
        task = task_for(tmp_path / storage_format, "ratings", storage_format)
        found.add(silver_step.silver_table(task, ratings.CLEANING).content_identity)
    assert len(found) == 1


def test_too_many_rejected_rows_stop_the_step_with_a_report_and_no_table(tmp_path: Path) -> None:
    write_lines(tmp_path / "bronze" / "ratings.csv", RATINGS_HEADER, ["1,10,4.0,1000000000", "2,10,,1"])
    with pytest.raises(DataError, match=r"1 of 2 rows rejected \(50\.0%\), more than max_reject_share=0\.05"):
        silver_step.silver_table(task_for(tmp_path, "ratings"), ratings.CLEANING)
    report = json.loads((tmp_path / "silver/_reports/quality_ratings_own.json").read_text(encoding="utf-8"))
    assert (report["passed"], report["rejected"]) == (False, 1)
    assert not (tmp_path / "silver/ratings").exists()


def test_a_data_set_without_tags_is_noted_as_absent(tmp_path: Path) -> None:
    receipt = silver_step.silver_table(task_for(tmp_path, "tags"), tags.CLEANING)
    assert (receipt.kind, receipt.rows) == ("absent", 0)
    report = json.loads((tmp_path / "silver/_reports/quality_tags_own.json").read_text(encoding="utf-8"))
    assert report == {"table": "tags", "absent": True, "passed": True}


def test_ratings_that_differ_only_in_writing_are_exact_duplicates(clean: Clean, tmp_path: Path) -> None:
    lines = ["1,10,4,1000000000", "1,10,4.0,1000000000", "2,10,5,1000000000", "2,10,4.50,1000000000"]
    source = write_lines(tmp_path / "source" / "ratings.csv", RATINGS_HEADER, lines)
    assert clean(source, "ratings").cleaned.duplicates == {"exact": 1, "conflicting": 1}


# --- why a step stops


def stopped(folder: Path, table: str, header: str, lines: list[str]) -> DataError:
    write_lines(folder / "bronze" / f"{table}.csv", header, lines)
    with pytest.raises(DataError) as caught:
        silver_step.silver_table(task_for(folder, table), CLEANINGS[table])
    return caught.value


@pytest.mark.parametrize(
    ("line", "rule", "example", "remedy"),
    [
        ("1,10,4.0,964982703000", "timestamp_out_of_range", "timestamp '964982703000'", "divide milliseconds by 1000"),
        ("1,10,4.0,2005-04-02 23:53:47", "timestamp_not_a_number", "timestamp '2005-04-02 23:53:47'", "convert dates"),
        ("1.0,10,4.0,1000000000", "user_not_a_number", "userId '1.0'", "no decimal point"),
        ("1,B00A,4.0,1000000000", "movie_not_a_number", "movieId 'B00A'", "no letters"),
        ("1,9007199254740993,4.0,1000000000", "movie_not_a_number", "movieId '9007199254740993'", "2147483647"),
        ('1,10,"4,0",1000000000', "rating_not_a_number", "rating '4,0'", "a decimal point, such as 3.5"),
        ("1,10,8,1000000000", "rating_out_of_range", "rating '8'", "from 0.5 to 5"),
        ("-1,10,4.0,1000000000", "negative_user", "userId '-1'", "from 0"),
        ("1,10,4.0", "malformed_line", "'1,10,4.0'", "as many fields as the header"),
        ('1,10,"4".0,1000000000', "malformed_line", "'1,10,\"4\".0,1000000000'", "behind a closing quote"),
    ],
)
def test_a_step_that_stops_names_the_rule_a_line_with_its_value_and_what_is_accepted(
    tmp_path: Path, line: str, rule: str, example: str, remedy: str
) -> None:
    error = stopped(tmp_path, "ratings", RATINGS_HEADER, ["1,10,4.0,1000000000", "", line, line])
    assert error.message.startswith(f"{tmp_path}/bronze/ratings.csv: 2 of 3 rows rejected (66.7%)")
    assert error.message.endswith(f": {rule} 2 (line 4: {example})")
    assert remedy in (error.hint or "")
    report = json.loads((tmp_path / "silver/_reports/quality_ratings_own.json").read_text(encoding="utf-8"))
    assert report["examples"][rule]["line"] == 4


def test_the_lines_of_examples_count_what_quotes_and_malformed_lines_take(tmp_path: Path) -> None:
    lines = ['1,"Two\nlines",War', "2", '3,"A" b,War', "4,C,War", ",D,War", "5,,War"]
    message = stopped(tmp_path, "movies", MOVIES_HEADER, lines).message
    assert "malformed_line 2 (line 4: '2')" in message
    assert "null_movie 1 (line 7: movieId '')" in message
    assert "null_title 1 (line 8: title '')" in message


def test_of_many_rules_the_most_frequent_are_named(tmp_path: Path) -> None:
    lines = ["x,-1,9,-5", "x,1,9,-5", "x,1,9,0", "x,1,1,0"]
    message = stopped(tmp_path, "ratings", RATINGS_HEADER, lines).message
    found = [
        message.index(rule) for rule in ("user_not_a_number 4", "rating_out_of_range 3", "timestamp_out_of_range 2")
    ]
    assert found == sorted(found)
    assert message.endswith("and 1 more rules")


def test_text_that_is_not_utf_8_is_shown_in_the_message(tmp_path: Path) -> None:
    (tmp_path / "bronze").mkdir()
    (tmp_path / "bronze" / "tags.csv").write_bytes(TAGS_HEADER.encode() + b"\n1,2,caf\xe9,3\n")
    with pytest.raises(DataError, match=r"invalid_utf8 1 \(line 2: tag 'caf\ufffd'\)"):
        silver_step.silver_table(task_for(tmp_path, "tags"), tags.CLEANING)


def test_rejected_rows_of_a_failed_run_can_be_seen_and_go_when_the_step_succeeds(tmp_path: Path) -> None:
    kept = tmp_path / layout.rejected_by_failed_run("ratings")
    error = stopped(tmp_path, "ratings", RATINGS_HEADER, ["1,10,4.0,1000000000", "1,10,4.0,964982703000", "1,2"])
    assert str(kept) in (error.hint or "")
    rows = pq.read_table(kept).to_pylist()
    assert [row["reasons"] for row in rows] == [["timestamp_out_of_range"], ["malformed_line"]]
    assert (rows[0]["timestamp"], rows[1]["line"]) == ("964982703000", "1,2")
    assert not (tmp_path / layout.quarantine("ratings")).exists()
    assert kept.as_posix().startswith(str(tmp_path / "silver" / "_"))  # as data files, such names are passed over
    write_lines(tmp_path / "bronze" / "ratings.csv", RATINGS_HEADER, ["1,10,4.0,1000000000"])
    silver_step.silver_table(task_for(tmp_path, "ratings"), ratings.CLEANING)
    assert not kept.exists()
    assert str(kept.relative_to(tmp_path).parent) in folders_of("silver", "own")


@pytest.mark.parametrize("table", CLEANINGS)
def test_every_rule_says_what_it_accepts(table: str) -> None:
    assert set(CLEANINGS[table].rule_names) <= set(rejections.EXPECTED)


@pytest.mark.parametrize(
    ("scale", "accepted"),
    [
        ("0.5..5", ["0.5", "1", "5"]),
        ("1..10", ["1", "5", "10"]),
        ("-1..1", ["-1", "0.5", "1"]),
        ("0..0.7", ["0.5", "0.7"]),  # 0.7 as a float32 is below 0.7
        ("none", ["0.5", "0.7", "1", "5", "10", "1000"]),
    ],
)
def test_ratings_are_accepted_on_the_scale_of_the_data_set(scale: str, accepted: list[str]) -> None:
    values = ["-1", "0.5", "0.7", "1", "5", "10", "1000"]
    if scale not in {"0..0.7", "none"}:
        values.remove("0.7")
    columns = [["1"] * len(values), ["2"] * len(values), values, ["1200000000"] * len(values)]
    names = ratings.CLEANING.source_columns
    records = pa.record_batch([pa.array(column, pa.string()) for column in columns], names=names)
    broken = ratings.cleaning(parse_rating_scale(scale)).apply(records).violations["rating_out_of_range"]
    assert [value for value, bad in zip(values, broken, strict=True) if not bad] == accepted
