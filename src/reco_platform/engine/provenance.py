"""Provenance: when, on what and why a step ran, in a file beside each receipt, and what changed since the last run."""

from __future__ import annotations

import json
import platform
import shutil
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from reco_platform.core.errors import TableError
from reco_platform.core.resource_usage import peak_memory_mb
from reco_platform.engine.code.digest import changed_parts, code_parts
from reco_platform.engine.step import Step
from reco_platform.engine.task import LAST, Task
from reco_platform.lakehouse import receipts, tables
from reco_platform.lakehouse.receipts import PROVENANCE, RECEIPT

MAX_NAMED = 10
"""Maximum number of changed definitions that a message lists."""

FIRST_RUN, UNCHANGED = "first run", "requested again, nothing changed"


def provenance_path(receipt: Path) -> Path:
    return receipt.with_name(receipt.name.replace(RECEIPT, PROVENANCE))


def provenance(started: float) -> dict[str, Any]:
    """The facts that differ between runs: time, duration, environment."""
    return {
        "started": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(started)),
        "seconds": round(time.time() - started, 2),
        "python": platform.python_version(),
        "peak_memory_mb": peak_memory_mb(),
        "git_commit": git_commit(),
    }


def git_commit() -> str | None:
    git = shutil.which("git")
    if git is None:
        return None
    found = subprocess.run([git, "rev-parse", "HEAD"], capture_output=True, text=True, check=False)
    return found.stdout.strip() or None


def reasons(task: Task) -> list[str]:
    """Why the step runs: what changed since its last run, by name."""
    try:
        last = receipts.read(task.memo / f"{LAST}.json")
    except TableError:
        return [FIRST_RUN]
    changes = differences(task.step, last.made_from, task.made_from, provenance_path(task.receipt_path))
    found = tables.content_problem(task.root, last)
    if found:
        changes.append(found)
    return changes or [UNCHANGED]


def differences(step: Step, before: Mapping[str, Any], now: Mapping[str, Any], provenance_file: Path) -> list[str]:
    """What differs between two `made_from`, by name.

    `provenance_file` belongs to the earlier one: it lists the definitions behind its code digest.
    """
    params = {**before["params"], **now["params"]}
    changes = [
        f"{key} {before['params'].get(key)} -> {now['params'].get(key)}"
        for key in params
        if before["params"].get(key) != now["params"].get(key)
    ]
    changes += [f"input {name} changed" for name, found in now["inputs"].items() if before["inputs"].get(name) != found]
    if before["code"] != now["code"]:
        changes.append(code_difference(step, provenance_file))
    return changes


def code_difference(step: Step, provenance_file: Path) -> str:
    """Which definitions, files or packages of a step's code changed, if its provenance file can be read."""
    try:
        before = json.loads(provenance_file.read_text(encoding="utf-8"))["code"]
    except (OSError, ValueError, KeyError):
        return "code changed"
    changed = changed_parts(before, code_parts(step.script, step.files))
    more = [f"{len(changed) - MAX_NAMED} more"] if len(changed) > MAX_NAMED else []
    return f"code changed: {', '.join([*changed[:MAX_NAMED], *more])}" if changed else "code changed"
