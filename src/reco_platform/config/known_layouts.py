"""Layouts of public data sets by name: each is a bundle of defaults for the config keys of the layout.

A key that is given explicitly replaces the bundle's value. A file that may be absent is named by a pattern: a plain
name must exist, a pattern may match nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

NONE = "none"
"""The value of a key for a file or column that the data do not have."""

_NO_TIMES = {"time_column": NONE, "split": "random"}
_DAT_FILES = {
    "ratings_file": "ratings.dat",
    "items_file": "movies.dat",
    "delimiter": "::",
    "quoting": False,
    "header": False,
}
_POSITIONS = {"user_column": "1", "item_column": "2", "rating_column": "3", "time_column": "4"}
_MOVIE_POSITIONS = {"items_id_column": "1", "title_column": "2", "genres_column": "3"}
_AMAZON = {"rating_scale": "1..5", "id_type": "text", "items_file": NONE}

KNOWN_LAYOUTS: Mapping[str, Mapping[str, Any]] = {
    "movielens": {},
    "ml-100k": {
        "ratings_file": "u.data",
        "items_file": "u.ite[m]",
        "delimiter": "tab",
        "quoting": False,
        "header": False,
        **_POSITIONS,
        "items_delimiter": "|",
        "items_header": False,
        "items_encoding": "latin-1",
        "items_id_column": "1",
        "title_column": "2",
        "genres_column": NONE,
        "rating_scale": "1..5",
    },
    "ml-1m": {**_DAT_FILES, **_POSITIONS, **_MOVIE_POSITIONS, "encoding": "latin-1", "rating_scale": "1..5"},
    "ml-10m": {**_DAT_FILES, **_POSITIONS, **_MOVIE_POSITIONS},
    "amazon-csv": {**_AMAZON, "ratings_file": "*.csv,*.csv.gz", "header": False, **_POSITIONS},
    "amazon-jsonl": {
        **_AMAZON,
        "ratings_file": "[!m]*.json,[!m]*.json.gz,[!m]*.jsonl,[!m]*.jsonl.gz",
        "items_file": "meta_*",
        "file_format": "jsonl",
        "user_column": "reviewerID",
        "item_column": "asin",
        "rating_column": "overall",
        "time_column": "unixReviewTime",
        "items_id_column": "asin",
        "title_column": "title",
        "genres_column": NONE,
    },
    # A rating of 0 means that a book is on a shelf without a rating: such rows are rejected and counted.
    "goodreads": {
        **_NO_TIMES,
        "ratings_file": "goodreads_interactions*.csv",
        "items_file": NONE,
        "user_column": "user_id",
        "item_column": "book_id",
        "rating_column": "rating",
        "rating_scale": "1..5",
        "max_reject_share": 0.9,
    },
    "netflix": {
        "ratings_file": "combined_data_*.txt,training_set/mv_*.txt",
        "items_file": "movie_titles.*",
        "file_format": "netflix",
        "quoting": False,
        "header": False,
        "user_column": "2",
        "item_column": "1",
        "rating_column": "3",
        "time_column": "4",
        "time_unit": "iso8601",
        "items_encoding": "latin-1",
        "items_id_column": "1",
        "title_column": "3",
        "genres_column": NONE,
        "rating_scale": "1..5",
    },
    # A rating of 0 means that a book was read without a rating: such rows are rejected and counted.
    "book-crossing": {
        **_NO_TIMES,
        "ratings_file": "*[Rr]atings.csv",
        "items_file": "*[Bb]ooks.csv",
        "delimiter": ";",
        "encoding": "cp1252",
        "user_column": "User-ID",
        "item_column": "ISBN",
        "rating_column": "Book-Rating",
        "items_id_column": "ISBN",
        "title_column": "Book-Title",
        "genres_column": NONE,
        "rating_scale": "1..10",
        "id_type": "text",
        "max_reject_share": 0.9,
    },
    "lastfm-360k": {
        **_NO_TIMES,
        "ratings_file": "usersha1-artmbid-artname-plays.tsv",
        "items_file": "usersha1-artmbid-artname-plays.tsv",
        "delimiter": "tab",
        "quoting": False,
        "header": False,
        "user_column": "1",
        "item_column": "2",
        "rating_column": "4",
        "items_id_column": "2",
        "title_column": "3",
        "genres_column": NONE,
        "rating_scale": NONE,
        "id_type": "text",
    },
    "steam": {
        **_NO_TIMES,
        "ratings_file": "steam-200k.csv",
        "items_file": NONE,
        "header": False,
        "user_column": "1",
        "item_column": "2",
        "rating_column": NONE,
        "event_column": "3",
        "event_weights": "purchase=1 play=2",
        "id_type": "text",
    },
    "yelp": {
        "ratings_file": "*review.json",
        "items_file": "*business.jso[n]",
        "file_format": "jsonl",
        "user_column": "user_id",
        "item_column": "business_id",
        "rating_column": "stars",
        "time_column": "date",
        "time_unit": "iso8601",
        "items_id_column": "business_id",
        "title_column": "name",
        "genres_column": "categories",
        "genres_delimiter": ", ",
        "rating_scale": "1..5",
        "id_type": "text",
    },
}
"""Values of config keys by the name of the layout."""
