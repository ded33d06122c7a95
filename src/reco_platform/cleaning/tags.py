"""Cleaning rules of tags. Equal tags are kept, because tags have no key."""

from __future__ import annotations

import pyarrow as pa

from reco_platform.cleaning.rules import CleaningRules, RuleResults, event_rules, is_blank
from reco_platform.contracts.tables import TAGS
from reco_platform.datasets.text_columns import is_invalid_utf8


def apply_rules(records: pa.RecordBatch) -> RuleResults:
    shared, tag = event_rules(records, "tag_ts"), records["tag"]
    violations = {**shared.violations, "null_tag": is_blank(tag), "invalid_utf8": is_invalid_utf8(tag)}
    return RuleResults({**shared.columns, "tag": tag}, violations)


CLEANING = CleaningRules(
    contract=TAGS,
    source_columns=("userId", "movieId", "tag", "timestamp"),
    apply=apply_rules,
    keep_first=(),
)
