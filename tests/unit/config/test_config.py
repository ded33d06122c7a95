"""Configuration: the source of each value, and the messages for invalid values."""

from __future__ import annotations

import datetime
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from reco_platform.cli import generated_docs
from reco_platform.config.load import load_config
from reco_platform.config.messages import allowed
from reco_platform.config.model import ENVIRONMENT, Config
from reco_platform.config.patterns import MEANING
from reco_platform.config.render import defaults_yaml, docs_table
from reco_platform.config.secrets import redact_config
from reco_platform.core.errors import ConfigError
from reco_platform.pipeline.steps_table import STEPS

DEFAULTS = Config.model_validate({})
VALUES: dict[str, tuple[str, Any]] = {
    "LAKEHOUSE_PATH": ("/data/lake", "/data/lake"),
    "STORAGE_FORMAT": ("parquet", "parquet"),
    "MLFLOW_TRACKING_URI": ("http://127.0.0.1:5000", "http://127.0.0.1:5000"),
    "RECO_SPARK_CONF": ("spark.a=1,spark.b=x y", {"spark.a": "1", "spark.b": "x y"}),
    "ALS_RANK": ("33", 33),
    "ALS_MAX_ITER": ("7", 7),
    "ALS_REG_PARAM": ("0.25", 0.25),
    "ALS_COLD_START_STRATEGY": ("nan", "nan"),
    "TOP_N": ("3", 3),
}


def problem(overrides: Mapping[Any, Any], environ: Mapping[str, str] | None = None) -> str:
    with pytest.raises(ConfigError) as caught:
        load_config(overrides, environ or {})
    assert caught.value.hint
    return caught.value.message


def defaults_file(folder: Path, text: str) -> Path:
    path = folder / "config.yaml"
    path.write_text(text, encoding="utf-8")
    return path


# --- the file


def test_the_defaults_file_matches_the_model(root: Path) -> None:
    assert (root / "config" / "config.yaml").read_text(encoding="utf-8") == defaults_yaml()
    assert load_config({}, {}) == DEFAULTS


def test_every_generated_file_matches_the_code(root: Path) -> None:
    for path, text in generated_docs.generated().items():
        assert (root / path).read_text(encoding="utf-8") == text, f"make docs writes {path} anew"


def test_the_defaults_file_lists_every_key_with_its_allowed_values() -> None:
    text = defaults_yaml()
    assert yaml.safe_load(text).keys() == Config.model_fields.keys()
    assert all(allowed(key) in text for key in Config.model_fields)


def test_the_docs_table_has_a_row_for_every_key_and_variable() -> None:
    table = docs_table()
    assert all(f"| `{key}` |" in table for key in Config.model_fields)
    assert all(f"`{variable}`" in table for variable in ENVIRONMENT)
    assert {row.count("|") - row.count("\\|") for row in table.splitlines()} == {6}


# --- precedence


def test_overrides_take_precedence_over_the_environment_and_that_over_the_file(tmp_path: Path) -> None:
    defaults = defaults_file(tmp_path, "rank: 11\nmax_iter: 12\ntop_n: 13\n")
    found = load_config({"rank": 31}, {"ALS_RANK": "21", "ALS_MAX_ITER": "22"}, defaults)
    assert (found.rank, found.max_iter, found.top_n, found.seed) == (31, 22, 13, 42)


def test_every_variable_has_a_value_to_try() -> None:
    assert ENVIRONMENT.keys() == VALUES.keys()


@pytest.mark.parametrize("variable", VALUES)
def test_each_environment_variable_sets_its_key(variable: str) -> None:
    text, expected = VALUES[variable]
    key = ENVIRONMENT[variable]
    found = load_config({}, {variable: text})
    assert getattr(found, key) == expected
    assert found != DEFAULTS
    assert found.model_copy(update={key: getattr(DEFAULTS, key)}) == DEFAULTS


def in_bash(folder: Path, text: str) -> dict[str, str]:
    """The variables of a shell that loads an .env file as the docs say."""
    (folder / ".env").write_text(text, encoding="utf-8")
    command = "set -a; . ./.env; set +a; env -0"
    run = subprocess.run(["bash", "-euc", command], cwd=folder, env={}, capture_output=True, text=True, check=True)
    return dict(line.split("=", 1) for line in run.stdout.split("\0") if line)


