"""Scores of one user at a time by a trained model of any kind, and what each rating adds to them.

A user of the training has the factors that training gave. Anybody else is folded in: with the movies fixed, the user's
half-step of the training is solved once (see `ranking.fold_in`), with the weights, values and biases of the training.

The parts of a score follow Hu, Koren and Volinsky 2008 (Collaborative Filtering for Implicit Feedback Datasets, section
5). With the matrix A and the right-hand side sum_j c_j r_j v_j of the user's equations, the score of movie i is

    u'v_i = sum_j c_j r_j v_j' A^-1 v_i + (A u - sum_j c_j r_j v_j)' A^-1 v_i

The first sum has one part for each rating j. The last term is what the solver of the training has left; it is 0 but for
rounding where the equations are solved exactly. In a model of ratings r_j is what the rating differs from the mean and
the levels of user and movie, which are parts of their own. Scores by weights between movies are sums already.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any, NamedTuple, Protocol

import numpy as np
from scipy.optimize import nnls
from threadpoolctl import ThreadpoolController

from reco_platform.core.arrays import BoolArray, Float32Array, Float64Array, Int32Array, Int64Array, IntArray
from reco_platform.models import similarity
from reco_platform.models.als.model import Model, Side
from reco_platform.models.ranking import fold_in, item_weights
from reco_platform.models.ranking.item_weights import ItemWeights, Profiles
from reco_platform.models.ranking.positives import RatingRange, positives_within
from reco_platform.models.topn import exact
from reco_platform.models.topn.exact import Seen


def one_blas_thread() -> AbstractContextManager[object]:
    """Within it BLAS uses one thread: one user's equations are too small for more, and the last bits stay the same."""
    limit: AbstractContextManager[object] = blas().limit(limits=1, user_api="blas")
    return limit


@cache
def blas() -> ThreadpoolController:
    """The libraries with threads of this process; finding them takes a millisecond."""
    return ThreadpoolController()


@dataclass(frozen=True)
class Rated:
    """Ratings of one user for movies of a model.

    Attributes:
        movies: positions in the model, rising, shape (ratings,).
        stars: the ratings.
        moments: when they were given, in microseconds.
    """

    movies: Int32Array
    stars: Float32Array
    moments: Int64Array

    def __len__(self) -> int:
        return len(self.movies)

    def where(self, mask: BoolArray) -> Rated:
        return self if mask.all() else Rated(self.movies[mask], self.stars[mask], self.moments[mask])


@dataclass(frozen=True)
class Taste:
    """What a model knows of one user.

    Attributes:
        movies: positions of the movies whose ratings count, rising, shape (k,).
        stars: their ratings.
        values: what each rating says: how strongly it speaks for its movie, or how it differs from the levels.
        weights: how much it counts.
        vector: the user's factors with all columns, shape (width,); with weights between movies, `values` in float32.
        level: of the user, in the unit of the scores.
    """

    movies: Int32Array
    stars: Float32Array
    values: Float64Array
    weights: Float64Array
    vector: Float32Array
    level: float = 0.0

    @property
    def says_something(self) -> bool:
        """Whether any rating speaks for or against a movie; otherwise all scores of the user are equal."""
        return bool(self.values.any())


@dataclass(frozen=True)
class Parts:
    """The parts of a score; together they are the score.

    Attributes:
        mean: of all ratings; 0 unless the model has levels.
        user_level, movie_level: how far the user's and the movie's ratings are above the mean.
        ratings: what each of the taste's movies adds, shape (k,).
        remainder: what the solver of the training has left.
    """

    mean: float
    user_level: float
    movie_level: float
    ratings: Float64Array
    remainder: float

    @property
    def score(self) -> float:
        return self.mean + self.user_level + self.movie_level + float(self.ratings.sum()) + self.remainder


