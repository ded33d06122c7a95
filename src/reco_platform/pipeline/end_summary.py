"""The end of a run: its summary, its lineage, and the text on the terminal."""

from __future__ import annotations

import atexit
import os
import shlex
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

from reco_platform.core import project
from reco_platform.core.errors import RecoError
from reco_platform.core.words import counted
from reco_platform.datasets import bronze
from reco_platform.engine import cleanup, journal, openlineage, provenance, run_summary
from reco_platform.lakehouse import receipts, tables
from reco_platform.lakehouse.source_ids import AllSourceIds
from reco_platform.pipeline import remembered
from reco_platform.pipeline.backdating import is_backdated
from reco_platform.pipeline.run_display import RunDisplay
from reco_platform.pipeline.steps_table import (
    IDS,
    STEP_OF,
    STEPS,
    SWEEP_STEPS,
    Step,
    input_artifacts,
    step_making,
)
from reco_platform.pipeline.workflow import SWEEP, SWEEP_INPUTS, Workflow
from reco_platform.reports import text_summary
from reco_platform.store.json_file import read_json
from reco_platform.tuning import leaderboard

TARGETS = ("bronze_files", "silver", "gold")
SHOWN_TRIALS = 10
PATH_KEYS = ("dataset_path", "lakehouse")
"""Keys with paths on this machine, which a sweep's best.yaml omits."""


def open_run(workflow: Workflow, argv: Sequence[str], is_idle: Callable[[], bool]) -> RunDisplay:
    """Writes the initial summary of a run, and registers its completion in case no step runs.

    Args:
        workflow: the invocation.
        argv: the command line.
        is_idle: whether Snakemake has found nothing to do; called when the process exits.

    Returns:
        The display of the run's steps, which has started.
    """
    run = current_run()
    summary = run_summary.Summary(
        run=run.stem, outcome="under way", started=journal.utc_now(), target=target(workflow, argv),
        command=run_summary.command_text(argv), lakehouse=workflow.lakehouse.root, dataset=workflow.lakehouse.dataset,
    )  # fmt: skip
    run_summary.write(run, summary)
    facets = openlineage.parameters_facet({"target": summary.target, "command": summary.command})
    openlineage.emit_invocation("START", run, facets)
    atexit.register(finish_if_idle, workflow, argv, is_idle)
    totals = {"trial": stale_trials(workflow)} if workflow.sweep else {}
    display = RunDisplay(run, totals, with_logs="--verbose" in argv)
    atexit.register(display.close)
    display.start()
    return display


def stale_trials(workflow: Workflow) -> int:
    """How many fits of a sweep will run."""
    paths = map(Path, workflow.sweep_workflow.trials)
    return sum(not is_current(path) for path in paths)


def is_current(receipt: Path) -> bool:
    """Whether a receipt is there and was not backdated at the start of the run."""
    return receipt.is_file() and not is_backdated(receipt)


def current_run() -> Path:
    """The journal of this run."""
    return Path(os.environ[journal.VARIABLE])


def target(workflow: Workflow, argv: Sequence[str]) -> str:
    return SWEEP if workflow.sweep else next((word for word in argv if word in TARGETS), "gold")


def finish_if_idle(workflow: Workflow, argv: Sequence[str], is_idle: Callable[[], bool]) -> None:
    """Completes a run for which Snakemake reported neither success nor failure: usually nothing was stale."""
    run = current_run()
    if is_idle():
        print(idle_text(workflow, argv), flush=True)
    if run_summary.read(run).outcome != "under way":
        return
    if journal.read(run):
        finish(workflow, argv, "failed")
        return
    finish(workflow, argv, "no step ran")
    cleanup.remove_temporary_files(workflow.lakehouse)  # functions registered with atexit are no longer called
    openlineage.lineage_path(run).unlink(missing_ok=True)


def idle_text(workflow: Workflow, argv: Sequence[str]) -> str:
    """One line for a run with nothing to do: which results are up to date, how old they are, and the report."""
    name = target(workflow, argv)
    text = f"Nothing to be done: {name} of {project.as_typed_path(workflow.lakehouse.root)} is up to date"
    if name != "gold":
        return text
    try:
        metrics, report = (receipts.read(workflow.receipt(result)) for result in ("run_metrics", "report"))
        made = read_json(provenance.provenance_path(Path(workflow.receipt("report"))))["started"]
    except (RecoError, OSError, ValueError, KeyError):
        return text
    age = age_text(datetime.now(UTC) - datetime.fromisoformat(made))
    page = project.as_typed_path(workflow.lakehouse.content(report.path))
    return f"{text}, model {metrics.facts['model_version']}, made {age} ago; report: {page}"


