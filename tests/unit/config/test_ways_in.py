"""A value means the same by every way in: as typed, or refused with the name of its key."""

from __future__ import annotations

import ast
import json
import shlex
import subprocess
from collections.abc import Callable
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from snakemake.cli import parse_config
from snakemake.settings.types import ConfigSettings

from reco_platform.config import load
from reco_platform.config.load import load_config
from reco_platform.config.model import ENVIRONMENT, Config
from reco_platform.core import plain_yaml, project
from reco_platform.core.errors import ConfigError
from reco_platform.datasets.registry import load_registry
from reco_platform.pipeline import workflow
from reco_platform.tuning import sweeps

HOSTILE = (
    "007", "1e3", "77_0193", "0x10", "0o7", "0b1", "1_0.0_1", "+5", "-5", ".5", "5.", "inf", "nan", "Infinity",
    "1j", "on", "off", "yes", "no", "y", "true", "True", "False", "None", "null", "Null", "~", "~/lake", "1:30",
    "12:30:45", "2024-01-02", "2024-01-02 03:04:05", "a: b", "a:b", "a :b", "x #2", "x#2", "#x", "[a]",
    "[a, b]", "{a}", "{a: b}", "(a)", "'a'", "\"a\"", "'a", "\"a", "a'b", "a=b", "=a", "a==b", "a,b", "a|b",
    "a&b", "a*b", "*a", "&a", "!a", "!!int 3", "- a", "-a", "--rank", "? a", "| a", "> a", "@a", "%a", "`a`",
    "$HOME", "${HOME}", "$(touch x)", "a;b", "a\\b", "a\\n", "a\nb", "a\tb", "...", "---", "--- a", "<<", " a",
    "a ", "  ", " ", "", "é", "naïve/été", "日本語", "🎬", "\u00a0a", "\u2028", "\ufeffa", "a" * 200, "9" * 40, "0",
    "00", "1.0", "1.10", "1e400", "_", "__", "_1", "1_", "a b  c", "/x/a: b", "/x/films #2", "/x/[a]", "/x/007",
    "C:/x", "b64//x", "base64//eA==",
)  # fmt: skip

FREE_KEYS = ("dataset", "lakehouse", "sweep_name", "registered_model")
"""Keys whose value is text of the user's own."""

Outcome = tuple[str, Any]


@pytest.fixture(autouse=True)
def no_defaults_file(monkeypatch: pytest.MonkeyPatch) -> None:
    """The defaults of the model are those of config.yaml, which takes time to read."""
    monkeypatch.setattr(load, "read_defaults", lambda _: {})


def outcome(key: str, given: Callable[[], dict[str, Any]], environ: dict[str, str] | None = None) -> Outcome:
    """The value that a key gets, or that it is refused by name."""
    try:
        return loaded(key, *given().items(), *(environ or {}).items())
    except ConfigError as error:
        assert key in error.message
        return "refused", None


@cache
def loaded(key: str, *values: tuple[str, Any]) -> Outcome:
    """As `outcome`, from keys and environment variables with their values."""
    given = {name: value for name, value in values if name in Config.model_fields}
    found = load_config(given, {name: value for name, value in values if name in ENVIRONMENT})
    return "value", getattr(found, key)


def by_snakemake(key: str, value: str) -> dict[str, Any]:
    pairs = [f"{key}={value}"]
    workflow.overrides(pairs)
    return workflow.given_or_exit(ConfigSettings(config=parse_config(pairs), config_args=pairs))  # type: ignore[arg-type]


def by_config_file(key: str, value: str, folder: Path) -> dict[str, Any]:
    """As a person writes it who quotes what YAML would not take for text of that form."""
    file = folder / "mine.yaml"
    file.write_text(yaml.safe_dump({key: value}, allow_unicode=True), encoding="utf-8")
    return workflow.given_or_exit(SimpleNamespace(config_args=None, configfiles=[file]))


def airflow_arguments(values: dict[str, Any]) -> list[str]:
    """`config_arguments` of the DAG, whose module needs Airflow."""
    tree = ast.parse(project.file("airflow/dags/reco_pipeline_dag.py").read_text(encoding="utf-8"))
    wanted = [node for node in tree.body if getattr(node, "name", "") in {"config_arguments", "as_text"}]
    names: dict[str, Any] = {"Any": Any, "json": json, "SECRET_VARIABLES": {}}
    exec(compile(ast.Module(wanted, []), "dag", "exec"), names)  # noqa: S102  # the project's own code
    found: list[str] = names["config_arguments"](values)
    return found


def is_taken(key: str, value: str) -> bool:
    """Whether the model takes a text for a key; null and nothing stand for the default of a key that has none."""
    try:
        Config.model_validate({key: None if value in {"", "null"} else value})
    except ValueError:
        return False
    return True


def expected(key: str, value: str) -> Outcome:
    if not is_taken(key, value):
        return "refused", None
    return "value", None if value in {"", "null"} else value


