"""Compare the iterations of our implicit ALS with those of implicit and pyspark.ml, on one objective.

    python benchmarks/implicit_kernel.py --sizes 1m
    python benchmarks/implicit_kernel.py --sizes 5m 25m --ranks 64 128 --repeats 3

All ratings of generated data are positives. All contenders minimise the same function of the factors u and v,

    F = sum over positives (1 + a - u'v)^2 + a sum over all pairs (u'v)^2 + sum p |u|^2 + sum p |v|^2

with penalties p. With c = 1 + 1/a, that is, but for a constant, a times

    sum over positives c (1 - u'v)^2 + sum over other pairs (u'v)^2 + sum p/a |u|^2 + sum p/a |v|^2

since c (1 - s)^2 - s^2 = (c - 1) (s - c / (c - 1))^2 + constant, and c / (c - 1) = 1 + a. This is the objective of

- implicit with confidence c and regularization p/a, where p is the same for all rows;
- pyspark.ml with implicitPrefs, alpha 1/a, ratings of 1, and regParam l/a, where p = l n for a row with n positives;
- our kernel with weight a of unobserved pairs and values 1 + a, with either penalty. The product's own penalty,
  reg_param (n + a I), is offered by neither of the others, so als_ours.py sets the penalties itself.

F is computed by one function from the factors after the last iteration. Seconds of an iteration are the median of
those from the fourth on, since ours takes more steps of conjugate gradients in the first three; the sum over all
iterations is shown too. The contenders run alternately.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import common
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
from common import PROJECT, RESULTS, Run, log_line
from contenders import JAVA_BLAS, spark_submit
from peers import environment
from rating_data import ratings_file, read_ratings
from reporting import target_text

SETTLED = 4
BLOCK = 1 << 18
SPARK_ITERATIONS = 4
SPARK_SIZES = ("generated-1m", "generated-5m")
SPARK_HEAP_GB = 8
TARGETS = {"implicit": 4.0, "spark": 20.0}
NO_WORSE = 1.001
"""Ours counts as no worse than a contender's if the ratio of the objectives is at most this."""


@dataclass(frozen=True)
class Problem:
    """What the contenders minimise; see F above.

    Attributes:
        unobserved_weight: a.
        penalty: p, or l with `by_count`.
        by_count: whether penalties are scaled by the number of positives of a row.
    """

    unobserved_weight: float
    penalty: float
    by_count: bool

    @property
    def target(self) -> float:
        """What is predicted for a positive."""
        return 1 + self.unobserved_weight

    @property
    def confidence(self) -> float:
        """implicit's confidence in a positive; Spark's is 1 + alpha."""
        return 1 + 1 / self.unobserved_weight

    @property
    def regularization(self) -> float:
        """That of implicit and of Spark."""
        return self.penalty / self.unobserved_weight

    def penalties(self, index: npt.NDArray[np.int32], rows: int) -> npt.NDArray[np.float64]:
        """The penalty of each row, shape (rows,); `index` has the row of each positive."""
        return self.penalty * (np.bincount(index, minlength=rows).astype(float) if self.by_count else np.ones(rows))


@dataclass(frozen=True)
class Case:
    """One contender on one problem.

    Attributes:
        contender: ours, implicit or spark.
        against: whose problem it is: implicit or spark.
        iterations: how many.
    """

    contender: str
    against: str
    problem: Problem
    iterations: int


def main() -> None:
    arguments = argument_parser().parse_args()
    found: dict[str, Any] = {
        "machine": common.describe_machine(),
        "repeats": arguments.repeats,
        "unobserved_weight": arguments.unobserved_weight,
        "results": [one for size in arguments.sizes for one in measure_size(size, arguments)],
    }
    common.save(arguments.out, found, report(found))


