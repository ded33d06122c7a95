"""The layout of a user's files: which file holds the ratings, which the titles, and the config that says so."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from reco_platform.core.errors import DataError
from reco_platform.core.rating_scale import NO_RATINGS, RatingScale, parse_rating_scale
from reco_platform.datasets.inspection import files
from reco_platform.datasets.inspection.dialect import MAX_ROWS, Table, as_text, table_of
from reco_platform.datasets.inspection.files import DataFile
from reco_platform.datasets.inspection.known import Known, data_set_name, is_ascii, is_item_first, recognise
from reco_platform.datasets.inspection.names import plain, points
from reco_platform.datasets.inspection.proposal import fewest_keys
from reco_platform.datasets.inspection.roles import Choice, choose, id_fit, of_words, profiles_of
from reco_platform.datasets.inspection.values import Profile, scale_of

PARTS = re.compile(r"\d+|(?<![a-z])(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)(?![a-z])", re.IGNORECASE)
"""Files whose names differ only by numbers or months, and whose columns are the same, are parts of one table."""

CLEARLY = 0.05
"""Difference of two shares that decides which of two columns is the item."""

ENOUGH_TITLES = 0.5
"""Share of the items of the ratings that a file of titles must have."""


@dataclass(frozen=True)
class Look:
    """One file that was looked at.

    Attributes:
        file: the file.
        table: what is in it; None if it is no table.
        profiles: of its columns.
        choices: the column of each role.
        problem: why there is no table, in words.
    """

    file: DataFile
    table: Table | None
    profiles: Mapping[str, Profile] = field(default_factory=dict)
    choices: Mapping[str, Choice] = field(default_factory=dict)
    problem: str = ""

    @property
    def is_ratings(self) -> bool:
        """Whether it says which user had to do with which item."""
        return {"user", "item"} <= self.choices.keys()

    def column(self, role: str) -> list[str]:
        assert self.table is not None  # noqa: S101  # only tables have choices
        return self.table.column(self.choices[role].column)


@dataclass(frozen=True)
class Finding:
    """One thing that was found out.

    Attributes:
        what: the subject, such as `user`.
        text: what it is and what speaks for it.
        sure: whether a run may go on with it without asking.
        alternatives: config that says otherwise, each with what it would mean.
    """

    what: str
    text: str
    sure: bool = True
    alternatives: tuple[str, ...] = ()


@dataclass(frozen=True)
class Inspection:
    """What the files at a place are.

    Attributes:
        place: the folder or file.
        looks: the files that were looked at.
        ratings: the file of the ratings, or its first part.
        parts: names of all files of the ratings.
        titles: the file of the titles; None if there is none.
        known: the layout, if it is one that is recognised.
        name: of the data set, if its README says it.
        keys: config keys of the layout, as they differ from MovieLens's CSV.
        findings: what was found, in words.
        names: of all files in the folder.
    """

    place: Path
    looks: tuple[Look, ...]
    ratings: Look
    parts: tuple[str, ...]
    titles: Look | None
    known: Known | None
    name: str | None
    keys: Mapping[str, Any]
    findings: tuple[Finding, ...]
    names: tuple[str, ...]

    @property
    def is_sure(self) -> bool:
        return all(finding.sure for finding in self.findings)

    @property
    def layout_keys(self) -> dict[str, Any]:
        """The config keys that must be given: what differs from MovieLens's layout, or from the known one."""
        known = self.known.layout if self.known and self.known.layout != "movielens" else None
        files = {"encoding": self.ratings, "items_encoding": self.titles}
        plain = [
            key for key, look in files.items() if look is not None and look.table is not None and is_ascii(look.table)
        ]
        columns = self.titles.table.names if self.titles is not None and self.titles.table is not None else ()
        keys = fewest_keys(self.keys, known, self.names, columns=columns, ascii_files=plain)
        if self.known and self.known.layout == "movielens" and within_default(str(keys.get("rating_scale", ""))):
            del keys["rating_scale"]
        return keys

    @property
    def rows(self) -> int | None:
        """The number of ratings, estimated; None if the file's size is not known."""
        return estimated_rows(self.ratings)


def within_default(scale: str) -> bool:
    """Whether a scale is part of MovieLens's: its files need no key, whatever ratings they happen to have."""
    if scale in {"", NO_RATINGS}:
        return False
    found, default = parse_rating_scale(scale), RatingScale()
    return default.least <= found.least and found.greatest <= default.greatest


