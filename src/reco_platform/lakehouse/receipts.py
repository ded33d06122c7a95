"""Receipts: small files that identify the content at a path exactly, and what it was made from."""

from __future__ import annotations

import json
import shlex
from dataclasses import asdict, dataclass, field
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any, Literal

from reco_platform.core import project
from reco_platform.core.errors import TableError
from reco_platform.core.hashing import canonical_json, sha256

if TYPE_CHECKING:
    from reco_platform.store.paths import StorePath

RECEIPT, PROVENANCE = ".receipt.json", ".provenance.json"
"""Suffixes of the files beside a result."""

Kind = Literal["table", "model", "folder", "file", "absent"]


@dataclass(frozen=True)
class Receipt:
    """The identity of one artifact's content. Two runs that make the same content write the same receipt.

    Attributes:
        artifact: the artifact's name, such as silver/ratings.
        kind: a table, a model folder, another folder, a file, or absent (an optional input that does not exist).
        path: path of the content, relative to the lakehouse.
        format: delta, parquet, or the kind of file.
        version: the Delta version with the content; None for everything else.
        rows: rows of a table, users of a model; 0 for a file.
        schema_hash: hash of the names and types of a table's columns.
        fingerprint: hash of the content, independent of the order of rows and the layout of files.
        facts: counts and other findings about the content.
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
    def content_identity(self) -> str:
        """The identity of the content without facts, for the digests of steps that read it."""
        return canonical_json([self.kind, self.path, self.rows, self.schema_hash, self.fingerprint])

    @property
    def failed(self) -> bool:
        """Whether the attempt failed. Steps that read the receipt still run, and the next run tries again."""
        return self.facts.get("status") == "failed"

    @property
    def is_reusable(self) -> bool:
        """Whether later runs may use the result; a failed or untracked one is tried again by the next run."""
        return not self.failed and self.facts.get("tracked", True)

    @property
    def full_identity(self) -> str:
        """The identity of content and facts, for the digests of steps that read facts too."""
        return sha256(canonical_json([self.content_identity, self.facts]))[:20]

    def text(self) -> str:
        """The receipt as JSON, with a checksum over everything else as its seal."""
        body = asdict(self)
        return json.dumps({**body, "seal": seal(body)}, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def seal(body: dict[str, Any]) -> str:
    return sha256(canonical_json(body))[:16]


def parse(text: str, path: str | StorePath) -> Receipt:
    """A receipt from its text.

    Args:
        text: JSON.
        path: where it was read, for error messages.

    Raises:
        TableError: it is not a receipt, was edited, or names a path outside the lakehouse.
    """
    try:
        body = json.loads(text)
        claimed = body.pop("seal")
        receipt, found = Receipt(**body), seal(body)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise TableError(
            f"{path} is not a receipt: {error}", f"delete it and run again: {remove_command(path)}"
        ) from error
    if found != claimed:
        raise TableError(
            f"receipt {path} was edited by hand: its content does not match its seal {claimed}",
            f"delete it and run again; it will be restored: {remove_command(path)}",
        )
    if PurePath(receipt.path).is_absolute() or ".." in PurePath(receipt.path).parts:
        raise TableError(
            f"receipt {path} points outside its lakehouse, to {receipt.path!r}",
            f"delete it and run again: {remove_command(path)}",
        )
    return receipt


def remove_command(path: str | StorePath) -> str:
    """The command that removes a receipt, quoted for the shell."""
    return f"rm -- {shlex.quote(project.as_typed_path(path))}"


def read(path: str | StorePath) -> Receipt:
    """Reads the receipt at a path.

    Raises:
        TableError: it is missing or damaged, or belongs to another artifact.
    """
    try:
        text = (Path(path) if isinstance(path, str) else path).read_text(encoding="utf-8")
    except OSError as error:
        raise TableError(f"receipt {path} cannot be read: {error.strerror}", project.run_command("gold")) from error
    except UnicodeDecodeError as error:
        raise TableError(
            f"{path} is not a receipt: {error}", f"delete it and run again: {remove_command(path)}"
        ) from error
    receipt = parse(text, path)
    if str(path).endswith(RECEIPT) and not str(path).endswith(f"/{receipt.artifact}{RECEIPT}"):
        raise TableError(
            f"receipt {path} belongs to another artifact, {receipt.artifact}",
            f"delete it and run again; it will be restored: {remove_command(path)}",
        )
    return receipt