def argument_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", nargs="+", default=["5m", "25m"], help="data sets of the registry, or 1m, 5m, 25m")
    parser.add_argument("--ranks", nargs="+", type=int, default=[64, 128])
    parser.add_argument("--against", nargs="+", choices=list(TARGETS), default=list(TARGETS),
                       help="spark runs on 1m and 5m only")  # fmt: skip
    parser.add_argument("--iterations", type=int, default=10, help=f"against spark it is {SPARK_ITERATIONS}")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--unobserved-weight", type=float, default=0.1)
    parser.add_argument("--penalty", type=float, default=5.0, help="of each row, against implicit")
    parser.add_argument("--penalty-by-count", type=float, default=0.05, help="of each positive, against spark")
    parser.add_argument("--cores", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--timeout", type=float, default=3600, help="seconds for each run")
    parser.add_argument("--out", type=Path, default=RESULTS / "implicit-kernel", help="where the results go, no suffix")
    return parser


def measure_size(size: str, arguments: argparse.Namespace) -> Iterator[dict[str, Any]]:
    dataset = common.SIZES.get(size, size)
    inputs = prepare(dataset, arguments.cores)
    against = [one for one in arguments.against if one != "spark" or dataset in SPARK_SIZES]
    for rank in arguments.ranks:
        runs: list[dict[str, Any]] = []
        for number in range(arguments.repeats):
            for case in cases(against, arguments):
                runs.append(measure(case, inputs, rank, number, arguments))
                log_line(f"{dataset}, rank {rank}, {case.contender} on {case.against}'s problem: {outcome(runs[-1])}")
        yield {"dataset": dataset, "rank": rank, "rows": summarise(runs)}


def prepare(dataset: str, threads: int) -> Path:
    """Writes users.npy, movies.npy and pairs.parquet, the positives with dense indexes, unless they exist."""
    inputs = RESULTS / "_scratch" / dataset / "implicit"
    if (inputs / "pairs.parquet").is_file():
        return inputs
    inputs.mkdir(parents=True, exist_ok=True)
    rows = read_ratings(ratings_file(dataset), threads)
    users = np.repeat(np.arange(len(rows.users), dtype=np.int32), np.diff(rows.starts))
    np.save(inputs / "users.npy", users)
    np.save(inputs / "movies.npy", rows.movie_index)
    pairs = {"user": users, "movie": rows.movie_index, "rating": np.ones(len(users), np.float32)}
    pq.write_table(pa.table(pairs), inputs / "pairs.parquet", row_group_size=1 << 19)
    return inputs


def cases(against: Sequence[str], arguments: argparse.Namespace) -> Iterator[Case]:
    """Ours and the other contender on each problem."""
    problems = {
        "implicit": Problem(arguments.unobserved_weight, arguments.penalty, by_count=False),
        "spark": Problem(arguments.unobserved_weight, arguments.penalty_by_count, by_count=True),
    }
    for other in against:
        iterations = SPARK_ITERATIONS if other == "spark" else arguments.iterations
        for contender in ("ours", other):
            yield Case(contender, other, problems[other], iterations)


# --- one run


def measure(case: Case, inputs: Path, rank: int, number: int, arguments: argparse.Namespace) -> dict[str, Any]:
    """Seconds, peak memory and objective of one run; a failure if it fails."""
    out = inputs / f"{case.contender}-{case.against}"
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir()
    log = inputs / "_logs" / f"{case.contender}-{case.against}-{rank}-{number}.log"
    case_name = {"contender": case.contender, "against": case.against}
    try:
        command, variables = command_of(case, inputs, out, rank, arguments)
    except (RuntimeError, OSError) as error:
        return {**case_name, "failure": str(error)}
    done: Run = common.run(command, log=log, timeout=arguments.timeout, environment=variables)
    if done.failure:
        return {**case_name, "failure": f"{done.failure}; see {log.relative_to(PROJECT)}"}
    seconds = json.loads((out / "seconds.json").read_text(encoding="utf-8"))["iterations"]
    users, movies = (np.load(inputs / f"{name}.npy") for name in ("users", "movies"))
    factors = [np.load(out / f"{name}.npy") for name in ("users", "movies")]
    shutil.rmtree(out)
    return {
        **case_name,
        "failure": None,
        "seconds": statistics.median(seconds[min(SETTLED, len(seconds)) - 1 :]),
        "all_seconds": sum(seconds),
        "iterations": len(seconds),
        "objective": objective(*factors, users, movies, case.problem) / len(users),
        "peak_memory_mb": done.peak_memory_mb,
    }


def command_of(
    case: Case, inputs: Path, out: Path, rank: int, arguments: argparse.Namespace
) -> tuple[list[Any], dict[str, str]]:
    """The command line of a contender and its environment variables."""
    problem, folder = case.problem, PROJECT / "benchmarks"
    options = ["--inputs", inputs, "--out", out, "--rank", rank, "--iterations", case.iterations]
    if case.contender == "spark":
        own = ["--alpha", 1 / problem.unobserved_weight, "--reg-param", problem.regularization]
        script = folder / "peer_spark_als.py"
        return spark_submit(out, arguments.cores, SPARK_HEAP_GB, JAVA_BLAS, [script, *options, *own])
    options += ["--threads", arguments.cores]
    if case.contender == "implicit":
        own = ["--confidence", problem.confidence, "--regularization", problem.regularization]
        return [environment("implicit"), folder / "peer_implicit_als.py", *options, *own], {"OPENBLAS_NUM_THREADS": "1"}
    own = ["--target", problem.target, "--unobserved-weight", problem.unobserved_weight, "--penalty", problem.penalty]
    own += ["--by-count"] if problem.by_count else []
    return [sys.executable, folder / "als_ours.py", *options, *own], {"PYTHONPATH": str(PROJECT / "src")}


def objective(
    user_factors: npt.NDArray[np.float32],
    movie_factors: npt.NDArray[np.float32],
    users: npt.NDArray[np.int32],
    movies: npt.NDArray[np.int32],
    problem: Problem,
) -> float:
    """F in float64; the sum over all pairs is that of the product of the Gram matrices, element by element.

    Args:
        user_factors, movie_factors: by index, shape (rows, rank).
        users, movies: the positives, shape (positives,).
        problem: what is minimised.
    """
    total = 0.0
    for first in range(0, len(users), BLOCK):
        part = slice(first, first + BLOCK)
        scores = np.einsum("ij,ij->i", user_factors[users[part]], movie_factors[movies[part]], dtype=np.float64)
        total += float(((problem.target - scores) ** 2).sum())
    grams, penalty = [], 0.0
    for factors, index in ((user_factors, users), (movie_factors, movies)):
        wide = factors.astype(np.float64)
        grams.append(wide.T @ wide)
        penalty += float(problem.penalties(index, len(factors)) @ (wide**2).sum(axis=1))
    return total + problem.unobserved_weight * float((grams[0] * grams[1]).sum()) + penalty


# --- the report


def outcome(one: Mapping[str, Any]) -> str:
    return one["failure"] or f"{one['seconds']:.3f} s per iteration, objective per positive {one['objective']:.6f}"


def summarise(runs: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The medians of each contender's successful runs, and the failures."""
    found = []
    for contender, against in dict.fromkeys((one["contender"], one["against"]) for one in runs):
        own = [one for one in runs if (one["contender"], one["against"]) == (contender, against)]
        good = [one for one in own if not one["failure"]]
        keys = ("seconds", "all_seconds", "iterations", "objective", "peak_memory_mb")
        figures = {key: common.median(one[key] for one in good) for key in keys}
        failures = [one["failure"] for one in own if one["failure"]]
        found.append({"contender": contender, "against": against, **figures, "failures": failures})
    return found


def report(found: Mapping[str, Any]) -> str:
    """All medians, and the ratios of each other contender to ours on the same problem."""
    rows, ratios, failures = [], [], []
    for result in found["results"]:
        where = [result["dataset"], result["rank"]]
        by_case = {(one["contender"], one["against"]): one for one in result["rows"]}
        for (contender, against), one in by_case.items():
            objective_text = None if one["objective"] is None else f"{one['objective']:.6f}"
            peak = one["peak_memory_mb"] and one["peak_memory_mb"] / 1024
            rows.append([*where, contender, against, one["seconds"], one["all_seconds"], one["iterations"],
                         objective_text, peak])  # fmt: skip
            failures += [f"- {result['dataset']}, rank {result['rank']}, {contender}: {why}" for why in one["failures"]]
            if contender != "ours":
                ratios.append([*where, contender, *ratio_cells(by_case["ours", against], one)])
    heads = ["", "rank", "contender", "problem of", "s per iteration", "s, all iterations", "iterations",
             "objective per positive", "peak memory, GB"]  # fmt: skip
    ratio_heads = ["", "rank", "compared with", "times as fast", "all iterations", "target", "",
                   "objective, ours/theirs", "no worse"]  # fmt: skip
    parts = [
        f"Medians of {found['repeats']} interleaved runs, unobserved weight {found['unobserved_weight']:g}; "
        f"{common.machine_line(found['machine'])}.\n",
        common.table(ratio_heads, ratios),
        common.table(heads, rows),
        *(["Runs that failed:\n" + "\n".join(failures) + "\n"] if failures else []),
    ]
    return "\n".join(parts)


def ratio_cells(ours: Mapping[str, Any], other: Mapping[str, Any]) -> list[Any]:
    """Times as fast, the same over all iterations, the target, whether it is met, and the ratio of the objectives."""
    target = TARGETS[other["contender"]]
    if not (ours["seconds"] and other["seconds"]):
        return [None, None, f"at least {target:g}", "", None, ""]
    ratio, of_objectives = other["seconds"] / ours["seconds"], ours["objective"] / other["objective"]
    return [
        ratio, other["all_seconds"] / ours["all_seconds"], f"at least {target:g}", target_text(ratio, target),
        f"{of_objectives:.6f}", "yes" if of_objectives <= NO_WORSE else "no",
    ]  # fmt: skip


if __name__ == "__main__":
    main()