def age_text(age: timedelta) -> str:
    """A duration in its largest unit, such as 3 minutes."""
    seconds = max(0, int(age.total_seconds()))
    for unit, length in (("day", 86400), ("hour", 3600), ("minute", 60)):
        if seconds >= length:
            return counted(seconds // length, unit)
    return counted(seconds, "second")


def finish(workflow: Workflow, argv: Sequence[str], outcome: run_summary.Outcome) -> run_summary.Summary:
    """Completes the run's summary and its lineage."""
    run = current_run()
    remember(workflow)
    attempted = {event.step for event in journal.read(run)}
    included = {*target_steps(workflow, argv), *attempted} if attempted else set()
    steps = [step for step in STEPS if step in included]
    summary = run_summary.finish(run, outcome, steps, up_to_date(workflow, steps, attempted))
    why = "; ".join(f"{failed.step}: {failed.last_line or failed.why[0]}" for failed in summary.failures)
    openlineage.emit_missing_ends(run)
    if outcome == "failed":
        openlineage.emit_invocation("FAIL", run, openlineage.error_facet(why or "Snakemake stopped early"))
    else:
        openlineage.emit_invocation("COMPLETE", run, {})
    return summary


def remember(workflow: Workflow) -> None:
    """Records what the lakehouse was made from, if its CSV files were imported from there."""
    if workflow.memory == remembered.read(workflow.lakehouse):
        return
    with suppress(RecoError, OSError):  # the source is gone since
        if bronze.is_imported(workflow.dataset, workflow.lakehouse):
            remembered.write(workflow.lakehouse, workflow.memory)


def up_to_date(workflow: Workflow, steps: Sequence[str], attempted: Collection[str]) -> set[str]:
    """The steps that this run did not attempt and did not have to: neither they nor what they read were stale."""
    found: set[str] = set()
    stale = set(attempted)
    for step in (STEPS[name] for name in steps):
        if step.name in SWEEP_STEPS:
            continue
        inputs = {maker(source, workflow.lakehouse.dataset) for source in sources_of(workflow, step)}
        if step.name not in attempted and not inputs & stale and has_current_receipts(workflow, step):
            found.add(step.name)
        else:
            stale.add(step.name)
    return found


def sources_of(workflow: Workflow, step: Step) -> list[str]:
    """The artifacts that a step reads; none for bronze."""
    return list(input_artifacts(step, workflow.lakehouse, workflow.config).values())


def maker(artifact: str, dataset: str) -> str:
    """Name of the step that makes an artifact."""
    return "bronze" if artifact.startswith("bronze/") else step_making(artifact, dataset).name


def has_current_receipts(workflow: Workflow, step: Step) -> bool:
    """Whether the receipts of a step are there and not backdated."""
    paths = workflow.bronze_receipts if step.name == "bronze" else [workflow.receipt(step.makes)]
    return all(map(is_current, map(Path, paths)))


def target_steps(workflow: Workflow, argv: Sequence[str]) -> set[str]:
    """The steps of the target."""
    if workflow.sweep:
        return {"bronze", *(STEP_OF[name].name for name in SWEEP_INPUTS), *SWEEP_STEPS}
    return {STEP_OF[name].name for name in results_of(workflow, target(workflow, argv))}


def success_text(workflow: Workflow, argv: Sequence[str], display: RunDisplay) -> str:
    """Text at the end of a successful run: the results, and how long it took."""
    display.close()
    summary = finish(workflow, argv, "succeeded")
    cleanup.remove_temporary_files_at_exit(workflow.lakehouse)
    if workflow.sweep:
        result = "\n".join(leaderboard_lines(workflow))
    else:
        result = gold_summary(workflow) if summary.target == "gold" else ""
    parts = [display.rest(summary), result, f"Done in {summary.seconds:.0f} s" if summary.seconds else ""]
    return "\n".join(filter(None, parts))


def failure_text(workflow: Workflow, argv: Sequence[str], display: RunDisplay) -> str:
    """Text at the end of a failed run: what each step did, which one failed and why, its log, the next command."""
    display.close()
    summary = finish(workflow, argv, "failed")
    best = leaderboard_lines(workflow) if workflow.sweep else []
    return "\n".join([*filter(None, [display.rest(summary)]), *best, "", *run_summary.failure_lines(summary)])


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
    layers = (("bronze",), workflow.silver, workflow.gold)[: TARGETS.index(target) + 1]
    return tuple(name for layer in layers for name in layer)


def gold_summary(workflow: Workflow) -> str:
    """A text summary of gold; empty if results are missing."""
    lakehouse = workflow.lakehouse
    try:
        read = {name: receipts.read(workflow.receipt(name)) for name in (*workflow.gold, *workflow.silver)}
        shown = ("recommendations", "movies", *IDS)
        opened = {name: tables.open_table(lakehouse.path, read[name], "") for name in shown if name in read}
    except RecoError:
        return ""
    files = {name: lakehouse.content(read[name].path) for name in ("run_metrics", "etl_report", "gate", "report")}
    best = text_summary.sample_recommendations(
        opened["recommendations"].read(["user_id", "recommendations"]),
        opened["movies"].read(["movie_id", "title"]),
        users=2,
        count=3,
        ids=AllSourceIds.read(lambda name: opened[name].read() if name in opened else None),
    )
    root = project.as_typed_path(lakehouse.root)
    paths = {
        "report": project.as_typed_path(files["report"]),
        "metrics": project.as_typed_path(files["run_metrics"]),
        "tables": f"{root}/silver, {root}/gold",
    }
    metrics, etl, gate = (read_json(files[name]) for name in ("run_metrics", "etl_report", "gate"))
    if any(table.get("rejected") for table in etl["tables"].values()):
        paths["rejected rows"] = f"{root}/silver/_quarantine"
    given = remembered.needed(workflow.config)
    return text_summary.summary(metrics, etl, best, gate=gate, paths=paths, given=given)
