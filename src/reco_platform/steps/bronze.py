"""Generates, downloads or copies the CSV files of a data set into the lakehouse, and writes their receipts."""

import argparse
import json
import time
from functools import partial
from pathlib import Path
from typing import Any

from reco_platform.core import parent_watch, project, terminal
from reco_platform.datasets import bronze, source_layout
from reco_platform.datasets import registry as datasets
from reco_platform.engine import journal
from reco_platform.engine.attempt import Attempt
from reco_platform.engine.command_line import add_lakehouse_options
from reco_platform.engine.provenance import provenance, provenance_path
from reco_platform.engine.runner import report_failure
from reco_platform.lakehouse.layout import TABLES, Lakehouse
from reco_platform.lakehouse.receipts import Receipt
from reco_platform.pipeline.steps_table import STEPS
from reco_platform.store.atomic_write import write_text


def main() -> int:
    terminal.prepare()
    parser = argparse.ArgumentParser(prog="scripts/bronze.py", description=__doc__)
    add_lakehouse_options(parser)
    parser.add_argument("--dataset-path", default="", help="folder with the CSV files, instead of a registry entry")
    parser.add_argument("--layout", default="{}", help="config values of the layout of the files, as JSON")
    parser.add_argument("--params", default="{}", help="the rule's parameters; recorded in the provenance only")
    arguments = parser.parse_args()
    lakehouse, started = Lakehouse(arguments.lakehouse, arguments.dataset), time.time()
    attempt = Attempt(STEPS["bronze"], lakehouse.root, str(Path(lakehouse.bronze("ratings")).parent), started)
    parent_watch.watch_run()
    parent_watch.install_signal_handlers()
    attempt.begin()
    try:
        registry = datasets.load_registry(project.file("config/datasets.yaml"))
        layout = source_layout.from_text(arguments.layout)
        dataset = datasets.resolve(registry, arguments.dataset, arguments.dataset_path or None, layout)
        imported = bronze.import_csv_files(dataset, lakehouse, partial(report, attempt))
        csv_receipts = {
            table: bronze.csv_receipt(dataset, lakehouse, table) for table in (*TABLES, *datasets.dictionaries(dataset))
        }
        changed = write_receipts(csv_receipts, dataset, lakehouse, {**provenance(started), "params": arguments.params})
    except BaseException as error:
        return report_failure("bronze", attempt, error)
    reason = ["imported from its source"] if imported else [f"{table}.csv changed" for table in changed]
    attempt.end("worked" if imported or changed else "restored", reason or ["same bytes"], [*csv_receipts.values()])
    return 0


def report(attempt: Attempt, text: str) -> None:
    """Reports progress in the step's log and in the run's journal."""
    print(f"[bronze] {text}", flush=True)
    journal.record("progress", attempt.step.name, attempt.artifact, text=text)


def write_receipts(
    csv_receipts: dict[str, Receipt], dataset: datasets.Dataset, lakehouse: Lakehouse, record: dict[str, Any]
) -> list[str]:
    """Writes the receipt and the provenance of every table; returns the tables whose content has changed."""
    changed = []
    for table, receipt in csv_receipts.items():
        memo = bronze.memo_path(lakehouse, table)
        if not memo.is_file() or memo.read_text(encoding="utf-8") != receipt.text():
            changed.append(table)
            write_text(memo, receipt.text())
        if not receipt.facts.get("as_registered", True):
            print(
                f"[WARNING] {receipt.path} differs from its entry in config/datasets.yaml ({lakehouse.dataset})",
                flush=True,
            )
        path = Path(lakehouse.receipt(receipt.artifact))
        files = [lakehouse.content(receipt.path), *datasets.own_files(dataset, table)]
        stats = {str(file): bronze.file_stat(file) for file in files}
        write_text(provenance_path(path), json.dumps({**record, "seen": stats}, indent=1) + "\n")
        write_text(path, receipt.text())
    return changed
