"""The configuration: one strict model of every key, and where each value comes from."""

from __future__ import annotations

import difflib
import json
import os
import re
import shlex
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, ValidationInfo, field_validator

from reco_platform.core.errors import ConfigError
from reco_platform.core.hashing import sha256
from reco_platform.core.redaction import redacted
from reco_platform.spark.session import ORDER_SETTINGS, RESULT_SETTINGS

DEFAULTS_FILE = Path("config/config.yaml")

# Environment variables that set a key (design: between --config and the defaults file).
ENVIRONMENT = {
    "LAKEHOUSE_PATH": "lakehouse",
    "STORAGE_FORMAT": "storage_format",
    "MLFLOW_TRACKING_URI": "mlflow_tracking_uri",
    "RECO_SPARK_CONF": "spark_conf",
    "ALS_RANK": "rank",
    "ALS_MAX_ITER": "max_iter",
    "ALS_REG_PARAM": "reg_param",
    "ALS_COLD_START_STRATEGY": "cold_start_strategy",
    "TOP_N": "top_n",
}


DATASET_NAME = r"^[\w][\w .+-]*$"
FOLDER = r"^[^{}\\%\x00-\x1f\x7f-][^{}\\%\x00-\x1f\x7f]*$"
"""Braces are Snakemake's wildcards, delta-rs reads \\ as / and %41 as A, programs what begins with - as an option."""
MEMORY = r"^[1-9]\d*[mg]$"
MODEL_NAME = r"^[\w.-]+$"
DATE = r"^\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])$"


MASTER = r"^(spark://[\w.-]+:\d+(,[\w.-]+:\d+)*|yarn|k8s://\S+|local-cluster\[\d+,\d+,\d+\])$"
STORE = r"^(https?://|(sqlite|postgresql|mysql|mssql)(\+\w+)?://|sha256:)"
"""Addresses of MLflow stores; `sha256:` is what stands for one where its secrets must not be seen."""


MOST_RECOMMENDED = 1000
MOST_TRIALS = 2000  # their ids are one argument of a command

RATING_METRICS = tuple(
    f"{kind}_{rows}{form}"
    for kind in ("rmse", "mae", "user_rmse")
    for rows in ("all", "warm")
    for form in ("", "_clipped")
)
RANKING_METRICS = (
    "precision", "recall", "ndcg", "map", "mrr", "hit_rate", "novelty", "popularity_percentile", "genre_diversity",
)  # fmt: skip
METRIC = rf"^({'|'.join(RATING_METRICS)}|({'|'.join(RANKING_METRICS)})@[1-9]\d{{0,2}})$"
SWEEP_NAME = r"^\w[\w.-]*$"
NOT_SWEEPS = ("data", "trials")  # folders beside those of the sweeps

IN_WORDS = {
    DATASET_NAME: "a name of letters, digits, spaces and .+-_, which begins with a letter or digit",
    FOLDER: "a folder whose name has no { } \\ %, no control characters, and no - at its beginning (./- will do)",
    DATE: "a date such as 2015-12-31",
    STORE: "an address that begins with http://, https://, sqlite://, postgresql://, mysql:// or mssql://",
    METRIC: f"one of {', '.join(RATING_METRICS)}; or one of {', '.join(RANKING_METRICS)} with the length of the lists, "
    "1 to 999, such as ndcg@10",
    SWEEP_NAME: "a name of letters, digits and .-_, which begins with a letter or digit",
    MODEL_NAME: "a name of letters, digits and .-_",
    MEMORY: "a whole number with m or g, such as 800m or 4g",
    MASTER: "spark://HOST:PORT, yarn, k8s://ADDRESS or local-cluster[EXECUTORS,CORES,MEMORY_MB]",
}
"""What each pattern of a key allows, for people."""

SETTING = r"spark\.[\w./-]+"
SECRET = re.compile(
    "secret|passw|passphrase|[.]pass$|token|credential|(access|account|api|encryption|private)[._-]?key|[.]sas[.]",
    re.IGNORECASE,
)
"""Names of settings whose values nobody may see: those that Spark and Hadoop know as such, and storage keys."""

