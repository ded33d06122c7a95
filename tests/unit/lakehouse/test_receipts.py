"""Receipts: stable text, sealed content, files written whole or not at all."""

from __future__ import annotations

import json
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reco_platform.core.errors import TableError
from reco_platform.lakehouse import receipts
from reco_platform.lakehouse.receipts import Receipt, parse

RECEIPT = Receipt(
    artifact="silver/ratings",
    kind="table",
    path="silver/ratings",
    format="delta",
    version=3,
    rows=200_000,
    schema_hash="00112233aabbccdd",
    fingerprint="0123456789abcdef",
    facts={"rejected": 4, "rejected_by_reason": {"null_user": 4}, "ignored_columns": ["café"]},
    made_from={"step": "silver_ratings", "code": "1", "params": {"sample_seed": 7}, "inputs": {"bronze": "x"}},
)
OTHER: dict[str, Any] = {
    "artifact": "silver/tags",
    "kind": "model",
    "path": "silver/tags",
    "format": "parquet",
    "version": None,
    "rows": 1,
    "schema_hash": "1",
    "fingerprint": "1",
    "facts": {},
    "made_from": {},
}
PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


# --- text and seal


@given(st.dictionaries(st.text(), PLAIN, max_size=4), st.dictionaries(st.text(), PLAIN, max_size=4))
def test_a_receipt_is_read_back_as_it_was(facts: dict[str, Any], made_from: dict[str, Any]) -> None:
    receipt = replace(RECEIPT, facts=facts, made_from=made_from)
    assert parse(receipt.text(), "x") == receipt


def test_the_text_depends_on_the_content_alone() -> None:
    shuffled = replace(RECEIPT, facts=dict(reversed(RECEIPT.facts.items())))
    assert shuffled.text() == RECEIPT.text()
    assert "café" in RECEIPT.text()
    assert RECEIPT.text().endswith("}\n")


@pytest.mark.parametrize("name", OTHER)
def test_any_value_edited_by_hand_is_found(name: str) -> None:
    body = json.loads(RECEIPT.text())
    assert body[name] != OTHER[name]
    body[name] = OTHER[name]
    with pytest.raises(TableError, match="was edited by hand") as caught:
        parse(json.dumps(body), "a.receipt.json")
    assert caught.value.hint is not None
    assert "rm -- a.receipt.json" in caught.value.hint


def test_every_field_was_edited_in_that_test() -> None:
    assert OTHER.keys() == {field.name for field in fields(Receipt)}


def test_an_edit_of_layout_alone_is_no_change() -> None:
    assert parse(json.dumps(json.loads(RECEIPT.text())), "x") == RECEIPT


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "3", "null", "{}", '{"seal": "x"}', '{"seal": "x", "artifact": "a", "surplus": 1}']
)
def test_a_file_that_is_no_receipt_is_named_with_the_way_out(tmp_path: Path, text: str) -> None:
    path = tmp_path / "a.receipt.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(TableError, match="is not a receipt") as caught:
        receipts.read(path)
    assert str(path) in caught.value.message
    assert caught.value.hint is not None
    assert str(path) in caught.value.hint


def test_a_missing_receipt_is_named_with_the_command_that_makes_it(tmp_path: Path) -> None:
    with pytest.raises(TableError, match=r"none\.json cannot be read: No such file") as caught:
        receipts.read(tmp_path / "none.json")
    assert caught.value.hint is not None
    assert "snakemake" in caught.value.hint


# --- identities


@pytest.mark.parametrize(
    ("name", "content_differs", "whole_differs"),
    [
        ("kind", True, True),
        ("path", True, True),
        ("rows", True, True),
        ("schema_hash", True, True),
        ("fingerprint", True, True),
        ("facts", False, True),
        ("version", False, False),
        ("format", False, False),
        ("made_from", False, False),
    ],
)
def test_the_identities_see_content_and_facts_and_nothing_else(
    name: str, content_differs: bool, whole_differs: bool
) -> None:
    other = replace(RECEIPT, **{name: OTHER[name]})
    assert (other.content_identity != RECEIPT.content_identity) == content_differs
    assert (other.full_identity != RECEIPT.full_identity) == whole_differs
