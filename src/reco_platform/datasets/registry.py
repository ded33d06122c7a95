"""The registry of data sets: its entries in config/datasets.yaml, and a user's own folder of CSV files."""

from __future__ import annotations

import difflib
import json
import re
import shlex
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    InstanceOf,
    PositiveInt,
    TypeAdapter,
    ValidationError,
    ValidationInfo,
    field_validator,
)

from reco_platform.config.known_layouts import KNOWN_LAYOUTS
from reco_platform.core import plain_yaml, project
from reco_platform.core.errors import ConfigError, DataError
from reco_platform.datasets import source_files, source_layout, synthetic
from reco_platform.datasets.source_layout import SourceLayout
from reco_platform.lakehouse.layout import TABLES
from reco_platform.store.paths import sha256_file

Table = Literal["ratings", "movies", "tags"]
Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
Url = Annotated[str, Field(pattern="^https?://")]


class _Entry(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str


class GenerateDataset(_Entry):
    """Generated on this machine from `spec`; `sha256` pins the CSV files, if given."""

    kind: Literal["generate"] = "generate"
    spec: synthetic.SyntheticSpec = synthetic.SyntheticSpec()
    sha256: dict[Table, Sha256] = {}


class ArchiveDataset(_Entry):
    """A zip file from one of `urls`; `members` names the file in it for each table."""

    kind: Literal["archive"] = "archive"
    urls: tuple[Url, ...] = Field(min_length=1)
    sha256: Sha256
    bytes: PositiveInt | None = None
    licence: str
    layout: Literal["csv", "ml-1m", "ml-10m", "ml-100k"] = "csv"
    members: dict[Table, str]
    max_unpacked_bytes: PositiveInt

    @field_validator("members")
    @classmethod
    def _members_fit_the_layout(cls, members: dict[str, str], info: ValidationInfo) -> dict[str, str]:
        missing = [table for table in ("ratings", "movies") if table not in members]
        if missing:
            raise ValueError(f"a member is needed for {' and '.join(missing)}")
        if "tags" in members and info.data.get("layout") != "csv":
            raise ValueError(f"the layout {info.data.get('layout')} has no tags")
        return members


class DirectoryDataset(_Entry):
    """The user's own folder with ratings.csv, movies.csv and optionally tags.csv."""

    kind: Literal["directory"] = "directory"
    path: Path
    layout: InstanceOf[SourceLayout] = SourceLayout()  # from config keys, not from the registry


Dataset = GenerateDataset | ArchiveDataset | DirectoryDataset
_KINDS: dict[str, type[_Entry]] = {
    "generate": GenerateDataset,
    "archive": ArchiveDataset,
    "directory": DirectoryDataset,
}
_ENTRY: TypeAdapter[Dataset] = TypeAdapter(Annotated[Dataset, Field(discriminator="kind")])


def load_registry(path: Path) -> dict[str, Dataset]:
    """The data sets in a YAML file, by name.

    Raises:
        ConfigError: the file is missing or not YAML, or an entry has a wrong key or value.
    """
    shown = project.shown(path)
    try:
        entries = plain_yaml.load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(
            f"{shown}: cannot be read ({error.strerror})", project.restore_command("config/datasets.yaml")
        ) from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{shown}: is not YAML: {error}", f"correct {shown}") from error
    if not isinstance(entries, dict):
        raise ConfigError(f"{shown}: expected the names of data sets with their entries", f"correct {shown}")
    return {str(name): _entry(shown, str(name), entry) for name, entry in entries.items()}


def resolve(
    registry: dict[str, Dataset], name: str, dataset_path: str | None, layout: SourceLayout | None = None
) -> Dataset:
    """The data set with this name, or the user's own folder if `dataset_path` is given.

    Args:
        registry: as `load_registry` gives it.
        name: of the data set.
        dataset_path: the user's own folder.
        layout: of the files in a folder; default MovieLens's.

    Raises:
        ConfigError: there is no path, and the name is unknown; the message lists similar names. Or a layout is given
            for a data set that is not a folder.
    """
    layout = layout or SourceLayout()
    if dataset_path is not None:
        return DirectoryDataset(name=name, path=Path(dataset_path).expanduser(), layout=layout)
    if name in registry:
        found = registry[name]
        if isinstance(found, DirectoryDataset):  # its path may be relative to the registry's project
            path = found.path if found.path.is_absolute() else Path(project.shown(project.ROOT / found.path))
            return found.model_copy(update={"path": path, "layout": layout})
        if not layout.is_movielens:
            raise ConfigError(
                f"dataset={name} has its own files: the keys of a layout are for files of yours",
                "set dataset_path to the folder with your files, and dataset to a name for them",
            )
        return found
    near = difflib.get_close_matches(name.lower(), registry, n=3, cutoff=0.5) or list(registry)
    raise ConfigError(
        f"dataset: there is no {name!r}; nearest: {', '.join(near)} (all: {', '.join(registry)})",
        f"set dataset to {near[0]!r}, or set dataset_path to a folder with ratings.csv and movies.csv for your own data"
        if near
        else "set dataset_path to a folder with ratings.csv and movies.csv",
    )


def tables(dataset: Dataset) -> tuple[str, ...]:
    """The tables of a data set, in the order of TABLES.

    Raises:
        DataError: a folder without ratings.csv or movies.csv.
    """
    match dataset:
        case GenerateDataset():
            return TABLES
        case ArchiveDataset():
            return tuple(table for table in TABLES if table in dataset.members)
        case DirectoryDataset() if dataset.layout.is_movielens:
            return tuple(table for table in TABLES if _has_csv_file(dataset.path, table))
        case DirectoryDataset():
            source_files.ratings_files(dataset.path, dataset.layout)
            source_files.items_files(dataset.path, dataset.layout)
            return TABLES if has_usable_tags(dataset) else ("ratings", "movies")


def dictionaries(dataset: Dataset) -> tuple[Literal["users", "items"], ...]:
    """The dictionaries of a data set: those of users and items if its ids are texts, otherwise none."""
    has_texts = isinstance(dataset, DirectoryDataset) and dataset.layout.id_type == "text"
    return ("users", "items") if has_texts else ()


def has_usable_tags(dataset: DirectoryDataset) -> bool:
    """Whether a folder with another layout has a tags.csv that is in MovieLens's and has the same ids."""
    path = dataset.path / "tags.csv"
    if dataset.layout.id_type != "integer" or not path.is_file():
        return False
    with path.open("rb") as file:
        return file.readline(200).strip() == b"userId,movieId,tag,timestamp"


def own_csv_file(dataset: Dataset, table: str) -> Path | None:
    """The user's own CSV file that becomes a table's as it is; None if there is none."""
    if not isinstance(dataset, DirectoryDataset):
        return None
    is_copied = dataset.layout.is_movielens or (table == "tags" and has_usable_tags(dataset))
    return dataset.path / f"{table}.csv" if is_copied else None


def own_files(dataset: Dataset, table: str) -> list[Path]:
    """The user's own files that a table's CSV file is made from; none if the data set is not a folder.

    Raises:
        DataError: as for `tables`.
    """
    copied = own_csv_file(dataset, table)
    if copied is not None:
        return [copied]
    if not isinstance(dataset, DirectoryDataset) or table not in {"ratings", "movies"}:
        return []
    files = source_files.ratings_files(dataset.path, dataset.layout)
    if table == "movies":  # without a file of items, they are those of the ratings
        files = files + source_files.items_files(dataset.path, dataset.layout)
    return list(dict.fromkeys(file.path for file in files))


def archive_layout(dataset: ArchiveDataset) -> SourceLayout:
    """The layout of the files in an archive that is not in MovieLens's present one."""
    return source_layout.from_values(KNOWN_LAYOUTS[dataset.layout])


def source_identity(dataset: Dataset) -> str:
    """Canonical JSON that identifies what the CSV files are made from; it contains no paths.

    Raises:
        DataError: as for `tables`.
    """
    identity: dict[str, Any] = {"kind": dataset.kind}
    match dataset:
        case GenerateDataset():
            identity |= {"format": synthetic.FORMAT, "spec": dataset.spec.model_dump()}
        case ArchiveDataset():
            identity |= {"sha256": dataset.sha256, "layout": dataset.layout, "members": dataset.members}
        case DirectoryDataset() if not dataset.layout.is_movielens:
            identity["layout"] = dataset.layout.identity()
            for role in (source_files.ratings_files, source_files.items_files):
                files = role(dataset.path, dataset.layout)
                identity[role.__name__] = [[sha256_file(file.path), file.member] for file in files]
            if "tags" in tables(dataset):
                identity["tags"] = sha256_file(dataset.path / "tags.csv")
        case DirectoryDataset():
            identity["sha256"] = {table: sha256_file(dataset.path / f"{table}.csv") for table in tables(dataset)}
    return json.dumps(identity, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def _entry(path: str, name: str, entry: Any) -> Dataset:
    if not isinstance(entry, dict):
        raise ConfigError(f"{path}: {name}: expected keys and values, got {_as_written(entry)}", f"correct {path}")
    try:
        return _ENTRY.validate_python({**entry, "name": name})
    except ValidationError as error:
        problems = "\n    ".join(_problem(entry, details) for details in error.errors())
        raise ConfigError(f"{path}: {name}:\n    {problems}", f"correct the entry {name} of {path}") from error


def _problem(entry: dict[str, Any], details: Any) -> str:
    """A validation error as one line: key, value, what is allowed. The first part of its location is the kind."""
    if details["type"].startswith("union_tag"):
        return f"kind: got {entry.get('kind')!r}, allowed: {', '.join(_KINDS)}"
    kind, *keys = details["loc"]
    where = ".".join(str(key) for key in keys if key != "[key]") or "entry"
    if details["type"] == "missing":
        return f"{where}: missing"
    if details["type"] == "extra_forbidden":
        own = set(_KINDS[kind].model_fields) - ({"name", "layout"} if kind == "directory" else {"name"})
        allowed = sorted(own if len(keys) == 1 else _spec_keys(keys))
        return f"{where}: unknown key, allowed: {', '.join(allowed)}"
    value = "" if isinstance(details["input"], dict) else f"got {_as_written(details['input'])}; "
    return f"{where}: {value}{details['msg']}"


def _as_written(value: Any) -> str:
    """A value as in the file: numbers, which are read as text, without quotes."""
    return value if isinstance(value, str) and re.fullmatch(r"[+-]?\d+(\.\d+)?", value) else repr(value)


def _spec_keys(keys: list[Any]) -> set[str]:
    return set(synthetic.DirtyRows.model_fields if "dirty" in keys[:-1] else synthetic.SyntheticSpec.model_fields)


def _has_csv_file(folder: Path, table: str) -> bool:
    file = folder / f"{table}.csv"
    if file.is_file():
        return True
    if file.exists() or file.is_symlink():
        raise DataError(f"{file.absolute()} is not a file", f"ls -ld -- {shlex.quote(str(file.absolute()))}")
    if table == "tags":
        return False
    raise DataError(
        f"{file.absolute()} is missing: a dataset folder needs ratings.csv and movies.csv",
        f"ls -- {shlex.quote(str(folder.absolute()))}, then set dataset_path to the folder that holds the CSV files",
    )