HIDING = {"mlflow_tracking_uri", "spark_conf"}
"""Keys whose values may hold secrets."""

OF_HIDING = re.compile(rf"(?:^|(?<=\W)|(?<=-C))({'|'.join(sorted(HIDING))})=(.*)", re.DOTALL)


class Config(BaseModel):
    """Every key, flat, with its default and its bounds. Unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True, coerce_numbers_to_str=True)

    dataset: str = Field(
        "demo",
        pattern=DATASET_NAME,
        max_length=80,
        description="Name of the data set: an entry of config/datasets.yaml, or any name together with dataset_path",
    )
    dataset_path: str | None = Field(
        None,
        pattern=FOLDER,
        description="Folder with ratings.csv, movies.csv and, if there is one, tags.csv; "
        "no registry entry is needed then",
    )
    lakehouse: str | None = Field(
        None,
        pattern=FOLDER,
        description="Root of every table, model and report; default results/<dataset>, or results/<dataset>-parquet",
    )
    storage_format: Literal["delta", "parquet"] = Field("delta", description="Format of the tables")
    force_overwrite: bool = Field(
        False,
        description="Let a run replace what stands at the path of a table and is none of its own: that of another "
        "data set, format or program, or one whose Delta log is damaged; all its versions go",
    )

    sample_size: int = Field(
        10_000, ge=1, le=10_000_000, description="Rows of each silver table that the contract checks"
    )
    sample_seed: int = Field(7, ge=0, lt=2**31, description="Seed of that sample")
    max_reject_share: float = Field(
        0.05, ge=0, le=1, description="Largest share of rows that cleaning may reject before the job stops"
    )

    etl_engine: Literal["auto", "native", "spark"] = Field(
        "auto",
        description="What cleans: threads of one machine (native), Spark, or whichever suits the size; "
        "never changes a result",
    )

    split: Literal["global_time", "user_time", "random"] = Field(
        "global_time",
        description="How folds are cut: one moment for all, the last ratings of each user, or at random",
    )
    test_fraction: float = Field(
        0.2, gt=0, lt=1, description="Share of the interactions (user_time: of each user's) that form the test fold"
    )
    validation_fraction: float = Field(
        0.1, gt=0, lt=1, description="Share of the others that form the validation fold, which sweeps choose by"
    )
    validation_from: str | None = Field(
        None, pattern=DATE, description="global_time by date: first day, UTC, of the validation fold; with test_from"
    )
    test_from: str | None = Field(
        None, pattern=DATE, description="global_time by date: first day, UTC, of the test fold; with validation_from"
    )
    last_k: int | None = Field(
        None,
        ge=1,
        le=10_000,
        description="user_time: so many last ratings of each user are the test fold, as many before them validation",
    )
    split_seed: int = Field(42, ge=0, lt=2**31, description="random: its seed")
    min_user_ratings: int = Field(
        1, ge=1, le=1_000_000, description="Least training ratings of a user to be trained on and recommended to"
    )
    min_item_ratings: int = Field(
        1, ge=1, le=1_000_000, description="Least training ratings of a movie to be trained on and recommended"
    )

    engine: Literal["auto", "native", "spark-ml"] = Field(
        "auto", description="What trains: threads of one machine (native), pyspark.ml, or whichever suits the size"
    )
    solver: Literal["cg", "cholesky"] = Field(
        "cg", description="How the native engine solves a row: conjugate gradients, or exactly and slower"
    )
    biased: bool = Field(
        True, description="Train on what the mean and the biases of users and movies leave; false is plain ALS"
    )
    bias_damping: float = Field(
        5.0, ge=0, le=1_000_000, description="Ratings of value zero that are added to each user and movie in biases"
    )
    rank: int = Field(50, ge=1, le=500, description="Number of latent factors of the ALS model")
    max_iter: int = Field(10, ge=1, le=200, description="ALS iterations")
    reg_param: float = Field(
        0.1, ge=0, le=100, description="ALS regularisation, scaled by each row's number of ratings"
    )
    cold_start_strategy: Literal["drop", "nan"] = Field(
        "drop", description="What becomes of test rows whose user or movie has no training rows"
    )
    nonnegative: bool = Field(False, description="Constrain the factors to be nonnegative; pyspark.ml only")
    seed: int = Field(42, ge=0, lt=2**31, description="Seed of the factors' first values")
    num_blocks: int = Field(
        4, ge=1, le=1024, description="User and item blocks of pyspark.ml's ALS; part of its result, so pinned"
    )

    top_n: int = Field(10, ge=1, le=1000, description="Recommendations for each user")
    exclude_seen: bool = Field(True, description="Leave out what the user has rated in the training data")

    refit: bool = Field(False, description="Train the served model on all ratings once more, after the evaluation")
    fallback_lists: bool = Field(
        False, description="Also make gold/recommendations_fallback: popular movies for users without training ratings"
    )

    evaluation_k: tuple[int, ...] = Field(
        (5, 10, 20), min_length=1, description="Lengths of lists at which ranking is judged, such as 5,10,20"
    )
    relevance: Literal["threshold", "user_mean"] = Field(
        "threshold", description="Which test ratings count as relevant: from relevant_rating, or from the user's mean"
    )
    relevant_rating: float = Field(4.0, ge=0, le=100, description="Least relevant rating, with relevance=threshold")
    popular_days: int = Field(
        90, ge=1, le=36_500, description="Days before the cut over which the recent baseline counts ratings"
    )
    bootstrap_samples: int = Field(1000, ge=100, le=100_000, description="Resamples of users behind each interval")
    bootstrap_seed: int = Field(42, ge=0, lt=2**31, description="Seed of those resamples")

    sweep_metric: str = Field(
        "rmse_all",
        pattern=METRIC,
        description="What sweeps rank trials by, on the validation fold: any metric of the evaluation, such as ndcg@10",
    )
    max_trials: int = Field(100, ge=1, le=MOST_TRIALS, description="Most trials that a sweep may have")
    sweep_sample: int | None = Field(
        None, ge=1, le=MOST_TRIALS, description="So many trials, drawn at random from the grid; default the whole grid"
    )
    sweep_seed: int = Field(42, ge=0, lt=2**31, description="Seed of that draw")
    patience: int | None = Field(
        None,
        ge=1,
        le=200,
        description="A trial ends after so many iterations without a better score, and its best iteration counts; "
        "native engine only",
    )
    sweep_name: str | None = Field(
        None,
        pattern=SWEEP_NAME,
        max_length=80,
        description="Name of the sweep's folder; default a short hash of its trials",
    )
    sweep_allow_failures: bool = Field(False, description="A sweep succeeds although some of its trials failed")
    chosen_by: str | None = Field(
        None, pattern=SWEEP_NAME, max_length=80, description="Name of the sweep that chose the hyperparameters"
    )

    retain_versions: int | None = Field(
        None,
        ge=1,
        le=1_000_000,
        description="How many model versions, and versions of the data behind them, `run_pipeline.py prune` keeps; "
        "default all of them",
    )

    driver_memory: str = Field(
        "2g",
        pattern=MEMORY,
        description="Java heap of each Spark driver, such as 800m or 4g; never changes a result",
    )
    log_level: Literal["debug", "info", "warn", "error"] = Field(
        "warn", description="Spark's log level; never changes a result"
    )
    spark_event_logs: bool = Field(
        False, description="Keep Spark's event logs in _spark-events, for `make history`; never changes a result"
    )
    spark_master: str | None = Field(
        None,
        pattern=MASTER,
        description="Cluster that Spark runs on: spark://host:port, yarn, k8s://address; default threads of this "
        "machine; never changes a result",
    )
    spark_conf: dict[str, str] = Field(
        {},
        description="Settings of Spark by name, those aside that a result depends on; give secrets by the environment "
        "or a configfile",
    )
    executor_memory: str | None = Field(
        None, pattern=MEMORY, description="Java heap of each executor of a cluster; never changes a result"
    )
    executor_cores: int | None = Field(
        None, ge=1, le=1024, description="Cores of each executor of a cluster; never changes a result"
    )
    executor_instances: int | None = Field(
        None, ge=1, le=100_000, description="Number of executors on a cluster; never changes a result"
    )
    tracking: bool = Field(True, description="Log runs to MLflow and judge each new model against the champion")
    mlflow_tracking_uri: str | None = Field(
        None,
        pattern=STORE,
        description="MLflow server (http, https) or database; default a SQLite file under results/mlflow",
    )
    registered_model: str = Field(
        "reco-als", pattern=MODEL_NAME, max_length=80, description="Name in MLflow's registry, with its one champion"
    )
    gate_metric: Literal["rmse_all", "rmse_warm"] = Field(
        "rmse_all", description="Metric by which a new model must surely beat the champion to replace it"
    )

    @field_validator("*", mode="before")
    @classmethod
    def _true_is_not_a_number(cls, value: Any, info: ValidationInfo) -> Any:
        if isinstance(value, bool) and cls.model_fields[str(info.field_name)].annotation is not bool:
            raise ValueError("true or false where something else is wanted")
        return value

    @field_validator("evaluation_k", mode="before")
    @classmethod
    def _words_are_a_list(cls, value: Any) -> Any:
        return [word.strip() for word in value.split(",")] if isinstance(value, str) else value

    @field_validator("spark_conf", mode="before")
    @classmethod
    def _pairs_are_settings(cls, value: Any) -> Any:
        return {name: plain_text(each) for name, each in spark_settings(value or {}).items()}

    @field_validator("evaluation_k")
    @classmethod
    def _lengths_rise(cls, value: tuple[int, ...]) -> tuple[int, ...]:
        if any(not 1 <= k <= MOST_RECOMMENDED for k in value):
            raise ValueError("a length out of bounds")
        return tuple(sorted(set(value)))

    @field_validator("validation_from", "test_from", mode="before")
    @classmethod
    def _yaml_reads_dates(cls, value: Any) -> Any:
        return value.isoformat() if isinstance(value, date) else value

    @property
    def root(self) -> str:
        """The lakehouse: as configured, or results/<dataset>, with a suffix so that two formats never share a path."""
        if self.lakehouse is not None:
            return self.lakehouse.rstrip("/") or "/"
        return f"results/{self.dataset}" + ("" if self.storage_format == "delta" else "-parquet")

    def shaping(self) -> dict[str, Any]:
        """Every value by key as steps' parameters have it: of MLflow's store a digest, which tells no secret."""
        values = self.model_dump(mode="json")
        if self.mlflow_tracking_uri is not None:
            values["mlflow_tracking_uri"] = f"sha256:{sha256(redacted(self.mlflow_tracking_uri))[:12]}"
        return values

    def shown(self) -> dict[str, Any]:
        """Every value by key as people may read it."""
        return {key: without_secrets(key, value) for key, value in self.model_dump().items()}


def spark_settings(value: Any) -> dict[str, Any]:
    """Settings of Spark by name, from a mapping or from text: JSON, or `spark.a=1,spark.b=2`.

    Raises:
        ValueError: for text that is neither.
    """
    if not isinstance(value, str):
        return dict(value)
    if value.lstrip().startswith("{"):
        found: dict[str, Any] = json.loads(value)
        return found
    pairs = [pair.partition("=") for pair in re.split(r",\s*(?=[\w.]+=)", value)]
    if not all(separator for _, separator, _ in pairs):
        raise ValueError("a setting without a value")
    return {name.strip(): each for name, _, each in pairs}


def plain_text(value: Any) -> Any:
    """A setting's value as Spark reads it."""
    return str(value).lower() if isinstance(value, bool) else value


