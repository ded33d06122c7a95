"""Read JSON files on any store."""

from __future__ import annotations

import json
from typing import Any

from reco_platform.store.paths import StorePath


def read_json(path: StorePath) -> dict[str, Any]:
    """The JSON object in a file.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is not JSON.
    """
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return content
