"""Download the jars that Spark needs for Delta tables, and check them against their pinned sha256.

The download is done by Ivy, which comes with pyspark.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

from reco_platform.core import project
from reco_platform.core.errors import DataError, EnvironmentProblemError, report_errors
from reco_platform.spark.java import find_java, spark_home
from reco_platform.store.paths import sha256_file

JARS = Path(".cache/jars")
MODULE = "reco_platform.spark.jars"
CHECKSUMS = project.file("envs/jars.sha256")
IVY_SETTINGS = project.file("envs/ivysettings.xml")


class Jar(NamedTuple):
    """The coordinates of a jar in Maven Central."""

    group: str
    artifact: str
    version: str

    @property
    def name(self) -> str:
        return f"{self.artifact}-{self.version}.jar"


def pinned_jars(checksums: Path = CHECKSUMS) -> dict[Jar, str]:
    """The sha256 of each jar, from a file with lines `sha256  group:artifact:version`."""
    lines = checksums.read_text(encoding="utf-8").splitlines()
    return {Jar(*coordinates.split(":")): digest for digest, coordinates in (line.split() for line in lines if line)}


def download_jars(folder: Path = JARS, checksums: Path = CHECKSUMS) -> list[Path]:
    """Downloads the pinned jars that a folder does not have yet; uses no network where it has all of them.

    Args:
        folder: where the jars are kept.
        checksums: which jars, with their sha256.

    Returns:
        The jars' paths.

    Raises:
        DataError: a jar cannot be downloaded, or has another sha256.
        EnvironmentProblemError: there is no supported Java.
    """
    folder.mkdir(parents=True, exist_ok=True)
    jars = pinned_jars(checksums)
    for jar, digest in jars.items():
        target = folder / jar.name
        if target.is_file() and sha256_file(target) == digest:
            continue
        print(f"[setup] downloading {jar.name}", flush=True)
        with tempfile.TemporaryDirectory(dir=folder, prefix="ivy-") as scratch:
            downloaded = download_jar(jar, Path(scratch))
            found = sha256_file(downloaded)
            if found != digest:
                raise DataError(
                    f"{jar.name} has sha256 {found}, but {project.shown(checksums)} lists {digest}",
                    project.module_command(MODULE),
                )
            downloaded.replace(target)
    return sorted(folder / jar.name for jar in jars)


def download_jar(jar: Jar, scratch: Path) -> Path:
    """Downloads one jar with a home and a cache of Ivy's own, so that the user's, perhaps damaged cache has no effect.

    Raises:
        DataError: the download failed.
    """
    (ivy,) = (spark_home() / "jars").glob("ivy-*.jar")
    command = [
        str(find_java() / "bin" / "java"), f"-Duser.home={scratch}", "-jar", str(ivy),
        "-settings", str(IVY_SETTINGS), "-cache", str(scratch / "cache"),
        "-dependency", *jar, "-notransitive", "-types", "jar",
        "-retrieve", str(scratch / "[artifact]-[revision].[ext]"),
    ]  # fmt: skip
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    path = scratch / jar.name
    if not path.is_file():
        output = "\n    ".join((run.stdout + run.stderr).strip().splitlines()[-8:])
        raise DataError(
            f"{':'.join(jar)} cannot be downloaded from Maven Central; Ivy reports\n    {output}",
            f"run {project.module_command(MODULE)} with network access, or put the file at {scratch.parent / jar.name}",
        )
    return path


def verified_jars(folder: Path = JARS, checksums: Path = CHECKSUMS) -> list[Path]:
    """The jars that set-up has downloaded, checked before a JVM loads them.

    Raises:
        EnvironmentProblemError: a jar is missing or has another sha256.
    """
    jars = pinned_jars(checksums)
    for jar, digest in jars.items():
        path = folder / jar.name
        if not path.is_file() or sha256_file(path) != digest:
            problem = f"does not have the sha256 in {project.shown(checksums)}" if path.is_file() else "is missing"
            raise EnvironmentProblemError(f"{path} {problem}", project.module_command(MODULE))
    return sorted(folder / jar.name for jar in jars)


def delta_options() -> list[str]:
    """Options of spark-submit for reading and writing Delta tables; the pipeline's own steps do not need them.

    Raises:
        EnvironmentProblemError: a jar is missing or has another sha256.
    """
    settings = {
        "spark.jars": ",".join(str(jar.resolve()) for jar in verified_jars()),
        "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
        "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
    }
    return [part for key, value in settings.items() for part in ("--conf", f"{key}={value}")]


@report_errors
def main() -> int:
    download_jars()
    return 0


if __name__ == "__main__":
    sys.exit(main())
