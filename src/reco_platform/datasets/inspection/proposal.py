"""The config that fits: as few keys as possible, beside those of a known layout and the defaults."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

from reco_platform.config.known_layouts import KNOWN_LAYOUTS, NONE
from reco_platform.core.rating_scale import parse_rating_scale
from reco_platform.datasets.source_layout import LAYOUT_KEYS, SourceLayout, from_values

TRUSTED = ("id_type", "quoting", "event_weights", "repeats", "title_column", "genres_column", "genres_delimiter",
           "items_id_column", "file_format", "items_delimiter", "items_header")  # fmt: skip
"""Keys that a known layout knows better than a sample does."""

ITEM_COLUMNS = ("items_id_column", "title_column", "genres_column")
WESTERN = {"latin-1", "cp1252"}
"""Encodings that differ in a few signs."""

OTHER_KEYS = ("max_reject_share",)
"""Keys of the proposal beside those of the layout."""


def fewest_keys(
    found: Mapping[str, Any],
    layout: str | None,
    names: Sequence[str],
    *,
    columns: Collection[str] = (),
    ascii_files: Collection[str] = (),
) -> dict[str, Any]:
    """The keys that must be given, so that the files are read as they were found to be.

    Args:
        found: every key of the layout, as found.
        layout: a known layout; None for none.
        names: of all files at the place.
        columns: of the file of titles.
        ascii_files: keys of encodings, `encoding` or `items_encoding`, that any encoding of ASCII's fits.

    Returns:
        By key; with `layout`, only what differs from it.
    """
    bundle = whole_bundle(layout)
    wanted = {key: value for key, value in found.items() if key in LAYOUT_KEYS and not (bundle and key == "repeats")}
    for key, value in bundle.items():
        is_own = key == "items_file" and value == bundle.get("ratings_file")  # titles among the ratings
        known = is_own or (key in TRUSTED and (key not in ITEM_COLUMNS or value == NONE or value in columns))
        if key in wanted and (known or fits(key, value, wanted[key], names, ascii_files)):
            wanted[key] = value
    given = {"layout": layout} if bundle else {}
    keys = [key for key in LAYOUT_KEYS if key in wanted and is_needed(key, wanted, bundle)]
    given |= {key: wanted[key] for key in keys}
    return given | {key: found[key] for key in OTHER_KEYS if key in found and bundle.get(key) != found[key]}


def whole_bundle(layout: str | None) -> dict[str, Any]:
    """The keys of a known layout, with those of the items that follow from those of the ratings."""
    bundle = dict(KNOWN_LAYOUTS.get(layout or "", {}))
    shared = {f"items_{name}": bundle[name] for name in ("delimiter", "header", "encoding") if name in bundle}
    return shared | bundle


def is_needed(key: str, wanted: Mapping[str, Any], bundle: Mapping[str, Any]) -> bool:
    """Whether a key must be given: without it the layout would be another."""
    every = {**bundle, **wanted}
    without = {name: value for name, value in every.items() if name != key} | {
        name: value for name, value in bundle.items() if name == key
    }
    return same_reading(from_values(every), from_values(without)) is False


def same_reading(one: SourceLayout, other: SourceLayout) -> bool:
    """Whether two layouts read the same; the step of a scale matters to nobody."""
    return bounds(one) == bounds(other) and one.identity() == other.identity() and one.repeats == other.repeats


def bounds(layout: SourceLayout) -> tuple[float, float]:
    scale = parse_rating_scale(layout.rating_scale)
    return scale.least, scale.greatest


def fits(key: str, value: Any, found: Any, names: Sequence[str], ascii_files: Collection[str]) -> bool:
    """Whether the value of a known layout says the same as what was found."""
    match key:
        case "ratings_file" | "items_file":
            if value == found:
                return True
            patterns = str(value).split(",")
            fitting = [name for name in names if any(fnmatchcase(name, pattern) for pattern in patterns)]
            wanted = [name for name in names if any(fnmatchcase(name, one) for one in str(found).split(","))]
            is_optional = any("*" in pattern or "[" in pattern for pattern in patterns)
            return fitting == wanted and (bool(fitting) or (found == NONE and is_optional))
        case "encoding" | "items_encoding":
            return value == found or key in ascii_files or {value, found} <= WESTERN
        case "rating_scale":
            if NONE in (value, found):
                return bool(value == found)
            one, other = parse_rating_scale(value), parse_rating_scale(found)
            return one.least <= other.least and other.greatest <= one.greatest
    return bool(value == found)
