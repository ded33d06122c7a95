"""Measure what the translation of a user's own layout costs: a CSV file with other columns and ids that are texts.

    python benchmarks/mapped_layout.py --ratings 5000000 --repeats 5

The same generated ratings are imported and cleaned (bronze and silver_ratings, without Snakemake and the start of
Python) from MovieLens's own layout and from the mapped one, alternately. The aim is at most 1.5 times the time.
"""

from __future__ import annotations

import argparse
import os
import resource
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import common
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
from common import RESULTS, log_line, median

from reco_platform.cleaning import native
from reco_platform.cleaning.ratings import CLEANING
from reco_platform.datasets import bronze, csv_reader, synthetic
from reco_platform.datasets.registry import DirectoryDataset
from reco_platform.datasets.source_layout import SourceLayout, from_values
from reco_platform.lakehouse.layout import Lakehouse

LARGEST_RATIO = 1.5
MAPPED = from_values(
    {
        "ratings_file": "orders.csv", "items_file": "none", "user_column": "customer", "item_column": "sku",
        "rating_column": "score", "time_column": "moment", "id_type": "text",
    }
)  # fmt: skip


def main() -> None:
    arguments = argument_parser().parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.scratch) as scratch:
        own, shop = write_folders(Path(scratch), arguments.ratings)
        variants: dict[str, Callable[[], dict[str, float]]] = {
            "MovieLens's layout": lambda: import_and_clean(own, SourceLayout(), arguments.cores),
            "mapped, text ids": lambda: import_and_clean(shop, MAPPED, arguments.cores),
        }
        for measure in variants.values():
            measure()  # compiles the kernels, and reads the files into the page cache
        found: dict[str, list[dict[str, float]]] = {name: [] for name in variants}
        for repeat in range(arguments.repeats):
            for name, measure in variants.items():
                found[name].append(measure())
                log_line(f"{repeat + 1}: {name}: {found[name][-1]}")
    body = {
        "machine": common.describe_machine(),
        "ratings": arguments.ratings,
        "runs": found,
        "peak_memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    }
    common.save(arguments.out, body, report(body))


def argument_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ratings", type=int, default=5_000_000)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--cores", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--scratch", type=Path, default=None, help="folder for some 500 bytes a rating")
    parser.add_argument("--out", type=Path, default=RESULTS / "mapped-layout", help="where the results go")
    return parser


def write_folders(scratch: Path, ratings: int) -> tuple[Path, Path]:
    """A folder in MovieLens's layout, and one with the same ratings in another."""
    own, shop = scratch / "own", scratch / "shop"
    own.mkdir()
    shop.mkdir()
    spec = synthetic.SyntheticSpec(
        users=max(ratings // 154, 50),
        movies=max(ratings // 333, 100),
        ratings=ratings,
        dirty=synthetic.DirtyRows(ratings={}, movies={}, tags={}),
    )
    synthetic.generate(own, spec, progress=log_line)
    table = pyarrow.csv.read_csv(own / "ratings.csv", convert_options=as_text())
    users, movies = (prefixed(prefix, table[name]) for prefix, name in (("customer-", "userId"), ("sku-", "movieId")))
    lines = pc.binary_join_element_wise(users, movies, table["rating"], table["timestamp"], ",")
    with (shop / "orders.csv").open("w", encoding="utf-8") as file:
        file.write("customer,sku,score,moment\n")
        file.writelines(f"{line}\n" for line in lines.to_pylist())
    return own, shop


def as_text() -> pyarrow.csv.ConvertOptions:
    return pyarrow.csv.ConvertOptions(
        column_types=dict.fromkeys(("userId", "movieId", "rating", "timestamp"), pa.string())
    )


def prefixed(prefix: str, ids: pa.ChunkedArray) -> pa.ChunkedArray:
    """Texts such as customer-00000042."""
    return pc.binary_join_element_wise(prefix, pc.utf8_lpad(ids, 8, "0"), "")


def import_and_clean(folder: Path, layout: SourceLayout, cores: int) -> dict[str, float]:
    """Seconds of the import into an empty lakehouse and of cleaning its ratings, and CPU seconds of both."""
    with tempfile.TemporaryDirectory(dir=folder.parent) as root:
        lakehouse = Lakehouse(f"{root}/lakehouse", "own")
        cpu, started = time.process_time(), time.perf_counter()
        bronze.import_csv_files(DirectoryDataset(name="own", path=folder, layout=layout), lakehouse, lambda _: None)
        imported = time.perf_counter()
        path = bronze.bronze_folder(lakehouse) / "ratings.csv"
        staging, rejected = Path(root) / "table", Path(root) / "rejected"
        staging.mkdir()
        rejected.mkdir()
        records = csv_reader.read_records(Path(str(path)), CLEANING.source_columns)
        native.clean(records, CLEANING, staging, rejected, cores)
        ended = time.perf_counter()
        return {
            "bronze": imported - started, "silver": ended - imported, "seconds": ended - started,
            "cpu": time.process_time() - cpu,
        }  # fmt: skip


def report(body: dict[str, Any]) -> str:
    """The result as Markdown."""
    names = ("bronze", "silver", "seconds", "cpu")
    medians = {name: [median(run[key] for run in runs) or 0.0 for key in names] for name, runs in body["runs"].items()}
    (_, plain), (_, mapped) = medians.items()
    ratio = mapped[2] / plain[2]
    rows = [[name, *(f"{value:.2f}" for value in values)] for name, values in medians.items()]
    return "\n".join(
        [
            f"{body['ratings']:,} ratings; {common.machine_line(body['machine'])}",
            "",
            common.table(("Layout", "bronze s", "silver s", "both s", "CPU s"), rows),
            "",
            f"The mapped layout takes {ratio:.2f} times as long (aim: at most {LARGEST_RATIO}); "
            f"peak memory {body['peak_memory_mb']:,} MB.",
        ]
    )


if __name__ == "__main__":
    main()
