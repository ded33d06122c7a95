"""Generated data: the same bytes always, and just what the manifest says of them, counted in the files."""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from reco_platform.datasets import synthetic, synthetic_text
from reco_platform.datasets.synthetic import DirtyRows, SyntheticSpec
from reco_platform.store.paths import sha256_file
from support import oracle

DIRTY = DirtyRows(
    ratings={kind: 5 + number for number, kind in enumerate(synthetic_text.RATING_FAULTS)},
    movies={kind: 3 + number for number, kind in enumerate(synthetic_text.MOVIE_FAULTS)},
    tags={kind: 2 + number for number, kind in enumerate(synthetic_text.TAG_FAULTS)},
)
NONE = DirtyRows(ratings={}, movies={}, tags={})
SMALL = SyntheticSpec(seed=11, users=200, movies=120, ratings=2_400, dirty=DIRTY)


@pytest.fixture(scope="module")
def small_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("small")
    synthetic.generate(folder, SMALL)
    return folder


@pytest.fixture(scope="module")
def clean_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small data set without its dirty rows."""
    folder = tmp_path_factory.mktemp("clean")
    synthetic.generate(folder, SMALL.model_copy(update={"dirty": NONE}))
    return folder


@pytest.fixture(scope="module", params=["small", pytest.param("default", marks=pytest.mark.slow)])
def generated(request: pytest.FixtureRequest) -> Path:
    """The files of a small spec with every fault, and of the default data set."""
    folder: Path = request.getfixturevalue("small_folder" if request.param == "small" else "demo_folder")
    return folder


@pytest.fixture(scope="module")
def counted(generated: Path) -> oracle.Found:
    """Its ratings, counted."""
    return oracle.ratings(generated / "ratings.csv")


def manifest_of(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    return found


def share(count: int, templates: tuple[str, ...], chosen: Callable[[str], bool]) -> int:
    """How many of `count` rows came from chosen templates, which are used in turn."""
    return sum(chosen(templates[number % len(templates)]) for number in range(count))


# --- determinism


def test_the_same_spec_gives_the_same_bytes(small_folder: Path, tmp_path: Path) -> None:
    synthetic.generate(tmp_path, SMALL)
    for name in ("ratings.csv", "movies.csv", "tags.csv", "manifest.json"):
        assert (tmp_path / name).read_bytes() == (small_folder / name).read_bytes()


def test_another_seed_gives_other_files(small_folder: Path, tmp_path: Path) -> None:
    synthetic.generate(tmp_path, SMALL.model_copy(update={"seed": 12}))
    for name in ("ratings.csv", "movies.csv", "tags.csv"):
        assert (tmp_path / name).read_bytes() != (small_folder / name).read_bytes()


def test_dirty_rows_leave_the_clean_ones_as_they_are(small_folder: Path, clean_folder: Path) -> None:
    clean, dirty = oracle.ratings(clean_folder / "ratings.csv"), oracle.ratings(small_folder / "ratings.csv")
    assert not clean.rejected
    keys = {(user, movie, moment) for user, movie, _, moment, _, _ in clean.good}
    assert keys == {(user, movie, moment) for user, movie, _, moment, _, _ in dirty.good}


def test_blocks_of_users_do_not_show(small_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Many blocks give other draws, so only the shape is compared; large specs need more than one."""
    monkeypatch.setattr(synthetic, "_MAX_SEEN_CELLS", SMALL.movies * 7)
    manifest = synthetic.generate(tmp_path, SMALL)
    found, whole = oracle.ratings(tmp_path / "ratings.csv"), oracle.ratings(small_folder / "ratings.csv")
    assert manifest["ratings"] == manifest_of(small_folder)["ratings"]
    assert (found.rows_in, len(found.good), found.duplicates) == (whole.rows_in, len(whole.good), whole.duplicates)
    assert found.reasons == whole.reasons


# --- the manifest against the files


def test_the_manifest_names_size_and_checksum_of_each_file(generated: Path) -> None:
    files = manifest_of(generated)["files"]
    assert files.keys() == {"ratings.csv", "movies.csv", "tags.csv"}
    for name, facts in files.items():
        path = generated / name
        assert facts == {"bytes": path.stat().st_size, "sha256": sha256_file(path)}


