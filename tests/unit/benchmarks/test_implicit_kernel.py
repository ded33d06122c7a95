"""The comparison of implicit ALS: all contenders minimise one function, which is computed independently of them."""

from __future__ import annotations

import argparse

import als_ours
import implicit_kernel
import numpy as np
import pytest
from implicit_kernel import Problem

from reco_platform.models.als.ratings import ratings

USERS, MOVIES, RANK = 30, 20, 16
PROBLEMS = [Problem(0.25, 2.0, by_count=False), Problem(0.25, 0.3, by_count=True)]


def pairs() -> tuple[np.ndarray, np.ndarray]:
    """Positives sorted by user; every user and movie has one."""
    cells = np.random.default_rng(0).random((USERS, MOVIES)) < 0.3
    cells[np.arange(USERS), np.arange(USERS) % MOVIES] = True
    users, movies = np.nonzero(cells)
    return users.astype(np.int32), movies.astype(np.int32)


def factors(seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.random((USERS, RANK)).astype(np.float32) / 4, rng.random((MOVIES, RANK)).astype(np.float32) / 4


def theirs(left: np.ndarray, right: np.ndarray, confidence: float, penalties: list[np.ndarray]) -> float:
    """The objective of implicit and of pyspark.ml by its definition, over every pair (Hu, Koren, Volinsky 2008)."""
    users, movies = pairs()
    liked = np.zeros((USERS, MOVIES))
    liked[users, movies] = 1
    left, right = left.astype(float), right.astype(float)
    errors = np.where(liked, confidence, 1.0) * (liked - left @ right.T) ** 2
    return float(errors.sum() + penalties[0] @ (left**2).sum(axis=1) + penalties[1] @ (right**2).sum(axis=1))


@pytest.mark.parametrize("problem", PROBLEMS, ids=["equal penalties", "penalties by count"])
def test_the_common_function_is_a_multiple_of_the_peers_but_for_a_constant(problem):
    users, movies = pairs()
    counts = [np.bincount(index) if problem.by_count else np.ones(index.max() + 1) for index in (users, movies)]
    differences = [
        implicit_kernel.objective(*state, users, movies, problem)
        - problem.unobserved_weight
        * theirs(*state, problem.confidence, [problem.regularization * count for count in counts])
        for state in (factors(1), factors(2), tuple(8 * side for side in factors(3)))
    ]
    assert differences == pytest.approx([differences[0]] * 3, rel=1e-6)


@pytest.mark.parametrize("problem", PROBLEMS, ids=["equal penalties", "penalties by count"])
def test_our_iterations_reach_a_minimum_of_the_common_function(problem):
    users, movies = pairs()
    both = ratings(users, movies, np.full(len(users), problem.target, np.float32))
    options = argparse.Namespace(
        rank=RANK, threads=2, iterations=300, unobserved_weight=problem.unobserved_weight, penalty=problem.penalty,
        by_count=problem.by_count,
    )  # fmt: skip
    found = als_ours.fit(both, options)
    best = implicit_kernel.objective(found.users, found.movies, users, movies, problem)
    assert len(found.seconds) == 300
    rng = np.random.default_rng(5)
    for _ in range(20):
        near = [
            side + 0.01 * rng.standard_normal(side.shape).astype(np.float32) for side in (found.users, found.movies)
        ]
        assert implicit_kernel.objective(*near, users, movies, problem) > best


def run(contender: str, seconds: float, objective: float, failure: str | None = None) -> dict:
    return {
        "contender": contender, "against": "implicit", "failure": failure, "seconds": seconds,
        "all_seconds": 10 * seconds, "iterations": 10, "objective": objective, "peak_memory_mb": 512,
    }  # fmt: skip


def test_ratios_are_of_medians_on_the_same_problem_and_failures_are_named():
    runs = [run("ours", s, 0.5) for s in (0.9, 1.0, 7.0)] + [run("implicit", s, 0.51) for s in (4.0, 5.0)]
    runs.append(run("implicit", 0.0, 0.0, failure="ran out of time"))
    machine = {"cores": 2, "cpu": "x", "memory_gb": 1, "measured": "2000-01-01", "commit": "x", "changed_files": 0,
               "load_at_start": 0.0}  # fmt: skip
    results = [{"dataset": "generated-1m", "rank": 64, "rows": implicit_kernel.summarise(runs)}]
    text = implicit_kernel.report({"machine": machine, "repeats": 3, "unobserved_weight": 0.1, "results": results})
    assert "| generated-1m | 64 | implicit | 4.50 | 4.50 | at least 4 | met | 0.980392 | yes |" in text
    assert "- generated-1m, rank 64, implicit: ran out of time" in text
