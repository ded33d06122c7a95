"""Content fingerprints of single files, without the times and resources used that JSON files and pages contain."""

from __future__ import annotations

import hashlib
import json
import re
from typing import Any

from reco_platform.store.paths import StorePath, sha256_file

VOLATILE_KEYS = frozenset({"execution_ts", "generated_ts", "peak_memory_mb", "seconds"})
"""Keys that differ from run to run although the result is the same."""

VOLATILE_ELEMENT = re.compile(rb"<time\b[^>]*>[^<]*</time>")
"""The element of an HTML page with the day of the run."""


def file_fingerprint(path: StorePath) -> str:
    """16 hex digits of a file's content; of a JSON file without `VOLATILE_KEYS`, of a page without its day."""
    if path.suffix in {".json", ".html"}:
        return content_fingerprint(path.read_bytes(), path.suffix)
    return sha256_file(path)[:16]


def content_fingerprint(content: bytes, suffix: str) -> str:
    """The same for the content of a file with this suffix."""
    if suffix == ".html":
        content = VOLATILE_ELEMENT.sub(b"", content)
    if suffix != ".json":
        return hashlib.sha256(content).hexdigest()[:16]
    try:
        body = json.loads(content)
    except ValueError:
        return hashlib.sha256(content).hexdigest()[:16]
    stable = json.dumps(without_volatile(body), sort_keys=True)
    return hashlib.sha256(stable.encode()).hexdigest()[:16]


def file_has_fingerprint(path: StorePath, fingerprint: str) -> bool:
    """Whether a file exists and has this fingerprint."""
    return path.is_file() and file_fingerprint(path) == fingerprint


def without_volatile(value: Any) -> Any:
    """A JSON value without `VOLATILE_KEYS`, at any depth."""
    if isinstance(value, dict):
        return {key: without_volatile(item) for key, item in value.items() if key not in VOLATILE_KEYS}
    return [without_volatile(item) for item in value] if isinstance(value, list) else value
