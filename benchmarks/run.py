"""Our pipeline beside a straightforward PySpark pipeline, LensKit and implicit, in one invocation on the same data.

    python benchmarks/run.py --dataset generated-1m --repeats 3
    python benchmarks/run.py --dataset ml-25m --only ours spark --repeats 1

The contenders take turns; figures are medians. A contender that fails or runs out of time is reported as such.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import common
from common import RESULTS, note
from contenders import CONTENDERS, Bench, Outcome
from exchange import export
from reporting import report

from reco_platform.core.errors import RecoError


def main() -> None:
    arguments = parser().parse_args()
    bench = bench_from(arguments)
    common.prepare_bronze(bench.dataset, bench.lakehouse, bench.cores)
    if "ours" not in arguments.only and not bench.inputs.is_dir():
        raise SystemExit("the common input is made by a run of ours: add ours to --only once")
    found = {
        "machine": common.machine(),
        "dataset": bench.dataset,
        "repeats": arguments.repeats,
        "model": bench.model,
        "config": bench.config,
        "runs": in_turns(bench, arguments.only, arguments.repeats),
    }
    common.save(arguments.out or RESULTS / bench.dataset, found, report(found))


def parser() -> argparse.ArgumentParser:
    shape = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    shape.add_argument("--dataset", default="generated-1m", help="an entry of config/datasets.yaml, or 1m, 5m, 25m")
    shape.add_argument("--repeats", type=int, default=3)
    shape.add_argument("--only", nargs="+", choices=list(CONTENDERS), default=list(CONTENDERS), metavar="NAME",
                       help=f"which contenders run: {', '.join(CONTENDERS)}")  # fmt: skip
    shape.add_argument("--cores", type=int, default=os.cpu_count() or 1)
    shape.add_argument("--timeout", type=float, default=3600, help="seconds for each run")
    shape.add_argument("--rank", type=int, default=50)
    shape.add_argument("--iterations", type=int, default=10)
    shape.add_argument("--reg-param", type=float, default=0.1)
    shape.add_argument("--top-n", type=int, default=10)
    shape.add_argument("--config", nargs="*", default=["engine=native"], metavar="KEY=VALUE",
                       help="further settings of our pipeline (default: engine=native)")  # fmt: skip
    shape.add_argument("--out", type=Path, help="where the results go, without suffix")
    return shape


def bench_from(arguments: argparse.Namespace) -> Bench:
    dataset = common.SIZES.get(arguments.dataset, arguments.dataset)
    return Bench(
        dataset=dataset,
        scratch=RESULTS / "_scratch" / dataset,
        cores=arguments.cores,
        timeout=arguments.timeout,
        model={key: getattr(arguments, key) for key in ("rank", "iterations", "reg_param", "top_n")},
        config=dict(pair.split("=", 1) for pair in arguments.config),
    )


def in_turns(bench: Bench, names: Sequence[str], repeats: int) -> dict[str, list[Mapping[str, Any]]]:
    """Runs each contender `repeats` times, in turns; ours first, for the others work on what it leaves."""
    runs: dict[str, list[Mapping[str, Any]]] = {name: [] for name in CONTENDERS if name in names}
    for number in range(repeats):
        for name, done in runs.items():
            outcome = attempt(bench, name, number)
            done.append(outcome)
            if name == "ours" and number == 0 and not outcome["failure"]:
                export(bench.lakehouse, bench.inputs)
            quality = f", RMSE {outcome['rmse']:.4f}" if "rmse" in outcome else ""
            note(f"{name} {number + 1}: {outcome['failure'] or str(outcome['seconds']) + ' s'}{quality}")
    return runs


def attempt(bench: Bench, name: str, number: int) -> dict[str, Any]:
    """One run; what cannot even start counts as a failed run, with its reason."""
    try:
        outcome: Outcome = CONTENDERS[name](bench, number)
    except (RuntimeError, OSError, RecoError) as error:
        return {"failure": str(error), "stages": {}}
    return outcome.summary()


if __name__ == "__main__":
    main()
