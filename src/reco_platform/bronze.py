"""The CSV files of a data set in the lakehouse: brought there once, then described as they are."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from pathlib import Path

from reco_platform import datasets, storage
from reco_platform.layout import TABLES, Lakehouse
from reco_platform.places import Place, move, sha256_file
from reco_platform.receipts import Receipt, write_text

CACHE = Path(".cache/downloads")


def bring(dataset: datasets.Dataset, house: Lakehouse, report: Callable[[str], None]) -> bool:
    """Puts the CSV files in place, unless they were already brought from this very source.

    Files that a person has changed since are kept: they are that person's data now.

    Returns:
        Whether anything was brought.
    """
    folder = house.content(house.bronze("ratings")).parent
    source = folder / storage.MEMO / "source.json"
    identity = json.dumps({"source": datasets.source_identity(dataset)}, indent=1) + "\n"
    wanted = datasets.tables(dataset)
    if (
        source.is_file()
        and source.read_text("utf-8") == identity
        and all((folder / f"{t}.csv").is_file() for t in wanted)
    ):
        return False
    source.unlink(missing_ok=True)
    for table in set(TABLES) - set(wanted):
        (folder / f"{table}.csv").unlink(missing_ok=True)
    if isinstance(folder, Path):
        datasets.acquire(dataset, folder, CACHE, report=report)
    else:
        with tempfile.TemporaryDirectory(dir=storage.scratch()) as here:
            datasets.acquire(dataset, Path(here), CACHE, report=report)
            for table in wanted:
                move(Path(here) / f"{table}.csv", folder / f"{table}.csv")
    write_text(source, identity)
    return True


def describe(dataset: datasets.Dataset, house: Lakehouse, table: str) -> Receipt:
    """The receipt of one CSV file as it is now; of kind absent where the data set has none."""
    artifact = house.bronze(table)
    path = house.content(f"{artifact}.csv")
    if table not in datasets.tables(dataset):
        return Receipt(artifact, "absent", f"{artifact}.csv")
    checksum = sha256_file(path)
    registered = registered_sha256(dataset, table)
    facts = {"sha256": checksum, "bytes": path.stat().st_size, "as_registered": registered in (None, checksum)}
    return Receipt(artifact, "file", f"{artifact}.csv", "csv", None, 0, "", checksum[:16], facts, {"step": "bronze"})


def seen(path: Place) -> list[int] | None:
    """What a look at a file shows without reading it: its size and its time of change; None where there is none."""
    return [path.stat().st_size, path.stat().st_mtime_ns] if path.is_file() else None


def registered_sha256(dataset: datasets.Dataset, table: str) -> str | None:
    known = getattr(dataset, "sha256", None)
    return known.get(table) if isinstance(known, dict) else None
