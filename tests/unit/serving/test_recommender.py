"""Answers of every kind of model on small data, against loops over the arrays."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from reco_platform.lakehouse.source_ids import SourceIds
from reco_platform.serving import recommender as recommending
from reco_platform.serving.errors import QuestionError, UnknownMovieError, UnknownUserError
from reco_platform.serving.recommender import Recommender
from support.served import KINDS, Kind, served


@pytest.fixture(scope="module", params=KINDS)
def lake(request: pytest.FixtureRequest) -> Recommender:
    return Recommender(served(request.param))


def rated(lake: Recommender, user: int) -> dict[int | str, float]:
    return {movie.movie_id: movie.rating for movie in lake.history(user)}


def test_a_user_gets_the_stored_list_and_a_longer_one_begins_with_it(lake: Recommender) -> None:
    for user in lake._version.stored.users.tolist():
        movies, scores = lake._version.stored.of(user)  # type: ignore[misc]
        found = lake.recommend(user, 5)
        assert [movie.movie_id for movie in found] == movies.tolist()
        assert [movie.score for movie in found] == scores.tolist()
        assert [movie.rank for movie in found] == [1, 2, 3, 4, 5]
        longer = lake.recommend(user, 9)
        assert [(movie.movie_id, movie.score) for movie in longer][:5] == list(
            zip(movies.tolist(), scores.tolist(), strict=True)
        )
        assert len(longer) == 9 and not {movie.movie_id for movie in longer} & set(rated(lake, user))
        assert lake.recommend(user, 2).movies == found.movies[:2]


def test_filters_leave_out_and_keep_the_order(lake: Recommender) -> None:
    whole = lake.recommend(50, 1000)
    wanted = [movie.movie_id for movie in whole if "Comedy" in movie.genres and movie.year >= 1990]
    found = lake.recommend(50, 4, genres=["comedy"], released=(1990, None))
    assert [movie.movie_id for movie in found] == wanted[:4]
    everything = lake.recommend(50, 1000, exclude_seen=False)
    assert {movie.movie_id for movie in everything} >= set(rated(lake, 50)) & {
        int(movie) for movie in lake._version.lists.scorer.movies
    }
    assert len(everything) == len(lake._version.lists.scorer.movies)


def test_visitors_and_unknown_users_get_popular_movies_and_are_told(lake: Recommender) -> None:
    ratings, known = lake._version.ratings, lake._version.lists.positions
    latest = ratings.moments[np.isin(ratings.movies, known)].max()
    weights = np.exp2(-((latest - ratings.moments) / 86_400_000_000) / 90)
    counts = {
        int(lake._version.catalogue.ids[at]): (weights[ratings.movies == at].sum(), int((ratings.movies == at).sum()))
        for at in known
    }
    order = sorted(counts, key=lambda movie: (-counts[movie][0], -counts[movie][1], movie))
    for answer in (lake.recommend(), lake.recommend(777), lake.popular()):
        assert [movie.movie_id for movie in answer] == order[:10]
        assert [movie.score for movie in answer] == pytest.approx([counts[movie][0] for movie in order[:10]], abs=1e-4)
        assert answer.source == "popular"
    assert "777" in lake.recommend(777).note and "visitor" in lake.recommend().note
    assert {genre for movie in lake.popular(5, "war") for genre in movie.genres} == {"Drama", "War"}


def test_a_user_without_a_list_gets_popular_movies_that_are_new_to_the_user() -> None:
    version = served("implicit")
    stored = version.stored
    without = replace(stored, users=stored.users[1:], bounds=stored.bounds[1:])
    lake = Recommender(replace(version, stored=without))
    user = int(stored.users[0])
    found = lake.recommend(user, 40)
    assert found.source == "popular" and "no rating that the model uses" in found.note
    assert not {movie.movie_id for movie in found} & set(rated(lake, user))


def test_somebody_with_the_ratings_of_a_user_gets_the_list_of_that_user(lake: Recommender) -> None:
    half_life = lake._version.params["positive_half_life"]
    kind = lake.model().kind
    for user in (20, 100, 200):
        given = lake.recommend_for(rated(lake, user), 5)
        known = lake.recommend(user, 5)
        assert set(given.used) | set(given.unused) == set(rated(lake, user))
        if kind == "explicit" or half_life is None:  # others weigh the ratings by their age
            assert [movie.movie_id for movie in given] == [movie.movie_id for movie in known]
            for one, other in zip(given, known, strict=True):
                assert one.score == pytest.approx(other.score, abs=1e-3)


@pytest.mark.parametrize("kind", ["implicit", "ease"])
def test_without_decay_somebody_with_the_ratings_of_a_user_gets_that_list_from_rankers_too(kind: Kind) -> None:
    lake = Recommender(served(kind, positive_half_life=None))
    for user in (20, 100, 200):
        assert [m.movie_id for m in lake.recommend_for(rated(lake, user), 5)] == [
            m.movie_id for m in lake.recommend(user, 5)
        ]


def test_ratings_that_say_nothing_get_popular_movies() -> None:
    lake = Recommender(served("implicit"))
    found = lake.recommend_for({"movie 3": 1.0})
    assert found.source == "popular" and "None of the ratings" in found.note
    assert found.movies and all(movie.movie_id != 31 for movie in found)
    assert lake.recommend_for({9999: 5.0}).unused == (9999,), "nobody has rated it"


def test_a_list_from_few_ratings_by_a_model_of_ratings_has_movies_that_many_have_rated(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(recommending, "MOST_RATED", 20)
    lake = Recommender(served("explicit"))
    counts = lake._version.catalogue.counts.copy()
    counts[:10], counts[10:] = 1, 25
    padded = Recommender(replace(lake._version, catalogue=replace(lake._version.catalogue, counts=counts)))
    assert all(movie.ratings == 25 for movie in padded.recommend_for({"movie 12": 5}, 30))
    assert any(movie.ratings == 1 for movie in padded.recommend(20, 30)), "the list of a known user is as in gold"
    assert recommending.with_enough_ratings(np.array([3] * 50 + [30] * 200), None).sum() == 200
    assert recommending.with_enough_ratings(np.array([3] * 90 + [30] * 10), None).sum() == 100, (
        "few data: a lower limit"
    )


def test_reasons_are_the_largest_parts_of_the_explanation(lake: Recommender) -> None:
    for movie in lake.recommend(50, 3, why=2):
        explained = lake.explain(50, movie.movie_id)
        assert explained.score == pytest.approx(movie.score, abs=1e-5)
        assert explained.reasons[:2] == movie.why
        sizes = [abs(reason.adds) for reason in explained.reasons]
        assert sizes == sorted(sizes, reverse=True)
        total = explained.mean + explained.user_level + explained.movie_level + explained.remainder
        assert total + sum(reason.adds for reason in explained.reasons) == pytest.approx(explained.score, abs=1e-9)
        table = explained.to_arrow()
        assert sum(table["adds"].to_pylist()) == pytest.approx(explained.score, abs=1e-9)
        json.dumps(explained.to_dict())
    given: dict[int | str, float] = {int(movie): 5.0 for movie in lake._version.lists.scorer.movies[1:3]}
    for movie in lake.recommend_for(given, 3):
        assert lake.explain_for(given, movie.movie_id).score == pytest.approx(movie.score, abs=1e-5)


def test_words_say_what_a_rating_says() -> None:
    ranker, stars = Recommender(served("implicit")), Recommender(served("explicit"))
    given: dict[int | str, float] = {"movie 3": 5, "movie 4": 1, "movie 5": 3.5}
    words = {reason.rating: reason.words for reason in ranker.explain_for(given, 101).reasons}
    assert words[5] == "you liked Movie 3, The (1983) (5 stars)"
    assert words[1] == "you did not like Movie 4, The (1984) (1 star)"
    assert words[3.5] == "you rated Movie 5, The (1985) (3.5 stars)"
    explained = stars.explain_for(given, 101)
    words = {reason.rating: reason.words for reason in explained.reasons}
    assert words[5].endswith("(5 stars) higher than its level and yours suggest")
    assert words[1].endswith("(1 star) lower than its level and yours suggest")
    sentences = "\n".join(explained.sentences())
    assert f"{explained.movie_level:+.3f} because everybody rates it" in sentences
    assert f"average user has the score {explained.typical:.3f}" in sentences
    everything = Recommender(served("implicit", positives="all"))
    assert all(reason.words.startswith("you rated") for reason in everything.explain_for(given, 101).reasons)


def test_similar_movies_are_the_nearest_others(lake: Recommender) -> None:
    movie = int(lake._version.lists.scorer.movies[2])
    found = lake.similar(movie, 6)
    assert movie not in [other.movie_id for other in found]
    scores = [movie.score for movie in found]
    assert scores == sorted(scores, reverse=True) and all(score > 0 for score in scores)
    with pytest.raises(UnknownMovieError, match="the model does not know"):
        lake.similar(9999)


def test_predictions_are_products_of_factors_or_levels() -> None:
    lake = Recommender(served("explicit"))
    scorer = lake._version.lists.scorer
    model = scorer.model  # type: ignore[attr-defined]
    both, no_user, no_movie = lake.predict([(20, 31), (777, "movie 3"), (20, 9999)])
    row = model.movies.factors[np.searchsorted(model.movies.ids, 31)].astype(np.float64)
    user = model.users.factors[np.searchsorted(model.users.ids, 20)].astype(np.float64)
    assert (both.rating, both.basis) == (pytest.approx(float(user @ row)), "model")
    assert both.rating == pytest.approx(lake.explain(20, 31, of="rating").score, abs=1e-5)
    assert (no_user.rating, no_user.basis) == (pytest.approx(scorer.mean + row[-1]), "levels")  # type: ignore[attr-defined]
    assert (no_movie.rating, no_movie.basis) == (pytest.approx(user[-2]), "levels")
    nothing = Recommender(served("plain")).predict([(777, 31)])[0]
    assert (nothing.rating, nothing.basis) == (None, "nothing")
    with pytest.raises(QuestionError, match="no model of ratings"):
        Recommender(served("ease")).predict([(20, 31)])


def test_a_history_is_the_latest_first(lake: Recommender) -> None:
    found = lake.history(20)
    assert [movie.rated_at for movie in found] == sorted((movie.rated_at for movie in found), reverse=True)
    assert lake.history(20, 2).movies == found.movies[:2]
    assert found.to_arrow().column_names[-2:] == ["rating", "rated_at"]
    with pytest.raises(UnknownUserError, match="user 777 has rated nothing"):
        lake.history(777)
    with pytest.raises(UnknownUserError, match="does not know user 777"):
        lake.explain(777, 31)


def test_answers_are_tables_and_json(lake: Recommender) -> None:
    found = lake.recommend(20, 3, why=1)
    table = found.to_arrow()
    assert table.column_names[:3] == ["rank", "movie_id", "title"] and table.num_rows == 3
    assert found.to_pandas()["movie_id"].tolist() == [movie.movie_id for movie in found]
    assert json.loads(json.dumps(found.to_dict()))["movies"][0]["movie_id"] == found[0].movie_id
    assert lake.search("zzz").to_arrow().num_rows == 0
    card = lake.model().to_dict()
    assert json.loads(json.dumps(card))["model_version"] == found.model_version
    assert lake.item("movie 3").ratings == int(lake._version.catalogue.counts[3])


@pytest.mark.parametrize("n", [0, -1, 1001, 2.5, "3", True])
def test_numbers_out_of_bounds_are_refused(n: int) -> None:
    lake = Recommender(served("implicit"))
    with pytest.raises(QuestionError, match="n="):
        lake.recommend(20, n)
    with pytest.raises(QuestionError, match="n="):
        lake.similar(31, n)


def test_ratings_out_of_bounds_are_refused() -> None:
    lake = Recommender(served("implicit"))
    for stars in (0, 5.5, float("nan")):
        with pytest.raises(QuestionError, match="is not allowed"):
            lake.recommend_for({31: stars})
    with pytest.raises(QuestionError, match="rated twice"):
        lake.recommend_for({31: 5, "movie 3": 4})
    with pytest.raises(QuestionError, match="no ratings"):
        lake.recommend_for({})
    with pytest.raises(QuestionError, match="of='stars'"):
        lake.explain(20, 31, of="stars")  # type: ignore[arg-type]


def test_a_user_may_be_named_by_text() -> None:
    lake = Recommender(served("ease"))
    assert lake.recommend("20") == lake.recommend(20)
    for named in ("x", "-1", "1.5", "99999999999", "", True, 1.5):
        with pytest.raises(UnknownUserError, match="there is no user"):
            lake.recommend(named)  # type: ignore[arg-type]


def test_popularity_as_a_model_gives_everybody_the_same_scores() -> None:
    lake = Recommender(served("popular"))
    found = lake.recommend_for({"movie 3": 5})
    assert found.source == "popular" and found.movies[0].score == lake.recommend(20, 1000, exclude_seen=False)[0].score
    explained = lake.explain(20, found[0].movie_id)
    assert (explained.movie_level, explained.reasons) == (explained.score, ())
    assert "the same for everybody" in "\n".join(explained.sentences())
    assert not lake.similar("movie 3")


def test_source_ids_that_are_texts_are_taken_and_shown() -> None:
    version = served("explicit")
    movies = SourceIds("movie", pa.array([f"m-{number}" for number in range(10_000)], pa.large_string()))
    users = SourceIds("user", pa.array([f"u-{number}" for number in range(1000)], pa.large_string()))
    numbers = Recommender(version)
    lake = Recommender(replace(version, users=users, catalogue=replace(version.catalogue, source=movies)))
    found, expected = lake.recommend("u-20", 3, why=1), numbers.recommend(20, 3, why=1)
    assert [movie.movie_id for movie in found] == [f"m-{movie.movie_id}" for movie in expected]
    assert found[0].why[0].movie_id == f"m-{expected[0].why[0].movie_id}"
    assert found.to_arrow()["movie_id"].to_pylist() == [movie.movie_id for movie in found]
    assert lake.item("m-31").title == numbers.item(31).title and lake.similar("m-31").movies
    assert lake.explain("u-20", "m-31").score == numbers.explain(20, 31).score
    assert lake.recommend_for({"m-31": 5, "movie 4": 1}, 3).used == ("m-31", "m-41")
    table = lake.predict([("u-20", "m-31")]).to_arrow().to_pylist()
    assert (table[0]["user_id"], table[0]["movie_id"]) == ("u-20", "m-31")
    assert lake.history("u-20", 1)[0].movie_id == f"m-{numbers.history(20, 1)[0].movie_id}"
    assert lake.recommend("nobody").source == "popular" and "nobody" in lake.recommend("nobody").note
    with pytest.raises(UnknownUserError, match="there is no user 'u-2000'"):
        lake.history("u-2000")
    with pytest.raises(UnknownMovieError) as caught:
        lake.item("movie 3x")
    assert all(str(movie).startswith("m-") for movie in caught.value.candidates) and "[m-" in str(caught.value.hint)
