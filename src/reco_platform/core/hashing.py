"""Canonical JSON of values, and hashes of it. The digest of code is in engine.code."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any


def canonical_json(value: Any) -> str:
    """JSON that is the same for equal values: keys sorted, no spaces, no NaN.

    Raises:
        ValueError: a NaN or an infinity.
        TypeError: a value that JSON cannot represent.
    """
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def sha256(text: str) -> str:
    """The SHA-256 of a text in lower-case hex."""
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


def short_hash(value: Any) -> str:
    """8 hex digits of a value, for the name of a file or folder."""
    return sha256(canonical_json(value))[:8]


def step_digest(name: str, params: Mapping[str, Any], code: str, inputs: Mapping[str, str]) -> str:
    """The key of a step's result in the memo: covers everything that may shape the result, and nothing else."""
    return sha256(canonical_json({"step": name, "params": params, "code": code, "inputs": inputs}))[:20]
