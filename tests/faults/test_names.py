"""Hostile names: nothing of the configuration is run by a shell, and no name leads out of the lakehouse."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import make_url

from reco_platform.core.errors import ConfigError, TableError
from reco_platform.lakehouse.receipts import Receipt, parse, read, seal
from reco_platform.pipeline import workflow
from reco_platform.tracking import client as tracking
from support.project import Project

ROOT = Path(__file__).resolve().parents[2]
INJECTIONS = [
    "$(touch pwned)",
    "`touch pwned`",
    "a;touch pwned",
    "a'b",
    'a"b',
    "a\nb",
    "a\tb",
    "a|b",
    "-rf",
    "--help",
    "a{b}",
]
OUTSIDE = ["..", "../other", "/etc", "a/../../b", "a/b", "~root", ".hidden", "", "\\a"]
NAMES = ("dataset", "sweep_name", "chosen_by")
FOLDERS = ("lakehouse", "dataset_path")
WELCOME = 'it\'s $(touch pwned1) `touch pwned2` "q";touch pwned3;&|>pwned4 *[a]? ünï b#c --x'
DATASET = "ünï +.-_x"
PROJECT = 'it\'s a "project" of 5 ?a=b#c *[a] $HOME & ünï'


@pytest.mark.parametrize("key", NAMES)
@pytest.mark.parametrize("value", [*INJECTIONS, *(name for name in OUTSIDE if name)])
def test_a_name_that_is_none_is_refused_with_its_key(key: str, value: str) -> None:
    with pytest.raises(ConfigError) as caught:
        workflow.prepare({key: value}, {})
    assert f"{key}={value!r} (from --config or --configfile) is not allowed: a name of letters, digits" in str(
        caught.value
    )


@pytest.mark.parametrize("key", FOLDERS)
@pytest.mark.parametrize(
    "value", ["results/{x}", "a}b", "a\\..\\b", "%2e%2e/b", "a\nb", "a\0b", "a\x1b[31m", "\x7f", "-x", "--lakehouse"]
)
def test_a_folder_that_snakemake_or_a_program_would_misread_is_refused_with_its_key(key: str, value: str) -> None:
    with pytest.raises(ConfigError) as caught:
        workflow.prepare({key: value}, {})
    assert f"{key}={value!r} (from --config or --configfile) is not allowed: a folder whose name" in str(caught.value)


@pytest.mark.parametrize("name", ["reco_feature%2Fals", "My%20Films", "a{b}", "a\\b", "a\nb", "a\x1bb"])
@pytest.mark.parametrize("is_linked", [False, True])
def test_a_project_in_a_folder_that_delta_or_snakemake_misreads_is_refused_before_any_job(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, is_linked: bool
) -> None:
    folder = tmp_path / name
    folder.mkdir()
    if is_linked:
        (tmp_path / "link").symlink_to(folder)
    monkeypatch.chdir(tmp_path / "link" if is_linked else folder)
    with pytest.raises(ConfigError) as caught:
        workflow.prepare({}, {})
    found = re.search(r"[^\w.]", name)
    assert found is not None
    assert f"{str(folder)!r} has {found[0]!r} in its name" in caught.value.message
    assert "lakehouse=" in (caught.value.hint or "")


def test_the_database_of_mlflow_lies_in_the_project_whatever_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("plain", "a?b", "a#b", "a%2Fb", 'it\'s a "b"', "[a] ünï"):
        (tmp_path / name).mkdir()
        monkeypatch.chdir(tmp_path / name)
        database = make_url(tracking.tracking_uri({})).database
        assert database is not None
        assert Path(database).absolute() == tmp_path / name / "results" / "mlflow" / "mlflow.db"
        assert tracking.artifact_folder(tracking.tracking_uri({})) == str(tmp_path / name / "results/mlflow/artifacts")


def test_a_lakehouse_of_the_environment_is_held_to_the_same() -> None:
    with pytest.raises(ConfigError, match="from environment variable LAKEHOUSE_PATH"):
        workflow.prepare({}, {"LAKEHOUSE_PATH": "-x"})


@pytest.mark.parametrize("path", ["../../etc/passwd", "/etc/passwd", "silver/../../other"])
def test_a_receipt_that_leads_out_of_its_lakehouse_is_none(tmp_path: Path, path: str) -> None:
    body = json.loads(Receipt("silver/ratings", "table", path, "delta", 0).text())
    del body["seal"]
    forged = json.dumps({**body, "seal": seal(body)})
    with pytest.raises(TableError, match=r"points outside its lakehouse, to .*\n  -> delete it"):
        parse(forged, tmp_path / "ratings.receipt.json")


def test_a_hint_can_be_pasted_whatever_the_folder_is_called(tmp_path: Path) -> None:
    folder = tmp_path / WELCOME
    folder.mkdir()
    receipt = folder / "ratings.receipt.json"
    receipt.write_text("no receipt", encoding="utf-8")
    with pytest.raises(TableError) as caught:
        read(receipt)
    assert caught.value.hint is not None
    command = caught.value.hint.partition(": ")[2]
    subprocess.run(["sh", "-c", command], check=True, cwd=tmp_path)
    assert list(folder.iterdir()) == []
    assert list(tmp_path.iterdir()) == [folder]


def test_every_value_in_a_rule_s_command_is_quoted() -> None:
    """Numbers aside; Snakemake quotes what is marked with q."""
    commands = 0
    for path in [ROOT / "Snakefile", *sorted((ROOT / "rules").glob("*.smk"))]:
        for command in re.findall(r"^    shell:\n((?:^        .*\n)+)", path.read_text("utf-8"), re.MULTILINE):
            commands += 1
            assert not re.search(r"\bf[\"']", command), f"{path}: {command}"
            bare = [value for value in re.findall(r"\{([^}]*)\}", command) if not value.endswith(":q")]
            assert set(bare) <= {"threads"}, f"{path}: {command}"
    assert commands > 15


@pytest.mark.parametrize(("target", "variable"), [("promote", "MODEL_VERSION"), ("history", "LAKEHOUSE")])
def test_make_hands_names_on_as_they_are(tmp_path: Path, target: str, variable: str) -> None:
    lines = (ROOT / "Makefile").read_text("utf-8").splitlines()
    recipe = next(lines[at + 1] for at, line in enumerate(lines) if line.startswith(f"{target}:"))
    (tmp_path / "Makefile").write_text(f"{target}:\n{recipe}\n", encoding="utf-8")
    (tmp_path / "reco").write_text("#!/bin/sh\nprintf '%s\\n' \"$@\" > given\n", encoding="utf-8")
    (tmp_path / "reco").chmod(0o755)
    words = ["make", target, f"{variable}={WELCOME.replace('$', '$$')}", "BIN=."]
    without_make = {name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MFLAGS", "ARGS")}
    subprocess.run(words, cwd=tmp_path, env=without_make, check=True)
    assert (tmp_path / "given").read_text("utf-8").splitlines()[-1].removeprefix("lakehouse=") == WELCOME
    assert not list(tmp_path.glob("pwned*"))


# --- the pipeline


@pytest.mark.pipeline
def test_a_run_with_hostile_names_works_and_runs_nothing_of_them(tmp_path: Path) -> None:
    project = Project.create(tmp_path / PROJECT)
    shutil.move(project.path("data"), project.path(f"in {WELCOME}"))
    values: dict[str, Any] = {"dataset": DATASET, "dataset_path": f"in {WELCOME}", "lakehouse": f"results/{WELCOME}"}
    run = project.gold("silver", folder=WELCOME, **values)
    assert {"bronze", "silver_ratings", "silver_movies", "silver_tags", "etl_report"} <= run.worked
    assert (project.lakehouse(WELCOME) / "bronze" / "movielens" / DATASET / "ratings.csv").is_file()
    assert [path.name for path in project.path("results").iterdir() if path.name != "README.md"] == [WELCOME]
    again = project.gold("silver", folder=WELCOME, **values)
    assert again.worked == set()
    checked = project.reco("validate", **values)
    assert "silver" in checked.output
    braces = project.snakemake("silver", **{**values, "lakehouse": "results/{x}"})
    assert braces.code == 2
    assert "[ERROR] lakehouse='results/{x}' (from --config or --configfile) is not allowed" in braces.output
    assert "Traceback" not in run.output + again.output + checked.output + braces.output
    assert not list(project.root.rglob("pwned?"))
