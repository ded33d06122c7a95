"""A seeded campaign of SIGKILLs on the real pipeline.

    PYTHONPATH=src:tests python tests/chaos/crashes.py --seed 1 --kills 50 --format delta

Each kill restores the lakehouse of an uninterrupted run (the reference), makes sure that steps have work, starts the
pipeline, waits for a random time within a chosen step, and kills. One more run of the same command must then give
exactly what the reference run gave: the same receipts and files, no process, no lock, no temporary file.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import psutil

from reco_platform.core.errors import TableError
from reco_platform.engine import cleanup, journal
from reco_platform.lakehouse import manifests, publish, receipts, tables
from reco_platform.lakehouse.layout import Lakehouse
from reco_platform.store import atomic_write
from support import forked_runs
from support.project import Project, kill_group

Report = Callable[[str], None]
END_SECONDS = 180.0  # seconds within which a run must end after one of its processes was killed
RUN_FILES = re.compile(r"_runs/\d{8}T\d{6}Z-\d+\.(jsonl|summary\.json|openlineage\.jsonl)$")
DATA_FILE = re.compile(r"part-[^/]*\.parquet$")  # Spark chooses the names; manifests list the files that belong
START, END = "start", "end"  # before the first step, after the last
TRACKED = {"gate", "track"}
EVERY_STEP = (
    "bronze", "silver_ratings", "silver_movies", "silver_tags", "etl_report", "interactions", "train_als",
    "train_plain", "refit", "recommend", "fallback", "evaluate", "run_metrics", "metrics_table", "gate", "report",
)  # fmt: skip
SILVER = ("silver_movies", "silver_tags", "silver_ratings")
FROM_MODEL = tuple(step for step in EVERY_STEP[EVERY_STEP.index("train_als") :])
ARTIFACTS = {
    "bronze": "bronze/movielens/small",
    "silver_ratings": "silver/ratings",
    "silver_movies": "silver/movies",
    "silver_tags": "silver/tags",
    "etl_report": "silver/_reports/etl_bronze_to_silver_report_small",
    "interactions": "gold/interactions",
    "train_als": "gold/models/als",
    "train_plain": "gold/baselines/als_plain",
    "refit": "gold/models/als_refit",
    "recommend": "gold/recommendations_als",
    "fallback": "gold/recommendations_fallback",
    "evaluate": "gold/metrics/_evaluation/evaluation",
    "run_metrics": "gold/metrics/run_metrics",
    "metrics_table": "gold/metrics/_table/run_metrics",
    "gate": "gold/metrics/_gate/gate",
    "report": "reports/report",
    "track": "gold/metrics/_tracking/tracking",
}
"""The result of each step; it is removed where only that step is to run again."""


@dataclass(frozen=True)
class Scenario:
    """Why steps have work when the run is killed.

    Attributes:
        name: for the report.
        share: its number of kills out of 50.
        before: names of the CONFIGS that uninterrupted runs have built the lakehouse with.
        config: name of the CONFIGS of the run that is killed.
        steps: the steps in which the run is killed.
        remove_result: whether the chosen step's result is removed first; otherwise the changed config gives work.
        victims: the kinds of process that are killed.
    """

    name: str
    share: int
    before: tuple[str, ...]
    config: str
    steps: tuple[str, ...]
    remove_result: bool = False
    victims: tuple[str, ...] = ("snakemake", "step", "group")


WITH_JAVA = ("java", "step", "java", "snakemake", "group")
WITH_WORKERS = ("java", "step", "worker", "snakemake", "group")
CONFIGS: dict[str, dict[str, Any]] = {
    "first": {},
    "deeper": {"rank": 5, "top_n": 7},
    "grown": {"dataset_path": "grown"},
    "by spark": {"etl_engine": "spark"},
    "spark-ml": {"engine": "spark-ml", "driver_memory": "1g"},
    "tracked": {"tracking": "true"},
}
SCENARIOS = (
    Scenario("one step", 26, ("first",), "first", EVERY_STEP, remove_result=True),
    Scenario("changed", 9, ("first",), "deeper", (*FROM_MODEL, START, END)),
    Scenario("grown", 4, ("first",), "grown", EVERY_STEP),
    Scenario("fresh", 4, (), "first", (START, *EVERY_STEP, END)),
    Scenario("Spark cleans", 4, ("first",), "by spark", SILVER, remove_result=True, victims=WITH_WORKERS),
    Scenario("Spark trains", 1, ("spark-ml",), "spark-ml", ("train_als", "recommend"), True, WITH_JAVA),
    Scenario("tracked", 2, ("first", "tracked"), "tracked", ("gate", "track"), remove_result=True),
)


@dataclass(frozen=True)
class CampaignResult:
    """Counts of the kills of a campaign, and what went wrong."""

    kills: int
    survived: int
    victims: dict[str, int]
    steps: dict[str, int]
    failures: list[str]
    seconds: float

    def lines(self) -> list[str]:
        victims, steps = (
            ", ".join(f"{name} {count}" for name, count in sorted(counts.items()))
            for counts in (self.victims, self.steps)
        )
        return [
            f"{self.kills} kills, {self.survived} survived, in {self.seconds:.0f} s",
            f"  killed: {victims}",
            f"  in:     {steps}",
            *(f"  FAILED  {failure}" for failure in self.failures),
        ]


@dataclass(frozen=True)
class ReferenceRun:
    """The lakehouse after uninterrupted runs: the re-run after a kill must give the same.

    Attributes:
        saved: copy of results/ and of Snakemake's data.
        receipts: their texts by path.
        files: every file by path, without those whose name differs in each run.
    """

    saved: Path
    receipts: dict[str, str]
    files: set[str]


@dataclass
class CrashTest:
    """A project in which runs are killed, one after another.

    Attributes:
        project: the project.
        storage_format: delta or parquet.
        saved: folder for the reference lakehouses.
        extra_config: given to every run.
        in_forks: whether uninterrupted runs are forks (`support/forked_runs.py`), which is quicker; runs to be killed
            never are.
        references: by the names of their configs.
        durations: seconds of each step by the name of the config and the step.
    """

    project: Project
    storage_format: str
    saved: Path
    extra_config: Mapping[str, str] = field(default_factory=lambda: {"refit": "true", "fallback_lists": "true"})
    in_forks: bool = False
    references: dict[tuple[str, ...], ReferenceRun] = field(default_factory=dict)
    durations: dict[tuple[str, str], float] = field(default_factory=dict)

    @property
    def lakehouse(self) -> Path:
        return self.project.lakehouse()

    @property
    def scratch(self) -> Path:
        return self.project.root.parent / "tmp"

    @property
    def cache(self) -> Path:
        return self.project.root.parent / "cache"

    @property
    def environment(self) -> dict[str, str]:
        return self.project.environment({"TMPDIR": str(self.scratch), "XDG_CACHE_HOME": str(self.cache)})

    def command(self, config: str) -> list[str]:
        asked = {"storage_format": self.storage_format, "lakehouse": "results/small", **self.extra_config}
        return self.project.command(**{**asked, **CONFIGS[config]})

    def run(self, config: str) -> subprocess.CompletedProcess[str]:
        """An uninterrupted run."""
        if self.in_forks:
            return forked_runs.run(["snakemake", *self.command(config)[1:]], self.project.root, self.environment)
        return subprocess.run(
            self.command(config), cwd=self.project.root, env=self.environment, capture_output=True, text=True,
            check=False, timeout=900,
        )  # fmt: skip

    def empty_temporary_folders(self) -> None:
        """Empties the folders for temporary files, so that files left there belong to one kill only."""
        for path in [*self.scratch.iterdir(), *self.cache.rglob(f"{cleanup.SOURCE_CACHE}/*")]:
            shutil.rmtree(path) if path.is_dir() else path.unlink()

    def reference(self, configs: tuple[str, ...]) -> ReferenceRun:
        """Runs these configs one after another, unless that was done; results/ then holds the lakehouse."""
        if configs not in self.references:
            if configs[:-1]:
                self.restore_reference(configs[:-1])
            else:
                self.empty()
            before = set(self.project.journals())
            ran = self.run(configs[-1])
            assert ran.returncode == 0, ran.stdout + ran.stderr
            self.record_durations(configs[-1], before)
            self.save_reference(configs)
        return self.references[configs]

    def save_reference(self, configs: tuple[str, ...]) -> None:
        """Saves the present results/ as the reference for these configs."""
        saved = self.saved / "-then-".join(configs).replace(" ", "-")
        for name in ("results", ".snakemake"):
            shutil.copytree(self.project.path(name), saved / name, symlinks=True)
        self.references[configs] = ReferenceRun(saved, self.project.receipts(), self.files())

    def record_durations(self, config: str, before: set[Path]) -> None:
        """Records how long each step took in the runs whose journals are not in `before`."""
        ends = [event for event in events_since(self, before) if event.event == "worked"]
        self.durations |= {(config, event.step): event.seconds or 0.0 for event in ends}

    def seconds(self, kill: Kill, step: str) -> float:
        """Expected seconds of a step; a Spark step starts Java first."""
        return self.durations.get((kill.scenario.config, step), 8.0 if "java" in kill.scenario.victims else 0.5)

    def empty(self) -> None:
        for name in ("results", ".snakemake"):
            shutil.rmtree(self.project.path(name), ignore_errors=True)

    def restore_reference(self, configs: tuple[str, ...]) -> None:
        """Replaces results/ by the reference for these configs."""
        saved = self.reference(configs).saved
        self.empty()
        for name in ("results", ".snakemake"):
            shutil.copytree(saved / name, self.project.path(name), symlinks=True)

    def files(self) -> set[str]:
        """Every file below results/, without those whose name differs in each run."""
        root = self.project.path("results")
        paths = (str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())
        named = {path for path in paths if not RUN_FILES.search(path) and not path.startswith("mlflow/")}
        return {DATA_FILE.sub("data", path) for path in named}

    def remove_result_of(self, step: str) -> None:
        """Removes a step's result, receipt and memo, so that it has to work."""
        target = self.lakehouse / ARTIFACTS[step]
        shutil.rmtree(target, ignore_errors=True)
        shutil.rmtree(target.parent / manifests.MEMO / target.name, ignore_errors=True)
        target.with_name(f"{target.name}.receipt.json").unlink(missing_ok=True)


