"""A Java that Spark supports is found, the user's choice first."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from reco_platform.core.errors import EnvironmentProblemError
from reco_platform.spark import java
from support.builders import java_home

# --- versions


@pytest.mark.parametrize(
    ("release", "version"),
    [
        ('IMPLEMENTOR="Debian"\nJAVA_VERSION="17.0.19"\nOS_NAME="Linux"\n', 17),
        ('JAVA_VERSION="21"\n', 21),
        ('JAVA_VERSION="21.0.3-ea"\n', 21),
        ('JAVA_VERSION="11.0.2"\n', 11),
        ("nothing known\n", None),
    ],
)
def test_the_version_is_read_from_the_release_file(tmp_path: Path, release: str, version: int | None) -> None:
    assert java.java_version(java_home(tmp_path / "jdk", release)) == version


@pytest.mark.parametrize(
    ("says", "version"),
    [
        ('openjdk version "17.0.19" 2026-04-21\nOpenJDK Runtime Environment', 17),
        ('java version "21" 2023-09-19 LTS', 21),
        ('Picked up _JAVA_OPTIONS: -Xmx1g\nopenjdk version "21.0.1" 2023-10-17', 21),
        ("Segmentation fault", None),
    ],
)
def test_a_java_without_a_release_file_is_asked(tmp_path: Path, says: str, version: int | None) -> None:
    assert java.java_version(java_home(tmp_path / "jdk", None, says)) == version


def test_a_folder_without_a_java_has_no_version(tmp_path: Path) -> None:
    assert java.java_version(tmp_path) is None
    assert java.java_version(tmp_path / "missing") is None
    (tmp_path / "release").write_text('JAVA_VERSION="17"\n', encoding="utf-8")
    assert java.java_version(tmp_path) is None


# --- finding one


def test_the_users_java_home_comes_first(tmp_path: Path) -> None:
    chosen = java_home(tmp_path / "my jdk", 'JAVA_VERSION="21"\n')
    other = java_home(tmp_path / "other", 'JAVA_VERSION="17"\n')
    assert java.find_java({"JAVA_HOME": str(chosen), "PATH": str(other / "bin")}) == chosen


@pytest.mark.parametrize("release", ['JAVA_VERSION="11.0.2"\n', 'JAVA_VERSION="25"\n', None])
def test_an_unsuitable_java_home_is_passed_over_for_the_path(tmp_path: Path, release: str | None) -> None:
    chosen = java_home(tmp_path / "old", release)
    other = java_home(tmp_path / "other", 'JAVA_VERSION="17"\n')
    assert java.find_java({"JAVA_HOME": str(chosen), "PATH": str(other / "bin")}) == other


def test_a_link_on_the_path_is_followed_to_its_java(tmp_path: Path) -> None:
    home = java_home(tmp_path / "jdk", 'JAVA_VERSION="17"\n')
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "java").symlink_to(home / "bin" / "java")
    assert java.find_java({"PATH": str(tmp_path / "bin")}) == home


def test_without_a_suitable_java_those_found_are_named_with_the_way_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The machine that runs the tests has a suitable Java in a place that is always searched.
    homes = [java_home(tmp_path / "a", 'JAVA_VERSION="11"\n'), tmp_path / "missing"]
    monkeypatch.setattr(java, "candidate_homes", lambda _: iter([*homes, *homes]))
    with pytest.raises(
        EnvironmentProblemError, match=f"needs Java 17 or 21, but only found Java 11 in {homes[0]}"
    ) as caught:
        java.find_java({})
    assert str(caught.value).count("Java 11") == 1
    assert caught.value.hint is not None
    assert "openjdk-17" in caught.value.hint
    monkeypatch.setattr(java, "candidate_homes", lambda _: iter([]))
    with pytest.raises(EnvironmentProblemError, match="found no Java"):
        java.find_java({})


def test_set_up_finds_java_without_any_package(root: Path) -> None:
    """It runs before there are any: -S hides those of this environment."""
    code = "import runpy; runpy.run_path('tools/bootstrap.py')['check_java']()"
    ran = subprocess.run(
        [sys.executable, "-S", "-c", code], cwd=root, env={**os.environ, "PYTHONPATH": ""},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (ran.returncode, ran.stderr) == (0, "")
