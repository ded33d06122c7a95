"""Damped biases: worked by hand, compared with simple loops, and with LensKit on the real ml-latest-small."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyarrow import csv

from reco_platform.models import biases

DAMPING = 5.0


def arrays(user: list[int], movie: list[int], value: list[float]) -> tuple[Any, Any, Any]:
    return np.array(user, np.int32), np.array(movie, np.int32), np.array(value, np.float32)


def random_ratings(count: int = 3000) -> tuple[Any, Any, Any]:
    rng = np.random.default_rng(4)
    user, movie = rng.integers(0, 80, count), (50 * rng.random(count) ** 2).astype(int)
    return arrays(user.tolist(), movie.tolist(), (0.5 * rng.integers(1, 11, count)).tolist())


def test_three_users_worked_by_hand() -> None:
    # mean = (5 + 3 + 4 + 1 + 2) / 5 = 3; damping 1
    # b_i: movie 0: (2 + 1 - 1) / (3 + 1) = 0.5; movie 1: (0 - 2) / (2 + 1) = -2/3
    # b_u: user 0: ((2 - 1/2) + (0 + 2/3)) / (2 + 1) = 13/18; user 1: ((1 - 1/2) + (-2 + 2/3)) / 3 = -5/18
    #      user 2: (-1 - 1/2) / (1 + 1) = -3/4
    rows = arrays([0, 0, 1, 1, 2], [0, 1, 0, 1, 0], [5, 3, 4, 1, 2])
    found = biases.fit(*rows, damping=1.0)
    assert found.mean == 3.0
    assert found.movies.tolist() == pytest.approx([1 / 2, -2 / 3], abs=1e-15)
    assert found.users.tolist() == pytest.approx([13 / 18, -5 / 18, -3 / 4], abs=1e-15)
    assert found.predict(*arrays([0, 2], [1, 1], [])[:2]) == pytest.approx([3 - 2 / 3 + 13 / 18, 3 - 2 / 3 - 3 / 4])
    left = found.residuals(*rows)
    assert left.dtype == np.float32
    assert left[0] == pytest.approx(5 - (3 + 1 / 2 + 13 / 18))


@pytest.mark.parametrize("damping", [0.0, 5.0, 1000.0])
def test_biases_equal_those_of_simple_loops(damping: float) -> None:
    user, movie, value = random_ratings()
    mean = sum(value.tolist()) / len(value)
    rows = list(zip(user.tolist(), movie.tolist(), value.tolist(), strict=True))
    found = biases.fit(user, movie, value, damping)
    b_i = {}
    for one in set(movie.tolist()):
        own = [r - mean for _, i, r in rows if i == one]
        b_i[one] = sum(own) / (len(own) + damping)
        assert found.movies[one] == pytest.approx(b_i[one], abs=1e-12)
    for one in set(user.tolist()):
        own = [r - mean - b_i[i] for u, i, r in rows if u == one]
        assert found.users[one] == pytest.approx(sum(own) / (len(own) + damping), abs=1e-12)


def test_users_and_movies_without_ratings_have_bias_0() -> None:
    found = biases.fit(*arrays([0, 2], [1, 3], [5, 2]), damping=0.0)
    assert found.users[1] == found.movies[0] == found.movies[2] == 0  # numbered, but without ratings
    strangers = found.predict(*arrays([-1, 7, 1, 0, 9], [-1, 9, 0, -1, 1], [])[:2])
    assert strangers.tolist() == [3.5, 3.5, 3.5, 3.5 + found.users[0], 3.5 + found.movies[1]]


def test_large_damping_gives_biases_near_0() -> None:
    user, movie, value = random_ratings()
    found = biases.fit(user, movie, value, 1e12)
    np.testing.assert_allclose(found.predict(user, movie), value.mean(), atol=1e-6)


LENSKIT = """
import json, sys
import numpy as np, pyarrow as pa, pyarrow.parquet as pq
from lenskit.basic.bias import BiasModel
from lenskit.data import DatasetBuilder, ItemList
from lenskit.metrics import RMSE