# --- one kill


@dataclass(frozen=True)
class Kill:
    """When to kill what.

    Attributes:
        scenario: why steps have work.
        step: the step that runs when the signal is sent.
        victim: snakemake, java, step, worker (a Python worker of Spark) or group.
        share: how much of the step's expected time passes first, 0 to 1.
        publishing: whether to wait until the step has staged its result, and to kill soon after.
    """

    scenario: Scenario
    step: str
    victim: str
    share: float
    publishing: bool

    def __str__(self) -> str:
        where = "publishing" if self.publishing else f"{self.share:.0%}"
        return f"{self.scenario.name}: {self.victim} in {self.step} ({where})"

    @property
    def history(self) -> tuple[str, ...]:
        """The configs of the reference run whose receipts must result."""
        changed = self.scenario.config not in self.scenario.before and self.scenario.config != "by spark"
        return (*self.scenario.before, self.scenario.config) if changed else self.scenario.before


def kills(seed: int, count: int) -> list[Kill]:
    """The kills of a campaign: scenarios by their share, steps and victims in turn, the rest at random."""
    order = random.Random(seed)
    total = sum(scenario.share for scenario in SCENARIOS)
    quotas = {scenario: max(1, round(scenario.share * count / total)) for scenario in SCENARIOS}
    chosen = [scenario for scenario in SCENARIOS for _ in range(quotas[scenario])]
    order.shuffle(chosen)
    turns: Counter[str] = Counter({scenario.name: order.randrange(len(scenario.steps)) for scenario in SCENARIOS})
    found = []
    for scenario in (chosen * 2)[:count]:
        turn = turns[scenario.name]
        turns[scenario.name] += 1
        step, victim = scenario.steps[turn % len(scenario.steps)], scenario.victims[turn % len(scenario.victims)]
        if step in {START, END} and victim == "step":
            victim = "snakemake"
        found.append(Kill(scenario, step, victim, order.random(), step not in {START, END} and order.random() < 0.3))
    return found


