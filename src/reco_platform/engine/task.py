"""A step that is about to run: its parameters, the receipts of its inputs, and how it publishes its result."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from reco_platform.config import commands
from reco_platform.contracts.tables import Contract
from reco_platform.core import environment
from reco_platform.core.errors import TableError
from reco_platform.core.hashing import step_digest
from reco_platform.engine import journal
from reco_platform.engine.step import Step
from reco_platform.fingerprint.files import file_fingerprint
from reco_platform.lakehouse import layout, manifests, publish, tables
from reco_platform.lakehouse.layout import Lakehouse
from reco_platform.lakehouse.receipts import Receipt
from reco_platform.lakehouse.source_ids import AllSourceIds
from reco_platform.store import atomic_write
from reco_platform.store.paths import StorePath

LAST = "last"
"""Base name of the memo's copy of the latest receipt."""

QUALITY_FINGERPRINT = "quality_fingerprint"
"""Key of the fact that holds the fingerprint of a silver table's quality report."""


@dataclass(frozen=True)
class Task:
    """A step that is about to run, with the receipts of its inputs.

    Attributes:
        step: the step.
        dataset: name of the data set.
        root: the lakehouse.
        receipt_path: the receipt to write.
        artifact: the artifact to make, as in the receipt.
        params: config values and own parameters by key, and the code digest as `code`.
        inputs: the receipt of each input.
        threads: number of threads; it never changes the result.
        log_level: Spark's log level.
    """

    step: Step
    dataset: str
    root: StorePath
    receipt_path: Path
    artifact: str
    params: dict[str, Any]
    inputs: dict[str, Receipt]
    threads: int
    log_level: str

    @property
    def identities(self) -> dict[str, str]:
        """The identity of each input, for the digest."""
        return {name: identity(self.step, receipt) for name, receipt in self.inputs.items()}

    @property
    def values(self) -> dict[str, Any]:
        """The parameters without the code digest."""
        return {key: value for key, value in self.params.items() if key != "code"}

    @property
    def digest(self) -> str:
        """Digest of everything that shapes the result: the key of the memo."""
        return step_digest(f"{self.step.name} {self.artifact}", self.values, self.params["code"], self.identities)

    @property
    def memo(self) -> StorePath:
        """Folder of the earlier receipts of this artifact."""
        return memo_folder(self.step, self.root, self.artifact)

    @property
    def made_from(self) -> dict[str, Any]:
        """The parameters, code and inputs that the receipt records."""
        return {
            "step": self.step.name,
            "code": self.params["code"],
            "params": self.values,
            "inputs": self.identities,
        }

    def print_line(self, text: str) -> None:
        """Prints a line prefixed with the step's name."""
        print(f"[{self.step.name}] {text}", flush=True)

    def log(self, text: str) -> None:
        """Reports progress on the terminal and in the run's journal."""
        self.print_line(text)
        journal.record("progress", self.step.name, self.artifact, text=text)

    def open(self, name: str) -> tables.OpenTable:
        """An input table, at exactly the version in its receipt."""
        receipt = self.inputs[name]
        return tables.open_table(self.root, receipt, rebuild_command(self.root, receipt))

    def source_ids(self) -> AllSourceIds:
        """How the ids of users and movies are shown; the step must read `users` and `items` where they are made."""
        return AllSourceIds.read(lambda name: self.open(name).read() if name in self.inputs else None)

    def path(self, name: str) -> Path:
        """An input file or folder on this machine, checked against its receipt."""
        return tables.local_path(self.root, self.verified_receipt(name))

    def verified_receipt(self, name: str) -> Receipt:
        """The receipt of an input, after checking that the content matches it.

        Raises:
            TableError: if it does not match.
        """
        receipt = self.inputs[name]
        found = tables.content_problem(self.root, receipt)
        if found:
            raise TableError(found, f"rebuild it with: {rebuild_command(self.root, receipt)}")
        return receipt

    @property
    def lakehouse(self) -> Lakehouse:
        return Lakehouse(str(self.root), self.dataset)

    def uri(self, name: str) -> str:
        """Address of an input folder, for Spark; checked against its receipt."""
        return (self.root / self.verified_receipt(name).path).absolute().as_uri()

    def content_path(self, version: str = "") -> str:
        """Path of the step's content, relative to the lakehouse; `version` is the model version."""
        return self.step.content_path(self.artifact, self.dataset, version)

    def publish(
        self, staging: StorePath, contract: Contract, *, fingerprint: str, rows: int, facts: dict[str, Any]
    ) -> Receipt:
        """Publishes a staged table as the step's result and returns its receipt."""
        path, digest = self.content_path(), contract.schema_hash
        version = self.publish_rows(
            staging, path, contract.schema, contract.partition_by, fingerprint=fingerprint, rows=rows
        )
        table_format = self.params["storage_format"]
        return Receipt(self.artifact, "table", path, table_format, version, rows, digest, fingerprint, facts)

    def publish_rows(
        self,
        staging: StorePath,
        path: str,
        schema: pa.Schema,
        partition_by: Sequence[str],
        *,
        fingerprint: str,
        rows: int,
    ) -> int | None:
        """Publishes a staged table at a path of the lakehouse and returns its Delta version.

        A foreign table at the path is replaced if the run may overwrite.
        """
        target, table_format = self.root / path, self.params["storage_format"]
        if os.environ.get(environment.FORCE_OVERWRITE):
            publish.remove_foreign_content(target, table_format, self.dataset)
        return publish.publish_table(
            staging,
            target,
            storage_format=table_format,
            schema=schema,
            partition_by=partition_by,
            fingerprint=fingerprint,
            rows=rows,
            dataset=self.dataset,
        )

    def publish_file(self, content: str, facts: dict[str, Any] | None = None, version: str = "") -> Receipt:
        """Writes the step's result, a small file, and returns its receipt."""
        path = self.content_path(version)
        target = self.root / path
        atomic_write.write_text(target, content)
        found = file_fingerprint(target)
        return Receipt(self.artifact, "file", path, target.suffix.lstrip("."), None, 0, "", found, facts or {})

    def stage_table(self, table: pa.Table) -> Path:
        """A staging folder of the step's result with one Parquet file that holds the table."""
        import pyarrow.parquet as pq  # noqa: PLC0415

        staging = publish.create_staging_folder(self.root / self.content_path())
        pq.write_table(table, staging / "part-00000.parquet", compression="zstd", row_group_size=1 << 20)
        return staging