def test_the_example_env_file_loads_in_bash_and_contains_every_variable(root: Path, tmp_path: Path) -> None:
    example = (root / ".env.example").read_text(encoding="utf-8")
    assert load_config({}, in_bash(tmp_path, example)) == DEFAULTS
    everything = in_bash(tmp_path, re.sub(r"^#(?=[A-Z_]+=)", "", example, flags=re.MULTILINE))
    assert ENVIRONMENT.keys() <= everything.keys()
    assert load_config({}, everything) == DEFAULTS
    changed = example.replace("#ALS_RANK=50", "ALS_RANK=33").replace("#LAKEHOUSE_PATH=", "LAKEHOUSE_PATH='/my lake'")
    found = load_config({}, in_bash(tmp_path, changed))
    assert (found.rank, found.lakehouse) == (33, "/my lake")


def test_an_env_file_is_never_committed(root: Path) -> None:
    assert ".env" in (root / ".gitignore").read_text(encoding="utf-8").splitlines()


def test_an_empty_variable_counts_as_not_set() -> None:
    assert load_config({}, dict.fromkeys(ENVIRONMENT, "")) == DEFAULTS


def test_other_variables_set_nothing() -> None:
    assert load_config({}, {"RANK": "3", "rank": "3", "ALS_SEED": "3"}) == DEFAULTS


# --- values


@pytest.mark.parametrize(
    ("key", "given", "expected"),
    [
        ("rank", "20", 20),
        ("rank", " 20 ", 20),
        ("rank", 20.0, 20),
        ("reg_param", "0", 0.0),
        ("reg_param", 1, 1.0),
        ("reg_param", "1e-2", 0.01),
        ("refit", "true", True),
        ("nonnegative", "False", False),
        ("exclude_seen", False, False),
        ("lakehouse", "null", None),
        ("lakehouse", "", None),
        ("dataset", 2024, "2024"),
        ("dataset", "ml-25m", "ml-25m"),
        ("dataset_path", "/data/it's, mine", "/data/it's, mine"),
        ("driver_memory", "800m", "800m"),
    ],
)
def test_values_are_coerced_to_the_type_of_their_key(key: str, given: Any, expected: Any) -> None:
    found = getattr(load_config({key: given}, {}), key)
    assert found == expected
    assert type(found) is type(expected)


@pytest.mark.parametrize(
    ("key", "given"),
    [
        ("rank", "true"),
        ("rank", True),
        ("seed", False),
        ("reg_param", True),
        ("rank", 2.5),
        ("rank", "1e1"),
        ("rank", "null"),
        ("rank", {"a": 1}),
        ("reg_param", "nan"),
        ("reg_param", float("inf")),
        ("nonnegative", "perhaps"),
        ("dataset", "../other"),
        ("dataset", "a/b"),
        ("dataset", "new\nline"),
        ("dataset", "x" * 81),
        ("lakehouse", True),
        ("driver_memory", "2"),
        ("driver_memory", "0g"),
        ("storage_format", "Delta"),
    ],
)
def test_a_value_of_another_type_is_rejected_with_the_allowed_values(key: str, given: Any) -> None:
    text = problem({key: given})
    assert text.startswith(f"{key}={given!r} (from --config or --configfile) is not allowed: {allowed(key)}")


def bounds() -> list[tuple[str, Any]]:
    """For each bounded number, the values just outside."""
    outside: list[tuple[str, Any]] = []
    for key, schema in Config.model_json_schema()["properties"].items():
        step = 1 if schema.get("type") == "integer" else 1e-9
        outside += [(key, schema["minimum"] - step)] if "minimum" in schema else []
        outside += [(key, schema["maximum"] + step)] if "maximum" in schema else []
        outside += [(key, schema[name]) for name in ("exclusiveMinimum", "exclusiveMaximum") if name in schema]
    return outside


def test_every_number_has_bounds() -> None:
    numbers = {key for key, field in Config.model_fields.items() if field.annotation in (int, float)}
    assert {key for key, _ in bounds()} == numbers


@pytest.mark.parametrize(("key", "value"), bounds())
def test_a_value_out_of_bounds_is_rejected(key: str, value: Any) -> None:
    assert f"{key}={value!r}" in problem({key: value})


@pytest.mark.parametrize(
    ("overrides", "environ", "expected"),
    [
        (
            {"rank": 0},
            {},
            "rank=0 (from --config or --configfile) is not allowed: a whole number at least 1 at most 500",
        ),
        ({}, {"ALS_RANK": "501"}, "rank='501' (from environment variable ALS_RANK) is not allowed: a whole number"),
        ({"test_fraction": 1}, {}, "is not allowed: a number above 0 below 1"),
    ],
)
def test_the_message_names_key_value_source_and_what_is_allowed(
    overrides: dict[str, Any], environ: dict[str, str], expected: str
) -> None:
    assert expected in problem(overrides, environ)