def kill_and_rerun(crash_test: CrashTest, kill: Kill) -> list[str]:
    """Kills a run, runs the command again, and gives what is wrong afterwards."""
    expected = crash_test.reference(kill.history)
    for attempt in range(5):
        if kill.scenario.before:
            crash_test.restore_reference(kill.scenario.before)
        else:
            crash_test.empty()
        if kill.scenario.remove_result:
            crash_test.remove_result_of(kill.step)
        before, outside = set(crash_test.project.journals()), outside_files(crash_test.project)
        killed = start_and_kill(crash_test, replace(kill, share=kill.share * 0.7**attempt), before)
        if killed is not None:
            break
    else:
        return ["the run could not be killed: it ended too early in each attempt"]
    now = set(crash_test.project.journals())
    problems = (
        [] if killed.has_hint else [f"the processes left did not print the next command:\n{killed.output[-2000:]}"]
    )
    ran = crash_test.run(kill.scenario.config)
    crash_test.record_durations(kill.scenario.config, now)
    if ran.returncode != 0:
        return [*problems, f"the re-run ended with {ran.returncode}:\n{(ran.stdout + ran.stderr)[-3000:]}"]
    problems += differences(crash_test, expected)
    left = leftovers(crash_test, outside)
    if kill.step == START:  # before it reads the Snakefile, Snakemake makes folders that nobody else can know of
        left = [path for path in left if not is_made_by_snakemake(path)]
    crash_test.empty_temporary_folders()
    return [*problems, *(f"left over: {path}" for path in left), *orphans(crash_test.project.root)]


