"""The bronze layer: a data set's CSV files in the lakehouse, imported once, and their receipts."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from reco_platform.datasets import id_dictionary
from reco_platform.datasets import registry as datasets
from reco_platform.datasets.acquire import acquire
from reco_platform.datasets.id_dictionary import IdDictionary, Name
from reco_platform.fingerprint.files import file_fingerprint
from reco_platform.lakehouse import manifests, publish
from reco_platform.lakehouse.layout import TABLES, Lakehouse
from reco_platform.lakehouse.receipts import Receipt
from reco_platform.store.atomic_write import write_text
from reco_platform.store.paths import StorePath, move_file, remove_tree, run_in_parallel, sha256_file

CACHE = Path(".cache/downloads")

DICTIONARIES = "_ids"
"""Name of the folders of dictionaries, and of the copies of their lists."""


def import_csv_files(dataset: datasets.Dataset, lakehouse: Lakehouse, report: Callable[[str], None]) -> bool:
    """Imports the CSV files, unless they were already imported from the same source.

    Files that somebody has edited since are kept: they are now that person's own data.

    Args:
        dataset: the data set.
        lakehouse: the lakehouse.
        report: called with a line of text for each file and for progress.

    Returns:
        Whether files were imported.
    """
    if is_imported(dataset, lakehouse):
        return False
    folder, source, wanted = bronze_folder(lakehouse), source_path(lakehouse), datasets.tables(dataset)
    dictionaries = {name: open_dictionary(lakehouse, name) for name in datasets.dictionaries(dataset)}
    source.unlink(missing_ok=True)
    for table in set(TABLES) - set(wanted):
        (folder / f"{table}.csv").unlink(missing_ok=True)
    if isinstance(folder, Path):
        acquire(dataset, folder, CACHE, report=report, dictionaries=dictionaries)
    else:
        staging = publish.create_staging_folder(folder)
        acquire(dataset, staging, CACHE, report=report, dictionaries=dictionaries)
        run_in_parallel(move_file, ((staging / f"{table}.csv", folder / f"{table}.csv") for table in wanted))
        remove_tree(staging)
    for dictionary in dictionaries.values():
        close_dictionary(lakehouse, dictionary)
    write_text(source, source_text(dataset))
    return True


def is_imported(dataset: datasets.Dataset, lakehouse: Lakehouse) -> bool:
    """Whether the CSV files exist and were imported from this source."""
    source, folder = source_path(lakehouse), bronze_folder(lakehouse)
    return (
        source.is_file()
        and source.read_text("utf-8") == source_text(dataset)
        and all((folder / f"{table}.csv").is_file() for table in datasets.tables(dataset))
        and all(used_ids_path(lakehouse, name).is_file() for name in datasets.dictionaries(dataset))
    )


def bronze_folder(lakehouse: Lakehouse) -> StorePath:
    return lakehouse.content(lakehouse.bronze("ratings")).parent


def source_path(lakehouse: Lakehouse) -> StorePath:
    """The file that records what the CSV files were imported from."""
    return bronze_folder(lakehouse) / manifests.MEMO / "source.json"


def source_text(dataset: datasets.Dataset) -> str:
    return json.dumps({"source": datasets.source_identity(dataset)}, indent=1) + "\n"


def memo_path(lakehouse: Lakehouse, table: str) -> StorePath:
    """The copy of the last receipt of a CSV file."""
    return bronze_folder(lakehouse) / manifests.MEMO / f"{table}.json"


def csv_receipt(dataset: datasets.Dataset, lakehouse: Lakehouse, table: str, path: StorePath | None = None) -> Receipt:
    """The receipt of a CSV file as it is now; its kind is absent if the data set has no such file.

    Args:
        dataset: the data set.
        lakehouse: the lakehouse.
        table: ratings, movies or tags.
        path: the file to read, if it is not in the lakehouse yet.

    Raises:
        OSError: the file cannot be read.
    """
    artifact = lakehouse.bronze(table)
    if table in datasets.dictionaries(dataset):
        return used_ids_receipt(artifact, path or lakehouse.content(f"{artifact}.json"))
    if table not in datasets.tables(dataset):
        return Receipt(artifact, "absent", f"{artifact}.csv")
    path = path or lakehouse.content(f"{artifact}.csv")
    checksum = sha256_file(path)
    registered = registered_sha256(dataset, table)
    facts = {"sha256": checksum, "bytes": path.stat().st_size, "as_registered": registered in (None, checksum)}
    return Receipt(artifact, "file", f"{artifact}.csv", "csv", None, 0, "", checksum[:16], facts, {"step": "bronze"})


def file_stat(path: StorePath) -> list[int] | None:
    """Size in bytes and modification time in ns, to find changed files without reading them; None if missing."""
    return [path.stat().st_size, path.stat().st_mtime_ns] if path.is_file() else None


def registered_sha256(dataset: datasets.Dataset, table: str) -> str | None:
    """The sha256 of a CSV file in the registry; None if it has none."""
    known = getattr(dataset, "sha256", None)
    return known.get(table) if isinstance(known, dict) else None


# --- dictionaries of source ids


def dictionary_folder(lakehouse: Lakehouse) -> StorePath:
    """The folder of the dictionaries, which an import only adds to."""
    return bronze_folder(lakehouse) / DICTIONARIES


def used_ids_path(lakehouse: Lakehouse, name: str) -> StorePath:
    """The file that says which ids of a dictionary the present CSV files use."""
    return bronze_folder(lakehouse) / f"{name}.json"


def open_dictionary(lakehouse: Lakehouse, name: Name) -> IdDictionary:
    """A dictionary for an import: it has every id that was ever given in this lakehouse.

    Raises:
        DictionaryError: it was deleted or edited since the last import.
    """
    check_dictionary(lakehouse, name)
    return IdDictionary.load(dictionary_folder(lakehouse), name)


def close_dictionary(lakehouse: Lakehouse, dictionary: IdDictionary) -> None:
    """Writes new ids, which ids the CSV files use, and a copy of the dictionary's list, by which a loss is noticed."""
    dictionary.save()
    write_text(used_ids_path(lakehouse, dictionary.name), dictionary.used_ids.text())
    write_text(id_dictionary.list_path(list_copies(lakehouse), dictionary.name), dictionary.list_text)


def check_dictionary(lakehouse: Lakehouse, name: Name) -> None:
    """Checks every file of a dictionary, and that it still begins with all the ids that were given.

    Raises:
        DictionaryError: it was deleted or edited.
    """
    folder = dictionary_folder(lakehouse)
    known = id_dictionary.read_parts(list_copies(lakehouse), name)
    found = id_dictionary.read_parts(folder, name)
    if found[: len(known)] != known:
        path = id_dictionary.list_path(folder, name)
        raise id_dictionary.damaged(
            folder, name, f"{path} lacks ids that were given" if found else f"{path} is missing"
        )
    for part in found:
        id_dictionary.check_part(folder, name, part)


def list_copies(lakehouse: Lakehouse) -> StorePath:
    """The folder with the copies of the dictionaries' lists."""
    return bronze_folder(lakehouse) / manifests.MEMO / DICTIONARIES


def used_ids_receipt(artifact: str, path: StorePath) -> Receipt:
    """The receipt of the file that says which ids the CSV files use."""
    used = id_dictionary.read_used_ids(path)
    facts = {"sha256": sha256_file(path), "bytes": path.stat().st_size, "ids": used.ids}
    found = file_fingerprint(path)
    return Receipt(artifact, "file", f"{artifact}.json", "json", None, 0, "", found, facts, {"step": "bronze"})
