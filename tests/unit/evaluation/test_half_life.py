"""The half-life of the popularity of late, chosen on the validation fold: compared with a loop over the definition."""

from __future__ import annotations

import math

import numpy as np
import pytest

from reco_platform.evaluation import half_life
from reco_platform.evaluation.dataset import RatingArrays
from reco_platform.evaluation.half_life import HALF_LIVES, choose_half_life

DAY = 24 * 60 * 60 * 1_000_000


def ratings(users: object, movies: object, stars: object, days: object) -> RatingArrays:
    """Ids are 10 times the dense indexes."""
    user, movie = (np.asarray(index, np.int32) for index in (users, movies))
    moments = (np.asarray(days, float) * DAY).astype(np.int64)
    return RatingArrays(10 * user, 10 * movie, user, movie, np.asarray(stars, np.float32), moments)


def fading(period: float, seed: int = 0) -> tuple[RatingArrays, RatingArrays]:
    """Ratings of movies whose popularity rises and fades; users of the validation fold come at the end."""
    rng = np.random.default_rng(seed)
    day = np.sort(rng.uniform(0, 3000, 6000))
    movie = (day / period).astype(int) + (60 * rng.random(len(day)) ** 2).astype(int)  # 60 are in fashion at a time
    user = np.where(day < 2700, rng.integers(0, 300, len(day)), rng.integers(250, 400, len(day)))
    movie = np.where(rng.random(len(day)) < 0.2, rng.integers(0, movie.max() + 1, len(day)), movie)
    pairs = np.unique(np.stack([user, movie]), axis=1, return_index=True)[1]
    found = [part[pairs] for part in (user, movie, rng.integers(1, 6, len(day)), day)]
    late = found[3] >= 2700
    return ratings(*(part[~late] for part in found)), ratings(*(part[late] for part in found))


def expected(train: RatingArrays, validation: RatingArrays, liked: float) -> int:
    """By a loop over users; NDCG@10 of lists that are sorted anew for each."""
    scores: dict[int, float] = {}
    for days in HALF_LIVES:
        weights = np.exp2(-(train.moments.max() - train.moments) / DAY / days)
        score = {movie: weights[train.movies == movie].sum() for movie in np.unique(train.movies).tolist()}
        gains = []
        for user in np.unique(validation.users):
            own = validation.users == user
            wanted = set(validation.movies[own & (validation.ratings >= liked)].tolist()) & set(score)
            seen = set(train.movies[train.users == user].tolist())
            order = sorted(set(score) - seen, key=lambda movie: (-score[movie], movie))[:10]
            if wanted:
                gain = sum(1 / math.log2(place + 2) for place, movie in enumerate(order) if movie in wanted)
                gains.append(gain / sum(1 / math.log2(place + 2) for place in range(min(len(wanted), 10))))
        scores[days] = float(np.mean(gains))
    return max(scores, key=lambda days: (round(scores[days], 9), days))


@pytest.mark.parametrize("period", [5.0, 200.0, 20_000.0])
def test_the_half_life_with_the_best_lists_is_chosen(period: float) -> None:
    train, validation = fading(period)
    assert choose_half_life(train, validation, 4.0) == expected(train, validation, 4.0)


def test_the_faster_popularity_fades_the_shorter_is_the_half_life() -> None:
    found = [choose_half_life(*fading(period), 4.0) for period in (5.0, 200.0, 20_000.0)]
    assert found == sorted(set(found))


def test_if_nobody_likes_a_movie_all_ratings_count() -> None:
    train, validation = fading(200.0)
    assert choose_half_life(train, validation, 99.0) == choose_half_life(train, validation, 0.0)


def test_without_validation_ratings_that_can_be_found_the_longest_is_chosen() -> None:
    train = ratings([0, 0, 1], [0, 1, 1], [5, 4, 3], [0, 1, 2])
    for validation in (ratings([], [], [], []), ratings([2], [7], [5], [3])):
        assert choose_half_life(train, validation, 4.0) == HALF_LIVES[-1]


def test_many_users_are_thinned_out_evenly(monkeypatch: pytest.MonkeyPatch) -> None:
    train, validation = fading(200.0)
    monkeypatch.setattr(half_life, "MAX_USERS", 60)
    users = np.unique(validation.users)
    step = -(-len(users) // 60)
    assert step > 1
    some = validation.where(np.isin(validation.users, users[::step]))
    assert choose_half_life(train, validation, 4.0) == expected(train, some, 4.0)
