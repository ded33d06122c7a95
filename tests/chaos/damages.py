"""Damages of a lakehouse: how each is made, what `validate` says of it, and whether the command it prints repairs it.

`table()` makes them all for real; test_damage.py holds what each must come to.
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
from support.builders import publish, ratings_table
from support.project import QUICK, Project

BOTH, DELTA = ("delta", "parquet"), ("delta",)
SWEEP = {"rank": "2,4", "sweep_name": "mine"}
FOREIGN = pa.table({"user": ["a", "b"], "stars": [1, 2]})


@dataclass(frozen=True)
class Damage:
    """One damage.

    Attributes:
        name: in words.
        make: does it to a lakehouse; gives a text that the message must have.
        shallow: whether `validate` finds it without `--deep`.
        formats: of the tables.
    """

    name: str
    make: Callable[[Path], str]
    shallow: bool = True
    formats: tuple[str, ...] = BOTH


@dataclass(frozen=True)
class Row:
    """One line of the table: what was found, and what the command that was printed came to."""

    damage: str
    format: str
    shallow: bool
    deep: bool
    message: str
    command: str
    repaired: bool
    left: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        found = " | ".join("yes" if one else "NO" for one in (self.shallow, self.deep, self.repaired))
        return f"| {self.damage} | {self.format} | {found} | {self.message} | `{self.command}` |"


# --- making them


def one(folder: Path, pattern: str) -> Path:
    """The first of the files that a pattern finds."""
    return sorted(path for path in folder.glob(pattern) if "_memo" not in path.parts)[0]


@contextmanager
def same_time(path: Path) -> Iterator[None]:
    """Keeps a file's time of change, as a dying disk does."""
    stat = path.stat()
    yield
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))


