"""A user's own files become the CSV files of bronze: the same content in every layout, and no row is lost."""

from __future__ import annotations

import csv
import random
import zipfile
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from reco_platform.config.load import load_config
from reco_platform.core.errors import DataError
from reco_platform.datasets import source_files
from reco_platform.datasets.id_dictionary import IdDictionary
from reco_platform.datasets.inspection.detect import inspect
from reco_platform.datasets.source_layout import SourceLayout, from_values, refuse_contradictions
from reco_platform.datasets.source_times import TimeTranslation
from reco_platform.datasets.text_columns import rating_text
from reco_platform.datasets.translate import Translation, translate
from support import layouts, oracle
from support.layouts import write

RATINGS = layouts.some_ratings()
Rows = list[tuple[str, ...]]


def layout_of(keys: Mapping[str, Any]) -> SourceLayout:
    config = load_config(keys, {}).model_dump()
    refuse_contradictions(config)
    return from_values(config)


def translated(folder: Path, keys: Mapping[str, Any], target: Path) -> dict[str, IdDictionary]:
    """Translates a folder with some config keys; returns the dictionaries."""
    layout = layout_of(keys)
    target.mkdir(exist_ok=True)
    names: Sequence[Any] = ("users", "items") if layout.id_type == "text" else ()
    dictionaries = {name: IdDictionary.load(target / "_ids", name) for name in names}
    ratings, items = source_files.ratings_files(folder, layout), source_files.items_files(folder, layout)
    translate(Translation(layout, target, lambda _: None, dictionaries), ratings, items)
    return dictionaries


def rows_of(path: Path) -> Rows:
    with path.open(encoding="utf-8", newline="") as file:
        return [tuple(row) for row in csv.reader(file)][1:]


def source_rows(target: Path, dictionaries: Mapping[str, IdDictionary]) -> Rows:
    """The translated ratings with the ids of the source."""
    if not dictionaries:
        return rows_of(target / "ratings.csv")
    users, items = (dictionaries[name].texts().to_pylist() for name in ("users", "items"))
    return [(users[int(u)], items[int(i)], r, t) for u, i, r, t in rows_of(target / "ratings.csv")]


def translate_one(tmp_path: Path, lines: Sequence[str], **keys: Any) -> Rows:
    """The translated ratings of one file in the given layout, without titles."""
    folder = write(tmp_path / "own", {"ratings.csv": lines})
    translated(folder, {"items_file": "none", **keys}, tmp_path / "bronze")
    return rows_of(tmp_path / "bronze" / "ratings.csv")


# --- every layout that users have

CHANGES = {
    "ml-100k": lambda r: (str(r.user), str(r.item), float(r.whole)),
    "ml-1m": lambda r: (str(r.user), str(r.item), float(r.whole)),
    "ten-points": lambda r: (str(r.user), str(r.item), r.stars * 2),
    "string-ids": lambda r: (layouts.code("A", r.user), layouts.code("B0", r.item), r.stars),
    "big-ids": lambda r: (str(9_000_000_000 + r.user), str(7_000_000_000 + r.item), r.stars),
    "clicks": lambda r: (str(r.user), str(r.item), 1.0 if r.stars < 4 else 5.0),
}


@pytest.mark.parametrize("name", layouts.USERS_LAYOUTS)
def test_each_layout_has_the_same_ratings_as_the_original_in_the_same_order(name: str, tmp_path: Path) -> None:
    folder = layouts.USERS_LAYOUTS[name](tmp_path / "own", RATINGS)
    dictionaries = translated(folder, inspect(folder).keys, tmp_path / "bronze")
    change = CHANGES.get(name, lambda r: (str(r.user), str(r.item), r.stars))
    found = [(u, i, float(r), int(t)) for u, i, r, t in source_rows(tmp_path / "bronze", dictionaries)]
    assert found == [(*change(r), r.time) for r in RATINGS]


