"""Rebuild an earlier run from the table versions that it was made from, and compare the fingerprints."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from reco_platform.contracts.tables import CONTRACTS
from reco_platform.core import project
from reco_platform.core.errors import TableError
from reco_platform.engine.code.digest import code_digest
from reco_platform.engine.task import identity
from reco_platform.lakehouse import publish, receipts, tables
from reco_platform.lakehouse.layout import Lakehouse
from reco_platform.lakehouse.receipts import Receipt
from reco_platform.pipeline import explain
from reco_platform.pipeline.steps_table import STEP_OF, artifact_of, possible_inputs
from reco_platform.store import atomic_write

COPIED_TABLES = ("ratings", "movies")
REBUILT_RESULTS = (
    *("interactions", "model", "als_plain", "als_refit", "ranking_model", "ranking_refit"),
    *("recommendations", "evaluation", "run_metrics"),
)


@dataclass(frozen=True)
class Comparison:
    """The fingerprints of a result in the earlier run and after the rebuild."""

    name: str
    earlier: str
    rebuilt: str
    code_changed: bool

    @property
    def equal(self) -> bool:
        return self.earlier == self.rebuilt

    def __str__(self) -> str:
        if self.equal:
            return f"  equal      {self.name:<16} {self.rebuilt}"
        reason = "; its code has changed since" if self.code_changed else ""
        return f"  DIFFERENT  {self.name:<16} was {self.earlier}, is {self.rebuilt}{reason}"


def reproduce(lakehouse: Lakehouse, run: str, folder: Path, report: Callable[[str], None]) -> list[Comparison]:
    """Rebuilds a run from its silver tables in a scratch lakehouse.

    Args:
        lakehouse: the lakehouse with the run.
        run: a model version, or the path of a run_metrics JSON file.
        folder: an empty folder for the scratch lakehouse.
        report: gets a line for each step.

    Raises:
        TableError: if the run, or a version of the tables that it was made from, no longer exists.
    """
    chain = explain.run_chain(lakehouse, explain.run_receipt(lakehouse, run))
    scratch = Lakehouse(str(folder), lakehouse.dataset)
    for name in COPIED_TABLES:
        copy_table(lakehouse, name, chain[name], scratch)
    comparisons = []
    for name in [name for name in REBUILT_RESULTS if name in chain]:
        report(f"rebuilding {name}")
        rebuild(scratch, chain, name)
        rebuilt = receipts.read(scratch.receipt(chain[name].artifact))
        step = STEP_OF[name]
        code_changed = chain[name].made_from["code"] != code_digest(step.script, step.files)
        comparisons.append(Comparison(name, chain[name].fingerprint, rebuilt.fingerprint, code_changed))
    return comparisons


def copy_table(lakehouse: Lakehouse, name: str, receipt: Receipt, scratch: Lakehouse) -> None:
    """Copies the version of a silver table that a receipt names to the scratch lakehouse.

    Raises:
        TableError: if that version no longer exists.
    """
    try:
        table = tables.open_table(lakehouse.path, receipt, "")
    except TableError as error:
        hint = (
            "a Delta version is lost when its table is vacuumed or removed"
            if receipt.format == "delta"
            else "a Parquet table keeps only its newest content; storage_format=delta keeps every version"
        )
        raise TableError(f"the silver {name} of that run no longer exist: {error.message}", hint) from error
    target = scratch.content(receipt.path)
    staging = publish.create_staging_folder(target)
    for path in table.files:
        copy = staging / path.relative_to(table.folder)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(path, copy)
    contract = CONTRACTS[name]
    version = publish.publish_table(
        staging,
        target,
        storage_format=receipt.format,
        schema=contract.schema,
        partition_by=contract.partition_by,
        fingerprint=receipt.fingerprint,
        rows=receipt.rows,
        dataset=scratch.dataset,
    )
    atomic_write.write_text(scratch.receipt(receipt.artifact), replace(receipt, version=version).text())


def rebuild(scratch: Lakehouse, chain: Mapping[str, Receipt], name: str) -> None:
    """Runs a step's script with the parameters of the earlier run.

    Args:
        scratch: the scratch lakehouse, which has the step's inputs already.
        chain: the receipts of the earlier run by name.
        name: of the result.

    Raises:
        TableError: if the script fails.
    """
    step, earlier = STEP_OF[name], chain[name]
    command = [
        sys.executable, str(project.file(step.script)), "--lakehouse", scratch.root, "--dataset", scratch.dataset,
        "--receipt", scratch.receipt(earlier.artifact), "--params", json.dumps(earlier.made_from["params"]),
    ]  # fmt: skip
    for read in step.reads:
        expected = earlier.made_from["inputs"][read]
        source = next(
            result for result in possible_inputs(read) if result in chain and identity(step, chain[result]) == expected
        )
        command += [f"--{read.replace('_', '-')}", scratch.receipt(artifact_of(source, scratch.dataset))]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    if run.returncode:
        raise TableError(f"{step.script} failed:\n{run.stdout}{run.stderr}", "see the output of the script above")
