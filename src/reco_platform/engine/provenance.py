"""When, on what and why a step ran: the file beside each receipt, and what differs from the last time."""

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
"""Changed parts of a step's code that a message names."""

FIRST_RUN, NOTHING_DIFFERS = "first run", "asked again, nothing differs"


def provenance_path(receipt: Path) -> Path:
    return receipt.with_name(receipt.name.replace(RECEIPT, PROVENANCE))


def provenance(started: float) -> dict[str, Any]:
    """What changes from run to run: when, how long, on what."""
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
    """Why the step was asked to run: what differs, by name, from the last time."""
    try:
        last = receipts.read(task.memo / f"{LAST}.json")
    except TableError:
        return [FIRST_RUN]
    differs = differences(task.step, last.made_from, task.made_from, provenance_path(task.receipt_path))
    found = tables.content_problem(task.root, last)
    if found:
        differs.append(found)
    return differs or [NOTHING_DIFFERS]


def differences(step: Step, before: Mapping[str, Any], now: Mapping[str, Any], side: Path) -> list[str]:
    """What differs between two `made_from`, by name; `side` is the provenance that names the code of the first."""
    params = {**before["params"], **now["params"]}
    differs = [
        f"{key} {before['params'].get(key)} -> {now['params'].get(key)}"
        for key in params
        if before["params"].get(key) != now["params"].get(key)
    ]
    differs += [f"input {name} changed" for name, found in now["inputs"].items() if before["inputs"].get(name) != found]
    if before["code"] != now["code"]:
        differs.append(code_difference(step, side))
    return differs


def code_difference(step: Step, side: Path) -> str:
    """Which definitions, files or packages of a step's code changed, as far as its provenance can tell."""
    try:
        before = json.loads(side.read_text(encoding="utf-8"))["code"]
    except (OSError, ValueError, KeyError):
        return "code changed"
    changed = changed_parts(before, code_parts(step.script, step.files))
    more = [f"{len(changed) - MAX_NAMED} more"] if len(changed) > MAX_NAMED else []
    return f"code changed: {', '.join([*changed[:MAX_NAMED], *more])}" if changed else "code changed"
