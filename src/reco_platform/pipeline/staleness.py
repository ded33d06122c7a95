"""Quick checks of which receipts are stale; the checks change nothing."""

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


def refuse_foreign_tables(workflow: Workflow) -> None:
    """Checks that table paths hold only tables of this data set in the configured format.

    Raises:
        TableError: if one holds foreign content and the run may not overwrite it.
    """
    if workflow.config.force_overwrite:
        return
    for name in TABLE_RESULTS:
        problem = foreign_content_problem(workflow, artifact_of(name, workflow.lakehouse.dataset))
        if problem:
            command = commands.snakemake("gold", commands.non_default_values(workflow.config), overwrite=True)
            raise TableError(problem, publish.OVERWRITE_HINT + command)


def refuse_damaged_dictionaries(workflow: Workflow) -> None:
    """Checks the dictionaries that give source ids their numbers, if the data set has any.

    Raises:
        DictionaryError: if one was deleted or edited.
    """
    for name in datasets.dictionaries(workflow.dataset):
        bronze.check_dictionary(workflow.lakehouse, name)


def foreign_content_problem(workflow: Workflow, artifact: str) -> str | None:
    """What foreign content is at the path of a table; None if there is none."""
    config = workflow.config
    return publish.foreign_content(workflow.lakehouse.content(artifact), config.storage_format, config.dataset)


def is_tracking_store_missing(workflow: Workflow) -> bool:
    """Whether MLflow's default database is missing, so that everything must be logged again."""
    config = workflow.config
    return config.tracking and not config.mlflow_tracking_uri and not tracking.DATABASE.exists()


def stale_reason(workflow: Workflow, receipt: Receipt, path: Path) -> str | None:
    """Why a receipt is stale; None if it is not.

    Args:
        workflow: the invocation.
        receipt: the receipt.
        path: path of the receipt.
    """
    if receipt.artifact.startswith("bronze/"):
        return csv_change(workflow, receipt, path)
    if not receipt.is_reusable:
        return "it could not be completed; trying again"
    content = workflow.lakehouse.content(receipt.path)
    if receipt.kind == "absent":
        return None
    if not content.exists():
        return f"{content} is missing"
    if receipt.kind == "table" and (problem := foreign_content_problem(workflow, receipt.path)):
        return problem
    return tables.head_problem(content, receipt)


def csv_change(workflow: Workflow, receipt: Receipt, path: Path) -> str | None:
    """Which file, in bronze or of the user, has changed; only files with a new size or time are read."""
    seen = read_provenance(path).get("seen", {})
    copies, sources = source_stats(workflow, receipt)
    for name, stats in copies.items():
        if seen.get(name) == stats or (stats is None and receipt.kind == "absent"):
            continue
        if stats is None:
            return f"{name} is missing"
        if file_fingerprint(store_path(name)) != receipt.fingerprint:
            return f"{name} has changed"
    changed = [name for name, stats in sources.items() if seen.get(name) != stats]
    gone = [name for name in seen if sources and name not in {**copies, **sources}]
    if (changed or gone) and not bronze.is_imported(workflow.dataset, workflow.lakehouse):
        return f"{[*changed, *gone][0]} {'has changed' if changed else 'is gone'}"
    return None


def file_stats(workflow: Workflow, receipt: Receipt) -> FileStats:
    """Size and modification time of a CSV file and of the user's files that it was made from, by path."""
    copies, sources = source_stats(workflow, receipt)
    return copies | sources


FileStats = dict[str, list[int] | None]


def source_stats(workflow: Workflow, receipt: Receipt) -> tuple[FileStats, FileStats]:
    """Size and modification time by path: of a CSV file and the user's file that it is a copy of, and of the files that
    it was translated from."""
    table = Path(receipt.artifact).name
    content, copied = workflow.lakehouse.content(receipt.path), datasets.own_csv_file(workflow.dataset, table)
    own = [] if copied else datasets.own_files(workflow.dataset, table)
    stats = bronze.file_stat
    return (
        {str(file): stats(file) for file in (content, copied) if file},
        {str(file): stats(file) for file in own},
    )


def read_provenance(receipt: Path) -> dict[str, Any]:
    """The provenance of a receipt; empty if it cannot be read."""
    try:
        return dict(read_json(provenance.provenance_path(receipt)))
    except (OSError, ValueError):
        return {}


def damage(workflow: Workflow, receipt: Receipt) -> str | None:
    """What is damaged in a table, model or folder; not repaired automatically: the cause may be a failing disk."""
    if receipt.kind not in {"table", "model", "folder"}:
        return None
    return tables.content_problem(workflow.lakehouse.path, receipt)
