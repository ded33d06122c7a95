"""The end of a run: its summary, its lineage, and the text on the terminal."""

from __future__ import annotations

import atexit
import os
import shlex
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from reco_platform.core import project
from reco_platform.core.errors import RecoError
from reco_platform.datasets import bronze
from reco_platform.engine import cleanup, journal, openlineage, run_summary
from reco_platform.lakehouse import receipts, tables
from reco_platform.pipeline import remembered
from reco_platform.pipeline.steps_table import SILVER, STEP_OF, STEPS, SWEEP_STEPS
from reco_platform.pipeline.workflow import SWEEP, SWEEP_INPUTS, Workflow
from reco_platform.reports import text_summary
from reco_platform.store.json_file import read_json
from reco_platform.tuning import leaderboard

TARGETS = ("bronze_files", "silver", "gold")
SHOWN_TRIALS = 10
PATH_KEYS = ("dataset_path", "lakehouse")
"""Keys with paths on this machine, which a sweep's best.yaml omits."""


def open_run(workflow: Workflow, argv: Sequence[str]) -> None:
    """Writes the initial summary of a run, and registers its completion in case no step runs."""
    run = current_run()
    summary = run_summary.Summary(
        run=run.stem, outcome="under way", started=journal.utc_now(), target=target(workflow, argv),
        command=run_summary.command_text(argv), lakehouse=workflow.lakehouse.root, dataset=workflow.lakehouse.dataset,
    )  # fmt: skip
    run_summary.write(run, summary)
    facets = openlineage.parameters_facet({"target": summary.target, "command": summary.command})
    openlineage.emit_invocation("START", run, facets)
    atexit.register(finish_if_idle, workflow, argv)


def current_run() -> Path:
    """The journal of this run."""
    return Path(os.environ[journal.VARIABLE])


def target(workflow: Workflow, argv: Sequence[str]) -> str:
    return SWEEP if workflow.sweep else next((word for word in argv if word in TARGETS), "gold")


def finish_if_idle(workflow: Workflow, argv: Sequence[str]) -> None:
    """Completes a run for which Snakemake reported neither success nor failure: usually nothing was stale."""
    run = current_run()
    if run_summary.read(run).outcome != "under way":
        return
    if journal.read(run):
        finish(workflow, argv, "failed")
        return
    finish(workflow, argv, "no step ran")
    cleanup.remove_temporary_files(workflow.lakehouse)  # functions registered with atexit are no longer called
    openlineage.lineage_path(run).unlink(missing_ok=True)


def finish(workflow: Workflow, argv: Sequence[str], outcome: run_summary.Outcome) -> run_summary.Summary:
    """Completes the run's summary and its lineage."""
    run = current_run()
    remember(workflow)
    attempted = {event.step for event in journal.read(run)}
    included = {*target_steps(workflow, argv), *attempted} if attempted else set()
    summary = run_summary.finish(run, outcome, [step for step in STEPS if step in included])
    why = "; ".join(f"{failed.step}: {failed.last_line or failed.why[0]}" for failed in summary.failures)
    openlineage.emit_missing_ends(run)
    if outcome == "failed":
        openlineage.emit_invocation("FAIL", run, openlineage.error_facet(why or "Snakemake stopped early"))
    else:
        openlineage.emit_invocation("COMPLETE", run, {})
    return summary


def remember(workflow: Workflow) -> None:
    """Records what the lakehouse was made from, if its CSV files were imported from there."""
    if remembered.keys_of(workflow.config) == remembered.read(workflow.lakehouse):
        return
    with suppress(RecoError, OSError):  # the source is gone since
        if bronze.is_imported(workflow.dataset, workflow.lakehouse):
            remembered.write(workflow.lakehouse, workflow.config)


def target_steps(workflow: Workflow, argv: Sequence[str]) -> set[str]:
    """The steps of the target."""
    if workflow.sweep:
        return {"bronze", *(STEP_OF[name].name for name in SWEEP_INPUTS), *SWEEP_STEPS}
    return {STEP_OF[name].name for name in results_of(workflow, target(workflow, argv))}


def success_text(workflow: Workflow, argv: Sequence[str]) -> str:
    """Text at the end of a successful run: what each step did, and the results."""
    text = [steps_table(finish(workflow, argv, "succeeded"))]
    cleanup.remove_temporary_files_at_exit(workflow.lakehouse)
    if workflow.sweep:
        return "\n".join([*text, *leaderboard_lines(workflow)])
    return "\n".join([*text, *([gold_summary(workflow)] if target(workflow, argv) == "gold" else [])])


def failure_text(workflow: Workflow, argv: Sequence[str]) -> str:
    """Text at the end of a failed run: what each step did, which one failed and why, its log, the next command."""
    summary = finish(workflow, argv, "failed")
    best = leaderboard_lines(workflow) if workflow.sweep else []
    return "\n".join([steps_table(summary), *best, "", *run_summary.failure_lines(summary)])


def steps_table(summary: run_summary.Summary) -> str:
    return "\n".join(["Steps of this run", *map(run_summary.step_line, summary.steps)])


def leaderboard_lines(workflow: Workflow) -> list[str]:
    """The best trials of a sweep, and the command that builds gold with the best one."""
    try:
        receipt = receipts.read(workflow.sweep_workflow.leaderboard)
        folder = tables.local_path(workflow.lakehouse.path, receipt)
        found = read_json(folder / "leaderboard.json")
    except (RecoError, OSError, ValueError):
        return []
    paths = {key: value for key in PATH_KEYS if (value := getattr(workflow.config, key)) is not None}
    pairs = " ".join(shlex.quote(f"{key}={value}") for key, value in paths.items())
    best = shlex.quote(project.as_typed_path(folder / "best.yaml"))
    command = project.run_command("gold", f"--configfile {best}", f"--config {pairs}" if pairs else "")
    lines = leaderboard.text_lines(found, SHOWN_TRIALS)
    lines.append(f"  all of them   {project.as_typed_path(folder)}/leaderboard.csv, report.html")
    return [*lines, *([f"  next          {command}"] if (folder / "best.yaml").is_file() else [])]


def results_of(workflow: Workflow, target: str) -> tuple[str, ...]:
    """Names of the results of a target, as configured."""
    layers = (("bronze",), SILVER, workflow.gold)[: TARGETS.index(target) + 1]
    return tuple(name for layer in layers for name in layer)


def gold_summary(workflow: Workflow) -> str:
    """A text summary of gold; empty if results are missing."""
    lakehouse = workflow.lakehouse
    try:
        read = {name: receipts.read(workflow.receipt(name)) for name in (*workflow.gold, *SILVER)}
        opened = {name: tables.open_table(lakehouse.path, read[name], "") for name in ("recommendations", "movies")}
    except RecoError:
        return ""
    files = {name: lakehouse.content(read[name].path) for name in ("run_metrics", "etl_report", "gate", "report")}
    best = text_summary.sample_recommendations(
        opened["recommendations"].read(["user_id", "recommendations"]),
        opened["movies"].read(["movie_id", "title"]),
        users=3,
        count=5,
    )
    root = project.as_typed_path(lakehouse.root)
    paths = {
        "tables": f"{root}/silver, {root}/gold",
        "metrics": project.as_typed_path(files["run_metrics"]),
        "report": project.as_typed_path(files["report"]),
        "rejected rows": f"{root}/silver/_quarantine",
    }
    metrics, etl, gate = (read_json(files[name]) for name in ("run_metrics", "etl_report", "gate"))
    given = remembered.needed(workflow.config)
    return text_summary.summary(root, metrics, etl, best, gate=gate, paths=paths, given=given)
