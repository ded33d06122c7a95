"""The command line that all step scripts share."""

from __future__ import annotations

import argparse
import json
import os
import time
from pathlib import Path

from reco_platform.config.load import load_config
from reco_platform.core import environment
from reco_platform.core.errors import ConfigError
from reco_platform.engine.code.digest import code_digest
from reco_platform.engine.step import Step
from reco_platform.engine.task import Task
from reco_platform.lakehouse import layout, receipts
from reco_platform.lakehouse.layout import Lakehouse
from reco_platform.lakehouse.receipts import RECEIPT


def parser(step: Step, description: str) -> argparse.ArgumentParser:
    """The command line of a step's script."""
    options = argparse.ArgumentParser(
        prog=step.script, description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_lakehouse_options(options)
    options.add_argument("--receipt", required=True, help="receipt to write; its path determines the artifact")
    options.add_argument(
        "--params", default="{}", help=f"JSON that overrides the defaults; keys: {', '.join(step.keys) or 'none'}"
    )
    options.add_argument("--threads", type=int, default=os.cpu_count() or 1, help="threads; does not affect the result")
    memory, level = os.environ.get(environment.MEMORY, "2g"), os.environ.get(environment.LOG_LEVEL, "warn")
    options.add_argument("--memory", default=memory, help="Java heap of the driver; does not affect the result")
    options.add_argument("--log-level", default=level, help="Spark's log level")
    options.add_argument("--started", type=float, default=time.time(), help=argparse.SUPPRESS)  # before spark-submit
    for name in step.reads:
        optional = name in step.reads_if_made
        options.add_argument(
            f"--{name.replace('_', '-')}", required=not optional, nargs="?" if optional else None,
            help=f"receipt of {name}",
        )  # fmt: skip
    return options


def add_lakehouse_options(options: argparse.ArgumentParser) -> None:
    """Adds --lakehouse and --dataset; inside a Snakemake run their defaults come from the environment."""
    lakehouse = os.environ.get(layout.LAKEHOUSE)
    options.add_argument("--lakehouse", required=lakehouse is None, default=lakehouse, help="root of the lakehouse")
    options.add_argument("--dataset", default=os.environ.get(layout.DATASET, "demo"), help="name of the data set")


def task_from(step: Step, arguments: argparse.Namespace) -> Task:
    """The task that a command line describes.

    Raises:
        ConfigError: for parameters that are not JSON or not allowed.
        TableError: for an input receipt that is missing or damaged.
    """
    try:
        given = json.loads(arguments.params)
    except ValueError as error:
        raise ConfigError(f"--params is not JSON: {error}", f"{step.script} --help") from error
    code = given.pop("code", None) or code_digest(step.script, step.files)
    own = {key: given.pop(key) for key in step.own}
    resolved = load_config(given, {})
    values = resolved.model_dump(mode="json")
    params = {key: values[key] for key in step.keys} | own | {"code": code}
    receipt_path, artifact = Path(arguments.receipt), artifact_of(arguments)
    lakehouse = Lakehouse(arguments.lakehouse, arguments.dataset)
    inputs = {name: receipts.read(path) for name in step.reads if (path := getattr(arguments, name))}
    if step.reads_trials:
        inputs |= {name: receipts.read(lakehouse.receipt(layout.trial(name))) for name, _ in params["cells"]}
    threads = max(arguments.threads, 1)
    return Task(
        step, arguments.dataset, lakehouse.path, receipt_path, artifact, params, inputs, threads, arguments.log_level
    )


def artifact_of(arguments: argparse.Namespace) -> str:
    """The artifact to make, from the path of its receipt."""
    records = Lakehouse(arguments.lakehouse, arguments.dataset).records
    return str(Path(arguments.receipt).relative_to(records)).removesuffix(RECEIPT)
