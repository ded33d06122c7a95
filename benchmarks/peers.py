"""Environments of the other contenders: a virtual environment from each lock file of envs/, and OpenBLAS for Spark."""

from __future__ import annotations

import ctypes.util
import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

from common import PROJECT, log_line

OPENBLAS = PROJECT / ".cache" / "bench-openblas"
OPENBLAS_PACKAGES = ("libopenblas0-pthread", "libgfortran5", "libquadmath0")


def environment(name: str) -> Path:
    """The Python of .venv-bench-<name>, which is created from envs/bench-<name>.txt if needed.

    Raises:
        RuntimeError: if the packages cannot be installed.
    """
    lock = PROJECT / "envs" / f"bench-{name}.txt"
    folder = PROJECT / f".venv-bench-{name}"
    python, stamp = folder / "bin" / "python", folder / ".ready"
    state = hashlib.sha256(lock.read_bytes() + sys.version.encode()).hexdigest()
    if stamp.is_file() and stamp.read_text(encoding="utf-8") == state:
        return python
    log_line(f"creating {folder.name} from envs/{lock.name}")
    shutil.rmtree(folder, ignore_errors=True)
    install = ["-m", "pip", "install", "-q", "--disable-pip-version-check", "--require-hashes", "--no-deps"]
    for command in ([sys.executable, "-m", "venv", str(folder)], [str(python), *install, "-r", str(lock)]):
        if subprocess.run(command, check=False, cwd=PROJECT).returncode:
            raise RuntimeError(f"{folder.name} could not be created: {' '.join(command)}")
    stamp.write_text(state, encoding="utf-8")
    return python


def openblas() -> dict[str, str]:
    """libblas and liblapack of OpenBLAS as {"blas": path, "lapack": path, "folders": library path}.

    The libraries of the system if it has them, otherwise Debian's packages unpacked into .cache, without installation.

    Raises:
        RuntimeError: if there are none and they cannot be downloaded.
    """
    if ctypes.util.find_library("openblas"):
        return {"blas": "libopenblas.so.0", "lapack": "libopenblas.so.0", "folders": ""}
    if not list(OPENBLAS.rglob("libopenblas.so.0")):
        unpack_openblas()
    (library,) = OPENBLAS.rglob("libopenblas.so.0")
    folders = {str(path.parent) for path in OPENBLAS.rglob("*.so*")}
    return {"blas": str(library), "lapack": str(library), "folders": os.pathsep.join(sorted(folders))}


def unpack_openblas() -> None:
    if not (shutil.which("apt-get") and shutil.which("dpkg")):
        raise RuntimeError("OpenBLAS is not installed: install it (Debian, Ubuntu: apt install libopenblas0)")
    OPENBLAS.mkdir(parents=True, exist_ok=True)
    got = subprocess.run(["apt-get", "download", "-q", *OPENBLAS_PACKAGES], check=False, cwd=OPENBLAS)
    if got.returncode:
        raise RuntimeError("OpenBLAS is not installed and apt-get cannot download it: apt install libopenblas0")
    for package in OPENBLAS.glob("*.deb"):
        subprocess.run(["dpkg", "-x", package.name, "."], check=True, cwd=OPENBLAS)
        package.unlink()
