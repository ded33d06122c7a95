"""Files that run a program where a careless reader opens them: it would make a file of a given name."""

from __future__ import annotations

import io
import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np


class Bomb:
    """Unpickling it makes a file."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return os.system, (f"touch '{self.mark}'",)


def pickled(mark: Path) -> bytes:
    return pickle.dumps(Bomb(mark))


def npy(mark: Path) -> bytes:
    """An .npy file of objects, which are pickled."""
    out = io.BytesIO()
    np.save(out, np.array([Bomb(mark)], object), allow_pickle=True)
    return out.getvalue()


def yaml(mark: Path) -> str:
    """YAML that asks for a call of Python."""
    return f"rank: !!python/object/apply:os.system [\"touch '{mark}'\"]\n"