def without_secrets(key: str, value: Any) -> Any:
    """A key's value as people may read it: addresses without passwords, settings without secrets."""
    if key == "mlflow_tracking_uri":
        return redacted(str(value)) if value else None
    if key != "spark_conf":
        return value
    try:
        found = spark_settings(value or {})
    except (ValueError, TypeError):
        return "***"
    return {name: value_shown(name, str(each)) for name, each in found.items()}


def value_shown(name: str, value: str) -> str:
    """A setting's value as people may read it; as in Spark, a word for a secret in it hides it whole."""
    known = re.fullmatch(SETTING, name) is not None  # otherwise it may be a part of a secret with a comma
    return redacted(value) if known and not SECRET.search(name) and not SECRET.search(value) else "***"


def as_given(value: Any) -> Any:
    """A value as `--config` takes it: settings joined by commas."""
    return ",".join(f"{name}={each}" for name, each in value.items()) if isinstance(value, dict) else value


def word_without_secrets(word: str) -> str:
    """A word of a command line as people may read it, KEY=VALUE or another."""
    found = OF_HIDING.search(word)
    if found is None:
        return redacted(word) if "://" in word else word
    return f"{word[: found.start(2)]}{as_given(without_secrets(*found.groups()))}"


Sources = dict[str, tuple[Any, str]]
"""Values by key, each with the name of where it comes from."""


