"""Java and Spark are found, and the user's own settings of either stay out."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from reco_platform.core.errors import EnvironmentProblemError
from reco_platform.spark import session


def java_home(folder: Path, release: str | None, says: str | None = None) -> Path:
    """A folder that looks like a Java: with a release file, or with a program that tells its version."""
    program = folder / "bin" / "java"
    program.parent.mkdir(parents=True)
    program.write_text(f"#!/bin/sh\ncat >&2 <<'END'\n{says}\nEND\n", encoding="utf-8")
    program.chmod(0o755)
    if release is not None:
        (folder / "release").write_text(release, encoding="utf-8")
    return folder


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
    assert session.java_version(java_home(tmp_path / "jdk", release)) == version


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
    assert session.java_version(java_home(tmp_path / "jdk", None, says)) == version


def test_a_folder_without_a_java_has_no_version(tmp_path: Path) -> None:
    assert session.java_version(tmp_path) is None
    assert session.java_version(tmp_path / "missing") is None
    (tmp_path / "release").write_text('JAVA_VERSION="17"\n', encoding="utf-8")
    assert session.java_version(tmp_path) is None


# --- finding one


def test_the_users_java_home_comes_first(tmp_path: Path) -> None:
    chosen = java_home(tmp_path / "my jdk", 'JAVA_VERSION="21"\n')
    other = java_home(tmp_path / "other", 'JAVA_VERSION="17"\n')
    assert session.find_java({"JAVA_HOME": str(chosen), "PATH": str(other / "bin")}) == chosen


@pytest.mark.parametrize("release", ['JAVA_VERSION="11.0.2"\n', 'JAVA_VERSION="25"\n', None])
def test_an_unsuitable_java_home_is_passed_over_for_the_path(tmp_path: Path, release: str | None) -> None:
    chosen = java_home(tmp_path / "old", release)
    other = java_home(tmp_path / "other", 'JAVA_VERSION="17"\n')
    assert session.find_java({"JAVA_HOME": str(chosen), "PATH": str(other / "bin")}) == other


def test_a_link_on_the_path_is_followed_to_its_java(tmp_path: Path) -> None:
    home = java_home(tmp_path / "jdk", 'JAVA_VERSION="17"\n')
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "java").symlink_to(home / "bin" / "java")
    assert session.find_java({"PATH": str(tmp_path / "bin")}) == home


def test_without_a_suitable_java_those_found_are_named_with_the_way_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The machine that runs the tests has a suitable Java in a place that is always searched.
    homes = [java_home(tmp_path / "a", 'JAVA_VERSION="11"\n'), tmp_path / "missing"]
    monkeypatch.setattr(session, "java_candidates", lambda _: iter([*homes, *homes]))
    with pytest.raises(EnvironmentProblemError, match=f"needs Java 17 or 21, and only Java 11 in {homes[0]}") as caught:
        session.find_java({})
    assert str(caught.value).count("Java 11") == 1
    assert caught.value.hint is not None
    assert "openjdk-17" in caught.value.hint
    monkeypatch.setattr(session, "java_candidates", lambda _: iter([]))
    with pytest.raises(EnvironmentProblemError, match="none was found"):
        session.find_java({})


# --- the environment and the command


def test_the_users_own_spark_java_and_python_stay_out(tmp_path: Path, root: Path) -> None:
    home = java_home(tmp_path / "jdk", 'JAVA_VERSION="17"\n')
    user = dict.fromkeys(session.FOREIGN, "/elsewhere")
    found = session.spark_environment({**user, "JAVA_HOME": str(home), "PATH": "/bin", "LANG": "C", "TZ": "Asia/Tokyo"})
    assert "/elsewhere" not in found.values()
    assert (found["PATH"], found["LANG"], found["TZ"]) == ("/bin", "C", "Asia/Tokyo")
    assert found["JAVA_HOME"] == str(home)
    assert found["PYSPARK_PYTHON"] == found["PYSPARK_DRIVER_PYTHON"] == sys.executable
    assert found["SPARK_LOCAL_IP"] == "127.0.0.1"
    assert Path(found["SPARK_HOME"], "bin", "spark-submit").is_file()
    assert Path(found["PYTHONPATH"]) == root / "src"


@pytest.mark.parametrize(
    "name", ["SPARK_HOME", "SPARK_CONF_DIR", "PYTHONPATH", "PYSPARK_SUBMIT_ARGS", "JAVA_TOOL_OPTIONS", "CLASSPATH"]
)
def test_what_would_change_a_driver_is_known_as_foreign(name: str) -> None:
    assert name in session.FOREIGN


def test_the_command_line_puts_options_before_the_script_and_arguments_after(root: Path) -> None:
    command = session.submit_command("scripts/x.py", ["--lakehouse", "my lake"], threads=3, memory="800m")
    assert Path(command[0]).is_file()
    at = command.index("scripts/x.py")
    assert command[at + 1 :] == ["--lakehouse", "my lake"]
    options = dict(zip(command[1:at:2], command[2:at:2], strict=True))
    assert options["--master"] == "local[3]"
    assert options["--driver-memory"] == "800m"
    assert options["--conf"] == "spark.sql.shuffle.partitions=3"
    assert (root / options["--properties-file"]).is_file()


def test_spark_listens_on_this_machine_alone(root: Path) -> None:
    lines = (root / "config" / "spark-defaults.conf").read_text(encoding="utf-8").splitlines()
    settings = dict(line.split(maxsplit=1) for line in lines if line.strip() and not line.startswith("#"))
    assert settings["spark.driver.bindAddress"] == settings["spark.driver.host"] == "127.0.0.1"
    assert settings["spark.ui.enabled"] == "false"
    assert not settings.keys() & session.RESULT_SETTINGS.keys()


def test_a_process_started_by_spark_submit_knows_it() -> None:
    assert session.submitted({"PYSPARK_GATEWAY_PORT": "1"})
    assert not session.submitted({})


@pytest.mark.spark
def test_a_steps_session_has_the_settings_that_its_result_depends_on(spark: object) -> None:
    found = session.spark_session("step", "error")
    assert {key: found.conf.get(key) for key in session.RESULT_SETTINGS} == session.RESULT_SETTINGS
    assert found.conf.get("spark.driver.host") == "127.0.0.1"
    assert found.conf.get("spark.ui.enabled") == "false"
    assert found._jvm.org.apache.spark.SparkEnv.get().securityManager().isAuthenticationEnabled()
    found.sparkContext.setLogLevel("WARN")


def test_set_up_finds_java_without_any_package(root: Path) -> None:
    """It runs before there are any: -S hides those of this environment."""
    code = "import runpy; runpy.run_path('tools/bootstrap.py')['check_java']()"
    ran = subprocess.run(
        [sys.executable, "-S", "-c", code], cwd=root, env={**os.environ, "PYTHONPATH": ""},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (ran.returncode, ran.stderr) == (0, "")
