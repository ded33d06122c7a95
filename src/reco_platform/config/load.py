"""Loading the configuration: overrides, then the environment, then the defaults file; every problem is reported."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError
from pydantic_core import ErrorDetails

from reco_platform.config.messages import describe
from reco_platform.config.model import AXES, ENVIRONMENT, Config
from reco_platform.config.secrets import redact_value
from reco_platform.config.spark_conf import SETTING_NAME
from reco_platform.contracts.spark_settings import ORDER_SETTINGS, RESULT_SETTINGS
from reco_platform.core import project
from reco_platform.core.errors import ConfigError
from reco_platform.core.redaction import redact_uri

DEFAULTS_FILE = project.file("config/config.yaml")

RESERVED_SWEEP_NAMES = ("data", "trials")  # folders beside those of the sweeps

Sources = dict[str, tuple[Any, str]]
"""Values by key, each with the name of where it comes from."""


def load_config(
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
    return validated({**environment_and_defaults(environ, defaults), **overrides_as_sources(overrides)})


def environment_and_defaults(environ: Mapping[str, str], defaults: Path = DEFAULTS_FILE) -> Sources:
    """Values of the environment, then of the defaults file."""
    found = {key: (value, project.shown(defaults)) for key, value in read_defaults(defaults).items()}
    for variable, key in ENVIRONMENT.items():
        if environ.get(variable, "") != "":
            found[key] = (environ[variable], f"environment variable {variable}")
    return found


def overrides_as_sources(overrides: Mapping[str, Any]) -> Sources:
    return {key: (value, "--config or --configfile") for key, value in overrides.items()}


def source_of(key: str, overrides: Mapping[str, Any], environ: Mapping[str, str]) -> str:
    """The name of where a key's value comes from."""
    sources = {**environment_and_defaults(environ), **overrides_as_sources(overrides)}
    return sources[key][1] if key in sources else project.shown(DEFAULTS_FILE)


def read_defaults(path: Path) -> dict[str, Any]:
    """The keys and values of the defaults file.

    Raises:
        ConfigError: if it is missing, is not YAML, or is not a mapping.
    """
    restore = project.restore_command("config/config.yaml")
    return read_keys(path, restore, restore)


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
        raise ConfigError(f"config file {project.shown(path)} cannot be read: {error.strerror}", if_missing) from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"config file {project.shown(path)} is not YAML: {error}", if_damaged) from error
    if not isinstance(values, dict):
        raise ConfigError(f"config file {project.shown(path)} holds no keys", if_damaged)
    return values


def validated(sources: Sources) -> Config:
    """The model from values and the name of each one's source; every problem is reported at once.

    Raises:
        ConfigError: see load_config.
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
            f"{axes[0]}={redact_value(axes[0], values[axes[0]])} (from {sources[axes[0]][1]}) is a list: "
            "this target takes one value of each key",
            "give one value; a list of a hyperparameter is an axis of a sweep: "
            + project.run_command("sweep", "--config rank=10,50"),
        )
    try:
        config = Config.model_validate(values)
        problems = conflicts(config)
    except ValidationError as error:
        problems = [describe_problem(problem, sources) for problem in error.errors()]
    if problems:
        raise ConfigError("\n".join(problems), "docs/configuration.md lists every key with what it allows")
    return config


def describe_problem(problem: ErrorDetails, sources: Sources) -> str:
    """One problem that pydantic found, in words."""
    key = str(problem["loc"][0])
    value, source = sources[key]
    return describe(problem["type"], key, redact_value(key, value), source)


def conflicts(config: Config) -> list[str]:
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
        if name in RESERVED_SWEEP_NAMES:
            problems.append(f"{key}={name} is no name for a sweep: {', '.join(RESERVED_SWEEP_NAMES)} are taken")
    problems += remote_lakehouse_problems(config)
    problems += [problem for name in config.spark_conf if (problem := setting_problem(name))]
    if config.nonnegative and config.biased:
        problems.append("nonnegative=true needs biased=false: what biases leave is negative as often as not")
    return problems


REMOTE = re.compile(r"hdfs://[\w.-]+(:\d{1,5})?(/[\w.=-]+)+", re.ASCII)  # others, delta-rs 1.6 reads as if encoded


def remote_lakehouse_problems(config: Config) -> list[str]:
    """What is wrong with a lakehouse that is an address."""
    root = config.root
    if "://" not in root:
        return []
    if not REMOTE.fullmatch(root):
        return [
            f"lakehouse={redact_uri(root)!r} must be a folder, or an address hdfs://HOST:PORT/FOLDER of letters, "
            "digits, and . _ = -"
        ]
    if config.storage_format != "delta":
        return [f"a lakehouse on HDFS needs storage_format=delta, and it is {config.storage_format}"]
    return []


SETTINGS_WITH_A_KEY = {
    "spark.master": "spark_master",
    "spark.driver.memory": "driver_memory",
    "spark.executor.memory": "executor_memory",
    "spark.executor.cores": "executor_cores",
    "spark.executor.instances": "executor_instances",
}
"""Settings that have a key of their own."""


def setting_problem(setting: str) -> str | None:
    """Why a setting may not be in spark_conf; None if it may."""
    if not re.fullmatch(SETTING_NAME, setting):
        return f"spark_conf: {setting!r} is no setting of Spark: their names begin with spark."
    if setting in SETTINGS_WITH_A_KEY:
        return f"spark_conf: {setting} has a key of its own, {SETTINGS_WITH_A_KEY[setting]}"
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
