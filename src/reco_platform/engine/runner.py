"""Runs a step: restores its result from the memo, or computes and publishes it; then writes the receipt."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from reco_platform.core import os_limits, parent_watch, project, terminal
from reco_platform.core.errors import EnvironmentProblemError, RecoError
from reco_platform.engine import memo
from reco_platform.engine.attempt import Attempt
from reco_platform.engine.code.digest import code_parts
from reco_platform.engine.command_line import artifact_of, parser, task_from
from reco_platform.engine.provenance import provenance, provenance_path, reasons
from reco_platform.engine.step import Step
from reco_platform.engine.task import Task
from reco_platform.lakehouse import tables
from reco_platform.lakehouse.receipts import Receipt
from reco_platform.spark import submit
from reco_platform.spark.user_errors import setting_error
from reco_platform.store import atomic_write

Work = Callable[[Task], Receipt]
"""Computes and publishes a step's result, and returns its receipt."""


def without_spark(_: Task) -> bool:
    return False


def run(
    step: Step,
    description: str,
    work: Work,
    needs_spark: Callable[[Task], bool] = without_spark,
    argv: Sequence[str] | None = None,
) -> int:
    """Runs the script of a step and returns the exit code of the process.

    Args:
        step: the step.
        description: for --help.
        work: computes and publishes the result.
        needs_spark: whether the work needs a Spark session; spark-submit then replaces the process.
        argv: the command line, for tests.
    """
    terminal.prepare()
    arguments = list(sys.argv[1:] if argv is None else argv)
    namespace = parser(step, description).parse_args(arguments)
    attempt = Attempt(step, namespace.lakehouse, artifact_of(namespace), namespace.started)
    parent_watch.watch_run()
    parent_watch.install_signal_handlers()
    if not submit.in_spark_submit():
        attempt.begin()
    try:
        task = task_from(step, namespace)
        attempt = replace(attempt, code=task.params["code"], inputs=task.inputs)
        restore_or_work(task, attempt, work, needs_spark, SparkSubmit(arguments, namespace.memory))
    except BaseException as error:
        return report_failure(step.name, attempt, error)
    return 0


@dataclass(frozen=True)
class SparkSubmit:
    """What spark-submit needs to run the script again.

    Attributes:
        arguments: command line of the script.
        memory: Java heap of the driver.
    """

    arguments: Sequence[str]
    memory: str


def restore_or_work(
    task: Task, attempt: Attempt, work: Work, needs_spark: Callable[[Task], bool], spark: SparkSubmit
) -> None:
    """Restores the result from the memo or computes it, and records the end of the attempt.

    Does not return if Spark is needed: spark-submit then replaces the process.
    """
    why = reasons(task)
    problem = memo.restore_problem(task)
    if problem is None and not submit.in_spark_submit():
        attempt.end("restored", why, [memo.restore(task)])
        task.print_line(f"restored from memo in {time.time() - attempt.started:.1f} s, nothing to compute")
        return
    why += [problem] if problem and problem not in why else []
    if needs_spark(task) and not submit.in_spark_submit():
        task.print_line(f"works: {'; '.join(why)}")
        submit.exec_spark_submit(
            spark_command(task, [*spark.arguments, "--started", repr(attempt.started)], spark.memory)
        )
    receipt = finish(task, work(task), attempt.started)
    if receipt.failed:
        attempt.end("failed", [receipt.facts["error"]], [receipt])
    else:
        attempt.end("worked", why, [receipt])


def report_failure(name: str, attempt: Attempt, error: BaseException) -> int:
    """Ends a failed attempt: records and prints the reason, and returns the exit code of the process.

    Raises:
        BaseException: the error itself, if it is a bug and not a user's mistake or a resource limit.
    """
    if isinstance(error, KeyboardInterrupt):
        stopped = parent_watch.as_stopped(error)
        why, message, code = str(stopped), f"{stopped}\n  -> {parent_watch.RERUN_HINT}", stopped.exit_code
    else:
        known = error if isinstance(error, RecoError) else os_limits.resource_error(error) or setting_error(error)
        if known is None and submit.spark_java_exited():
            known = EnvironmentProblemError(*os_limits.JAVA_ENDED)
        if known is None:
            attempt.end("failed", [f"{type(error).__name__}: {error}"])
            raise error
        why, message, code = known.message, str(known), known.exit_code
    attempt.end("failed", [why])
    print(f"[ERROR] {name}: {message}", file=sys.stderr, flush=True)
    return code


def spark_command(task: Task, arguments: Sequence[str], memory: str) -> list[str]:
    """The spark-submit command that continues the step."""
    size = input_bytes(task)
    script = str(project.file(task.step.script))
    return submit.submit_command(script, arguments, threads=task.threads, memory=memory, input_bytes=size)


def input_bytes(task: Task) -> int:
    """Total size of the inputs."""
    return sum(tables.content_bytes(task.root, receipt) for receipt in task.inputs.values())


def finish(task: Task, receipt: Receipt, started: float) -> Receipt:
    """Completes a receipt and writes it, its memo entry and its provenance."""
    complete = replace(receipt, made_from=task.made_from)
    record = {**provenance(started), "code": code_parts(task.step.script, task.step.files)}
    atomic_write.write_text(provenance_path(task.receipt_path), json.dumps(record, indent=1) + "\n")
    if complete.is_reusable:
        memo.remember(task, complete)  # after the provenance, which restoring cannot write again
    atomic_write.write_text(task.receipt_path, complete.text())
    task.print_line(
        f"made {complete.path}: {complete.rows:,} rows" if complete.kind == "table" else f"made {complete.path}"
    )
    return complete
