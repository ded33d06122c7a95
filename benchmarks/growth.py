"""How the time of our pipeline grows with the number of ratings and with the rank.

    python benchmarks/growth.py --sizes 1m 5m 25m --ranks 10 50 100 200 --rank-size 5m

The exponent is the slope of log(seconds) over log(ratings) by least squares: 1 is linear growth.
"""

from __future__ import annotations

import argparse
import math
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import common
from common import RESULTS, note
from contenders import OURS_STEPS, Bench, ours
from exchange import interactions

LARGEST_EXPONENT = 1.05


def main() -> None:
    arguments = parser().parse_args()
    found = {
        "machine": common.machine(),
        "repeats": arguments.repeats,
        "sizes": [of_size(size, arguments) for size in arguments.sizes],
        "ranks": [of_rank(rank, arguments) for rank in arguments.ranks],
        "rank_dataset": dataset(arguments.rank_size),
    }
    found["exponents"] = exponents(found["sizes"])
    common.save(arguments.out, found, report(found))


def parser() -> argparse.ArgumentParser:
    shape = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    shape.add_argument("--sizes", nargs="*", default=["1m", "5m", "25m"], help="data sets of registry, or 1m, 5m, 25m")
    shape.add_argument("--ranks", nargs="*", type=int, default=[10, 50, 100, 200])
    shape.add_argument("--rank-size", default="5m", help="data set on which the ranks are compared")
    shape.add_argument("--repeats", type=int, default=1)
    shape.add_argument("--cores", type=int, default=os.cpu_count() or 1)
    shape.add_argument("--timeout", type=float, default=3600, help="seconds for each run")
    shape.add_argument("--config", nargs="*", default=["engine=native"], metavar="KEY=VALUE",
                       help="further settings of our pipeline (default: engine=native)")  # fmt: skip
    shape.add_argument("--out", type=Path, default=RESULTS / "growth", help="where the results go, without suffix")
    return shape


def dataset(size: str) -> str:
    return common.SIZES.get(size, size)


def bench_of(size: str, rank: int, arguments: argparse.Namespace) -> Bench:
    return Bench(
        dataset=dataset(size),
        scratch=RESULTS / "_scratch" / dataset(size),
        cores=arguments.cores,
        timeout=arguments.timeout,
        model={"rank": rank, "iterations": 10, "reg_param": 0.1, "top_n": 10},
        config=dict(pair.split("=", 1) for pair in arguments.config),
    )


def of_size(size: str, arguments: argparse.Namespace) -> dict[str, Any]:
    bench = bench_of(size, 50, arguments)
    return {
        "dataset": bench.dataset,
        **typical(bench, arguments.repeats),
        "ratings": len(interactions(bench.lakehouse)),
    }


def of_rank(rank: int, arguments: argparse.Namespace) -> dict[str, Any]:
    return {"rank": rank, **typical(bench_of(arguments.rank_size, rank, arguments), arguments.repeats)}


def typical(bench: Bench, repeats: int) -> dict[str, Any]:
    """Medians over some runs of ours.

    Raises:
        RuntimeError: if a run fails.
    """
    common.prepare_bronze(bench.dataset, bench.lakehouse, bench.cores)
    outcomes = []
    for number in range(repeats):
        one = ours(bench, number)
        if one.run.failure:
            raise RuntimeError(f"{bench.dataset}: {one.run.failure}; see {one.run.log}")
        note(f"{bench.dataset}, rank {bench.model['rank']}: {one.run.seconds} s")
        outcomes.append(one)
    return {
        "seconds": common.median(one.run.seconds for one in outcomes),
        "peak_memory_mb": common.median(one.run.peak_memory_mb for one in outcomes),
        "stages": {step: common.median(one.stages[step] for one in outcomes) for step in OURS_STEPS},
        "rmse": common.median(one.facts["rmse"] for one in outcomes),
    }


def slope(points: Iterable[tuple[float, float]]) -> float | None:
    """The least-squares slope of log(y) over log(x); None of fewer than two points."""
    logs = [(math.log(x), math.log(y)) for x, y in points]
    if len(logs) < 2:
        return None
    mean_x, mean_y = (sum(column) / len(logs) for column in zip(*logs, strict=True))
    return sum((x - mean_x) * (y - mean_y) for x, y in logs) / sum((x - mean_x) ** 2 for x, _ in logs)


def exponents(sizes: Sequence[Mapping[str, Any]]) -> dict[str, float | None]:
    """Of the whole pipeline and of each step."""
    steps = {step: slope((one["ratings"], one["stages"][step]) for one in sizes) for step in OURS_STEPS}
    return {"whole": slope((one["ratings"], one["seconds"]) for one in sizes), **steps}


def report(found: Mapping[str, Any]) -> str:
    parts = [f"Medians of {found['repeats']} runs, {common.machine_line(found['machine'])}.\n"]
    if found["sizes"]:
        rows = [
            [one["dataset"], f"{one['ratings']:,}", one["seconds"], *one["stages"].values(), gigabytes(one)]
            for one in found["sizes"]
        ]
        growth = found["exponents"]
        rows.append(["exponent", None, growth["whole"], *(growth[step] for step in OURS_STEPS), None])
        parts.append(common.table(["", "ratings", "whole, s", *OURS_STEPS, "peak memory, GB"], rows))
        if growth["whole"] is not None:
            held = "held" if growth["whole"] <= LARGEST_EXPONENT else "missed"
            parts.append(f"Exponent of the whole at most {LARGEST_EXPONENT}: {held}.\n")
    if found["ranks"]:
        parts.append(f"By rank, on {found['rank_dataset']}:\n")
        ranks = [
            [one["rank"], one["stages"]["train_als"], one["stages"]["recommend"], gigabytes(one), f"{one['rmse']:.4f}"]
            for one in found["ranks"]
        ]
        parts.append(common.table(["rank", "train_als, s", "recommend, s", "peak memory, GB", "RMSE"], ranks))
    return "\n".join(parts)


def gigabytes(one: Mapping[str, Any]) -> float:
    return float(one["peak_memory_mb"]) / 1024


if __name__ == "__main__":
    main()