def inspect(place: Path) -> Inspection:
    """Finds out the layout of the files at a place.

    Args:
        place: a folder, or a file.

    Raises:
        DataError: there is nothing to read, or no file has users and items.
    """
    looks = tuple(map(look_at, files.data_files(place)))
    candidates = [look for look in looks if look.is_ratings]
    if not candidates:
        raise nothing_found(place, looks)
    ratings = max(candidates, key=ratings_points)
    parts = tuple(look.file.name for look in candidates if is_part_of(look, ratings))
    ratings, titles = with_titles(ratings, [look for look in looks if look.file.name not in parts])
    ratings, known = recognised(ratings, titles)
    titles = titles or titles_among_ratings(ratings, parts)
    folder = place if place.is_dir() else place.parent
    names = sorted({*(look.file.name for look in looks), *(path.name for path in folder.iterdir())})
    keys, findings = layout_keys(ratings, parts, titles, names)
    findings += similar_files(ratings, parts, candidates)
    if known is not None and known.layout == "movielens":
        findings.insert(0, Finding("layout", known.words))
    elif known is not None:
        findings = [Finding("layout", known.words), *(replace(one, sure=True, alternatives=()) for one in findings)]
    return Inspection(
        place, looks, ratings, parts, titles, known, data_set_name(folder), keys, tuple(findings), tuple(names)
    )  # fmt: skip


def recognised(ratings: Look, titles: Look | None) -> tuple[Look, Known | None]:
    """The known layout of the ratings, and the ratings with its columns; None if it is no known one."""
    table = ratings.table
    assert table is not None  # noqa: S101  # it has users and items
    if table.format == "netflix":
        ratings = with_netflix_columns(ratings)
    known = recognise(ratings.file.plain_name, table, titles.table if titles else None)
    if known is not None and known.layout == "amazon-csv" and is_item_first(table):
        ratings = swapped(ratings)
    return ratings, known


def look_at(file: DataFile) -> Look:
    """One file: its table, and the role of each of its columns; or why there is none."""
    if file.problem:
        return Look(file, None, problem=file.problem)
    try:
        table = parquet_table(file) if file.kind == "parquet" else table_of(files.sample(file))
    except DataError as error:
        return Look(file, None, problem=error.message)
    if table is None:
        return Look(file, None, problem=no_table(file))
    if not table.rows:
        return Look(file, None, problem="a header but no rows")
    profiles = profiles_of(table)
    return Look(file, table, profiles, choose(table, profiles))


def no_table(file: DataFile) -> str:
    """Why a file of text is no table, in words."""
    start = files.sample(file).head.decode("utf-8", "replace").lstrip("\ufeff \t\r\n")
    if start.startswith("["):
        return f"one JSON array: make it one object a line, with jq -c '.[]' {file.path.name} > lines.jsonl"
    if start.startswith("{"):
        return "not JSON lines: a line must be one object, with names and texts in double quotes"
    return "not a table"


def parquet_table(file: DataFile) -> Table:
    """A sample of a Parquet file: rows of its first and some other row groups.

    Raises:
        DataError: it is damaged.
    """
    try:
        parquet = pq.ParquetFile(file.path)
        schema = parquet.schema_arrow
        groups = range(parquet.num_row_groups)
        chosen = sorted({groups[int(at * (len(groups) - 1) / 3)] for at in range(4)}) if groups else []
        size = MAX_ROWS // max(len(chosen), 1)
        batches = [next(parquet.iter_batches(size, row_groups=[group]), None) for group in chosen]
        total = parquet.metadata.num_rows
    except (OSError, pa.ArrowException) as error:
        raise DataError(f"{file.path} cannot be read as Parquet: {error}", "copy or write it again") from error
    columns = {name: [as_text(value) for batch in batches if batch for value in batch.column(name).to_pylist()]
               for name in schema.names}  # fmt: skip
    rows = tuple(zip(*columns.values(), strict=True))
    types = {one.name: str(one.type) for one in schema}
    nested = frozenset(one.name for one in schema if pa.types.is_nested(one.type))
    return Table("parquet", tuple(schema.names), rows, types=types, nested=nested, total_rows=total)


