"""Compare the results of lakehouses: exit with 1 unless both hold the same artifacts with equal fingerprints.

    python tools/compare_lakehouses.py BEFORE AFTER

BEFORE and AFTER are lakehouse folders, or folders of several (results/). What a result was made from (parameters, code
digest) is not compared, only what it holds: path, format, version, rows, schema and fingerprint.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

COMPARED = ("kind", "path", "format", "version", "rows", "schema_hash", "fingerprint")
SUFFIX = ".receipt.json"


def results(root: Path) -> dict[str, dict[str, object]]:
    """What each receipt below a folder says of its content, by its path."""
    found = {}
    for path in sorted(root.rglob(f"*{SUFFIX}")):
        receipt = json.loads(path.read_text(encoding="utf-8"))
        found[str(path.relative_to(root)).removesuffix(SUFFIX)] = {key: receipt.get(key) for key in COMPARED}
    return found


def differences(before: dict[str, dict[str, object]], after: dict[str, dict[str, object]]) -> list[str]:
    """One line for each artifact that only one side has, or whose content differs."""
    lines = [f"{name}: only in BEFORE" for name in before.keys() - after.keys()]
    lines += [f"{name}: only in AFTER" for name in after.keys() - before.keys()]
    for name in before.keys() & after.keys():
        lines += [
            f"{name}: {key} {before[name][key]!r} -> {after[name][key]!r}"
            for key in COMPARED
            if before[name][key] != after[name][key]
        ]
    return sorted(lines)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("before", type=Path)
    parser.add_argument("after", type=Path)
    arguments = parser.parse_args(argv)
    before, after = results(arguments.before), results(arguments.after)
    if not before:
        print(
            f"[ERROR] {arguments.before} holds no receipts\n  -> name a lakehouse such as results/demo", file=sys.stderr
        )
        return 2
    lines = differences(before, after)
    print("\n".join([*lines, f"{len(before)} artifacts before, {len(after)} after, {len(lines)} differences"]))
    return 1 if lines else 0


if __name__ == "__main__":
    sys.exit(main())