@pytest.mark.parametrize("name", layouts.USERS_LAYOUTS)
def test_each_layout_has_the_same_titles_as_the_original_or_the_ids(name: str, tmp_path: Path) -> None:
    folder = layouts.USERS_LAYOUTS[name](tmp_path / "own", RATINGS)
    keys = inspect(folder).keys
    dictionaries = translated(folder, keys, tmp_path / "bronze")
    found = rows_of(tmp_path / "bronze" / "movies.csv")
    if keys.get("items_file") == "none":
        ids = dict.fromkeys(CHANGES.get(name, lambda r: ("", str(r.item)))(r)[1] for r in RATINGS)
        assert [title for _, title, _ in found] == list(ids)
        if dictionaries:
            assert dictionaries["items"].texts().to_pylist() == list(ids)
            assert [number for number, _, _ in found] == [str(number) for number in range(len(ids))]
    else:
        has_genres = name != "ml-100k"
        expected = [(str(i), t, g if has_genres else "") for i, t, g in layouts.titles(RATINGS)]
        assert [(i, t, g if has_genres else "") for i, t, g, *_ in found] == expected


@pytest.mark.parametrize("name", [name for name in layouts.KNOWN_LAYOUTS if name != "movielens"])
def test_each_known_layout_is_read_by_its_name_alone(name: str, tmp_path: Path) -> None:
    folder = layouts.KNOWN_LAYOUTS[name](tmp_path / "own", RATINGS)
    dictionaries = translated(folder, {"layout": name}, tmp_path / "bronze")
    found = source_rows(tmp_path / "bronze", dictionaries)
    pairs = Counter((user, item) for user, item, _, _ in found)
    assert len(found) == len(RATINGS) * (2 if name == "steam" else 1)
    assert len(pairs) == len(RATINGS)
    assert len({item for _, item in pairs}) == len({r.item for r in RATINGS})
    if name not in {"goodreads", "book-crossing", "lastfm-360k", "steam"}:
        days = 86_400 if name == "netflix" else 1
        assert Counter((float(r), int(t) // days) for _, _, r, t in found) == Counter(
            (r.stars if name == "ml-10m" else float(r.whole), r.time // days) for r in RATINGS
        )


def test_titles_of_known_layouts_keep_their_commas_and_letters(tmp_path: Path) -> None:
    for name, title in (("netflix", 'The "Film" No. 1, Part é (1990)'), ("lastfm-360k", "The Band 1")):
        folder = layouts.KNOWN_LAYOUTS[name](tmp_path / name, RATINGS)
        translated(folder, {"layout": name}, tmp_path / f"bronze-{name}")
        movies = rows_of(tmp_path / f"bronze-{name}" / "movies.csv")
        assert title in {row[1] for row in movies}
        assert len(movies) == len({r.item for r in RATINGS}), "each item once"


# --- forms of files

LINES = ["userId,movieId,rating,timestamp", "1,10,4.5,1200000000", "2,20,3,1200000001"]
EXPECTED: Rows = [("1", "10", "4.5", "1200000000"), ("2", "20", "3", "1200000001")]


@pytest.mark.parametrize(
    ("lines", "keys"),
    [
        ([line.replace(",", "||") for line in LINES], {"delimiter": "||"}),
        ([line.replace(",", " | ") for line in LINES], {"delimiter": " | "}),
        ([line.replace(",", "¦") for line in LINES], {"delimiter": "¦"}),
        (['"' + line.replace(",", '";"') + '"' for line in LINES], {"delimiter": ";"}),
        ([line.replace(",", "\t") for line in LINES[1:]], {"delimiter": "tab", "header": "false"}),
        ([",".join(reversed(line.split(","))) for line in LINES], {"delimiter": "comma"}),
        (
            [",".join(["x", *reversed(line.split(","))]) for line in LINES[1:]],
            {"header": "false", "user_column": "5", "item_column": "4", "rating_column": "3", "time_column": "2"},
        ),
    ],
)
def test_delimiters_quotes_headers_and_the_order_of_columns(
    lines: Sequence[str], keys: dict[str, Any], tmp_path: Path
) -> None:
    keys = {"time_zone": "UTC", "encoding": "utf-8", "file_format": "csv", **keys}
    assert translate_one(tmp_path, lines, **keys) == EXPECTED


@pytest.mark.parametrize("encoding", ["latin-1", "cp1252", "utf-16", "utf-16-le", "utf-8-sig"])
def test_encodings_of_titles(encoding: str, tmp_path: Path) -> None:
    write(tmp_path / "own", {"ratings.csv": LINES})
    write(tmp_path / "own", {"movies.csv": ["movieId,title,genres", '10,"Ca, fé",Drama']}, encoding)
    translated(tmp_path / "own", {"items_encoding": encoding}, tmp_path / "bronze")
    assert rows_of(tmp_path / "bronze" / "movies.csv") == [("10", "Ca, fé", "Drama")]


def test_bytes_that_an_encoding_does_not_have_stay_for_cleaning_to_reject(tmp_path: Path) -> None:
    write(tmp_path / "own", {"ratings.csv": LINES})
    (tmp_path / "own" / "movies.csv").write_bytes(b"movieId,title,genres\n10,A\x81B,Drama\n20,Caf\xe9,Drama\n")
    translated(tmp_path / "own", {"items_encoding": "cp1252"}, tmp_path / "bronze")
    found = oracle.movies(tmp_path / "bronze" / "movies.csv")
    assert [row[1] for row in found.good] == ["Café"] and found.reasons == {"invalid_utf8": 1}


def test_several_files_a_pattern_zstd_and_members_of_archives(tmp_path: Path) -> None:
    own = write(tmp_path / "own", {"part-1.csv": LINES[:2], "part-2.csv": [LINES[0], LINES[2]]})
    with pa.CompressedOutputStream(str(own / "all.csv.zst"), "zstd") as out:
        out.write("".join(f"{line}\n" for line in LINES).encode())
    with zipfile.ZipFile(own / "all.zip", "w") as bundle:
        bundle.writestr("data/r-1.csv", "\n".join(LINES[:2]))
        bundle.writestr("data/r-2.csv", "\n".join([LINES[0], LINES[2]]))
    for value in (
        "part-*.csv", "part-1.csv, part-2.csv", "all.csv.zst", "all.zip/data/r-*.csv",
        "all.zip/data/r-1.csv,all.zip/data/r-2.csv",
    ):  # fmt: skip
        translated(own, {"ratings_file": value, "items_file": "none"}, tmp_path / "bronze")
        assert rows_of(tmp_path / "bronze" / "ratings.csv") == EXPECTED, value


def test_parquet_with_numbers_times_and_lists(tmp_path: Path) -> None:
    own = tmp_path / "own"
    own.mkdir()
    times = pa.array([1_200_000_000_500, 1_200_000_001_999], pa.timestamp("ms", "Europe/Berlin"))
    columns = {"u": pa.array([1, 2]), "i": pa.array(["10", "20"]).dictionary_encode(), "r": [4.5, 3.0], "t": times}
    pq.write_table(pa.table(columns), own / "ratings.parquet")
    names = pa.array(["A", "B"], pa.large_string())
    pq.write_table(pa.table({"i": [10, 20], "n": names, "c": [["x", "y"], None]}), own / "items.parquet")
    keys = {"user_column": "u", "item_column": "i", "rating_column": "r", "time_column": "t"}
    items = {"items_file": "items.parquet", "items_id_column": "i", "title_column": "n", "genres_column": "c"}
    translated(own, {"ratings_file": "ratings.parquet", **keys, **items}, tmp_path / "bronze")
    assert rows_of(tmp_path / "bronze" / "ratings.csv") == EXPECTED
    assert rows_of(tmp_path / "bronze" / "movies.csv") == [("10", "A", "x|y"), ("20", "B", "")]


def test_json_lines_with_missing_values_and_lines_that_are_none(tmp_path: Path) -> None:
    lines = [
        '{"userId": 1, "movieId": "10", "rating": 4.5, "timestamp": 1200000000, "text": "a\\nb"}',
        '{"userId": 2, "movieId": "20", "rating": null}',
        '["no", "object"]',
        '{"userId": 3',
    ]
    write(tmp_path / "own", {"ratings.jsonl": lines})
    translated(tmp_path / "own", {"ratings_file": "ratings.jsonl", "items_file": "none"}, tmp_path / "bronze")
    found = oracle.ratings(tmp_path / "bronze" / "ratings.csv")
    assert (found.rows_in, len(found.good)) == (4, 1)
    assert found.reasons == {"null_rating": 1, "null_timestamp": 1, "malformed_line": 2}
    assert [row[-1] for row in found.quarantine if row[-1]] != []


def test_a_json_array_is_refused_with_the_command_that_converts_it(tmp_path: Path) -> None:
    write(tmp_path / "own", {"ratings.json": ["[", '{"userId": 1}', "]"]})
    with pytest.raises(DataError, match="one JSON array, not a JSON object in each line") as caught:
        translated(tmp_path / "own", {"ratings_file": "ratings.json", "items_file": "none"}, tmp_path / "bronze")
    assert "jq -c" in str(caught.value.hint)


def test_titles_genres_and_attributes_from_other_columns(tmp_path: Path) -> None:
    items = ["sku;name;kinds;author;price", '10;"A; b";Books, Used|Old;"O""Neil";3,5', "20;B;;;"]
    own = write(tmp_path / "own", {"ratings.csv": LINES, "products.csv": items})
    keys = {
        "items_file": "products.csv", "items_delimiter": ";", "items_id_column": "sku", "title_column": "name",
        "genres_column": "kinds", "genres_delimiter": ", ", "item_attributes": "author,price",
    }  # fmt: skip
    translated(own, keys, tmp_path / "bronze")
    assert rows_of(tmp_path / "bronze" / "movies.csv") == [
        ("10", "A; b", "Books|Used/Old", 'O"Neil', "3,5"),
        ("20", "B", "", "", ""),
    ]


# --- values that cannot be translated


def test_events_without_a_weight_are_left_for_cleaning_to_reject(tmp_path: Path) -> None:
    lines = ["userId,movieId,what,timestamp", "1,1,view,1200000000", "1,2,7,1200000000", "1,3,buy,1200000000"]
    keys = {"rating_column": "none", "event_column": "what", "event_weights": "view=1 buy=2.5"}
    assert [row[2] for row in translate_one(tmp_path, lines, **keys)] == ["1", "event 7", "2.5"]
    assert oracle.ratings(tmp_path / "bronze" / "ratings.csv").reasons == {"rating_not_a_number": 1}


def test_thumbs_become_1_and_minus_1_and_other_words_are_rejected(tmp_path: Path) -> None:
    words = ["true", "FALSE", " Like ", "dislike", "1", "perhaps", ""]
    lines = ["userId,movieId,rating,timestamp", *(f"1,{n},{word},1200000000" for n, word in enumerate(words))]
    assert [row[2] for row in translate_one(tmp_path, lines, rating_scale="-1..1")] == [
        "1", "-1", "1", "-1", "1", "perhaps", "",
    ]  # fmt: skip


def test_without_ratings_times_or_events_a_row_counts_once(tmp_path: Path) -> None:
    keys = {"rating_column": "none", "time_column": "none"}
    assert translate_one(tmp_path, ["userId,movieId", "1,2"], **keys) == [("1", "2", "1", "0")]


def test_lines_of_another_width_stay_malformed_whatever_they_hold(tmp_path: Path) -> None:
    bad = ["1;2;3", "1,2,3,1200000000", 'a"b;c', '"a;b', "1;2;3;1200000000;5"]
    lines = ["userId;movieId;rating;timestamp", "1;2;3;1200000000", *bad]
    found = translate_one(tmp_path, lines, delimiter=";", quoting="false")
    assert found == [("1", "2", "3", "1200000000"), *((line,) for line in bad)]
    checked = oracle.ratings(tmp_path / "bronze" / "ratings.csv")
    assert (checked.rows_in, len(checked.good), checked.reasons) == (6, 1, {"malformed_line": 5})


def test_ids_that_are_blank_or_no_text_are_left_for_cleaning_to_reject(tmp_path: Path) -> None:
    own = tmp_path / "own"
    own.mkdir()
    rows = [b",a", b"u1,a", b"  ,a", b"u\xff,a", b"U1,a", b"u1 ,a", b'"u,1",a']
    (own / "ratings.csv").write_bytes(b"u,i\n" + b"\n".join(rows) + b"\n")
    keys = {"user_column": "u", "item_column": "i", "rating_column": "none", "time_column": "none"}
    dictionaries = translated(own, {**keys, "items_file": "none", "id_type": "text"}, tmp_path / "bronze")
    found = oracle.ratings(tmp_path / "bronze" / "ratings.csv")
    assert found.reasons == {"null_user": 2, "user_not_a_number": 1}
    assert dictionaries["users"].texts().to_pylist() == ["u1", "U1", "u1 ", "u,1"], "kept apart"


def test_texts_where_ids_should_be_numbers_stop_the_import_with_the_key(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"user_column=userId: 'A3SG7' is not a whole number from 0") as caught:
        translate_one(tmp_path, ["userId,movieId,rating,timestamp", "A3SG7,1,3,1200000000"], file_format="csv")
    assert caught.value.hint == "for ids of any kind: --config id_type=text"


# --- what would be wrong in every row


@pytest.mark.parametrize(
    ("unit", "values", "message", "proposal"),
    [
        ("s", ["1200000000123", "1200000001000"], "1200000000123 is in the year .*; in ms it would be in 2008", "ms"),
        ("ms", ["1200000000", "1200000001"], "1200000000 is in the year 1970; in s it would be in 2008", "s"),
        ("s", ["1200000000123456", "1"], "in us it would be in 2008", "us"),
        ("s", ["2008-01-10", "2008-01-11"], "'2008-01-10' is not a whole number", "iso8601"),
        ("iso8601", ["1200000000", "1200000001"], "'1200000000' is not a time in this form", "s"),
        ("iso8601", ["20080110", "20080111"], "'20080110' is not a time in this form", "%Y%m%d"),
        ("%d/%m/%Y", ["2008-01-10", "2008-01-11"], "'2008-01-10' is not a time in this form", "iso8601"),
    ],
)
def test_a_wrong_unit_of_time_stops_the_import_and_says_which_fits(
    unit: str, values: Sequence[str], message: str, proposal: str, tmp_path: Path
) -> None:
    lines = ["userId,movieId,rating,timestamp", *(f"1,{n},3,{value}" for n, value in enumerate(values))]
    with pytest.raises(DataError, match=message) as caught:
        translate_one(tmp_path, lines, time_unit=unit, delimiter="comma", file_format="csv")
    assert caught.value.hint is not None and caught.value.hint.strip("'").endswith(f"time_unit={proposal}")
    assert "record 1" in caught.value.message


def test_single_times_in_another_form_are_left_for_cleaning_to_reject(tmp_path: Path) -> None:
    times = ["2008-01-10T21:20:00Z", "2008-01-10T22:20:00+01:00", "2008-01-10 21:20:00.9", "1200000000", "soon"]
    lines = ["userId,movieId,rating,timestamp", *(f"1,{n},3,{time}" for n, time in enumerate(times))]
    found = [row[3] for row in translate_one(tmp_path, lines, time_unit="iso8601")]
    assert found == ["1200000000"] * 3 + ["'1200000000'", "soon"]
    reasons = oracle.ratings(tmp_path / "bronze" / "ratings.csv").reasons
    assert reasons == {"timestamp_not_a_number": 2}


def test_times_without_a_zone_are_in_the_given_one(tmp_path: Path) -> None:
    lines = ["userId,movieId,rating,timestamp", "1,1,3,10.01.2008 22:20", "1,2,3,10.07.2008 23:20"]
    keys = {"time_unit": "%d.%m.%Y %H:%M", "time_zone": "Europe/Berlin"}
    assert [row[3] for row in translate_one(tmp_path, lines, **keys)] == ["1200000000", "1215724800"]


def test_a_date_that_does_not_exist_is_not_taken_for_another(tmp_path: Path) -> None:
    lines = ["userId,movieId,rating,timestamp", "1,1,3,10/01/2008", "1,2,3,31/02/2008", "1,3,3,11/01/2008"]
    found = [row[3] for row in translate_one(tmp_path, lines, time_unit="%d/%m/%Y")]
    assert found == ["1199923200", "31/02/2008", "1200009600"]


# --- files


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"ratings_file": "votes.csv"}, r"has no 'votes\.csv' \(ratings_file\); it holds movies\.csv, ratings\.csv"),
        ({"ratings_file": "*.tsv"}, r"has no '\*\.tsv' \(ratings_file\)"),
        ({"items_file": "films.csv"}, r"has no 'films\.csv' \(items_file\)"),
        ({"user_column": "user_id"}, r"column 'user_id' is missing \(perhaps it is named 'userId'\)"),
        ({"header": "false", "user_column": "9"}, "there is no column 9; the line has 4 fields"),
        ({"file_format": "parquet"}, "cannot be read as Parquet"),
    ],
)
def test_a_missing_file_or_column_is_named_with_what_is_there(
    keys: dict[str, Any], message: str, tmp_path: Path
) -> None:
    own = write(tmp_path / "own", {"ratings.csv": LINES, "movies.csv": ["movieId,title,genres", "10,A,B"]})
    with pytest.raises(DataError, match=message) as caught:
        translated(own, keys, tmp_path / "bronze")
    assert caught.value.hint


