"""The CSV files of a data set in the lakehouse: brought there once, then described as they are."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from reco_platform.datasets import registry as datasets
from reco_platform.lakehouse import manifests, publish
from reco_platform.lakehouse.layout import TABLES, Lakehouse
from reco_platform.lakehouse.receipts import Receipt
from reco_platform.store.atomic_write import write_text
from reco_platform.store.paths import StorePath, move_file, remove_tree, run_in_parallel, sha256_file

CACHE = Path(".cache/downloads")


def bring(dataset: datasets.Dataset, lakehouse: Lakehouse, report: Callable[[str], None]) -> bool:
    """Puts the CSV files in place, unless they were already brought from this very source.

    Files that a person has changed since are kept: they are that person's data now.

    Returns:
        Whether anything was brought.
    """
    if is_there(dataset, lakehouse):
        return False
    folder, source, wanted = folder_of(lakehouse), source_of(lakehouse), datasets.tables(dataset)
    source.unlink(missing_ok=True)
    for table in set(TABLES) - set(wanted):
        (folder / f"{table}.csv").unlink(missing_ok=True)
    if isinstance(folder, Path):
        datasets.acquire(dataset, folder, CACHE, report=report)
    else:
        staging = publish.create_staging_folder(folder)
        datasets.acquire(dataset, staging, CACHE, report=report)
        run_in_parallel(move_file, ((staging / f"{table}.csv", folder / f"{table}.csv") for table in wanted))
        remove_tree(staging)
    write_text(source, identity(dataset))
    return True


def folder_of(lakehouse: Lakehouse) -> StorePath:
    return lakehouse.content(lakehouse.bronze("ratings")).parent


def source_of(lakehouse: Lakehouse) -> StorePath:
    """The file that says what the CSV files were brought from."""
    return folder_of(lakehouse) / manifests.MEMO / "source.json"


def identity(dataset: datasets.Dataset) -> str:
    return json.dumps({"source": datasets.source_identity(dataset)}, indent=1) + "\n"


def is_there(dataset: datasets.Dataset, lakehouse: Lakehouse) -> bool:
    """Whether the CSV files were brought from this very source and lie in place."""
    source, folder = source_of(lakehouse), folder_of(lakehouse)
    return (
        source.is_file()
        and source.read_text("utf-8") == identity(dataset)
        and all((folder / f"{table}.csv").is_file() for table in datasets.tables(dataset))
    )


def memo(lakehouse: Lakehouse, table: str) -> StorePath:
    """The receipt that a CSV file had the last time."""
    return folder_of(lakehouse) / manifests.MEMO / f"{table}.json"


def describe(dataset: datasets.Dataset, lakehouse: Lakehouse, table: str, path: StorePath | None = None) -> Receipt:
    """The receipt of one CSV file as it is now; of kind absent where the data set has none.

    Args:
        dataset: the data set.
        lakehouse: the lakehouse.
        table: which file.
        path: where its bytes lie, if not in the lakehouse yet.

    Raises:
        OSError: the file is not there.
    """
    artifact = lakehouse.bronze(table)
    path = path or lakehouse.content(f"{artifact}.csv")
    if table not in datasets.tables(dataset):
        return Receipt(artifact, "absent", f"{artifact}.csv")
    checksum = sha256_file(path)
    registered = registered_sha256(dataset, table)
    facts = {"sha256": checksum, "bytes": path.stat().st_size, "as_registered": registered in (None, checksum)}
    return Receipt(artifact, "file", f"{artifact}.csv", "csv", None, 0, "", checksum[:16], facts, {"step": "bronze"})


def seen(path: StorePath) -> list[int] | None:
    """What a look at a file shows without reading it: its size and its time of change; None where there is none."""
    return [path.stat().st_size, path.stat().st_mtime_ns] if path.is_file() else None


def registered_sha256(dataset: datasets.Dataset, table: str) -> str | None:
    known = getattr(dataset, "sha256", None)
    return known.get(table) if isinstance(known, dict) else None