rows = pq.read_table(sys.argv[1])
train, test = (rows.filter(pa.compute.field("test") == wanted) for wanted in (False, True))
builder = DatasetBuilder()
pairs = train.select(["user_id", "item_id", "rating"])
builder.add_interactions("rating", pairs, entities=["user", "item"], missing="insert", default=True)
model = BiasModel.learn(builder.build(), float(sys.argv[2]))
users = model.users.numbers(test["user_id"].to_numpy(), missing="negative")
items = model.items.numbers(test["item_id"].to_numpy(), missing="negative")
both = (np.append(array, 0.0)[at] for array, at in ((model.user_biases, users), (model.item_biases, items)))
numbers = np.arange(len(test))  # RMSE matches its two lists by id
scored = ItemList(item_ids=numbers, scores=model.global_bias + sum(both))
truth = ItemList(item_ids=numbers, rating=test["rating"].to_numpy())
print(json.dumps({
    "mean": model.global_bias,
    "users": dict(zip(map(int, model.users.ids()), map(float, model.user_biases))),
    "items": dict(zip(map(int, model.items.ids()), map(float, model.item_biases))),
    "rmse": float(RMSE().measure_list(scored, truth)),
}))
"""


# What LensKit 2025.8.1 printed for `real_rows`; the last test below asks it again where it is installed.
RECORDED = {
    "mean": 3.499292224402116,
    "rmse": 0.8628064992901887,
    "users": 610,
    "users_sum": 29.32046123262262,
    "users_squares": 91.71912873060703,
    "items": 8931,
    "items_sum": -658.7723966546764,
    "items_squares": 841.0293649800961,
}


def real_rows(latest_small: Path) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32], npt.NDArray[np.float64], Any]:
    """Users, movies, ratings, and which rows are the test rows."""
    table = csv.read_csv(latest_small / "ratings.csv")
    user, movie = (table[name].to_numpy().astype(np.int32) for name in ("userId", "movieId"))
    test = np.random.default_rng(0).random(len(table)) < 0.2
    return user, movie, table["rating"].to_numpy().astype(np.float64), test


def test_biases_and_their_error_on_real_ratings_are_those_that_lenskit_found(latest_small: Path) -> None:
    user, movie, value, test = real_rows(latest_small)
    ours = biases.fit(user[~test], movie[~test], value[~test].astype(np.float32), DAMPING)
    error = ours.predict(user[test], movie[test]) - value[test]
    assert ours.mean == pytest.approx(RECORDED["mean"], abs=1e-9)
    assert float(np.sqrt(np.mean(error**2))) == pytest.approx(RECORDED["rmse"], abs=1e-7)
    for name, own in (("users", ours.users), ("items", ours.movies)):
        # LensKit keeps biases as float32.
        assert np.count_nonzero(own) == RECORDED[name]
        assert float(own.sum()) == pytest.approx(RECORDED[f"{name}_sum"], abs=1e-4)
        assert float((own**2).sum()) == pytest.approx(RECORDED[f"{name}_squares"], rel=1e-6)


def test_lenskit_finds_the_same_biases_on_real_ratings(root: Path, latest_small: Path, tmp_path: Path) -> None:
    python = root / ".venv-bench-lenskit" / "bin" / "python"
    if not python.is_file():
        pytest.skip(f"LensKit is not installed in {python.parent.parent.name}: see benchmarks")
    user, movie, value, test = real_rows(latest_small)
    rows = pa.table({"user_id": user, "item_id": movie, "rating": value, "test": test})
    pq.write_table(rows, tmp_path / "rows.parquet")
    command = [str(python), "-c", LENSKIT, str(tmp_path / "rows.parquet"), str(DAMPING)]
    theirs = json.loads(subprocess.check_output(command, text=True))
    ours = biases.fit(user[~test], movie[~test], value[~test].astype(np.float32), DAMPING)
    for own, other in ((ours.users, theirs["users"]), (ours.movies, theirs["items"])):
        assert len(other) == np.count_nonzero(own) > 500
        np.testing.assert_allclose(own[[int(key) for key in other]], list(other.values()), atol=1e-6)
    assert summary(theirs) == pytest.approx(RECORDED, abs=1e-6)


def summary(theirs: dict[str, Any]) -> dict[str, float]:
    """A summary of LensKit's biases."""
    found: dict[str, float] = {"mean": theirs["mean"], "rmse": theirs["rmse"]}
    for name in ("users", "items"):
        values = np.array(list(theirs[name].values()))
        found |= {name: len(values), f"{name}_sum": values.sum(), f"{name}_squares": (values**2).sum()}
    return found