def test_a_damaged_archive_is_named(tmp_path: Path) -> None:
    own = tmp_path / "own"
    own.mkdir()
    (own / "ratings.csv.gz").write_bytes(b"\x1f\x8b\x08\x00 not more")
    with pytest.raises(DataError, match=r"ratings\.csv\.gz: cannot be unpacked"):
        translated(own, {"ratings_file": "ratings.csv.gz", "items_file": "none"}, tmp_path / "bronze")


def test_a_file_that_changes_while_it_is_read_stops_the_import(tmp_path: Path) -> None:
    own = write(tmp_path / "own", {"ratings.csv": LINES})
    layout = layout_of({"items_file": "none"})
    (tmp_path / "bronze").mkdir()

    def meddle(_: str) -> None:
        with (own / "ratings.csv").open("a") as file:
            file.write("3,30,1,1200000002\n")

    with pytest.raises(DataError, match=r"ratings\.csv changed while it was read") as caught:
        files = source_files.ratings_files(own, layout)
        translate(Translation(layout, tmp_path / "bronze", meddle, {}), files, [])
    assert "run again" in str(caught.value.hint)


def test_an_archive_with_several_files_needs_one_of_their_names(tmp_path: Path) -> None:
    own = tmp_path / "own"
    own.mkdir()
    with zipfile.ZipFile(own / "all.zip", "w") as bundle:
        bundle.writestr("a.csv", "x")
        bundle.writestr("b.csv", "x")
    with pytest.raises(DataError, match=r"all\.zip holds 2 files: a\.csv, b\.csv") as caught:
        translated(own, {"ratings_file": "all.zip", "items_file": "none"}, tmp_path / "bronze")
    assert "ratings_file=all.zip/a.csv" in str(caught.value.hint)