def test_a_wrong_value_in_the_file_names_the_file(tmp_path: Path) -> None:
    defaults = defaults_file(tmp_path, "rank: many\n")
    with pytest.raises(ConfigError, match=r"rank='many' \(from .*config\.yaml\) is not allowed: a whole number"):
        load_config({}, {}, defaults)


@pytest.mark.parametrize(
    ("given", "near"), [("parket", "parquet"), ("dleta", "delta"), ("Delta", "delta"), ("PARQUET!", None)]
)
def test_a_misspelt_word_gets_the_nearest_suggestion(given: str, near: str | None) -> None:
    text = problem({"storage_format": given})
    assert "one of delta, parquet" in text
    assert (f"did you mean {near}?" in text) == (near is not None)


@pytest.mark.parametrize(
    ("given", "near"),
    [
        ("rmse", "rmse_all"),
        ("rsme_warm", "rmse_warm"),
        ("ndgc@10", "ndcg@10"),
        ("ndcg", "ndcg@10"),
        ("recal@7", "recall@7"),
    ],
)
def test_a_misspelt_metric_gets_the_list_of_metrics_and_the_nearest_suggestion(given: str, near: str) -> None:
    text = problem({"sweep_metric": given})
    assert "rmse_all, " in text and "ndcg, " in text and "such as ndcg@10" in text
    assert text.endswith(f"; did you mean {near}?")


def test_no_message_shows_a_pattern() -> None:
    patterns = [option["pattern"] for option in options_of_keys() if "pattern" in option]
    assert set(patterns) <= MEANING.keys()
    messages = [allowed(key) for key in Config.model_fields]
    assert not any(pattern in message for message in messages for pattern in patterns)


def options_of_keys() -> list[dict[str, Any]]:
    schemas = Config.model_json_schema()["properties"].values()
    return [option for schema in schemas for option in schema.get("anyOf", [schema])]


@pytest.mark.parametrize(
    ("key", "near"), [("rnak", "rank"), ("ranks", "rank"), ("reg_parm", "reg_param"), ("top-n", "top_n")]
)
def test_an_unknown_key_gets_the_nearest_suggestion(key: str, near: str) -> None:
    assert problem({key: 1}) == f"unknown key {key!r} (from --config or --configfile); did you mean {near}?"


@pytest.mark.parametrize("key", ["zzzzzzzz", 1])
def test_a_key_without_a_near_match_gets_the_list_of_keys(key: Any) -> None:
    text = problem({key: 1})
    assert text.startswith(f"unknown key '{key}'")
    assert all(known in text for known in Config.model_fields)


def test_all_problems_are_reported_at_once() -> None:
    text = problem({"rank": 0, "storage_format": "orc", "ranks": 3}, {"TOP_N": "none"})
    assert len(text.splitlines()) == 4
    assert all(part in text for part in ("rank=0", "storage_format='orc'", "unknown key 'ranks'", "top_n='none'"))


@pytest.mark.parametrize("given", [[10, 50], "10,50", [10]])
def test_a_list_is_rejected_with_a_pointer_to_sweeps(given: Any) -> None:
    with pytest.raises(ConfigError, match=r"is a list: this target takes one value per key") as caught:
        load_config({"rank": given}, {})
    assert caught.value.hint is not None
    assert "sweep" in caught.value.hint


# --- the file, damaged


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"rank: [", "is not YAML"),
        (b"\xff\xfe\x00", "is not YAML"),
        (b"- rank\n- seed\n", "contains no keys"),
        (b"", "contains no keys"),
        (b"just text", "contains no keys"),
    ],
)
def test_a_damaged_defaults_file_is_named_with_the_command_that_restores_it(
    tmp_path: Path, content: bytes, expected: str
) -> None:
    path = tmp_path / "config.yaml"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=expected) as caught:
        load_config({}, {}, path)
    assert str(path) in caught.value.message
    assert caught.value.hint is not None
    assert "git checkout config/config.yaml" in caught.value.hint


@pytest.mark.parametrize("path", ["missing.yaml", "."])
def test_a_missing_defaults_file_is_named_with_the_command_that_restores_it(tmp_path: Path, path: str) -> None:
    with pytest.raises(ConfigError, match="cannot be read") as caught:
        load_config({}, {}, tmp_path / path)
    assert str(tmp_path / path) in caught.value.message
    assert caught.value.hint == "git checkout config/config.yaml"


