"""Columns of a user's file as text."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc


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