def load(
    overrides: Mapping[str, Any], environ: Mapping[str, str] = os.environ, defaults: Path = DEFAULTS_FILE
) -> Config:
    """The configuration from overrides, then the environment, then the defaults file.

    Args:
        overrides: what the command line and its config files say; values may be strings.
        environ: environment variables; an empty one counts as not set.
        defaults: a YAML file of keys and values.

    Raises:
        ConfigError: for a key that does not exist or a value that is not allowed, naming its source.
    """
    return validated({**from_elsewhere(environ, defaults), **from_command_line(overrides)})


def from_elsewhere(environ: Mapping[str, str], defaults: Path = DEFAULTS_FILE) -> Sources:
    """Values of the environment, then of the defaults file."""
    found = {key: (value, str(defaults)) for key, value in read_defaults(defaults).items()}
    for variable, key in ENVIRONMENT.items():
        if environ.get(variable, "") != "":
            found[key] = (environ[variable], f"environment variable {variable}")
    return found


def from_command_line(overrides: Mapping[str, Any]) -> Sources:
    return {key: (value, "--config or --configfile") for key, value in overrides.items()}


def source_of(key: str, overrides: Mapping[str, Any], environ: Mapping[str, str]) -> str:
    """The name of where a key's value comes from."""
    sources = {**from_elsewhere(environ), **from_command_line(overrides)}
    return sources[key][1] if key in sources else str(DEFAULTS_FILE)