# --- the lakehouse


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        ({}, "results/demo"),
        ({"storage_format": "parquet"}, "results/demo-parquet"),
        ({"dataset": "mine"}, "results/mine"),
        ({"lakehouse": "/lake/"}, "/lake"),
        ({"lakehouse": "/lake", "storage_format": "parquet"}, "/lake"),
        ({"lakehouse": "/"}, "/"),
        ({"lakehouse": "hdfs://nn:9000/lake"}, "hdfs://nn:9000/lake"),
    ],
)
def test_two_formats_and_two_data_sets_never_share_a_root(overrides: dict[str, Any], expected: str) -> None:
    assert load_config(overrides, {}).root == expected


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"nonnegative": "true"}, "nonnegative=true needs biased=false"),
        ({"validation_from": "2015-01-01"}, "validation_from and test_from must be set together"),
        ({"validation_from": "2017-04-01", "test_from": "2015-01-01"}, "the first one earlier"),
        ({"validation_from": "2015-02-30", "test_from": "2015-03-01"}, "must be two dates"),
        ({"validation_from": "2015-01-01", "test_from": "2017-04-01", "split": "random"}, "need split=global_time"),
        ({"last_k": 3}, "last_k needs split=user_time"),
        ({"evaluation_k": "5,0"}, "whole numbers from 1 to 1,000"),
        ({"evaluation_k": ""}, "evaluation_k"),
    ],
)
def test_contradicting_values_are_rejected(given: dict[str, Any], expected: str) -> None:
    with pytest.raises(ConfigError, match=expected):
        load_config(given, {})


def test_lengths_of_lists_are_sorted_and_dates_may_be_yaml_dates() -> None:
    found = load_config(
        {
            "evaluation_k": [20, 5, 5],
            "validation_from": datetime.date(2015, 1, 1),
            "test_from": datetime.date(2017, 4, 1),
        },
        {},
    )
    assert found.evaluation_k == (5, 20)
    assert (found.validation_from, found.test_from) == ("2015-01-01", "2017-04-01")


# --- settings of Spark


@pytest.mark.parametrize(
    "given",
    [
        {"spark.a": "1", "spark.b.c": "x,y", "spark.on": True},
        '{"spark.a": 1, "spark.b.c": "x,y", "spark.on": true}',
        "spark.a=1,spark.b.c=x,y, spark.on=true",
    ],
)
def test_spark_settings_are_given_as_a_mapping_json_or_pairs(given: Any) -> None:
    assert load_config({"spark_conf": given}, {}).spark_conf == {"spark.a": "1", "spark.b.c": "x,y", "spark.on": "true"}


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("spark.sql.ansi.enabled=false", "spark.sql.ansi.enabled is fixed, since results depend on it"),
        ("spark.default.parallelism=8", "spark.default.parallelism is fixed"),
        ("spark.submit.deployMode=cluster", "the driver runs where Snakemake runs"),
        ("spark.executor.memory=2g", "has its own key, executor_memory"),
        ("hive.x=1", "'hive.x' is not a Spark setting: names begin with spark."),
        ({"spark.a\nspark.b": "1"}, "is not a Spark setting"),
        ("spark.a", "is not allowed: settings such as spark.a=1,spark.b=2, or JSON"),
        ("{spark.a: 1", "is not allowed: settings such as"),
        ({"spark.a": ["x"]}, "is not allowed: settings such as"),
    ],
)
def test_spark_settings_that_affect_results_or_do_not_exist_are_rejected(given: Any, expected: str) -> None:
    assert re.search(expected, problem({"spark_conf": given}))


def test_no_message_and_no_file_contains_a_secret_spark_setting() -> None:
    secret = {"spark.authenticate.secret": "hunter2", "spark.hadoop.fs.s3a.access.key": "hunter2"}
    message = problem({"spark_conf": {**secret, "spark.a": ["x"]}})
    assert "hunter2" not in message and "spark.authenticate.secret" in message
    config = load_config({"spark_conf": {**secret, "spark.jars.repositories": "https://me:hunter2@host/x"}}, {})
    shown = redact_config(config)
    assert "hunter2" not in str(shown)
    assert shown["spark_conf"]["spark.authenticate.secret"] == "***"


@pytest.mark.parametrize("master", ["spark://a:7077", "spark://a:1,b-c.d:2", "yarn", "k8s://https://h:6443"])
def test_a_cluster_is_named_by_its_master(master: str) -> None:
    assert load_config({"spark_master": master}, {}).spark_master == master


@pytest.mark.parametrize("master", ["local[2]", "spark://a", "mesos://a:5050", "yarn-cluster", "spark://a:7077 --x"])
def test_an_invalid_cluster_address_is_rejected(master: str) -> None:
    assert "spark_master=" in problem({"spark_master": master})


def test_the_location_of_spark_affects_no_step() -> None:
    keys = {"spark_master", "spark_conf", "executor_memory", "executor_cores", "executor_instances"}
    assert keys <= Config.model_fields.keys()
    assert not any(keys & set(step.keys) for step in STEPS.values())
