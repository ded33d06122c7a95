"""The steps of a run on the terminal: one line each, as they end, and below them what runs now.

All of it comes from the run's journal. So it is the same for steps on this machine and on a cluster, and lines of
parallel steps cannot run into each other.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console
from rich.live import Live
from rich.text import Text

from reco_platform.engine import journal
from reco_platform.engine.journal import Event
from reco_platform.engine.run_summary import NOT_RUN, UP_TO_DATE, StepSummary, Summary, step_line, step_summary

TITLE = "Steps of this run"
POLL_SECONDS = 0.2
PLAIN_SECONDS = 20
"""How often a running step has a line where there is no terminal."""

PLAIN_WIDTH = 240
"""Longest line of a step where there is no terminal; the summary of the run has all reasons."""

WARNING, HINT = "[WARNING]", "  -> "
COLORS = {"worked": "green", "restored": "cyan", "failed": "red"}


@dataclass(frozen=True)
class Running:
    """An attempt that has not ended."""

    step: str
    started: datetime
    text: str = ""


class RunView:
    """The lines to show for the events of a run.

    Args:
        totals: of steps with several results, such as trials: how many results this run makes. They have one line.
    """

    def __init__(self, totals: Mapping[str, int]) -> None:
        self.totals = totals
        self.running: dict[tuple[str, str], Running] = {}
        self.ends: dict[str, list[Event]] = {}
        self.shown: set[str] = set()

    def add(self, event: Event) -> list[str]:
        """Takes the next event; gives the lines that are complete with it."""
        key = event.step, event.artifact
        if event.event == "started":
            self.running[key] = Running(event.step, datetime.fromisoformat(event.time))
            return []
        if event.event == "progress":
            if key in self.running:
                self.running[key] = replace(self.running[key], text=event.text or "")
            return []
        self.running.pop(key, None)
        ends = self.ends.setdefault(event.step, [])
        ends.append(event)
        if event.step not in self.totals:
            return [self.line(step_summary(event.step, [event], ""))]
        return (
            [self.line(step_summary(event.step, ends, ""))] if self.done(event.step) == self.totals[event.step] else []
        )

    def line(self, step: StepSummary) -> str:
        self.shown.add(step.step)
        return step_line(step).rstrip()

    def done(self, step: str) -> int:
        return len({end.artifact for end in self.ends.get(step, ())})

    def rows(self, now: datetime) -> list[tuple[Running, str]]:
        """A line for each step that runs: state, seconds, how far it is."""
        first: dict[str, Running] = {}
        for one in self.running.values():
            first.setdefault(one.step, one)
        return [(one, self.row(one, now)) for one in first.values()]

    def row(self, one: Running, now: datetime) -> str:
        seconds = max(0.0, (now - one.started).total_seconds())
        if one.step not in self.totals:
            return f"  {one.step:<15} {'running':<10} {seconds:>6.1f} s  {one.text}".rstrip()
        at_work = sum(other.step == one.step for other in self.running.values())
        text = f"{self.done(one.step)} of {self.totals[one.step]} done, {at_work} running"
        return f"  {one.step:<15} {'running':<10} {seconds:>6.1f} s  {text}"

    def rest(self, summary: Summary) -> list[str]:
        """The lines of steps that have none yet, at the end of the run, and how many did not run."""
        lines = [self.line(step) for step in summary.steps if step.attempts and step.step not in self.shown]
        for outcome in (UP_TO_DATE, NOT_RUN):
            names = [step.step for step in summary.steps if step.outcome == outcome]
            shown = ", ".join(names) if len(names) <= 3 else f"{len(names)} steps"
            lines += [f"  {shown:<15} {outcome}"] if names else []
        return lines


class RunDisplay:
    """Shows a run while it goes on: live on a terminal, as plain lines elsewhere.

    Args:
        path: of the run's journal.
        totals: see `RunView`.
        console: where to show it; standard output by default.
        with_logs: whether the log of each step follows its line.
    """

    def __init__(
        self, path: Path, totals: Mapping[str, int], console: Console | None = None, *, with_logs: bool = False
    ) -> None:
        self.path = path
        self.view = RunView(totals)
        self.with_logs = with_logs
        self.console = console or Console(file=sys.stdout, highlight=False, markup=False, emoji=False)
        self.is_live = self.console.is_terminal and not self.console.is_dumb_terminal
        self.live = Live(console=self.console, auto_refresh=False, transient=True)
        self.position = 0
        self.has_title = False
        self.last_shown: dict[str, datetime] = {}
        self.is_over = threading.Event()
        self.thread = threading.Thread(target=self.watch, daemon=True)

    def start(self) -> None:
        self.thread.start()

    def close(self) -> None:
        """Shows what the journal has by now, and stops."""
        if self.is_over.is_set():
            return
        self.is_over.set()
        if self.thread.is_alive():
            self.thread.join()

    def watch(self) -> None:
        try:
            while not self.is_over.wait(POLL_SECONDS):
                self.refresh(datetime.now(UTC))
            self.refresh(datetime.now(UTC))
            self.live.stop()
        except OSError:  # the terminal or the reader of the pipe is gone; the run goes on
            self.is_over.set()

    def refresh(self, now: datetime) -> None:
        """Shows new events, and what runs."""
        events = list(self.new_events())
        if events:
            self.show([])  # the title
        for event in events:
            for line in self.view.add(event):
                log = log_lines(self.path.parents[1] / event.log)
                self.show([line, *(log if self.with_logs else warnings_in(log))])
        if events and self.is_live and not self.live.is_started:
            self.live.start()
        if self.is_live:
            rows = [cropped(row, self.console.width) for _, row in self.view.rows(now)]
            self.live.update(Text("\n".join(rows)), refresh=True)
        else:
            self.show_running(now)

    def show_running(self, now: datetime) -> None:
        """Where there is no terminal: a line for each step that has run for a while without one."""
        for one, row in self.view.rows(now):
            last = max(self.last_shown.get(one.step, one.started), one.started)
            if (now - last).total_seconds() >= PLAIN_SECONDS:
                self.last_shown[one.step] = now
                self.show([row])

    def new_events(self) -> Iterator[Event]:
        """The events since the last call; a line that is being written is left for the next."""
        with self.path.open("rb") as file:
            file.seek(self.position)
            whole = file.read().rpartition(b"\n")[0]
        self.position += len(whole) + bool(whole)
        yield from filter(None, map(journal.parse_event, whole.decode("utf-8", "replace").split("\n")))

    def show(self, lines: Iterable[str]) -> None:
        if not self.has_title:
            self.has_title = True
            lines = [TITLE, *lines]
        for line in lines:
            if self.is_live:
                self.console.print(colored(cropped(line, self.console.width)), soft_wrap=True)
            else:
                print(line if self.with_logs else cropped(line, PLAIN_WIDTH), flush=True)

    def rest(self, summary: Summary) -> str:
        """What is left to show at the end of the run, after `close`."""
        lines = self.view.rest(summary)
        return "\n".join(lines if self.has_title or not lines else [TITLE, *lines])


def log_lines(log: Path) -> list[str]:
    """The lines of a step's log; none if it cannot be read."""
    try:
        return log.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []


def warnings_in(lines: Sequence[str]) -> list[str]:
    """The warnings in the log of a step, each with its hint."""
    found = []
    for number, line in enumerate(lines):
        _, is_warning, text = line.partition(WARNING)
        if is_warning and len(line) - len(text) - len(WARNING) <= len("[silver_ratings] "):
            found.append(f"  {WARNING}{text}")
            found += [f"  {after}" for after in lines[number + 1 : number + 2] if after.startswith(HINT)]
    return found


def cropped(line: str, width: int) -> str:
    """A line that fits the terminal; warnings are never cut."""
    return line if len(line) <= width or WARNING in line or HINT in line else f"{line[: width - 3]}..."


def colored(line: str) -> Text:
    text = Text(line)
    for word, color in COLORS.items():
        at = line[:60].find(f" {word} ")
        if at >= 0:
            text.stylize(color, at + 1, at + 1 + len(word))
    if WARNING in line:
        text.stylize("yellow")
    return text
