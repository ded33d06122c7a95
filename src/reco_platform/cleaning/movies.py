"""How movies are cleaned."""

from __future__ import annotations

import re

import numpy as np
import pyarrow as pa

from reco_platform.cleaning.rules import (
    INT_BOUNDS,
    ROW,
    Cleaning,
    Marked,
    blank,
    identifier,
    not_utf8,
    valid_text,
    whole_numbers,
)
from reco_platform.contracts.tables import MOVIES

RELEASE_YEAR = re.compile(r"\(([0-9]{4})\)[ \t\n\r\f\v]*\Z")
NO_GENRES = ("", "(no genres listed)")


def mark(text: pa.RecordBatch) -> Marked:
    movies = whole_numbers(text["movieId"], INT_BOUNDS)
    title, genres = text["title"], text["genres"]
    broken = {
        **identifier("movie", movies),
        "null_title": blank(title),
        "invalid_utf8": not_utf8(title) | not_utf8(genres),
    }
    columns = {
        "movie_id": pa.array(movies.values.astype(np.int32)),
        "title": title,
        "genres_string": genres,
        "genres": pa.array(map(split, valid_text(genres).to_pylist()), pa.list_(pa.string())),
        "release_year": pa.array(map(release_year, valid_text(title).to_pylist()), pa.int32()),
    }
    return Marked(columns, broken)


def split(genres: str | None) -> list[str]:
    return [] if genres is None or genres.strip(" ") in NO_GENRES else genres.split("|")


def release_year(title: str | None) -> int | None:
    """The year in brackets at a title's end."""
    found = RELEASE_YEAR.search(title or "")
    return int(found[1]) if found else None


# Of the rows of one movie the first in the file stays.
CLEANING = Cleaning(contract=MOVIES, source=("movieId", "title", "genres"), mark=mark, keep=((ROW, "ascending"),))