def read_defaults(path: Path) -> dict[str, Any]:
    """The keys and values of the defaults file.

    Raises:
        ConfigError: if it is missing, is not YAML, or is not a mapping.
    """
    return read_keys(path, "run from the project's root folder", "git checkout config/config.yaml")


def read_keys(path: Path, if_missing: str, if_damaged: str) -> dict[str, Any]:
    """The keys and values of a YAML file.

    Args:
        path: the file.
        if_missing: what to do where it cannot be read.
        if_damaged: what to do where it is no mapping of keys.

    Raises:
        ConfigError: if it is missing, is not YAML, or is not a mapping.
    """
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"config file {path} cannot be read: {error.strerror}", if_missing) from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"config file {path} is not YAML: {error}", if_damaged) from error
    if not isinstance(values, dict):
        raise ConfigError(f"config file {path} holds no keys", if_damaged)
    return values


def validated(sources: Mapping[str, tuple[Any, str]]) -> Config:
    """The model from values and the name of each one's source; every problem is reported at once.

    Raises:
        ConfigError: see load.
    """
    sources = {str(key): source for key, source in sources.items()}
    values = {
        key: None if isinstance(value, str) and value in {"null", ""} else value for key, (value, _) in sources.items()
    }
    axes = [
        key
        for key, value in values.items()
        if (isinstance(value, list) and key != "evaluation_k")
        or (isinstance(value, str) and "," in value and key in AXES)
    ]
    if axes:
        raise ConfigError(
            f"{axes[0]}={without_secrets(axes[0], values[axes[0]])} (from {sources[axes[0]][1]}) is a list: "
            "this target takes one value of each key",
            "give one value; a list of a hyperparameter is an axis of a sweep: "
            "snakemake --cores 2 sweep --config rank=10,50",
        )
    try:
        config = Config.model_validate(values)
        problems = contradictions(config)
    except ValidationError as error:
        problems = [describe(problem, sources) for problem in error.errors()]
    if problems:
        raise ConfigError("\n".join(problems), "docs/configuration.md lists every key with what it allows")
    return config


