"""Inspection of a user's files: what it finds, where it is unsure, and the config that it proposes."""

from __future__ import annotations

import gzip
import json
import uuid
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from reco_platform.config import commands
from reco_platform.config.load import load_config
from reco_platform.core.errors import DataError
from reco_platform.datasets.inspection import words
from reco_platform.datasets.inspection.checks import rejections
from reco_platform.datasets.inspection.detect import Inspection, inspect
from reco_platform.datasets.inspection.files import BLOCK_BYTES, BLOCKS, HEAD_BYTES, DataFile, sample
from reco_platform.datasets.inspection.names import dataset_name, known_name
from reco_platform.datasets.inspection.remedy import remedy
from reco_platform.datasets.source_layout import refuse_contradictions
from support import layouts
from support.layouts import Rating, quoted, write

RATINGS = layouts.some_ratings()
COLUMNS = ("user_column", "item_column", "rating_column", "time_column")


def columns(found: Inspection) -> tuple[str, ...]:
    return tuple(str(found.keys.get(key)) for key in COLUMNS)


def table(folder: Path, name: str, header: str, rows: Sequence[str], **options: Any) -> Inspection:
    """The inspection of a folder with one file."""
    return inspect(write(folder, {name: [*([header] if header else []), *rows]}, **options))


# --- the layouts of users

EXPECTED: dict[str, dict[str, Any]] = {
    "ml-100k": {"ratings_file": "u.data", "delimiter": "tab", "header": False, "items_file": "u.item"},
    "ml-1m": {
        "ratings_file": "ratings.dat",
        "delimiter": "::",
        "items_file": "movies.dat",
        "items_encoding": "latin-1",
    },
    "tabs": {"ratings_file": "ratings.tsv", "delimiter": "tab", "rating_column": "stars", "time_column": "when"},
    "semicolons": {"delimiter": ";", "user_column": "user_id", "items_delimiter": ",", "title_column": "title"},
    "gzip": {"ratings_file": "ratings.csv.gz", "items_file": "movies.csv"},
    "no-header": {"header": False, "user_column": "1", "item_column": "2", "items_header": True},
    "iso-dates": {"user_column": "customer", "item_column": "product", "time_unit": "iso8601", "items_file": "none"},
    "milliseconds": {"time_unit": "ms"},
    "ten-points": {"rating_scale": "1..10:1"},
    "string-ids": {"user_column": "reviewer", "item_column": "asin", "rating_column": "overall", "id_type": "text"},
    "big-ids": {"id_type": "text", "rating_scale": "0.5..5:0.5"},
    "clicks": {"rating_column": "none", "event_column": "event", "event_weights": "view=1 purchase=5"},
}


@pytest.mark.parametrize("name", layouts.USERS_LAYOUTS)
def test_each_layout_that_users_have_is_found_out(name: str, tmp_path: Path) -> None:
    found = inspect(layouts.USERS_LAYOUTS[name](tmp_path, RATINGS))
    assert {key: found.keys.get(key) for key in EXPECTED[name]} == EXPECTED[name]
    assert found.is_sure == (name != "no-header"), "sixty users whose ids are those of films too"
    assert found.rows in {len(RATINGS), None}
    assert rejections(found).rejected == 0
    refuse_contradictions(load_config(words.config_of(found), {}).model_dump())


@pytest.mark.parametrize("name", layouts.KNOWN_LAYOUTS)
def test_each_known_layout_is_recognised_by_name(name: str, tmp_path: Path) -> None:
    found = inspect(layouts.KNOWN_LAYOUTS[name](tmp_path, RATINGS))
    assert found.known is not None and found.known.layout == name
    assert found.is_sure
    assert found.layout_keys == ({} if name == "movielens" else {"layout": name})
    assert bool(rejections(found).rejected) == (name in {"goodreads", "book-crossing"}), "a rating of 0 is none"


def test_the_readme_of_movielens_names_the_data_set(tmp_path: Path) -> None:
    layouts.KNOWN_LAYOUTS["movielens"](tmp_path, RATINGS)
    (tmp_path / "README.txt").write_text("Summary\n=======\n\nThis dataset (ml-25m) describes 5-star rating ...\n")
    found = inspect(tmp_path)
    assert words.config_of(found) == {"dataset": "ml-25m", "dataset_path": str(tmp_path)}, "no other key is needed"


# --- files as shops and players export them