def flipped(pattern: str, at: bytes | None = None) -> Callable[[Path], str]:
    """Flips the lowest bit of the byte in the middle of a file, or of the first byte of a text that it has."""

    def make(lakehouse: Path) -> str:
        path = one(lakehouse, pattern)
        with same_time(path):
            content = bytearray(path.read_bytes())
            content[content.index(at) if at else len(content) // 2] ^= 1
            path.write_bytes(bytes(content))
        return path.name

    return make


def removed(pattern: str, names: str = "") -> Callable[[Path], str]:
    def make(lakehouse: Path) -> str:
        path = one(lakehouse, pattern)
        path.unlink()
        return names or path.name

    return make


def cut(pattern: str, names: str = "") -> Callable[[Path], str]:
    def make(lakehouse: Path) -> str:
        path = one(lakehouse, pattern)
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
        return names or path.name

    return make


def both_copies_flipped(lakehouse: Path) -> str:
    """The metrics and the copy of them that the memo keeps."""
    for path in sorted((lakehouse / "gold/metrics/_memo/run_metrics").glob("*.payload")):
        path.write_bytes(path.read_bytes().replace(b"rmse", b"rmsd"))
    return flipped("gold/metrics/run_metrics_*.json", b"rmse")(lakehouse)


def edited_receipt(lakehouse: Path) -> str:
    path = lakehouse / "gold/interactions.receipt.json"
    path.write_text(path.read_text("utf-8").replace('"fingerprint": "', '"fingerprint": "0'), "utf-8")
    return "was edited by hand"


def resealed_receipt(lakehouse: Path) -> str:
    """A receipt that fits its seal and names another content."""
    path = lakehouse / "gold/interactions.receipt.json"
    body = json.loads(path.read_text("utf-8"))
    del body["seal"]
    path.write_text(receipts.Receipt(**{**body, "fingerprint": "0" * 32}).text(), "utf-8")
    return "no longer holds"


def others_receipt(lakehouse: Path) -> str:
    shutil.copy(lakehouse / "silver/movies.receipt.json", lakehouse / "silver/ratings.receipt.json")
    return "that of another artifact, silver/movies"


def changed_csv(lakehouse: Path) -> str:
    path = one(lakehouse, "bronze/movielens/*/ratings.csv")
    with path.open("a", encoding="utf-8") as file:
        file.write("1,1,5.0,1500000000\n")
    return "ratings.csv"


def checkpointed(lakehouse: Path) -> Path:
    """Makes a checkpoint of silver/ratings; gives its log."""
    DeltaTable(str(lakehouse / "silver/ratings")).create_checkpoint()
    return lakehouse / "silver/ratings/_delta_log"


def without_checkpoint(lakehouse: Path) -> str:
    one(checkpointed(lakehouse), "*.checkpoint.parquet").unlink()
    return "names the checkpoint of version"


def cut_checkpoint(lakehouse: Path) -> str:
    cut("*.checkpoint.parquet")(checkpointed(lakehouse))
    return "cannot be read at version"


def last_checkpoint_garbage(lakehouse: Path) -> str:
    (checkpointed(lakehouse) / "_last_checkpoint").write_bytes(b"\0garbage")
    return "_last_checkpoint"


def vacuumed(lakehouse: Path) -> str:
    """Another program writes to the table, and vacuums what its own version does not name."""
    table = DeltaTable(str(lakehouse / "silver/ratings"))
    write_deltalake(table, table.to_pyarrow_table().slice(0, 5), mode="overwrite")
    table.vacuum(retention_hours=0, enforce_retention_duration=False, dry_run=False)
    return "is missing"


def appended(lakehouse: Path) -> str:
    table = DeltaTable(str(lakehouse / "silver/ratings"))
    write_deltalake(table, table.to_pyarrow_table().slice(0, 5), mode="append")
    return "was written by something else"


def other_schema_on_top(lakehouse: Path) -> str:
    write_deltalake(
        str(lakehouse / "silver/movies"), FOREIGN, mode="overwrite", schema_mode="overwrite"
    )  # fmt: skip
    return "was written by something else"


def other_table(lakehouse: Path) -> str:
    """The folder is another program's Delta table, with another schema."""
    shutil.rmtree(lakehouse / "silver/ratings")
    write_deltalake(str(lakehouse / "silver/ratings"), FOREIGN)
    return "holds a delta table"


def other_parquet(lakehouse: Path) -> str:
    shutil.rmtree(lakehouse / "silver/ratings")
    (lakehouse / "silver/ratings").mkdir()
    pq.write_table(FOREIGN, lakehouse / "silver/ratings/data.parquet")
    return "holds a parquet table"


def other_data_set(lakehouse: Path) -> str:
    storage_format = json.loads((lakehouse / "silver/ratings.receipt.json").read_text("utf-8"))["format"]
    shutil.rmtree(lakehouse / "silver/ratings")
    publish(lakehouse, ratings_table(), storage_format, dataset="other")
    return "holds a table of the data set other, and dataset is small"


def a_file_instead(lakehouse: Path) -> str:
    shutil.rmtree(lakehouse / "gold/interactions")
    (lakehouse / "gold/interactions").write_text("not a table", "utf-8")
    return "is a file, where a table was to be"


COMMIT = "silver/ratings/_delta_log/0*.json"

DAMAGES = [
    Damage("bit flipped: data file of silver/ratings", flipped("silver/ratings/**/*.parquet"), shallow=False),
    Damage("bit flipped: data file of gold/interactions", flipped("gold/interactions/*.parquet"), shallow=False),
    Damage("bit flipped: recommendations", flipped("gold/recommendations_als/*.parquet"), shallow=False),
    Damage("bit flipped: factors of the model", flipped("gold/models/als/*/itemFactors/*.parquet"), shallow=False),
    Damage("bit flipped: rejected rows", flipped("silver/_quarantine/ratings/*.parquet"), shallow=False),
    Damage("bit flipped: metrics (JSON)", flipped("gold/metrics/run_metrics_*.json", b"rmse")),
    Damage("bit flipped: metrics (CSV)", flipped("gold/metrics/run_metrics_*.csv")),
    Damage("bit flipped: evaluation", flipped("gold/metrics/_evaluation/evaluation_*.json", b"rmse")),
    Damage("bit flipped: decision of the gate", flipped("gold/metrics/_gate/gate_*.json", b"version")),
    Damage("bit flipped: metrics and their copy in the memo", both_copies_flipped),
    Damage("bit flipped: the report", flipped("reports/*.html")),
    Damage("bit flipped: a quality report", flipped("silver/_reports/quality_movies_small.json", b"rows_in")),
    Damage("bit flipped: the ETL report", flipped("silver/_reports/etl_*_small.json", b"rows_in")),
    Damage("missing data file", removed("silver/movies/*.parquet")),
    Damage("truncated data file", cut("silver/tags/**/*.parquet")),
    Damage("missing manifest", removed("silver/ratings/_manifests/*.json", "no longer holds")),
    Damage("missing quality report", removed("silver/_reports/quality_tags_small.json")),
    Damage("missing commit in _delta_log", removed(COMMIT, "lacks version"), formats=DELTA),
    Damage("truncated commit in _delta_log", cut(COMMIT, "cannot be read at version"), formats=DELTA),
    Damage("missing checkpoint that _last_checkpoint names", without_checkpoint, formats=DELTA),
    Damage("truncated checkpoint", cut_checkpoint, formats=DELTA),
    Damage("_last_checkpoint garbage", last_checkpoint_garbage, formats=DELTA),
    Damage("vacuumed version", vacuumed, formats=DELTA),
    Damage("rows appended by another program", appended, formats=DELTA),
    Damage("another schema written on top", other_schema_on_top, formats=DELTA),
    Damage("receipt missing", removed("gold/models/als.receipt.json", "gold/models/als: receipt")),
    Damage("receipt truncated", cut("silver/movies.receipt.json", "is not a receipt")),
    Damage("receipt edited", edited_receipt),
    Damage("receipt of another content, resealed", resealed_receipt),
    Damage("receipt of another artifact", others_receipt),
    Damage("bronze CSV changed", changed_csv),
    Damage("bronze CSV missing", removed("bronze/movielens/small/movies.csv")),
    Damage("Delta table of another schema at the path", other_table),
    Damage("Parquet files of another program at the path", other_parquet),
    Damage("table of another data set at the path", other_data_set),
    Damage("a file where a table was", a_file_instead),
    Damage("bit flipped: result of a trial", flipped("sweeps/trials/*/result.json", b"rmse")),
    Damage("missing: result of a trial", removed("sweeps/trials/*/result.json")),
    Damage("bit flipped: data of sweeps", flipped("sweeps/data/*.npy"), shallow=False),
    Damage("bit flipped: leaderboard", flipped("sweeps/mine/leaderboard.csv"), shallow=False),
]


# --- looking, and repairing


@dataclass(frozen=True)
class DamagedLakehouse:
    """A project with an undamaged lakehouse aside, from which each damage begins anew."""

    project: Project
    format: str

    @property
    def config(self) -> dict[str, Any]:
        return {**QUICK, "storage_format": self.format}

    @property
    def lakehouse(self) -> Path:
        return self.project.lakehouse("small" if self.format == "delta" else "small-parquet")

    @property
    def sound(self) -> Path:
        return self.project.root / "sound" / self.format

    def keep(self) -> None:
        """Puts the lakehouse, as it is, aside."""
        shutil.copytree(self.lakehouse, self.sound)

    def heal(self) -> None:
        shutil.rmtree(self.lakehouse)
        shutil.copytree(self.sound, self.lakehouse)

    def errors(self, *, deep: bool) -> list[validate.Finding]:
        """What `validate` finds."""
        before = Path.cwd()
        os.chdir(self.project.root)
        try:
            flow = workflow.prepare(self.config, {})
            return [one for one in validate.validate(flow, deep=deep) if one.level == "error"]
        finally:
            os.chdir(before)

    def run(self, command: str) -> subprocess.CompletedProcess[str]:
        """Runs a command as a person does who pastes it."""
        env = self.project.environment({"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"})
        shell = ["bash", "-c", command]
        return subprocess.run(shell, cwd=self.project.root, env=env, capture_output=True, text=True, check=False)

    def differences(self) -> list[str]:
        """The receipts that are not those of the undamaged lakehouse."""
        before, now = contents(self.sound), contents(self.lakehouse)
        return sorted(path for path in {*before, *now} if before.get(path) != now.get(path))


def contents(lakehouse: Path) -> dict[str, Any]:
    """Every receipt without the version of a table: a repaired table has a newer one of the same content."""
    paths = lakehouse.rglob("*.receipt.json")
    bodies = {str(path.relative_to(lakehouse)): json.loads(path.read_text("utf-8")) for path in paths}
    return {
        path: {key: value for key, value in body.items() if key not in {"version", "seal"}}
        for path, body in bodies.items()
    }


def examined(patient: DamagedLakehouse, damage: Damage) -> tuple[bool, list[validate.Finding], str]:
    """Whether a shallow look finds a damage, what a deep one does, and the text that it must name."""
    patient.heal()
    wanted = damage.make(patient.lakehouse)
    return bool(patient.errors(deep=False)), patient.errors(deep=True), wanted


def treated(patient: DamagedLakehouse, damage: Damage) -> Row:
    """Makes a damage, runs the first command that is printed, and looks again."""
    shallow, errors, wanted = examined(patient, damage)
    named = [one for one in errors if wanted in one.text]
    if not named:
        return Row(damage.name, patient.format, shallow, bool(errors), str(errors), "", False)
    command = str(named[0].hint)
    ran = patient.run(command)
    left = [str(one) for one in patient.errors(deep=True)]
    if ran.returncode:
        left.append(ran.stdout + ran.stderr)
    left += [f"{path} differs" for path in patient.differences()]
    return Row(damage.name, patient.format, shallow, True, named[0].text, command, not left, left)


def patient(built: Project, root: Path, storage_format: str) -> DamagedLakehouse:
    """A copy of a built project, with gold in a format and a sweep."""
    found = DamagedLakehouse(built.copy(root), storage_format)
    options = {"storage_format": storage_format, "folder": found.lakehouse.name}
    found.project.gold(**options)
    found.project.gold("sweep", **options, **SWEEP)
    found.keep()
    return found


def table(root: Path, storage_format: str, report: Callable[[str], None]) -> list[Row]:
    """Every damage in one format, made, found and repaired below a new folder; about 8 minutes on a core."""
    root.mkdir()
    built = Project.create(root / "built")
    built.gold()
    ill = patient(built, root / storage_format, storage_format)
    rows = []
    for damage in DAMAGES:
        if storage_format in damage.formats:
            rows.append(treated(ill, damage))
            report("\n".join([str(rows[-1]), *rows[-1].left]))
    return rows
