"""Files that run a program where a careless reader opens them: it would make a file of a given name."""

from __future__ import annotations

import io
import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import yaml


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


def tagged(mark: Path) -> bytes:
    """YAML that asks for a call of Python."""
    return f"rank: !!python/object/apply:os.system [\"touch '{mark}'\"]\n".encode()


def templated(mark: Path) -> bytes:
    """YAML that asks for YTE, by which Snakemake reads config files."""
    return f'__use_yte__: true\nrank: ?__import__("os").system("touch {mark}") + 4\n'.encode()


KINDS: dict[str, Callable[[Path], bytes]] = {
    "pickle": pickled, "npy of objects": npy, "yaml with a tag": tagged, "yaml with code": templated,
}  # fmt: skip

HARM: tuple[Callable[[Path], Any], ...] = (
    lambda mark: pickle.loads(pickled(mark)),  # noqa: S301  # what is not to be done
    lambda mark: np.load(io.BytesIO(npy(mark)), allow_pickle=True),
    lambda mark: yaml.unsafe_load(tagged(mark)),
)
"""Careless readers."""
