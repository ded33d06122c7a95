"""The protocol of the published comparisons, against an independent implementation of it in plain Python."""

from __future__ import annotations

import argparse
import csv
import math
import statistics
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import ranking_protocol
from rating_data import ratings_file, read_ratings

from reco_platform.core.errors import DataError

SEED = 98765
UNOBSERVED, REG = 0.1, 0.01
PARAMS: dict[str, dict[str, Any]] = {
    "most popular": {},
    "item-kNN": {"max_items": 100_000, "knn_neighbours": 10, "knn_shrink": 5.0},
    "EASE": {"max_items": 100_000, "ease_reg": 50.0},
    "implicit ALS": {"rank": 8, "max_iter": 5, "reg_param": REG, "unobserved_weight": UNOBSERVED, "seed": 1},
}


class PlainProtocol:
    """The protocol with dictionaries, lists and loops.

    Attributes:
        train: movies of each training user.
        given, hidden: movies of each test user.
    """

    def __init__(self, source: Path, held_out: int) -> None:
        liked = defaultdict(list)
        with source.open(encoding="utf-8") as file:
            for row in csv.DictReader(file):
                if float(row["rating"]) >= 4:
                    liked[int(row["userId"])].append(int(row["movieId"]))
        users = sorted(user for user, movies in liked.items() if len(movies) >= 5)
        shuffled = [users[at] for at in np.random.RandomState(SEED).permutation(len(users))]
        self.train = {user: liked[user] for user in shuffled[: -2 * held_out]}
        self.movies = sorted({movie for movies in self.train.values() for movie in movies})
        self.given, self.hidden = {}, {}
        random = np.random.RandomState(SEED)
        for user in sorted(shuffled[-held_out:]):
            movies = [movie for movie in sorted(liked[user]) if movie in set(self.movies)]
            if len(movies) >= 5:
                hidden = set(random.choice(len(movies), size=int(0.2 * len(movies)), replace=False))
                self.given[user] = [movie for at, movie in enumerate(movies) if at not in hidden]
                self.hidden[user] = [movie for at, movie in enumerate(movies) if at in hidden]

    def matrix(self, movies_of: dict[int, list[int]]) -> np.ndarray:
        """Ones for the movies of each user, shape (users, movies)."""
        place = {movie: at for at, movie in enumerate(self.movies)}
        found = np.zeros((len(movies_of), len(self.movies)))
        for row, movies in zip(found, movies_of.values(), strict=True):
            row[[place[movie] for movie in movies]] = 1
        return found

    def figures(self, scores: np.ndarray) -> dict[str, tuple[float, float]]:
        """Mean and standard error of the metrics; scores have the shape (test users, movies)."""
        found = defaultdict(list)
        for (user, hidden), own in zip(self.hidden.items(), scores, strict=True):
            seen = set(self.given[user])
            best = [
                movie for _, movie in sorted(zip(-own, self.movies, strict=True)) if movie not in seen
            ][:100]  # fmt: skip
            for k in (20, 50):
                found[f"Recall@{k}"].append(len(set(best[:k]) & set(hidden)) / min(k, len(hidden)))
            gain = sum(1 / math.log2(rank + 2) for rank, movie in enumerate(best) if movie in hidden)
            ideal = sum(1 / math.log2(rank + 2) for rank in range(min(100, len(hidden))))
            found["NDCG@100"].append(gain / ideal)
        return {
            name: (statistics.fmean(values), statistics.pstdev(values) / math.sqrt(len(values)))
            for name, values in found.items()
        }

    def scores(self, name: str, trained: Any) -> np.ndarray:
        """The scores of a system from its definition; of implicit ALS only the movies' factors are taken."""
        train, given = self.matrix(self.train), self.matrix(self.given)
        gram = train.T @ train
        if name == "most popular":
            counts = Counter(movie for movies in self.train.values() for movie in movies)
            return np.array([[counts[movie] for movie in self.movies]] * len(given))
        if name == "EASE":
            inverse = np.linalg.inv(gram + PARAMS[name]["ease_reg"] * np.eye(len(gram)))
            weights = -inverse / np.diag(inverse)
            np.fill_diagonal(weights, 0)
            return given @ weights
        if name == "item-kNN":
            return given @ nearest(gram, PARAMS[name]["knn_neighbours"], PARAMS[name]["knn_shrink"])
        factors = trained.movies.factors.astype(float)
        return np.array([folded_in(row, factors) @ factors.T for row in given])


def nearest(gram: np.ndarray, neighbours: int, shrink: float) -> np.ndarray:
    norms = np.sqrt(np.diag(gram))
    similar = (gram / (np.outer(norms, norms) + shrink)).astype(np.float32)
    np.fill_diagonal(similar, 0)
    for column in similar.T:
        ranked = sorted(range(len(column)), key=lambda at: (-column[at], at))
        column[ranked[neighbours:]] = 0
    return similar


def folded_in(row: np.ndarray, factors: np.ndarray) -> np.ndarray:
    penalty = REG * (row.sum() + UNOBSERVED * len(row))
    matrix = factors.T @ np.diag(row + UNOBSERVED) @ factors + penalty * np.eye(factors.shape[1])
    return np.linalg.solve(matrix, factors.T @ row)


