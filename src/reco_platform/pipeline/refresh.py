"""Refreshes receipts at the start of a run, so that Snakemake reruns stale steps."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

from reco_platform.core.errors import TableError
from reco_platform.engine import provenance
from reco_platform.engine.task import memo_folder, rebuild_command
from reco_platform.lakehouse import receipts
from reco_platform.pipeline import explain, staleness
from reco_platform.pipeline.backdating import BACKDATED_NS, is_backdated
from reco_platform.pipeline.steps_table import STEP_OF, artifact_of
from reco_platform.pipeline.workflow import Workflow
from reco_platform.store import atomic_write
from reco_platform.store.paths import remove_tree
from reco_platform.tracking import client as tracking


def refresh_receipts(workflow: Workflow) -> None:
    """Removes invalid receipts and backdates outdated ones, so that Snakemake runs their steps; prints the reasons."""
    forget_lost_tracking_store(workflow)
    for path in map(Path, [*workflow.all_receipts, *workflow.sweep_receipts]):
        if not path.is_file():
            continue
        try:
            receipt = receipts.read(path)
            found = staleness.stale_reason(workflow, receipt, path)
        except TableError as error:
            found = error.message
        if found:
            print(f"[stale] {path}: {found}", file=sys.stderr, flush=True)
            path.unlink()
            continue
        clamp_mtime(path)
        set_date(workflow, receipt, path)
        record_csv_stat(workflow, receipt, path)
        warn_about_damage(workflow, receipt)


def clamp_mtime(path: Path) -> None:
    """Sets a modification time that is in the future to now; it occurs after the clock was set back.

    Snakemake refuses outputs that are older than their inputs; here receipts decide what is stale.
    """
    if path.stat().st_mtime > time.time():
        os.utime(path)


def set_date(workflow: Workflow, receipt: receipts.Receipt, path: Path) -> None:
    """Backdates a receipt whose parameters, code or inputs have changed; otherwise undoes an earlier backdating.

    Snakemake compares modification times, and parameters with its own records. Neither covers what another checkout
    made in this lakehouse, and both are lost if `.snakemake/` is deleted or the clock is set back. A backdated receipt
    without a Snakemake record makes its step run and, unlike a missing receipt, can still be read.
    """
    stat = path.stat()
    backdated, outdated = is_backdated(path), is_outdated(workflow, receipt)
    if outdated:
        from snakemake.io import IOFile  # noqa: PLC0415 - read-only tools work without Snakemake
        from snakemake.persistence.file import FilePersistence  # noqa: PLC0415

        FilePersistence().cleanup_metadata(IOFile(str(path)))
    if outdated != backdated:
        os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns + (BACKDATED_NS if backdated else -BACKDATED_NS)))


def is_outdated(workflow: Workflow, receipt: receipts.Receipt) -> bool:
    """Whether parameters, code or inputs have changed; False if an input is missing: the step then runs in any case."""
    if receipt.artifact.startswith("bronze/"):
        return False
    try:
        return explain.is_outdated(workflow.lakehouse, workflow.config, receipt)
    except TableError:
        return False


def forget_lost_tracking_store(workflow: Workflow) -> None:
    """If MLflow's default database is missing, removes the receipts of what was logged, so that it is logged again."""
    if not staleness.is_tracking_store_missing(workflow):
        return
    for name in ("gate", "tracking"):
        artifact, receipt = artifact_of(name, workflow.lakehouse.dataset), Path(workflow.receipt(name))
        remove_tree(memo_folder(STEP_OF[name], workflow.lakehouse.path, artifact))
        if receipt.is_file():
            print(f"[stale] {receipt}: {tracking.DATABASE} is missing", file=sys.stderr, flush=True)
            receipt.unlink()


def record_csv_stat(workflow: Workflow, receipt: receipts.Receipt, path: Path) -> None:
    """Records size and modification time of an unchanged CSV file, so that it need not be read again."""
    if receipt.artifact.startswith("bronze/"):
        known, stats = staleness.read_provenance(path), staleness.file_stats(workflow, receipt)
        if known.get("seen") != stats:
            atomic_write.write_text(
                provenance.provenance_path(path), json.dumps({**known, "seen": stats}, indent=1) + "\n"
            )


def warn_about_damage(workflow: Workflow, receipt: receipts.Receipt) -> None:
    """Warns about a damaged table or model. It is not repaired automatically: the cause may be a failing disk."""
    found = staleness.damage(workflow, receipt)
    if found:
        print(
            f"[WARNING] {found}\n  -> rebuild it with: {rebuild_command(workflow.lakehouse.path, receipt)}",
            file=sys.stderr,
        )
