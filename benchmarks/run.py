"""Compare our pipeline with a straightforward PySpark pipeline, LensKit and implicit on the same data.

    python benchmarks/run.py --dataset generated-1m --repeats 3
    python benchmarks/run.py --dataset ml-25m --only ours spark --repeats 1

The contenders run alternately; figures are medians. A contender that fails or times out is reported as failed.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import common
from common import RESULTS, log_line
from contenders import CONTENDERS, BenchmarkSetup, Outcome
from exchange import export
from reporting import report

from reco_platform.core.errors import RecoError


def main() -> None:
    arguments = argument_parser().parse_args()
    setup = setup_from(arguments)
    common.prepare_bronze(setup.dataset, setup.lakehouse, setup.cores)
    if "ours" not in arguments.only and not setup.inputs.is_dir():
        raise SystemExit("the common input comes from a run of ours: add ours to --only once")
    found = {
        "machine": common.describe_machine(),
        "dataset": setup.dataset,
        "repeats": arguments.repeats,
        "model": setup.model,
        "config": setup.config,
        "runs": run_in_turns(setup, arguments.only, arguments.repeats),
    }
    common.save(arguments.out or RESULTS / setup.dataset, found, report(found))


def argument_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", default="generated-1m", help="an entry of config/datasets.yaml, or 1m, 5m, 25m")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--only", nargs="+", choices=list(CONTENDERS), default=list(CONTENDERS), metavar="NAME",
                       help=f"which contenders run: {', '.join(CONTENDERS)}")  # fmt: skip
    parser.add_argument("--cores", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--timeout", type=float, default=3600, help="seconds for each run")
    parser.add_argument("--rank", type=int, default=50)
    parser.add_argument("--iterations", type=int, default=10)
    parser.add_argument("--reg-param", type=float, default=0.1)
    parser.add_argument("--top-n", type=int, default=10)
    parser.add_argument("--config", nargs="*", default=["engine=native"], metavar="KEY=VALUE",
                       help="additional config of our pipeline (default: engine=native)")  # fmt: skip
    parser.add_argument("--out", type=Path, help="where the results go, without suffix")
    return parser


def setup_from(arguments: argparse.Namespace) -> BenchmarkSetup:
    dataset = common.SIZES.get(arguments.dataset, arguments.dataset)
    return BenchmarkSetup(
        dataset=dataset,
        scratch=RESULTS / "_scratch" / dataset,
        cores=arguments.cores,
        timeout=arguments.timeout,
        model={key: getattr(arguments, key) for key in ("rank", "iterations", "reg_param", "top_n")},
        config=dict(pair.split("=", 1) for pair in arguments.config),
    )


def run_in_turns(setup: BenchmarkSetup, names: Sequence[str], repeats: int) -> dict[str, list[Mapping[str, Any]]]:
    """Runs each contender `repeats` times, alternately; ours first, since the others use its results as input."""
    runs: dict[str, list[Mapping[str, Any]]] = {name: [] for name in CONTENDERS if name in names}
    for number in range(repeats):
        for name, done in runs.items():
            outcome = attempt(setup, name, number)
            done.append(outcome)
            if name == "ours" and number == 0 and not outcome["failure"]:
                export(setup.lakehouse, setup.inputs)
            quality = f", RMSE {outcome['rmse']:.4f}" if "rmse" in outcome else ""
            log_line(f"{name} {number + 1}: {outcome['failure'] or str(outcome['seconds']) + ' s'}{quality}")
    return runs


def attempt(setup: BenchmarkSetup, name: str, number: int) -> dict[str, Any]:
    """One run; a contender that cannot start counts as a failed run, with the reason."""
    try:
        outcome: Outcome = CONTENDERS[name](setup, number)
    except (RuntimeError, OSError, RecoError) as error:
        return {"failure": str(error), "stages": {}}
    return outcome.summary()


if __name__ == "__main__":
    main()
