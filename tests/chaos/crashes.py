"""A seeded campaign of SIGKILLs on the real pipeline.

    PYTHONPATH=src:tests python tests/chaos/crashes.py --seed 1 --moments 50 --format delta

Each moment copies a lakehouse of an undisturbed run, sees to it that steps have work, starts the pipeline, waits for a
random moment of a chosen step, and kills. One plain re-run must then give what the undisturbed run gave, and nothing
more: the same receipts, the same files, no process, no lock, nothing in the folder for temporary files.
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
from reco_platform.lakehouse import publishing, receipts, storage
from reco_platform.lakehouse.layout import Lakehouse
from reco_platform.store import atomic_write
from support.project import Project, kill_group

Report = Callable[[str], None]
PROCESS_ENDS = 180.0  # seconds in which a run of which a part was killed has to end
OF_RUNS = re.compile(r"_runs/\d{8}T\d{6}Z-\d+\.(jsonl|summary\.json|openlineage\.jsonl)$")
DATA_FILE = re.compile(r"part-[^/]*\.parquet$")  # Spark gives them names of its own; manifests tell which belong there
START, END = "start", "end"  # before the first step, after the last
TRACKED = {"gate", "track"}
EVERY_STEP = (
    "bronze", "silver_ratings", "silver_movies", "silver_tags", "etl_report", "interactions", "train_als",
    "train_plain", "refit", "recommend", "fallback", "evaluate", "run_metrics", "metrics_table", "gate", "report",
)  # fmt: skip
SILVER = ("silver_movies", "silver_tags", "silver_ratings")
FROM_MODEL = tuple(step for step in EVERY_STEP[EVERY_STEP.index("train_als") :])
MADE = {
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
"""What each step makes, which is removed where that step alone is to work again."""


@dataclass(frozen=True)
class Kind:
    """A way in which steps come to have work.

    Attributes:
        name: for the report.
        share: how many of 50 moments.
        before: the undisturbed runs that the lakehouse begins with, as their configurations.
        config: of the run that is killed.
        steps: in which of them it is killed.
        alone: whether what the chosen step made is removed; otherwise the change of configuration gives work.
        victims: what is killed.
    """

    name: str
    share: int
    before: tuple[str, ...]
    config: str
    steps: tuple[str, ...]
    alone: bool = False
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
KINDS = (
    Kind("alone", 26, ("first",), "first", EVERY_STEP, alone=True),
    Kind("changed", 9, ("first",), "deeper", (*FROM_MODEL, START, END)),
    Kind("grown", 4, ("first",), "grown", EVERY_STEP),
    Kind("fresh", 4, (), "first", (START, *EVERY_STEP, END)),
    Kind("Spark cleans", 4, ("first",), "by spark", SILVER, alone=True, victims=WITH_WORKERS),
    Kind("Spark trains", 1, ("spark-ml",), "spark-ml", ("train_als", "recommend"), True, WITH_JAVA),
    Kind("tracked", 2, ("first", "tracked"), "tracked", ("gate", "track"), alone=True),
)


@dataclass(frozen=True)
class Crashed:
    """What came of a campaign."""

    moments: int
    survived: int
    victims: dict[str, int]
    steps: dict[str, int]
    failures: list[str]
    seconds: float

    def lines(self) -> list[str]:
        counted = [", ".join(f"{name} {n}" for name, n in sorted(each.items())) for each in (self.victims, self.steps)]
        return [
            f"{self.moments} kills, {self.survived} survived, in {self.seconds:.0f} s",
            f"  killed: {counted[0]}",
            f"  in:     {counted[1]}",
            *(f"  FAILED  {failure}" for failure in self.failures),
        ]


@dataclass(frozen=True)
class Undisturbed:
    """A lakehouse after runs that nobody killed: what the re-run after a kill has to come to.

    Attributes:
        saved: copy of results/ and data of Snakemake.
        receipts: their texts by path.
        files: every file by path, those that each run calls otherwise left out.
    """

    saved: Path
    receipts: dict[str, str]
    files: set[str]


@dataclass
class Bench:
    """A project on which moments are tried, one after another."""

    project: Project
    storage_format: str
    saved: Path
    also: Mapping[str, str] = field(default_factory=lambda: {"refit": "true", "fallback_lists": "true"})
    known: dict[tuple[str, ...], Undisturbed] = field(default_factory=dict)
    took: dict[tuple[str, str], float] = field(default_factory=dict)

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
        asked = {"storage_format": self.storage_format, "lakehouse": "results/small", **self.also}
        return self.project.command(**{**asked, **CONFIGS[config]})

    def run(self, config: str) -> subprocess.CompletedProcess[str]:
        """A plain run to its end."""
        return subprocess.run(
            self.command(config), cwd=self.project.root, env=self.environment, capture_output=True, text=True,
            check=False, timeout=900,
        )  # fmt: skip

    def sweep(self) -> None:
        """Empties the folders for temporary files, so that what is left there counts for one moment alone."""
        for path in [*self.scratch.iterdir(), *self.cache.rglob(f"{cleanup.SOURCES}/*")]:
            shutil.rmtree(path) if path.is_dir() else path.unlink()

    def undisturbed(self, configs: tuple[str, ...]) -> Undisturbed:
        """The lakehouse after undisturbed runs one after another; the folder of results then holds it."""
        if configs not in self.known:
            if configs[:-1]:
                self.lay_out(configs[:-1])
            else:
                self.empty()
            before = set(self.project.journals())
            ran = self.run(configs[-1])
            assert ran.returncode == 0, ran.stdout + ran.stderr
            self.learn(configs[-1], before)
            self.keep(configs)
        return self.known[configs]

    def keep(self, configs: tuple[str, ...]) -> None:
        """Keeps what is in the project now as what these undisturbed runs come to."""
        saved = self.saved / "-then-".join(configs).replace(" ", "-")
        for name in ("results", ".snakemake"):
            shutil.copytree(self.project.path(name), saved / name, symlinks=True)
        self.known[configs] = Undisturbed(saved, self.project.receipts(), self.files())

    def learn(self, config: str, before: set[Path]) -> None:
        """Notes how long each step took in the runs since."""
        ends = [event for event in events_since(self, before) if event.event == "worked"]
        self.took |= {(config, event.step): event.seconds or 0.0 for event in ends}

    def seconds(self, moment: Moment, step: str) -> float:
        """How long a step will probably take; one of Spark starts Java before it begins."""
        return self.took.get((moment.kind.config, step), 8.0 if "java" in moment.kind.victims else 0.5)

    def empty(self) -> None:
        for name in ("results", ".snakemake"):
            shutil.rmtree(self.project.path(name), ignore_errors=True)

    def lay_out(self, configs: tuple[str, ...]) -> None:
        """Puts the lakehouse after these runs in place."""
        saved = self.undisturbed(configs).saved
        self.empty()
        for name in ("results", ".snakemake"):
            shutil.copytree(saved / name, self.project.path(name), symlinks=True)

    def files(self) -> set[str]:
        """Every file below results/, but for those that each run calls otherwise."""
        root = self.project.path("results")
        paths = (str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())
        named = {path for path in paths if not OF_RUNS.search(path) and not path.startswith("mlflow/")}
        return {DATA_FILE.sub("data", path) for path in named}

    def forget(self, step: str) -> None:
        """Removes what a step made, its receipt and its memo, so that it has to work."""
        target = self.lakehouse / MADE[step]
        shutil.rmtree(target, ignore_errors=True)
        shutil.rmtree(target.parent / storage.MEMO / target.name, ignore_errors=True)
        target.with_name(f"{target.name}.receipt.json").unlink(missing_ok=True)


# --- one moment


@dataclass(frozen=True)
class Moment:
    """When to kill what.

    Attributes:
        kind: how steps come to have work.
        step: in which.
        victim: snakemake, java, step, worker (a Python of Spark's that works on a part of the rows) or group.
        share: how far in the step, 0 to 1.
        publishing: whether to wait until the step has something staged, and to kill soon after.
    """

    kind: Kind
    step: str
    victim: str
    share: float
    publishing: bool

    def __str__(self) -> str:
        where = "publishing" if self.publishing else f"{self.share:.0%}"
        return f"{self.kind.name}: {self.victim} in {self.step} ({where})"

    @property
    def history(self) -> tuple[str, ...]:
        """The undisturbed runs whose receipts must come out."""
        changed = self.kind.config not in self.kind.before and self.kind.config != "by spark"
        return (*self.kind.before, self.kind.config) if changed else self.kind.before


def moments(seed: int, count: int) -> list[Moment]:
    """The moments of a campaign: kinds by their share, steps and victims in turn, the rest at random."""
    order = random.Random(seed)
    total = sum(kind.share for kind in KINDS)
    quotas = {kind: max(1, round(kind.share * count / total)) for kind in KINDS}
    chosen = [kind for kind in KINDS for _ in range(quotas[kind])]
    order.shuffle(chosen)
    turns: Counter[str] = Counter({kind.name: order.randrange(len(kind.steps)) for kind in KINDS})
    found = []
    for kind in (chosen * 2)[:count]:
        turn = turns[kind.name]
        turns[kind.name] += 1
        step, victim = kind.steps[turn % len(kind.steps)], kind.victims[turn % len(kind.victims)]
        if step in {START, END} and victim == "step":
            victim = "snakemake"
        found.append(Moment(kind, step, victim, order.random(), step not in {START, END} and order.random() < 0.3))
    return found


def survive(bench: Bench, moment: Moment) -> list[str]:
    """Kills at a moment and runs again; gives what is wrong afterwards."""
    wanted = bench.undisturbed(moment.history)
    for attempt in range(5):
        if moment.kind.before:
            bench.lay_out(moment.kind.before)
        else:
            bench.empty()
        if moment.kind.alone:
            bench.forget(moment.step)
        before, outside = set(bench.project.journals()), outside_files(bench.project)
        killed = kill_once(bench, replace(moment, share=moment.share * 0.7**attempt), before)
        if killed is not None:
            break
    else:
        return ["it could not be killed: it ended too soon each time"]
    now = set(bench.project.journals())
    problems = [] if killed.said else [f"what was left of it said nothing of how to go on:\n{killed.output[-2000:]}"]
    ran = bench.run(moment.kind.config)
    bench.learn(moment.kind.config, now)
    if ran.returncode != 0:
        return [*problems, f"the re-run ended with {ran.returncode}:\n{(ran.stdout + ran.stderr)[-3000:]}"]
    problems += differences(bench, wanted)
    left = left_over(bench, outside)
    if moment.step == START:  # before it reads the Snakefile, Snakemake makes folders that nobody else can know of
        left = [path for path in left if not is_snakemakes(path)]
    bench.sweep()
    return [*problems, *(f"left over: {path}" for path in left), *orphans(bench.project.root)]


@dataclass(frozen=True)
class Killed:
    """A run that was killed, or a part of it: what it printed, and whether what was left of it said how to go on."""

    output: str
    said: bool


def kill_once(bench: Bench, moment: Moment, before: set[Path]) -> Killed | None:
    """Starts the pipeline and kills; None where it was over, or the victim was not there."""
    with tempfile.TemporaryFile("w+") as out:
        process = subprocess.Popen(
            bench.command(moment.kind.config), cwd=bench.project.root, env=bench.environment,
            start_new_session=True, stdout=out, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip
        try:
            wait_for_moment(bench, moment, process, before)
            victims = list(victims_of(process, moment.victim))
            if process.poll() is not None or not victims:
                process.wait(timeout=PROCESS_ENDS)  # killed, it would leave what the next attempt's run cannot know of
                return None
            if moment.victim == "group":
                os.killpg(process.pid, signal.SIGKILL)
            for victim in victims:
                with suppress(psutil.NoSuchProcess):
                    victim.kill()
            with suppress(subprocess.TimeoutExpired):
                process.wait(timeout=PROCESS_ENDS)
            out.seek(0)
            said = out.read()
            if process.poll() is None:
                return Killed(f"it did not end within {PROCESS_ENDS:.0f} s\n{said}", said=False)
            alone = moment.victim in {"step", "java", "worker"}
            if alone and process.returncode == 0:
                return None  # the victim had done its work
            return Killed(said, not alone or "Then run again   snakemake --cores 2 gold" in said)
        finally:
            if process.poll() is None:
                kill_group(process)


def wait_for_moment(bench: Bench, moment: Moment, process: subprocess.Popen[str], before: set[Path]) -> None:
    """Returns at the moment, or when the process has ended."""
    over = lambda: process.poll() is not None  # noqa: E731
    if moment.step == START:
        time.sleep(2.5 * moment.share)
        return
    wanted = "report" if moment.step == END else moment.step
    kinds = {"worked"} if moment.step == END else {"started"}
    while not over() and not any(
        event.step == wanted and event.event in kinds for event in events_since(bench, before)
    ):
        time.sleep(0.01)
    if moment.victim == "worker":
        while not over() and not list(victims_of(process, moment.victim)):
            time.sleep(0.01)
        time.sleep(0.2 * moment.share)
    elif moment.publishing:
        target = bench.lakehouse / MADE[wanted]
        first, last = time.monotonic(), 4 * bench.seconds(moment, wanted) + 5
        while not over() and not is_publishing(target) and time.monotonic() < first + last:
            time.sleep(0.0005)
        time.sleep(0.03 * moment.share)
    else:
        time.sleep(moment.share * (bench.seconds(moment, wanted) + 0.1))


def events_since(bench: Bench, before: set[Path]) -> list[journal.Event]:
    return [event for path in set(bench.project.journals()) - before for event in journal.read(path)]


def is_publishing(target: Path) -> bool:
    """Whether a step has begun to put its result in place."""
    return (
        (target.parent / f"{publishing.STAGING}-{target.name}").exists()
        or (target / storage.MANIFESTS / f"{storage.PENDING}.json").exists()
        or any(target.parent.glob(atomic_write.TEMPORARY_FILES))
    )


def victims_of(process: subprocess.Popen[str], victim: str) -> Iterator[psutil.Process]:
    """The processes to be killed: of a step its Python, and of one on Spark that below Java."""
    with suppress(psutil.NoSuchProcess):
        snakemake = psutil.Process(process.pid)
        if victim in {"snakemake", "group"}:
            yield snakemake
            return
        for one in snakemake.children(recursive=True):
            with suppress(psutil.NoSuchProcess):
                if victim == role(one):
                    yield one


def role(one: psutil.Process) -> str:
    """What a process below Snakemake does: java, step or worker; empty for others."""
    words = one.cmdline()
    if one.name() == "java":
        return "java"
    if any("scripts/" in word for word in words[1:2]):
        return "step"
    parent = one.parent()
    return "worker" if "pyspark.daemon" in words and parent and "pyspark.daemon" in parent.cmdline() else ""


# --- what must hold after the re-run


def differences(bench: Bench, wanted: Undisturbed) -> list[str]:
    """Receipts and files that are not those of the undisturbed run, and content that is not what its receipt says."""
    found = bench.project.receipts()
    named = sorted(path for path in {*found, *wanted.receipts} if stable(found, path) != stable(wanted.receipts, path))
    problems = [f"receipt {path} differs from that of the undisturbed run" for path in named]
    files = bench.files()
    problems += [f"{path} is missing" for path in sorted(wanted.files - files)]
    problems += [f"{path} is there, and after an undisturbed run it is not" for path in sorted(files - wanted.files)]
    problems += [f"{path} belongs to no version" for path in strays(bench.lakehouse)]
    lakehouse = Lakehouse(str(bench.lakehouse), "small")
    for path in found:
        try:
            problem = storage.problem(lakehouse.path, receipts.read(bench.lakehouse / path), thorough=True)
        except TableError as error:
            problem = error.message
        problems += [problem] if problem else []
    return problems


def strays(lakehouse: Path) -> Iterator[Path]:
    """Data files beside a manifest that no manifest names."""
    for folder in {path.parent for path in lakehouse.rglob(storage.MANIFESTS)}:
        found = [storage.read_manifest(folder, key) for key in storage.manifest_keys(folder)]
        named = {name for manifest in found if manifest for name in manifest.files}
        yield from (path for path in storage.data_files(folder) if str(path.relative_to(folder)) not in named)


def stable(texts: dict[str, str], path: str) -> Any:
    """A receipt without what MLflow calls by another name each time; None where there is none."""
    if path not in texts:
        return None
    body = json.loads(texts[path])
    if body["made_from"].get("step") in TRACKED:
        return {key: body[key] for key in ("artifact", "path", "made_from")}
    return body


def outside_files(project: Project) -> set[str]:
    """Every file of the project outside of its results, but for caches and what Snakemake notes for itself."""
    kept = ("results/", ".snakemake/log/", ".snakemake/metadata/", ".cache/")
    paths = (path for path in project.root.rglob("*") if "__pycache__" not in path.parts and path.is_file())
    names = (str(path.relative_to(project.root)) for path in paths)
    return {name for name in names if not name.startswith(kept)}


def is_snakemakes(path: str) -> bool:
    return Path(path).name.startswith("snakemake") or Path(path).parent.name == cleanup.SOURCES


def left_over(bench: Bench, before: set[str]) -> list[str]:
    """Temporary and half-written files, wherever a run may have put them."""
    temporary = [str(path) for path in bench.scratch.iterdir()]
    cached = [str(path) for path in bench.cache.rglob("snakemake-runtime-cache/*")]
    project = sorted(outside_files(bench.project) - before)
    marks = [str(path) for path in (bench.lakehouse / "_runs").glob(".*")]
    half = [str(path) for path in bench.project.path("results").rglob("*") if is_half_written(path)]
    return [*temporary, *cached, *project, *marks, *half]


def is_half_written(path: Path) -> bool:
    return path.name.startswith((f"{publishing.STAGING}-", ".incoming")) or path.match(atomic_write.TEMPORARY_FILES)


def orphans(root: Path) -> list[str]:
    """Processes that still work in the project."""
    return [f"process {one.pid} is left: {' '.join(one.cmdline())[:200]}" for one in at_work_in(root)]


def at_work_in(root: Path) -> Iterable[psutil.Process]:
    for one in psutil.process_iter():
        with suppress(psutil.Error):
            if one.status() != psutil.STATUS_ZOMBIE and Path(one.cwd()).is_relative_to(root):
                yield one


# --- the campaign


def ready(folder: Path, storage_format: str) -> Bench:
    """A bench in a folder, with data that have grown by a rating and a title beside the first."""
    project = Project.create(folder / "project")
    shutil.copytree(project.path("data"), project.path("grown"))
    ratings, movies = project.path("grown/ratings.csv"), project.path("grown/movies.csv")
    ratings.write_text(ratings.read_text("utf-8") + "1,2,3.5,1500000000\n", "utf-8", newline="")
    movies.write_text(movies.read_text("utf-8") + "99999,Another Title (1999),Comedy\n", "utf-8", newline="")
    return bench_of(project, storage_format)


def bench_of(project: Project, storage_format: str, **more: Any) -> Bench:
    """A bench for a project; the folders that it takes lie beside the project's."""
    bench = Bench(project, storage_format, project.root.parent / "saved", **more)
    bench.scratch.mkdir()
    bench.cache.mkdir()
    return bench


def campaign(
    seed: int, count: int, storage_format: str, folder: Path, report: Report, *, only: int | None = None
) -> Crashed:
    """Kills at random moments, and looks at what one plain re-run makes of each.

    Args:
        seed: of the moments.
        count: how many.
        storage_format: delta or parquet.
        folder: new, for all that is written; `tmp` in it is the TMPDIR of the runs.
        report: gets a line for each moment.
        only: the number of the one moment to try.
    """
    begun, bench = time.monotonic(), ready(folder, storage_format)
    planned = list(enumerate(moments(seed, count)))
    planned = planned if only is None else planned[only : only + 1]
    failures = []
    for number, moment in planned:
        problems = survive(bench, moment)
        state = "FAILED" if problems else "survived"
        report(f"[{storage_format}] {number + 1}/{count} {moment}: {state} ({time.monotonic() - begun:.0f} s)")
        if problems:
            again = f"--seed {seed} --moments {count} --format {storage_format} --only {number}"
            failures.append(f"{moment}: {again}\n    " + "\n    ".join(problems))
            report(failures[-1])
    tried = [moment for _, moment in planned]
    return Crashed(
        moments=len(tried),
        survived=len(tried) - len(failures),
        victims=dict(Counter(moment.victim for moment in tried)),
        steps=dict(Counter(moment.step for moment in tried)),
        failures=failures,
        seconds=time.monotonic() - begun,
    )


def main() -> int:
    shape = argparse.ArgumentParser(description=__doc__)
    shape.add_argument("--seed", type=int, default=1)
    shape.add_argument("--moments", type=int, default=50)
    shape.add_argument("--format", choices=("delta", "parquet"), default="delta")
    shape.add_argument("--only", type=int, help="the number of the one moment to try, from 0")
    arguments = shape.parse_args()
    with tempfile.TemporaryDirectory(prefix="crashing-") as folder:
        found = campaign(
            arguments.seed, arguments.moments, arguments.format, Path(folder),
            lambda text: print(text, flush=True), only=arguments.only,
        )  # fmt: skip
    print("\n".join(found.lines()))
    return 1 if found.failures else 0


if __name__ == "__main__":
    sys.exit(main())