def nothing_found(place: Path, looks: Sequence[Look]) -> DataError:
    """The error for files none of which has users and items."""
    hint = "name the columns: --config user_column=... item_column=...; docs/own-data.md has examples"
    if not any(look.table for look in looks):
        hint = "name a folder or a file with ratings: CSV or another text table, JSON lines or Parquet"
    if len(looks) == 1 and looks[0].problem:
        return DataError(f"{looks[0].file.path}: {looks[0].problem}", hint)
    seen = "; ".join(f"{look.file.name}: {described(look)}" for look in looks[:8])
    return DataError(f"{place}: no file has a column of users and one of items ({seen})", hint)


def described(look: Look) -> str:
    return f"columns {', '.join(look.table.names[:8])}" if look.table else look.problem


def ratings_points(look: Look) -> tuple[float, ...]:
    """How likely a file holds the ratings: by its roles, then by its name, then by its number of rows."""
    table = look.table
    assert table is not None  # noqa: S101  # it has users and items
    roles = sum(role in look.choices for role in ("rating", "time", "event", "count"))
    named = sum(points(role, look.choices[role].column) for role in ("user", "item"))
    name = plain(Path(look.file.plain_name).stem)
    by_name = next((2 for word in ("rating", "review", "interaction", "event", "order", "purchase", "click", "udata")
                    if word in name), 0) - 2 * ("tag" in name)  # fmt: skip
    return (min(roles, 2) + by_name + min(named, 4) / 2, estimated_rows(look) or 0)


def estimated_rows(look: Look) -> int | None:
    """The number of rows of a file, from its size and the average row."""
    table = look.table
    if table is None or table.total_rows is not None:
        return table.total_rows if table else None
    return None if table.size is None else round(table.size / max(table.row_bytes, 1))


def is_part_of(look: Look, ratings: Look) -> bool:
    """Whether a file is the ratings' file, or another part of it."""
    one, other = look.table, ratings.table
    if look is ratings:
        return True
    if one is None or other is None:
        return False
    same = (one.names, one.format, one.delimiter, one.has_header) == (
        other.names, other.format, other.delimiter, other.has_header)  # fmt: skip
    return same and PARTS.sub("0", look.file.name) == PARTS.sub("0", ratings.file.name)


def with_netflix_columns(look: Look) -> Look:
    """The columns of the Netflix prize, whatever their values are."""
    roles = {"item": "1", "user": "2", "rating": "3", "time": "4"}
    found = {role: Choice(name, True, of_words(look.profiles[name])) for role, name in roles.items()}
    return replace(look, choices=found)


def similar_files(ratings: Look, parts: Sequence[str], candidates: Sequence[Look]) -> list[Finding]:
    """Whether other files have the same columns, so that they may belong to the ratings too."""
    assert ratings.table is not None  # noqa: S101  # it has users and items
    names = ratings.table.names
    tables = {one.file.name: one.table for one in candidates if one.file.name not in parts and one.table}
    others = [name for name, table in tables.items() if table.has_header and table.names == names]
    if not others:
        return []
    every = ",".join([*parts, *others])
    text = f"{', '.join(others)} has the same columns as {parts[0]}; only {', '.join(parts)} is read"
    return [Finding("files", text, False, (f"ratings_file={every}",))]


# --- titles


def with_titles(ratings: Look, others: Sequence[Look]) -> tuple[Look, Look | None]:
    """The file of the ratings, and the one with titles; None if there is none.

    Where no name says which column is the user and which the item, the one whose values have titles is the item.
    """
    score, titles = titles_of(ratings, others)
    if ratings.choices["user"].sure and ratings.choices["item"].sure:
        return ratings, titles
    other_score, other_titles = titles_of(swapped(ratings), others)
    if max(score, other_score) == 0:
        return ratings, titles
    better, found = (ratings, titles) if score >= other_score else (swapped(ratings), other_titles)
    if abs(score - other_score) < CLEARLY:
        return better, found
    assert found is not None  # noqa: S101  # its score is above 0
    named = {
        "user": replace(better.choices["user"], sure=len(better.choices["user"].others) < 2),
        "item": replace(better.choices["item"], sure=True, why=f"its values have titles in {found.file.name}"),
    }
    return replace(better, choices={**better.choices, **named}), found


def swapped(look: Look) -> Look:
    """The same file with user and item exchanged."""
    user, item = look.choices["user"], look.choices["item"]
    return replace(look, choices={**look.choices, "user": item, "item": user})


def titles_of(ratings: Look, others: Sequence[Look]) -> tuple[float, Look | None]:
    """The file with the titles of the items, and the share of items that have one; None if there is none."""
    wanted = set(ratings.column("item"))
    found = [titles_in(look, wanted) for look in others if look.table]
    return max(found, key=lambda one: one[0], default=(0, None))


