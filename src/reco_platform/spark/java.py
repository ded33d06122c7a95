"""Find a Java that Spark supports, and the Spark that comes with pyspark. Set-up imports this before any package."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path

from reco_platform.core import project
from reco_platform.core.errors import EnvironmentProblemError

SUPPORTED_VERSIONS = (17, 21)
JAVA_HINT = "install Java 17 or 21 (Debian, Ubuntu: apt install openjdk-17-jre-headless), or set JAVA_HOME to one"


def find_java(environ: Mapping[str, str] = os.environ) -> Path:
    """The home folder of a supported Java.

    Raises:
        EnvironmentProblemError: there is none; the message names the unsupported ones that were found.
    """
    unsupported = []
    for home in candidate_homes(environ):
        version = java_version(home)
        if version in SUPPORTED_VERSIONS:
            return home
        if version is not None:
            unsupported.append(f"Java {version} in {home}")
    found = f"only found {', '.join(dict.fromkeys(unsupported))}" if unsupported else "found no Java"
    raise EnvironmentProblemError(f"Spark needs Java 17 or 21, but {found}", JAVA_HINT)


def candidate_homes(environ: Mapping[str, str]) -> Iterator[Path]:
    """Folders where a Java may be installed, the user's choice first."""
    if environ.get("JAVA_HOME"):
        yield Path(environ["JAVA_HOME"])
    on_path = shutil.which("java", path=environ.get("PATH"))
    if on_path:
        yield Path(on_path).resolve().parents[1]
    for folder in (Path("/usr/lib/jvm"), Path("/Library/Java/JavaVirtualMachines"), Path("/opt/java")):
        for home in sorted(folder.glob("*")) if folder.is_dir() else ():
            yield home / "Contents/Home" if (home / "Contents/Home").is_dir() else home


def java_version(home: Path) -> int | None:
    """The major version of the Java in a folder; None if there is none."""
    try:
        text = (home / "release").read_text(encoding="utf-8")
    except OSError:
        try:
            run = subprocess.run([home / "bin" / "java", "-version"], capture_output=True, text=True, check=False)
        except OSError:
            return None
        text = run.stderr
    found = re.search(r'(?:JAVA_VERSION=|version )"(?:1\.)?(\d+)', text)
    return int(found[1]) if found and (home / "bin" / "java").exists() else None


def spark_home() -> Path:
    """The folder of pyspark, which contains Spark's programs and jars.

    Raises:
        EnvironmentProblemError: pyspark is not installed.
    """
    spec = find_spec("pyspark")
    if spec is None or spec.origin is None:
        raise EnvironmentProblemError("pyspark is not installed in this Python", project.setup_command())
    return Path(spec.origin).parent
