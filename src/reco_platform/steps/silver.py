"""The work of the three silver steps: read a CSV file, clean it, write a report, publish table and quarantine."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import psutil  # type: ignore[import-untyped]
import pyarrow as pa
import pyarrow.parquet as pq

from reco_platform.cleaning import native, quality, ratings, rejections
from reco_platform.cleaning.movies import genre_spellings
from reco_platform.cleaning.quality import CleaningResult
from reco_platform.cleaning.rules import CleaningRules, rejected_schema
from reco_platform.config import commands
from reco_platform.contracts.spark_settings import RESULT_SETTINGS
from reco_platform.contracts.tables import RATINGS
from reco_platform.core import environment
from reco_platform.core.errors import DataError
from reco_platform.core.progress import reported
from reco_platform.core.rating_scale import RatingScale, parse_rating_scale
from reco_platform.datasets import csv_reader
from reco_platform.datasets.inspection.remedy import remedy
from reco_platform.engine.task import QUALITY_FINGERPRINT, Task
from reco_platform.fingerprint.arrow import arrow_sums
from reco_platform.fingerprint.files import file_fingerprint
from reco_platform.fingerprint.spec import arrow_fields, fingerprint, schema_hash
from reco_platform.lakehouse import layout, publish, quarantine, tables
from reco_platform.lakehouse.receipts import Receipt
from reco_platform.spark.session import spark_session
from reco_platform.spark.submit import in_spark_submit
from reco_platform.store.atomic_write import write_text
from reco_platform.store.paths import StorePath, arrow_sink, arrow_source, move_file, remove_tree

SAMPLED_BYTES = 1 << 18


def ratings_table(task: Task) -> Receipt:
    """Makes the ratings on the scale of the data set; see `silver_table`."""
    return silver_table(task, ratings.cleaning(parse_rating_scale(task.params["rating_scale"] or str(RatingScale()))))


def silver_table(task: Task, rules: CleaningRules) -> Receipt:
    """Makes a silver table, its quarantine and its quality report.

    Raises:
        DataError: if the file is malformed or a check fails; the quality report is written first.
    """
    table = rules.contract.name
    report_path = task.root / task.lakehouse.quality_report(table)
    if task.inputs["bronze"].kind == "absent":
        task.log(f"there is no {table}.csv: skipped")
        facts = write_report(report_path, {"table": table, "absent": True, "passed": True})
        return Receipt(task.artifact, "absent", layout.silver(table), facts=facts)
    source = task.path("bronze")
    by_spark = in_spark_submit()  # decided before the start of Spark: free memory may have changed since
    new_folder = publish.create_shared_staging_folder if by_spark else publish.create_staging_folder
    staging, rejected = (new_folder(task.root / path) for path in (layout.silver(table), layout.quarantine(table)))
    extra = csv_reader.extra_columns(source, rules.source_columns)
    if extra:
        task.log(f"ignored columns of {source.name}: {', '.join(map(repr, extra))}")
    cleaned = (clean_by_spark if by_spark else clean_natively)(task, source, rules, staging, rejected)
    sampled, violations = quality.check_sample(
        rules.contract, staging, size=task.params["sample_size"], seed=task.params["sample_seed"]
    )
    found = quality.quality_report(cleaned, rules.contract, sampled, violations, task.params["max_reject_share"])
    found["ignored_columns"] = extra
    report_spellings(task, rules, staging, found)
    if not found["passed"]:
        remove_tree(staging)
        raise not_clean(task, rules, source, rejected, report=report_path, found=found)
    written = write_report(report_path, found)
    remove_tree(task.root / layout.rejected_by_failed_run(table))
    quarantined = publish_quarantine(task, rules, rejected)
    facts = {key: found[key] for key in ("rows_in", "rejected", "rejected_by_reason", "duplicates", "ignored_columns")}
    content = fingerprint(rules.contract.schema_hash, cleaned.sums)
    facts |= {quarantine.FINGERPRINT_FACT: quarantined, **written}
    return task.publish(staging, rules.contract, fingerprint=content, rows=cleaned.rows_out, facts=facts)


def not_clean(
    task: Task, rules: CleaningRules, source: Path, rejected: StorePath, *, report: StorePath, found: dict[str, Any]
) -> DataError:
    """Writes the quality report of a table that is not published, keeps its rejected rows, and says why it stops."""
    counts = found["rejected_by_reason"]
    examples = rejections.first_examples(source, rules, counts)
    if examples:
        found["examples"] = {rule: examples[rule].as_json() for rule in counts}
    write_report(report, found)
    kept = keep_rejected_rows(task, rules, rejected)
    why = "; ".join(found["problems"]) + (f": {rejections.summary(counts, examples)}" if counts else "")
    accepted = accepted_with(task, source, found) if rules.contract.name == RATINGS.name else ""
    advice = [
        rejections.remedy(counts, rules),
        accepted,
        f"the rejected rows: {kept}" if kept else "",
        f"the quality report: {report}",
    ]
    return DataError(f"{source}: {why}", "; ".join(filter(None, advice)))


def accepted_with(task: Task, source: Path, found: Mapping[str, Any]) -> str:
    """The config with which rejected ratings would be accepted, in words; empty if none is known."""
    limit = max(task.params["max_reject_share"], 0.01) * found["rows_in"]
    broken = [rule for rule, rows in found["rejected_by_reason"].items() if rows >= limit]
    text, keys = remedy(source, broken, task.params)
    return f"{text}: {commands.ACCEPTED_WITH} {commands.options(keys)}" if keys else ""


def keep_rejected_rows(task: Task, rules: CleaningRules, rejected: StorePath) -> StorePath | None:
    """Moves the rejected rows to where people, and no other step, look for them; None if there are none."""
    target = task.root / layout.rejected_by_failed_run(rules.contract.name)
    remove_tree(target)
    files = tables.data_files(rejected)
    for file in files:
        move_file(file, target / file.name)
    remove_tree(rejected)
    return target if files else None


def report_spellings(task: Task, rules: CleaningRules, staging: StorePath, found: dict[str, Any]) -> None:
    """Notes genres that differ in case alone in the quality report and in the log; other tables have none."""
    if "genres" not in rules.contract.names:
        return
    columns = [pq.read_table(arrow_source(path), columns=["genres"])["genres"] for path in tables.data_files(staging)]
    spellings = genre_spellings([chunk for column in columns for chunk in column.chunks])
    if spellings:
        found["genre_spellings"] = spellings
        ways = (", ".join(f"{name} {movies:,}" for name, movies in names.items()) for names in spellings.values())
        task.log(f"genres that differ in case alone are kept apart: {'; '.join(ways)}")


def write_report(path: StorePath, found: dict[str, Any]) -> dict[str, str]:
    """Writes a quality report; returns the fact that refers to it in the table's receipt."""
    write_text(path, json.dumps(found, indent=1) + "\n")
    return {QUALITY_FINGERPRINT: file_fingerprint(path)}


