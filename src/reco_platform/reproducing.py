"""Building an earlier result again, from the table versions that it was made from, and comparing."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from reco_platform import lineage, receipts, storage
from reco_platform.contracts import CONTRACTS
from reco_platform.digests import code_digest
from reco_platform.errors import TableError
from reco_platform.layout import Lakehouse
from reco_platform.receipts import Receipt
from reco_platform.registry import MAKERS

REBUILT = ("interactions", "model", "recommendations", "evaluation", "run_metrics")


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


def reproduce(house: Lakehouse, wanted: str, scratch: Path, report: Callable[[str], None]) -> list[Comparison]:
    """Rebuilds a run from its silver ratings in a scratch lakehouse.

    Args:
        house: the lakehouse that remembers the run.
        wanted: a model version, or the path of a run_metrics JSON file.
        scratch: an empty folder.
        report: gets a line for each step.

    Raises:
        TableError: if the run, or the version of the ratings that it was made from, is no longer there.
    """
    chain = lineage.chain(house, lineage.run_receipt(house, wanted))
    there = Lakehouse(str(scratch), house.dataset)
    place_ratings(house, chain["ratings"], there)
    compared = []
    for name in REBUILT:
        report(f"rebuilding {name}")
        rebuild(there, chain[name])
        now = receipts.read(there.receipt(chain[name].artifact))
        step = MAKERS[name]
        changed = chain[name].made_from["code"] != code_digest(step.script, step.files)
        compared.append(Comparison(name, chain[name].fingerprint, now.fingerprint, changed))
    return compared


def place_ratings(house: Lakehouse, ratings: Receipt, there: Lakehouse) -> None:
    """Copies the silver ratings, at exactly their version, into the scratch lakehouse.

    Raises:
        TableError: if that version is gone.
    """
    try:
        opened = storage.open_table(Path(house.root), ratings, "")
    except TableError as error:
        hint = (
            "a Delta version lasts until it is vacuumed, and goes with its table's folder"
            if ratings.format == "delta"
            else "a Parquet table keeps only its newest content; storage_format=delta keeps every version"
        )
        raise TableError(f"the silver ratings of that run are gone: {error.what}", hint) from error
    target = there.local(ratings.path)
    staging = storage.staging_folder(target)
    for path in opened.files:
        copy = staging / path.relative_to(opened.folder)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(path, copy)
    contract = CONTRACTS["ratings"]
    version = storage.publish_table(
        staging,
        target,
        storage_format=ratings.format,
        schema=contract.schema,
        partition_by=contract.partition_by,
        fingerprint=ratings.fingerprint,
        rows=ratings.rows,
    )
    receipts.write_text(there.receipt(ratings.artifact), replace(ratings, version=version).text())


def rebuild(there: Lakehouse, wanted: Receipt) -> None:
    """Runs one step's script with the parameters of that time.

    Raises:
        TableError: if the script fails.
    """
    step = MAKERS[next(name for name, maker in MAKERS.items() if maker.name == wanted.made_from["step"])]
    command = [
        sys.executable, step.script, "--lakehouse", there.root, "--dataset", there.dataset,
        "--receipt", there.receipt(wanted.artifact), "--params", json.dumps(wanted.made_from["params"]),
    ]  # fmt: skip
    for name in step.reads:
        command += [f"--{name.replace('_', '-')}", there.receipt(there.artifact(name))]
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