def titles_in(look: Look, wanted: set[str]) -> tuple[float, Look | None]:
    """A file as one of titles, and how good it is; None if it is none."""
    table, profiles = look.table, look.profiles
    assert table is not None  # noqa: S101  # asked of tables only
    whole = min(len(table.rows) / max(estimated_rows(look) or len(table.rows), 1), 1)
    ids = []
    for at, name in enumerate(table.names):
        values = table.column(name)
        if id_fit(profiles[name]) and profiles[name].distinct >= 0.9 * len(values):
            overlap = min(len(wanted & set(values)) / max(len(wanted), 1) / whole, 1)
            ids.append((overlap + 0.2 * min(points("item", name), 1) - 0.001 * at, overlap, name))
    best = max(ids, default=(0.0, 0.0, ""))
    if best[1] < ENOUGH_TITLES:
        return 0, None
    choices = choose(table, {**profiles}, ("title", "genres")) if table.has_header or table.format != "csv" else {}
    if "title" not in choices:
        title = first_text(look, best[2])
        if title is None:
            return 0, None
        choices = {**choices, "title": Choice(title, False, "the first column of text")}
    if not table.has_header and "genres" not in choices:
        genres = [n for n in table.names if any("|" in value for value in table.column(n))]
        choices |= {"genres": Choice(genres[-1], True, "values joined by |")} if genres else {}
    item = Choice(best[2], True, f"{best[1]:.0%} of its ids are in the ratings")
    return best[1] + points("title", choices["title"].column) / 100, replace(look, choices={**choices, "item": item})


def titles_among_ratings(ratings: Look, parts: Sequence[str]) -> Look | None:
    """The file of the ratings as that of the titles, if each row names its item; None if it does not."""
    title = ratings.choices.get("title")
    if title is None or len(parts) > 1 or not title.sure:
        return None
    names = dict(zip(ratings.column("item"), ratings.column("title"), strict=True))
    same = sum(names[item] == text for item, text in zip(ratings.column("item"), ratings.column("title"), strict=True))
    return ratings if same >= 0.9 * len(ratings.column("item")) else None


def first_text(look: Look, ids: str) -> str | None:
    assert look.table is not None  # noqa: S101  # asked of tables only
    fitting = [
        n for n in look.table.names if n != ids and look.profiles[n].kind == "text" and not look.profiles[n].time
    ]
    return fitting[0] if fitting else None


# --- keys of the configuration


def layout_keys(
    ratings: Look, parts: Sequence[str], titles: Look | None, names: Sequence[str]
) -> tuple[dict[str, Any], list[Finding]]:
    """The config keys of the layout, and what was found; `names` are those of all files."""
    table = ratings.table
    assert table is not None  # noqa: S101  # it has users and items
    keys: dict[str, Any] = {"ratings_file": files_value(parts, names)}
    findings = [Finding("file", f"{', '.join(parts[:4])}{' ...' if len(parts) > 4 else ''}: {format_words(table)}")]
    keys |= format_keys(ratings)
    if table.separator_line:
        text = f"the first line, {table.separator_line}, is one of Excel's own: remove it before a run"
        findings.append(Finding("header", text, False))
    if not table.header_is_sure:
        findings.append(header_finding(table))
    for role in ("user", "item"):
        keys[f"{role}_column"] = ratings.choices[role].column
        findings.append(role_finding(role, ratings))
    for part in (value_keys(ratings), time_keys(ratings), id_keys(ratings), title_keys(titles)):
        keys |= part[0]
        findings += part[1]
    return keys, findings


def files_value(parts: Sequence[str], names: Sequence[str]) -> str:
    """The value of ratings_file: a name, a glob that no other file fits, or a list."""
    pattern = PARTS.sub("*", parts[0])
    if len(parts) > 1 and [name for name in names if fnmatchcase(name, pattern)] == list(parts):
        return pattern
    return ",".join(parts)


DELIMITER_NAMES = {"\t": "tab", "\x01": "\\x01"}


def format_keys(ratings: Look) -> dict[str, Any]:
    """The keys of the format of a file."""
    table = ratings.table
    assert table is not None  # noqa: S101  # it has users and items
    if table.format != "csv":
        return {} if ratings.file.has_telling_name else {"file_format": table.format}
    delimiter = DELIMITER_NAMES.get(table.delimiter, table.delimiter)
    return {
        "delimiter": delimiter, "header": table.has_header, "encoding": table.encoding, "quoting": table.quoting
    }  # fmt: skip


