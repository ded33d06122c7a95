"""Data sets and their layouts that are recognised by name."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from reco_platform.datasets.inspection.dialect import Table

MOVIELENS = ("userId", "movieId", "rating", "timestamp")
ASIN = re.compile(r"[0-9A-Z]{10}")
REVIEWER = re.compile(r"A[0-9A-Z]{9,}")
MBID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|")


@dataclass(frozen=True)
class Known:
    """A layout that is recognised.

    Attributes:
        layout: its name in the configuration.
        words: what it is, for people.
        fits: whether a table of ratings, in a file of that name, is one.
    """

    layout: str
    words: str
    fits: Callable[[str, Table], bool]


def has_columns(table: Table, *names: str) -> bool:
    return set(names) <= set(table.names)


def share(values: Sequence[str], pattern: re.Pattern[str]) -> float:
    return sum(bool(pattern.fullmatch(value)) for value in values) / max(len(values), 1)


def is_headerless(table: Table, delimiter: str, width: int) -> bool:
    return table.format == "csv" and not table.has_header and (table.delimiter, len(table.names)) == (delimiter, width)


def is_amazon_csv(_: str, table: Table) -> bool:
    if table.has_header:
        return has_columns(table, "user_id", "parent_asin", "rating", "timestamp")
    if not is_headerless(table, ",", 4):
        return False
    first, second = table.column("1"), table.column("2")
    return any(
        share(users, REVIEWER) > 0.9 and share(items, ASIN) > 0.9 for users, items in ((first, second), (second, first))
    )


def is_item_first(table: Table) -> bool:
    """Whether a file of Amazon's, without header, has the item before the user."""
    return not table.has_header and share(table.column("1"), REVIEWER) < share(table.column("2"), REVIEWER)


def is_amazon_json(_: str, table: Table) -> bool:
    return table.format == "jsonl" and (
        has_columns(table, "reviewerID", "asin", "overall") or has_columns(table, "user_id", "asin", "rating")
    )


def is_goodreads(_: str, table: Table) -> bool:
    return has_columns(table, "user_id", "book_id", "is_read", "rating")


def is_lastfm(name: str, table: Table) -> bool:
    if table.format != "csv" or table.has_header or table.delimiter != "\t" or len(table.names) != 4:
        return False
    return share(table.column("1"), re.compile("[0-9a-f]{40}")) > 0.9 and share(table.column("2"), MBID) > 0.9


def is_steam(_: str, table: Table) -> bool:
    return table.format == "csv" and len(table.names) in {4, 5} and not table.has_header and bool(
        {"purchase", "play"} >= set(table.column("3")) and table.rows
    )  # fmt: skip


def has_half_stars(table: Table) -> bool:
    return any(value.endswith(".5") for value in table.column(table.names[2]))


RATINGS_LAYOUTS = (
    Known("ml-100k", "MovieLens 100K (u.data)",
          lambda name, table: name.lower() in {"u.data", "u1.base", "ua.base"} and is_headerless(table, "\t", 4)),
    Known("netflix", "the Netflix prize", lambda _, table: table.format == "netflix"),
    Known("amazon-jsonl", "Amazon reviews, JSON lines", is_amazon_json),
    Known("amazon-csv", "Amazon ratings, CSV", is_amazon_csv),
    Known("goodreads", "Goodreads interactions", is_goodreads),
    Known("book-crossing", "Book-Crossing", lambda _, table: has_columns(table, "User-ID", "ISBN", "Book-Rating")),
    Known("lastfm-360k", "Last.fm 360K", is_lastfm),
    Known("steam", "Steam 200K", is_steam),
    Known("yelp", "Yelp reviews, JSON lines",
          lambda _, table: table.format == "jsonl" and has_columns(table, "user_id", "business_id", "stars")),
)  # fmt: skip


def recognise(name: str, table: Table, titles: Table | None) -> Known | None:
    """The known layout of a table of ratings; None if it is none.

    Args:
        name: of its file.
        table: the ratings.
        titles: the table of titles, if there is one.
    """
    if table.format == "csv" and table.delimiter == "::" and len(table.names) == 4 and not table.has_header:
        whole = not has_half_stars(table) and (titles is None or titles.encoding != "utf-8" or is_ascii(titles))
        return Known("ml-1m", "MovieLens 1M", is_never) if whole else Known("ml-10m", "MovieLens 10M", is_never)
    if table.format == "csv" and table.delimiter == "," and table.has_header and has_columns(table, *MOVIELENS):
        return Known("movielens", "MovieLens CSV, as of ml-latest-small, ml-20m, ml-25m and ml-32m", is_never)
    return next((known for known in RATINGS_LAYOUTS if known.fits(name, table)), None)


def is_never(_: str, __: Table) -> bool:
    return False


def is_ascii(table: Table) -> bool:
    return all(value.isascii() for row in table.rows for value in row)


def data_set_name(folder: Path) -> str | None:
    """The name that MovieLens's README in a folder gives to the data set; None if there is none."""
    for name in ("README.txt", "README.html", "README"):
        try:
            text = (folder / name).read_text("utf-8", errors="replace")[:20_000]
        except OSError:
            continue
        found = re.search(r"\b(ml-(?:latest-small|latest|100k|1m|10m|20m|25m|32m))\b", text, re.IGNORECASE)
        if found:
            return found[1].lower()
        words = re.search(r"MovieLens (100K|1M|10M|20M|25M|32M)", text, re.IGNORECASE)
        if words:
            return f"ml-{words[1].lower()}"
    return None


TITLE_FILES: Mapping[str, str] = {
    "u.item": "ml-100k", "movies.dat": "ml-1m", "movie_titles.csv": "netflix", "movie_titles.txt": "netflix",
    "bx-books.csv": "book-crossing", "bx_books.csv": "book-crossing",
}  # fmt: skip
"""Files of titles that belong to a known layout, in small letters."""
