"""The package as it is installed: the wheel has everything that a run needs, whatever folder it works in."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tomllib
import venv
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest

import reco_platform
from reco_platform.datasets import synthetic
from reco_platform.spark import submit
from support.project import RECO, SMALL

pytestmark = pytest.mark.pipeline

ASKED = ("--config", "rank=4", "max_iter=3", "tracking=false", "dataset=small", "dataset_path=data")
OFFLINE = ("--no-deps", "--no-index", "--disable-pip-version-check", "-q")
READ = "import reco_platform; print(reco_platform.open('lake/results/small').tables(), reco_platform.__file__)"


def run(*words: str | Path, cwd: Path, code: int = 0) -> str:
    """The output of a command without the user's Python settings, and without the checkout."""
    environment = {key: value for key, value in os.environ.items() if key not in submit.USER_VARIABLES}
    ran = subprocess.run(words, cwd=cwd, env=environment, capture_output=True, text=True, check=False)
    assert ran.returncode == code, ran.stdout + ran.stderr
    return ran.stdout + ran.stderr


def build_wheel(source: Path, folder: Path) -> Path:
    run(sys.executable, "-m", "pip", "wheel", *OFFLINE, "--no-build-isolation", "-w", folder, source, cwd=folder.parent)
    (wheel,) = folder.glob("*.whl")
    return wheel


@pytest.fixture(scope="module")
def wheel(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_wheel(root, tmp_path_factory.mktemp("wheel") / "dist")


@dataclass(frozen=True)
class Installed:
    """The wheel in an environment of its own, and an empty folder with the data set `small` in data/."""

    python: Path
    package: Path
    folder: Path

    def reco(self, *words: str, code: int = 0) -> str:
        return run(self.python.with_name("reco"), *words, cwd=self.folder, code=code)


@pytest.fixture(scope="module")
def installed(root: Path, wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    folder = tmp_path_factory.mktemp("installed")
    venv.create(folder / "env", symlinks=True)
    python = folder / "env" / "bin" / "python"
    site = Path(run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=folder).strip())
    # The packages of this environment, but not the links in it: one of them leads to the checkout.
    (site / "packages.pth").write_text(sysconfig.get_path("purelib"), "utf-8")
    run(sys.executable, "-m", "pip", "--python", python, "install", *OFFLINE, "--no-compile", wheel, cwd=folder)
    copy_kernels(root / "src" / "reco_platform", site / "reco_platform")
    synthetic.generate(folder / "work" / "data", SMALL)
    return Installed(python, site / "reco_platform", folder / "work")


def copy_kernels(source: Path, target: Path) -> None:
    """Takes compiled kernels along; numba compares the time of change of the file that they were compiled from."""
    for path in source.rglob("*.nb?"):
        copy = target / path.relative_to(source)
        copy.parent.mkdir(exist_ok=True)
        shutil.copy2(path, copy)
    for path in source.rglob("*.py"):
        os.utime(target / path.relative_to(source), ns=(path.stat().st_atime_ns, path.stat().st_mtime_ns))


def test_gold_runs_from_any_folder_and_the_checkout_finds_nothing_to_do(installed: Installed, root: Path) -> None:
    assert "make everything" in installed.reco("--help")
    said = installed.reco("gold", "--dir", "lake", "--cores", "2", *ASKED)
    lake = installed.folder / "lake"
    assert f"reco validate --dir {lake}" in said and "snakemake --cores" not in said
    assert (lake / "results/small/gold/models/als.receipt.json").is_file()
    assert sorted(path.name for path in installed.folder.iterdir()) == ["data", "lake"]
    assert sorted(path.name for path in lake.iterdir()) == [".snakemake", "results"]
    assert "Everything is up to date" in installed.reco("status", "--dir", "lake", *ASKED)
    assert "Validation passed" in installed.reco("validate", "--dir", "lake", "--layer", "gold", *ASKED)
    read = run(installed.python, "-c", READ, cwd=installed.folder)
    assert "'recommendations'" in read and str(installed.package) in read

    command = [root / "tools" / "run_pipeline.py", "status", "--dir", "lake", *ASKED]
    environment = {**os.environ, "PYTHONPATH": str(root / "src")}
    ran = subprocess.run(
        [RECO[0], *command], cwd=installed.folder, env=environment, capture_output=True, text=True, check=True
    )
    assert "Everything is up to date" in ran.stdout, "the same code has the same digest wherever it is"


def test_hints_of_an_installed_package_name_its_own_commands(installed: Installed) -> None:
    wrong = installed.reco("gold", "--config", "rank=4,8", code=2)
    assert "is a list" in wrong and "reco sweep --run --config rank=10,50" in wrong
    assert "is installed" in installed.reco("docs", code=2)
    assert "make airflow" in installed.reco("airflow", "prepare", code=1)
    missing = installed.reco("status", "--config", "dataset=small", "dataset_path=nowhere", code=1)
    assert str(installed.folder / "nowhere" / "ratings.csv") in missing


def test_the_wheel_holds_what_a_run_needs_and_nothing_else(wheel: Path, root: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    project = "reco_platform/_project"
    needed = [
        *(f"{project}/scripts/{path.name}" for path in root.glob("scripts/*.py")),
        *(f"{project}/{path.relative_to(root)}" for path in root.glob("rules/**/*") if path.is_file()),
        *(str(path.relative_to(root / "src")) for path in root.glob("src/reco_platform/**/*.j2")),
        *(f"{project}/{name}" for name in (
            "Snakefile", "config/config.yaml", "config/datasets.yaml", "config/log4j2.properties",
            "config/spark-defaults.conf", "config/sweeps/small.yaml", "profiles/default/config.yaml",
            "envs/ivysettings.xml", "envs/jars.sha256",
        )),
        "reco_platform/py.typed",
    ]  # fmt: skip
    assert set(needed) <= names
    assert not [name for name in names if re.search(r"__pycache__|[.]nb[ic]$|/tests?/|results/", name)]


def test_a_source_distribution_builds_the_same_wheel(wheel: Path, root: Path, tmp_path: Path) -> None:
    run(sys.executable, "-m", "hatchling", "build", "-t", "sdist", "-d", tmp_path, cwd=root)
    (sdist,) = tmp_path.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        archive.extractall(tmp_path, filter="data")
    again = build_wheel(tmp_path / sdist.name.removesuffix(".tar.gz"), tmp_path / "dist")
    assert again.name == wheel.name == f"reco_platform-{reco_platform.__version__}-py3-none-any.whl"
    assert again.read_bytes() == wheel.read_bytes()


def test_dependencies_are_those_of_the_lock(root: Path) -> None:
    declared = tomllib.loads((root / "pyproject.toml").read_text("utf-8"))["project"]["dependencies"]
    listed = (root / "envs" / "runtime.in").read_text("utf-8").splitlines()

    def package(line: str) -> str:
        return re.split(r"[ <>=!#\[]", line)[0]

    assert {package(line) for line in declared} == {package(line) for line in listed} - {""}


def test_versions_of_the_lock_are_within_the_ranges(root: Path) -> None:
    from packaging.requirements import Requirement

    declared = tomllib.loads((root / "pyproject.toml").read_text("utf-8"))["project"]["dependencies"]
    locked = dict(re.findall(r"^([\w.-]+)==([\w.]+)", (root / "envs" / "runtime.txt").read_text("utf-8"), re.MULTILINE))
    for line in declared:
        wanted = Requirement(line)
        assert wanted.specifier.contains(locked[wanted.name]), line
