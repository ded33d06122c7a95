"""The movies: titles, genres, years, counts; search by words, and movies named by id or title."""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np
import pyarrow as pa

from reco_platform.core.arrays import BoolArray, Float64Array, Int32Array, Int64Array, IntArray
from reco_platform.lakehouse.source_ids import NUMBERS, SourceIds, UnknownIdError
from reco_platform.serving.errors import AmbiguousTitleError, QuestionError, UnknownMovieError

NO_YEAR = -1
MOST_CANDIDATES = 10
NEAR = 60
"""Titles that are compared letter by letter with a misspelt one: those that share most pairs of letters with it."""

YEAR = re.compile(r"\s*\((\d{4})\)\s*$")
ARTICLES = "the|a|an|der|die|das|le|la|les|el|il"
ARTICLE_BEHIND = re.compile(rf"^(.*), ({ARTICLES})$")
ARTICLE_BEFORE = re.compile(rf"^({ARTICLES}) (?=\w)")


@dataclass(frozen=True)
class Catalogue:
    """Movies by rising id; a position in these arrays stands for a movie.

    Attributes:
        ids: of all movies that are listed or rated, shape (movies,).
        titles: as in the source; `movie 7` for a rated movie that is not listed.
        years: of release, NO_YEAR where unknown.
        genres: of each movie.
        counts: ratings that the served model knows, of each movie.
        stars: the mean of all ratings of each movie; NaN without ratings.
        source: the ids as the source writes them; questions and answers have these.
    """

    ids: Int32Array
    titles: Sequence[str]
    years: Int32Array
    genres: Sequence[tuple[str, ...]]
    counts: Int64Array
    stars: Float64Array
    source: SourceIds = NUMBERS.movies

    def __len__(self) -> int:
        return len(self.ids)

    def positions(self, ids: IntArray) -> Int32Array:
        """The position of each id, which the catalogue must have."""
        return np.searchsorted(self.ids, ids).astype(np.int32)

    # --- filters

    def filter(self, genres: Collection[str], released: tuple[int | None, int | None] | None) -> BoolArray | None:
        """Which movies have all of these genres and were released in these years, both included; None for any movie.

        Raises:
            QuestionError: for a genre that no movie has, or years in the wrong order.
        """
        if isinstance(genres, str):
            genres = (genres,)
        first, last = released or (None, None)
        if first is not None and last is not None and first > last:
            raise QuestionError(f"released=({first}, {last}): the first year is after the last", "swap them")
        if not genres and first is None and last is None:
            return None
        kept = np.ones(len(self), bool)
        for genre in genres:
            kept &= self._by_genre[self.genre(genre)]
        if first is not None:
            kept &= self.years >= first
        if last is not None:
            kept &= (self.years <= last) & (self.years != NO_YEAR)
        return kept

    def genre(self, name: str) -> str:
        """A genre as the data write it.

        Raises:
            QuestionError: if no movie has it.
        """
        found = {known.casefold(): known for known in self._by_genre}.get(name.casefold())
        if found is None:
            raise QuestionError(f"no movie has the genre {name!r}", f"the genres are: {', '.join(self.genre_names)}")
        return found

    @property
    def genre_names(self) -> list[str]:
        """All genres, sorted."""
        return sorted(self._by_genre)

    @cached_property
    def _by_genre(self) -> dict[str, BoolArray]:
        found: dict[str, BoolArray] = {}
        for position, own in enumerate(self.genres):
            for genre in own:
                found.setdefault(genre, np.zeros(len(self), bool))[position] = True
        return found

    # --- names

    def find(self, movie: int | str) -> int:
        """The position of a movie named by id or title.

        A title may leave out the year, what is in brackets and the article; case and accents do not matter.
        Digits are an id if a movie has it, otherwise a title.

        Raises:
            UnknownMovieError: no movie has this id or title; similar titles are named.
            AmbiguousTitleError: several have it.
        """
        wanted = str(movie).strip()
        position = self._with_id(wanted)
        if position is not None:
            return position
        if not isinstance(movie, str):
            raise UnknownMovieError(f"there is no movie with the id {movie}", "search by title for its id")
        key, year = title_key(wanted)
        found = [at for at in self._by_key.get(key, ()) if year is None or self.years[at] == year]
        if len(found) > 1:
            # A title that is the whole of one movie's and a part of others' means the first.
            whole = [at for at in found if title_key(self.titles[at])[0] == key]
            found = whole if len(whole) == 1 else found
        if len(found) == 1:
            return found[0]
        if found:
            listed = self._most_rated_first(found)[:MOST_CANDIDATES]
            raise AmbiguousTitleError(
                f"{len(found)} movies are called {movie!r}", self._named(listed), [self.shown(at) for at in listed]
            )
        near = (self.search(wanted, MOST_CANDIDATES) or self.near(wanted))[:5]
        raise UnknownMovieError(
            f"no movie is called {movie!r}",
            f"did you mean: {self._named(near)}" if near else "search for a word of its title",
            [self.shown(at) for at in near],
        )

    def _with_id(self, text: str) -> int | None:
        """The position of the movie with an id as the source writes it; None if there is none."""
        try:
            number = self.source.number(text)
        except UnknownIdError:
            return None
        position = int(np.searchsorted(self.ids, number))
        return position if position < len(self) and self.ids[position] == number else None

    def shown(self, position: int) -> int | str:
        """The id of the movie at a position, as the source writes it."""
        return self.source.shown(int(self.ids[position]))

    def _named(self, positions: Sequence[int]) -> str:
        """Titles and ids for a message."""
        return "; ".join(f"{self.titles[at]} [{self.shown(at)}]" for at in positions)

    def _most_rated_first(self, positions: Sequence[int]) -> list[int]:
        return sorted(positions, key=lambda at: (-self.counts[at], at))

    def search(self, text: str, n: int) -> list[int]:
        """Positions of the movies whose titles have every word of a text, or a word that begins with it.

        Titles that begin with the text come first, then those with whole words only, then the most rated.
        """
        key, year = title_key(text)
        words = [f" {word}" for word in key.split()]
        if not words:
            return []
        found = [
            at for at, title in enumerate(self._searchable)
            if all(word in title for word in words) and (year is None or self.years[at] == year)
        ]  # fmt: skip

        def order(at: int) -> tuple[bool, bool, int, int]:
            title = f"{self._searchable[at]} "
            begins = ARTICLE_BEFORE.sub("", title[1:]).startswith(ARTICLE_BEFORE.sub("", key))
            return not begins, not all(f"{word} " in title for word in words), -self.counts[at], at

        return sorted(found, key=order)[:n]

    def near(self, text: str) -> list[int]:
        """Positions of the movies whose titles are spelt like a text, the most alike first."""
        key = title_key(text)[0]
        pairs = letter_pairs(key)
        shared = np.array(
            [len(pairs & own) / max(len(pairs | own), 1) for own in map(letter_pairs, self._by_key)], dtype=np.float32
        )
        keys = list(self._by_key)
        likely = [keys[at] for at in np.argsort(-shared, kind="stable")[:NEAR]]
        close = difflib.get_close_matches(key, likely, n=5, cutoff=0.6)
        return list(dict.fromkeys(at for own in close for at in self._most_rated_first(self._by_key[own])))

    @cached_property
    def _searchable(self) -> list[str]:
        """Each title, without its year, as words behind a space each."""
        return [f" {title_key(title)[0]}" for title in self.titles]

    @cached_property
    def _by_key(self) -> dict[str, list[int]]:
        """Positions by title, by the part of the title before a bracket, and by both without their article."""
        found: dict[str, list[int]] = {}
        for at, title in enumerate(self.titles):
            keys = {title_key(title)[0], title_key(title.partition(" (")[0])[0]}
            for key in keys | {ARTICLE_BEFORE.sub("", key) for key in keys}:
                found.setdefault(key, []).append(at)
        return found


