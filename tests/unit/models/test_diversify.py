"""Lists by maximal marginal relevance, against a loop over the definition."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from reco_platform.models.als.model import Side
from reco_platform.models.ranking import diversify
from reco_platform.models.topn.exact import TopN


def given(seed: int = 0, users: int = 30, movies: int = 50, rank: int = 6) -> tuple[TopN, Side]:
    """Candidates of users, some with few or none; movies of four directions with noise, and one without a vector."""
    rng = np.random.default_rng(seed)
    vectors = np.eye(4, rank)[rng.integers(0, 4, movies)] + 0.2 * rng.normal(size=(movies, rank))
    vectors[7] = 0
    ids = np.sort(rng.permutation(1000)[:movies]).astype(np.int32)
    counts = rng.integers(0, 40, users)
    counts[:3] = 0, 1, 2
    own = [rng.permutation(ids)[:count] for count in counts]
    scores = [np.sort(rng.random(count))[::-1] for count in counts]
    scores[2][:] = 0.5
    offsets = np.concatenate([[0], np.cumsum(counts)])
    lists = TopN(np.concatenate(own), np.concatenate(scores).astype(np.float32), offsets)
    return lists, Side(ids, vectors.astype(np.float32))


def expected(lists: TopN, movies: Side, n: int, share: float) -> list[list[int]]:
    vector = dict(zip(movies.ids.tolist(), movies.factors.astype(float), strict=True))

    def cosine(one: int, other: int) -> float:
        lengths = np.linalg.norm(vector[one]) * np.linalg.norm(vector[other])
        return float(vector[one] @ vector[other] / lengths) if lengths else 0.0

    def value(one: tuple[int, float], relevance: float, chosen: list[int]) -> float:
        similar = max((cosine(one[0], other) for other in chosen), default=0.0)
        return (1 - share) * relevance - share * similar

    found = []
    for start, end in zip(lists.offsets[:-1], lists.offsets[1:], strict=True):
        left = list(zip(lists.movie_ids[start:end].tolist(), lists.scores[start:end].tolist(), strict=True))
        low, span = (left[-1][1], left[0][1] - left[-1][1]) if left else (0, 0)
        chosen: list[int] = []
        while left and len(chosen) < n:
            values = [value(one, (one[1] - low) / span if span else 1.0, chosen) for one in left]
            chosen.append(left.pop(int(np.argmax(values)))[0])
        found.append(chosen)
    return found


def movies_of(lists: TopN) -> list[list[int]]:
    return [part.tolist() for part in np.split(lists.movie_ids, lists.offsets[1:-1])]


@pytest.mark.parametrize("share", [0.1, 0.5, 1.0])
@pytest.mark.parametrize("threads", [1, 3])
def test_lists_are_those_of_the_definition(share: float, threads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(diversify, "TASK_USERS", 7)
    lists, movies = given()
    found = diversify.diversified(lists, movies, 10, share, threads)
    assert movies_of(found) == expected(lists, movies, 10, share)
    assert scores_by_pair(found).items() <= scores_by_pair(lists).items()


def scores_by_pair(lists: TopN) -> dict[tuple[int, int], float]:
    users = np.repeat(np.arange(len(lists.offsets) - 1), np.diff(lists.offsets)).tolist()
    pairs = zip(users, lists.movie_ids.tolist(), strict=True)
    return dict(zip(pairs, lists.scores.tolist(), strict=True))


def test_without_it_lists_stay_as_they_are_and_need_no_more_candidates() -> None:
    lists, movies = given()
    assert diversify.diversified(lists, movies, 10, 0.0, 1) is lists
    assert diversify.candidates(10, 0.0) == 10


def test_a_short_list_is_the_beginning_of_a_long_one_from_as_many_candidates() -> None:
    lists, movies = given()
    assert diversify.candidates(5, 0.3) == diversify.candidates(20, 0.3) == diversify.CANDIDATES
    assert diversify.candidates(500, 0.3) == 500
    short, long = (movies_of(diversify.diversified(lists, movies, n, 0.3, 1)) for n in (5, 20))
    assert short == [one[:5] for one in long]


def test_the_best_movie_stays_first_and_lists_differ_more_with_each_step() -> None:
    lists, movies = given()

    def similarity(found: Any) -> float:
        own = [movies.factors[movies.positions(np.array(one, np.int32))[0]] for one in found if len(one) > 9]
        units = [part / np.maximum(np.linalg.norm(part, axis=1), 1e-9)[:, None] for part in own]
        return float(np.mean([(unit @ unit.T).sum() for unit in units]))

    every = [movies_of(diversify.diversified(lists, movies, 10, share, 1)) for share in (1e-9, 0.3, 0.9)]
    assert {tuple(one[0] for one in found if one) for found in every} == {tuple(one[0] for one in every[0] if one)}
    assert similarity(every[0]) > similarity(every[1]) > similarity(every[2])
