"""Delta's jars for Spark: fetched once by the Ivy that comes with pyspark, and checked against envs/jars.sha256."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from reco_platform.download import file_sha256
from reco_platform.errors import DataError, reported
from reco_platform.session import JARS, find_java, spark_home

CHECKSUMS = Path("envs/jars.sha256")
SETTINGS = Path("envs/ivysettings.xml")
GROUP = "io.delta"


def wanted(checksums: Path = CHECKSUMS) -> dict[str, str]:
    """The sha256 of each jar by its file name."""
    lines = checksums.read_text(encoding="utf-8").splitlines()
    return {name: digest for digest, name in (line.split() for line in lines if line)}


def fetch(folder: Path = JARS) -> list[Path]:
    """The jars in a folder, each downloaded where it is not there yet; nothing is asked of the network otherwise.

    Raises:
        DataError: if a jar cannot be had, or is not the one that was pinned.
        EnvironmentProblemError: if there is no suitable Java.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name, digest in wanted().items():
        jar = folder / name
        if jar.is_file() and file_sha256(jar) == digest:
            continue
        print(f"[setup] downloading {name}", flush=True)
        with tempfile.TemporaryDirectory(dir=folder, prefix="ivy-") as scratch:
            came = download(name, Path(scratch))
            found = file_sha256(came)
            if found != digest:
                raise DataError(f"{name} came with sha256 {found}, {CHECKSUMS} says {digest}", "make setup")
            came.replace(jar)
    return sorted(folder / name for name in wanted())


def download(name: str, scratch: Path) -> Path:
    """One jar by Ivy, with a home and a cache of its own: a half-filled cache of the user's changes nothing."""
    artifact, _, version = name.removesuffix(".jar").rpartition("-")
    (ivy,) = (spark_home() / "jars").glob("ivy-*.jar")
    command = [
        str(find_java() / "bin" / "java"), f"-Duser.home={scratch}", "-jar", str(ivy),
        "-settings", str(SETTINGS), "-cache", str(scratch / "cache"),
        "-dependency", GROUP, artifact, version, "-notransitive", "-types", "jar",
        "-retrieve", str(scratch / "[artifact]-[revision].[ext]"),
    ]  # fmt: skip
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    jar = scratch / name
    if not jar.is_file():
        said = "\n    ".join((run.stdout + run.stderr).strip().splitlines()[-8:])
        raise DataError(
            f"{GROUP}:{artifact}:{version} cannot be downloaded from Maven Central; Ivy said\n    {said}",
            f"make setup, with network; or put the file at {JARS / name}",
        )
    return jar


@reported
def main() -> int:
    fetch()
    return 0


if __name__ == "__main__":
    sys.exit(main())