def german_shop(r: Rating) -> str:
    stars = f"{r.stars}".replace(".", ",")
    return f"{r.time % 9999};K-{r.user:05d};ART{r.item};Gerät {r.item};{stars};{r.moment:%d.%m.%Y %H:%M};{r.item},99"


def unique_id(number: int) -> str:
    return str(uuid.UUID(int=number**3 * 7**10))


SHOP = "Bestellnr;Kundennummer;Artikelnummer;Artikelname;Bewertung;Bestelldatum;Preis"
VARIANTS: dict[str, tuple[str, Any, tuple[str, ...], dict[str, Any]]] = {
    "a German shop": (
        SHOP, german_shop, ("Kundennummer", "Artikelnummer", "Bewertung", "Bestelldatum"),
        {"time_unit": "%d.%m.%Y %H:%M", "id_type": "text", "rating_scale": "0.5..5:0.5", "delimiter": ";"},
    ),
    "columns in another order": (
        "timestamp,rating,item_id,user_id", lambda r: f"{r.time},{r.stars},{r.item},{r.user}",
        ("user_id", "item_id", "rating", "timestamp"), {"time_unit": "s", "id_type": "integer"},
    ),
    "quoted numbers": (
        '"userId","movieId","rating","timestamp"', lambda r: f'"{r.user}","{r.item}","{r.stars}","{r.time}"',
        ("userId", "movieId", "rating", "timestamp"), {},
    ),
    "dates as Excel counts them": (
        "user,product,stars,when", lambda r: f"{r.user},{r.item},{r.stars},{r.time / 86400 + 25569:.5f}",
        ("user", "product", "stars", "when"), {"time_unit": "excel"},
    ),
    "dates of America": (
        "user name,item,stars,date", lambda r: f"Anna {r.user},Item {r.item},{r.whole},{r.moment:%m/%d/%Y}",
        ("user name", "item", "stars", "date"), {"time_unit": "%m/%d/%Y", "id_type": "text"},
    ),
    "days as numbers": (
        "user,item,rating,date", lambda r: f"{r.user},{r.item},{r.stars},{r.moment:%Y%m%d}",
        ("user", "item", "rating", "date"), {"time_unit": "%Y%m%d"},
    ),
    "1 to 100": (
        "user_id,anime_id,score,updated_at",
        lambda r: f"{r.user},{r.item},{min(r.stars * 20 - r.time % 9, 100) if r.stars < 5 else 100:.0f},{r.iso}",
        ("user_id", "anime_id", "score", "updated_at"), {"rating_scale": "1..100:1"},
    ),
    "thumbs": (
        "user,video,thumbs,ts", lambda r: f"{r.user},{r.item},{1 if r.stars > 3 else -1},{r.time}",
        ("user", "video", "thumbs", "ts"), {"rating_scale": "-1..1:1"},
    ),
    "no time": ("user,song", lambda r: f"u{r.user},s{r.item}", ("user", "song", "none", "none"), {"id_type": "text"}),
    "UUIDs": (
        "event_id,customer_id,product_id,rating,created_at",
        lambda r: ",".join([*map(unique_id, (r.time, r.user, r.item)), str(r.whole), r.iso]),
        ("customer_id", "product_id", "rating", "created_at"), {"id_type": "text", "rating_scale": "1..5:1"},
    ),
    "plays": (
        "user\tartist\tplays", lambda r: f"{r.user}\t{r.item}\t{int(r.stars**4) + r.item}",
        ("user", "artist", "plays", "none"), {"rating_scale": "none", "repeats": "sum"},
    ),
    "an export of Excel": (
        "sep=;\nKunde;Produkt;Sterne;Datum", lambda r: f"{r.user};{r.item};{r.whole};{r.moment:%d.%m.%Y}",
        ("Kunde", "Produkt", "Sterne", "Datum"), {"delimiter": ";", "time_unit": "%d.%m.%Y"},
    ),
    "bars and short names": (
        "usr|prd|score|dt", lambda r: f"{r.user}|{r.item}|{r.whole}|{r.iso[:10]}",
        ("usr", "prd", "score", "dt"), {"delimiter": "|", "time_unit": "iso8601"},
    ),
    "jokes": (
        "user,joke,rating", lambda r: f"{r.user},{r.item},{r.time % 1990 / 100 - 9.95:.2f}",
        ("user", "joke", "rating", "none"), {"rating_scale": "-10..10:0.01"},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", VARIANTS)
def test_files_as_people_export_them_are_found_out(name: str, tmp_path: Path) -> None:
    header, row, wanted, keys = VARIANTS[name]
    found = table(tmp_path, "export.csv", header, [row(r) for r in RATINGS])
    assert columns(found) == wanted
    assert {key: found.keys.get(key) for key in keys} == keys
    assert found.is_sure == (name != "an export of Excel"), "a line sep=; has to go"
    assert rejections(found).rejected == 0
    refuse_contradictions(load_config(words.config_of(found), {}).model_dump())


@pytest.mark.parametrize(
    ("encoding", "newline", "said"),
    [
        ("utf-8-sig", "\r\n", "utf-8"),
        ("cp1252", "\n", "cp1252"),
        ("latin-1", "\n", "latin-1"),
        ("utf-16", "\n", "utf-16"),
    ],
)
def test_encodings_and_ends_of_lines_are_found_out(encoding: str, newline: str, said: str, tmp_path: Path) -> None:
    word = "Café “x”" if encoding != "latin-1" else "Café"
    lines = [f"{r.user};{word} {r.item};{r.stars};{r.time}" for r in RATINGS]
    found = table(tmp_path, "r.csv", "user;item;rating;time", lines, encoding=encoding, newline=newline)
    assert found.keys["encoding"] == said and columns(found) == ("user", "item", "rating", "time")
    assert found.ratings.column("item")[0] == f"{word} {RATINGS[0].item}"


def test_json_lines_with_their_own_titles_are_found_out(tmp_path: Path) -> None:
    reviews = [json.dumps({"rating": float(r.whole), "title": "Good", "text": "a\nb", "images": [],
                           "asin": f"B{r.item:09d}", "parent_asin": f"B{r.item:09d}", "user_id": f"AE{r.user:026d}",
                           "timestamp": r.time * 1000, "verified_purchase": True}) for r in RATINGS]  # fmt: skip
    items = [json.dumps({"main_category": "Books", "title": t, "average_rating": 4.0, "categories": ["Books", "Art"],
                         "parent_asin": f"B{i:09d}"}) for i, t, _ in layouts.titles(RATINGS)]  # fmt: skip
    found = inspect(write(tmp_path, {"Books.jsonl": reviews, "meta_Books.jsonl": items}))
    assert columns(found) == ("user_id", "asin", "rating", "timestamp") and found.keys["time_unit"] == "ms"
    assert (found.keys["items_file"], found.keys["title_column"]) == ("meta_Books.jsonl", "title")
    assert found.known is not None and found.known.layout == "amazon-jsonl"


def test_parquet_in_parts_and_a_member_of_an_archive_are_found_out(tmp_path: Path) -> None:
    parts = pa.table({
        "user_id": [f"u{r.user}" for r in RATINGS], "item_id": [r.item for r in RATINGS],
        "rating": pa.array([r.stars for r in RATINGS], pa.float32()), "ts": [r.moment for r in RATINGS],
    })  # fmt: skip
    (tmp_path / "parts").mkdir()
    for number in range(3):
        pq.write_table(parts, tmp_path / "parts" / f"part-0000{number}.parquet")
    found = inspect(tmp_path / "parts")
    assert found.keys["ratings_file"] == "part-*.parquet" and len(found.parts) == 3
    assert columns(found) == ("user_id", "item_id", "rating", "ts") and "file_format" not in found.keys
    with zipfile.ZipFile(tmp_path / "ml.zip", "w") as bundle:
        bundle.writestr("ml/ratings.csv", "\n".join(layouts.ratings_csv(RATINGS)))
        bundle.writestr("ml/movies.csv", "\n".join(layouts.movies_csv(RATINGS)))
    found = inspect(tmp_path / "ml.zip")
    assert columns(found) == ("userId", "movieId", "rating", "timestamp") and found.titles is not None


def test_titles_in_a_file_with_other_columns_are_found_by_their_ids(tmp_path: Path) -> None:
    head = "book_id,goodreads_book_id,authors,original_publication_year,title,average_rating"
    books = [f"{i},{i * 3},Someone,1990.0,{quoted(t)},3.9" for i, t, _ in layouts.titles(RATINGS)]
    lines = [f"{r.user},{r.item},{r.whole}" for r in RATINGS]
    found = inspect(write(tmp_path, {"ratings.csv": ["user_id,book_id,rating", *lines], "books.csv": [head, *books]}))
    assert (found.keys["items_file"], found.keys["items_id_column"]) == ("books.csv", "book_id")
    assert found.keys["title_column"] == "title"


# --- where it is not sure


def alternatives(found: Inspection) -> list[str]:
    return [other for one in found.findings if not one.sure for other in one.alternatives]


def test_columns_without_meaningful_names_are_a_question(tmp_path: Path) -> None:
    found = table(tmp_path, "data.csv", "a,b,c,d", [f"x{r.user},y{r.item},{r.whole},{r.iso}" for r in RATINGS])
    assert not found.is_sure and columns(found) == ("a", "b", "c", "d")
    assert {"user_column=b", "item_column=a"} <= set(alternatives(found))


def test_a_date_that_can_be_read_in_two_ways_is_a_question(tmp_path: Path) -> None:
    lines = [f"{r.user},{r.item},{r.whole},0{r.item % 9 + 1}/0{r.user % 9 + 1}/2019" for r in RATINGS]
    found = table(tmp_path, "r.csv", "user,item,stars,date", lines)
    assert alternatives(found) == ["time_unit=%d/%m/%Y"]


def test_ratings_that_are_all_equal_are_said_to_be_none(tmp_path: Path) -> None:
    found = table(tmp_path, "r.csv", "user,item,rating,time", [f"{r.user},{r.item},1,{r.time}" for r in RATINGS])
    assert found.keys["rating_column"] == "none" and not found.is_sure
    assert any("all values" in one.text for one in found.findings)


def test_another_file_with_the_same_columns_is_a_question(tmp_path: Path) -> None:
    lines = layouts.ratings_csv(RATINGS)
    found = inspect(write(tmp_path, {"ratings.csv": lines, "ratings_small.csv": lines[:100]}))
    assert found.parts == ("ratings.csv",)
    assert alternatives(found) == ["ratings_file=ratings.csv,ratings_small.csv"]


def test_ids_that_differ_only_by_case_are_counted(tmp_path: Path) -> None:
    lines = [f"{'User' if r.item % 2 else 'USER'}{r.user},i{r.item},{r.whole},{r.time}" for r in RATINGS]
    found = table(tmp_path, "r.csv", "user,item,rating,time", lines)
    assert any("differ from another only by case" in one.text for one in found.findings)


# --- rows that would be rejected


def test_the_share_of_rejected_rows_and_its_reasons_are_counted(tmp_path: Path) -> None:
    good = [f"{r.user},{r.item},{r.whole},{r.time}" for r in RATINGS]
    bad = [",5,3,1200000000", "x,5,3,1200000000", "1,5,9,1200000000", "1,5,,1200000000", "1,5,3,soon", "1,5,3"]
    found = rejections(table(tmp_path, "r.csv", "userId,movieId,rating,timestamp", [*good, *bad]))
    assert (found.sampled, found.rejected) == (len(good) + len(bad), len(bad))
    assert {one.rule: (one.rows, one.value) for one in found.reasons} == {
        "null_user": (1, ""), "user_not_a_number": (1, "x"), "rating_out_of_range": (1, "9"), "null_rating": (1, ""),
        "timestamp_not_a_number": (1, "soon"), "malformed_line": (1, "1,5,3"),
    }  # fmt: skip


# --- files that cannot be read


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("ratings.csv", b"", "empty"),
        ("x.bin", bytes(range(256)) * 9, "binary"),
        ("shop.sqlite", b"SQLite format 3\0" + bytes(99), "SQLite"),
        ("ratings.csv", b"userId,movieId,rating,timestamp\n", "a header but no rows"),
        ("r.csv.gz", gzip.compress(b"a,b,c\n" * 999, mtime=0)[:40], "cannot be unpacked"),
        ("r.parquet", b"PAR1" + bytes(50), "cannot be read as Parquet"),
        ("r.json", b'[{"user": 1, "item": 2}]', "one JSON array"),
        ("r.json", b"{'user': 1, 'item': 2}\n" * 9, "not JSON lines"),
        ("prose.txt", b"It was a dark night.\nThe rain fell in torrents.\n" * 9, "not a table"),
    ],
)
def test_a_file_that_holds_no_ratings_is_named_with_its_reason(
    name: str, content: bytes, said: str, tmp_path: Path
) -> None:
    (tmp_path / name).write_bytes(content)
    for place in (tmp_path, tmp_path / name):
        with pytest.raises(DataError, match=said) as caught:
            inspect(place)
        assert name in caught.value.message and caught.value.hint


