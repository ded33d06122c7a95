"""The long campaign: hostile files against an oracle, kills at random moments, damages and their repair.

make torture
PYTHONPATH=tests .venv/bin/python tests/chaos/campaign.py --seed 7 --files 20000 --moments 20
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

from chaos import crashes as crashing
from chaos import damages, fuzzing

FORMATS = ("delta", "parquet")


@dataclass(frozen=True)
class Verdict:
    """What one part came to.

    Attributes:
        name: in words.
        caused: faults, or files.
        wrong: of these; a rerun, a repair or a count that is not what it has to be.
        lines: more about it.
    """

    name: str
    caused: int
    wrong: int
    lines: tuple[str, ...]


def say(text: str) -> None:
    print(text, flush=True)


def killed(seed: int, moments: int, storage_format: str, folder: Path) -> Verdict:
    found = crashing.campaign(seed, moments, storage_format, folder, say)
    return Verdict(f"kills, {storage_format}", found.moments, len(found.failures), tuple(found.lines()))


def damaged(storage_format: str, folder: Path) -> Verdict:
    rows = damages.table(folder, storage_format, say)
    wrong = [row for row in rows if not row.repaired]
    deep = sum(not row.shallow for row in rows)
    lines = (f"{len(rows)} damages found and repaired by the command printed, {deep} of them only by --deep",)
    return Verdict(f"damages, {storage_format}", len(rows), len(wrong), lines + tuple(map(str, wrong)))


def fuzzed(seed: int, numbers: range) -> Verdict:
    found = fuzzing.campaign(seed, numbers, say)
    lines = (
        f"{found.files:,} files of {found.rows:,} rows, {found.rejected:,} rejected; {found.refused:,} files refused, "
        f"{found.stopped:,} stopped by max_reject_share",
        *(f"{each.path}: {each.what}" for each in found.different),
    )
    return Verdict(f"hostile files, from {numbers.start + 1:,}", found.files, len(found.different), lines)


def parts(seed: int, files: int, moments: int, folder: Path) -> list[tuple[Callable[..., Verdict], tuple[object, ...]]]:
    """The parts, the longest first."""
    half = {"delta": moments - moments // 2, "parquet": moments // 2}
    return [
        *((killed, (seed + number, half[one], one, folder / f"kills-{one}")) for number, one in enumerate(FORMATS)),
        *((damaged, (one, folder / f"damages-{one}")) for one in FORMATS),
        (fuzzed, (seed, range(files // 2))),
        (fuzzed, (seed, range(files // 2, files))),
    ]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=1, help="of files and moments (default: 1)")
    parser.add_argument("--files", type=int, default=10_000, help="hostile CSV files (default: 10000)")
    parser.add_argument("--moments", type=int, default=100, help="kills, half of them with Delta (default: 100)")
    parser.add_argument("--workers", type=int, default=2, help="parts side by side (default: 2)")
    given, begun = parser.parse_args(), time.monotonic()
    with tempfile.TemporaryDirectory(prefix="torture-") as folder, ProcessPoolExecutor(given.workers) as pool:
        running: list[Future[Verdict]] = [
            pool.submit(part, *arguments)
            for part, arguments in parts(given.seed, given.files, given.moments, Path(folder))
        ]
        for done in as_completed(running):
            say(f"[torture] {done.result().name}: done after {time.monotonic() - begun:.0f} s")
    verdicts = [one.result() for one in running]
    for verdict in verdicts:
        say("\n".join([verdict.name, *(f"  {line}" for line in verdict.lines)]))
    say(f"\n{'':26} {'caused':>8} {'wrong':>6}")
    for verdict in verdicts:
        say(f"{verdict.name:26} {verdict.caused:8,} {verdict.wrong:6,}")
    say(f"seed {given.seed}, {(time.monotonic() - begun) / 60:.1f} min")
    return 1 if any(verdict.wrong for verdict in verdicts) else 0


if __name__ == "__main__":
    sys.exit(main())
