"""A copy of the project that a test may change and run for real: Snakemake, its scripts and spark-submit."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reco_platform.datasets import synthetic
from reco_platform.spark import submit
from support import forked_runs

ROOT = Path(__file__).resolve().parents[2]
COPIED = ("Snakefile", "rules", "scripts", "src", "config", "profiles", "tools", "envs", "docs")
SMALL = synthetic.SyntheticSpec(
    users=220, movies=150, ratings=3300, years=4,
    dirty=synthetic.DirtyRows(
        ratings={"null_user": 3, "rating_out_of_range": 4, "exact_duplicate": 5, "unparsable": 3},
        movies={"null_title": 2},
        tags={"null_tag": 2},
    ),
)  # fmt: skip
BUILT_UMASK = 0o027
"""What the permissions in the project of the fixture `built` come from."""

RECO = (sys.executable, "tools/run_pipeline.py")
"""The command `reco` in the root of a project whose `src` is on PYTHONPATH."""

QUICK = {
    "rank": 4, "max_iter": 3, "tracking": "false", "dataset": "small", "dataset_path": "data",
    "ranking_model": "explicit", "refit": "false", "fallback_lists": "false",
}  # fmt: skip
"""One small model; test_ranking_runs.py runs the pipeline with both models, refits and fallback lists."""


@dataclass(frozen=True)
class Run:
    """One invocation of Snakemake: what each step did, and what was said."""

    code: int
    output: str
    events: list[dict[str, Any]]
    stdout: str = ""

    def steps(self, outcome: str) -> set[str]:
        return {event["step"] for event in self.events if event["event"] == outcome}

    @property
    def worked(self) -> set[str]:
        return self.steps("worked")

    @property
    def restored(self) -> set[str]:
        return self.steps("restored")

    def why(self, step: str) -> str:
        return "; ".join(reason for event in self.events if event["step"] == step for reason in event.get("why", []))


@dataclass(frozen=True)
class Project:
    """A project folder with the data set `small` in data/."""

    root: Path

    @classmethod
    def create(cls, root: Path) -> Project:
        root.mkdir(parents=True)
        for name in COPIED:
            source = ROOT / name
            ignored = shutil.ignore_patterns("*.pyc")  # compiled kernels come along
            copy = shutil.copytree if source.is_dir() else shutil.copy2
            copy(source, root / name, **({"ignore": ignored} if source.is_dir() else {}))  # type: ignore[operator]
        (root / ".cache").mkdir()
        (root / ".cache" / "jars").symlink_to(ROOT / ".cache" / "jars")
        synthetic.generate(root / "data", SMALL)
        return cls(root)

    def copy(self, root: Path) -> Project:
        """The same, with everything it has made; times of change are kept."""
        shutil.copytree(self.root, root, symlinks=True)
        return Project(root)

    def path(self, name: str) -> Path:
        return self.root / name

    def lakehouse(self, name: str = "small") -> Path:
        return self.root / "results" / name

    def edit(self, name: str, old: str, new: str) -> None:
        """Replaces a text that must be there."""
        text = self.path(name).read_text(encoding="utf-8")
        assert old in text, f"{name} holds no {old!r}"
        self.path(name).write_text(text.replace(old, new), encoding="utf-8")

    def environment(self, extra: Mapping[str, str] | None = None) -> dict[str, str]:
        kept = {key: value for key, value in os.environ.items() if key not in submit.USER_VARIABLES}
        return {**kept, **(extra or {})}

    def command(self, *words: str, cores: int = 2, **config: Any) -> list[str]:
        pairs = [f"{key}={value}" for key, value in {**QUICK, **config}.items() if value is not None]
        snakemake = str(Path(sys.executable).with_name("snakemake"))
        return [snakemake, "--cores", str(cores), *(words or ("gold",)), "--config", *pairs]

    def snakemake(
        self,
        *words: str,
        cores: int = 2,
        env: Mapping[str, str] | None = None,
        folder: str = "small",
        new_processes: bool = False,
        **config: Any,
    ) -> Run:
        """Runs Snakemake to its end.

        Args:
            words: the target and options.
            cores: for all steps.
            env: environment variables besides those of the tests.
            folder: the one below results/ whose journal says what the steps did.
            new_processes: whether Snakemake and each step start as users start them, and not as forks that have
                imported what they need (`forked_runs.py`), which takes four times as long.
            config: keys and values over QUICK.
        """
        before = set(self.journals(folder))
        command = self.command(*words, cores=cores, **config)
        if new_processes:
            ran = subprocess.run(
                command, cwd=self.root, env=self.environment(env), capture_output=True, text=True, check=False
            )
        else:
            ran = forked_runs.run(["snakemake", *command[1:]], self.root, self.environment(env))
        new = sorted(set(self.journals(folder)) - before)
        lines = [line for journal in new for line in journal.read_text(encoding="utf-8").splitlines()]
        return Run(ran.returncode, ran.stdout + ran.stderr, [json.loads(line) for line in lines])

    def gold(self, *words: str, **options: Any) -> Run:
        """A run of `gold`, or of the words given, that must succeed."""
        run = self.snakemake(*words, **options)
        assert run.code == 0, run.output
        return run

    def journals(self, folder: str = "small") -> list[Path]:
        found = (self.root / "results" / folder / "_runs").glob("*.jsonl")
        return sorted(path for path in found if "." not in path.stem)

    def reco(self, *words: str, env: Mapping[str, str] | None = None, **config: Any) -> Run:
        """Runs a verb of `reco` with the data set `small`."""
        pairs = [f"{key}={value}" for key, value in {**QUICK, **config}.items() if value is not None]
        command = [*RECO[1:], *words, "--config", *pairs]
        ran = forked_runs.run(command, self.root, self.environment({"PYTHONPATH": "src", **(env or {})}))
        return Run(ran.returncode, ran.stdout + ran.stderr, [], ran.stdout)

    def generate_docs(self) -> Run:
        """Writes the generated files, as `reco docs` does."""
        ran = forked_runs.run([*RECO[1:], "docs"], self.root, self.environment({"PYTHONPATH": "src"}))
        return Run(ran.returncode, ran.stdout + ran.stderr, [], ran.stdout)

    def status(self, env: Mapping[str, str] | None = None, **config: Any) -> dict[str, Any]:
        """What the next `gold` would do, as the tool says it."""
        run = self.reco("status", "--json", env=env, **config)
        assert run.code == 0, run.output
        found: dict[str, Any] = json.loads(run.stdout)
        return found

    @contextmanager
    def started(self, **options: Any) -> Iterator[subprocess.Popen[str]]:
        """Snakemake under way in a process group of its own, which is ended afterwards."""
        process = subprocess.Popen(
            self.command(**options),
            cwd=self.root, env=self.environment(), text=True, start_new_session=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        try:
            yield process
        finally:
            kill_group(process)

    def receipts(self, folder: str = "small") -> dict[str, str]:
        """The text of every receipt by its path in the lakehouse."""
        root = self.lakehouse(folder)
        return {str(path.relative_to(root)): path.read_text("utf-8") for path in root.rglob("*.receipt.json")}

    def receipt(self, artifact: str, folder: str = "small") -> dict[str, Any]:
        text = (self.lakehouse(folder) / f"{artifact}.receipt.json").read_text("utf-8")
        found: dict[str, Any] = json.loads(text)
        return found


OUTCOMES = {"up to date": set(), "restores": {"restored"}, "works": {"worked"}, "depends": {"worked", "restored"}}


def foreseen(status: dict[str, Any], run: Run) -> bool:
    """Whether a run did what a status before it said, step by step."""
    for one in status["steps"]:
        found = {event["event"] for event in run.events if event["step"] == one["step"]} & {
            "worked",
            "restored",
            "failed",
        }
        assert found <= OUTCOMES[one["state"]] and bool(found) == bool(OUTCOMES[one["state"]]), (one, found, run.output)
    return {event["step"] for event in run.events} <= {one["step"] for one in status["steps"]}


def kill_group(process: subprocess.Popen[str]) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def wait_for(what: Any, seconds: float = 120) -> None:
    """Waits until a function gives something true."""
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.02)
