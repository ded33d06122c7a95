"""Cleaning rules of ratings."""

from __future__ import annotations

import pyarrow as pa

from reco_platform.cleaning.rules import CleaningRules, RuleResults, event_rules, parse_decimals
from reco_platform.contracts.tables import RATINGS


def apply_rules(records: pa.RecordBatch) -> RuleResults:
    shared, stars = event_rules(records, "rating_ts"), parse_decimals(records["rating"])
    violations = {
        **shared.violations,
        "null_rating": stars.blank,
        "rating_not_a_number": stars.invalid,
        "rating_out_of_range": stars.valid & ~((stars.values >= 0.5) & (stars.values <= 5.0)),
    }
    return RuleResults({**shared.columns, "rating": pa.array(stars.values)}, violations)


# Of the ratings with one user, movie and timestamp the highest is kept.
CLEANING = CleaningRules(
    contract=RATINGS,
    source_columns=("userId", "movieId", "rating", "timestamp"),
    apply=apply_rules,
    keep_first=(("rating", "descending"),),
)
