"""How ratings are cleaned."""

from __future__ import annotations

import pyarrow as pa

from reco_platform.cleaning.rules import Cleaning, Marked, decimal_numbers, event
from reco_platform.contracts.tables import RATINGS


def mark(text: pa.RecordBatch) -> Marked:
    shared, stars = event(text, "rating_ts"), decimal_numbers(text["rating"])
    broken = {
        **shared.broken,
        "null_rating": stars.blank,
        "rating_not_a_number": stars.wrong,
        "rating_out_of_range": stars.there & ~((stars.values >= 0.5) & (stars.values <= 5.0)),
    }
    return Marked({**shared.columns, "rating": pa.array(stars.values)}, broken)


# Of the ratings of one user, movie and moment the highest stays.
CLEANING = Cleaning(
    contract=RATINGS,
    source=("userId", "movieId", "rating", "timestamp"),
    mark=mark,
    keep=(("rating", "descending"),),
)