def check(source: Path, held_out: int, names: list[str]) -> dict[str, dict[str, tuple[float, float]]]:
    """Compares the split and the figures with the plain implementation; returns the figures."""
    plain, found = PlainProtocol(source, held_out), {}
    parts = ranking_protocol.split(read_ratings(source, 2), held_out)
    assert parts.movie_ids.tolist() == plain.movies
    assert len(parts.train.users) == sum(map(len, plain.train.values()))
    assert parts.test.user_ids.tolist() == list(plain.given)
    assert parts.movie_ids[parts.test.hidden.movies].tolist() == [one for own in plain.hidden.values() for one in own]
    for name in names:
        system = ranking_protocol.systems(8, 100_000, 1)[name]
        trained = system.train(parts.train, len(parts.movie_ids), PARAMS[name], 2)
        values = ranking_protocol.evaluate(trained, parts.test, 2)
        found[name] = {key: tuple(ranking_protocol.summary(value).values()) for key, value in values.items()}
        expected = plain.figures(plain.scores(name, trained(parts.test)))
        for key, pair in found[name].items():
            assert pair == pytest.approx(expected[key], abs=1e-9), (name, key)
    return found


def write_ratings(folder: Path, users: int = 120, movies: int = 60, seed: int = 3) -> Path:
    """A ratings.csv in which each user prefers movies of one of two kinds; some users have few ratings."""
    rng = np.random.default_rng(seed)
    lines = ["userId,movieId,rating,timestamp"]
    for user in range(1, users + 1):
        count = int(rng.integers(3, 40))
        for movie in sorted(rng.choice(movies, count, replace=False)):
            likes = rng.random() < (0.8 if movie % 2 == user % 2 else 0.3)
            rating = rng.choice([4.0, 4.5, 5.0] if likes else [0.5, 2.0, 3.5])
            lines.append(f"{user * 7},{movie * 11 + 1},{rating},{1_000_000_000 + user}")
    path = folder / "ratings.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def test_the_figures_of_every_system_are_those_of_a_plain_implementation(tmp_path):
    found = check(write_ratings(tmp_path), 30, list(PARAMS))
    assert set(PARAMS) == set(ranking_protocol.systems(1, 1, 1))
    assert found["EASE"]["NDCG@100"] > found["most popular"]["NDCG@100"]


@pytest.mark.slow
def test_the_figures_on_real_ratings_are_those_of_a_plain_implementation(latest_small):
    found = check(latest_small / "ratings.csv", 120, ["most popular", "implicit ALS"])
    assert found["implicit ALS"]["Recall@20"][0] > found["most popular"]["Recall@20"][0]


def test_held_out_users_and_their_movies_are_in_one_part_only(tmp_path):
    source = write_ratings(tmp_path)
    rows = read_ratings(source, 1)
    parts = ranking_protocol.split(rows, 30)
    assert not set(parts.validation.user_ids) & set(parts.test.user_ids)
    pairs = [set(zip(part.users.tolist(), part.movies.tolist(), strict=True)) for part in
             (parts.test.given, parts.test.hidden)]  # fmt: skip
    assert not pairs[0] & pairs[1]
    other = ranking_protocol.split(rows, 30, seed=1)
    assert other.test.user_ids.tolist() != parts.test.user_ids.tolist()


def test_tuning_takes_the_best_parameters_of_the_validation_users(tmp_path):
    parts = ranking_protocol.split(read_ratings(write_ratings(tmp_path), 1), 30)
    system = ranking_protocol.systems(8, 100, 1)["EASE"]
    chosen, tried = ranking_protocol.tune(system, parts, 1)
    assert [one["params"]["ease_reg"] for one in tried] == list(system.grid["ease_reg"])
    assert max(tried, key=lambda one: one["validation"])["params"] == chosen


def test_the_report_shows_published_figures_for_their_data_set_alone(tmp_path):
    parts = ranking_protocol.split(read_ratings(write_ratings(tmp_path), 1), 30)
    known = ranking_protocol.systems(8, 100, 1)
    options = argparse.Namespace(tune=False, cores=1)
    done = {name: ranking_protocol.run_system(name, known[name], parts, options) for name in ("most popular", "EASE")}
    machine = {"cores": 2, "cpu": "x", "memory_gb": 1, "measured": "2000-01-01", "commit": "x", "changed_files": 0,
               "load_at_start": 0.0}  # fmt: skip
    found = {"dataset": "ml-20m", "size": "few", "seed": 1, "tuned": False, "machine": machine, "systems": done}
    assert "| Mult-VAE | 0.395 | 0.537 | 0.426 | Liang et al. 2018 |" in ranking_protocol.report(found)
    other = ranking_protocol.report({**found, "dataset": "ml-1m"})
    assert "Mult-VAE" not in other and "--tune" in other


def test_a_system_that_does_not_fit_into_memory_is_reported_with_what_to_do(tmp_path, monkeypatch):
    parts = ranking_protocol.split(read_ratings(write_ratings(tmp_path), 1), 30)
    monkeypatch.setattr(ranking_protocol, "BYTES_PER_WEIGHT", 1 << 40)
    options = argparse.Namespace(tune=False, cores=1)
    done = ranking_protocol.run_system("EASE", ranking_protocol.systems(8, 100, 1)["EASE"], parts, options)
    assert "--max-items" in done["failure"]


def test_too_few_users_and_a_data_set_that_is_not_there_are_clear_errors(tmp_path, monkeypatch):
    with pytest.raises(DataError, match="too few to hold out 60"):
        ranking_protocol.split(read_ratings(write_ratings(tmp_path), 1), 60)
    with pytest.raises(DataError, match="does not exist"):
        read_ratings(ratings_file("mine", tmp_path / "nowhere"), 1)

    def offline(*_: object) -> None:
        raise DataError("every address failed")

    monkeypatch.setattr("rating_data.import_csv_files", offline)
    with pytest.raises(DataError, match=r"ml-20m is not on this machine: every address failed\n.*DATA=FOLDER"):
        ratings_file("ml-20m")
