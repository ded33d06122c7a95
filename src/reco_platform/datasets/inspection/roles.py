"""Which column is the user, the item, the rating, the time: by names and by values."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from reco_platform.datasets.inspection.dialect import Table
from reco_platform.datasets.inspection.names import points
from reco_platform.datasets.inspection.values import EVENTS, Profile, profile, scale_of

CLOSE = 0.25
"""Two columns are both candidates for a role if their points differ by no more."""

LONG_TEXT = 64
"""Ids are shorter on average, in characters."""

EVENT_ROLES = ("time", "event", "rating", "user", "item", "count", "title", "genres")


@dataclass(frozen=True)
class Choice:
    """The column of a role.

    Attributes:
        column: its name, or its position.
        sure: whether no other column is likely.
        why: what speaks for it, in words.
        others: columns that may be meant instead.
    """

    column: str
    sure: bool
    why: str
    others: tuple[str, ...] = ()


def profiles_of(table: Table) -> dict[str, Profile]:
    """The profile of each column."""
    return {
        name: profile(name, table.column(name), nested=name in table.nested, type_name=table.types.get(name, ""))
        for name in table.names
    }


def fit(role: str, column: Profile, values: Sequence[str]) -> float:
    """How well the values of a column fit a role: 0 if they do not."""
    match role:
        case "time":
            if column.time is None:
                return 0
            return 0.3 if column.time.unit == "%Y%m%d" else 1.0
        case "rating":
            if column.kind == "boolean":
                return 0.5
            return rating_fit(column, values)
        case "event":
            few = 0 < column.distinct <= 30 and column.kind in {"event", "text", "integer"}
            return 1.5 if column.kind == "event" else 0.2 if few else 0
        case "count":
            return 0.5 if column.is_numeric and (column.least or 0) >= 0 and column.time is None else 0
        case "title":
            return 1.0 if column.kind in {"text", "boolean", "event"} and column.length > 1 else 0
        case "genres":
            return 0.5 if column.kind in {"text", "list", "event"} else 0
    return id_fit(column)


def rating_fit(column: Profile, values: Sequence[str]) -> float:
    """How well numbers fit ratings: best if they are few, and reach both ends of a common scale."""
    found = scale_of(values) if column.is_numeric and column.time is None else None
    if found is None:
        return 0
    if column.distinct < 3:
        return 0.5 if found.scale.least < 0 else 0.2
    return 0.5 + 0.5 * found.is_reached + 0.5 * (found.scale.greatest <= 10)


def id_fit(column: Profile) -> float:
    """How well the values of a column fit an id."""
    if column.kind not in {"integer", "uuid", "text", "decimal"} or column.length > LONG_TEXT or column.filled == 0:
        return 0
    if column.kind == "decimal" and any("." in value and value.rstrip("0")[-1] != "." for value, _ in column.counts):
        return 0
    varied = 0.5 if column.distinct > 10 or column.rows <= 100 else 0.2
    return varied * (0.4 if column.time is not None else 1) * (1 if column.filled >= 0.5 * column.rows else 0.5)


def choose(table: Table, profiles: Mapping[str, Profile], roles: Collection[str] = EVENT_ROLES) -> dict[str, Choice]:
    """The column of each role for which there is one.

    The pair with most points is taken first; user and item that have no known name are taken in the order of columns.
    """
    scores = {role: role_scores(role, table, profiles) for role in roles}
    taken: dict[str, Choice] = {}
    pairs = sorted(
        ((score, role, name) for role, found in scores.items() for name, score in found.items()),
        key=lambda one: -one[0],
    )
    used: set[str] = set()
    for score, role, name in pairs:
        if role in taken or name in used:
            continue
        rivals = [
            other for other, points_ in scores[role].items()
            if other != name and other not in used and points_ >= score - CLOSE
        ]  # fmt: skip
        guessed = role == "rating" and table.has_header and not points(role, name)
        taken[role] = Choice(name, not rivals and not guessed, why(role, name, profiles[name], table), tuple(rivals))
        used.add(name)
    return {**taken, **by_order(table, profiles, taken, used, roles)}


def role_scores(role: str, table: Table, profiles: Mapping[str, Profile]) -> dict[str, float]:
    """The points of each column that may have a role."""
    found = {}
    for name, column in profiles.items():
        named = points(role, name) if table.has_header or table.format != "csv" else 0
        fits = fit(role, column, table.column(name))
        if role == "rating" and not named and table.has_header and (fits < 1.5 or is_other_number(name)):
            continue
        needs_name = role in {"user", "item", "count", "title", "genres"} or (
            role == "event" and column.kind != "event"
        )
        if fits and (named or not needs_name):
            found[name] = named + fits
    return found


OTHER_NUMBERS = ("price", "preis", "age", "alter", "year", "jahr", "cost", "total", "average", "avg", "mean", "size",
                 "month", "day", "hour", "lat", "lon", "helpful", "useful", "funny", "cool", "is")  # fmt: skip
"""Parts of the names of numbers that are no ratings."""


def is_other_number(name: str) -> bool:
    words = re.findall(r"[a-z]+", re.sub(r"([a-z])([A-Z])", r"\1 \2", name).lower())
    return points("count", name) > 0 or any(word in OTHER_NUMBERS for word in words)


def by_order(
    table: Table, profiles: Mapping[str, Profile], taken: Mapping[str, Choice], used: Collection[str],
    roles: Collection[str],
) -> dict[str, Choice]:  # fmt: skip
    """User and item, where no name says which they are: the first columns left that may hold ids."""
    missing = [role for role in ("user", "item") if role in roles and role not in taken]
    left = [name for name in table.names if name not in used and id_fit(profiles[name]) >= 0.2]
    is_table = (
        taken.keys() & set(EVENT_ROLES) or len(table.names) == 2 or all(map(is_code, map(profiles.get, left[:2])))
    )
    if len(left) < len(missing) or not is_table:
        return {}
    found = {}
    for role, name in zip(missing, left, strict=False):
        others = tuple(other for other in left if other != name)
        text = f"{of_words(profiles[name])}, by its place alone"
        by_elimination = not others and len(missing) == 1 and taken.keys() & {"rating", "time", "event", "count"}
        found[role] = Choice(name, bool(by_elimination), text, others)
    rest = [name for name in table.names if name not in {*used, *left} or name not in left[: len(missing)]]
    counts = [name for name in rest if name not in used and fit("count", profiles[name], ())]
    if not table.has_header and counts and not taken.keys() & {"rating", "event", "count"}:
        found["count"] = Choice(counts[-1], False, of_words(profiles[counts[-1]]))
    return found


def is_code(column: Profile | None) -> bool:
    """Whether the values of a column are codes, and no words or sentences."""
    return column is not None and not any(" " in value.strip() for value, _ in column.counts)


def why(role: str, name: str, column: Profile, table: Table) -> str:
    """What speaks for a column, in words."""
    named = points(role, name) if table.has_header or table.format != "csv" else 0
    return f"by its name; {of_words(column)}" if named >= 1 else of_words(column)


KIND_WORDS = {
    "integer": "whole numbers",
    "decimal": "numbers",
    "comma": "numbers with a decimal comma",
    "boolean": "yes or no",
    "event": "names of events",
    "uuid": "UUIDs",
    "list": "lists or objects",
    "text": "text",
    "empty": "empty",
}


def of_words(column: Profile) -> str:
    """What the values of a column are, in words."""
    if column.time is not None:
        return f"times from {column.time.first} to {column.time.last}"
    words = KIND_WORDS[column.kind]
    if column.is_numeric and column.least is not None:
        words += f" from {column.least:.16g} to {column.greatest:.16g}"
    return f"{words}, such as {column.example.strip()[:30]!r}" if column.example else words


def event_words(column: Profile) -> list[str]:
    """The events in a column, the most frequent first."""
    return [value for value, _ in column.counts if value.strip().lower() in EVENTS or column.kind != "event"]
