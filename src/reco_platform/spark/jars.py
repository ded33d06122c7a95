"""Jars, fetched once by the Ivy that comes with pyspark, and checked against their sha256: Delta's for Spark."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

from reco_platform.core import project
from reco_platform.core.errors import DataError, EnvironmentProblemError, reported
from reco_platform.spark.session import find_java, spark_home
from reco_platform.store.paths import sha256_file

JARS = Path(".cache/jars")
CHECKSUMS = project.file("envs/jars.sha256")
SETTINGS = project.file("envs/ivysettings.xml")


class Jar(NamedTuple):
    """A jar of Maven Central by its coordinates."""

    group: str
    artifact: str
    version: str

    @property
    def name(self) -> str:
        return f"{self.artifact}-{self.version}.jar"


def wanted(checksums: Path = CHECKSUMS) -> dict[Jar, str]:
    """The sha256 of each jar; a line of the file is `sha256  group:artifact:version`."""
    lines = checksums.read_text(encoding="utf-8").splitlines()
    return {Jar(*coordinates.split(":")): digest for digest, coordinates in (line.split() for line in lines if line)}


def fetch(folder: Path = JARS, checksums: Path = CHECKSUMS) -> list[Path]:
    """The jars in a folder, each downloaded where it is not there yet; nothing is asked of the network otherwise.

    Args:
        folder: where they go.
        checksums: which jars, with their sha256.

    Raises:
        DataError: if a jar cannot be had, or is not the one that was pinned.
        EnvironmentProblemError: if there is no suitable Java.
    """
    folder.mkdir(parents=True, exist_ok=True)
    jars = wanted(checksums)
    for one, digest in jars.items():
        jar = folder / one.name
        if jar.is_file() and sha256_file(jar) == digest:
            continue
        print(f"[setup] downloading {one.name}", flush=True)
        with tempfile.TemporaryDirectory(dir=folder, prefix="ivy-") as scratch:
            came = download(one, Path(scratch))
            found = sha256_file(came)
            if found != digest:
                raise DataError(
                    f"{one.name} came with sha256 {found}, {project.shown(checksums)} says {digest}", "make setup"
                )
            came.replace(jar)
    return sorted(folder / one.name for one in jars)


def download(one: Jar, scratch: Path) -> Path:
    """One jar by Ivy, with a home and a cache of its own: a half-filled cache of the user's changes nothing."""
    (ivy,) = (spark_home() / "jars").glob("ivy-*.jar")
    command = [
        str(find_java() / "bin" / "java"), f"-Duser.home={scratch}", "-jar", str(ivy),
        "-settings", str(SETTINGS), "-cache", str(scratch / "cache"),
        "-dependency", *one, "-notransitive", "-types", "jar",
        "-retrieve", str(scratch / "[artifact]-[revision].[ext]"),
    ]  # fmt: skip
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    jar = scratch / one.name
    if not jar.is_file():
        said = "\n    ".join((run.stdout + run.stderr).strip().splitlines()[-8:])
        raise DataError(
            f"{':'.join(one)} cannot be downloaded from Maven Central; Ivy said\n    {said}",
            f"make setup, with network; or put the file at {scratch.parent / one.name}",
        )
    return jar


def checked(folder: Path = JARS, checksums: Path = CHECKSUMS) -> list[Path]:
    """The jars that set-up has fetched, each compared with its sha256 before a JVM sees it.

    Raises:
        EnvironmentProblemError: if one is missing, or is not the one that was pinned.
    """
    jars = wanted(checksums)
    for one, digest in jars.items():
        jar = folder / one.name
        if not jar.is_file() or sha256_file(jar) != digest:
            what = "is not the one that was pinned: its sha256 differs" if jar.is_file() else "is missing"
            raise EnvironmentProblemError(f"{jar} {what}", ".venv/bin/python -m reco_platform.spark.jars")
    return sorted(folder / one.name for one in jars)


def delta_options() -> list[str]:
    """Options of spark-submit for a session that reads and writes Delta tables; the pipeline's own jobs need none.

    Raises:
        EnvironmentProblemError: if the jars are not there, or not those that were pinned.
    """
    settings = {
        "spark.jars": ",".join(str(jar.resolve()) for jar in checked()),
        "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
        "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
    }
    return [part for key, value in settings.items() for part in ("--conf", f"{key}={value}")]


@reported
def main() -> int:
    fetch()
    return 0


if __name__ == "__main__":
    sys.exit(main())