HYPERPARAMETERS = (
    "biased", "bias_damping", "engine", "solver", "rank", "max_iter", "reg_param", "nonnegative", "seed", "num_blocks",
)  # fmt: skip


AXES = (*HYPERPARAMETERS, "min_user_ratings", "min_item_ratings")
"""Keys of which a sweep takes several values."""


def contradictions(config: Config) -> list[str]:
    """Values that are allowed alone and not together."""
    first, second = config.validation_from, config.test_from
    problems = []
    if (first is None) != (second is None):
        problems.append("validation_from and test_from are given together or not at all")
    if first and second and (first >= second or not (is_day(first) and is_day(second))):
        problems.append(f"validation_from={first} and test_from={second} must be two days, the first one earlier")
    if first and config.split != "global_time":
        problems.append(f"validation_from and test_from need split=global_time, and it is {config.split}")
    if config.last_k and config.split != "user_time":
        problems.append(f"last_k needs split=user_time, and it is {config.split}")
    for key, name in (("sweep_name", config.sweep_name), ("chosen_by", config.chosen_by)):
        if name in NOT_SWEEPS:
            problems.append(f"{key}={name} is no name for a sweep: {', '.join(NOT_SWEEPS)} are taken")
    problems += of_remote_lakehouse(config)
    problems += [problem for name in config.spark_conf if (problem := refused(name))]
    if config.nonnegative and config.biased:
        problems.append("nonnegative=true needs biased=false: what biases leave is negative as often as not")
    return problems


REMOTE = re.compile(r"hdfs://[\w.-]+(:\d{1,5})?(/[\w.=-]+)+", re.ASCII)  # others, delta-rs 1.6 reads as if encoded


def of_remote_lakehouse(config: Config) -> list[str]:
    """What is wrong with a lakehouse that is an address."""
    root = config.root
    if "://" not in root:
        return []
    if not REMOTE.fullmatch(root):
        return [
            f"lakehouse={redacted(root)!r} must be a folder, or an address hdfs://HOST:PORT/FOLDER of letters, "
            "digits, and . _ = -"
        ]
    if config.storage_format != "delta":
        return [f"a lakehouse on HDFS needs storage_format=delta, and it is {config.storage_format}"]
    return []


OWN_KEYS = {
    "spark.master": "spark_master",
    "spark.driver.memory": "driver_memory",
    "spark.executor.memory": "executor_memory",
    "spark.executor.cores": "executor_cores",
    "spark.executor.instances": "executor_instances",
}
"""Settings that have a key of their own."""


def refused(setting: str) -> str | None:
    """Why a setting may not be in spark_conf; None if it may."""
    if not re.fullmatch(SETTING, setting):
        return f"spark_conf: {setting!r} is no setting of Spark: their names begin with spark."
    if setting in OWN_KEYS:
        return f"spark_conf: {setting} has a key of its own, {OWN_KEYS[setting]}"
    if setting in {*RESULT_SETTINGS, *ORDER_SETTINGS}:
        return f"spark_conf: {setting} is fixed, since results depend on it"
    if setting == "spark.submit.deployMode":
        return f"spark_conf: {setting} is fixed: the driver runs where Snakemake runs"
    return None


def is_day(text: str) -> bool:
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True


def describe(problem: Mapping[str, Any], sources: Mapping[str, tuple[Any, str]]) -> str:
    """One pydantic problem in the user's words: key, value, source, what is allowed, nearest name."""
    key = str(problem["loc"][0])
    value, source = sources[key]
    value = without_secrets(key, value)
    if problem["type"] == "extra_forbidden":
        near = difflib.get_close_matches(key, Config.model_fields, n=1, cutoff=0.5)
        guess = f"; did you mean {near[0]}?" if near else f"; known keys: {', '.join(sorted(Config.model_fields))}"
        return f"unknown key {key!r} (from {source}){guess}"
    near = difflib.get_close_matches(str(value), allowed_values(key, str(value)), n=1, cutoff=0.5)
    guess = f"; did you mean {near[0]}?" if near else ""
    return f"{key}={value!r} (from {source}) is not allowed: {allowed(key)}{guess}"


