"""The same inputs give the same receipts: on another number of cores, in another time zone and locale."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from support.project import Project, Run

pytestmark = pytest.mark.pipeline


def other_locale() -> str:
    """A locale that is not C and not English, where the machine has one."""
    known = subprocess.run(["locale", "-a"], capture_output=True, text=True, check=False).stdout.split()
    return next((name for name in known if not name.startswith(("C", "POSIX", "en"))), "C.UTF-8")


@pytest.mark.parametrize(
    ("cores", "environment", "new_processes"),
    [
        (1, {"TZ": "Asia/Kolkata", "LC_ALL": other_locale()}, True),
        (4, {"TZ": "America/St_Johns", "LC_ALL": "C"}, False),
    ],
    ids=["1-core-Kolkata", "4-cores-St_Johns"],
)
def test_a_clean_build_elsewhere_gives_the_same_receipts(
    built_run: tuple[Project, Run], built: Project, cores: int, environment: dict[str, str], new_processes: bool
) -> None:
    shutil.rmtree(built.lakehouse())
    run = built.gold(cores=cores, env=environment, new_processes=new_processes)
    assert "train_als" in run.worked
    assert built.receipts() == built_run[0].receipts()
