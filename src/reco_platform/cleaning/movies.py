"""How movies are cleaned."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reco_platform.cleaning.rules import ROW, Cleaning, missing, not_a_number
from reco_platform.contracts import MOVIES

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


def deduplicate(rows: DataFrame) -> DataFrame:
    """Marks all but the first row of each movie in the file."""
    from pyspark.sql import Window  # noqa: PLC0415
    from pyspark.sql import functions as f  # noqa: PLC0415

    window = Window.partitionBy("movie_id").orderBy(ROW)
    first = f.first(f.struct("title", "genres")).over(window)
    kind = f.when(first == f.struct("title", "genres"), "exact").otherwise("conflicting")
    return rows.withColumn("duplicate", f.when(f.row_number().over(window) > 1, kind))


CLEANING = Cleaning(
    contract=MOVIES,
    source=("movieId", "title", "genres"),
    typed={
        "movie_id": "try_cast(movieId AS INT)",
        "genres_string": "genres",
        "genre_list": (
            "CASE WHEN trim(genres) IN ('', '(no genres listed)') THEN CAST(array() AS ARRAY<STRING>)"
            " ELSE split(genres, '[|]') END"
        ),
        "release_year": r"CAST(nullif(regexp_extract(title, r'\((\d{4})\)\s*$', 1), '') AS INT)",
    },
    rules={
        "null_movie": missing("movieId"),
        "movie_not_a_number": not_a_number("movieId", "movie_id"),
        "negative_movie": "movie_id < 0",
        "null_title": missing("title"),
        "invalid_utf8": "NOT is_valid_utf8(title) OR NOT is_valid_utf8(genres)",
    },
    deduplicate=deduplicate,
    multiline=True,
)
