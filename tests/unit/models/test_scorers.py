"""Scores of one user: fold-in against training, and parts of scores against equations that are solved the long way."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from reco_platform.evaluation.dataset import RatingArrays, rating_arrays
from reco_platform.models.als.model import Model, Side
from reco_platform.models.ranking.positives import positives, positives_within, rating_range
from reco_platform.models.scorers import FactorScorer, Rated, RatingScorer, Scorer, Taste
from support.served import KINDS, Kind, params_of, ratings_table, scorer

NO_MOVIES = np.empty(0, np.int32)


def rated_by(own: Scorer, rows: RatingArrays, user: int) -> Rated:
    mine = (rows.users == user) & np.isin(rows.movies, own.movies)
    return Rated(
        np.searchsorted(own.movies, rows.movies[mine]).astype(np.int32), rows.ratings[mine], rows.moments[mine]
    )


def score(own: Scorer, taste: Taste, movie: int) -> float:
    """A score from the model's arrays alone."""
    if isinstance(own, FactorScorer):
        return float(taste.vector.astype(np.float64) @ own.model.movies.factors[movie].astype(np.float64))
    weights = own.model.weights  # type: ignore[attr-defined]
    return sum(float(weights[j, movie]) * value for j, value in zip(taste.movies, taste.values, strict=True))


@pytest.mark.parametrize("kind", KINDS)
def test_somebody_with_the_ratings_of_a_user_of_the_training_is_folded_in_to_the_same_scores(kind: Kind) -> None:
    rows = ratings_table()
    own, arrays = scorer(kind, rows, params_of(kind)), rating_arrays(rows)
    for user in np.unique(arrays.users).tolist():
        rated = rated_by(own, arrays, user)
        trained, folded = own.trained(user, rated), own.folded_in(rated)
        assert trained is not None
        np.testing.assert_allclose(folded.vector, trained.vector, rtol=2e-3, atol=2e-4)
        for movie in range(len(own.movies)):
            assert score(own, folded, movie) == pytest.approx(score(own, trained, movie), abs=1e-3)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("solver", ["cholesky", "cg"])
def test_parts_add_up_to_the_score(kind: Kind, solver: str) -> None:
    rows = ratings_table(1)
    own, arrays = scorer(kind, rows, params_of(kind, solver=solver)), rating_arrays(rows)
    for user in np.unique(arrays.users)[::5].tolist():
        rated = rated_by(own, arrays, user)
        for taste in (own.trained(user, rated), own.folded_in(rated.where(np.arange(len(rated)) < 3))):
            assert taste is not None
            explain = own.explainer(taste)
            for movie in range(len(own.movies)):
                parts = explain(movie)
                assert len(parts.ratings) == len(taste.movies)
                assert parts.score == pytest.approx(score(own, taste, movie), abs=1e-5)
                assert abs(parts.remainder) < 0.05
        assert abs(own.explainer(own.folded_in(rated))(0).remainder) < 1e-5, "solved exactly"


@pytest.mark.parametrize("kind", ["implicit", "explicit", "plain"])
def test_a_rating_adds_what_is_lost_if_it_says_nothing_with_the_same_weight(kind: Kind) -> None:
    """The normal equations over all movies, without and with the value of each rating."""
    rows = ratings_table(2)
    own, arrays = scorer(kind, rows, params_of(kind)), rating_arrays(rows)
    assert isinstance(own, FactorScorer)
    taste = own.folded_in(rated_by(own, arrays, 30))
    factors = own.factors.astype(np.float64)
    unobserved = 0.4 if kind == "implicit" else 0.0
    weight, value = np.zeros(len(factors)), np.zeros(len(factors))
    weight[taste.movies], value[taste.movies] = taste.weights, taste.values
    penalty = own.fixed.reg_param * (len(taste.movies) + unobserved * len(factors))
    matrix = factors.T @ np.diag(weight + unobserved) @ factors + penalty * np.eye(4)
    movie = 11
    whole = np.linalg.solve(matrix, factors.T @ (weight * value)) @ factors[movie]
    added = own.explainer(taste)(movie).ratings
    assert np.abs(added).max() > 0
    for at, rated in enumerate(taste.movies):
        silent = value.copy()
        silent[rated] = 0
        without = np.linalg.solve(matrix, factors.T @ (weight * silent)) @ factors[movie]
        assert added[at] == pytest.approx(whole - without, abs=1e-6)


