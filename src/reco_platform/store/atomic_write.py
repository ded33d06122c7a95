"""Write small files atomically: a reader sees the old content or the new one, never a part."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from reco_platform.store.hdfs import HdfsPath

TEMPORARY_FILES = ".*.tmp"
"""Pattern of the names of unfinished files, which a killed writer leaves behind."""


def write_text(path: str | Path | HdfsPath, text: str) -> None:
    """Writes a small UTF-8 file atomically and creates its folder."""
    write_bytes(path, text.encode("utf-8"))


def write_bytes(path: str | Path | HdfsPath, content: bytes) -> None:
    """Writes a small file atomically and creates its folder; local files get the permissions of the user's umask."""
    if isinstance(path, HdfsPath):
        path.write_bytes(content)
        return
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    _replace(path, content, 0o666 & ~current_umask())


def write_private(path: Path, text: str) -> None:
    """Writes a small UTF-8 file atomically that only its owner can read at any moment, in a folder of the same kind."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    _replace(path, text.encode("utf-8"), 0o600)


def _replace(path: Path, content: bytes, mode: int) -> None:
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent)  # mode 0600
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.chmod(mode)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def current_umask() -> int:
    """The process's umask. Reading it means setting it, so for a moment other threads create files with 0077."""
    umask = os.umask(0o077)
    os.umask(umask)
    return umask
