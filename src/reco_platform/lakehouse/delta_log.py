"""Read the log of a Delta table, and describe files for it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.parquet as pq

from reco_platform.core.errors import RecoError
from reco_platform.store.hdfs import call_store
from reco_platform.store.paths import StorePath, arrow_source

NULL_PARTITION = "__HIVE_DEFAULT_PARTITION__"


def head_version(folder: StorePath) -> int | None:
    """The newest version in a Delta log; None if there is no table."""
    versions = [int(path.stem) for path in (folder / "_delta_log").glob("*.json") if path.stem.isdigit()]
    return max(versions, default=None)


def log_file(folder: StorePath, version: int) -> StorePath:
    """The path of a version's commit file."""
    return folder / "_delta_log" / f"{version:020d}.json"


def log_files(folder: StorePath, version: int) -> set[str]:
    """The data files of a version, relative to the table's folder."""
    from deltalake import DeltaTable  # noqa: PLC0415  # takes 0.3 s to import

    actions = pa.table(call_store(folder, lambda: DeltaTable(str(folder), version=version).get_add_actions()))
    return {unquote(name) for name in actions["path"].to_pylist()}


def log_damage(folder: StorePath, version: int) -> str | None:
    """Why a Delta log cannot be read at a version; None if it can."""
    damage = checkpoint_problem(folder / "_delta_log")
    if damage:
        return f"the Delta log of {folder} is damaged: {damage}"
    try:
        log_files(folder, version)
    except RecoError:
        raise
    except Exception as error:  # delta-rs raises a different kind for each damage
        return f"the Delta log of {folder} cannot be read at version {version}: {first_line(error)}"
    return None


def first_line(error: Exception) -> str:
    """The message of an error of delta-rs without the stack trace that it contains."""
    return str(error).partition("\n")[0]


def checkpoint_problem(log: StorePath) -> str | None:
    """Why readers cannot start from `_last_checkpoint`; None if they can, or if there is no such file."""
    pointer = log / "_last_checkpoint"
    if not pointer.is_file():
        return None
    try:
        version = int(json.loads(pointer.read_text(encoding="utf-8"))["version"])
    except (ValueError, KeyError, TypeError):
        return f"{pointer} is not readable"
    if not any(log.glob(f"{version:020d}.checkpoint*")):
        return f"{pointer} names the checkpoint of version {version}, which is missing"
    return None


def add_action(path: StorePath, name: str, entry: tuple[int, int, str], partition_by: Sequence[str]) -> Any:
    """Delta's add action for a staged file.

    Args:
        path: the staged file.
        name: its path relative to the table's folder; partition values are taken from it.
        entry: its size in bytes, modification time in ns, and sha256.
        partition_by: names of the partition columns.
    """
    from deltalake.transaction import AddAction  # noqa: PLC0415

    pairs = dict(part.partition("=")[::2] for part in Path(name).parts[:-1])
    values = {column: None if pairs[column] == NULL_PARTITION else unquote(pairs[column]) for column in partition_by}
    size, mtime_ns, _ = entry
    return AddAction(name, size, values, mtime_ns // 1_000_000, True, json.dumps(file_statistics(path)))


def file_statistics(path: StorePath) -> dict[str, Any]:
    """Delta's statistics of a Parquet file from its footer: number of rows, and the range of each int32 column."""
    footer = pq.read_metadata(arrow_source(path))
    minimums: dict[str, int] = {}
    maximums: dict[str, int] = {}
    for group in range(footer.num_row_groups):
        for index in range(footer.num_columns):
            column = footer.row_group(group).column(index)
            found = column.statistics
            if column.physical_type != "INT32" or "." in column.path_in_schema or not (found and found.has_min_max):
                continue
            name = column.path_in_schema
            minimums[name] = min(found.min, minimums.get(name, found.min))
            maximums[name] = max(found.max, maximums.get(name, found.max))
    return {"numRecords": footer.num_rows, "minValues": minimums, "maxValues": maximums}
