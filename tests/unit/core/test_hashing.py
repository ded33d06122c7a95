"""Digests: everything that shapes a result changes them, nothing else does."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from reco_platform.core.hashing import canonical_json, step_digest

SCALARS = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8)
)
PLAIN = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)
PARAMS = st.dictionaries(st.text(min_size=1, max_size=6), SCALARS, min_size=1, max_size=6)


# --- canonical text


@pytest.mark.slow
@given(PARAMS)
def test_the_order_of_keys_does_not_matter(params: dict[str, Any]) -> None:
    backwards = dict(reversed(params.items()))
    assert canonical_json(params) == canonical_json(backwards)
    assert step_digest("s", params, "c", {}) == step_digest("s", backwards, "c", {})


@given(PLAIN, PLAIN)
def test_different_values_have_different_texts(first: Any, second: Any) -> None:
    same = json.dumps(first, sort_keys=True) == json.dumps(second, sort_keys=True)
    assert (canonical_json(first) == canonical_json(second)) == same


@pytest.mark.slow
@given(PLAIN)
def test_the_text_is_read_back_as_the_value(value: Any) -> None:
    assert json.loads(canonical_json(value)) == value


@pytest.mark.parametrize("value", [float("nan"), float("inf"), {"a": [float("-inf")]}])
def test_a_value_that_json_does_not_have_is_refused(value: Any) -> None:
    with pytest.raises(ValueError, match="JSON compliant"):
        canonical_json(value)
    with pytest.raises(TypeError):
        canonical_json({1, 2})


# --- steps


@given(PARAMS, st.data())
def test_swapping_the_values_of_two_keys_changes_the_digest(params: dict[str, Any], data: st.DataObject) -> None:
    assume(len(params) > 1)
    first, second = data.draw(st.lists(st.sampled_from(sorted(params)), min_size=2, max_size=2, unique=True))
    assume(canonical_json(params[first]) != canonical_json(params[second]))
    swapped = {**params, first: params[second], second: params[first]}
    assert step_digest("s", params, "c", {}) != step_digest("s", swapped, "c", {})


@given(PARAMS, st.text(min_size=1, max_size=6), SCALARS)
def test_a_changed_or_added_parameter_changes_the_digest(params: dict[str, Any], key: str, value: Any) -> None:
    changed = {**params, key: value}
    assume(canonical_json(changed) != canonical_json(params))
    assert step_digest("s", params, "c", {}) != step_digest("s", changed, "c", {})


def test_each_part_counts_and_none_is_taken_for_another() -> None:
    texts = [
        step_digest("s", {"a": 1}, "c", {"i": "x"}),
        step_digest("t", {"a": 1}, "c", {"i": "x"}),
        step_digest("s", {"a": "1"}, "c", {"i": "x"}),
        step_digest("s", {"a": 1}, "d", {"i": "x"}),
        step_digest("s", {"a": 1}, "c", {"i": "y"}),
        step_digest("s", {"a": 1}, "c", {"j": "x"}),
        step_digest("s", {"i": "x"}, "c", {"a": 1}),  # type: ignore[dict-item]
        step_digest("s", {"a": 1, "i": "x"}, "c", {}),
    ]
    assert len(set(texts)) == len(texts)
    assert all(len(text) == 20 for text in texts)
