"""What is taken from a lakehouse: only what the pipeline made, never anything outside of it, and listed before."""

from __future__ import annotations

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
    """One line of a list: what it is, the files and folders, and their size in bytes."""

    what: str
    paths: tuple[Path, ...]
    bytes: int

    def __str__(self) -> str:
        return f"  {human(self.bytes):>10}  {self.what}"


def removal(what: str, *paths: Path) -> Removal:
    return Removal(what, paths, sum(map(size, paths)))


def size(path: Path) -> int:
    """Bytes of a file, or of all files below a folder; symlinks lead nowhere and count nothing."""
    if path.is_symlink():
        return 0
    return sum(map(size, path.iterdir())) if path.is_dir() else path.stat().st_size


def human(count: int) -> str:
    """A number of bytes for people, such as 1.2 MB."""
    value, unit = float(count), 0
    while value >= 1000 and unit < len(UNITS) - 1:
        value, unit = value / 1000, unit + 1
    return f"{value:.1f} {UNITS[unit]}" if unit else f"{count} bytes"


def listed(removals: Iterable[Removal]) -> Iterator[str]:
    """The list for people, with its sum."""
    shown = list(removals)
    yield from map(str, shown)
    yield f"  {human(sum(one.bytes for one in shown)):>10}  in all"


# --- safety


def refuse_foreign(lakehouse: Lakehouse) -> None:
    """Checks that a folder is a lakehouse that this pipeline made.

    Raises:
        ConfigError: if it holds none of its receipts and no config.resolved.json.
    """
    marks = [lakehouse.bronze("ratings"), *(one.artifact_path(lakehouse.dataset) for one in STEP_OF.values())]
    if any(Path(lakehouse.receipt(mark)).is_file() for mark in marks) or (lakehouse.folder / CONFIG).is_file():
        return
    raise ConfigError(
        f"{lakehouse.root} is no lakehouse of this pipeline: it holds neither receipts nor {CONFIG}",
        "name the lakehouse: --config lakehouse=FOLDER, or LAKEHOUSE_PATH",
    )


def leads_out(lakehouse: Lakehouse, path: Path) -> bool:
    """Whether a symlink stands between the root of the lakehouse and a path in it."""
    root = lakehouse.folder
    return any(parent.is_symlink() for parent in path.parents if parent != root and parent.is_relative_to(root))


# --- clean


def of_layers(lakehouse: Lakehouse, layers: Iterable[str]) -> list[Removal]:
    """What the pipeline made in some layers; what lies behind a symlink is none of it."""
    artifacts = [artifact for layer in layers for artifact in folders_of(layer, lakehouse.dataset)]
    found = []
    for artifact in artifacts:
        path = lakehouse.folder / artifact
        receipt = Path(lakehouse.receipt(artifact))
        beside = [receipt, provenance.provenance_path(receipt), publish.local_staging_folder(path)]
        there = [one for one in (path, *beside) if (one.is_symlink() or one.exists()) and not leads_out(lakehouse, one)]
        link = "  (a symlink: what it leads to stays)" if path.is_symlink() else ""
        found += [removal(artifact + link, *there)] if there else []
    return found


def remove(lakehouse: Lakehouse, removals: Iterable[Removal]) -> None:
    """Removes what was listed, and folders that are empty then."""
    for one in removals:
        for path in one.paths:
            if leads_out(lakehouse, path):
                raise TableError(f"{path} lies behind a symlink, outside of {lakehouse.root}")
            remove_path(path)
            remove_empty(lakehouse, path.parent)


def remove_path(path: Path) -> None:
    """Removes a file, a symlink itself, or a folder with all that is in it."""
    if path.is_dir() and not path.is_symlink():
        for child in path.iterdir():
            remove_path(child)
        path.rmdir()
    else:
        path.unlink(missing_ok=True)


def remove_empty(lakehouse: Lakehouse, folder: Path) -> None:
    """Removes a folder and those above it in the lakehouse, as long as they are empty; the lakehouse itself stays."""
    root = lakehouse.folder
    while folder != root and folder.is_relative_to(root) and folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()
        folder = folder.parent


def remove_root(lakehouse: Lakehouse) -> list[str]:
    """Removes the lakehouse's own folder if only its lock is left; otherwise gives the names of what is left."""
    root = lakehouse.folder
    left = sorted(path.name for path in root.iterdir() if path.name != LOCK)
    if not left:
        (root / LOCK).unlink(missing_ok=True)
        if not root.is_symlink():
            root.rmdir()
    return left
