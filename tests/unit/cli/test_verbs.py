"""The command `reco`: its verbs, the options that they share, and where it works."""

from __future__ import annotations

import os
import runpy
import subprocess
import sys
from pathlib import Path

import click
import pytest

from reco_platform.cli import main as cli
from reco_platform.cli import run
from reco_platform.cli.project_options import Invocation
from reco_platform.cli.verbs import VERBS, repeated
from reco_platform.config import commands
from reco_platform.core import project
from reco_platform.core.errors import ConfigError

HEAVY = ("numpy", "pandas", "pyarrow", "pydantic", "snakemake", "mlflow", "pyspark", "numba", "yaml")


@pytest.fixture(autouse=True)
def _not_from_reco(monkeypatch: pytest.MonkeyPatch) -> None:
    """As where no command of `reco` is under way; what a test sets goes with it."""
    monkeypatch.setenv(project.WORKING_FOLDER, "")
    monkeypatch.delenv(project.WORKING_FOLDER)


@pytest.mark.parametrize("statement", ["import reco_platform", "from reco_platform.cli import main; main.run(['-h'])"])
def test_the_package_and_the_help_import_no_large_package(statement: str) -> None:
    code = f"import sys; {statement}; print(sorted(set({HEAVY}) & sys.modules.keys()))"
    env = {**os.environ, "PYTHONPATH": "src"}
    ran = subprocess.run(
        [sys.executable, "-c", code],
        env=env,
        capture_output=True,
        text=True,
        check=True,
    )
    assert ran.stdout.splitlines()[-1] == "[]"


def test_every_verb_is_a_command_of_its_name_with_the_summary_of_the_table() -> None:
    context = click.Context(cli.reco)
    for name, entry in VERBS.items():
        command = cli.reco.get_command(context, name)
        assert command is not None and command.name == name
        assert command.get_short_help_str(limit=200) == entry.summary
        assert len(f"  reproduce  {entry.summary}") <= 90, "one line in the help"


@pytest.mark.parametrize(
    ("typed", "parsed"),
    [
        ("--config a=1 b=2 --json", "--config a=1 --config b=2 --json"),
        ("--json --config", "--json"),
        ("model --config a=1 -n b", "model --config a=1 -n b"),
        ("--configfile x.yaml y.yaml --config a=1", "--configfile x.yaml --configfile y.yaml --config a=1"),
        ("--config=a=1 b", "--config=a=1 b"),
        ("--config a=1 -- b c", "--config a=1 -- b c"),
    ],
)
def test_an_option_may_have_several_words(typed: str, parsed: str) -> None:
    assert repeated(typed.split(), {"--config", "--configfile"}) == parsed.split()


# --- where it works


def test_in_the_root_of_a_checkout_the_command_is_that_of_snakemake(root: Path) -> None:
    found = Invocation.parse(["rank=20", "dataset_path=data"], ["a.yaml"], None)
    assert found.is_at_root and found.pairs == ("rank=20", "dataset_path=data")
    words = run.command(found, "gold", cores="2", force_overwrite=True, others=["-n"])
    assert words[1:] == [
        "--cores", "2", "gold", "-n", "--configfile", "a.yaml", "--config", "rank=20", "dataset_path=data",
        "force_overwrite=true",
    ]  # fmt: skip
    assert commands.typed_command(words) == "snakemake " + " ".join(words[1:])
    assert project.run_command("gold") == "snakemake --cores 2 gold"


def test_a_profile_decides_on_cores_unless_the_command_does() -> None:
    found = Invocation.parse([], [], None)
    profile = ["--profile", "profiles/cluster"]
    for cores, expected in ((None, ["gold", *profile]), ("3", ["--cores", "3", "gold", *profile])):
        assert run.command(found, "gold", cores=cores, force_overwrite=False, others=profile)[1:] == expected
    assert run.command(found, "gold", cores=None, force_overwrite=False, others=[])[1:] == ["--cores", "all", "gold"]


def test_elsewhere_snakemake_gets_the_workflow_and_the_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(project.WORKING_FOLDER, "of another command")
    found = Invocation.parse(["rank=20"], [], "lake")
    words = run.command(found, "silver", cores="all", force_overwrite=False, others=["--forcerun", "silver_tags"])
    assert words[1:] == [
        "--snakefile", str(project.ROOT / "Snakefile"), "--directory", str(tmp_path / "lake"),
        "--workflow-profile", str(project.ROOT / "profiles/default"),
        "--cores", "all", "silver", "--forcerun", "silver_tags", "--config", "rank=20",
    ]  # fmt: skip
    named = f"--dir {tmp_path / 'lake'}"
    assert commands.typed_command(words) == f"reco silver {named} --cores all --forcerun silver_tags --config rank=20"
    assert project.run_command("sweep", "--config rank=1,2") == f"reco sweep --run {named} --config rank=1,2"
    with pytest.raises(ConfigError, match="there is no such folder"):
        found.enter()


def test_in_a_checkout_the_default_folder_is_its_root(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    found = Invocation.parse([], [], None)
    assert found.folder == project.ROOT and not found.is_at_root
    assert project.run_command("gold") == "reco gold", "from anywhere"
    found.enter()
    assert Path.cwd() == project.ROOT


def test_an_installed_package_works_in_the_current_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(project, "IS_CHECKOUT", False)
    found = Invocation.parse(["dataset_path=data"], [], None)
    assert (found.folder, found.pairs) == (tmp_path, ("dataset_path=data",))
    assert project.run_command("bronze_files") == "reco bronze"


@pytest.mark.parametrize(
    ("pairs", "text", "expected"),
    [
        (["dataset_path=data", "rank=4"], "", ["rank=4", "dataset_path={here}/data"]),
        (["dataset_path=/data"], "", ["dataset_path=/data"]),
        (["dataset_path=~/data"], "", ["dataset_path=~/data"]),
        ([], "dataset_path: data\n", ["dataset_path={here}/data"]),
        (["dataset_path=b"], "dataset_path: a\n", ["dataset_path={here}/b"]),
        (["rank=4"], "rank: 5\n", ["rank=4"]),
    ],
)
def test_a_data_set_is_found_from_where_the_command_was_typed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, pairs: list[str], text: str, expected: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    files = ["mine.yaml"] if text else []
    Path("mine.yaml").write_text(text, "utf-8")
    found = Invocation.parse(pairs, files, "lake")
    assert list(found.pairs) == [pair.format(here=tmp_path) for pair in expected]
    assert found.argument("results/run.json") == str(tmp_path / "results/run.json")


# --- errors


def test_errors_are_messages_with_the_exit_code(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["statsu"]) == 2
    assert capsys.readouterr().err == "[ERROR] there is no command 'statsu'; did you mean status?\n  -> reco --help\n"
    assert cli.run(["validate", "--layr", "silver"]) == 2
    assert "Did you mean '--layer'?\n  -> reco validate --help" in capsys.readouterr().err
    assert cli.run(["--version"]) == 0
    assert capsys.readouterr().out.startswith("reco, version ")


def test_the_command_that_set_up_writes_runs_in_a_folder_with_a_space(
    root: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    programs = tmp_path / "a project" / ".venv" / "bin"
    programs.mkdir(parents=True)
    (programs / "python").symlink_to(sys.executable)
    write_command = runpy.run_path(str(root / "tools" / "bootstrap.py"))["write_command"]
    monkeypatch.chdir(programs.parents[1])
    write_command()
    env = {**os.environ, "PYTHONPATH": str(root / "src")}
    ran = subprocess.run([programs / "reco", "--version"], env=env, capture_output=True, text=True, check=True)
    assert ran.stdout.startswith("reco, version ")
