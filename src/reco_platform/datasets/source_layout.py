"""The layout of a user's own files: where the columns of ratings and items are, and how their values are written."""

from __future__ import annotations

import codecs
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from datetime import timedelta, timezone, tzinfo
from typing import Any
from zoneinfo import ZoneInfo

from reco_platform.config.known_layouts import NONE
from reco_platform.core.errors import ConfigError

DELIMITERS = {"tab": "\t", "comma": ",", "semicolon": ";", "pipe": "|", "space": " ", "\\x01": "\x01"}
"""Delimiters by name: several are awkward to type in a shell."""

POSITIONS = {"user_column": "1", "item_column": "2", "rating_column": "3", "time_column": "4"}
"""The columns of a file of ratings without header, unless others are given."""

ITEM_POSITIONS = {"items_id_column": "1", "title_column": "2", "genres_column": "3"}
"""The columns of a file of items without header, unless others are given."""

NOT_TRANSLATED = ("rating_scale", "repeats")
"""Fields that matter only behind the import."""


@dataclass(frozen=True)
class SourceLayout:
    """How the files of a data set are written; the default is MovieLens's own layout.

    Each field is a config key of the same name (docs/configuration.md). A column is a name, or a position from 1 if the
    file has no header. A file or column that the data do not have is None.

    Attributes:
        delimiter: the characters themselves, not the name that the config key also takes.
        event_weights: the weight of each type of event.
    """

    ratings_file: str = "ratings.csv"
    items_file: str | None = "movies.csv"
    file_format: str = "auto"
    delimiter: str = ","
    quoting: bool = True
    header: bool = True
    encoding: str = "utf-8"
    user_column: str = "userId"
    item_column: str = "movieId"
    rating_column: str | None = "rating"
    time_column: str | None = "timestamp"
    event_column: str | None = None
    items_delimiter: str = ","
    items_header: bool = True
    items_encoding: str = "utf-8"
    items_id_column: str = "movieId"
    title_column: str | None = "title"
    genres_column: str | None = "genres"
    genres_delimiter: str = "|"
    item_attributes: tuple[str, ...] = ()
    time_unit: str = "s"
    time_zone: str = "UTC"
    rating_scale: str = "0.5..5"
    id_type: str = "integer"
    event_weights: tuple[tuple[str, float], ...] = ()
    repeats: str = "latest"

    @property
    def is_movielens(self) -> bool:
        """Whether the files are in MovieLens's own layout, so that they are copied byte for byte."""
        ours = {name: getattr(self, name) for name in NOT_TRANSLATED}
        return self == replace(SourceLayout(), **ours)

    def identity(self) -> dict[str, Any]:
        """What shapes the translation, as JSON has it."""
        return {name: value for name, value in asdict(self).items() if name not in NOT_TRANSLATED}


LAYOUT_KEYS = tuple(field.name for field in fields(SourceLayout))
"""The config keys of the layout."""


def from_values(values: Mapping[str, Any]) -> SourceLayout:
    """The layout that config values describe; a key that is missing or None has its default.

    Args:
        values: by config key; others than those of the layout are ignored.
    """
    given: dict[str, Any] = {name: values[name] for name in LAYOUT_KEYS if values.get(name) is not None}
    for name in ("delimiter", "items_delimiter"):
        if name in given:
            given[name] = DELIMITERS.get(given[name], given[name])
    for name in ("delimiter", "header", "encoding"):
        if name in given:
            given.setdefault(f"items_{name}", given[name])
    if given.get("header") is False:
        given = POSITIONS | given
    if given.get("items_header") is False:
        given = ITEM_POSITIONS | given
    if given.get("rating_column") == NONE:
        given.setdefault("rating_scale", NONE)
    if "item_attributes" in given:
        given["item_attributes"] = tuple(name.strip() for name in given["item_attributes"].split(",") if name.strip())
    if "event_weights" in given:
        given["event_weights"] = parse_event_weights(given["event_weights"])
    optional = {field.name for field in fields(SourceLayout) if "None" in str(field.type)}
    given |= {name: None for name in optional if given.get(name) == NONE}
    return SourceLayout(**given)