def ways_in(key: str, value: str, folder: Path) -> dict[str, Outcome]:
    """What each way in makes of a value."""
    (_, argument) = airflow_arguments({key: value})
    found = {
        "reco": outcome(key, lambda: workflow.overrides([f"{key}={value}"])),
        "snakemake": outcome(key, lambda: by_snakemake(key, value)),
        "airflow": outcome(key, lambda: workflow.overrides([argument])),
        "configfile": outcome(key, lambda: by_config_file(key, value, folder)),
    }
    variable = next((name for name, one in ENVIRONMENT.items() if one == key), None)
    return found | ({"environment": outcome(key, dict, {variable: value})} if variable else {})


@pytest.mark.slow
@pytest.mark.parametrize("key", FREE_KEYS)
def test_a_value_is_as_typed_or_refused_by_every_way_in(tmp_path: Path, key: str) -> None:
    for value in HOSTILE:
        wanted, found = expected(key, value), ways_in(key, value, tmp_path)
        if value and value.lstrip()[:1] in {"", "#"}:  # to Snakemake an empty YAML document
            for way in ("reco", "snakemake", "airflow"):
                assert found.pop(way) == ("refused", None)
        assert found == dict.fromkeys(found, wanted), value


@given(st.text(st.characters(blacklist_categories=("Cs",), blacklist_characters="\0"), max_size=12))
@settings(max_examples=60, deadline=None)
def test_any_text_means_the_same_to_snakemake_and_to_reco(value: str) -> None:
    def through_snakemake() -> dict[str, Any]:
        return by_snakemake("lakehouse", value)

    assert outcome("lakehouse", through_snakemake) == outcome(
        "lakehouse", lambda: workflow.overrides([f"lakehouse={value}"])
    )


@pytest.mark.parametrize(
    "plain", ["77_0193", "007", "1e3", "0x10", "on", "yes", "1:30", "2024-01-02", "True", "-5", "é"]
)
def test_a_plain_value_of_a_config_file_is_the_text_that_stands_there(tmp_path: Path, plain: str) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(f"dataset_path: {plain}\n{plain}: x\n", encoding="utf-8")
    assert workflow.overrides((), [str(file)]) == {"dataset_path": plain, plain: "x"} or plain.startswith("-")


def test_numbers_lists_and_booleans_of_a_config_file_get_the_type_of_their_key(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(
        "rank: 20\nreg_param: 1e-2\nbiased: no\nevaluation_k: [5, 10]\nvalidation_from: 2015-01-01\n"
        "test_from: 2016-01-01\nsweep_name: ~\nlast_k:\nspark_conf: {spark.a: true, spark.b: 3}\n",
        encoding="utf-8",
    )
    found = load_config(workflow.overrides((), [str(file)]), {})
    assert (found.rank, found.reg_param, found.biased, found.evaluation_k) == (20, 0.01, False, (5, 10))
    assert (found.validation_from, found.sweep_name, found.last_k) == ("2015-01-01", None, None)
    assert found.spark_conf == {"spark.a": "true", "spark.b": "3"}


def test_a_number_that_only_yaml_knows_is_refused_with_its_key(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("rank: 0x10\n", encoding="utf-8")
    with pytest.raises(ConfigError, match="rank='0x10'"):
        load_config(workflow.overrides((), [str(file)]), {})


def test_the_axes_of_a_sweep_are_as_typed(tmp_path: Path) -> None:
    file = tmp_path / "sweep.yaml"
    file.write_text("rank: [10, 50]\nreg_param: [0.05, 1e-1]\nsweep_name: 007\n", encoding="utf-8")
    one = sweeps.expand(workflow.overrides((), [str(file)]), {})
    other = sweeps.expand(workflow.overrides(["rank=10,50", "reg_param=0.05,1e-1", "sweep_name=007"]), {})
    assert one == other
    assert (one.name, one.base.rank, sorted({cell.config.reg_param for cell in one.cells})) == ("007", 10, [0.05, 0.1])


@pytest.mark.parametrize("name", ["77_0193", "007", "1e3", "on", "1:30"])
def test_a_name_in_the_registry_is_as_typed(tmp_path: Path, name: str) -> None:
    file = tmp_path / "datasets.yaml"
    file.write_text(f"{name}:\n  kind: directory\n  path: 0x10\n", encoding="utf-8")
    (found,) = load_registry(file).values()
    assert (found.name, str(found.path)) == (name, "0x10")


@pytest.mark.parametrize(
    "value", ["/x/films #2", "a: b", "'quoted' \"twice\"", "$HOME `x` $(x)", "a\\b", "77_0193", "é ~"]
)
def test_arguments_of_make_reach_reco_as_the_shell_reads_them(tmp_path: Path, value: str) -> None:
    shown = tmp_path / "reco"
    shown.write_text('#!/bin/sh\nfor word; do printf "%s\\0" "$word"; done\n', encoding="utf-8")
    shown.chmod(0o755)
    words = shlex.join(["--config", f"dataset_path={value}"]).replace("$", "$$")
    command = ["make", "-s", "-f", project.file("Makefile"), "-o", "setup", "gold", f"BIN={tmp_path}", f"ARGS={words}"]
    ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert ran.stdout.split("\0")[-3:-1] == ["--config", f"dataset_path={value}"]


def test_yaml_that_makes_objects_is_refused() -> None:
    with pytest.raises(yaml.YAMLError):
        plain_yaml.load("rank: !!python/object/apply:os.system ['true']")
