"""Damages to a lakehouse: what `validate` reports for each, and whether the command it prints repairs it.

`repair_all()` tries all of them; tests/faults/test_damage.py asserts what each must result in.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from deltalake import DeltaTable, write_deltalake

from reco_platform.lakehouse import receipts
from reco_platform.maintenance import validate
from reco_platform.pipeline import workflow
from support import forked_runs
from support.builders import publish_ratings, ratings_table
from support.project import QUICK, Project

BOTH, DELTA = ("delta", "parquet"), ("delta",)
SWEEP = {"rank": "2,4", "sweep_name": "mine"}
FOREIGN = pa.table({"user": ["a", "b"], "stars": [1, 2]})


@dataclass(frozen=True)
class Damage:
    """A way to damage a lakehouse.

    Attributes:
        name: for the report.
        make: damages the lakehouse in a folder; returns a text that the message of `validate` must contain.
        shallow: whether `validate` finds it without `--deep`.
        formats: the table formats in which it can occur.
    """

    name: str
    make: Callable[[Path], str]
    shallow: bool = True
    formats: tuple[str, ...] = BOTH


@dataclass(frozen=True)
class Row:
    """One line of the result: whether the damage was found, and whether the command that was printed repaired it."""

    damage: str
    format: str
    shallow: bool
    deep: bool
    message: str
    command: str
    repaired: bool
    remaining: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        found = " | ".join("yes" if flag else "NO" for flag in (self.shallow, self.deep, self.repaired))
        return f"| {self.damage} | {self.format} | {found} | {self.message} | `{self.command}` |"


# --- damages


def first_file(folder: Path, pattern: str) -> Path:
    """The first file that matches a pattern, in alphabetical order."""
    return sorted(path for path in folder.glob(pattern) if "_memo" not in path.parts)[0]


@contextmanager
def keep_modification_time(path: Path) -> Iterator[None]:
    """Keeps a file's modification time, as a failing disk does."""
    stat = path.stat()
    yield
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))