def letter_pairs(text: str) -> set[tuple[str, str]]:
    return set(pairwise(text))


def title_key(title: str) -> tuple[str, int | None]:
    """A title as it is compared, and the year at its end: `Matrix, The (1999)` becomes `the matrix`, 1999."""
    year = YEAR.search(title)
    name = YEAR.sub("", title).strip().casefold()
    name = ARTICLE_BEHIND.sub(r"\2 \1", name)
    plain = "".join(letter for letter in unicodedata.normalize("NFKD", name) if not unicodedata.combining(letter))
    return " ".join(re.findall(r"\w+", plain.replace("'", ""))), int(year[1]) if year else None


def catalogue(
    listed: pa.Table,
    ids: Int32Array,
    counts: Int64Array,
    stars: Float64Array,
    *,
    source: SourceIds = NUMBERS.movies,
) -> Catalogue:
    """The movies of a table and those that are rated.

    Args:
        listed: movie_id, title, genres, release_year.
        ids: of the listed and the rated movies, rising.
        counts: ratings of each that the served model knows.
        stars: mean rating of each; NaN without ratings.
        source: the ids as the source writes them.
    """
    titles = [f"movie {source.shown(movie)}" for movie in ids.tolist()]
    genres: list[tuple[str, ...]] = [()] * len(ids)
    years = np.full(len(ids), NO_YEAR, np.int32)
    at = np.searchsorted(ids, listed["movie_id"].to_numpy())
    years[at] = listed["release_year"].fill_null(NO_YEAR).to_numpy()
    rows = zip(at.tolist(), listed["title"].to_pylist(), listed["genres"].to_pylist(), strict=True)
    for position, title, own in rows:
        titles[position], genres[position] = title, tuple(own or ())
    return Catalogue(ids, titles, years, genres, counts, stars, source)
