"""Acquire the CSV files of a data set: generate them, copy them, or download and unpack an archive."""

from __future__ import annotations

import lzma
import os
import shlex
import shutil
import stat
import zipfile
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path, PureWindowsPath
from types import MappingProxyType

from reco_platform.core import project
from reco_platform.core.errors import DataError
from reco_platform.datasets import synthetic
from reco_platform.datasets.download import download_file
from reco_platform.datasets.id_dictionary import IdDictionary, Name
from reco_platform.datasets.registry import (
    ArchiveDataset,
    Dataset,
    DirectoryDataset,
    GenerateDataset,
    archive_layout,
    own_csv_file,
    tables,
)
from reco_platform.datasets.source_files import SourceFile, items_files, ratings_files
from reco_platform.datasets.translate import Translation, translate
from reco_platform.lakehouse.layout import TABLES
from reco_platform.store.paths import sha256_file

Report = Callable[[str], None]


def acquire(
    dataset: Dataset,
    destination: Path,
    cache: Path,
    *,
    report: Report,
    dictionaries: Mapping[Name, IdDictionary] = MappingProxyType({}),
) -> None:
    """Puts `<table>.csv` of each table into a folder.

    All files are first created in `destination/.incoming`, and renamed when all are complete. A file that already has
    the right bytes is not touched. Only one process at a time may use a destination.

    Args:
        dataset: the data set.
        destination: the folder; created if missing.
        cache: where downloaded archives are kept.
        report: called with a line of text for each file and for progress.
        dictionaries: of users and items if the ids are texts; new ids are saved before the CSV files are there.

    Raises:
        DataError: the source is missing, cannot be downloaded, or differs from the registry.
    """
    wanted = tables(dataset)
    staging = destination / ".incoming"
    try:
        if _is_complete(dataset, destination):
            return
        destination.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(staging, ignore_errors=True)
        staging.mkdir()
        _stage(dataset, staging, cache, report, dictionaries)
        for dictionary in dictionaries.values():
            dictionary.save()
        for table in wanted:
            _place(staging / f"{table}.csv", destination / f"{table}.csv", report)
        _sync(destination)
    except OSError as error:
        raise DataError(
            f"{dataset.name}: the CSV files cannot be written to {destination}: {error.strerror or error}"
            + (f" ({error.filename})" if error.filename else ""),
            f"df -h -- {shlex.quote(project.as_typed_path(destination))}",
        ) from error
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _is_complete(dataset: Dataset, destination: Path) -> bool:
    """Whether the destination is known to have the right files, without creating them."""
    match dataset:
        case DirectoryDataset():
            return dataset.layout.is_movielens and destination.exists() and destination.samefile(dataset.path)
        case GenerateDataset():
            files = {table: destination / f"{table}.csv" for table in TABLES}
            return set(dataset.sha256) == set(TABLES) and all(
                files[table].is_file() and sha256_file(files[table]) == digest
                for table, digest in dataset.sha256.items()
            )
        case ArchiveDataset():
            return False


def _stage(
    dataset: Dataset, staging: Path, cache: Path, report: Report, dictionaries: Mapping[Name, IdDictionary]
) -> None:
    match dataset:
        case GenerateDataset():
            report(f"{dataset.name}: generating {dataset.spec.ratings:,} ratings")
            synthetic.generate(staging, dataset.spec, progress=report)
            _check_generated(dataset, staging)
        case DirectoryDataset():
            for table in tables(dataset):
                if (own := own_csv_file(dataset, table)) is not None:
                    report(f"{dataset.name}: copying {table}.csv from {dataset.path}")
                    shutil.copyfile(own, staging / f"{table}.csv")
            if not dataset.layout.is_movielens:
                ratings, items = (files(dataset.path, dataset.layout) for files in (ratings_files, items_files))
                translate(Translation(dataset.layout, staging, report, dictionaries), ratings, items)
        case ArchiveDataset():
            report(f"{dataset.name}: licence: {dataset.licence}")
            archive = download_file(dataset.urls, cache, sha256=dataset.sha256, size=dataset.bytes, report=report)
            _unpack(dataset, archive, staging, report)


def _check_generated(dataset: GenerateDataset, staging: Path) -> None:
    for table, digest in dataset.sha256.items():
        found = sha256_file(staging / f"{table}.csv")
        if found != digest:
            raise DataError(
                f"{dataset.name}: the generated {table}.csv has sha256 {found}, but the registry lists {digest}",
                f"if the spec of {dataset.name} was changed, put the new sha256 into its entry, or delete the old one",
            )


def _place(staged: Path, final: Path, report: Report) -> None:
    """Renames a staged file; a final file with the same bytes is kept, so that its modification time stays."""
    if final.is_file() and final.stat().st_size == staged.stat().st_size and sha256_file(final) == sha256_file(staged):
        report(f"{final.name}: unchanged")
        return
    _sync(staged)
    staged.replace(final)
    report(f"{final.name}: {final.stat().st_size:,} bytes")


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


_ZIP_ERRORS = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, NotImplementedError)


def _unpack(dataset: ArchiveDataset, archive: Path, staging: Path, report: Report) -> None:
    """Unpacks only the registered members; names of output files never come from the archive."""
    try:
        with zipfile.ZipFile(archive) as bundle:
            members = _safe_members(dataset, bundle)
            if dataset.layout == "csv":
                for table, member in members.items():
                    report(f"{dataset.name}: unpacking {member.filename}")
                    with bundle.open(member) as source, (staging / f"{table}.csv").open("wb") as out:
                        shutil.copyfileobj(source, out, 2**20)
                return
        ratings, items = (SourceFile(archive, members[table].filename) for table in ("ratings", "movies"))
        translate(Translation(archive_layout(dataset), staging, report, {}), [ratings], [items])
    except _ZIP_ERRORS as error:
        raise _bad_archive(dataset, f"{archive} is not a complete zip file ({error})") from error


def _safe_members(dataset: ArchiveDataset, bundle: zipfile.ZipFile) -> dict[str, zipfile.ZipInfo]:
    """The zip entry of each table, after checks against malicious and wrong archives."""
    entries = {info.filename: info for info in bundle.infolist()}
    for name in entries:
        if _escapes(name):
            raise _bad_archive(dataset, f"the archive has a file outside its folder: {name!r}")
    members = {}
    for table in tables(dataset):
        name = dataset.members[table]  # type: ignore[index]
        if name not in entries:
            raise _bad_archive(dataset, f"the archive has no {name!r} (for {table})")
        members[table] = entries[name]
        if stat.S_ISLNK(entries[name].external_attr >> 16):
            raise _bad_archive(dataset, f"{name!r} in the archive is a link")
        if entries[name].flag_bits & 1:
            raise _bad_archive(dataset, f"{name!r} in the archive is encrypted")
    # zipfile never reads more than a member's declared size, so the declared sizes limit the real ones.
    total = sum(info.file_size for info in members.values())
    if total > dataset.max_unpacked_bytes:
        raise _bad_archive(
            dataset, f"unpacks to {total:,} bytes, but at most {dataset.max_unpacked_bytes:,} are allowed"
        )
    return members


def _escapes(name: str) -> bool:
    """Whether a path leads out of the archive's folder; as a Windows path, which has drives and both slashes."""
    path = PureWindowsPath(name)
    return bool(path.drive or path.root) or ".." in path.parts


def _bad_archive(dataset: ArchiveDataset, what: str) -> DataError:
    return DataError(
        f"{dataset.name}: {what}",
        f"correct the entry {dataset.name} of config/datasets.yaml, "
        "or unpack the archive by hand and set dataset_path to the folder with its CSV files",
    )
