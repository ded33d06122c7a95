"""core/project: the project's files are found whatever the working directory."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from reco_platform.core import project

INSTALLED = """
import sys
from reco_platform.core import project
print(project.IS_CHECKOUT, project.ROOT, project.file("src/reco_platform/a.j2"), project.python_path(),
      project.is_typed_as_snakemake(), project.restore_command("config/config.yaml"), sep="\\n")
"""


def test_in_a_checkout_files_are_below_its_root(root: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    assert project.IS_CHECKOUT and root == project.ROOT
    assert project.file("config/config.yaml").is_file() and project.file("scripts").is_dir()
    assert project.file("src/reco_platform/reports/templates/base.html.j2").is_file()
    assert project.python_path() == str(root / "src")


def test_an_installed_package_has_its_files_in_its_own_folder(tmp_path: Path) -> None:
    core = tmp_path / "reco_platform" / "core"
    core.mkdir(parents=True)
    for name in ("__init__.py", "core/__init__.py", "core/project.py"):
        (tmp_path / "reco_platform" / name).write_bytes((project.PACKAGE / name).read_bytes())
    ran = subprocess.run(
        [sys.executable, "-c", INSTALLED], cwd=tmp_path, env={"PYTHONPATH": str(tmp_path)}, capture_output=True,
        text=True, check=True,
    )  # fmt: skip
    package = tmp_path / "reco_platform"
    assert ran.stdout.splitlines() == [
        "False", str(package / "_project"), str(package / "a.j2"), str(tmp_path), "False",
        "pip install --force-reinstall --no-deps reco-platform",
    ]  # fmt: skip


def test_paths_are_shown_relative_to_the_working_directory(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    assert project.shown(tmp_path / "a" / "b") == "a/b"
    assert project.shown("a/b") == "a/b"
    assert project.shown(tmp_path.parent) == str(tmp_path.parent)


@pytest.mark.parametrize(
    ("folder", "expected"),
    [
        (None, "reco gold --config rank=20"),
        ("", "reco gold --config rank=20"),
        ("/my lake", "reco gold --dir '/my lake' --config rank=20"),
    ],
)
def test_a_command_names_the_folder_where_it_must(
    monkeypatch: pytest.MonkeyPatch, folder: str | None, expected: str
) -> None:
    monkeypatch.delenv(project.WORKING_FOLDER, raising=False)
    if folder is not None:
        monkeypatch.setenv(project.WORKING_FOLDER, folder)
    assert project.command("gold", "", "--config rank=20") == expected
    assert project.is_typed_as_snakemake() == (folder is None)
