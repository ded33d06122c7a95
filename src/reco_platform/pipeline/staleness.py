"""Which receipts no longer tell the truth, as far as a quick look can tell; nothing is changed by looking."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from reco_platform.config import commands
from reco_platform.core.errors import TableError
from reco_platform.datasets import bronze
from reco_platform.datasets import registry as datasets
from reco_platform.engine import provenance
from reco_platform.fingerprint.files import file_fingerprint
from reco_platform.lakehouse import publish, tables
from reco_platform.lakehouse.receipts import Receipt
from reco_platform.pipeline.steps_table import TABLE_RESULTS, artifact_of
from reco_platform.pipeline.workflow import Workflow
from reco_platform.store.json_file import read_json
from reco_platform.store.paths import store_path
from reco_platform.tracking import client as tracking


def refuse_foreign(workflow: Workflow) -> None:
    """Checks that nothing stands at the paths of tables but this data set's own in this format.

    Raises:
        TableError: if it does, and the run may not overwrite it.
    """
    if workflow.config.force_overwrite:
        return
    for name in TABLE_RESULTS:
        found = foreign(workflow, artifact_of(name, workflow.lakehouse.dataset))
        if found:
            command = commands.snakemake("gold", commands.differing(workflow.config), overwrite=True)
            raise TableError(found, publish.OVERWRITE_HINT + command)


def foreign(workflow: Workflow, artifact: str) -> str | None:
    """What stands at the path of a table and is none of the pipeline's; None if nothing does."""
    asked = workflow.config
    return publish.foreign_content(workflow.lakehouse.content(artifact), asked.storage_format, asked.dataset)


def store_is_lost(workflow: Workflow) -> bool:
    """Whether the file that MLflow's default store consists of is gone, so that all is to be logged anew."""
    asked = workflow.config
    return asked.tracking and not asked.mlflow_tracking_uri and not tracking.DATABASE.exists()


def stale(workflow: Workflow, receipt: Receipt, path: Path) -> str | None:
    """Why a receipt no longer holds; None if it does.

    Args:
        workflow: what was asked for.
        receipt: the receipt.
        path: where it lies.
    """
    if receipt.artifact.startswith("bronze/"):
        return changed_csv(workflow, receipt, path)
    if not receipt.is_reusable:
        return "it could not be finished, and is tried again"
    content = workflow.lakehouse.content(receipt.path)
    if receipt.kind == "absent":
        return None
    if not content.exists():
        return f"{content} is gone"
    if receipt.kind == "table" and (found := foreign(workflow, receipt.path)):
        return found
    return tables.head_problem(content, receipt)


def changed_csv(workflow: Workflow, receipt: Receipt, path: Path) -> str | None:
    """Whether a CSV file, or the user's own that it came from, differs; read only where its size or time does."""
    seen = described_beside(path).get("seen", {})
    for name, look in looks(workflow, receipt).items():
        if seen.get(name) == look or (look is None and receipt.kind == "absent"):
            continue
        if look is None:
            return f"{name} is gone"
        if file_fingerprint(store_path(name)) != receipt.fingerprint:
            return f"{name} was changed"
    return None


def looks(workflow: Workflow, receipt: Receipt) -> dict[str, list[int] | None]:
    """Size and time of a CSV file and of the user's own that it came from, by path."""
    files = [
        workflow.lakehouse.content(receipt.path),
        datasets.own_csv_file(workflow.dataset, Path(receipt.artifact).name),
    ]
    return {str(file): bronze.file_stat(file) for file in files if file}


def described_beside(receipt: Path) -> dict[str, Any]:
    """What the provenance beside a receipt says; nothing where it cannot be read."""
    try:
        return dict(read_json(provenance.provenance_path(receipt)))
    except (OSError, ValueError):
        return {}


def damage(workflow: Workflow, receipt: Receipt) -> str | None:
    """What of a table, model or folder is damaged: not mended unasked, since the cause may be a dying disk."""
    if receipt.kind not in {"table", "model", "folder"}:
        return None
    return tables.content_problem(workflow.lakehouse.path, receipt)
