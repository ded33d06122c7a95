"""Questions about users and movies, answered from one version of a lakehouse."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import UTC, datetime
from typing import Literal, TypedDict

import numpy as np

from reco_platform.core.arrays import BoolArray, Float32Array, Int32Array, Int64Array
from reco_platform.core.errors import TableError
from reco_platform.lakehouse.source_ids import UnknownIdError
from reco_platform.models import similarity
from reco_platform.models.scorers import Parts, RatingScorer, Taste
from reco_platform.serving.answers import (
    Explanation,
    ListedMovie,
    ModelCard,
    Movie,
    Movies,
    Prediction,
    Predictions,
    RatedMovie,
    Reason,
    Source,
)
from reco_platform.serving.catalogue import NO_YEAR
from reco_platform.serving.errors import QuestionError, UnknownMovieError, UnknownUserError
from reco_platform.serving.version import ModelPart, ServedVersion

MOST = 1000
"""The longest list."""

MOST_RATINGS = 10_000
"""The most ratings that one question may give."""

MIN_RATINGS = 20
"""Ratings that a movie needs to be in a list that a model of ratings makes from few given ones.

With few ratings the penalty of such a model is small, and movies that two people loved come first. The limit is lower
where fewer than MOST_RATED movies reach it, and no score depends on it.
"""

MOST_RATED = 100

Of = Literal["list", "rating"]
Released = tuple[int | None, int | None]


class _Told(TypedDict):
    """Which given movies the model could use; see `Movies`."""

    used: tuple[int | str, ...]
    unused: tuple[int | str, ...]


class Recommender:
    """Answers questions from one version of a lakehouse. Users and movies are named by id, movies also by title.

    Args:
        version: what to answer from.
    """

    def __init__(self, version: ServedVersion) -> None:
        self._version = version

    # --- lists

    def recommend(
        self,
        user: int | str | None = None,
        n: int = 10,
        *,
        genres: Collection[str] = (),
        released: Released | None = None,
        exclude_seen: bool | None = None,
        why: int = 0,
    ) -> Movies[ListedMovie]:
        """The best movies for a user.

        Without filters the list is that of gold/recommendations_als. Longer and filtered lists are computed from the
        same model, and have the same scores. A user whom the model does not know, and a visitor, get the most popular
        movies; `source` and `note` of the answer say so.

        Args:
            user: user_id; None for a visitor.
            n: length of the list, at most 1,000; shorter if fewer movies are left.
            genres: only movies that have all of these.
            released: only movies released from the first year to the last, both included; None for no limit.
            exclude_seen: whether to leave out what the user has rated; default as in the run that made the lists.
            why: number of reasons to give for each movie.

        Returns:
            Movies with rank and score.

        Raises:
            QuestionError: a filter or number that is not allowed.
            TableError: gold is missing or damaged.
        """
        served = self._version
        check_number("n", n, MOST)
        check_number("why", why, MOST, least=0)
        allowed = served.catalogue.filter(genres, released)
        number = self._user_or_none(user)
        exclude = served.params["exclude_seen"] if exclude_seen is None else exclude_seen
        seen = self._seen(number) if exclude else np.empty(0, np.int32)
        stored = None if number is None else served.stored.of(number)
        if number is None or stored is None:
            return self._popular(n, allowed, seen, note_on_unknown(user, self._has_ratings(number)))
        taste = self._taste(served.lists, number)
        as_stored = allowed is None and n <= served.params["top_n"] and exclude == served.params["exclude_seen"]
        if as_stored:
            positions, scores = served.catalogue.positions(stored[0][:n]), stored[1][:n]
        elif taste is None:
            raise TableError(f"user {user} has a stored list and no factors in the model {served.lists.version}")
        else:
            positions, scores = self._best(served.lists, taste, n, allowed, seen)
        return self._listed(positions, scores, served.lists, taste, why)

    def recommend_for(
        self,
        ratings: Mapping[int | str, float],
        n: int = 10,
        *,
        genres: Collection[str] = (),
        released: Released | None = None,
        exclude_seen: bool = True,
        why: int = 0,
    ) -> Movies[ListedMovie]:
        """The best movies for somebody who is not in the data, from some ratings; nothing is retrained.

        With the movies of the model fixed, the factors of this user are solved as in the training. Ratings count as
        given at the latest moment of the data. If no rating speaks for a movie, the list is that of popular movies.

        Args:
            ratings: stars by movie_id or title, such as `{"Toy Story (1995)": 5, 3114: 4.5}`.
            n, genres, released, why: see `recommend`.
            exclude_seen: whether to leave out the rated movies.

        Returns:
            Movies with rank and score; `used` and `unused` say which ratings the model could use.

        Raises:
            UnknownMovieError, AmbiguousTitleError: a title or id that is not that of one movie.
            QuestionError: a rating or filter that is not allowed, or the same movie twice.
        """
        served = self._version
        check_number("n", n, MOST)
        check_number("why", why, MOST, least=0)
        movies, stars = self._given(ratings)
        allowed = served.catalogue.filter(genres, released)
        taste = self._folded_in(served.lists, movies, stars)
        seen = movies if exclude_seen else movies[:0]
        ids = [served.catalogue.shown(at) for at in movies]
        used = [served.catalogue.shown(at) for at in served.lists.positions[taste.movies]]
        told: _Told = {"used": tuple(used), "unused": tuple(movie for movie in ids if movie not in set(used))}
        if not taste.says_something and served.lists.kind != "popular":
            note = "None of the ratings says what you like, so these are the most popular movies."
            return self._popular(n, allowed, seen, note, **told)
        if served.lists.is_of_ratings:
            allowed = with_enough_ratings(served.catalogue.counts, allowed)
        positions, scores = self._best(served.lists, taste, n, allowed, seen)
        return self._listed(positions, scores, served.lists, taste, why, **told)

    def popular(
        self, n: int = 10, genre: str | None = None, *, released: Released | None = None
    ) -> Movies[ListedMovie]:
        """The most popular movies of late, the list of visitors.

        The score is the number of ratings, where older ones count less; docs/ranking.md says how much less.

        Args:
            n: length of the list, at most 1,000.
            genre: only movies that have it.
            released: see `recommend`.

        Raises:
            QuestionError: a genre that no movie has, or a number that is not allowed.
        """
        check_number("n", n, MOST)
        allowed = self._version.catalogue.filter([] if genre is None else [genre], released)
        return self._popular(n, allowed, np.empty(0, np.int32), "")

    def similar(self, movie: int | str, n: int = 10) -> Movies[ListedMovie]:
        """The movies most similar to one, by the model that makes the lists.

        With factors the score is their cosine, smaller for movies with few ratings; with weights between movies it is
        the weights from and to the movie. docs/asking.md says how this was chosen.

        Args:
            movie: movie_id or title.
            n: length of the list, at most 1,000; shorter if fewer movies are similar. Empty if lists are by popularity.

        Raises:
            UnknownMovieError, AmbiguousTitleError: not the id or title of one movie, or the model does not know it.
            QuestionError: a number that is not allowed.
        """
        served = self._version
        check_number("n", n, MOST)
        at = self._known_movie(served.lists, served.catalogue.find(movie))
        counts = served.catalogue.counts[served.lists.positions]
        scores = served.lists.scorer.similar(at, counts)
        best = similarity.nearest(scores, n, np.array([at]))
        return self._listed(
            served.lists.positions[best], scores[best], served.lists, None, 0, means="how similar: higher is more"
        )

    # --- one user, one movie

    def explain(self, user: int | str, movie: int | str, *, of: Of = "list") -> Explanation:
        """Why a movie has its score for a user: parts that add up to the score.

        Args:
            user: user_id.
            movie: movie_id or title; it may be one that the user has rated.
            of: `list` for the score of the model that makes the lists, `rating` for the predicted rating.

        Raises:
            UnknownUserError: the model does not know the user.
            UnknownMovieError, AmbiguousTitleError: not the id or title of one movie, or the model does not know it.
            QuestionError: there is no model of ratings.
        """
        part = self._part(of)
        at = self._version.catalogue.find(movie)
        taste = self._taste(part, self._user(user))
        if taste is None:
            raise UnknownUserError(
                f"the model does not know user {user}", "users whom it does not know get the most popular movies"
            )
        return self._explained(part, taste, at)

    def explain_for(self, ratings: Mapping[int | str, float], movie: int | str, *, of: Of = "list") -> Explanation:
        """As `explain`, for somebody who is not in the data; see `recommend_for`.

        Args:
            ratings: stars by movie_id or title.
            movie, of: see `explain`.

        Raises:
            UnknownMovieError, AmbiguousTitleError: not the id or title of one movie, or the model does not know it.
            QuestionError: a rating that is not allowed, or there is no model of ratings.
        """
        part = self._part(of)
        at = self._version.catalogue.find(movie)
        return self._explained(part, self._folded_in(part, *self._given(ratings)), at)

    def predict(self, pairs: Iterable[tuple[int | str, int | str]]) -> Predictions:
        """Predicted ratings, by the model of ratings that the evaluation measures.

        Args:
            pairs: user_id, and movie_id or title.

        Raises:
            UnknownMovieError, AmbiguousTitleError: not the id or title of one movie.
            QuestionError: there is no model of ratings.
        """
        part, catalogue = self._part("rating"), self._version.catalogue
        scorer = part.scorer
        assert isinstance(scorer, RatingScorer)  # noqa: S101  # for mypy: of "rating"
        found = []
        for named, movie in pairs:
            user, at = self._user(named), catalogue.find(movie)
            stars, knows_both = scorer.predict(user, int(catalogue.ids[at]))
            basis: Literal["model", "levels"] = "model" if knows_both else "levels"
            shown = self._version.users.shown(user), catalogue.shown(at)
            found.append(Prediction(*shown, stars, "nothing" if stars is None else basis))
        return Predictions(tuple(found), part.version)

    def history(self, user: int | str, n: int | None = None) -> Movies[RatedMovie]:
        """What a user has rated, the latest first.

        Args:
            user: user_id.
            n: at most so many; None for all.

        Raises:
            UnknownUserError: the user has rated nothing.
            QuestionError: a number that is not allowed.
        """
        if n is not None:
            check_number("n", n, MOST)
        served = self._version
        rows = served.ratings.of(self._user(user))
        if rows is None:
            first, last = (served.users.shown(int(served.ratings.users[at])) for at in (0, -1))
            raise UnknownUserError(
                f"user {user} has rated nothing", f"{len(served.ratings.users):,} users have ids from {first} to {last}"
            )
        moments = served.ratings.moments[rows]
        order = np.argsort(-moments, kind="stable")[:n]
        found = [
            RatedMovie(**vars(self._movie(int(at))), rating=float(stars), rated_at=moment(int(when)))
            for at, stars, when in zip(
                served.ratings.movies[rows][order], served.ratings.stars[rows][order], moments[order], strict=True
            )
        ]
        return Movies(tuple(found), self._version.lists.version)

    def item(self, movie: int | str) -> Movie:
        """A movie: title, year, genres, number of ratings and their mean.

        Args:
            movie: movie_id or title.

        Raises:
            UnknownMovieError, AmbiguousTitleError: not the id or title of one movie.
        """
        return self._movie(self._version.catalogue.find(movie))

    def search(self, text: str, n: int = 20) -> Movies[Movie]:
        """Movies whose titles have all words of a text, or words that begin with them; or titles spelt like it.

        Args:
            text: such as `toy st`; a year in brackets limits the search to it.
            n: at most so many, up to 1,000.

        Raises:
            QuestionError: a number that is not allowed.
        """
        check_number("n", n, MOST)
        found, note = self._version.catalogue.search(text, n), ""
        if not found:
            found = self._version.catalogue.near(text)[:n]
            note = f"No title has all words of {text!r}; these are spelt like it." if found else ""
        return Movies(tuple(self._movie(at) for at in found), self._version.lists.version, note=note)

    # --- the model

    def model(self) -> ModelCard:
        """What answers, how good it is, on which data, and how fresh it is."""
        served = self._version
        facts, params = served.lists.receipt.facts, served.lists.receipt.made_from["params"]
        evaluation = served.metrics.get("evaluation", {})
        return ModelCard(
            model_version=served.lists.version,
            kind=served.lists.kind,
            hyperparameters=dict(params),
            users=facts["users"],
            movies=facts["movies"],
            ratings=facts["ratings"],
            rating_model_version="" if served.predicts is None else served.predicts.version,
            dataset=served.dataset,
            data_fingerprint=served.receipts["interactions"].fingerprint,
            latest_rating=moment(int(served.ratings.moments.max())),
            lists_made_at=served.made_at,
            metrics=evaluation.get("systems", {}),
            evaluated=evaluation.get("ranking_system", ""),
        )

    # --- parts of answers

    def _part(self, of: Of) -> ModelPart:
        if of not in {"list", "rating"}:
            raise QuestionError(f"of={of!r} is not allowed", "of='list' or of='rating'")
        part = self._version.lists if of == "list" else self._version.predicts
        if part is None:
            raise QuestionError("there is no model of ratings of the present data", "explain(..., of='list')")
        return part

    def _user(self, user: int | str) -> int:
        """The user_id in the tables of a user as named in a question.

        Raises:
            UnknownUserError: it is not one that the data have, or can have.
        """
        try:
            return self._version.users.number(user)
        except UnknownIdError as error:
            raise UnknownUserError(error.message, error.hint) from error

    def _user_or_none(self, user: int | str | None) -> int | None:
        """As `_user`; None for a visitor, and for a text that no user of the data has as id."""
        try:
            return None if user is None else self._user(user)
        except UnknownUserError:
            if self._version.users.texts is None:
                raise
            return None

    def _has_ratings(self, user: int | None) -> bool:
        return user is not None and self._version.ratings.of(user) is not None

    def _seen(self, user: int | None) -> Int32Array:
        """Positions of the movies that the lists of a user leave out, rising."""
        ratings = self._version.ratings
        rows = None if user is None else ratings.of(user)
        if rows is None:
            return np.empty(0, np.int32)
        return ratings.movies[rows][ratings.in_folds(self._version.lists.folds, rows)]

    def _taste(self, part: ModelPart, user: int) -> Taste | None:
        """What a model knows of a user of its training; None for others."""
        ratings = self._version.ratings
        rows = ratings.of(user)
        if rows is None:
            return None
        own = ratings.in_folds(part.folds, rows)
        rated = part.rated(ratings.movies[rows][own], ratings.stars[rows][own], ratings.moments[rows][own])
        return part.scorer.trained(user, rated)

    def _given(self, ratings: Mapping[int | str, float]) -> tuple[Int32Array, Float32Array]:
        """Positions of the rated movies, rising, and their stars."""
        if not ratings:
            raise QuestionError("no ratings are given", 'recommend_for({"Toy Story (1995)": 5})')
        if len(ratings) > MOST_RATINGS:
            raise QuestionError(f"{len(ratings):,} ratings are given", f"give at most {MOST_RATINGS:,}")
        scale = self._version.scale
        found: dict[int, float] = {}
        for movie, stars in ratings.items():
            if not (scale.least <= stars <= scale.greatest and np.isfinite(stars)):
                raise QuestionError(f"the rating {stars} of {movie!r} is not allowed", f"the scale is {scale}")
            at = self._version.catalogue.find(movie)
            if at in found:
                raise QuestionError(f"{self._version.catalogue.titles[at]} is rated twice", "rate it once")
            found[at] = float(stars)
        movies = np.array(sorted(found), np.int32)
        return movies, np.array([found[at] for at in movies.tolist()], np.float32)

    def _folded_in(self, part: ModelPart, movies: Int32Array, stars: Float32Array) -> Taste:
        latest = np.full(len(movies), self._version.ratings.moments.max())
        return part.scorer.folded_in(part.rated(movies, stars, latest))

    def _known_movie(self, part: ModelPart, at: int) -> int:
        """The position in a model of a movie of the catalogue.

        Raises:
            UnknownMovieError: the model does not know it.
        """
        position, known = part.model_positions(np.array([at], np.int32))
        if not known[0]:
            title = self._version.catalogue.titles[at]
            raise UnknownMovieError(
                f"the model does not know {title}: too few ratings of it were in its training",
                "ask about another movie",
            )
        return int(position[0])

    def _best(
        self, part: ModelPart, taste: Taste, n: int, allowed: BoolArray | None, seen: Int32Array
    ) -> tuple[Int32Array, Float32Array]:
        """Positions in the catalogue and scores of the best movies."""
        at, known = part.model_positions(seen)
        left_out = at[known]
        if allowed is not None:
            barred = ~allowed[part.positions]
            barred[left_out] = True
            left_out = np.flatnonzero(barred).astype(np.int32)
        best, scores = part.scorer.best(taste, left_out, n)
        return part.positions[best], scores

    def _popular(
        self,
        n: int,
        allowed: BoolArray | None,
        seen: Int32Array,
        note: str,
        *,
        used: tuple[int | str, ...] = (),
        unused: tuple[int | str, ...] = (),
    ) -> Movies[ListedMovie]:
        positions, counts = self._version.popular
        kept = ~np.isin(positions, seen)
        if allowed is not None:
            kept &= allowed[positions]
        movies = self._records(positions[kept][:n], counts[kept][:n].astype(np.float32))
        means = f"its ratings, where one counts half after {self._version.popular_half_life:,} days"
        return Movies(movies, self._version.lists.version, "popular", means, note, used, unused)

    def _listed(
        self,
        positions: Int32Array,
        scores: Float32Array,
        part: ModelPart,
        taste: Taste | None,
        why: int,
        *,
        used: tuple[int | str, ...] = (),
        unused: tuple[int | str, ...] = (),
        means: str = "",
    ) -> Movies[ListedMovie]:
        reasons = None
        if why and taste is not None:
            explain = part.scorer.explainer(taste)
            at, _ = part.model_positions(positions)
            reasons = [self._reasons(part, taste, explain(int(movie)))[:why] for movie in at]
        movies = self._records(positions, scores, reasons)
        source: Source = "popular" if part.kind == "popular" else "model"
        return Movies(movies, part.version, source, means or part.score_means, used=used, unused=unused)

    def _records(
        self, positions: Int32Array, scores: Float32Array, reasons: list[tuple[Reason, ...]] | None = None
    ) -> tuple[ListedMovie, ...]:
        given = reasons or [()] * len(positions)
        return tuple(
            ListedMovie(**vars(self._movie(int(at))), rank=rank, score=float(score), why=why)
            for rank, (at, score, why) in enumerate(zip(positions, scores, given, strict=True), 1)
        )

    def _movie(self, at: int) -> Movie:
        own = self._version.catalogue
        year, stars = int(own.years[at]), float(own.stars[at])
        return Movie(
            own.shown(at), own.titles[at], None if year == NO_YEAR else year, own.genres[at],
            int(own.counts[at]), None if np.isnan(stars) else round(stars, 3),
        )  # fmt: skip

    def _explained(self, part: ModelPart, taste: Taste, at: int) -> Explanation:
        position = self._known_movie(part, at)
        parts = part.scorer.explainer(taste)(position)
        reasons = self._reasons(part, taste, parts)
        return Explanation(
            self._movie(at), parts.score, part.version, part.score_means, parts.mean, parts.user_level,
            parts.movie_level, reasons, parts.remainder, part.scorer.typical(position),
        )  # fmt: skip

    def _reasons(self, part: ModelPart, taste: Taste, parts: Parts) -> tuple[Reason, ...]:
        """What each rating adds to a score, the largest part first."""
        order = np.lexsort([taste.movies, -np.abs(parts.ratings)])
        found = []
        for k in order:
            position = int(part.positions[taste.movies[k]])
            title = self._version.catalogue.titles[position]
            words = part.words(title, float(taste.stars[k]), float(taste.values[k]))
            movie_id = self._version.catalogue.shown(position)
            found.append(Reason(movie_id, title, float(taste.stars[k]), float(parts.ratings[k]), words))
        return tuple(found)


def check_number(name: str, value: int, most: int, least: int = 1) -> None:
    """Raises QuestionError unless a number is allowed."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or not least <= value <= most:
        raise QuestionError(f"{name}={value!r} is not allowed", f"a whole number from {least} to {most:,}")


def note_on_unknown(user: int | str | None, has_ratings: bool) -> str:
    if user is None:
        return "These are the most popular movies, for a visitor."
    known = "has no rating that the model uses" if has_ratings else "is not in the data"
    return f"User {user} {known}, so these are the most popular movies."


def with_enough_ratings(counts: Int64Array, allowed: BoolArray | None) -> BoolArray:
    """The allowed movies with MIN_RATINGS ratings, or as many as the MOST_RATED most rated ones have."""
    most = np.sort(counts)[::-1]
    limit = min(MIN_RATINGS, int(most[min(MOST_RATED, len(most)) - 1]))
    enough = counts >= max(limit, 1)
    found: BoolArray = enough if allowed is None else enough & allowed
    return found


def moment(microseconds: int) -> datetime:
    return datetime.fromtimestamp(microseconds / 1e6, UTC)
