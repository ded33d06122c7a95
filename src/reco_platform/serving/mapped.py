"""Arrays in files that processes map into memory and share, made once for each version of large data."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

Arrays = Mapping[str, npt.NDArray[Any]]
LIST = "arrays.json"
STAGING = ".staging-"


@dataclass(frozen=True)
class ArrayFiles:
    """Arrays of one kind in a folder, below it one folder a version.

    Attributes:
        folder: of all versions; None to keep arrays in memory.
        kept: how many versions to keep besides a new one; a process that has mapped another goes on.
    """

    folder: Path | None
    kept: int = 1

    def get(self, version: str, make: Callable[[], Arrays]) -> Arrays:
        """The arrays of a version, mapped from its files. They are made and written if they are missing or damaged.

        If the folder cannot be written, they are kept in memory.

        Args:
            version: name of a folder.
            make: computes the arrays by name; names are those of files.
        """
        if self.folder is None:
            return make()
        target = self.folder / version
        found = mapped(target)
        if found is not None:
            return found
        made = make()
        try:
            self._write(target, made)
        except OSError:
            return made
        return mapped(target) or made

    def _write(self, target: Path, arrays: Arrays) -> None:
        staging = target.with_name(f"{STAGING}{target.name}-{os.getpid()}")
        try:
            staging.mkdir(parents=True)
            for name, values in arrays.items():
                np.save(staging / f"{name}.npy", values)
            listed = {name: [list(values.shape), values.dtype.str] for name, values in arrays.items()}
            (staging / LIST).write_text(json.dumps(listed), encoding="utf-8")
            if target.exists() and mapped(target) is None:
                shutil.rmtree(target)
            staging.rename(target)
        except OSError:
            shutil.rmtree(staging, ignore_errors=True)
            if mapped(target) is None:  # otherwise another process has written the same
                raise
        self._remove_old(target)

    def _remove_old(self, newest: Path) -> None:
        others = [path for path in newest.parent.iterdir() if path != newest and not path.name.startswith(STAGING)]
        for path in sorted(others, key=lambda path: path.stat().st_mtime_ns)[: -self.kept or None]:
            shutil.rmtree(path, ignore_errors=True)


def mapped(folder: Path) -> Arrays | None:
    """The arrays in a folder; None if it is missing, or a file is not what the list says."""
    try:
        listed = json.loads((folder / LIST).read_text(encoding="utf-8"))
        found = {name: np.load(folder / f"{name}.npy", mmap_mode="r") for name in listed}
    except (OSError, ValueError):
        return None
    if any([list(values.shape), values.dtype.str] != listed[name] for name, values in found.items()):
        return None
    return {name: values.view(np.ndarray) for name, values in found.items()}  # indexing a memmap is 5 times slower
