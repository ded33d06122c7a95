"""Building an earlier result again, from the table versions that it was made from, and comparing."""

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

PLACED = ("ratings", "movies")
REBUILT = ("interactions", "model", "als_plain", "als_refit", "recommendations", "evaluation", "run_metrics")


@dataclass(frozen=True)
class Comparison:
    """The fingerprint of one result, then and now."""

    name: str
    then: str
    now: str
    code_changed: bool

    @property
    def equal(self) -> bool:
        return self.then == self.now


def reproduce(lakehouse: Lakehouse, wanted: str, scratch: Path, report: Callable[[str], None]) -> list[Comparison]:
    """Rebuilds a run from its silver ratings in a scratch lakehouse.

    Args:
        lakehouse: the lakehouse that remembers the run.
        wanted: a model version, or the path of a run_metrics JSON file.
        scratch: an empty folder.
        report: gets a line for each step.

    Raises:
        TableError: if the run, or the version of the ratings that it was made from, is no longer there.
    """
    chain = explain.chain(lakehouse, explain.run_receipt(lakehouse, wanted))
    there = Lakehouse(str(scratch), lakehouse.dataset)
    for name in PLACED:
        place(lakehouse, name, chain[name], there)
    compared = []
    for name in [name for name in REBUILT if name in chain]:
        report(f"rebuilding {name}")
        rebuild(there, chain, name)
        now = receipts.read(there.receipt(chain[name].artifact))
        step = STEP_OF[name]
        changed = chain[name].made_from["code"] != code_digest(step.script, step.files)
        compared.append(Comparison(name, chain[name].fingerprint, now.fingerprint, changed))
    return compared


def place(lakehouse: Lakehouse, name: str, table: Receipt, there: Lakehouse) -> None:
    """Copies a silver table, at exactly its version, into the scratch lakehouse.

    Raises:
        TableError: if that version is gone.
    """
    try:
        opened = tables.open_table(lakehouse.path, table, "")
    except TableError as error:
        hint = (
            "a Delta version lasts until it is vacuumed, and goes with its table's folder"
            if table.format == "delta"
            else "a Parquet table keeps only its newest content; storage_format=delta keeps every version"
        )
        raise TableError(f"the silver {name} of that run are gone: {error.message}", hint) from error
    target = there.content(table.path)
    staging = publish.create_staging_folder(target)
    for path in opened.files:
        copy = staging / path.relative_to(opened.folder)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(path, copy)
    contract = CONTRACTS[name]
    version = publish.publish_table(
        staging,
        target,
        storage_format=table.format,
        schema=contract.schema,
        partition_by=contract.partition_by,
        fingerprint=table.fingerprint,
        rows=table.rows,
        dataset=there.dataset,
    )
    atomic_write.write_text(there.receipt(table.artifact), replace(table, version=version).text())


def rebuild(there: Lakehouse, chain: Mapping[str, Receipt], name: str) -> None:
    """Runs one step's script with the parameters of that time.

    Args:
        there: the scratch lakehouse, which holds its inputs already.
        chain: the receipts of that time by name.
        name: of the result.

    Raises:
        TableError: if the script fails.
    """
    step, wanted = STEP_OF[name], chain[name]
    command = [
        sys.executable, str(project.file(step.script)), "--lakehouse", there.root, "--dataset", there.dataset,
        "--receipt", there.receipt(wanted.artifact), "--params", json.dumps(wanted.made_from["params"]),
    ]  # fmt: skip
    for read in step.reads:
        seen = wanted.made_from["inputs"][read]
        source = next(one for one in possible_inputs(read) if one in chain and identity(step, chain[one]) == seen)
        command += [f"--{read.replace('_', '-')}", there.receipt(artifact_of(source, there.dataset))]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    if run.returncode:
        raise TableError(f"{step.script} failed:\n{run.stdout}{run.stderr}", "see what it says")


def verdict(compared: list[Comparison]) -> str:
    """The comparison in words, a line each."""
    said = []
    for one in compared:
        if one.equal:
            said.append(f"  equal      {one.name:<16} {one.now}")
        else:
            why = "; its code has changed since" if one.code_changed else ""
            said.append(f"  DIFFERENT  {one.name:<16} was {one.then}, is {one.now}{why}")
    return "\n".join(said)