class Scorer(Protocol):
    """A trained model that scores movies for one user."""

    @property
    def movies(self) -> Int32Array:
        """Ids of the movies of the model, rising."""
        ...

    def trained(self, user_id: int, rated: Rated) -> Taste | None:
        """The taste of a user of the training, from all ratings that the training had of the user; None for others."""
        ...

    def folded_in(self, rated: Rated) -> Taste:
        """The taste of anybody, from ratings of movies of the model."""
        ...

    def best(self, taste: Taste, left_out: Int32Array, n: int) -> tuple[IntArray, Float32Array]:
        """Positions and scores of the n best movies but those left out, whose positions rise; ties by movie_id."""
        ...

    def explainer(self, taste: Taste) -> Callable[[int], Parts]:
        """A function that gives the parts of the score of the movie at a position."""
        ...

    def typical(self, movie: int) -> float:
        """The score of the movie at a position for the average user of the model."""
        ...

    def similar(self, movie: int, counts: Int64Array) -> Float32Array:
        """How similar each movie is to the one at a position; `counts` are the ratings of each. Above 0 is similar."""
        ...


class Terms(NamedTuple):
    """The ratings that count, what each says and how much it counts, and the user's level; see `Taste`."""

    rated: Rated
    values: Float64Array
    weights: Float64Array
    level: float


class FactorScorer:
    """What scorers by factors share. A subclass says what ratings mean.

    Args:
        model: the factors, with two columns of levels at the end if `has_levels`.
        has_levels: whether the model was trained on the residuals of levels (biases).
        reg_param, unobserved_weight, nonnegative: as in training.
    """

    shrink = similarity.IMPLICIT_SHRINK

    def __init__(
        self,
        model: Model,
        *,
        has_levels: bool = False,
        reg_param: float,
        unobserved_weight: float = 0.0,
        nonnegative: bool = False,
    ) -> None:
        self.model, self.has_levels, self.nonnegative = model, has_levels, nonnegative
        rank = model.movies.factors.shape[1] - (2 if has_levels else 0)
        self.factors = np.ascontiguousarray(model.movies.factors[:, :rank])
        self.fixed = fold_in.fixed_movies(self.factors, reg_param=reg_param, unobserved_weight=unobserved_weight)

    @property
    def movies(self) -> Int32Array:
        return self.model.movies.ids

    @property
    def mean(self) -> float:
        return 0.0

    def terms(self, rated: Rated, level: float | None) -> Terms:
        """What ratings say; the user's level is `level` if it is given."""
        raise NotImplementedError

    def trained(self, user_id: int, rated: Rated) -> Taste | None:
        position, known = self.model.users.positions(np.array([user_id], np.int32))
        if not known[0]:
            return None
        vector = self.model.users.factors[position[0]]
        terms = self.terms(rated, float(vector[-2]) - self.mean if self.has_levels else None)
        return Taste(terms.rated.movies, terms.rated.stars, terms.values, terms.weights, vector, terms.level)

    def folded_in(self, rated: Rated) -> Taste:
        terms = self.terms(rated, None)
        found = self._solve(terms) if len(terms.rated) else np.zeros(self.factors.shape[1])
        columns = [self.mean + terms.level, 1.0] if self.has_levels else []
        vector = np.append(found, columns).astype(np.float32)
        return Taste(terms.rated.movies, terms.rated.stars, terms.values, terms.weights, vector, terms.level)

    def _solve(self, terms: Terms) -> Float64Array:
        movies, values, weights = terms.rated.movies, terms.values, terms.weights
        if self.nonnegative:  # the same minimum as a least-squares problem with one more row for each factor
            root = np.sqrt(weights)[:, None]
            ridge = np.sqrt(self.fixed.reg_param * len(movies)) * np.eye(self.factors.shape[1])
            rows = np.vstack([self.factors[movies] * root, ridge])
            solution: Float64Array = nnls(rows, np.append(values * root[:, 0], np.zeros(len(ridge))))[0]
            return solution
        with one_blas_thread():
            matrix, weighted = fold_in.equations(self.fixed, movies, weights)
            return fold_in.solve(matrix, weighted.T @ values)

    def best(self, taste: Taste, left_out: Int32Array, n: int) -> tuple[IntArray, Float32Array]:
        seen = Seen(np.array([0, len(left_out)]), left_out)
        with one_blas_thread():
            found = exact.top_n_of_block(taste.vector[None], self._catalogue, seen, n)
        return np.searchsorted(self.movies, found.movie_ids), found.scores

    @cached_property
    def _catalogue(self) -> exact.Catalogue:
        nothing = Seen(np.zeros(len(self.model.users.ids) + 1, np.int64), np.empty(0, np.int32))
        return exact.fastest_catalogue(self.model, 10, nothing)

    def explainer(self, taste: Taste) -> Callable[[int], Parts]:
        user = taste.vector[: self.factors.shape[1]].astype(np.float64)
        # Factors held at 0 by the constraint take no part in the equations of the others.
        free = user > 0 if self.nonnegative and len(taste.movies) else np.ones(len(user), bool)
        with one_blas_thread():
            matrix, weighted = fold_in.equations(self.fixed, taste.movies, taste.weights)
            matrix, weighted, user = matrix[np.ix_(free, free)], weighted[:, free], user[free]
            left = matrix @ user - weighted.T @ taste.values

        def parts(movie: int) -> Parts:
            level = float(self.model.movies.factors[movie, -1]) if self.has_levels else 0.0
            if not (len(taste.movies) and free.any()):  # the user's factors are 0
                return Parts(self.mean, taste.level, level, np.zeros(len(taste.movies)), 0.0)
            with one_blas_thread():
                toward = fold_in.solve(matrix, self.factors[movie, free].astype(np.float64))
                added, rest = taste.values * (weighted @ toward), float(left @ toward)
            return Parts(self.mean, taste.level, level, added, rest)

        return parts

    def typical(self, movie: int) -> float:
        return float(self._average_user @ self.model.movies.factors[movie])

    @cached_property
    def _average_user(self) -> Float64Array:
        found: Float64Array = self.model.users.factors.mean(axis=0, dtype=np.float64)
        return found

    def similar(self, movie: int, counts: Int64Array) -> Float32Array:
        return similarity.by_factors(self.factors, movie, counts, self.shrink)


