"""Measure how the time of our pipeline grows with the number of ratings and with the rank.

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
from common import RESULTS, log_line
from contenders import OUR_STEPS, BenchmarkSetup, ours
from exchange import interactions

LARGEST_EXPONENT = 1.05


def main() -> None:
    arguments = argument_parser().parse_args()
    found = {
        "machine": common.describe_machine(),
        "repeats": arguments.repeats,
        "sizes": [measure_size(size, arguments) for size in arguments.sizes],
        "ranks": [measure_rank(rank, arguments) for rank in arguments.ranks],
        "rank_dataset": dataset(arguments.rank_size),
    }
    found["exponents"] = exponents(found["sizes"])
    common.save(arguments.out, found, report(found))


def argument_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--sizes", nargs="*", default=["1m", "5m", "25m"], help="data sets of the registry, or 1m, 5m, 25m"
    )
    parser.add_argument("--ranks", nargs="*", type=int, default=[10, 50, 100, 200])
    parser.add_argument("--rank-size", default="5m", help="data set on which the ranks are compared")
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--cores", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--timeout", type=float, default=3600, help="seconds for each run")
    parser.add_argument("--config", nargs="*", default=["engine=native"], metavar="KEY=VALUE",
                       help="additional config of our pipeline (default: engine=native)")  # fmt: skip
    parser.add_argument("--out", type=Path, default=RESULTS / "growth", help="where the results go, without suffix")
    return parser


def dataset(size: str) -> str:
    return common.SIZES.get(size, size)


def setup_for(size: str, rank: int, arguments: argparse.Namespace) -> BenchmarkSetup:
    return BenchmarkSetup(
        dataset=dataset(size),
        scratch=RESULTS / "_scratch" / dataset(size),
        cores=arguments.cores,
        timeout=arguments.timeout,
        model={"rank": rank, "iterations": 10, "reg_param": 0.1, "top_n": 10},
        config=dict(pair.split("=", 1) for pair in arguments.config),
    )


def measure_size(size: str, arguments: argparse.Namespace) -> dict[str, Any]:
    setup = setup_for(size, 50, arguments)
    return {
        "dataset": setup.dataset,
        **median_run(setup, arguments.repeats),
        "ratings": len(interactions(setup.lakehouse)),
    }


def measure_rank(rank: int, arguments: argparse.Namespace) -> dict[str, Any]:
    return {"rank": rank, **median_run(setup_for(arguments.rank_size, rank, arguments), arguments.repeats)}


def median_run(setup: BenchmarkSetup, repeats: int) -> dict[str, Any]:
    """Medians over several runs of ours.

    Raises:
        RuntimeError: if a run fails.
    """
    common.prepare_bronze(setup.dataset, setup.lakehouse, setup.cores)
    outcomes = []
    for number in range(repeats):
        one = ours(setup, number)
        if one.run.failure:
            raise RuntimeError(f"{setup.dataset}: {one.run.failure}; see {one.run.log}")
        log_line(f"{setup.dataset}, rank {setup.model['rank']}: {one.run.seconds} s")
        outcomes.append(one)
    return {
        "seconds": common.median(one.run.seconds for one in outcomes),
        "peak_memory_mb": common.median(one.run.peak_memory_mb for one in outcomes),
        "stages": {step: common.median(one.stages[step] for one in outcomes) for step in OUR_STEPS},
        "rmse": common.median(one.facts["rmse"] for one in outcomes),
    }


def slope(points: Iterable[tuple[float, float]]) -> float | None:
    """The least-squares slope of log(y) over log(x); None with fewer than two points."""
    logs = [(math.log(x), math.log(y)) for x, y in points]
    if len(logs) < 2:
        return None
    mean_x, mean_y = (sum(column) / len(logs) for column in zip(*logs, strict=True))
    return sum((x - mean_x) * (y - mean_y) for x, y in logs) / sum((x - mean_x) ** 2 for x, _ in logs)


def exponents(sizes: Sequence[Mapping[str, Any]]) -> dict[str, float | None]:
    """The exponents of the whole pipeline and of each step."""
    steps = {step: slope((one["ratings"], one["stages"][step]) for one in sizes) for step in OUR_STEPS}
    return {"whole": slope((one["ratings"], one["seconds"]) for one in sizes), **steps}


def report(found: Mapping[str, Any]) -> str:
    parts = [f"Medians of {found['repeats']} runs, {common.machine_line(found['machine'])}.\n"]
    if found["sizes"]:
        rows = [
            [one["dataset"], f"{one['ratings']:,}", one["seconds"], *one["stages"].values(), gigabytes(one)]
            for one in found["sizes"]
        ]
        growth = found["exponents"]
        rows.append(["exponent", None, growth["whole"], *(growth[step] for step in OUR_STEPS), None])
        parts.append(common.table(["", "ratings", "whole, s", *OUR_STEPS, "peak memory, GB"], rows))
        if growth["whole"] is not None:
            target_text = "met" if growth["whole"] <= LARGEST_EXPONENT else "missed"
            parts.append(f"Exponent of the whole at most {LARGEST_EXPONENT}: {target_text}.\n")
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
