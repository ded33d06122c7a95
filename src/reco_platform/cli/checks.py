"""Verbs that inspect a lakehouse and change nothing in it."""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.shell_completion import CompletionItem

from reco_platform.cli.project_options import Invocation, on_a_project
from reco_platform.cli.verbs import further_values, json_option, verb
from reco_platform.core.errors import RecoError, TableError
from reco_platform.core.words import counted

if TYPE_CHECKING:
    from reco_platform.lakehouse.layout import Lakehouse

RULE = "=" * 80


@verb("validate", "validate", "validate --layer silver --deep --json")
@on_a_project
@click.option("--layer", type=click.Choice(("bronze", "silver", "gold", "sweeps")), help="Only this layer.")
@click.option("--deep", is_flag=True, help="Also recompute every checksum and fingerprint.")
@json_option
def validate(invocation: Invocation, layer: str | None, deep: bool, as_json: bool) -> int:
    from reco_platform.maintenance import validate as validation

    workflow = invocation.prepare()
    busy = run_in_progress(workflow.lakehouse)
    if busy:
        if as_json:
            print(json.dumps({**validation.as_json([]), "passed": False, "run_in_progress": busy.message}, indent=1))
            return 1
        raise busy
    layers = tuple(name for name in validation.LAYERS if layer in {None, name})
    findings = validation.validate(workflow, layers, deep=deep)
    if as_json:
        found = validation.as_json(list(findings))
        print(json.dumps(found, indent=1))
        return 0 if found["passed"] else 1
    names = "/".join(name.capitalize() for name in layers)
    print(f"{RULE}\nValidation: Checking {names} Layer{'s' if len(layers) > 1 else ''}\n{RULE}")
    errors = 0
    for finding in findings:
        print(finding, flush=True)
        errors += finding.level == "error"
    print(flush=True)
    if errors:
        things = f"{counted(errors, 'result')} missing or inconsistent"
        raise RecoError(f"Validation failed: {things}", "below each stands the command that repairs it")
    print("[SUCCESS] Validation passed!")
    return 0


def run_in_progress(lakehouse: Lakehouse) -> TableError | None:
    """An error that says that a run is in progress in a lakehouse; None if there is none."""
    from reco_platform.store.locks import lock_holder

    pid = lock_holder(lakehouse.records)
    if pid is None:
        return None
    message = f"a run is in progress in {lakehouse.root} (process {pid}); its results are not complete yet"
    return TableError(message, "wait for it to end, then try again")


@verb("status", "status", "status --config rank=20", "status --json")
@on_a_project
@json_option
def status(invocation: Invocation, as_json: bool) -> None:
    from reco_platform.pipeline import plan

    workflow = invocation.prepare()
    busy = run_in_progress(workflow.lakehouse)
    if busy:
        print(f"[INFO] {busy.message}", file=sys.stderr)
    found = plan.status(workflow)
    print(json.dumps(found.as_json(), indent=1) if as_json else "\n".join(found.lines()))


def complete_results(ctx: click.Context, __: click.Parameter, incomplete: str) -> list[CompletionItem[str]]:
    from reco_platform.pipeline import explain as lineage

    values = further_values(ctx, incomplete)
    return values or [CompletionItem(name) for name in lineage.RESULTS if name.startswith(incomplete)]


@verb("explain", "explain", "explain model --config rank=20", "explain sweeps/data --json")
@on_a_project
@click.argument("result", default="report", shell_complete=complete_results)
@json_option
def explain(invocation: Invocation, result: str, as_json: bool) -> None:
    """RESULT is named as steps read it, such as ratings, interactions, model, run_metrics or report (the default);
    results of sweeps are sweeps/data, sweeps/NAME and sweeps/trials/ID."""
    from reco_platform.pipeline import explain as lineage

    workflow = invocation.prepare()
    made = lineage.explain(workflow.lakehouse, workflow.config, result)
    print(json.dumps(made.as_json(), indent=1) if as_json else "\n".join(lineage.lines(made)))


@verb("reproduce", "reproduce 6eab05d6-5d7885f9")
@on_a_project
@click.argument("run")
def reproduce(invocation: Invocation, run: str) -> int:
    """RUN is a model version, or the path of a run_metrics JSON file. The run is built from the table versions that it
    was made from; fingerprints are compared."""
    from reco_platform.maintenance import reproduce as reproduction

    wanted = invocation.argument(run) if Path(run).is_file() else run
    lakehouse = invocation.prepare().lakehouse
    with tempfile.TemporaryDirectory(prefix="reproduce-") as scratch:
        compared = reproduction.reproduce(
            lakehouse, wanted, Path(scratch), lambda text: print(f"[reproduce] {text}", flush=True)
        )
    print("\n".join(map(str, compared)))
    if all(one.equal for one in compared):
        print(f"[SUCCESS] {run} was reproduced")
        return 0
    print(f"[ERROR] {run} came out different", file=sys.stderr)
    return 1
