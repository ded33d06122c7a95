"""The commands in messages: ready to paste in the folder where the run was started.

In the root of a checkout the command is `snakemake`; elsewhere, and for an installed package, it is `reco`.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from reco_platform.config.load import load_config
from reco_platform.config.model import SCALE_KEYS, Config
from reco_platform.config.secrets import redact_value, redact_word
from reco_platform.config.spark_conf import as_argument
from reco_platform.core import project

FORCE = "force_overwrite"

TARGETS = ("gold", "silver", "bronze", "bronze_files", "sweep")


def snakemake(target: str, given: Mapping[str, Any], *, rule: str = "", overwrite: bool = False) -> str:
    """A command that runs the pipeline.

    Args:
        target: of the run.
        given: config values by key.
        rule: a step to rerun although it is not stale.
        overwrite: whether the run may replace foreign tables.
    """
    return run_command(target, rule, options({**given, **({FORCE: "true"} if overwrite else {})}))


def options(values: Mapping[str, Any]) -> str:
    """Config values as words of a command; empty if there are none."""
    pairs = [f"{key}={as_config_value(value)}" for key, value in values.items()]
    return shlex.join(["--config", *pairs]) if pairs else ""


ACCEPTED_WITH = "accepted with"
"""The words before the config with which data would be accepted, in a hint; `instead` finds it there."""


def instead(command: str, hints: Iterable[str]) -> str:
    """A command that failed, with the config with which it would not, if a hint names one."""
    for hint in hints:
        _, found, rest = hint.partition(f"{ACCEPTED_WITH} --config ")
        if found:
            command = with_values(command, shlex.split(rest.partition(";")[0]))
    return command


def with_values(command: str, pairs: Sequence[str]) -> str:
    """A command with further config values, which replace those of the same keys."""
    keys = tuple(f"{pair.partition('=')[0]}=" for pair in pairs)
    words = [word for word in shlex.split(command) if not word.startswith(keys)]
    at = words.index("--config") + 1 if "--config" in words else len(words)
    return shlex.join([*words[:at], *([] if "--config" in words else ["--config"]), *pairs, *words[at:]])


def run_command(target: str, rule: str, options: str) -> str:
    """As `snakemake`, with options as text."""
    return project.run_command(target, f"--forcerun {rule}" if rule else "", options)


def typed_command(argv: Sequence[str]) -> str:
    """The command of a run as the user typed it, from Snakemake's command line; without secrets."""
    words = list(map(redact_word, argv[1:]))
    if project.is_typed_as_snakemake():
        return shlex.join(["snakemake", *words])
    for option in project.LOCATION:
        if option in words:
            at = words.index(option)
            del words[at : at + 2]
    target = next((word for word in words if word in TARGETS), "gold")
    if target in words:
        words.remove(target)
    return project.run_command(target, shlex.join(words))


def non_default_values(config: Config) -> dict[str, Any]:
    """The values of a configuration that differ from config/config.yaml, from whatever source.

    Secrets are redacted: a command that needs one fails rather than reveal it.
    """
    thresholds = {key: getattr(config.scale, key) for key in SCALE_KEYS}
    defaults = load_config({"layout": config.layout}, {}).model_copy(update={"layout": None, **thresholds})
    values = {key: getattr(config, key) for key in Config.model_fields if key != FORCE}
    return {key: redact_value(key, value) for key, value in values.items() if value != getattr(defaults, key)}


def as_config_value(value: Any) -> str:
    """A value as `--config` takes it."""
    match value:
        case dict():
            return str(as_argument(value))
        case list() | tuple():
            return ",".join(map(as_config_value, value))
        case bool():
            return str(value).lower()
        case None:
            return "null"
    return str(value)