class ImplicitScorer(FactorScorer):
    """Scores by a model that was trained on positives.

    Args:
        model: the factors.
        params: positives and what belongs to it, ranking_reg_param, unobserved_weight.
        known: the range of the training ratings.
    """

    def __init__(self, model: Model, params: dict[str, Any], known: RatingRange) -> None:
        super().__init__(model, reg_param=params["ranking_reg_param"], unobserved_weight=params["unobserved_weight"])
        self.params, self.known = params, known

    def terms(self, rated: Rated, level: float | None) -> Terms:
        found = positives_within(self.known, rated.stars, rated.moments, self.params)
        kept = rated.where(found.kept)
        values = np.ones(len(kept)) if found.values is None else found.values.astype(np.float64)
        weights = np.ones(len(kept)) if found.weights is None else found.weights.astype(np.float64)
        return Terms(kept, values, weights, 0.0)


class RatingScorer(FactorScorer):
    """Scores by a model of ratings, in stars.

    Args:
        model: the factors.
        params: biased, bias_damping, reg_param, nonnegative.
        mean: of the training ratings.
    """

    shrink = similarity.EXPLICIT_SHRINK

    def __init__(self, model: Model, params: dict[str, Any], mean: float) -> None:
        super().__init__(
            model, has_levels=params["biased"], reg_param=params["reg_param"], nonnegative=params["nonnegative"]
        )
        self._mean, self._damping = mean if params["biased"] else 0.0, params["bias_damping"]

    @property
    def mean(self) -> float:
        return self._mean

    def terms(self, rated: Rated, level: float | None) -> Terms:
        residuals = rated.stars.astype(np.float64)
        if self.has_levels:
            residuals -= self.mean + self.model.movies.factors[rated.movies, -1]
            if level is None:
                level = float(residuals.sum() / (len(rated) + self._damping)) if len(rated) else 0.0
            residuals -= level
        return Terms(rated, residuals, np.ones(len(rated)), level or 0.0)

    def predict(self, user_id: int, movie_id: int) -> tuple[float | None, bool]:
        """The predicted rating, and whether the model knows both the user and the movie.

        If it does not, the prediction is by the levels that it knows; None if it has no levels.
        """
        user, movie = self._row(self.model.users, user_id), self._row(self.model.movies, movie_id)
        if user is not None and movie is not None:
            return float(np.dot(user.astype(np.float64), movie.astype(np.float64))), True
        if not self.has_levels:
            return None, False
        return (self.mean if user is None else float(user[-2])) + (0.0 if movie is None else float(movie[-1])), False

    @staticmethod
    def _row(side: Side, wanted: int) -> Float32Array | None:
        position, known = side.positions(np.array([wanted], np.int32))
        return side.factors[position[0]] if known[0] else None


