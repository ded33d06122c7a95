"""The registry of datasets, and getting the CSV files of one of them into a folder."""

from __future__ import annotations

import difflib
import json
import lzma
import os
import shlex
import shutil
import stat
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path, PureWindowsPath
from typing import Annotated, Any, Literal

import yaml
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PositiveInt,
    TypeAdapter,
    ValidationError,
    ValidationInfo,
    field_validator,
)

from reco_platform.core import project
from reco_platform.core.errors import ConfigError, DataError
from reco_platform.datasets import synthetic
from reco_platform.datasets.download import fetch
from reco_platform.store.paths import sha256_file

TABLES = ("ratings", "movies", "tags")

Report = Callable[[str], None]
Table = Literal["ratings", "movies", "tags"]
Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
Url = Annotated[str, Field(pattern="^https?://")]


class _Entry(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str


class GenerateDataset(_Entry):
    """Made on this machine from `spec`; `sha256` of the CSV files where they are pinned."""

    kind: Literal["generate"] = "generate"
    spec: synthetic.DemoSpec = synthetic.DemoSpec()
    sha256: dict[Table, Sha256] = {}


class ArchiveDataset(_Entry):
    """A zip file from one of `urls`; `members` says which file in it holds which table."""

    kind: Literal["archive"] = "archive"
    urls: tuple[Url, ...] = Field(min_length=1)
    sha256: Sha256
    bytes: PositiveInt | None = None
    licence: str
    layout: Literal["csv", "ml-1m"] = "csv"
    members: dict[Table, str]
    max_unpacked_bytes: PositiveInt

    @field_validator("members")
    @classmethod
    def _has_the_tables_of_its_layout(cls, members: dict[str, str], info: ValidationInfo) -> dict[str, str]:
        missing = [table for table in ("ratings", "movies") if table not in members]
        if missing:
            raise ValueError(f"a member is needed for {' and '.join(missing)}")
        if "tags" in members and info.data.get("layout") == "ml-1m":
            raise ValueError("the layout ml-1m has no tags")
        return members


class DirectoryDataset(_Entry):
    """The user's own folder with ratings.csv, movies.csv and, if there, tags.csv."""

    kind: Literal["directory"] = "directory"
    path: Path


Dataset = GenerateDataset | ArchiveDataset | DirectoryDataset
_KINDS: dict[str, type[_Entry]] = {
    "generate": GenerateDataset,
    "archive": ArchiveDataset,
    "directory": DirectoryDataset,
}
_ENTRY: TypeAdapter[Dataset] = TypeAdapter(Annotated[Dataset, Field(discriminator="kind")])


def load_registry(path: Path) -> dict[str, Dataset]:
    """The datasets of a YAML file by name.

    Raises:
        ConfigError: the file is missing or not YAML, or an entry has a wrong key or value (named in the message).
    """
    shown = project.shown(path)
    try:
        entries = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(
            f"{shown}: cannot be read ({error.strerror})", project.restore_command("config/datasets.yaml")
        ) from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{shown}: is not YAML: {error}", f"correct {shown}") from error
    if not isinstance(entries, dict):
        raise ConfigError(f"{shown}: expected dataset names with their entries", f"correct {shown}")
    return {str(name): _entry(shown, str(name), entry) for name, entry in entries.items()}


def resolve(registry: dict[str, Dataset], name: str, dataset_path: str | None) -> Dataset:
    """The dataset called `name`, or the user's folder under that name when `dataset_path` is given.

    Raises:
        ConfigError: neither a path nor a known name; the message lists the nearest names.
    """
    if dataset_path is not None:
        return DirectoryDataset(name=name, path=Path(dataset_path).expanduser())
    if name in registry:
        return registry[name]
    near = difflib.get_close_matches(name.lower(), registry, n=3, cutoff=0.5) or list(registry)
    raise ConfigError(
        f"dataset: there is no {name!r}; nearest: {', '.join(near)} (all: {', '.join(registry)})",
        f"set dataset to {near[0]!r}, or set dataset_path to a folder with ratings.csv and movies.csv for your own data"
        if near
        else "set dataset_path to a folder with ratings.csv and movies.csv",
    )


def tables(dataset: Dataset) -> tuple[str, ...]:
    """Which of TABLES the dataset has, in that order.

    Raises:
        DataError: a directory dataset without ratings.csv or movies.csv.
    """
    match dataset:
        case GenerateDataset():
            return TABLES
        case ArchiveDataset():
            return tuple(table for table in TABLES if table in dataset.members)
        case DirectoryDataset():
            return tuple(table for table in TABLES if _has(dataset.path, table))


def source(dataset: Dataset, table: str) -> Path | None:
    """The user's own CSV file of a table; None where the data set is no folder."""
    return dataset.path / f"{table}.csv" if isinstance(dataset, DirectoryDataset) else None


def source_identity(dataset: Dataset) -> str:
    """Canonical JSON that is equal exactly when the CSV files are made from the same thing; no path is part of it.

    Raises:
        DataError: as `tables`.
    """
    identity: dict[str, Any] = {"kind": dataset.kind}
    match dataset:
        case GenerateDataset():
            identity |= {"format": synthetic.FORMAT, "spec": dataset.spec.model_dump()}
        case ArchiveDataset():
            identity |= {"sha256": dataset.sha256, "layout": dataset.layout, "members": dataset.members}
        case DirectoryDataset():
            identity["sha256"] = {table: sha256_file(dataset.path / f"{table}.csv") for table in tables(dataset)}
    return json.dumps(identity, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def acquire(dataset: Dataset, destination: Path, cache: Path, *, report: Report) -> None:
    """Puts `<table>.csv` of each table of the dataset into `destination` (made if missing).

    All files are made in `destination/.incoming` first and renamed when every one is whole; a file that has the right
    bytes already is not touched. `cache` keeps downloaded archives. One process at a time for each destination.

    Raises:
        DataError: the source is missing, cannot be downloaded, or is not what the registry says.
    """
    wanted = tables(dataset)
    staging = destination / ".incoming"
    try:
        if _is_there_already(dataset, destination):
            return
        destination.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(staging, ignore_errors=True)
        staging.mkdir()
        _stage(dataset, staging, cache, report)
        for table in wanted:
            _place(staging / f"{table}.csv", destination / f"{table}.csv", report)
        _sync(destination)
    except OSError as error:
        raise DataError(
            f"{dataset.name}: the CSV files cannot be brought to {destination}: {error.strerror or error}"
            + (f" ({error.filename})" if error.filename else ""),
            f"df -h -- {shlex.quote(str(destination))}",
        ) from error
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _entry(path: str, name: str, entry: Any) -> Dataset:
    if not isinstance(entry, dict):
        raise ConfigError(f"{path}: {name}: expected keys and values, got {entry!r}", f"correct {path}")
    try:
        return _ENTRY.validate_python({**entry, "name": name})
    except ValidationError as error:
        problems = "\n    ".join(_problem(entry, details) for details in error.errors())
        raise ConfigError(f"{path}: {name}:\n    {problems}", f"correct the entry {name} of {path}") from error


def _problem(entry: dict[str, Any], details: Any) -> str:
    """One line of pydantic's report: key, value, what is allowed. The first part of a location is the kind."""
    if details["type"].startswith("union_tag"):
        return f"kind: got {entry.get('kind')!r}, allowed: {', '.join(_KINDS)}"
    kind, *keys = details["loc"]
    where = ".".join(str(key) for key in keys if key != "[key]") or "entry"
    if details["type"] == "missing":
        return f"{where}: is missing"
    if details["type"] == "extra_forbidden":
        allowed = sorted(set(_KINDS[kind].model_fields) - {"name"}) if len(keys) == 1 else sorted(_spec_keys(keys))
        return f"{where}: unknown key, allowed: {', '.join(allowed)}"
    value = "" if isinstance(details["input"], dict) else f"got {details['input']!r}; "
    return f"{where}: {value}{details['msg']}"


def _spec_keys(keys: list[Any]) -> set[str]:
    return set(synthetic.Dirty.model_fields if "dirty" in keys[:-1] else synthetic.DemoSpec.model_fields)


def _has(folder: Path, table: str) -> bool:
    file = folder / f"{table}.csv"
    if file.is_file():
        return True
    if file.exists() or file.is_symlink():
        raise DataError(f"{file.absolute()} is no file", f"ls -ld -- {shlex.quote(str(file.absolute()))}")
    if table == "tags":
        return False
    raise DataError(
        f"{file.absolute()} is missing: a dataset folder needs ratings.csv and movies.csv",
        f"ls -- {shlex.quote(str(folder.absolute()))}, then set dataset_path to the folder that holds the CSV files",
    )


def _is_there_already(dataset: Dataset, destination: Path) -> bool:
    """True when that can be told without making the files."""
    match dataset:
        case DirectoryDataset():
            return destination.exists() and destination.samefile(dataset.path)
        case GenerateDataset():
            files = {table: destination / f"{table}.csv" for table in TABLES}
            return set(dataset.sha256) == set(TABLES) and all(
                files[table].is_file() and sha256_file(files[table]) == digest
                for table, digest in dataset.sha256.items()
            )
        case ArchiveDataset():
            return False


def _stage(dataset: Dataset, staging: Path, cache: Path, report: Report) -> None:
    match dataset:
        case GenerateDataset():
            report(f"{dataset.name}: generating {dataset.spec.ratings:,} ratings")
            synthetic.generate(staging, dataset.spec, progress=report)
            _check_generated(dataset, staging)
        case DirectoryDataset():
            for table in tables(dataset):
                report(f"{dataset.name}: copying {table}.csv from {dataset.path}")
                shutil.copyfile(dataset.path / f"{table}.csv", staging / f"{table}.csv")
        case ArchiveDataset():
            report(f"{dataset.name}: licence: {dataset.licence}")
            archive = fetch(dataset.urls, cache, sha256=dataset.sha256, size=dataset.bytes, report=report)
            _unpack(dataset, archive, staging, report)


def _check_generated(dataset: GenerateDataset, staging: Path) -> None:
    for table, digest in dataset.sha256.items():
        found = sha256_file(staging / f"{table}.csv")
        if found != digest:
            raise DataError(
                f"{dataset.name}: the generated {table}.csv has sha256 {found}, the registry says {digest}",
                f"if the spec of {dataset.name} was changed, put the new sha256 into its entry or delete the old",
            )


def _place(staged: Path, final: Path, report: Report) -> None:
    """Renames; a final file with these bytes stays as it is, so that its time does not change."""
    if final.is_file() and final.stat().st_size == staged.stat().st_size and sha256_file(final) == sha256_file(staged):
        report(f"{final.name}: already there")
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


_NO_WHOLE_ZIP = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, NotImplementedError)


def _unpack(dataset: ArchiveDataset, archive: Path, staging: Path, report: Report) -> None:
    """Reads the named members and nothing else; output names never come from the archive."""
    try:
        with zipfile.ZipFile(archive) as bundle:
            members = _safe_members(dataset, bundle)
            for table, member in members.items():
                report(f"{dataset.name}: unpacking {member.filename}")
                with bundle.open(member) as source, (staging / f"{table}.csv").open("wb") as out:
                    if dataset.layout == "ml-1m":
                        out.writelines(_ml_1m_lines(table, member.filename, source))
                    else:
                        shutil.copyfileobj(source, out, 2**20)
    except _NO_WHOLE_ZIP as error:
        raise _bad_archive(dataset, f"{archive} is not a whole zip file ({error})") from error


def _safe_members(dataset: ArchiveDataset, bundle: zipfile.ZipFile) -> dict[str, zipfile.ZipInfo]:
    """The zip entry of each table, once nothing in the archive looks like an attack or a mistake."""
    entries = {info.filename: info for info in bundle.infolist()}
    for name in entries:
        if _escapes(name):
            raise _bad_archive(dataset, f"the archive has a file outside of its folder: {name!r}")
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
    # zipfile never reads past the size that a member declares, so the declared sizes are a bound of the real ones.
    total = sum(info.file_size for info in members.values())
    if total > dataset.max_unpacked_bytes:
        raise _bad_archive(dataset, f"unpacks to {total:,} bytes, allowed are {dataset.max_unpacked_bytes:,}")
    return members


def _escapes(name: str) -> bool:
    """Read as a Windows path, which knows drives and both slashes."""
    path = PureWindowsPath(name)
    return bool(path.drive or path.root) or ".." in path.parts


def _bad_archive(dataset: ArchiveDataset, what: str) -> DataError:
    return DataError(
        f"{dataset.name}: {what}",
        f"correct the entry {dataset.name} of config/datasets.yaml, "
        "or unpack the archive by hand and set dataset_path to the folder with its CSV files",
    )


_ML_1M_HEADERS = {"ratings": "userId,movieId,rating,timestamp", "movies": "movieId,title,genres"}


def _ml_1m_lines(table: str, member: str, source: Any) -> Iterator[bytes]:
    """`a::b::c` in latin-1 without a header as CSV lines in UTF-8; whole stars get their decimal."""
    columns = _ML_1M_HEADERS[table].split(",")
    yield f"{_ML_1M_HEADERS[table]}\n".encode()
    for number, raw in enumerate(source, start=1):
        fields = raw.decode("latin-1").rstrip("\r\n").split("::")
        if len(fields) != len(columns):
            raise DataError(
                f"{member} line {number}: {len(fields)} fields instead of {len(columns)}",
                "compare the members and the layout of the dataset in config/datasets.yaml with the archive",
            )
        if table == "ratings":
            fields[2] += ".0"
        yield _csv_line(fields)


def _csv_line(fields: list[str]) -> bytes:
    quoted = ['"' + field.replace('"', '""') + '"' if set(field) & set('",') else field for field in fields]
    return (",".join(quoted) + "\n").encode()
