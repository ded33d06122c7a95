"""Compute the resources for 100 million, 1 billion and 10 billion ratings by the formulas of docs/scale.md.

python benchmarks/scale.py
python benchmarks/scale.py --ratings 3e8 --users 2e6 --movies 1e5 --blocks 32 --rank 100
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass

import common

from reco_platform.models.als.spark import HEAP_PER_RATING, MAX_ORDERED_RATINGS, RESERVED_HEAP

RATINGS_PER_USER = 154  # of ml-25m, and of generated-25m

# Measured by benchmarks/shuffle.py and the tables of docs/performance.md, on one machine with two cores.
COMPRESSED = 0.6
SENT_OVER_COMPUTED = 1.011
DISTRIBUTION = 0.7e-6  # seconds per rating, of one task
SPARK_ITERATION = 3.7e-6  # core seconds per rating, rank 50
NATIVE_ITERATION = 7.5e-8  # core seconds per rating, rank 50
BYTES_PER_RATING, BASE_BYTES = 85, 0.6e9  # memory of the steps on one machine

ITERATIONS, TOP_N = 10, 10


@dataclass(frozen=True)
class Case:
    """Numbers of ratings, users and movies, num_blocks, and the rank."""

    ratings: float
    users: float
    movies: float
    blocks: int
    rank: int = 50

    def factors_sent(self) -> float:
        """The number of factors that an iteration sends if every user and every movie has the mean number of ratings.

        A row with n ratings misses a block with probability (1 - 1/blocks)^n. Equal numbers give the maximum, since the
        count is concave in n.
        """
        sides = (self.users, self.movies)
        return sum(rows * self.blocks * (1 - (1 - 1 / self.blocks) ** (self.ratings / rows)) for rows in sides)

    def figures(self) -> dict[str, str]:
        sent = 4 * self.rank * self.factors_sent() * SENT_OVER_COMPUTED
        factors = 4 * (self.rank + 3) * (self.users + self.movies)
        spark, native = (ITERATIONS * each * self.ratings for each in (SPARK_ITERATION, NATIVE_ITERATION))
        ordered = self.ratings <= MAX_ORDERED_RATINGS
        return {
            "users": f"{self.users:,.0f}",
            "movies": f"{self.movies:,.0f}",
            "num_blocks": str(self.blocks),
            "distributed, three times, each": size(12 * self.ratings * COMPRESSED),
            "sent in an iteration": size(sent),
            "of that to or from each block": size(sent / self.blocks),
            "heap of an executor": size(RESERVED_HEAP + HEAP_PER_RATING * self.ratings) if ordered else "no bound",
            "biases sent to each executor": size(12 * (self.users + self.movies)),
            "movies sent to each executor for lists": size(4 * (2 * self.rank + 6) * self.movies),
            "factors in the driver": size(3 * factors),
            "lists in the driver": size(8 * TOP_N * self.users),
            "distribution": duration(DISTRIBUTION * self.ratings / (1 if ordered else self.blocks)),
            f"{ITERATIONS} iterations of Spark, a core for each block": duration(spark / self.blocks),
            f"{ITERATIONS} iterations of Spark, core hours": f"{spark / 3600:,.1f}",
            f"{ITERATIONS} native iterations, 16 cores": duration(native / 16),
            f"{ITERATIONS} native iterations, core hours": f"{native / 3600:,.2f}",
            "memory of the steps on one machine": size(BASE_BYTES + BYTES_PER_RATING * self.ratings),
        }


CASES = {
    "100 million": Case(1e8, 1e8 / RATINGS_PER_USER, 1e5, 16),
    "1 billion": Case(1e9, 1e9 / RATINGS_PER_USER, 2e5, 64),
    "10 billion": Case(1e10, 1e10 / RATINGS_PER_USER, 5e5, 256),
}


def size(count: float) -> str:
    unit, name = next(((unit, name) for unit, name in ((1e12, "TB"), (1e9, "GB")) if count >= unit), (1e6, "MB"))
    return f"{count / unit:,.2g} {name}" if count / unit < 10 else f"{count / unit:,.0f} {name}"


def duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:,.0f} s"
    return f"{seconds / 60:,.0f} min" if seconds < 7200 else f"{seconds / 3600:,.1f} h"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ratings", type=float, help="a custom case, with --users, --movies and --blocks")
    parser.add_argument("--users", type=float)
    parser.add_argument("--movies", type=float, default=1e5)
    parser.add_argument("--blocks", type=int, default=16)
    parser.add_argument("--rank", type=int, default=50)
    arguments = parser.parse_args()
    cases = CASES
    if arguments.ratings:
        users = arguments.users or arguments.ratings / RATINGS_PER_USER
        cases = {
            f"{arguments.ratings:,.0f}": Case(
                arguments.ratings, users, arguments.movies, arguments.blocks, arguments.rank
            )
        }
    columns = [case.figures() for case in cases.values()]
    rows = [[name, *(figures[name] for figures in columns)] for name in columns[0]]
    print(common.table(["", *cases], rows))


if __name__ == "__main__":
    main()
