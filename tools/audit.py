"""Known vulnerabilities of the locked packages, by pip-audit, which asks PyPI (or OSV) for each of them.

make audit
.venv/bin/python tools/audit.py envs/runtime.txt --service osv
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from reco_platform.core import terminal
from reco_platform.core.errors import DataError, EnvironmentProblemError, report_errors

LOCKS = ("envs/runtime.txt", "envs/dev.txt", "envs/airflow.txt")
SECONDS = 10  # for each answer
ELSEWHERE = "run it where pypi.org or api.osv.dev can be reached: make audit, or make audit ARGS='--service osv'"


def report_of(lock: str, service: str) -> list[dict[str, Any]]:
    """What pip-audit found of each package of a lock; nothing is installed or downloaded but that.

    Raises:
        EnvironmentProblemError: it could not ask.
    """
    command = [
        str(Path(sys.executable).with_name("pip-audit")), "--require-hashes", "--disable-pip", "-r", lock,
        "--vulnerability-service", service, "--timeout", str(SECONDS), "--format", "json", "--progress-spinner", "off",
    ]  # fmt: skip
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    try:
        found: list[dict[str, Any]] = json.loads(ran.stdout)["dependencies"]
    except (ValueError, KeyError) as error:
        lines = ran.stderr.strip().splitlines() or ["it said nothing"]
        raise EnvironmentProblemError(f"{lock} was not checked: {lines[-1]}", ELSEWHERE) from error
    return found


def verdict(packages: Iterable[dict[str, Any]]) -> str:
    """What pip-audit's findings mean; a package that it could not look up counts as not checked.

    Raises:
        DataError: if a package has a known vulnerability.
        EnvironmentProblemError: if not every package was looked up.
    """
    every = list(packages)
    known = [line for one in every for line in lines_of(one)]
    skipped = [one for one in every if "skip_reason" in one]
    if known:
        raise DataError(
            "\n".join(["known vulnerabilities:", *known]), "raise the versions in envs/*.in, then: make lock"
        )
    if skipped or not every:
        why = f"; of {skipped[0]['name']}: {skipped[0]['skip_reason']}" if skipped else ""
        raise EnvironmentProblemError(f"{len(skipped)} of {len(every)} packages could not be looked up{why}", ELSEWHERE)
    return f"[audit] {len(every)} packages, no known vulnerability"


def lines_of(package: dict[str, Any]) -> list[str]:
    """A line for each vulnerability of a package."""
    return [
        f"  {package['name']} {package['version']}: {one['id']}, mended in {', '.join(one['fix_versions']) or 'none'}"
        for one in package.get("vulns", [])
    ]


@report_errors
def main() -> int:
    parser = argparse.ArgumentParser(
        prog="tools/audit.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("locks", nargs="*", default=LOCKS, help="lock files (default: all that make setup installs)")
    parser.add_argument("--service", choices=("pypi", "osv"), default="pypi", help="whom to ask (default: pypi)")
    arguments = parser.parse_args()
    print(verdict(package for lock in arguments.locks for package in report_of(lock, arguments.service)))
    return 0


if __name__ == "__main__":
    terminal.prepare()
    sys.exit(main())
