"""Runs a step's script: restores the result if the memo has it; otherwise computes, publishes and writes a receipt."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

from reco_platform.core import os_limits, parent_watch, project
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
        needs_spark: whether that needs a Spark session; the script is then replaced by spark-submit.
        argv: the command line, for tests.
    """
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
        why = reasons(task)
        lost = memo.restore_problem(task)
        if lost is None and not submit.in_spark_submit():
            attempt.end("restored", why, [memo.restore(task)])
            task.say(f"restored from memo in {time.time() - attempt.started:.1f} s, nothing to compute")
            return 0
        why += [lost] if lost and lost not in why else []
        if needs_spark(task) and not submit.in_spark_submit():
            task.say(f"works: {'; '.join(why)}")
            submit.exec_spark_submit(
                spark_command(task, [*arguments, "--started", repr(attempt.started)], namespace.memory)
            )
        receipt = finish(task, work(task), attempt.started)
        if receipt.failed:
            attempt.end("failed", [receipt.facts["error"]], [receipt])
        else:
            attempt.end("worked", why, [receipt])
    except BaseException as error:
        return failed(step.name, attempt, error)
    return 0


def failed(name: str, attempt: Attempt, error: BaseException) -> int:
    """Ends a failed attempt: records and prints the reason, and returns the exit code of the process.

    Raises:
        BaseException: the error itself, if it is a defect of the program and not a mistake of the user's.
    """
    if isinstance(error, KeyboardInterrupt):
        stopped = parent_watch.as_stopped(error)
        why, said, code = str(stopped), f"{stopped}\n  -> {parent_watch.RERUN_HINT}", stopped.exit_code
    else:
        found = error if isinstance(error, RecoError) else os_limits.resource_error(error)
        if found is None and submit.spark_java_exited():
            found = EnvironmentProblemError(*os_limits.JAVA_ENDED)
        if found is None:
            attempt.end("failed", [f"{type(error).__name__}: {error}"])
            raise error
        why, said, code = found.message, str(found), found.exit_code
    attempt.end("failed", [why])
    print(f"[ERROR] {name}: {said}", file=sys.stderr, flush=True)
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
    side = {**provenance(started), "code": code_parts(task.step.script, task.step.files)}
    atomic_write.write_text(provenance_path(task.receipt_path), json.dumps(side, indent=1) + "\n")
    if complete.is_reusable:
        memo.remember(task, complete)  # after its provenance, which a run that restores cannot write
    atomic_write.write_text(task.receipt_path, complete.text())
    task.say(f"made {complete.path}: {complete.rows:,} rows" if complete.kind == "table" else f"made {complete.path}")
    return complete
