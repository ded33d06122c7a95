"""Compare the training kernel with the limits of the machine: gathering of factors alone, and a matrix product.

    python benchmarks/kernel.py --inputs results/benchmarks/_scratch/generated-1m/inputs --ranks 10 50 100 200

An iteration reads a row of factors twice for each rating. Gathering these rows alone, by the same columns and with as
many threads, is a lower bound of its time. The input is written by run.py.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import common
import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq
from common import RESULTS, log_line

from reco_platform.models.als import native
from reco_platform.models.als.ratings import Ratings, SparseRows, ratings

GATHER_ROWS = 4096
COPY_BYTES = 1 << 28
PRODUCT = 3072
SETTLED = 4
"""The first iterations take more steps; iterations from this one on are measured."""


def main() -> None:
    arguments = argument_parser().parse_args()
    rates = measure_rates(arguments.threads)
    log_line(f"machine: {rates}")
    started = time.perf_counter()
    prepared = read(arguments.inputs)
    prepare_seconds = time.perf_counter() - started
    found: dict[str, Any] = {
        "machine": {**common.describe_machine(), **rates},
        "ratings": len(prepared),
        "read_and_prepare_seconds": prepare_seconds,
        "kernel": [profile(prepared, rank, arguments, rates) for rank in arguments.ranks],
    }
    common.save(arguments.out, found, report(found))


def argument_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--inputs", type=Path, required=True, help="folder with interactions.parquet")
    parser.add_argument("--ranks", nargs="+", type=int, default=[10, 50, 100, 200])
    parser.add_argument("--iterations", type=int, default=10)
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--out", type=Path, default=RESULTS / "kernel", help="where the results go, without suffix")
    return parser


def read(inputs: Path) -> Ratings:
    """The training ratings by user and by movie."""
    rows = pq.read_table(inputs / "interactions.parquet", filters=pc.field("fold") != "test")
    return ratings(*(rows[name].to_numpy() for name in ("user_index", "movie_index", "rating")))


def profile(
    prepared: Ratings, rank: int, arguments: argparse.Namespace, machine: Mapping[str, float]
) -> dict[str, Any]:
    """Seconds per iteration of each solver and of gathering alone, at one rank."""
    width = native.padded_width(rank)
    gather = sum(gather_seconds(rows, width, arguments.threads) for rows in (prepared.by_user, prepared.by_movie))
    found: dict[str, Any] = {"rank": rank, "gather_seconds": gather}
    for solver in ("cg", "cholesky"):
        seconds, objective = iteration_seconds(prepared, rank, solver, arguments)
        # A multiply-add counts twice. cholesky: the upper triangle of V'V; both: V x, V'(r - V x) and the diagonal.
        operations = 2 * len(prepared) * (6 * width + (width * width if solver == "cholesky" else 0))
        if solver == "cg":
            operations += 2 * len(prepared) * 4 * width * native.MAX_STEPS
        found[solver] = {
            "seconds": seconds,
            "objective": objective,
            "gflops_at_most": operations / seconds / 1e9,
            "share_of_product_at_most": operations / seconds / 1e9 / machine["product_gflops"],
            "share_spent_gathering": gather / seconds,
        }
        log_line(f"rank {rank}, {solver}: {seconds:.2f} s per iteration, gathering alone {gather:.2f} s")
    return found


def iteration_seconds(prepared: Ratings, rank: int, solver: Any, arguments: argparse.Namespace) -> tuple[float, float]:
    """The median of the measured iterations, including a copy of the factors for the callback, and the objective."""
    moments: list[float] = []
    ended = native.train(
        prepared, rank=rank, max_iter=arguments.iterations, reg_param=0.1, seed=42, threads=arguments.threads,
        solver=solver, callback=lambda *_: moments.append(time.perf_counter()),
    )  # fmt: skip
    spans = np.diff(moments)[min(SETTLED, len(moments) - 1) - 1 :]
    return float(np.median(spans)), float(ended.objective[-1])


def gather_seconds(rows: SparseRows, width: int, threads: int) -> float:
    """Seconds to copy the other side's row of factors of each rating into a small buffer."""
    fixed = np.ones((int(rows.columns.max()) + 1, width), np.float32)
    parts = np.array_split(rows.columns, threads)

    def gather(columns: np.ndarray) -> None:
        buffer = np.empty((GATHER_ROWS, width), np.float32)
        for first in range(0, len(columns), GATHER_ROWS):
            taken = columns[first : first + GATHER_ROWS]
            np.take(fixed, taken, axis=0, out=buffer[: len(taken)], mode="clip")

    return best_seconds(lambda pool: list(pool.map(gather, parts)), threads)


def best_seconds(work: Callable[[ThreadPoolExecutor], Any], threads: int, times: int = 3) -> float:
    """The minimum of seconds over several tries, in a pool of threads."""
    seconds = []
    with ThreadPoolExecutor(threads) as pool:
        for _ in range(times):
            started = time.perf_counter()
            work(pool)
            seconds.append(time.perf_counter() - started)
    return min(seconds)


def measure_rates(threads: int) -> dict[str, float]:
    """Bytes per second of a copy (reads plus writes), and float32 operations per second of a matrix product."""
    source, target = np.ones((2, COPY_BYTES), np.uint8)
    parts = list(zip(np.array_split(target, threads), np.array_split(source, threads), strict=True))
    copying = best_seconds(lambda pool: list(pool.map(lambda pair: np.copyto(*pair), parts)), threads)
    square = np.ones((PRODUCT, PRODUCT), np.float32)
    product = best_seconds(lambda _: square @ square, 1)
    return {
        "copy_gb_per_second": round(2 * COPY_BYTES / copying / 1e9, 1),
        "product_gflops": round(2 * PRODUCT**3 / product / 1e9, 1),
    }


def report(found: Mapping[str, Any]) -> str:
    machine = found["machine"]
    rows = [
        [one["rank"], solver, part["seconds"], one["gather_seconds"], f"{part['share_spent_gathering']:.0%}",
         part["gflops_at_most"], f"{part['share_of_product_at_most']:.0%}", f"{part['objective']:,.0f}"]
        for one in found["kernel"] for solver in ("cg", "cholesky") for part in [one[solver]]
    ]  # fmt: skip
    heads = ["rank", "solver", "s per iteration", "gathering alone, s", "its share", "GFLOP/s at most",
             "of a matrix product's", "objective"]  # fmt: skip
    return (
        f"{found['ratings']:,} ratings, read and prepared in {found['read_and_prepare_seconds']:.1f} s; "
        f"{common.machine_line(machine)}; copies {machine['copy_gb_per_second']} GB/s, "
        f"matrix product {machine['product_gflops']} GFLOP/s.\n\n{common.table(heads, rows)}"
    )


if __name__ == "__main__":
    main()
