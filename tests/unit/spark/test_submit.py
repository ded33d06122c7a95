"""spark-submit gets the pipeline's settings, and the user's own settings of Spark, Java and Python stay out."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from reco_platform.contracts.spark_settings import RESULT_SETTINGS
from reco_platform.spark import submit
from support.builders import java_home


def test_the_users_own_spark_java_and_python_stay_out(tmp_path: Path, root: Path) -> None:
    home = java_home(tmp_path / "jdk", 'JAVA_VERSION="17"\n')
    user = dict.fromkeys(submit.USER_VARIABLES, "/elsewhere")
    found = submit.spark_environment({**user, "JAVA_HOME": str(home), "PATH": "/bin", "LANG": "C", "TZ": "Asia/Tokyo"})
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
    assert name in submit.USER_VARIABLES


def test_the_command_line_puts_options_before_the_script_and_arguments_after(root: Path) -> None:
    command = submit.submit_command("scripts/x.py", ["--lakehouse", "my lake"], threads=3, memory="800m")
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
    assert not settings.keys() & RESULT_SETTINGS.keys()


def test_a_process_started_by_spark_submit_knows_it() -> None:
    assert submit.in_spark_submit({"PYSPARK_GATEWAY_PORT": "1"})
    assert not submit.in_spark_submit({})