def allowed_values(key: str, given: str) -> list[str]:
    """The words a key allows, where it allows only some; of ranking metrics those with the length that is given."""
    if key == "sweep_metric":
        k = given.partition("@")[2]
        return [*RATING_METRICS, *(f"{name}@{k if k.isdigit() else 10}" for name in RANKING_METRICS)]
    return [str(value) for value in Config.model_json_schema()["properties"][key].get("enum", [])]


def allowed(key: str) -> str:
    """What a key allows, in words."""
    schema = Config.model_json_schema()["properties"][key]
    options = [option for option in schema.get("anyOf", [schema]) if option.get("type") != "null"]
    option = options[0]
    if "enum" in option:
        return "one of " + ", ".join(map(str, option["enum"]))
    if option["type"] == "object":
        return "settings such as spark.a=1,spark.b=2, or JSON"
    if option["type"] == "array":
        return f"whole numbers from 1 to {MOST_RECOMMENDED:,}, joined by commas"
    if "pattern" in option:
        limit = f", of at most {option['maxLength']} characters" if "maxLength" in option else ""
        return IN_WORDS[option["pattern"]] + limit
    words = {"integer": "a whole number", "number": "a number", "boolean": "true or false", "string": "text"}[
        option["type"]
    ]
    bounds = {
        "minimum": "at least",
        "exclusiveMinimum": "above",
        "maximum": "at most",
        "exclusiveMaximum": "below",
    }
    limits = [f"{text} {option[name]:,}" for name, text in bounds.items() if name in option]
    return " ".join([words, *limits]) if limits else words


def defaults_yaml() -> str:
    """The text of config/config.yaml: every key with its default, its meaning and what it allows."""
    lines = [
        "# Every key and its default. Written by `make docs` from src/reco_platform/config/model.py.",
        "# Override for one run: snakemake --cores 2 gold --config rank=20",
    ]
    for key, field in Config.model_fields.items():
        lines += ["", f"# {field.description} ({allowed(key)})", yaml.safe_dump({key: plain(field.default)}).strip()]
    return "\n".join(lines) + "\n"


def plain(value: Any) -> Any:
    """A default as config.yaml writes it."""
    return ",".join(map(str, value)) if isinstance(value, tuple) else value


def shown(value: Any) -> str:
    return str(yaml.safe_dump(plain(value)).splitlines()[0])


def docs_table() -> str:
    """A Markdown table of every key."""
    variables = {key: variable for variable, key in ENVIRONMENT.items()}
    rows = ["| Key | Default | Allowed | Environment | Meaning |", "|---|---|---|---|---|"]
    for key, field in Config.model_fields.items():
        default = "" if field.default is None else f"`{shown(field.default)}`"
        pattern_safe = allowed(key).replace("|", "\\|")
        variable = f"`{variables[key]}`" if key in variables else ""
        rows.append(f"| `{key}` | {default} | {pattern_safe} | {variable} | {field.description} |")
    return "\n".join(rows) + "\n"


ENV_HEADER = """# The environment variables that set a key, each with its default. Written by `make docs`.
# Copy to .env, take the # from the lines to change, and load it: set -a; . ./.env; set +a
# --config key=value comes before a variable, a variable before config/config.yaml; an empty one counts as not set.
# A value with spaces or other special characters needs quotes, as in any shell: LAKEHOUSE_PATH='/my lake'
"""


def env_example() -> str:
    """The text of .env.example."""
    parts = [
        f"\n# {Config.model_fields[key].description} ({allowed(key)})\n#{variable}={env_value(key)}\n"
        for variable, key in ENVIRONMENT.items()
    ]
    return ENV_HEADER + "".join(parts)


def env_value(key: str) -> str:
    """A key's default as a variable's value in a shell."""
    default = Config.model_fields[key].default
    return "" if default is None else shlex.quote(str(plain(default)))
