"""SQL over the tables of a lakehouse by DuckDB, in this process: each table a view, each version of it one too."""

from __future__ import annotations

import difflib
import io
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import duckdb
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from reco_platform.contracts.tables import CONTRACTS
from reco_platform.core.errors import ConfigError, TableError
from reco_platform.core.words import counted
from reco_platform.lakehouse import layout, receipts
from reco_platform.lakehouse.manifests import manifest_keys, manifest_path, read_manifest
from reco_platform.lakehouse.quarantine import quarantine_receipt
from reco_platform.lakehouse.tables import OpenTable, open_table
from reco_platform.pipeline.steps_table import STEP_OF, TABLE_RESULTS, artifact_of

if TYPE_CHECKING:
    from reco_platform.lakehouse.layout import Lakehouse
    from reco_platform.lakehouse.receipts import Receipt

Format = Literal["table", "csv", "json", "parquet"]
FORMATS: tuple[Format, ...] = ("table", "csv", "json", "parquet")
HISTORY = "history"
HISTORY_SCHEMA = pa.schema({
    "table_name": pa.string(), "version": pa.int64(), "is_current": pa.bool_(), "rows": pa.int64(),
    "written": pa.timestamp("s", "UTC"), "fingerprint": pa.string(), "path": pa.string(),
})  # fmt: skip
MAX_ROWS, MAX_WIDTH = 100, 60
SETTINGS: dict[str, str | bool | int | float | list[str]] = {
    "python_enable_replacements": False,  # a wrong name is an error, and never a variable of this program
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
}


@dataclass(frozen=True)
class View:
    """A table that queries can name.

    Attributes:
        name: of the view.
        receipt: of its present version.
    """

    name: str
    receipt: Receipt


def views(lakehouse: Lakehouse) -> dict[str, View]:
    """The tables that the lakehouse has, by the name of their view; rejected rows are `rejected_<table>`."""
    found: dict[str, View] = {}
    for result in TABLE_RESULTS:
        path = Path(lakehouse.receipt(artifact_of(result, lakehouse.dataset)))
        if not path.is_file():
            continue
        receipt = receipts.read(path)
        if receipt.kind != "table":
            continue
        name = Path(STEP_OF[result].artifact).name
        found[name] = View(name, receipt)
        rejected = quarantine_receipt(lakehouse.path, receipt) if name in layout.TABLES else None
        if rejected:
            found[f"rejected_{name}"] = View(f"rejected_{name}", rejected)
    return found


class Database:
    """A connection to DuckDB with the tables of a lakehouse as views.

    Args:
        lakehouse: the lakehouse.

    Raises:
        TableError: if the lakehouse has no table.
    """

    def __init__(self, lakehouse: Lakehouse) -> None:
        self.lakehouse = lakehouse
        self.views = views(lakehouse)
        if not self.views:
            raise TableError(f"{lakehouse.root} has no tables yet", "make them: reco gold")
        self.connection = duckdb.connect(config=SETTINGS)
        self.connection.execute("SET TimeZone = 'UTC'")
        for view in self.views.values():
            self.register(view.name, view.receipt, present_version(lakehouse, view.receipt))
        self.connection.register(HISTORY, history(lakehouse, self.views.values()))
        self.earlier: set[str] = set()

    def register(self, name: str, receipt: Receipt, table: OpenTable) -> None:
        contract = CONTRACTS.get(Path(receipt.artifact).name)
        if not table.files and contract:
            self.connection.register(name, contract.schema.empty_table())
        elif table.files:
            self.connection.register(name, table.dataset())

    def run(self, text: str) -> list[pa.Table]:
        """The results of some statements; those that have none, such as SET, are left out.

        Raises:
            ConfigError: if DuckDB refuses a statement; a wrong name comes with the names that there are.
        """
        self.register_versions(text)
        found = []
        try:
            for statement in self.connection.extract_statements(text):
                self.connection.execute(statement)
                if self.connection.description:
                    found.append(self.connection.fetch_arrow_table())
        except duckdb.Error as error:
            raise ConfigError(*self.explained(error)) from error
        return found

    def register_versions(self, query: str) -> None:
        """Makes a view for each earlier version that a query names, as in "ratings@0"."""
        for name, version in re.findall(r'"(\w+)@(\d+)"', query):
            view = self.views.get(name)
            if view is None or f"{name}@{version}" in self.earlier:
                continue
            folder = self.lakehouse.path / view.receipt.path
            manifest = read_manifest(folder, int(version))
            if manifest is None:
                known = ", ".join(map(str, versions(self.lakehouse, view))) or "none"
                raise ConfigError(f"{name} has no version {version}", f"its versions: {known}")
            self.register(f"{name}@{version}", view.receipt, OpenTable(folder, manifest, int(version)))
            self.earlier.add(f"{name}@{version}")

    def explained(self, error: duckdb.Error) -> tuple[str, str]:
        """An error of DuckDB as a message and what to do."""
        text = str(error)
        missing = re.search(r"Table with name (\S+) does not exist", text)
        if missing:
            near = difflib.get_close_matches(missing[1], self.names, n=1, cutoff=0.5)
            guess = f"; did you mean {near[0]}?" if near else ""
            return f"there is no table {missing[1]!r}{guess}", f"tables: {', '.join(self.names)}"
        lines = [line for line in text.splitlines() if line.strip()]
        return "\n".join(lines), f"tables: {', '.join(self.names)}; their columns: DESCRIBE <table>"

    @property
    def names(self) -> list[str]:
        return [*self.views, HISTORY]


