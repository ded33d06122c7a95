"""What cleaning must find, told again in plain Python from the CSV files: nothing of the product's rules is used."""

from __future__ import annotations

import re
import struct
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

FIELD = re.compile(r'("(?:[^"]++|"")*+")?([^,\r\n]*)')
WHOLE = re.compile(r"([+-]?)0*([0-9]+)")
DECIMAL = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
TITLE_YEAR = re.compile(r"\(([0-9]{4})\)[ \t\n\r\f\v]*\Z")
LAST_SECOND = 253_402_300_799  # 9999-12-31T23:59:59Z
MOST_LINES = 1000
NUMBER_LIMIT = 30  # digits: more than any bound has


class Refused(Exception):  # noqa: N818  # an outcome, not a mistake
    """The file as a whole is not what it should be; the message says why."""


@dataclass
class Found:
    """The outcome of cleaning one file.

    Attributes:
        rows_in: records, and lines of those that are malformed.
        good: rows that stay.
        rejected: of each rejected row the rules that it breaks.
        quarantine: of the same rows the columns as written, then the malformed line; what is not UTF-8 is U+FFFD.
        duplicates: rows that share a key with one that stays, by kind.
    """

    rows_in: int = 0
    good: list[tuple[Any, ...]] = field(default_factory=list)
    rejected: list[tuple[str, ...]] = field(default_factory=list)
    quarantine: list[tuple[str | None, ...]] = field(default_factory=list)
    duplicates: Counter[str] = field(default_factory=Counter)

    @property
    def reasons(self) -> dict[str, int]:
        """Rows by rule, so a row may be in several counts."""
        return dict(Counter(reason for reasons in self.rejected for reason in reasons))

    def stops(self, share: float) -> bool:
        """Whether nothing of the file may be published."""
        return not self.good or len(self.rejected) > share * self.rows_in

    def reject(self, row: Row, reasons: list[str]) -> None:
        self.rejected.append(tuple(reasons))
        self.quarantine.append((*map(readable, row.values()), None))


Row = dict[str, str]


def good_shape(path: Path, columns: tuple[str, ...], found: Found) -> Iterator[Row]:
    """Each record by column; those with too few or too many fields are rejected line by line.

    Raises:
        Refused: the header does not name each column once, a quote is never closed, or there are no rows.
    """
    text = path.read_bytes().decode("utf-8-sig", "surrogateescape")
    first = re.split(r"[\r\n]", text, maxsplit=1)[0]
    names = header(first)
    for column in columns:
        if names.count(column) != 1:
            raise Refused(f"column {column} is there {names.count(column)} times")
    places = [names.index(column) for column in columns]
    for values, line in records(text[len(first) :], len(names)):
        if values is not None and len(values) == len(names):
            found.rows_in += 1
            yield {column: values[at] for column, at in zip(columns, places, strict=True)}
            continue
        lines = re.findall(r"[^\r\n]+", readable(line))
        found.rows_in += len(lines)
        found.rejected += [("malformed_line",)] * len(lines)
        found.quarantine += [(*[None] * len(columns), each) for each in lines]
    if not found.rows_in:
        raise Refused("there are no rows")


def header(line: str) -> list[str]:
    if not line or damaged(line):
        raise Refused("the first line is empty or not UTF-8")
    names, _ = next(records(line))
    if any(found[1] and found[2] for found in FIELD.finditer(line)):
        raise Refused("a name goes on behind its quotes")
    return names


def records(text: str, width: int | None = None) -> Iterator[tuple[list[str] | None, str]]:
    """The fields of each record, and its text; lines without anything are none.

    With a width, a line whose quotes are wrong has no fields, and the next line is read as if it were not there.
    """
    at = rest = 0
    while at < len(text):
        if text[at] in "\r\n":
            at += 1
            continue
        start, found = at, []
        line = re.compile(r"[^\r\n]*").match(text, start)[0]  # type: ignore[index]
        while True:
            one = FIELD.match(text, at)
            if one is None or (one[1] is None and text.startswith('"', at)):
                if width is None or at >= rest:
                    raise Refused("a quote is never closed")
                found = []
                break
            found.append(one)
            if width is not None and one[1] and one[2]:
                rest, found = max(rest, len(re.compile(r"[^\r\n]*").match(text, one.end(1))[0]) + one.end(1)), []  # type: ignore[index]
                break
            at = one.end()
            if not text.startswith(",", at):
                break
            at += 1
        if found and width is not None and swallows(text[start:at], [each[0] for each in found], width):
            rest, found = max(rest, at), []
        if not found:
            yield None, line
            at = start + len(line)
            continue
        yield [rejoined((each[1] or "")[1:-1].replace('""', '"') + each[2]) for each in found], text[start:at]


