"""How ratings are cleaned."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reco_platform.cleaning.rules import SECONDS, Cleaning, event_columns, event_rules, missing, not_a_number
from reco_platform.contracts import RATINGS

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

KEY = ("year", "month", "user_id", "movie_id", "rating_ts")


def deduplicate(rows: DataFrame) -> DataFrame:
    """Marks all but one row of each (user, movie, moment): the highest rating stays.

    Year and month follow from the moment; with them in the key, the one shuffle that the write needs serves here too.
    """
    from pyspark.sql import Window  # noqa: PLC0415
    from pyspark.sql import functions as f  # noqa: PLC0415

    placed = rows.repartition("year", "month")
    window = Window.partitionBy(*KEY).orderBy(f.col("stars").desc())
    earlier = f.lag("stars").over(window)
    kind = f.when(earlier == f.col("stars"), "exact").when(earlier.isNotNull(), "conflicting")
    return placed.withColumn("duplicate", kind)


CLEANING = Cleaning(
    contract=RATINGS,
    source=("userId", "movieId", "rating", "timestamp"),
    # Java's float parser also takes 3.5f, 3.5d and hexadecimal: the source column is `rating`, the typed one `stars`
    # until the rules have seen both.
    typed={
        **event_columns("rating_ts"),
        "stars": "CASE WHEN translate(lower(rating), 'dfxp', '') = lower(rating) THEN try_cast(rating AS FLOAT) END",
    },
    rules={
        **event_rules(SECONDS),
        "null_rating": missing("rating"),
        "rating_not_a_number": f"{not_a_number('rating', 'stars')} OR isnan(stars)",
        "rating_out_of_range": "NOT isnan(stars) AND (stars < 0.5 OR stars > 5.0)",
    },
    deduplicate=deduplicate,
    multiline=False,
)