@pytest.mark.slow
def test_ratings_are_what_the_manifest_says(generated: Path, counted: oracle.Found) -> None:
    said, found = manifest_of(generated)["ratings"], counted
    planted, several = said["dirty"], synthetic_text.RATING_FAULTS["several_rules"]
    assert found.rows_in == said["rows_in"]
    assert len(found.good) == said["valid_rows"]
    assert found.duplicates == {"exact": planted["exact_duplicate"], "conflicting": planted["conflicting_duplicate"]}
    assert len(found.rejected) == sum(planted.values()) - sum(found.duplicates.values())

    def mixed(start: str, end: str) -> int:
        return share(planted["several_rules"], several, lambda text: text.startswith(start) and text.endswith(end))

    assert found.reasons == {
        "malformed_line": planted["unparsable"],
        "null_user": planted["null_user"] + mixed(",", ""),
        "null_movie": planted["null_movie"] + mixed("{user},,", "") + mixed(",,", ""),
        "null_rating": planted["null_rating"] + mixed("{user},,,", ""),
        "null_timestamp": planted["null_timestamp"] + mixed("", ","),
        "rating_out_of_range": planted["rating_out_of_range"] + mixed(",{movie},7.5", "") + mixed(",,0.0", ""),
        "rating_not_a_number": planted["rating_not_a_number"],
        "timestamp_not_a_number": planted["timestamp_not_a_number"],
    }


def test_movies_are_what_the_manifest_says(generated: Path) -> None:
    said, found = manifest_of(generated)["movies"], oracle.movies(generated / "movies.csv")
    planted = said["dirty"]
    assert (found.rows_in, len(found.good)) == (said["rows_in"], said["valid_rows"])
    assert found.duplicates == {"conflicting": planted["duplicate_movie"]}
    assert found.reasons == {
        "malformed_line": planted["unparsable"],
        "null_movie": planted["null_movie"],
        "null_title": planted["null_title"],
    }


def test_titles_without_a_year_and_movies_without_genres_are_counted(clean_folder: Path) -> None:
    said, found = manifest_of(clean_folder)["movies"], oracle.movies(clean_folder / "movies.csv")
    years, genres = [row[4] for row in found.good], [row[3] for row in found.good]
    assert said["noted"] == {"title_without_year": years.count(None), "no_genres_listed": genres.count(())}


def test_tags_are_what_the_manifest_says(generated: Path) -> None:
    said, found = manifest_of(generated)["tags"], oracle.tags(generated / "tags.csv")
    planted = said["dirty"]
    assert found.rows_in == said["rows_in"]
    assert len(found.good) == said["valid_rows"] + planted["exact_duplicate"]
    assert len(found.good) - len(set(found.good)) == planted["exact_duplicate"]
    assert found.reasons == {
        "malformed_line": planted["unparsable"],
        **{kind: planted[kind] for kind in ("null_user", "null_movie", "null_tag", "null_timestamp")},
    }


# --- the shape of the data


@pytest.mark.slow
def test_every_rating_is_of_a_known_user_and_movie_once(generated: Path, counted: oracle.Found) -> None:
    spec = SyntheticSpec.model_validate(manifest_of(generated)["spec"])
    found = counted.good
    movies = {row[0] for row in oracle.movies(generated / "movies.csv").good}
    assert {row[0] for row in found} == set(range(1, spec.users + 1))
    assert {row[1] for row in found} <= movies
    assert len({row[:2] for row in found}) == len(found) == spec.ratings
    assert {row[2] for row in found} <= {halves / 2 for halves in range(1, 11)}
    years = {row[4] for row in found}
    assert min(years) >= 2015
    assert max(years) < 2015 + spec.years
    assert {row[:2] for row in oracle.tags(generated / "tags.csv").good} <= {row[:2] for row in found}


def test_no_film_is_rated_before_its_year(clean_folder: Path) -> None:
    released = {row[0]: row[4] for row in oracle.movies(clean_folder / "movies.csv").good}
    ratings = oracle.ratings(clean_folder / "ratings.csv").good
    assert all(released[movie] is None or released[movie] <= year for _, movie, _, _, year, _ in ratings)


