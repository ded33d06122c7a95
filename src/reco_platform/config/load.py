"""Loads the configuration from overrides, the environment and the defaults file; reports all problems at once."""

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

from reco_platform.config.known_layouts import KNOWN_LAYOUTS, NONE
from reco_platform.config.messages import describe
from reco_platform.config.model import AXES, ENVIRONMENT, Config
from reco_platform.config.secrets import redact_value
from reco_platform.config.spark_conf import SETTING_NAME
from reco_platform.contracts.spark_settings import ORDER_SETTINGS, RESULT_SETTINGS
from reco_platform.core import plain_yaml, project
from reco_platform.core.errors import ConfigError
from reco_platform.core.redaction import redact_uri

DEFAULTS_FILE = project.file("config/config.yaml")

OVERRIDES = "--config or --configfile"
"""Name of the source of values from the command line."""

RESERVED_SWEEP_NAMES = ("data", "trials")  # other folders beside those of the sweeps

Sources = dict[str, tuple[Any, str]]
"""Values by key, each with the name of its source."""


def load_config(
    overrides: Mapping[str, Any], environ: Mapping[str, str] = os.environ, defaults: Path = DEFAULTS_FILE
) -> Config:
    """The configuration from overrides, then the environment, then the defaults file.

    Args:
        overrides: values from the command line and its config files; they may be strings.
        environ: environment variables; an empty one counts as not set.
        defaults: a YAML file of keys and values.

    Raises:
        ConfigError: for an unknown key or a value that is not allowed; the message names its source.
    """
    return validated({**environment_and_defaults(environ, defaults), **overrides_as_sources(overrides)})


def environment_and_defaults(environ: Mapping[str, str], defaults: Path = DEFAULTS_FILE) -> Sources:
    """Values from the environment, then from the defaults file."""
    found = {key: (value, project.shown(defaults)) for key, value in read_defaults(defaults).items()}
    for variable, key in ENVIRONMENT.items():
        if environ.get(variable, "") != "":
            found[key] = (environ[variable], f"environment variable {variable}")
    return found


def overrides_as_sources(overrides: Mapping[str, Any]) -> Sources:
    return {key: (value, OVERRIDES) for key, value in overrides.items()}


def source_of(key: str, overrides: Mapping[str, Any], environ: Mapping[str, str]) -> str:
    """The name of the source of a key's value."""
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
    """The keys and values of a YAML file; values are text as typed, see `plain_yaml`.

    Args:
        path: the file.
        if_missing: hint for a file that cannot be read.
        if_damaged: hint for a file that is not a mapping of keys.

    Raises:
        ConfigError: if it is missing, is not YAML, or is not a mapping.
    """
    try:
        values = plain_yaml.load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"config file {project.shown(path)} cannot be read: {error.strerror}", if_missing) from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"config file {project.shown(path)} is not YAML: {error}", if_damaged) from error
    if not isinstance(values, dict):
        raise ConfigError(f"config file {project.shown(path)} contains no keys", if_damaged)
    return values


def validated(sources: Sources) -> Config:
    """The configuration from values and their sources; reports all problems at once.

    Raises:
        ConfigError: see load_config.
    """
    sources = {str(key): source for key, source in sources.items()}
    values = {
        key: None if isinstance(value, str) and value in {"null", ""} else value for key, (value, _) in sources.items()
    }
    values |= layout_defaults(values, sources)
    axes = [
        key
        for key, value in values.items()
        if (isinstance(value, list) and key != "evaluation_k")
        or (isinstance(value, str) and "," in value and key in AXES)
    ]
    if axes:
        raise ConfigError(
            f"{axes[0]}={redact_value(axes[0], values[axes[0]])} (from {sources[axes[0]][1]}) is a list: "
            "this target takes one value per key",
            "give one value; to try several values run a sweep: " + project.run_command("sweep", "--config rank=10,50"),
        )
    try:
        config = Config.model_validate(values)
        problems = conflicts(config)
    except ValidationError as error:
        problems = [describe_problem(problem, sources) for problem in error.errors()]
    if problems:
        raise ConfigError("\n".join(problems), "docs/configuration.md lists every key and its allowed values")
    return config