# --- hostile bytes


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("keys", [{}, {"delimiter": "::"}, {"id_type": "text"}, {"file_format": "jsonl"}], ids=str)
def test_no_line_is_lost_whatever_bytes_it_holds(seed: int, keys: dict[str, Any], tmp_path: Path) -> None:
    chance = random.Random(seed)
    own, delimiter = tmp_path / "own", keys.get("delimiter", ";").encode()
    own.mkdir()
    pieces = [b"1", b"27", b"4.5", b"1200000000", b"", b" ", b",", b'"', b'""', b"'", b"\t", b"\0", b"\xff", b"\xc3",
              "é".encode(), b"\\", b"NA", b"-1", b"99999999999999999999", b"{", b"}", b"[1]", b"x" * 300]  # fmt: skip
    lines = []
    for _ in range(60):
        if keys.get("file_format") == "jsonl":
            good = b'{"userId": 1, "movieId": 2, "rating": 3, "timestamp": 1200000000}'
            lines.append(good if chance.random() < 0.5 else b"x" + b"".join(chance.choices(pieces, k=4)))
        elif chance.random() < 0.6:
            lines.append(delimiter.join([b"1", b"2", b"3", b"1200000000"]))
        else:
            fields = (b"".join(chance.choices(pieces, k=chance.randint(1, 2))) for _ in range(chance.randint(1, 6)))
            lines.append(b"x" + delimiter.join(fields))
    header = b"" if "file_format" in keys else delimiter.join([b"userId", b"movieId", b"rating", b"timestamp"]) + b"\n"
    (own / "ratings.csv").write_bytes(header + b"\n".join(lines) + b"\n")
    given = {"delimiter": ";", "quoting": "false", **keys} if "file_format" not in keys else keys
    translated(own, {"items_file": "none", **given}, tmp_path / "bronze")
    found = oracle.ratings(tmp_path / "bronze" / "ratings.csv")
    assert found.rows_in == len(lines)
    assert found.rows_in == len(found.good) + len(found.rejected) + sum(found.duplicates.values())


def test_days_as_excel_counts_them_and_decimal_commas_are_translated() -> None:
    times = TimeTranslation.of("excel", "UTC").translate(pa.array(["39448.5", "39448,25", "soon"]))
    assert times.to_pylist() == ["1199188800", "1199167200", "soon"]
    berlin = TimeTranslation.of("excel", "Europe/Berlin").translate(pa.array(["39448.5"]))
    assert berlin.to_pylist() == ["1199185200"]
    assert rating_text(pa.array(["4,5", "3", "1,2,3", "yes"])).to_pylist() == ["4.5", "3", "1,2,3", "1"]
