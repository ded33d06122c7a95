"""Top-N lists equal those of brute force, whichever bounds and probes are used."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reco_platform.core.errors import DataError
from reco_platform.models.als.model import Model, Side
from reco_platform.models.topn import exact as topn
from reco_platform.models.topn.exact import (
    PrincipalProbe,
    Seen,
    TopN,
    build_catalogue,
    fastest_catalogue,
    full_factors,
    principal,
    top_n,
    top_n_of_block,
    with_probe,
)
from support.topn_models import Pairs, model_of, random_model, same_bits, seen_of, some_pairs

Lists = list[list[tuple[int, float]]]


def with_biases(model: Model, seed: int = 0) -> Model:
    biases = np.random.default_rng(seed).normal(size=(len(model.movies.ids), 1))
    ones = np.ones((len(model.users.ids), 1))
    return model_of(np.hstack([model.users.factors, ones]), np.hstack([model.movies.factors, biases]))


def brute_force(model: Model, n: int, pairs: Pairs) -> Lists:
    """All products in float64, rounded to float32, sorted by falling score and rising id."""
    skipped, lists = set(pairs), []
    for user, factors in zip(model.users.ids.tolist(), model.users.factors.astype(np.float64), strict=True):
        scores = (model.movies.factors * factors).sum(axis=1).astype(np.float32).tolist()
        rows = [(-s, m) for m, s in zip(model.movies.ids.tolist(), scores, strict=True) if (user, m) not in skipped]
        lists.append([(movie, -score) for score, movie in sorted(rows)[:n]])
    return lists


def lists_of(best: TopN) -> Lists:
    rows = list(zip(best.movie_ids.tolist(), best.scores.tolist(), strict=True))
    return [rows[start:end] for start, end in zip(best.offsets[:-1], best.offsets[1:], strict=True)]


def assert_all_ways_agree(model: Model, n: int, pairs: Pairs) -> None:
    seen, expected = seen_of(model, pairs), brute_force(model, n, pairs)
    for probe in (full_factors, principal(model)):
        assert (
            lists_of(top_n_of_block(model.users.factors, with_probe(build_catalogue(model), probe), seen, n))
            == expected
        )
    assert lists_of(top_n(model, n, seen, 2)) == expected


@pytest.mark.parametrize("rank", [1, 2, 7, 8, 15, 16, 17, 50, 64, 130])
def test_lists_equal_brute_force_at_any_rank(rank: int) -> None:
    model = random_model(140, 1100, rank, seed=rank)
    assert_all_ways_agree(model, 10, some_pairs(model, 0.1))


@pytest.mark.parametrize("movies", [1, 63, 64, 65, 511, 512, 513, 1024])
def test_lists_equal_brute_force_at_block_boundaries(movies: int) -> None:
    model = random_model(129, movies, 9, skew=0.1)
    assert_all_ways_agree(model, 5, some_pairs(model, 0.3))


def test_a_bias_may_be_a_column_of_the_factors() -> None:
    model = with_biases(random_model(100, 900, 20, skew=0.3))
    assert_all_ways_agree(model, 10, some_pairs(model, 0.1))


def test_among_equal_scores_the_smaller_movie_id_comes_first() -> None:
    model = model_of(np.ones((3, 4)), np.ones((700, 4)))
    best = top_n(model, 3, seen_of(model, [(10, 4)]), 1)
    assert [[movie for movie, _ in own] for own in lists_of(best)] == [[1, 4, 7], [1, 7, 10], [1, 4, 7]]
    assert_all_ways_agree(model, 600, [(10, 4)])


def test_scores_that_differ_only_before_rounding_count_as_equal() -> None:
    model = model_of([[1, 2.0**-30]], [[1, 0], [1, 1], [1, -1], [0.5, 0]])
    assert lists_of(top_n(model, 3, seen_of(model, []), 1)) == [[(1, 1.0), (4, 1.0), (7, 1.0)]]


@pytest.mark.parametrize("which", ["users", "movies", "both"])
def test_factors_of_zero_give_the_smallest_ids(which: str) -> None:
    model = random_model(5, 600, 6)
    users, movies = (side.factors * (which not in (name, "both")) for name, side in vars(model).items())
    model = model_of(np.abs(users), np.abs(movies))
    assert_all_ways_agree(model, 4, [(0, 1), (20, 7)])
    assert [movie for movie, _ in lists_of(top_n(model, 4, seen_of(model, [(0, 1)]), 1))[0]] == [4, 7, 10, 13]


def test_only_negative_scores_still_give_the_best() -> None:
    model = random_model(4, 700, 5)
    assert_all_ways_agree(model_of(np.abs(model.users.factors), -np.abs(model.movies.factors)), 10, [])


@pytest.mark.parametrize(
    "scales", [(1e-44, 1), (1e-44, 1e30), (1e-30, 1e-30), (1e-22, 1e-20), (1e-30, 1e30), (1e15, 1e15)]
)
def test_lists_are_exact_with_the_smallest_and_largest_float32_numbers(scales: tuple[float, float]) -> None:
    model = random_model(30, 900, 20, skew=0.2)
    users, movies = model.users.factors * np.float32(scales[0]), model.movies.factors * np.float32(scales[1])
    assert_all_ways_agree(model_of(users, movies), 10, [])
    assert_all_ways_agree(model_of(np.abs(users), movies), 10, [])


def test_lists_are_shorter_for_users_with_few_unseen_movies() -> None:
    model = random_model(4, 6, 3)
    ids = model.movies.ids.tolist()
    pairs = [(0, movie) for movie in ids] + [(10, movie) for movie in ids[:-1]] + [(20, ids[0])]
    best = top_n(model, 5, seen_of(model, pairs), 1)
    assert np.diff(best.offsets).tolist() == [0, 1, 5, 5]
    assert np.isfinite(best.scores).all()
    assert_all_ways_agree(model, 5, pairs)
    assert_all_ways_agree(model, 100, pairs)


def test_everything_seen_by_everyone_gives_empty_lists() -> None:
    model = random_model(3, 2, 2)
    assert_all_ways_agree(model, 5, some_pairs(model, 1.1))


def test_seen_movies_are_not_recommended() -> None:
    model = random_model(200, 300, 8)
    pairs = some_pairs(model, 0.9)
    best = top_n(model, 300, seen_of(model, pairs), 2)
    owners = np.repeat(model.users.ids, np.diff(best.offsets))
    recommended = set(zip(owners.tolist(), best.movie_ids.tolist(), strict=True))
    assert recommended.isdisjoint(pairs)
    assert len(recommended) + len(pairs) == 200 * 300


def test_ids_near_the_largest_int32_are_kept() -> None:
    model = random_model(3, 40, 4)
    ids = (2**31 - 1 - np.arange(40)[::-1] * 2).astype(np.int32)
    model = Model(Side(ids[-3:], model.users.factors), Side(ids, model.movies.factors))
    assert_all_ways_agree(model, 40, [(int(ids[-1]), int(ids[-1])), (int(ids[-2]), int(ids[0]))])


def test_any_number_of_threads_gives_the_same_bits() -> None:
    model = random_model(3000, 700, 20, skew=0.1)
    seen = seen_of(model, some_pairs(model, 0.02))
    one, two, five = (top_n(model, 10, seen, threads) for threads in (1, 2, 5))
    assert same_bits(one, two)
    assert same_bits(one, five)


@pytest.mark.slow
@pytest.mark.parametrize("n", [1, 10, 400])
def test_every_bound_gives_the_same_bits(n: int) -> None:
    model = with_biases(random_model(300, 2000, 40, skew=0.2))
    seen = seen_of(model, some_pairs(model, 0.05))
    found = [
        top_n_of_block(model.users.factors, with_probe(build_catalogue(model), probe), seen, n)
        for probe in (
            full_factors,
            principal(model),
            PrincipalProbe(np.eye(41)),
            PrincipalProbe(np.eye(41)[::-1].copy()),
        )
    ]
    assert all(same_bits(found[0], other) for other in found[1:])


def test_a_block_of_users_gets_the_same_lists_as_among_all_users() -> None:
    model = random_model(40, 600, 12)
    seen = seen_of(model, some_pairs(model, 0.2))
    block = slice(13, 29)
    own = top_n_of_block(model.users.factors[block], fastest_catalogue(model, 7, seen), seen.part(block), 7)
    assert lists_of(own) == lists_of(top_n(model, 7, seen, 1))[block]


def biased_model(users: int, movies: int, rank: int, seed: int = 0) -> Model:
    """Small random factors and large biases, like the models of the pipeline."""
    numbers, tastes = np.random.default_rng(seed), random_model(users, movies, rank, seed=seed)
    small = Model(
        Side(tastes.users.ids, 0.3 * tastes.users.factors), Side(tastes.movies.ids, 0.3 * tastes.movies.factors)
    )
    return small.with_terms(3.5 + 0.4 * numbers.standard_normal(users), 0.5 * numbers.standard_normal(movies))


@pytest.mark.parametrize("rank", [1, 6, 50])
def test_lists_equal_brute_force_with_large_biases(rank: int) -> None:
    model = biased_model(140, 1100, rank)
    assert_all_ways_agree(model, 10, some_pairs(model, 0.1))


def test_users_with_negative_products_with_the_direction_get_exact_lists() -> None:
    model = biased_model(40, 1100, 6)
    turned = model.users.factors.copy()
    turned[::3] *= -1
    assert_all_ways_agree(Model(Side(model.users.ids, turned), model.movies), 10, [])


def test_biases_save_most_products() -> None:
    model = biased_model(200, 20_000, 16)
    _, (products, _) = topn.search(model.users.factors, build_catalogue(model), seen_of(model, []), 10)
    assert products < 0.5 * 200 * 20_000


def test_skewed_norms_save_most_products() -> None:
    model = random_model(200, 20_000, 16, skew=1.5)
    _, (products, _) = topn.search(model.users.factors, build_catalogue(model), seen_of(model, []), 10)
    assert products < 0.1 * 200 * 20_000


def test_principal_probes_are_used_only_if_they_are_faster() -> None:
    flat = random_model(300, 4000, 60, skew=0.0)
    decay = (np.arange(60) < 8).astype(np.float32)
    steep = model_of(flat.users.factors * decay, flat.movies.factors)
    nothing = seen_of(flat, [])
    assert isinstance(fastest_catalogue(steep, 10, nothing).probe, PrincipalProbe)
    assert fastest_catalogue(flat, 10, nothing).probe is full_factors


def test_seen_pairs_are_grouped_by_user_in_order_and_once() -> None:
    model = random_model(3, 4, 2)
    seen = seen_of(model, [(20, 10), (0, 7), (20, 1), (20, 10), (0, 1), (5, 1), (0, 2), (30, 1)])
    assert seen.bounds.tolist() == [0, 2, 2, 4]
    assert seen.movies.tolist() == [0, 2, 0, 3]


def test_seen_movies_of_selected_users() -> None:
    seen = Seen(np.array([0, 2, 2, 5]), np.array([1, 3, 0, 2, 4], np.int32))
    chosen = seen.select(np.array([2, 1]))
    assert (chosen.bounds.tolist(), chosen.movies.tolist()) == ([0, 3, 3], [0, 2, 4])


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e30])
@pytest.mark.parametrize("side", ["users", "movies"])
def test_factors_that_are_not_finite_or_too_large_are_refused_with_a_hint(value: float, side: str) -> None:
    model = random_model(600, 30, 3)
    getattr(model, side).factors[-1, 1] = value
    getattr(model, "users" if side == "movies" else "movies").factors[0] *= 1e9
    with pytest.raises(DataError, match="too large for scores in float32") as caught:
        top_n(model, 5, seen_of(model, []), 1)
    assert "reg_param" in str(caught.value)


small = st.integers(-3, 3)


@st.composite
def cases(draw: st.DrawFn) -> tuple[Model, int, Pairs]:
    rank, users, movies = draw(st.integers(1, 20)), draw(st.integers(1, 4)), draw(st.integers(1, 12))
    matrices = [
        draw(st.lists(st.lists(small, min_size=rank, max_size=rank), min_size=rows, max_size=rows))
        for rows in (users, movies)
    ]
    model = model_of(*matrices)
    pair = st.tuples(st.sampled_from(model.users.ids.tolist()), st.sampled_from(model.movies.ids.tolist()))
    return model, draw(st.integers(1, 15)), draw(st.lists(pair, max_size=30))


@pytest.mark.slow
@given(cases())
@settings(max_examples=150, deadline=None)
def test_lists_equal_brute_force_for_any_small_model(case: tuple[Model, int, Pairs]) -> None:
    assert_all_ways_agree(*case)
