"""The log of a Delta table, as delta-rs and its files tell it."""

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

PARTITIONING_NULL = "__HIVE_DEFAULT_PARTITION__"


def log_damage(folder: StorePath, version: int) -> str | None:
    """Why a Delta log cannot be read at a version; None if it can."""
    lost = checkpoint_problem(folder / "_delta_log")
    if lost:
        return f"the Delta log of {folder} is damaged: {lost}"
    try:
        log_files(folder, version)
    except RecoError:
        raise
    except Exception as error:  # delta-rs raises its own kinds for each damage of a log
        return f"the Delta log of {folder} cannot be read at version {version}: {first_line(error)}"
    return None


def first_line(error: Exception) -> str:
    """What delta-rs says, without the stack of its own that it adds."""
    return str(error).partition("\n")[0]


def checkpoint_problem(log: StorePath) -> str | None:
    """Why `_last_checkpoint`, from which readers start, leads to nothing; None where there is none, or all is well."""
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


def log_files(folder: StorePath, version: int) -> set[str]:
    from deltalake import DeltaTable  # noqa: PLC0415  # 0.3 s that only opening needs

    actions = pa.table(call_store(folder, lambda: DeltaTable(str(folder), version=version).get_add_actions()))
    return {unquote(name) for name in actions["path"].to_pylist()}


def log_file(folder: StorePath, version: int) -> StorePath:
    return folder / "_delta_log" / f"{version:020d}.json"


def head_version(folder: StorePath) -> int | None:
    """The newest version in a Delta log; None where there is no table."""
    versions = [int(path.stem) for path in (folder / "_delta_log").glob("*.json") if path.stem.isdigit()]
    return max(versions, default=None)


def add_action(path: StorePath, name: str, entry: tuple[int, int, str], partition_by: Sequence[str]) -> Any:
    from deltalake.transaction import AddAction  # noqa: PLC0415

    pairs = dict(part.partition("=")[::2] for part in Path(name).parts[:-1])
    values = {column: None if pairs[column] == PARTITIONING_NULL else unquote(pairs[column]) for column in partition_by}
    size, changed, _ = entry
    return AddAction(name, size, values, changed // 1_000_000, True, json.dumps(file_statistics(path)))


def file_statistics(path: StorePath) -> dict[str, Any]:
    """Delta's statistics of one Parquet file from its footer: rows, and the range of each whole-number column."""
    footer = pq.read_metadata(arrow_source(path))
    lows: dict[str, int] = {}
    highs: dict[str, int] = {}
    for group in range(footer.num_row_groups):
        for index in range(footer.num_columns):
            column = footer.row_group(group).column(index)
            found = column.statistics
            if column.physical_type != "INT32" or "." in column.path_in_schema or not (found and found.has_min_max):
                continue
            name = column.path_in_schema
            lows[name] = min(found.min, lows.get(name, found.min))
            highs[name] = max(found.max, highs.get(name, found.max))
    return {"numRecords": footer.num_rows, "minValues": lows, "maxValues": highs}
