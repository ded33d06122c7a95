"""The config with which rows that were rejected would be accepted."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from reco_platform.core.rating_scale import parse_rating_scale
from reco_platform.datasets.inspection.dialect import Table, table_of
from reco_platform.datasets.inspection.files import DataFile, sample
from reco_platform.datasets.inspection.values import is_number, number, profile, scale_of

RATING_RULES = {"rating_out_of_range"}
TIME_RULES = {"timestamp_not_a_number", "timestamp_out_of_range"}
ID_RULES = {
    "userId": {"user_not_a_number", "negative_user"},
    "movieId": {"movie_not_a_number", "negative_movie"},
}
Remedy = tuple[str, dict[str, str]]


def remedy(path: Path, broken: Collection[str], given: Mapping[str, Any]) -> Remedy:
    """What is different in a file of ratings, and the config that accepts it.

    Args:
        path: a CSV file with MovieLens's columns.
        broken: the rules that rejected a good part of its rows.
        given: config values of the layout, of which those that would not change are left out.

    Returns:
        A sentence, and values by key; both empty if no config is known that would accept the rows.
    """
    table = table_of(sample(DataFile(path, "text")))
    if table is None or not {"userId", "movieId", "rating", "timestamp"} <= set(table.names):
        return "", {}
    found = [
        *([scale_remedy(table)] if RATING_RULES & set(broken) else []),
        *([time_remedy(table)] if TIME_RULES & set(broken) else []),
        *(id_remedy(table, column) for column, rules in ID_RULES.items() if rules & set(broken)),
    ]
    new = [(text, keys) for text, keys in found if keys and any(given.get(key) != one for key, one in keys.items())]
    return "; ".join(text for text, _ in new), {key: value for _, keys in new for key, value in keys.items()}


def scale_remedy(table: Table) -> Remedy:
    """The scale of the ratings: a common one, otherwise from the least to the greatest."""
    values = table.column("rating")
    numbers = [number(value) for value in values if is_number(value)]
    if not numbers or min(numbers) == max(numbers):
        return "", {}
    guess = scale_of(values)
    common = guess is not None and guess.is_reached
    scale = str(guess.scale) if guess is not None and common else f"{min(numbers):g}..{max(numbers):g}"
    bounds = parse_rating_scale(scale)
    return f"ratings run from {bounds.least:g} to {bounds.greatest:g}", {"rating_scale": scale}


def time_remedy(table: Table) -> Remedy:
    time = profile("timestamp", table.column("timestamp")).time
    if time is None:
        return "", {}
    return f"times such as {table.column('timestamp')[0]!r} are in {time.unit}", {"time_unit": time.unit}


def id_remedy(table: Table, column: str) -> Remedy:
    found = profile(column, table.column(column))
    if found.filled == 0 or found.fits_int32:
        return "", {}
    odd = next((value for value in table.column(column) if not is_small_number(value)), found.example)
    return f"{column} has ids such as {odd!r}", {"id_type": "text"}


def is_small_number(value: str) -> bool:
    text = value.strip()
    return text.isdecimal() and int(text) < 2**31
