"""Cleaning rules of movies."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable

import numpy as np
import pyarrow as pa

from reco_platform.cleaning.rules import (
    INT32_RANGE,
    CleaningRules,
    RuleResults,
    identifier_rules,
    is_blank,
    parse_integers,
    replace_invalid_utf8,
)
from reco_platform.contracts.tables import MOVIES
from reco_platform.datasets.csv_reader import ROW
from reco_platform.datasets.text_columns import is_invalid_utf8

RELEASE_YEAR = re.compile(r"\(([0-9]{4})\)[ \t\n\r\f\v]*\Z")
NO_GENRES = "(no genres listed)"


def apply_rules(records: pa.RecordBatch) -> RuleResults:
    movies = parse_integers(records["movieId"], INT32_RANGE)
    title, genres = records["title"], records["genres"]
    violations = {
        **identifier_rules("movie", movies),
        "null_title": is_blank(title),
        "invalid_utf8": is_invalid_utf8(title) | is_invalid_utf8(genres),
    }
    columns = {
        "movie_id": pa.array(movies.values.astype(np.int32)),
        "title": title,
        "genres_string": genres,
        "genres": pa.array(map(split_genres, replace_invalid_utf8(genres).to_pylist()), pa.list_(pa.string())),
        "release_year": pa.array(map(release_year, replace_invalid_utf8(title).to_pylist()), pa.int32()),
    }
    return RuleResults(columns, violations)


def split_genres(genres: str | None) -> list[str]:
    """The genres of a movie, each once, in the order of the file, without the blanks around and repeated within."""
    names = (" ".join(name.split()) for name in (genres or "").split("|"))
    return [name for name in dict.fromkeys(names) if name and name != NO_GENRES]


def genre_spellings(genres: Iterable[pa.Array]) -> dict[str, dict[str, int]]:
    """Genres that are written in several ways, which differ only in upper and lower case, as `Drama` and `drama`.

    Args:
        genres: parts of the table's column, lists of names.

    Returns:
        By the name in lower case: movies by spelling, the most frequent first.
    """
    counts = Counter(name for part in genres for name in part.flatten().to_pylist())
    spellings: dict[str, dict[str, int]] = defaultdict(dict)
    for name, movies in sorted(counts.items(), key=lambda item: (-item[1], item[0])):
        spellings[name.casefold()][name] = movies
    return {name: spellings[name] for name in sorted(spellings) if len(spellings[name]) > 1}


def release_year(title: str | None) -> int | None:
    """The year in brackets at the end of a title; None if there is none."""
    found = RELEASE_YEAR.search(title or "")
    return int(found[1]) if found else None


# Of the rows of one movie the first in the file is kept.
CLEANING = CleaningRules(
    contract=MOVIES,
    source_columns=("movieId", "title", "genres"),
    apply=apply_rules,
    keep_first=((ROW, "ascending"),),
)