def format_words(table: Table) -> str:
    """The format of a file, in words."""
    if table.format != "csv":
        return {"jsonl": "JSON lines", "parquet": "Parquet", "netflix": "ratings below a line for each movie"}[
            table.format
        ]
    names = {"\t": "tabs", ",": "commas", ";": "semicolons", "|": "bars", "::": "double colons"}
    between = names.get(table.delimiter, repr(table.delimiter))
    header = "a header line" if table.has_header else "no header line"
    extras = [
        *(["a byte order mark"] if table.has_bom else []),
        *(["lines that end with CR LF"] if table.crlf else []),
    ]
    text = f"text with {between} between fields, {header}, {table.encoding}"
    return text + (f", {' and '.join(extras)}" if extras else "")


def header_finding(table: Table) -> Finding:
    first = ", ".join(table.names if table.has_header else table.rows[0])
    is_one = "is taken for a header" if table.has_header else "is taken for data"
    other = f"header={str(not table.has_header).lower()}"
    return Finding("header", f"the first line ({first[:60]}) {is_one}", False, (other,))


def role_finding(role: str, look: Look) -> Finding:
    choice = look.choices[role]
    others = tuple(f"{role}_column={other}" for other in choice.others)
    return Finding(role, f"column {choice.column}: {choice.why}", choice.sure, others)


def value_keys(ratings: Look) -> tuple[dict[str, Any], list[Finding]]:
    """Keys of what is known of a user and an item: a rating, an event, or that they met."""
    choices, profiles = ratings.choices, ratings.profiles
    if "event" in choices and ("rating" not in choices or profiles[choices["event"].column].kind == "event"):
        return event_keys(ratings)
    if "rating" in choices:
        return rating_keys(ratings)
    if "count" in choices:
        column = choices["count"].column
        text = f"none; column {column} ({choices['count'].why}) counts, so it is a weight, and repeats are added up"
        counted = {"rating_column": column, "rating_scale": NO_RATINGS, "repeats": "sum"}
        return counted, [Finding("rating", text, choices["count"].sure, ("rating_column=none",))]
    return {"rating_column": "none", "rating_scale": NO_RATINGS}, [
        Finding("rating", "none: each row says only that a user had to do with an item")
    ]


def rating_keys(ratings: Look) -> tuple[dict[str, Any], list[Finding]]:
    choice = ratings.choices["rating"]
    column, values = ratings.profiles[choice.column], ratings.column("rating")
    if column.kind == "boolean":
        text = f"column {choice.column}: {choice.why}; yes counts as 1, no as -1"
        return {"rating_column": choice.column, "rating_scale": "-1..1"}, [Finding("rating", text, choice.sure)]
    if column.is_constant:
        text = (
            f"none; all values of column {choice.column} are {column.example.strip()}: they only say that there is one"
        )
        other = f"rating_column={choice.column} rating_scale=1..5"
        return {"rating_column": "none", "rating_scale": NO_RATINGS}, [Finding("rating", text, False, (other,))]
    found = scale_of(values)
    assert found is not None  # noqa: S101  # otherwise it fits no rating
    scale = found.scale
    keys: dict[str, Any] = {"rating_column": choice.column, "rating_scale": str(scale)}
    sure = choice.sure and found.is_reached and not found.others
    notes, alternatives = [], [f"rating_column={other}" for other in choice.others]
    alternatives += [f"rating_scale={other}" for other in found.others]
    if not found.is_reached:
        alternatives.append(f"rating_scale={column.least:g}..{column.greatest:g}")
    zeros = sum(value.strip() in {"0", "0.0"} for value in values) / max(len(values), 1)
    if zeros >= 0.2 and scale.least == 0 and scale.greatest > 1 and scale.step == 1:
        notes.append(f"{zeros:.0%} of the values are 0, which often means that there is no rating: they are rejected")
        alternatives, sure = [*alternatives, f"rating_scale={scale}"], False
        keys |= {"rating_scale": f"1..{scale.greatest:g}", "max_reject_share": 0.9}
    text = f"column {choice.column}: {choice.why}; scale {keys['rating_scale']}" + "".join(
        f"; {note}" for note in notes
    )
    return keys, [Finding("rating", text, sure, tuple(alternatives))]