def swallows(record: str, fields: list[str], width: int) -> bool:
    """Whether one of the lines of a record is rather a record of its own, or there are too many lines."""
    lines = re.split(r"\r\n|\r|\n", record)
    if len(lines) == 1:
        return False
    first = next(at for at, text in enumerate(fields) if re.search(r"[\r\n]", text))
    usable = width if len(fields) == width else min(first, width)
    numbers = {at for at, text in enumerate(fields[:usable]) if number_like(text)}
    before = {at for at in numbers if at < first}

    def alike(line: str, columns: set[int]) -> bool:
        parts = line.split(",")
        return len(parts) == width and all(number_like(parts[at]) for at in columns)

    if len(lines) > MOST_LINES:
        return True
    if before and alike(lines[-1], before):
        return True
    if numbers:
        return any(alike(line, numbers) for line in lines[1:-1])
    return first > 0 and all(alike(line, set()) for line in lines)


def number_like(text: str) -> bool:
    return re.fullmatch(r'[0-9" .+-]*[0-9][0-9" .+-]*', text) is not None


def ratings(path: Path) -> Found:
    """Good rows are (user, movie, rating, second, year, month); of equal keys the highest rating stays."""
    found, stars = Found(), defaultdict(list)
    for row in good_shape(path, ("userId", "movieId", "rating", "timestamp"), found):
        reasons = [*ids(row), *rating(row["rating"]), *second(row["timestamp"])]
        if reasons:
            found.reject(row, reasons)
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
    for row in good_shape(path, ("movieId", "title", "genres"), found):
        reasons = identifier("movie", row["movieId"])
        reasons += ["null_title"] if blank(row["title"]) else []
        reasons += ["invalid_utf8"] if damaged(row["title"]) or damaged(row["genres"]) else []
        if reasons:
            found.reject(row, reasons)
            continue
        movie, content = int(row["movieId"]), (row["title"], row["genres"])
        if movie in first:
            found.duplicates["exact" if first[movie] == content else "conflicting"] += 1
            continue
        first[movie] = content
        listed: tuple[str, ...] = ()
        for genre in re.split(r"\|", row["genres"]):
            name = re.sub(r"\s+", " ", genre).strip()
            listed += () if name in {"", "(no genres listed)", *listed} else (name,)
        year = TITLE_YEAR.search(row["title"])
        found.good.append((movie, *content, listed, int(year[1]) if year else None))
    return found


def tags(path: Path) -> Found:
    """Good rows are (user, movie, tag, second, year, month); equal ones all stay."""
    found = Found()
    for row in good_shape(path, ("userId", "movieId", "tag", "timestamp"), found):
        reasons = [*ids(row), *second(row["timestamp"])]
        reasons += ["null_tag"] if blank(row["tag"]) else []
        reasons += ["invalid_utf8"] if damaged(row["tag"]) else []
        if reasons:
            found.reject(row, reasons)
        else:
            moment = int(row["timestamp"])
            found.good.append((int(row["userId"]), int(row["movieId"]), row["tag"], moment, *month(moment)))
    return found


TABLES: dict[str, Callable[[Path], Found]] = {"ratings": ratings, "movies": movies, "tags": tags}


def blank(text: str) -> bool:
    return text.strip(" ") == ""


def damaged(text: str) -> bool:
    """Whether the bytes were not UTF-8."""
    return re.search("[\udc80-\udcff]", text) is not None


def rejoined(text: str) -> str:
    """Without its quotes, what was no UTF-8 may be."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "surrogateescape") if damaged(text) else text


def readable(text: str) -> str:
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def whole(text: str, bits: int) -> int | None:
    """A number that fits in so many bits; None for anything else."""
    found = WHOLE.fullmatch(text.strip(" "))
    if found is None or len(found[2]) > NUMBER_LIMIT:
        return None
    number = int(found[1] + found[2])
    return number if -(2 ** (bits - 1)) <= number < 2 ** (bits - 1) else None


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
    number = whole(text, bits=32)
    if number is None:
        return [f"{what}_not_a_number"]
    return [f"negative_{what}"] if number < 0 else []


def rating(text: str) -> list[str]:
    if blank(text):
        return ["null_rating"]
    if not DECIMAL.fullmatch(text.strip(" ")):
        return ["rating_not_a_number"]
    return [] if 0.5 <= single(text) <= 5.0 else ["rating_out_of_range"]


def second(text: str) -> list[str]:
    if blank(text):
        return ["null_timestamp"]
    number = whole(text, bits=64)
    if number is None:
        return ["timestamp_not_a_number"]
    return [] if 0 <= number <= LAST_SECOND else ["timestamp_out_of_range"]


def month(moment: int) -> tuple[int, int]:
    at = datetime.fromtimestamp(moment, UTC)
    return at.year, at.month
