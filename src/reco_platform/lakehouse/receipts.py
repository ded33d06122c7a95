"""Receipts: small files that say exactly which content stands at a path, and what it was made from."""

from __future__ import annotations

import json
import shlex
from dataclasses import asdict, dataclass, field
from pathlib import Path, PurePath
from typing import Any, Literal

from reco_platform.core.errors import TableError
from reco_platform.core.hashing import canonical, sha256
from reco_platform.lakehouse.layout import RECEIPT
from reco_platform.store.paths import StorePath

Kind = Literal["table", "model", "folder", "file", "absent"]


@dataclass(frozen=True)
class Receipt:
    """One artifact's content. Nothing in it changes from run to run.

    Attributes:
        artifact: what it stands for, such as silver/ratings.
        kind: a table, a model folder, another folder, a file, or nothing (an optional input that is not there).
        path: where the content lies, relative to the lakehouse.
        format: delta, parquet, or the kind of file.
        version: the Delta version that holds the content; None for everything else.
        rows: rows of a table, users of a model; 0 for a file.
        schema_hash: names and types of a table's columns.
        fingerprint: the content, whatever the order of rows and the layout of files.
        facts: counts and other findings about this content.
        made_from: step, code digest, parameters, and the identity of each input.
    """

    artifact: str
    kind: Kind
    path: str
    format: str = ""
    version: int | None = None
    rows: int = 0
    schema_hash: str = ""
    fingerprint: str = ""
    facts: dict[str, Any] = field(default_factory=dict)
    made_from: dict[str, Any] = field(default_factory=dict)

    @property
    def content(self) -> str:
        """The identity of the content alone: what a consumer's digest is made from."""
        return canonical([self.kind, self.path, self.rows, self.schema_hash, self.fingerprint])

    @property
    def failed(self) -> bool:
        """Whether it stands for an attempt that failed: what reads it goes on, and the next run tries again."""
        return self.facts.get("status") == "failed"

    @property
    def lasting(self) -> bool:
        """Whether it holds beyond this run: what failed, or was not tracked, is tried again by the next."""
        return not self.failed and self.facts.get("tracked", True)

    @property
    def whole(self) -> str:
        """The identity of the receipt with its facts, for consumers that read those."""
        return sha256(canonical([self.content, self.facts]))[:20]

    def text(self) -> str:
        """The receipt as it is stored: readable, and sealed by a checksum over the rest."""
        body = asdict(self)
        return json.dumps({**body, "seal": seal(body)}, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def seal(body: dict[str, Any]) -> str:
    return sha256(canonical(body))[:16]


def parse(text: str, path: str | StorePath) -> Receipt:
    """A receipt from its text.

    Raises:
        TableError: if it is not a receipt, or was changed after it was written.
    """
    try:
        body = json.loads(text)
        claimed = body.pop("seal")
        receipt, found = Receipt(**body), seal(body)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise TableError(f"{path} is not a receipt: {error}", f"delete it and run again: {removing(path)}") from error
    if found != claimed:
        raise TableError(
            f"receipt {path} was edited by hand: its content does not fit its seal {claimed}",
            f"delete it and run again; it will be restored: {removing(path)}",
        )
    if PurePath(receipt.path).is_absolute() or ".." in PurePath(receipt.path).parts:
        raise TableError(
            f"receipt {path} leads out of its lakehouse, to {receipt.path!r}",
            f"delete it and run again: {removing(path)}",
        )
    return receipt


def removing(path: str | StorePath) -> str:
    """The command that removes a receipt, whatever its folders are called."""
    return f"rm -- {shlex.quote(str(path))}"


def read(path: str | StorePath) -> Receipt:
    """The receipt at a path.

    Raises:
        TableError: if it is missing, damaged, or that of another artifact.
    """
    try:
        text = (Path(path) if isinstance(path, str) else path).read_text(encoding="utf-8")
    except OSError as error:
        raise TableError(f"receipt {path} cannot be read: {error.strerror}", "snakemake --cores 2 gold") from error
    except UnicodeDecodeError as error:
        raise TableError(f"{path} is not a receipt: {error}", f"delete it and run again: {removing(path)}") from error
    receipt = parse(text, path)
    if str(path).endswith(RECEIPT) and not str(path).endswith(f"/{receipt.artifact}{RECEIPT}"):
        raise TableError(
            f"receipt {path} is that of another artifact, {receipt.artifact}",
            f"delete it and run again; it will be restored: {removing(path)}",
        )
    return receipt
