"""Remove results from a lakehouse: only what the pipeline made, nothing outside it, and listed before it is removed."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from reco_platform.core.errors import ConfigError, TableError
from reco_platform.engine import provenance
from reco_platform.lakehouse import publish
from reco_platform.lakehouse.layout import Lakehouse
from reco_platform.pipeline.steps_table import STEP_OF, folders_of
from reco_platform.store.locks import LOCK

CONFIG = "config.resolved.json"
UNITS = ("bytes", "kB", "MB", "GB", "TB")


@dataclass(frozen=True)
class Removal:
    """Files and folders to remove together: a line of the list that the user sees."""

    description: str
    paths: tuple[Path, ...]
    bytes: int

    @classmethod
    def of(cls, description: str, *paths: Path) -> Removal:
        return cls(description, paths, sum(map(disk_bytes, paths)))

    def __str__(self) -> str:
        return f"  {format_bytes(self.bytes):>10}  {self.description}"


def disk_bytes(path: Path) -> int:
    """Bytes of a file, or of all files in a folder; symlinks are not followed and have no bytes."""
    if path.is_symlink():
        return 0
    return sum(map(disk_bytes, path.iterdir())) if path.is_dir() else path.stat().st_size


def format_bytes(count: int) -> str:
    """A number of bytes with its unit, such as 1.2 MB."""
    value, unit = float(count), 0
    while value >= 1000 and unit < len(UNITS) - 1:
        value, unit = value / 1000, unit + 1
    return f"{value:.1f} {UNITS[unit]}" if unit else f"{count} bytes"


def removal_lines(removals: Iterable[Removal]) -> Iterator[str]:
    """A line for each removal, and their total."""
    listed = list(removals)
    yield from map(str, listed)
    yield f"  {format_bytes(sum(removal.bytes for removal in listed)):>10}  total"


# --- safety


def check_is_lakehouse(lakehouse: Lakehouse) -> None:
    """Checks that a folder is the lakehouse of this data set.

    Raises:
        ConfigError: if it has none of its receipts and no config.resolved.json, or was made from another data set.
    """
    other = other_dataset(lakehouse)
    if other:
        raise ConfigError(
            f"{lakehouse.root} holds the data set {other}, and dataset is {lakehouse.dataset}: nothing was removed",
            f"if you mean it, say so: --config dataset={other} lakehouse={lakehouse.root}",
        )
    artifacts = [lakehouse.bronze("ratings"), *(step.artifact_path(lakehouse.dataset) for step in STEP_OF.values())]
    if any(Path(lakehouse.receipt(artifact)).is_file() for artifact in artifacts):
        return
    if (lakehouse.folder / CONFIG).is_file():
        return
    raise ConfigError(
        f"{lakehouse.root} is not a lakehouse of this pipeline: it has neither receipts nor {CONFIG}",
        "name the lakehouse: --config lakehouse=FOLDER, or LAKEHOUSE_PATH",
    )


def other_dataset(lakehouse: Lakehouse) -> str | None:
    """The data set of the latest run in a lakehouse, if it is another one."""
    try:
        latest = json.loads((lakehouse.folder / CONFIG).read_text(encoding="utf-8")).get("dataset")
    except (OSError, ValueError, AttributeError):
        return None
    return latest if latest != lakehouse.dataset else None


def is_behind_symlink(lakehouse: Lakehouse, path: Path) -> bool:
    """Whether a folder between the root of the lakehouse and a path in it is a symlink."""
    root = lakehouse.folder
    return any(parent.is_symlink() for parent in path.parents if parent != root and parent.is_relative_to(root))


# --- clean


def layer_removals(lakehouse: Lakehouse, layers: Iterable[str]) -> list[Removal]:
    """The results of some layers; content behind a symlink is not removed."""
    removals = []
    for artifact in (artifact for layer in layers for artifact in folders_of(layer, lakehouse.dataset)):
        path = lakehouse.folder / artifact
        receipt = Path(lakehouse.receipt(artifact))
        candidates = (path, receipt, provenance.provenance_path(receipt), publish.local_staging_folder(path))
        present = [
            candidate
            for candidate in candidates
            if (candidate.is_symlink() or candidate.exists()) and not is_behind_symlink(lakehouse, candidate)
        ]
        note = "  (a symlink: its target stays)" if path.is_symlink() else ""
        removals += [Removal.of(artifact + note, *present)] if present else []
    return removals


def remove(lakehouse: Lakehouse, removals: Iterable[Removal]) -> None:
    """Removes files and folders, and then the folders that are empty without them.

    Raises:
        TableError: if a path is behind a symlink.
    """
    for removal in removals:
        for path in removal.paths:
            if is_behind_symlink(lakehouse, path):
                raise TableError(f"{path} is behind a symlink, outside of {lakehouse.root}: it was not removed")
            remove_path(path)
            remove_empty_folders(lakehouse, path.parent)


def remove_path(path: Path) -> None:
    """Removes a file, a symlink itself, or a folder with its content."""
    if path.is_dir() and not path.is_symlink():
        for child in path.iterdir():
            remove_path(child)
        path.rmdir()
    else:
        path.unlink(missing_ok=True)


def remove_empty_folders(lakehouse: Lakehouse, folder: Path) -> None:
    """Removes a folder and its parents in the lakehouse as long as they are empty; the root of the lakehouse stays."""
    root = lakehouse.folder
    while folder != root and folder.is_relative_to(root) and folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()
        folder = folder.parent


def remove_root(lakehouse: Lakehouse) -> list[str]:
    """Removes the lakehouse's root folder if it holds only its lock; otherwise returns the names that it holds."""
    root = lakehouse.folder
    names = sorted(path.name for path in root.iterdir() if path.name != LOCK)
    if not names:
        (root / LOCK).unlink(missing_ok=True)
        if not root.is_symlink():
            root.rmdir()
    return names