def given_values(values: Mapping[str, Any]) -> str:
    """The config values of the layout that are given and shape the import, as canonical JSON for `from_text`."""
    shaping = (name for name in LAYOUT_KEYS if name not in NOT_TRANSLATED)
    given = {name: values[name] for name in shaping if values.get(name) is not None}
    return json.dumps(given, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def from_text(text: str) -> SourceLayout:
    return from_values(json.loads(text))


def parse_event_weights(text: str) -> tuple[tuple[str, float], ...]:
    """The weights in a text such as `view=1 cart=3 purchase=5`, in its order.

    Raises:
        ConfigError: a word has another form, or a type of event occurs twice.
    """
    weights: dict[str, float] = {}
    for word in text.replace(",", " ").split():
        event, _, number = word.rpartition("=")
        try:
            weight = float(number)
        except ValueError:
            weight = 0.0
        if not event or not 0 < weight < float("inf") or event in weights:
            raise ConfigError(
                f"event_weights={text!r}: {word!r} is not EVENT=WEIGHT with a weight above 0, each event once",
                "for example --config event_weights='view=1 cart=3 purchase=5'",
            )
        weights[event] = weight
    return tuple(weights.items())


# --- contradictions

COLUMN_KEYS = ("user_column", "item_column", "rating_column", "time_column", "event_column")
ITEM_COLUMN_KEYS = ("items_id_column", "title_column", "genres_column")
TEXT_KEYS = ("delimiter", "quoting", "header", "encoding", "items_delimiter", "items_header", "items_encoding")
"""Keys that have no meaning for Parquet."""


def refuse_contradictions(values: Mapping[str, Any]) -> None:
    """Checks the config values of the layout against each other.

    Args:
        values: by config key.

    Raises:
        ConfigError: the message names every problem.
    """
    found = problems(from_values(values), {name for name in LAYOUT_KEYS if values.get(name) is not None})
    if found:
        raise ConfigError("\n".join(found), f"docs/own-data.md explains the keys; {INSPECT} finds them in the files")


INSPECT = "`python tools/run_pipeline.py inspect FOLDER`"


def problems(layout: SourceLayout, given: set[str]) -> list[str]:
    """What is contradictory in a layout.

    Args:
        layout: the layout.
        given: the config keys that were given.
    """
    found = []
    for keys, header_key, header in (
        (COLUMN_KEYS, "header", layout.header),
        (ITEM_COLUMN_KEYS, "items_header", layout.items_header),
    ):
        columns = {key: str(column) for key in keys if (column := getattr(layout, key)) is not None}
        found += shared_columns(columns)
        if not header and layout.file_format in {"auto", "csv", "netflix"}:
            found += [
                f"{key}={column!r}: {header_key}=false, so a column is a position from 1"
                for key, column in columns.items()
                if not is_position(column)
            ]
    for name in ("user_column", "item_column", "items_id_column"):
        if getattr(layout, name) == NONE:
            found.append(f"{name}=none: every row needs one")
    if layout.ratings_file == NONE:
        found.append("ratings_file=none: a file of ratings or events is needed")
    if layout.event_weights and layout.event_column is None:
        found.append("event_weights needs event_column: the column with the type of event")
    if layout.event_weights and layout.rating_column is not None:
        found.append("event_weights needs rating_column=none: a row has either a rating or the weight of its event")
    if layout.items_file is None:
        needless = sorted(given & {*ITEM_COLUMN_KEYS, "item_attributes", "items_delimiter", "items_header"})
        found += [f"{name} needs an items_file, and items_file=none" for name in needless]
    if layout.time_column is None:
        found += [f"{name} needs a time_column, and time_column=none" for name in sorted(given & {"time_unit"})]
    if layout.file_format in {"parquet", "jsonl"}:
        needless = sorted(given & set(TEXT_KEYS) - ({"encoding"} if layout.file_format == "jsonl" else set()))
        found += [f"{name} has no meaning with file_format={layout.file_format}" for name in needless]
    return found + unknown_names(layout)


def shared_columns(columns: Mapping[str, str]) -> list[str]:
    """The pairs of roles that are given to one column."""
    found, taken = [], dict[str, str]()
    for key, column in columns.items():
        if column in taken:
            found.append(f"{taken[column]} and {key} are both the column {column!r}: each needs its own")
        taken.setdefault(column, key)
    return found


def unknown_names(layout: SourceLayout) -> list[str]:
    """Encodings and time zones that Python does not know."""
    found = []
    for key in ("encoding",) if layout.items_encoding == layout.encoding else ("encoding", "items_encoding"):
        try:
            codecs.lookup(getattr(layout, key))
        except LookupError:
            found.append(f"{key}={getattr(layout, key)!r} is not an encoding; for example utf-8, latin-1, cp1252")
    try:
        zone_of(layout.time_zone)
    except (ValueError, KeyError, OSError):
        found.append(f"time_zone={layout.time_zone!r} is not a time zone; for example UTC, Europe/Berlin, +02:00")
    return found


def is_position(column: str) -> bool:
    """Whether a column is given as a position from 1."""
    return column.isascii() and column.isdigit() and not column.startswith("0")


def zone_of(name: str) -> tzinfo:
    """The time zone with a name such as Europe/Berlin, or an offset such as +02:00.

    Raises:
        ValueError, KeyError, OSError: there is none.
    """
    if name[:1] in {"+", "-"}:
        hours, _, minutes = name[1:].partition(":")
        return timezone(timedelta(hours=int(hours), minutes=int(minutes)) * (-1 if name.startswith("-") else 1))
    return ZoneInfo(name)
