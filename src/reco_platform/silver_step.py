"""The work of the three silver steps: read a CSV file, clean it, report on it, publish table and quarantine."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import psutil  # type: ignore[import-untyped]
import pyarrow as pa
import pyarrow.parquet as pq

from reco_platform import csvfile, layout, silver, silver_native, storage
from reco_platform.arrow_fingerprint import arrow_sums
from reco_platform.cleaning.rules import Cleaning, rejected_schema
from reco_platform.errors import DataError
from reco_platform.fingerprint import arrow_fields, fingerprint, schema_hash
from reco_platform.receipts import Receipt, write_text
from reco_platform.session import spark_session, submitted
from reco_platform.silver import Cleaned
from reco_platform.steps import ETL_ENGINE, Task


def make(task: Task, cleaning: Cleaning) -> Receipt:
    """Makes a silver table, its quarantine and its quality report.

    Raises:
        DataError: if the file is not what it should be, or a check fails; the report is written first.
    """
    table = cleaning.contract.name
    report_path = task.root / task.house.quality_report(table)
    if task.inputs["bronze"].kind == "absent":
        task.log(f"there is no {table}.csv: skipped")
        write_text(report_path, json.dumps({"table": table, "absent": True, "passed": True}, indent=1) + "\n")
        return Receipt(task.artifact, "absent", layout.silver(table))
    source = task.path("bronze")
    staging = storage.staging_folder(task.root / layout.silver(table))
    rejected = storage.staging_folder(task.root / layout.quarantine(table))
    extra = csvfile.extra_columns(source, cleaning.source)
    work = clean_by_spark if submitted() else clean_natively  # decided before: free memory may differ by now
    cleaned = work(task, source, cleaning, staging, rejected)
    sampled, broken = silver.check_sample(
        cleaning.contract, staging, size=task.params["sample_size"], seed=task.params["sample_seed"]
    )
    found = silver.quality(cleaned, cleaning.contract, sampled, broken, task.params["max_reject_share"])
    found["ignored_columns"] = extra
    write_text(report_path, json.dumps(found, indent=1) + "\n")
    if not found["passed"]:
        shutil.rmtree(staging)
        shutil.rmtree(rejected)
        raise DataError(f"{source}: {'; '.join(found['problems'])}", f"the whole report is in {report_path}")
    quarantined = publish_quarantine(task, cleaning)
    facts = {key: found[key] for key in ("rows_in", "rejected", "rejected_by_reason", "duplicates", "ignored_columns")}
    content = fingerprint(cleaning.contract.schema_hash, cleaned.sums)
    facts["quarantine_fingerprint"] = quarantined
    return task.publish(
        staging, cleaning.contract, layout.silver(table), fingerprint=content, rows=cleaned.rows_out, facts=facts
    )


def needs_spark(task: Task) -> bool:
    """Whether Spark cleans: as configured, or where the CSV file is too large for this machine's memory."""
    wanted = os.environ.get(ETL_ENGINE, "auto")
    if wanted != "auto" or task.inputs["bronze"].kind == "absent":
        return wanted == "spark"
    needed = silver_native.BYTES_PER_CSV_BYTE * (task.root / task.inputs["bronze"].path).stat().st_size
    return bool(needed > psutil.virtual_memory().available)


def clean_natively(task: Task, source: Path, cleaning: Cleaning, staging: Path, rejected: Path) -> Cleaned:
    records = csvfile.records(source, cleaning.source, multiline=cleaning.multiline)
    return silver_native.clean(records, cleaning, staging, rejected, task.threads)


def clean_by_spark(task: Task, source: Path, cleaning: Cleaning, staging: Path, rejected: Path) -> Cleaned:
    from reco_platform import silver_spark  # noqa: PLC0415

    parsed = staging.with_name(f"staging-{cleaning.contract.name}.csv.parquet")  # Spark passes over names with a _
    try:
        csvfile.to_parquet(source, cleaning.source, parsed, multiline=cleaning.multiline)
        return silver_spark.clean(spark_session(task.step.name, task.log_level), parsed, cleaning, staging, rejected)
    finally:
        parsed.unlink(missing_ok=True)


def publish_quarantine(task: Task, cleaning: Cleaning) -> str:
    """Publishes the rejected rows, also where there are none; gives their fingerprint."""
    folder = task.root / layout.quarantine(cleaning.contract.name)
    staged = storage.staging_name(folder)
    schema = rejected_schema(cleaning)
    files = storage.data_files(staged)
    if not files:
        files = [staged / "part-00000.parquet"]
        pq.write_table(schema.empty_table(), files[0])
    rows = pa.concat_tables([pq.read_table(path) for path in files]).cast(schema)
    content = fingerprint(schema_hash(arrow_fields(schema)), arrow_sums(rows, schema.names))
    storage.publish_table(
        staged, folder, storage_format=task.params["storage_format"], schema=schema, partition_by=(),
        fingerprint=content, rows=len(rows),
    )  # fmt: skip
    return content