@dataclass(frozen=True)
class KilledRun:
    """What a killed run printed, and whether the processes that survived printed the next command."""

    output: str
    has_hint: bool


def start_and_kill(crash_test: CrashTest, kill: Kill, before: set[Path]) -> KilledRun | None:
    """Starts the pipeline and kills it; None if it had ended already or the victim did not exist."""
    with tempfile.TemporaryFile("w+") as out:
        process = subprocess.Popen(
            crash_test.command(kill.scenario.config), cwd=crash_test.project.root, env=crash_test.environment,
            start_new_session=True, stdout=out, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip
        try:
            wait_until_due(crash_test, kill, process, before)
            victims = list(victims_in(process, kill.victim))
            if process.poll() is not None or not victims:
                process.wait(timeout=END_SECONDS)  # killing it would leave files that the next attempt cannot know of
                return None
            if kill.victim == "group":
                os.killpg(process.pid, signal.SIGKILL)
            for victim in victims:
                with suppress(psutil.NoSuchProcess):
                    victim.kill()
            with suppress(subprocess.TimeoutExpired):
                process.wait(timeout=END_SECONDS)
            out.seek(0)
            output = out.read()
            if process.poll() is None:
                return KilledRun(f"it did not end within {END_SECONDS:.0f} s\n{output}", has_hint=False)
            one_process = kill.victim in {"step", "java", "worker"}
            if one_process and process.returncode == 0:
                return None  # the victim had done its work
            return KilledRun(output, not one_process or "Then run again   snakemake --cores 2 gold" in output)
        finally:
            if process.poll() is None:
                kill_group(process)


def wait_until_due(crash_test: CrashTest, kill: Kill, process: subprocess.Popen[str], before: set[Path]) -> None:
    """Returns when it is time to kill, or when the process has ended."""
    over = lambda: process.poll() is not None  # noqa: E731
    if kill.step == START:
        time.sleep(2.5 * kill.share)
        return
    expected = "report" if kill.step == END else kill.step
    kinds = {"worked"} if kill.step == END else {"started"}
    while not over() and not any(
        event.step == expected and event.event in kinds for event in events_since(crash_test, before)
    ):
        time.sleep(0.01)
    if kill.victim == "worker":
        while not over() and not list(victims_in(process, kill.victim)):
            time.sleep(0.01)
        time.sleep(0.2 * kill.share)
    elif kill.publishing:
        target = crash_test.lakehouse / ARTIFACTS[expected]
        first, last = time.monotonic(), 4 * crash_test.seconds(kill, expected) + 5
        while not over() and not is_publishing(target) and time.monotonic() < first + last:
            time.sleep(0.0005)
        time.sleep(0.03 * kill.share)
    else:
        time.sleep(kill.share * (crash_test.seconds(kill, expected) + 0.1))


def events_since(crash_test: CrashTest, before: set[Path]) -> list[journal.Event]:
    return [event for path in set(crash_test.project.journals()) - before for event in journal.read(path)]


def is_publishing(target: Path) -> bool:
    """Whether a step has begun to publish its result."""
    return (
        (target.parent / f"{publish.STAGING}-{target.name}").exists()
        or (target / manifests.MANIFESTS / f"{manifests.PENDING}.json").exists()
        or any(target.parent.glob(atomic_write.TEMPORARY_FILES))
    )


def victims_in(process: subprocess.Popen[str], victim: str) -> Iterator[psutil.Process]:
    """The processes to kill; the step of a Spark step is the Python below Java."""
    with suppress(psutil.NoSuchProcess):
        snakemake = psutil.Process(process.pid)
        if victim in {"snakemake", "group"}:
            yield snakemake
            return
        for one in snakemake.children(recursive=True):
            with suppress(psutil.NoSuchProcess):
                if victim == process_role(one):
                    yield one


def process_role(one: psutil.Process) -> str:
    """The kind of a process below Snakemake: java, step or worker; empty for others."""
    words = one.cmdline()
    if one.name() == "java":
        return "java"
    if any("scripts/" in word for word in words[1:2]):
        return "step"
    parent = one.parent()
    return "worker" if "pyspark.daemon" in words and parent and "pyspark.daemon" in parent.cmdline() else ""


# --- what must hold after the re-run


def differences(crash_test: CrashTest, expected: ReferenceRun) -> list[str]:
    """Receipts and files that differ from the reference run, and content that differs from its receipt."""
    found = crash_test.project.receipts()
    named = sorted(
        path for path in {*found, *expected.receipts} if comparable(found, path) != comparable(expected.receipts, path)
    )
    problems = [f"receipt {path} differs from that of the reference run" for path in named]
    files = crash_test.files()
    problems += [f"{path} is missing" for path in sorted(expected.files - files)]
    problems += [f"{path} exists, but not after the reference run" for path in sorted(files - expected.files)]
    problems += [f"{path} belongs to no version" for path in unreferenced_files(crash_test.lakehouse)]
    lakehouse = Lakehouse(str(crash_test.lakehouse), "small")
    for path in found:
        try:
            problem = tables.content_problem(lakehouse.path, receipts.read(crash_test.lakehouse / path), thorough=True)
        except TableError as error:
            problem = error.message
        problems += [problem] if problem else []
    return problems


def unreferenced_files(lakehouse: Path) -> Iterator[Path]:
    """Data files that no manifest of their table names."""
    for folder in {path.parent for path in lakehouse.rglob(manifests.MANIFESTS)}:
        found = [manifests.read_manifest(folder, key) for key in manifests.manifest_keys(folder)]
        named = {name for manifest in found if manifest for name in manifest.files}
        yield from (path for path in tables.data_files(folder) if str(path.relative_to(folder)) not in named)


def comparable(texts: dict[str, str], path: str) -> Any:
    """A receipt without the names that MLflow chooses anew each time; None where there is none."""
    if path not in texts:
        return None
    body = json.loads(texts[path])
    if body["made_from"].get("step") in TRACKED:
        return {key: body[key] for key in ("artifact", "path", "made_from")}
    return body


def outside_files(project: Project) -> set[str]:
    """Every file of the project outside of results/, without caches and Snakemake's own records."""
    ignored = ("results/", ".snakemake/log/", ".snakemake/metadata/", ".cache/")
    paths = (path for path in project.root.rglob("*") if "__pycache__" not in path.parts and path.is_file())
    names = (str(path.relative_to(project.root)) for path in paths)
    return {name for name in names if not name.startswith(ignored)}


def is_made_by_snakemake(path: str) -> bool:
    return Path(path).name.startswith("snakemake") or Path(path).parent.name == cleanup.SOURCE_CACHE


def leftovers(crash_test: CrashTest, before: set[str]) -> list[str]:
    """Temporary and half-written files that a run has left."""
    temporary = [str(path) for path in crash_test.scratch.iterdir()]
    cached = [str(path) for path in crash_test.cache.rglob("snakemake-runtime-cache/*")]
    project = sorted(outside_files(crash_test.project) - before)
    marks = [str(path) for path in (crash_test.lakehouse / "_runs").glob(".*")]
    half = [str(path) for path in crash_test.project.path("results").rglob("*") if is_half_written(path)]
    return [*temporary, *cached, *project, *marks, *half]


def is_half_written(path: Path) -> bool:
    return path.name.startswith((f"{publish.STAGING}-", ".incoming")) or path.match(atomic_write.TEMPORARY_FILES)


def orphans(root: Path) -> list[str]:
    """Messages about processes that still run in the project's folder."""
    return [f"process {one.pid} is left: {' '.join(one.cmdline())[:200]}" for one in processes_in(root)]


def processes_in(root: Path) -> Iterable[psutil.Process]:
    for one in psutil.process_iter():
        with suppress(psutil.Error):
            if one.status() != psutil.STATUS_ZOMBIE and Path(one.cwd()).is_relative_to(root):
                yield one


# --- the campaign


def create_crash_test(folder: Path, storage_format: str) -> CrashTest:
    """A crash test in a new project, which also has the data set `grown`: one more rating and one more movie."""
    project = Project.create(folder / "project")
    shutil.copytree(project.path("data"), project.path("grown"))
    ratings, movies = project.path("grown/ratings.csv"), project.path("grown/movies.csv")
    ratings.write_text(ratings.read_text("utf-8") + "1,2,3.5,1500000000\n", "utf-8", newline="")
    movies.write_text(movies.read_text("utf-8") + "99999,Another Title (1999),Comedy\n", "utf-8", newline="")
    return crash_test_for(project, storage_format)


def crash_test_for(project: Project, storage_format: str, **more: Any) -> CrashTest:
    """A crash test in a project; its own folders are next to the project's."""
    crash_test = CrashTest(project, storage_format, project.root.parent / "saved", **more)
    crash_test.scratch.mkdir()
    crash_test.cache.mkdir()
    return crash_test


def campaign(
    seed: int, count: int, storage_format: str, folder: Path, report: Report, *, only: int | None = None
) -> CampaignResult:
    """Kills runs at random times, and checks the result of running each again.

    Args:
        seed: of the kills.
        count: number of kills.
        storage_format: delta or parquet.
        folder: a new folder for everything that is written; its `tmp` is the TMPDIR of the runs.
        report: gets a line for each kill.
        only: number of the single kill to do, from 0.
    """
    begun, crash_test = time.monotonic(), create_crash_test(folder, storage_format)
    planned = list(enumerate(kills(seed, count)))
    planned = planned if only is None else planned[only : only + 1]
    failures = []
    for number, kill in planned:
        problems = kill_and_rerun(crash_test, kill)
        state = "FAILED" if problems else "survived"
        report(f"[{storage_format}] {number + 1}/{count} {kill}: {state} ({time.monotonic() - begun:.0f} s)")
        if problems:
            again = f"--seed {seed} --kills {count} --format {storage_format} --only {number}"
            failures.append(f"{kill}: {again}\n    " + "\n    ".join(problems))
            report(failures[-1])
    tried = [kill for _, kill in planned]
    return CampaignResult(
        kills=len(tried),
        survived=len(tried) - len(failures),
        victims=dict(Counter(kill.victim for kill in tried)),
        steps=dict(Counter(kill.step for kill in tried)),
        failures=failures,
        seconds=time.monotonic() - begun,
    )


def main() -> int:
    shape = argparse.ArgumentParser(description=__doc__)
    shape.add_argument("--seed", type=int, default=1)
    shape.add_argument("--kills", type=int, default=50)
    shape.add_argument("--format", choices=("delta", "parquet"), default="delta")
    shape.add_argument("--only", type=int, help="number of the single kill to do, from 0")
    arguments = shape.parse_args()
    with tempfile.TemporaryDirectory(prefix="crashes-") as folder:
        found = campaign(
            arguments.seed, arguments.kills, arguments.format, Path(folder),
            lambda text: print(text, flush=True), only=arguments.only,
        )  # fmt: skip
    print("\n".join(found.lines()))
    return 1 if found.failures else 0


if __name__ == "__main__":
    sys.exit(main())
