"""The chaos campaign: hostile files against an oracle, kills at random times, damages and their repair.

make chaos
PYTHONPATH=tests .venv/bin/python tests/chaos/campaign.py --seed 7 --files 20000 --kills 20
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

from chaos import crashes, damages, fuzzing

FORMATS = ("delta", "parquet")


@dataclass(frozen=True)
class PartResult:
    """The result of one part of the campaign.

    Attributes:
        name: of the part.
        faults: number of faults or files.
        failures: number of those after which a rerun, a repair or a count was wrong.
        lines: details.
    """

    name: str
    faults: int
    failures: int
    lines: tuple[str, ...]


def log(text: str) -> None:
    print(text, flush=True)


def run_kills(seed: int, kills: int, storage_format: str, folder: Path) -> PartResult:
    result = crashes.campaign(seed, kills, storage_format, folder, log)
    return PartResult(f"kills, {storage_format}", result.kills, len(result.failures), tuple(result.lines()))


def run_damages(storage_format: str, folder: Path) -> PartResult:
    rows = damages.repair_all(folder, storage_format, log)
    failures = [row for row in rows if not row.repaired]
    deep = sum(not row.shallow for row in rows)
    lines = (f"{len(rows)} damages, repaired by the command that validate printed; {deep} found by --deep only",)
    return PartResult(f"damages, {storage_format}", len(rows), len(failures), lines + tuple(map(str, failures)))


def run_fuzzing(seed: int, numbers: range) -> PartResult:
    result = fuzzing.campaign(seed, numbers, log)
    lines = (
        f"{result.files:,} files of {result.rows:,} rows, {result.rejected:,} rejected; {result.refused:,} files "
        f"refused, {result.stopped:,} stopped by max_reject_share",
        *(f"{mismatch.path}: {mismatch.description}" for mismatch in result.mismatches),
    )
    return PartResult(f"hostile files, from {numbers.start + 1:,}", result.files, len(result.mismatches), lines)


def parts(
    seed: int, files: int, kills: int, folder: Path
) -> list[tuple[Callable[..., PartResult], tuple[object, ...]]]:
    """The parts as functions and arguments, the longest first."""
    kills_by_format = {"delta": kills - kills // 2, "parquet": kills // 2}
    return [
        *(
            (run_kills, (seed + number, kills_by_format[name], name, folder / f"kills-{name}"))
            for number, name in enumerate(FORMATS)
        ),
        *((run_damages, (name, folder / f"damages-{name}")) for name in FORMATS),
        (run_fuzzing, (seed, range(files // 2))),
        (run_fuzzing, (seed, range(files // 2, files))),
    ]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=1, help="of files and kills (default: 1)")
    parser.add_argument("--files", type=int, default=10_000, help="hostile CSV files (default: 10000)")
    parser.add_argument("--kills", type=int, default=100, help="kills, half of them with Delta (default: 100)")
    parser.add_argument("--workers", type=int, default=2, help="parts that run in parallel (default: 2)")
    arguments, start = parser.parse_args(), time.monotonic()
    with tempfile.TemporaryDirectory(prefix="chaos-") as folder, ProcessPoolExecutor(arguments.workers) as pool:
        running: list[Future[PartResult]] = [
            pool.submit(part, *part_arguments)
            for part, part_arguments in parts(arguments.seed, arguments.files, arguments.kills, Path(folder))
        ]
        for done in as_completed(running):
            log(f"[chaos] {done.result().name}: done after {time.monotonic() - start:.0f} s")
    results = [future.result() for future in running]
    for result in results:
        log("\n".join([result.name, *(f"  {line}" for line in result.lines)]))
    log(f"\n{'':26} {'faults':>8} {'failures':>8}")
    for result in results:
        log(f"{result.name:26} {result.faults:8,} {result.failures:8,}")
    log(f"seed {arguments.seed}, {(time.monotonic() - start) / 60:.1f} min")
    return 1 if any(result.failures for result in results) else 0


if __name__ == "__main__":
    sys.exit(main())
