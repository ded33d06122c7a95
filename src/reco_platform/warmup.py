"""Spark's classes, loaded once and kept in an archive: each later JVM starts with a third less work.

Class-data sharing of the JVM (JEP 350); without the archive everything works, only slower.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from reco_platform import demo, session
from reco_platform.bronze import describe
from reco_platform.datasets import DirectoryDataset
from reco_platform.errors import RecoError
from reco_platform.layout import Lakehouse, silver
from reco_platform.receipts import write_text

SPEC = demo.DemoSpec(users=60, movies=80, ratings=500, dirty=demo.Dirty(ratings={"null_user": 2}, movies={}, tags={}))
STEP = "silver_ratings"


def archive(target: Path) -> None:
    """Runs one real step on a few rows, and has its JVM write down the classes that it loaded."""
    shutil.rmtree(target.parent, ignore_errors=True)  # those of other jars are of no use any more
    target.parent.mkdir(parents=True)
    with tempfile.TemporaryDirectory(prefix="warmup-") as folder:
        house = Lakehouse(folder, "warmup")
        csv = house.local(house.bronze("ratings")).parent
        demo.generate(csv, SPEC)
        bronze = house.receipt(house.bronze("ratings"))
        write_text(bronze, describe(DirectoryDataset(name="warmup", path=csv), house, "ratings").text())
        arguments = ["--lakehouse", folder, "--dataset", "warmup", "--bronze", bronze]
        arguments += ["--receipt", house.receipt(silver("ratings"))]
        made = Path(folder) / "classes.jsa"
        command = session.submit_command(f"scripts/{STEP}.py", arguments, threads=2, memory="1g")
        options = command.index("--driver-java-options") + 1
        command[options] += f" -XX:ArchiveClassesAtExit={made} -Xlog:cds=error -Xlog:cds+dynamic=error"
        run = subprocess.run(command, env=session.spark_environment(), capture_output=True, text=True, check=False)
        if run.returncode or not made.is_file():
            raise RecoError(f"no class archive was made: {(run.stdout + run.stderr).strip()[-500:]}")
        temporary = target.with_suffix(f".{os.getpid()}")
        temporary.write_bytes(made.read_bytes())
        temporary.replace(target)


def main() -> int:
    try:
        target = session.class_archive()
        if not target.is_file():
            archive(target)
    except RecoError as error:
        print(f"[WARNING] {error.what}; Spark will start a little slower", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
