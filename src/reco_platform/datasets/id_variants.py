"""Ids that look alike: they stay apart, and are counted, because they often come from a mistake in the source."""

from __future__ import annotations

import unicodedata

import pyarrow as pa
import pyarrow.compute as pc

VARIANTS = {
    "padded_ids": "begin or end with blanks or control characters",
    "case_variants": "equal another one but for upper and lower case",
    "normal_form_variants": "equal another one but for the Unicode normal form",
}
"""What is counted, as the end of a sentence."""

PADDING = r"^[\s\pZ\pC]|[\s\pZ\pC]$"


def count_variants(texts: pa.Array) -> dict[str, int]:
    """How many of some different texts are padded, or equal an earlier one but for case or normal form.

    Args:
        texts: large_string, all different.
    """
    composed = normal_form(texts)
    variants = distinct(texts) - distinct(composed)
    return {
        "padded_ids": pc.sum(pc.match_substring_regex(texts, PADDING)).as_py() or 0,
        "case_variants": distinct(composed) - distinct(pc.utf8_lower(composed)),
        "normal_form_variants": variants,
    }


def normal_form(texts: pa.Array) -> pa.Array:
    """The texts in Unicode normal form C; texts of ASCII letters are that already."""
    if pc.all(pc.string_is_ascii(texts)).as_py() is not False:
        return texts
    return pa.array([unicodedata.normalize("NFC", text) for text in texts.to_pylist()], texts.type)


def distinct(texts: pa.Array) -> int:
    return int(pc.count_distinct(texts).as_py())