def test_levels_of_a_folded_in_user_are_those_of_the_formula() -> None:
    rows = ratings_table(3)
    own, arrays = scorer("explicit", rows, params_of("explicit")), rating_arrays(rows)
    rated = rated_by(own, arrays, 50)
    taste = own.folded_in(rated)
    assert isinstance(own, RatingScorer)
    mean, movie_levels = float(arrays.ratings.mean()), own.model.movies.factors[rated.movies, -1]
    assert taste.level == pytest.approx(sum(rated.stars - mean - movie_levels) / (len(rated) + 5.0), abs=1e-5)
    parts = own.explainer(taste)(3)
    assert (parts.mean, parts.user_level) == (pytest.approx(mean), taste.level)
    assert parts.movie_level == pytest.approx(float(own.model.movies.factors[3, -1]))


def test_without_ratings_a_score_is_that_of_the_levels() -> None:
    for kind in KINDS:
        own = scorer(kind, ratings_table(), params_of(kind))
        taste = own.folded_in(Rated(NO_MOVIES, np.empty(0, np.float32), np.empty(0, np.int64)))
        assert not taste.says_something
        assert own.explainer(taste)(2).score == pytest.approx(score(own, taste, 2), abs=1e-6)


@pytest.mark.parametrize("seed", range(5))
def test_nonnegative_factors_are_the_best_of_all_sets_of_free_factors(seed: int) -> None:
    rng = np.random.default_rng(seed)
    factors = rng.standard_normal((12, 3)).astype(np.float32)
    model = Model(
        Side(np.array([1], np.int32), np.ones((1, 3), np.float32)), Side(np.arange(12, dtype=np.int32), factors)
    )
    params = {"biased": False, "bias_damping": 5.0, "reg_param": 0.1, "nonnegative": True}
    own = RatingScorer(model, params, 3.0)
    stars = rng.integers(1, 6, 5).astype(np.float32)
    taste = own.folded_in(Rated(np.arange(5, dtype=np.int32), stars, np.zeros(5, np.int64)))
    rated = factors[:5].astype(np.float64)
    best = np.inf
    for count in range(4):
        for free in combinations(range(3), count):
            x = np.zeros(3)
            chosen = list(free)
            matrix = rated[:, chosen].T @ rated[:, chosen] + 0.5 * np.eye(count)
            x[chosen] = np.linalg.solve(matrix, rated[:, chosen].T @ stars)
            if (x >= 0).all() and (loss := ((stars - rated @ x) ** 2).sum() + 0.5 * (x**2).sum()) < best:
                best, expected = loss, x
    np.testing.assert_allclose(taste.vector, expected, rtol=1e-4, atol=1e-6)
    explain = own.explainer(taste)
    for movie in range(12):
        parts = explain(movie)
        assert parts.score == pytest.approx(score(own, taste, movie), abs=1e-5)
        assert abs(parts.remainder) < 1e-5


@pytest.mark.parametrize("kind", KINDS)
def test_the_best_movies_are_those_of_a_sort_over_all(kind: Kind) -> None:
    rows = ratings_table(4)
    own, arrays = scorer(kind, rows, params_of(kind)), rating_arrays(rows)
    taste = own.folded_in(rated_by(own, arrays, 20))
    left_out = np.array([0, 3, 4, 17], np.int32)
    kept = [movie for movie in range(len(own.movies)) if movie not in left_out.tolist()]
    scores = np.array([score(own, taste, movie) for movie in kept]).astype(np.float32)
    best, found = own.best(taste, left_out, 6)
    assert best.tolist() == [kept[at] for at in np.lexsort([kept, -scores])[:6]]
    np.testing.assert_allclose(found, np.sort(scores)[::-1][:6], atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_the_typical_score_is_the_mean_over_all_users(kind: Kind) -> None:
    rows = ratings_table(5)
    own, arrays = scorer(kind, rows, params_of(kind)), rating_arrays(rows)
    tastes = [own.trained(user, rated_by(own, arrays, user)) for user in np.unique(arrays.users).tolist()]
    for movie in (0, 7):
        scores = [score(own, taste, movie) for taste in tastes if taste is not None]
        assert own.typical(movie) == pytest.approx(float(np.mean(scores)), abs=1e-5)


def test_ratings_of_one_user_count_as_they_do_among_all() -> None:
    arrays = rating_arrays(ratings_table(6))
    known, some = rating_range(arrays.ratings, arrays.moments), arrays.users == 40
    for kind in ("all", "liked", "graded", "weighted"):
        params = params_of("implicit", positives=kind)
        whole = positives(arrays.ratings, arrays.moments, params)
        part = positives_within(known, arrays.ratings[some], arrays.moments[some], params)
        np.testing.assert_array_equal(part.kept, whole.kept[some])
        np.testing.assert_array_equal(part.strengths, whole.strengths[some[whole.kept]])
