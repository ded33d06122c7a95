"""One canonical text of plain values, and its hashes. The digest of code is in engine.code."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any


def canonical(value: Any) -> str:
    """The one text of plain values: keys sorted, no spaces, no NaN.

    Raises:
        ValueError: for NaN or an infinity.
        TypeError: for a value that JSON does not have.
    """
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


def short(value: Any) -> str:
    """Eight hex digits for a file or folder name."""
    return sha256(canonical(value))[:8]


def step_digest(name: str, params: Mapping[str, Any], code: str, inputs: Mapping[str, str]) -> str:
    """The key of a step's result in the memo: covers everything that may shape the result, and nothing else."""
    return sha256(canonical({"step": name, "params": params, "code": code, "inputs": inputs}))[:20]