@pytest.mark.slow
def test_a_tenth_of_the_films_has_a_third_of_the_ratings(counted: oracle.Found) -> None:
    counts = sorted(Counter(row[1] for row in counted.good).values(), reverse=True)
    assert sum(counts[: len(counts) // 10]) > sum(counts) / 3


def test_users_choose_movies_to_their_taste() -> None:
    """The tastes of users for the movies that they rate, in stars, beside those for movies that others rate."""
    truth = synthetic.truth(SMALL)
    world = synthetic._World.of(SMALL)
    user, movie = truth.user - 1, np.searchsorted(world.movie_id, truth.movie)
    own = (world.user_latent[:, user] * world.item_latent[:, movie]).sum(axis=0)
    others = (world.user_latent[:, user] * world.item_latent[:, np.roll(movie, len(movie) // 2)]).sum(axis=0)
    assert own.mean() > 0.1
    assert abs(others.mean()) < 0.05


def test_users_choose_movies_of_few_groups() -> None:
    """Four groups of 16 hold more than half of a user's ratings, but less than half of everyone's."""
    spec = SyntheticSpec()
    truth, world = synthetic.truth(spec), synthetic._World.of(spec)
    group = synthetic._groups(world.item_latent)[np.searchsorted(world.movie_id, truth.movie)]
    counts = np.zeros((spec.users, synthetic.GROUPS))
    np.add.at(counts, (truth.user - 1, group), 1)
    first_four = np.sort(counts, axis=1)[:, -4:].sum(axis=1) / counts.sum(axis=1)
    assert first_four.mean() > 0.55
    assert np.sort(counts.sum(axis=0))[-4:].sum() / counts.sum() < 0.45


def test_a_choice_falls_on_a_movie_of_the_group_as_often_as_it_is_popular() -> None:
    group, popularity = np.array([3, 0, 3, 3]), np.array([1, 4, 2, 1])
    catalogue = synthetic._Catalogue.of(group, np.array([5, 9, -7, 0]), popularity)
    assert np.bincount(catalogue.slots).tolist() == (popularity * 32).tolist()
    assert catalogue.shares[[0, 1, 2, 3]].tolist() == [0.5, 0, 0, 0.5]
    assert catalogue.slots[catalogue.bounds[3] : catalogue.bounds[4]].tolist() == [2] * 64 + [3] * 32 + [0] * 32
    assert catalogue.slot_after(np.array([3, 3, 3, 0]), np.array([-8, 0, 5, 8])).tolist() == [128, 224, 256, 0]


def test_titles_have_commas_quotes_and_letters_beyond_ascii(demo_folder: Path) -> None:
    with (demo_folder / "movies.csv").open(encoding="utf-8", newline="") as file:
        titles = [row[1] for row in csv.reader(file) if len(row) == 3]
    assert all(any(mark in title for title in titles) for mark in (",", '"', "ó"))
    named = [row[1] for row in oracle.movies(demo_folder / "movies.csv").good]
    assert len(set(named)) == len(named)


def test_the_truth_is_that_of_the_files(small_folder: Path) -> None:
    truth = synthetic.truth(SMALL)
    rows = zip(truth.user.tolist(), truth.movie.tolist(), truth.timestamp.tolist(), strict=True)
    found = oracle.ratings(small_folder / "ratings.csv").good
    assert set(rows) == {(user, movie, moment) for user, movie, _, moment, _, _ in found}
    rmse = float(np.sqrt(np.mean((truth.rating - truth.expected) ** 2)))
    assert manifest_of(small_folder)["noise_floor_rmse"] == pytest.approx(rmse, abs=1e-3)


# --- specs


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"users": 10, "movies": 40, "ratings": 5}, r"ratings must be at least users \(10\), got 5"),
        ({"users": 10, "movies": 40, "ratings": 51}, r"at most users \* movies / 8 \(50\)"),
        ({"movies": 39}, "greater than or equal to 40"),
        ({"seed": -1}, "greater than or equal to 0"),
        ({"films": 3}, "Extra inputs"),
        ({"ratings": 2_500}, "more dirty rows than clean ones"),
        ({"dirty": {"ratings": {"typo": 1}}}, "ratings has no kind typo; kinds are null_user"),
        ({"dirty": {"ratings": {"null_user": -1}}}, "greater than or equal to 0"),
    ],
)
def test_a_spec_that_cannot_be_made_is_refused_with_the_reason(values: dict[str, Any], expected: str) -> None:
    with pytest.raises(ValidationError, match=expected):
        SyntheticSpec.model_validate(values)


@pytest.mark.parametrize(("users", "ratings"), [(1, 5), (2, 10), (60, 300)])
def test_users_whose_interests_have_too_few_movies_get_others(
    monkeypatch: pytest.MonkeyPatch, users: int, ratings: int
) -> None:
    """With interests this narrow, nearly all choices are of one group of two or three movies."""
    monkeypatch.setattr(synthetic, "OWN_INTEREST", 1e6)
    monkeypatch.setattr(synthetic, "LEAST_INTEREST", 1e-6)
    truth = synthetic.truth(SyntheticSpec(users=users, movies=40, ratings=ratings, dirty=NONE))
    assert len(set(zip(truth.user.tolist(), truth.movie.tolist(), strict=True))) == ratings


@pytest.mark.slow
@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**63 - 1), st.integers(1, 60), st.integers(40, 90), st.integers(1, 60), st.data())
def test_any_spec_within_its_bounds_gives_the_rows_that_it_says(  # noqa: PLR0917
    tmp_path_factory: pytest.TempPathFactory, seed: int, users: int, movies: int, years: int, data: st.DataObject
) -> None:
    ratings = data.draw(st.integers(users, max(users, users * movies // 8)))
    dirty = DirtyRows(ratings={"null_user": 1}, movies={}, tags={})
    spec = SyntheticSpec(seed=seed, users=users, movies=movies, ratings=ratings, years=years, dirty=dirty)
    folder = tmp_path_factory.mktemp("any")
    synthetic.generate(folder, spec)
    found = oracle.ratings(folder / "ratings.csv")
    assert (len(found.good), found.reasons) == (ratings, {"null_user": 1})
    assert len({row[:2] for row in found.good}) == ratings
