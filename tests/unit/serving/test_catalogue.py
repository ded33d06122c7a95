"""Movies by id and title, search, and filters."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from reco_platform.contracts.tables import MOVIES
from reco_platform.serving.catalogue import Catalogue, catalogue, title_key
from reco_platform.serving.errors import AmbiguousTitleError, QuestionError, UnknownMovieError

TITLES = {
    1: "Toy Story (1995)", 2: "Toy Story 2 (1999)", 5: "Matrix, The (1999)", 6: "Matrix Reloaded, The (2003)",
    7: "Hamlet (1990)", 8: "Hamlet (1996)", 9: "Amélie (Fabuleux destin d'Amélie Poulain, Le) (2001)",
    10: "1984 (1956)",
    11: "2 (2000)", 12: "Untitled", 13: "Seven (a.k.a. Se7en) (1995)", 14: "Star Wars: Episode IV - A New Hope (1977)",
}  # fmt: skip
COUNTS = {1: 30, 2: 20, 5: 25, 6: 5, 7: 3, 8: 9, 9: 4, 10: 1, 13: 8, 77: 2}


@pytest.fixture(scope="module")
def movies() -> Catalogue:
    rows = [
        {"movie_id": movie, "title": title, "genres_string": None, "release_year": title_key(title)[1],
         "genres": ["Comedy"] if movie < 5 else ["Sci-Fi", "Action"] if movie < 7 else []}
        for movie, title in reversed(TITLES.items())
    ]  # fmt: skip
    ids = np.array(sorted({*TITLES, *COUNTS}), np.int32)
    counts = np.array([COUNTS.get(movie, 0) for movie in ids.tolist()])
    return catalogue(pa.Table.from_pylist(rows, schema=MOVIES.schema), ids, counts, np.full(len(ids), 3.5))


def ids_of(movies: Catalogue, positions: list[int]) -> list[int]:
    return movies.ids[positions].tolist()


@pytest.mark.parametrize(
    ("named", "movie"),
    [
        (1, 1), ("1", 1), ("Toy Story (1995)", 1), ("toy story", 1), (" TOY  STORY ", 1), ("Toy Story 2", 2),
        ("The Matrix", 5), ("Matrix, The", 5), ("the matrix (1999)", 5), ("matrix", 5),
        ("amelie", 9), ("Hamlet (1996)", 8),
        ("Seven", 13), ("seven (a.k.a. se7en) (1995)", 13), ("1984", 10), ("2", 2), ("untitled", 12),
        (77, 77),
        ("movie 77", 77), (np.int32(5), 5),
    ],
)  # fmt: skip
def test_a_movie_is_found_by_its_id_or_title(movies: Catalogue, named: int | str, movie: int) -> None:
    assert movies.ids[movies.find(named)] == movie


def test_an_ambiguous_title_lists_its_movies_the_most_rated_first(movies: Catalogue) -> None:
    with pytest.raises(AmbiguousTitleError, match="2 movies are called 'hamlet'") as caught:
        movies.find("hamlet")
    assert caught.value.candidates == (8, 7)
    assert caught.value.hint == "Hamlet (1996) [8]; Hamlet (1990) [7]"


@pytest.mark.parametrize(
    ("named", "first"),
    [("Toy Stroy", 1), ("Star Wars", 14), ("matrx", 5), ("Hamlet (1991)", None), ("zzzz", None), (4, None), (-1, None)],
)
def test_an_unknown_movie_is_an_error_that_names_similar_titles(
    movies: Catalogue, named: int | str, first: int | None
) -> None:
    with pytest.raises(UnknownMovieError) as caught:
        movies.find(named)
    assert repr(named) in str(caught.value) or str(named) in str(caught.value)
    assert caught.value.hint
    if first is not None:
        assert caught.value.candidates[0] == first and TITLES[first] in str(caught.value.hint)


def test_search_finds_all_words_or_their_beginnings(movies: Catalogue) -> None:
    assert ids_of(movies, movies.search("toy st", 10)) == [1, 2]
    assert ids_of(movies, movies.search("matrix", 10)) == [5, 6], "behind an article, whole words first"
    assert ids_of(movies, movies.search("matrix reloaded", 10)) == [6]
    assert ids_of(movies, movies.search("hope new", 10)) == [14], "in any order"
    assert ids_of(movies, movies.search("AMELIE", 10)) == [9]
    assert ids_of(movies, movies.search("toy (1999)", 10)) == [2]
    assert movies.search("oy", 10) == [], "not inside a word"
    assert movies.search(" - ", 10) == []
    assert len(movies.search("m", 2)) == 2


def test_titles_are_found_although_they_are_misspelt(movies: Catalogue) -> None:
    assert ids_of(movies, movies.near("hamlt")) == [8, 7]
    assert movies.near("q") == []


def test_filters_keep_movies_with_all_genres_and_within_the_years(movies: Catalogue) -> None:
    def kept(*genres: str, released: tuple[int | None, int | None] | None = None) -> list[int]:
        mask = movies.filter(genres, released)
        assert mask is not None
        return movies.ids[mask].tolist()

    assert movies.filter((), None) is None and movies.filter([], (None, None)) is None
    assert kept("comedy") == [1, 2]
    assert kept("Sci-Fi", "ACTION") == [5, 6]
    assert kept("Comedy", "Sci-Fi") == []
    assert kept(released=(1999, 2001)) == [2, 5, 9, 11]
    assert kept(released=(None, 1977)) == [10, 14], "a movie without a year is in no range"
    assert kept("Sci-Fi", released=(2000, None)) == [6]
    with pytest.raises(QuestionError, match="no movie has the genre 'Comedie'") as caught:
        kept("Comedie")
    assert caught.value.hint == "the genres are: Action, Comedy, Sci-Fi"
    with pytest.raises(QuestionError, match="the first year is after the last"):
        kept(released=(2000, 1990))


def test_a_rated_movie_that_is_not_listed_has_its_id_as_title(movies: Catalogue) -> None:
    at = movies.find(77)
    assert (movies.titles[at], movies.genres[at], movies.counts[at]) == ("movie 77", (), 2)
    assert movies.counts[movies.find(12)] == 0
