"""Columns of a user's file as text."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from reco_platform.core.arrays import BoolArray

TRUE = (
    "true", "yes", "like", "liked", "up", "thumbs_up", "thumbsup", "positive", "recommended", "ja", "y", "t",
)  # fmt: skip
FALSE = (
    "false", "no", "dislike", "disliked", "down", "thumbs_down", "thumbsdown", "negative", "not recommended", "nein",
    "n", "f",
)  # fmt: skip
"""Words for liked and not liked."""

COMMA = re.compile(rb" *[+-]?[0-9]+,[0-9]+ *")
"""A number with a decimal comma."""

THUMBS = {**dict.fromkeys(TRUE, "1"), **dict.fromkeys(FALSE, "-1")}


def json_text(value: Any, list_delimiter: str) -> str:
    """A value as text: a list is joined, with the lists in it."""
    match value:
        case str():
            return value
        case None:
            return ""
        case bool():
            return str(value).lower()
        case list():
            return list_delimiter.join(filter(None, (json_text(one, list_delimiter) for one in value)))
        case dict():
            return json.dumps(value, ensure_ascii=False)
    return str(value)


def text_array(values: Sequence[str]) -> pa.Array:
    """Texts as an array; half a surrogate pair, which JSON can hold, becomes bytes that are not UTF-8."""
    try:
        return pa.array(values, pa.string())
    except UnicodeEncodeError:
        return pa.array([value.encode("utf-8", "surrogatepass") for value in values], pa.binary()).view(pa.string())


def as_text(column: pa.Array, list_delimiter: str = "|") -> pa.Array:
    """A column as strings; nulls are empty."""
    kind = column.type
    if pa.types.is_dictionary(kind):
        return as_text(column.cast(kind.value_type), list_delimiter)
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return text_array([json_text(value, list_delimiter) for value in column.to_pylist()])
    if pa.types.is_struct(kind):
        return text_array([json_text(value, list_delimiter) for value in column.to_pylist()])
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        column = column.cast(pa.binary()).view(pa.string())
    elif not pa.types.is_string(kind):
        column = column.cast(pa.string())
    return pc.fill_null(column, "") if column.null_count else column


def rating_number(value: bytes) -> bytes:
    """One rating as cleaning reads it."""
    if COMMA.fullmatch(value):
        return value.replace(b",", b".")
    return THUMBS.get(value.decode("utf-8", "replace").strip().lower(), "").encode() or value


def rating_text(column: pa.Array) -> pa.Array:
    """Ratings as text: words for liked and not liked become 1 and -1, a decimal comma a point; other values stay."""
    texts = as_text(column)
    different = pc.unique(texts)
    values = different.cast(pa.binary()).to_pylist()
    numbers = [rating_number(value) for value in values]
    if numbers == values:
        return texts
    return pa.array(numbers, pa.binary()).view(pa.string()).take(pc.index_in(texts, different))


def is_invalid_utf8(column: pa.Array) -> BoolArray:
    """Rows whose bytes are not UTF-8, shape (rows,)."""
    try:
        column.validate(full=True)
    except pa.ArrowInvalid:
        return np.array([value is not None and not decodes(value) for value in column.cast(pa.binary()).to_pylist()])
    return np.zeros(len(column), bool)


def decodes(value: bytes) -> bool:
    try:
        value.decode()
    except UnicodeDecodeError:
        return False
    return True
