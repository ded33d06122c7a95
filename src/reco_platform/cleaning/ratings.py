"""Cleaning rules of ratings."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
import pyarrow as pa

from reco_platform.cleaning.rules import CleaningRules, RuleResults, event_rules, parse_decimals
from reco_platform.contracts.tables import RATINGS, Contract
from reco_platform.core.rating_scale import RatingScale


def apply_rules(records: pa.RecordBatch, scale: RatingScale) -> RuleResults:
    shared, stars = event_rules(records, "rating_ts"), parse_decimals(records["rating"])
    least, greatest = np.float32(scale.least), np.float32(scale.greatest)  # as the ratings are
    violations = {
        **shared.violations,
        "null_rating": stars.blank,
        "rating_not_a_number": stars.invalid,
        "rating_out_of_range": stars.valid & ~((stars.values >= least) & (stars.values <= greatest)),
    }
    return RuleResults({**shared.columns, "rating": pa.array(stars.values)}, violations)


def contract_of(scale: RatingScale) -> Contract:
    """The contract of ratings on a scale."""
    fields = {field.name: field for field in RATINGS.fields}
    fields["rating"] = replace(fields["rating"], minimum=scale.least, maximum=scale.greatest)
    return replace(RATINGS, fields=tuple(fields.values()))


def cleaning(scale: RatingScale) -> CleaningRules:
    """The rules of ratings on a scale. Of those with one user, movie and timestamp the highest is kept."""
    return CleaningRules(
        contract=contract_of(scale),
        source_columns=("userId", "movieId", "rating", "timestamp"),
        apply=partial(apply_rules, scale=scale),
        keep_first=(("rating", "descending"),),
    )


CLEANING = cleaning(RatingScale())
