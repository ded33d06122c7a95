"""How tags are cleaned. Equal tags are kept: a tag has no key."""

from __future__ import annotations

import pyarrow as pa

from reco_platform.cleaning.rules import Cleaning, Marked, blank, event, not_utf8
from reco_platform.contracts.tables import TAGS


def mark(text: pa.RecordBatch) -> Marked:
    shared, tag = event(text, "tag_ts"), text["tag"]
    broken = {**shared.broken, "null_tag": blank(tag), "invalid_utf8": not_utf8(tag)}
    return Marked({**shared.columns, "tag": tag}, broken)


CLEANING = Cleaning(contract=TAGS, source=("userId", "movieId", "tag", "timestamp"), mark=mark, keep=())