def test_a_workbook_an_empty_folder_and_no_folder_are_clear_errors(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "shop.xlsx", "w") as book:
        book.writestr("xl/workbook.xml", "<x/>")
    with pytest.raises(DataError, match="Excel workbook"):
        inspect(tmp_path / "shop.xlsx")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="has no files"):
        inspect(tmp_path / "empty")
    with pytest.raises(DataError, match="does not exist"):
        inspect(tmp_path / "nowhere")


# --- sampling


def test_a_large_file_is_sampled_up_to_its_end_and_little_of_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "ratings.csv"
    row = "{0},{1},3.5,{2}\n"
    path.write_text("userId,movieId,rating,timestamp\n" + "".join(
        row.format(n // 20 + 1, n % 4000 + 1, 1_200_000_000 + n) for n in range(250_000)))  # fmt: skip
    found = sample(DataFile(path, "text"))
    assert found.size == path.stat().st_size > 2 * HEAD_BYTES
    assert sum(map(len, found.blocks)) <= BLOCKS * BLOCK_BYTES
    assert found.blocks[-1].endswith(b",1200249999\n") and found.head.endswith(b"\n")
    lines = set(path.read_bytes().splitlines())
    assert all(line in lines for block in found.blocks for line in block.splitlines()), "whole lines alone"
    estimated = inspect(path).rows
    assert estimated is not None and abs(estimated - 250_000) < 5_000


# --- names


@pytest.mark.parametrize(
    ("name", "role"),
    [("User-ID", "user"), ("customer_id", "user"), ("Kunden-Nr.", "user"), ("Kundennummer", "user"), ("asin", "item"),
     ("Artikel Nr", "item"), ("StockCode", "item"), ("my_rating", "rating"), ("Sterne", "rating"),
     ("unixReviewTime", "time"), ("Bestelldatum", "time"), ("event_type", "event"), ("Genres", "genres"),
     ("Produktname", "title"), ("colour", None)],
)  # fmt: skip
def test_names_of_columns_say_their_role(name: str, role: str | None) -> None:
    assert known_name(name) == role


@pytest.mark.parametrize(
    ("folder", "name"),
    [("/data/films", "films"), ("/x/My Shop (2019)", "My Shop -2019-"), ("/", "mine"), ("/a/_.b", "b")],
)
def test_a_data_set_is_named_after_its_folder(folder: str, name: str) -> None:
    assert dataset_name(Path(folder)) == name


# --- the config that would accept rejected rows


@pytest.mark.parametrize(
    ("row", "broken", "text", "keys"),
    [
        (lambda r: f"{r.user},{r.item},{r.stars * 2:.0f},{r.time}", "rating_out_of_range", "ratings run from 1 to 10",
         {"rating_scale": "1..10:1"}),
        (lambda r: f"{r.user},{r.item},{r.whole - 3},{r.time}", "rating_out_of_range", "ratings run from -2 to 2",
         {"rating_scale": "-2..2"}),
        (lambda r: f"{r.user},{r.item},{r.stars},{r.iso}", "timestamp_not_a_number", "are in iso8601",
         {"time_unit": "iso8601"}),
        (lambda r: f"u{r.user},{r.item},{r.stars},{r.time}", "user_not_a_number", "ids such as 'u1'",
         {"id_type": "text"}),
        (lambda r: f"{r.user},{r.item},{r.stars},{r.time}", "rating_out_of_range", "", {}),
        (lambda r: f"{r.user},{r.item},bad,{r.time}", "rating_not_a_number", "", {}),
    ],
)  # fmt: skip
def test_the_config_that_would_accept_rejected_ratings_is_told(
    row: Any, broken: str, text: str, keys: dict[str, str], tmp_path: Path
) -> None:
    lines = ["userId,movieId,rating,timestamp", *map(row, RATINGS)]
    write(tmp_path, {"ratings.csv": lines})
    said, found = remedy(tmp_path / "ratings.csv", [broken], {"rating_scale": "0.5..5:0.5"})
    assert (text in said, found) == (True, keys)


def test_a_command_that_failed_is_repeated_with_the_config_that_would_be_accepted() -> None:
    hint = "ratings run from 1 to 10: accepted with --config rating_scale=1..10; the rejected rows: x"
    command = "snakemake --cores 2 gold --config rating_scale=1..5 dataset=mine"
    assert commands.instead(command, ["", hint]) == (
        "snakemake --cores 2 gold --config rating_scale=1..10 dataset=mine"
    )
    assert commands.instead("reco gold", [hint]) == "reco gold --config rating_scale=1..10"
    assert commands.instead(command, ["df -h"]) == command