def flip_bit(pattern: str, at: bytes | None = None) -> Callable[[Path], str]:
    """Flips the lowest bit of a file's middle byte, or of the first byte of a text in it."""

    def make(lakehouse: Path) -> str:
        path = first_file(lakehouse, pattern)
        with keep_modification_time(path):
            content = bytearray(path.read_bytes())
            content[content.index(at) if at else len(content) // 2] ^= 1
            path.write_bytes(bytes(content))
        return path.name

    return make


def delete(pattern: str, names: str = "") -> Callable[[Path], str]:
    def make(lakehouse: Path) -> str:
        path = first_file(lakehouse, pattern)
        path.unlink()
        return names or path.name

    return make


def truncate(pattern: str, names: str = "") -> Callable[[Path], str]:
    def make(lakehouse: Path) -> str:
        path = first_file(lakehouse, pattern)
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
        return names or path.name

    return make


def flip_both_copies(lakehouse: Path) -> str:
    """Damages the metrics file and its copy in the memo."""
    for path in sorted((lakehouse / "gold/metrics/_memo/run_metrics").glob("*.payload")):
        path.write_bytes(path.read_bytes().replace(b"rmse", b"rmsd"))
    return flip_bit("gold/metrics/run_metrics_*.json", b"rmse")(lakehouse)


def edit_receipt(lakehouse: Path) -> str:
    path = lakehouse / "gold/interactions.receipt.json"
    path.write_text(path.read_text("utf-8").replace('"fingerprint": "', '"fingerprint": "0'), "utf-8")
    return "was edited by hand"


def reseal_receipt(lakehouse: Path) -> str:
    """Replaces the receipt by one with a valid seal and another fingerprint."""
    path = lakehouse / "gold/interactions.receipt.json"
    body = json.loads(path.read_text("utf-8"))
    del body["seal"]
    path.write_text(receipts.Receipt(**{**body, "fingerprint": "0" * 32}).text(), "utf-8")
    return "no longer contains"


def swap_receipt(lakehouse: Path) -> str:
    shutil.copy(lakehouse / "silver/movies.receipt.json", lakehouse / "silver/ratings.receipt.json")
    return "belongs to another artifact, silver/movies"


def append_to_csv(lakehouse: Path) -> str:
    path = first_file(lakehouse, "bronze/movielens/*/ratings.csv")
    with path.open("a", encoding="utf-8") as file:
        file.write("1,1,5.0,1500000000\n")
    return "ratings.csv"


def make_checkpoint(lakehouse: Path) -> Path:
    """Makes a checkpoint of silver/ratings; returns the folder of its log."""
    DeltaTable(str(lakehouse / "silver/ratings")).create_checkpoint()
    return lakehouse / "silver/ratings/_delta_log"


def delete_checkpoint(lakehouse: Path) -> str:
    first_file(make_checkpoint(lakehouse), "*.checkpoint.parquet").unlink()
    return "names the checkpoint of version"


def truncate_checkpoint(lakehouse: Path) -> str:
    truncate("*.checkpoint.parquet")(make_checkpoint(lakehouse))
    return "cannot be read at version"


def corrupt_last_checkpoint(lakehouse: Path) -> str:
    (make_checkpoint(lakehouse) / "_last_checkpoint").write_bytes(b"\0garbage")
    return "_last_checkpoint"


def vacuum(lakehouse: Path) -> str:
    """Another program writes to the table, and vacuums the files that its own version does not need."""
    table = DeltaTable(str(lakehouse / "silver/ratings"))
    write_deltalake(table, table.to_pyarrow_table().slice(0, 5), mode="overwrite")
    table.vacuum(retention_hours=0, enforce_retention_duration=False, dry_run=False)
    return "is missing"


def append_rows(lakehouse: Path) -> str:
    table = DeltaTable(str(lakehouse / "silver/ratings"))
    write_deltalake(table, table.to_pyarrow_table().slice(0, 5), mode="append")
    return "was written by another program"


def overwrite_with_other_schema(lakehouse: Path) -> str:
    write_deltalake(
        str(lakehouse / "silver/movies"), FOREIGN, mode="overwrite", schema_mode="overwrite"
    )  # fmt: skip
    return "was written by another program"


def replace_by_other_table(lakehouse: Path) -> str:
    """Replaces the folder by another program's Delta table with another schema."""
    shutil.rmtree(lakehouse / "silver/ratings")
    write_deltalake(str(lakehouse / "silver/ratings"), FOREIGN)
    return "contains a delta table"


def replace_by_other_parquet(lakehouse: Path) -> str:
    shutil.rmtree(lakehouse / "silver/ratings")
    (lakehouse / "silver/ratings").mkdir()
    pq.write_table(FOREIGN, lakehouse / "silver/ratings/data.parquet")
    return "contains a parquet table"


def replace_by_other_data_set(lakehouse: Path) -> str:
    storage_format = json.loads((lakehouse / "silver/ratings.receipt.json").read_text("utf-8"))["format"]
    shutil.rmtree(lakehouse / "silver/ratings")
    publish_ratings(lakehouse, ratings_table(), storage_format, dataset="other")
    return "contains a table of the data set other, but dataset is small"


def replace_by_file(lakehouse: Path) -> str:
    shutil.rmtree(lakehouse / "gold/interactions")
    (lakehouse / "gold/interactions").write_text("not a table", "utf-8")
    return "is a file, but a table is expected there"


COMMIT = "silver/ratings/_delta_log/0*.json"

DAMAGES = [
    Damage("bit flipped: data file of silver/ratings", flip_bit("silver/ratings/**/*.parquet"), shallow=False),
    Damage("bit flipped: data file of gold/interactions", flip_bit("gold/interactions/*.parquet"), shallow=False),
    Damage("bit flipped: recommendations", flip_bit("gold/recommendations_als/*.parquet"), shallow=False),
    Damage("bit flipped: factors of the model", flip_bit("gold/models/als/*/itemFactors/*.parquet"), shallow=False),
    Damage("bit flipped: rejected rows", flip_bit("silver/_quarantine/ratings/*.parquet"), shallow=False),
    Damage("bit flipped: metrics (JSON)", flip_bit("gold/metrics/run_metrics_*.json", b"rmse")),
    Damage("bit flipped: metrics (CSV)", flip_bit("gold/metrics/run_metrics_*.csv")),
    Damage("bit flipped: evaluation", flip_bit("gold/metrics/_evaluation/evaluation_*.json", b"rmse")),
    Damage("bit flipped: decision of the gate", flip_bit("gold/metrics/_gate/gate_*.json", b"version")),
    Damage("bit flipped: metrics and their copy in the memo", flip_both_copies),
    Damage("bit flipped: the report", flip_bit("reports/*.html")),
    Damage("bit flipped: a quality report", flip_bit("silver/_reports/quality_movies_small.json", b"rows_in")),
    Damage("bit flipped: the ETL report", flip_bit("silver/_reports/etl_*_small.json", b"rows_in")),
    Damage("missing data file", delete("silver/movies/*.parquet")),
    Damage("truncated data file", truncate("silver/tags/**/*.parquet")),
    Damage("missing manifest", delete("silver/ratings/_manifests/*.json", "no longer contains")),
    Damage("missing quality report", delete("silver/_reports/quality_tags_small.json")),
    Damage("missing commit in _delta_log", delete(COMMIT, "lacks version"), formats=DELTA),
    Damage("truncated commit in _delta_log", truncate(COMMIT, "cannot be read at version"), formats=DELTA),
    Damage("missing checkpoint that _last_checkpoint names", delete_checkpoint, formats=DELTA),
    Damage("truncated checkpoint", truncate_checkpoint, formats=DELTA),
    Damage("_last_checkpoint garbage", corrupt_last_checkpoint, formats=DELTA),
    Damage("vacuumed version", vacuum, formats=DELTA),
    Damage("rows appended by another program", append_rows, formats=DELTA),
    Damage("another schema written on top", overwrite_with_other_schema, formats=DELTA),
    Damage("receipt missing", delete("gold/models/als.receipt.json", "gold/models/als: receipt")),
    Damage("receipt truncated", truncate("silver/movies.receipt.json", "is not a receipt")),
    Damage("receipt edited", edit_receipt),
    Damage("receipt of another content, resealed", reseal_receipt),
    Damage("receipt of another artifact", swap_receipt),
    Damage("bronze CSV changed", append_to_csv),
    Damage("bronze CSV missing", delete("bronze/movielens/small/movies.csv")),
    Damage("Delta table of another schema at the path", replace_by_other_table),
    Damage("Parquet files of another program at the path", replace_by_other_parquet),
    Damage("table of another data set at the path", replace_by_other_data_set),
    Damage("a file where a table was", replace_by_file),
    Damage("bit flipped: result of a trial", flip_bit("sweeps/trials/*/result.json", b"rmse")),
    Damage("missing: result of a trial", delete("sweeps/trials/*/result.json")),
    Damage("bit flipped: data of sweeps", flip_bit("sweeps/data/*.npy"), shallow=False),
    Damage("bit flipped: leaderboard", flip_bit("sweeps/mine/leaderboard.csv"), shallow=False),
]


# --- finding and repairing


@dataclass(frozen=True)
class DamagedLakehouse:
    """A project with a copy of its intact lakehouse, which is restored before each damage.

    Attributes:
        project: the project.
        format: of its tables.
        in_forks: whether commands run in forks (`support/forked_runs.py`), which is quicker, or in new processes.
    """

    project: Project
    format: str
    in_forks: bool = False

    @property
    def config(self) -> dict[str, Any]:
        return {**QUICK, "storage_format": self.format}

    @property
    def lakehouse(self) -> Path:
        return self.project.lakehouse("small" if self.format == "delta" else "small-parquet")

    @property
    def intact(self) -> Path:
        return self.project.root / "sound" / self.format

    def save_intact(self) -> None:
        """Saves a copy of the lakehouse."""
        shutil.copytree(self.lakehouse, self.intact)

    def restore(self) -> None:
        """Replaces the lakehouse by the saved copy."""
        shutil.rmtree(self.lakehouse)
        shutil.copytree(self.intact, self.lakehouse)

    def errors(self, *, deep: bool) -> list[validate.Finding]:
        """The errors that `validate` finds."""
        before = Path.cwd()
        os.chdir(self.project.root)
        try:
            flow = workflow.prepare(self.config, {})
            return [finding for finding in validate.validate(flow, deep=deep) if finding.level == "error"]
        finally:
            os.chdir(before)

    def run(self, command: str) -> subprocess.CompletedProcess[str]:
        """Runs a command as a user would who pastes it into a shell."""
        env = self.project.environment({"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"})
        if self.in_forks:
            return forked_runs.shell(command, self.project.root, env)
        shell = ["bash", "-c", command]
        return subprocess.run(shell, cwd=self.project.root, env=env, capture_output=True, text=True, check=False)

    def differences(self) -> list[str]:
        """Paths of the receipts that differ from those of the intact lakehouse."""
        before, now = receipt_contents(self.intact), receipt_contents(self.lakehouse)
        return sorted(path for path in {*before, *now} if before.get(path) != now.get(path))


def receipt_contents(lakehouse: Path) -> dict[str, Any]:
    """Every receipt by path, without table versions: a repaired table has a newer version with equal content."""
    paths = lakehouse.rglob("*.receipt.json")
    bodies = {str(path.relative_to(lakehouse)): json.loads(path.read_text("utf-8")) for path in paths}
    return {
        path: {key: value for key, value in body.items() if key not in {"version", "seal"}}
        for path, body in bodies.items()
    }


def inspect_damage(damaged: DamagedLakehouse, damage: Damage) -> tuple[bool, list[validate.Finding], str]:
    """Makes a damage; whether `validate` finds it without --deep, its errors with it, the text they must have."""
    damaged.restore()
    expected = damage.make(damaged.lakehouse)
    return bool(damaged.errors(deep=False)), damaged.errors(deep=True), expected


def repair_damage(damaged: DamagedLakehouse, damage: Damage) -> Row:
    """Makes a damage, runs the first command that `validate` prints for it, and validates again."""
    shallow, errors, expected = inspect_damage(damaged, damage)
    matching = [finding for finding in errors if expected in finding.text]
    if not matching:
        return Row(damage.name, damaged.format, shallow, bool(errors), str(errors), "", False)
    command = str(matching[0].hint)
    run = damaged.run(command)
    remaining = [str(finding) for finding in damaged.errors(deep=True)]
    if run.returncode:
        remaining.append(run.stdout + run.stderr)
    remaining += [f"{path} differs" for path in damaged.differences()]
    return Row(damage.name, damaged.format, shallow, True, matching[0].text, command, not remaining, remaining)


def damaged_lakehouse(built: Project, root: Path, storage_format: str, *, in_forks: bool = False) -> DamagedLakehouse:
    """A copy of a built project, with gold in a format and a sweep; repairs run in forks, or in new processes."""
    damaged = DamagedLakehouse(built.copy(root), storage_format, in_forks)
    options = {"storage_format": storage_format, "folder": damaged.lakehouse.name}
    damaged.project.gold(**options)
    damaged.project.gold("sweep", **options, **SWEEP)
    damaged.save_intact()
    return damaged


def repair_all(root: Path, storage_format: str, report: Callable[[str], None]) -> list[Row]:
    """Makes, finds and repairs every damage in one format, below a new folder; about 8 minutes on a core."""
    root.mkdir()
    built = Project.create(root / "built")
    built.gold()
    damaged = damaged_lakehouse(built, root / storage_format, storage_format)
    rows = []
    for damage in DAMAGES:
        if storage_format in damage.formats:
            rows.append(repair_damage(damaged, damage))
            report("\n".join([str(rows[-1]), *rows[-1].remaining]))
    return rows