def present_version(lakehouse: Lakehouse, receipt: Receipt) -> OpenTable:
    return open_table(lakehouse.path, receipt, "reco gold")


def versions(lakehouse: Lakehouse, view: View) -> list[int]:
    """The versions of a Delta table whose files are listed in the lakehouse, from the oldest."""
    keys = manifest_keys(lakehouse.path / view.receipt.path)
    return sorted(key for key in keys if isinstance(key, int))


def history(lakehouse: Lakehouse, tables: Iterable[View]) -> pa.Table:
    """Every version of every Delta table, with HISTORY_SCHEMA."""
    return pa.Table.from_pylist([row for view in tables for row in history_rows(lakehouse, view)], HISTORY_SCHEMA)


def history_rows(lakehouse: Lakehouse, view: View) -> Iterator[dict[str, Any]]:
    folder = lakehouse.path / view.receipt.path
    for version in versions(lakehouse, view):
        manifest = read_manifest(folder, version)
        if manifest:
            file = manifest_path(folder, version)
            written = file.stat().st_mtime if isinstance(file, Path) else None
            yield {
                "table_name": view.name, "version": version, "is_current": version == view.receipt.version,
                "rows": manifest.rows, "fingerprint": manifest.fingerprint, "path": str(folder),
                "written": datetime.fromtimestamp(int(written), UTC) if written else None,
            }  # fmt: skip


# --- output


def as_text(found: pa.Table, kind: Format) -> str:
    """A result as text: an aligned table of at most MAX_ROWS rows, CSV, or JSON with one object a line."""
    if kind == "csv":
        sink = io.BytesIO()
        pyarrow.csv.write_csv(flat(found), sink)
        return sink.getvalue().decode("utf-8").rstrip("\n")
    if kind == "json":
        return "\n".join(json.dumps(row, default=str, ensure_ascii=False) for row in found.to_pylist())
    return text_table(found)


def flat(found: pa.Table) -> pa.Table:
    """The same with nested columns as JSON text, since CSV has none."""
    for at, field in enumerate(found.schema):
        if pa.types.is_nested(field.type):
            texts = [None if cell is None else json.dumps(cell, default=str) for cell in found[field.name].to_pylist()]
            found = found.set_column(at, field.name, pa.array(texts, pa.string()))
    return found


def text_table(found: pa.Table) -> str:
    rows = [[cell_text(cell) for cell in row.values()] for row in found.slice(0, MAX_ROWS).to_pylist()]
    numbers = [pa.types.is_integer(one.type) or pa.types.is_floating(one.type) for one in found.schema]
    widths = [max(map(len, column)) for column in zip(found.column_names, *rows, strict=True)]
    lines = [aligned(row, widths, numbers) for row in (found.column_names, ["-" * width for width in widths], *rows)]
    count = counted(len(found), "row")
    more = f"; the first {MAX_ROWS} are shown, --format csv has all" if len(found) > MAX_ROWS else ""
    return "\n".join([*lines, f"({count}{more})"])


def cell_text(cell: object) -> str:
    text = "" if cell is None else str(cell).replace("\n", " ")
    return text if len(text) <= MAX_WIDTH else f"{text[: MAX_WIDTH - 3]}..."


def aligned(cells: Sequence[str], widths: Sequence[int], to_the_right: Sequence[bool]) -> str:
    parts = zip(cells, widths, to_the_right, strict=True)
    return "  ".join(cell.rjust(width) if right else cell.ljust(width) for cell, width, right in parts).rstrip()


def write(found: pa.Table, path: Path, kind: Format) -> None:
    """Writes a result to a file.

    Raises:
        ConfigError: if the file cannot be written.
    """
    try:
        if kind == "parquet":
            pq.write_table(found, path)
        else:
            path.write_text(as_text(found, kind) + "\n", encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"--output {path}: {error.strerror or error}", "name another file") from error