WEIGHTS = {
    "purchase": 5, "buy": 5, "bought": 5, "transaction": 5, "order": 5, "purchased": 5, "kauf": 5, "checkout": 4,
    "cart": 3, "addtocart": 3, "add_to_cart": 3, "added_to_cart": 3, "add-to-cart": 3, "warenkorb": 3, "wishlist": 2,
    "fav": 3, "favorite": 3, "like": 3, "share": 3, "bookmark": 3, "complete": 3, "download": 3, "install": 3,
}  # fmt: skip
"""Weights of common events; any other weighs 1."""


def event_keys(ratings: Look) -> tuple[dict[str, Any], list[Finding]]:
    choice = ratings.choices["event"]
    names = [value for value, _ in ratings.profiles[choice.column].counts]
    weights = " ".join(f"{name}={WEIGHTS.get(name.strip().lower(), 1)}" for name in names)
    keys = {
        "rating_column": "none",
        "rating_scale": NO_RATINGS,
        "event_column": choice.column,
        "event_weights": weights,
    }
    text = f"none; column {choice.column} names what happened: {', '.join(names)}; the weights are a proposal"
    others = tuple(f"event_column={other}" for other in choice.others)
    return keys, [Finding("event", text, choice.sure, others)]


def time_keys(ratings: Look) -> tuple[dict[str, Any], list[Finding]]:
    choice = ratings.choices.get("time")
    if choice is None:
        text = "none: ratings are split at random, not by time"
        return {"time_column": "none"}, [Finding("time", text)]
    guess = ratings.profiles[choice.column].time
    assert guess is not None  # noqa: S101  # otherwise it fits no time
    units = tuple(f"time_unit={other}" for other in guess.others)
    columns = tuple(f"time_column={other}" for other in choice.others)
    text = f"column {choice.column}: {unit_words(guess.unit)} from {guess.first} to {guess.last}"
    keys = {"time_column": choice.column, "time_unit": guess.unit}
    return keys, [Finding("time", text, not units, (*units, *columns))]


def unit_words(unit: str) -> str:
    words = {
        "s": "seconds since 1970",
        "ms": "milliseconds since 1970",
        "us": "microseconds since 1970",
        "ns": "nanoseconds since 1970",
        "iso8601": "dates of ISO 8601",
        "excel": "days as Excel counts them",
    }
    return words.get(unit, f"dates such as {unit}")


def id_keys(ratings: Look) -> tuple[dict[str, Any], list[Finding]]:
    """Whether ids are whole numbers of 31 bits, which stay as they are, or anything else."""
    findings, is_text = [], False
    for role in ("user", "item"):
        column = ratings.profiles[ratings.choices[role].column]
        is_text = is_text or not (column.fits_int32 or (column.kind == "integer" and column.share > 0.99
                                                        and (column.greatest or 0) < 2**31))  # fmt: skip
        values = set(ratings.column(role))
        folded = len(values) - len({value.casefold() for value in values})
        if folded:
            findings.append(
                Finding(role, f"{folded} ids of the sample differ from another only by case; they are kept apart")
            )
        if column.bounded:
            findings.append(Finding(role, f"{column.bounded} ids of the sample have blanks around them"))
    return {"id_type": "text" if is_text else "integer"}, findings


def title_keys(titles: Look | None) -> tuple[dict[str, Any], list[Finding]]:
    if titles is None or titles.table is None:
        return {"items_file": "none"}, [Finding("titles", "none: items are shown by their id")]
    table, choices = titles.table, titles.choices
    keys: dict[str, Any] = {
        "items_file": titles.file.name,
        "items_id_column": choices["item"].column,
        "title_column": choices["title"].column,
        "genres_column": choices["genres"].column if "genres" in choices else "none",
    }
    if table.format == "csv":
        own = format_keys(titles)
        keys |= {f"items_{name}": own[name] for name in ("delimiter", "header", "encoding")}
    if "genres" in choices:
        keys["genres_delimiter"] = genres_delimiter(table, choices["genres"].column)
    text = f"{titles.file.name}: {format_words(table)}; title in column {choices['title'].column}"
    if "genres" in choices:
        text += f", genres in column {choices['genres'].column}"
    return keys, [Finding("titles", text)]


def genres_delimiter(table: Table, name: str) -> str:
    """What stands between the genres of one item."""
    if name in table.nested:
        return "|"
    values = [value for value in table.column(name) if value]
    return max(("|", ", ", ",", ";", "/"), key=lambda mark: sum(mark in value for value in values))
