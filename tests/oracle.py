"""What cleaning must find, told again in plain Python from the CSV files: nothing of the product's rules is used."""

from __future__ import annotations

import csv
import re
import struct
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

WHOLE = re.compile(r"[+-]?[0-9]+")
DECIMAL = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
TITLE_YEAR = re.compile(r"\(([0-9]{4})\)[ \t\n\r\f\v]*\Z")
LAST_SECOND = 253_402_300_799  # 9999-12-31T23:59:59Z


@dataclass
class Found:
    """The outcome of cleaning one file; `reasons` counts rows by rule, so a row may be in several counts."""

    rows_in: int = 0
    good: list[tuple[Any, ...]] = field(default_factory=list)
    rejected: list[tuple[str, ...]] = field(default_factory=list)
    duplicates: Counter[str] = field(default_factory=Counter)

    @property
    def reasons(self) -> dict[str, int]:
        return dict(Counter(reason for reasons in self.rejected for reason in reasons))


def records(path: Path, columns: tuple[str, ...]) -> Iterator[dict[str, str] | None]:
    """Each record by column; None for one that has too few or too many fields."""
    with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
        reader = csv.reader(file)
        names = next(reader)
        places = [names.index(column) for column in columns]
        for values in reader:
            if values:
                fits = len(values) == len(names)
                yield {c: values[at] for c, at in zip(columns, places, strict=True)} if fits else None


def ratings(path: Path) -> Found:
    """Good rows are (user, movie, rating, second, year, month); of equal keys the highest rating stays."""
    found, stars = Found(), defaultdict(list)
    for row in records(path, ("userId", "movieId", "rating", "timestamp")):
        found.rows_in += 1
        reasons = ["malformed_line"] if row is None else [*ids(row), *rating(row["rating"]), *second(row["timestamp"])]
        if reasons or row is None:
            found.rejected.append(tuple(reasons))
        else:
            key = (int(row["userId"]), int(row["movieId"]), int(row["timestamp"]))
            stars[key].append(single(row["rating"]))
    for (user, movie, moment), given in stars.items():
        equal = given.count(max(given))
        found.duplicates["exact"] += equal - 1
        found.duplicates["conflicting"] += len(given) - equal
        found.good.append((user, movie, max(given), moment, *month(moment)))
    return found


def movies(path: Path) -> Found:
    """Good rows are (movie, title, genres as written, as a tuple, year of release); the first of equal ids stays."""
    found = Found()
    first: dict[int, tuple[str, str]] = {}
    for row in records(path, ("movieId", "title", "genres")):
        found.rows_in += 1
        if row is None:
            found.rejected.append(("malformed_line",))
            continue
        reasons = identifier("movie", row["movieId"])
        reasons += ["null_title"] if blank(row["title"]) else []
        reasons += ["invalid_utf8"] if damaged(row["title"]) or damaged(row["genres"]) else []
        if reasons:
            found.rejected.append(tuple(reasons))
            continue
        movie, content = int(row["movieId"]), (row["title"], row["genres"])
        if movie in first:
            found.duplicates["exact" if first[movie] == content else "conflicting"] += 1
            continue
        first[movie] = content
        listed = () if row["genres"].strip(" ") in {"", "(no genres listed)"} else tuple(row["genres"].split("|"))
        year = TITLE_YEAR.search(row["title"])
        found.good.append((movie, *content, listed, int(year[1]) if year else None))
    return found


def tags(path: Path) -> Found:
    """Good rows are (user, movie, tag, second, year, month); equal ones all stay."""
    found = Found()
    for row in records(path, ("userId", "movieId", "tag", "timestamp")):
        found.rows_in += 1
        if row is None:
            found.rejected.append(("malformed_line",))
            continue
        reasons = [*ids(row), *second(row["timestamp"])]
        reasons += ["null_tag"] if blank(row["tag"]) else []
        reasons += ["invalid_utf8"] if damaged(row["tag"]) else []
        if reasons:
            found.rejected.append(tuple(reasons))
        else:
            moment = int(row["timestamp"])
            found.good.append((int(row["userId"]), int(row["movieId"]), row["tag"], moment, *month(moment)))
    return found


TABLES: dict[str, Callable[[Path], Found]] = {"ratings": ratings, "movies": movies, "tags": tags}


def blank(text: str) -> bool:
    return text.strip(" ") == ""


def damaged(text: str) -> bool:
    """Whether the bytes were not UTF-8."""
    return any(0xDC80 <= ord(letter) <= 0xDCFF for letter in text)


def single(text: str) -> float:
    """The nearest number of 32 bits; infinite where it is too large for one."""
    try:
        number: float = struct.unpack("f", struct.pack("f", float(text)))[0]
    except OverflowError:
        return float("inf")
    return number


def ids(row: dict[str, str]) -> list[str]:
    return identifier("user", row["userId"]) + identifier("movie", row["movieId"])


def identifier(what: str, text: str) -> list[str]:
    if blank(text):
        return [f"null_{what}"]
    if not WHOLE.fullmatch(text.strip(" ")) or not -(2**31) <= int(text) < 2**31:
        return [f"{what}_not_a_number"]
    return [f"negative_{what}"] if int(text) < 0 else []


def rating(text: str) -> list[str]:
    if blank(text):
        return ["null_rating"]
    if not DECIMAL.fullmatch(text.strip(" ")):
        return ["rating_not_a_number"]
    return [] if 0.5 <= single(text) <= 5.0 else ["rating_out_of_range"]


def second(text: str) -> list[str]:
    if blank(text):
        return ["null_timestamp"]
    if not WHOLE.fullmatch(text.strip(" ")) or not -(2**63) <= int(text) < 2**63:
        return ["timestamp_not_a_number"]
    return [] if 0 <= int(text) <= LAST_SECOND else ["timestamp_out_of_range"]


def month(moment: int) -> tuple[int, int]:
    at = datetime.fromtimestamp(moment, UTC)
    return at.year, at.month
