"""The commands that messages end with: to be pasted as they are, in the folder where the run was started.

In the root of a checkout people type `snakemake`; elsewhere, and where the package is installed, they type `reco`.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from reco_platform.config.load import load_config
from reco_platform.config.model import Config
from reco_platform.config.secrets import redact_value, redact_word
from reco_platform.config.spark_conf import as_argument
from reco_platform.core import project

FORCE = "force_overwrite"

TARGETS = ("gold", "silver", "bronze", "bronze_files", "sweep")


def snakemake(target: str, given: Mapping[str, Any], *, rule: str = "", overwrite: bool = False) -> str:
    """A run of Snakemake.

    Args:
        target: what is to be made.
        given: config values by key.
        rule: a step that is asked to run although nothing says that it is stale.
        overwrite: whether it may replace what stands in the way of its table.
    """
    values = {**given, **({FORCE: "true"} if overwrite else {})}
    pairs = [f"{key}={written(value)}" for key, value in values.items()]
    return as_typed(target, rule, shlex.join(["--config", *pairs]) if pairs else "")


def as_typed(target: str, rule: str, options: str) -> str:
    """The same, with options as somebody typed them."""
    return project.run_command(target, f"--forcerun {rule}" if rule else "", options)


def typed(argv: Sequence[str]) -> str:
    """The command of a run as it was typed, from the command line of Snakemake; without secrets."""
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


def differing(config: Config) -> dict[str, Any]:
    """The values of a configuration that are not those of config/config.yaml, wherever they come from.

    What nobody may see is hidden in them, so that a command that needs it fails by it instead of telling it.
    """
    usual = load_config({}, {})
    values = {key: getattr(config, key) for key in Config.model_fields if key != FORCE}
    return {key: redact_value(key, value) for key, value in values.items() if value != getattr(usual, key)}


def written(value: Any) -> str:
    """A value as `--config` takes it."""
    match value:
        case dict():
            return str(as_argument(value))
        case list() | tuple():
            return ",".join(map(str, value))
        case bool():
            return str(value).lower()
        case None:
            return "null"
    return str(value)
