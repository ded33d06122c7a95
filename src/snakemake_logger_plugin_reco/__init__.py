"""The logger plugin `reco` of Snakemake, which profiles/default names: it keeps Snakemake's log off the terminal.

Only Snakemake's own errors are shown, unless `--verbose`, a dry run or `--lint` asks for all of the log, which is in
`.snakemake/log/` in any case. What the terminal shows of the steps comes from `reco_platform.pipeline.run_display`.
Snakemake finds logger plugins by the name of their top-level package; this one imports nothing of the project.
"""

from __future__ import annotations

import logging
import sys
from contextlib import suppress

from snakemake_interface_logger_plugins.base import LogHandlerBase
from snakemake_interface_logger_plugins.common import LogEvent

NOTHING_TO_DO = "Nothing to be done"
"""How Snakemake's message begins if no job is needed."""

REPORTED_ELSEWHERE = (
    "Exiting because a job execution failed", "At least one job did not complete successfully",
    "Exiting because some jobs could not be scheduled", "CalledProcessError",
)  # fmt: skip
"""Parts of Snakemake's errors that say only that a step failed; the end of the run says which one, and why."""


class LogHandler(LogHandlerBase):
    """Writes Snakemake's log to standard error.

    Attributes:
        is_idle: whether Snakemake found nothing to do.
    """

    def __post_init__(self) -> None:
        self.is_idle = False

    @property
    def shows_all(self) -> bool:
        settings = self.common_settings
        asked = settings.verbose or getattr(settings, "dryrun", False) or settings.debug_dag
        return bool(asked) or "--lint" in sys.argv

    def emit(self, record: logging.LogRecord) -> None:
        message = str(record.msg or "")
        self.is_idle = self.is_idle or message.startswith(NOTHING_TO_DO)
        shows_all = self.shows_all and record.levelno >= logging.INFO
        if shows_all or is_own_error(record, message):
            text = self.format(record) if shows_all else f"[ERROR] {message}"
            with suppress(OSError, ValueError):  # the terminal may be gone
                print(text, file=sys.stderr, flush=True)

    writes_to_stream = True
    writes_to_file = False
    has_filter = False
    has_formatter = False
    needs_rulegraph = False


def is_own_error(record: logging.LogRecord, message: str) -> bool:
    """Whether a record is an error of Snakemake itself, such as an unknown target, and not that of a step."""
    event = getattr(record, "event", None)
    if record.levelno < logging.ERROR or event in {LogEvent.JOB_ERROR, LogEvent.GROUP_ERROR}:
        return False
    return not any(part in message for part in REPORTED_ELSEWHERE)