def needs_spark(task: Task) -> bool:
    """Whether Spark cleans: as configured, or if the CSV file is too large for this machine's memory."""
    wanted = os.environ.get(environment.ETL_ENGINE, "auto")
    if wanted != "auto" or task.inputs["bronze"].kind == "absent":
        return wanted == "spark"
    needed = native.BYTES_PER_CSV_BYTE * (task.root / task.inputs["bronze"].path).stat().st_size
    return bool(needed > psutil.virtual_memory().available)


def clean_natively(
    task: Task, source: Path, rules: CleaningRules, staging: StorePath, rejected: StorePath
) -> CleaningResult:
    records = reported(
        csv_reader.read_records(source, rules.source_columns), task.log, "rows cleaned", expected_rows(source)
    )
    return native.clean(records, rules, cast("Path", staging), cast("Path", rejected), task.threads)


def expected_rows(source: Path) -> float:
    """About how many lines a file has, by its size and the length of its first lines."""
    with source.open("rb") as file:
        beginning = file.read(SAMPLED_BYTES)
    return source.stat().st_size * (beginning.count(b"\n") + 1) / max(1, len(beginning))


def clean_by_spark(
    task: Task, source: Path, rules: CleaningRules, staging: StorePath, rejected: StorePath
) -> CleaningResult:
    from reco_platform.cleaning import spark  # noqa: PLC0415

    parsed = staging.with_name(f"staging-{rules.contract.name}.csv.parquet")  # Spark ignores names that start with _
    try:
        csv_reader.convert_to_parquet(source, rules.source_columns, parsed)
        return spark.clean(
            spark_session(task.step.name, RESULT_SETTINGS, task.log_level), parsed, rules, staging, rejected
        )
    finally:
        parsed.unlink(missing_ok=True)


def publish_quarantine(task: Task, rules: CleaningRules, staged: StorePath) -> str:
    """Publishes the rejected rows, even if there are none; returns their fingerprint."""
    schema = rejected_schema(rules)
    files = tables.data_files(staged)
    if not files:
        files = [staged / "part-00000.parquet"]
        with arrow_sink(files[0]) as file:
            pq.write_table(schema.empty_table(), file)
    rows = pa.concat_tables([pq.read_table(arrow_source(path)) for path in files]).cast(schema)
    content = fingerprint(schema_hash(arrow_fields(schema)), arrow_sums(rows, schema.names))
    path = layout.quarantine(rules.contract.name)
    task.publish_rows(staged, path, schema, (), fingerprint=content, rows=len(rows))
    return content