def identity(step: Step, receipt: Receipt) -> str:
    """The part of an input's receipt that enters a step's digest."""
    return receipt.full_identity if step.reads_facts else receipt.content_identity


def memo_folder(step: Step, root: StorePath, artifact: str) -> StorePath:
    """Folder of the earlier receipts of an artifact, by digest: inside its folder, or beside its file."""
    target = root / artifact
    return target.parent / manifests.MEMO / target.name if step.is_file else target / manifests.MEMO


def rebuild_command(root: StorePath, receipt: Receipt) -> str:
    """The command that rebuilds a receipt's result, with the configuration of this run."""
    rule = receipt.made_from.get("step", "bronze")
    target = os.environ.get(environment.TARGET, "gold")
    given = os.environ.get(environment.OVERRIDES, "")
    if is_path_occupied(root, receipt, os.environ.get(layout.DATASET, "")) and f"{commands.FORCE}=" not in given:
        given = f"{given or '--config'} {commands.FORCE}=true"
    return commands.run_command(target, rule, given)


def is_path_occupied(root: StorePath, receipt: Receipt, dataset: str) -> bool:
    """Whether foreign or damaged content at a table's path prevents its step from rebuilding it."""
    return receipt.kind == "table" and publish.publish_problem(root / receipt.path, receipt.format, dataset) is not None