class PopularScorer(FactorScorer):
    """Scores by popularity: the level of each movie, the same for everybody.

    Args:
        model: with one factor, which is 1 for every user.
    """

    def __init__(self, model: Model) -> None:
        super().__init__(model, reg_param=0.0)

    def terms(self, rated: Rated, level: float | None) -> Terms:
        return Terms(rated.where(np.zeros(len(rated), bool)), np.zeros(0), np.zeros(0), 0.0)

    def folded_in(self, rated: Rated) -> Taste:
        terms = self.terms(rated, None)
        return Taste(terms.rated.movies, terms.rated.stars, terms.values, terms.weights, np.ones(1, np.float32))

    def explainer(self, taste: Taste) -> Callable[[int], Parts]:
        return lambda movie: Parts(0.0, 0.0, float(self.model.movies.factors[movie, 0]), np.zeros(0), 0.0)

    def similar(self, movie: int, counts: Int64Array) -> Float32Array:
        return np.zeros(len(self.movies), np.float32)  # it knows nothing of likeness


class WeightScorer:
    """Scores by weights between movies.

    Args:
        model: the weights.
        params: positives and what belongs to it.
        known: the range of the training ratings.
        average: the mean strength of each movie of the model in the profiles of users, shape (movies,).
    """

    def __init__(self, model: ItemWeights, params: dict[str, Any], known: RatingRange, average: Float64Array) -> None:
        self.model, self.params, self.known, self.average = model, params, known, average

    @property
    def movies(self) -> Int32Array:
        return self.model.movies.ids

    def trained(self, user_id: int, rated: Rated) -> Taste | None:
        taste = self.folded_in(rated)
        return taste if len(taste.movies) else None

    def folded_in(self, rated: Rated) -> Taste:
        found = positives_within(self.known, rated.stars, rated.moments, self.params)
        kept, strengths = rated.where(found.kept), found.strengths
        return Taste(kept.movies, kept.stars, strengths.astype(np.float64), np.ones(len(kept)), strengths)

    def best(self, taste: Taste, left_out: Int32Array, n: int) -> tuple[IntArray, Float32Array]:
        own = Profiles(np.array([0, len(taste.movies)]), taste.movies, taste.vector)
        seen = Seen(np.array([0, len(left_out)]), left_out)
        found = item_weights.item_lists(self.model, own, seen, n, 1)
        return np.searchsorted(self.movies, found.movie_ids), found.scores

    def explainer(self, taste: Taste) -> Callable[[int], Parts]:
        def parts(movie: int) -> Parts:
            weights = self.model.weights[taste.movies, movie].astype(np.float64)
            return Parts(0.0, 0.0, 0.0, taste.values * weights, 0.0)

        return parts

    def typical(self, movie: int) -> float:
        return float(self.average @ self.model.weights[:, movie])

    def similar(self, movie: int, counts: Int64Array) -> Float32Array:
        return similarity.by_weights(self.model.weights, movie)