def layout_defaults(values: Mapping[str, Any], sources: Sources) -> dict[str, Any]:
    """The values that follow from a known layout, and from data without times, for keys that are not given.

    Args:
        values: by key.
        sources: of the values; those of the defaults file count as not given if they are the model's own.
    """
    bundle = KNOWN_LAYOUTS.get(str(values.get("layout")), {})
    if {**bundle, **{key: value for key, value in values.items() if value is not None}}.get("time_column") == NONE:
        bundle = {"split": "random", **bundle}
    free = (
        key
        for key in bundle
        if values.get(key) is None or (values[key] == Config.model_fields[key].default and sources[key][1] != OVERRIDES)
    )
    return {key: bundle[key] for key in free}


def describe_problem(problem: ErrorDetails, sources: Sources) -> str:
    """The message for a problem that pydantic found."""
    key = str(problem["loc"][0])
    value, source = sources[key]
    return describe(problem["type"], key, redact_value(key, value), source)


def conflicts(config: Config) -> list[str]:
    """Values that are not allowed in combination."""
    first, second = config.validation_from, config.test_from
    problems = []
    if (first is None) != (second is None):
        problems.append("validation_from and test_from must be set together")
    if first and second and (first >= second or not (is_day(first) and is_day(second))):
        problems.append(f"validation_from={first} and test_from={second} must be two dates, the first one earlier")
    if first and config.split != "global_time":
        problems.append(f"validation_from and test_from need split=global_time, not {config.split}")
    if config.last_k and config.split != "user_time":
        problems.append(f"last_k needs split=user_time, not {config.split}")
    for key, name in (("sweep_name", config.sweep_name), ("chosen_by", config.chosen_by)):
        if name in RESERVED_SWEEP_NAMES:
            problems.append(
                f"{key}={name} is not allowed as the name of a sweep: {', '.join(RESERVED_SWEEP_NAMES)} are reserved"
            )
    problems += remote_lakehouse_problems(config)
    problems += [problem for name in config.spark_conf if (problem := setting_problem(name))]
    disliked, best = float(config.disliked_rating or 0), float(config.best_rating or 0)
    if config.positives == "graded" and disliked >= best:
        problems.append(f"disliked_rating={disliked:g} must be below best_rating={best:g}")
    problems += rating_problems(config)
    if config.nonnegative and config.biased:
        problems.append("nonnegative=true needs biased=false: residuals after the biases are often negative")
    return problems


def rating_problems(config: Config) -> list[str]:
    """Contradictions of the keys about ratings and times."""
    problems = []
    try:
        scale = config.scale
    except ValueError as error:
        return [f"rating_scale={error}"]
    if config.rating_column == NONE and scale.has_ratings:
        problems.append(f"rating_scale={config.rating_scale} contradicts rating_column=none: there are no ratings")
    if config.time_column == NONE and config.split != "random":
        problems.append(f"split={config.split} needs times, and time_column=none: set split=random")
    return problems


REMOTE = re.compile(r"hdfs://[\w.-]+(:\d{1,5})?(/[\w.=-]+)+", re.ASCII)  # delta-rs 1.6 decodes other characters


def remote_lakehouse_problems(config: Config) -> list[str]:
    """Problems of a lakehouse on HDFS."""
    root = config.root
    if "://" not in root:
        return []
    if not REMOTE.fullmatch(root):
        return [
            f"lakehouse={redact_uri(root)!r} must be a folder, or an address hdfs://HOST:PORT/FOLDER of letters, "
            "digits, and . _ = -"
        ]
    if config.storage_format != "delta":
        return [f"a lakehouse on HDFS needs storage_format=delta, not {config.storage_format}"]
    return []


SETTINGS_WITH_A_KEY = {
    "spark.master": "spark_master",
    "spark.driver.memory": "driver_memory",
    "spark.executor.memory": "executor_memory",
    "spark.executor.cores": "executor_cores",
    "spark.executor.instances": "executor_instances",
}
"""Spark settings that have their own config key."""


def setting_problem(setting: str) -> str | None:
    """Why a setting is not allowed in spark_conf; None if it is."""
    if not re.fullmatch(SETTING_NAME, setting):
        return f"spark_conf: {setting!r} is not a Spark setting: names begin with spark."
    if setting in SETTINGS_WITH_A_KEY:
        return f"spark_conf: {setting} has its own key, {SETTINGS_WITH_A_KEY[setting]}"
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
