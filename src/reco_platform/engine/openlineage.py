"""The lineage of a run as OpenLineage events (https://openlineage.io), one JSON line each.

The events are stored beside the run's journal. Each attempt at a step is an OpenLineage run whose parent is the whole
invocation. Its inputs and outputs are datasets, named by their location.
"""

from __future__ import annotations

import json
import platform
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

import pyarrow as pa

from reco_platform.contracts.tables import CONTRACTS, Contract
from reco_platform.engine import journal
from reco_platform.fingerprint.spec import arrow_type
from reco_platform.lakehouse import tables
from reco_platform.lakehouse.receipts import Receipt
from reco_platform.store import paths as store_paths

SUFFIX = ".openlineage.jsonl"
NAMESPACE = "reco-platform"
INVOCATION = "pipeline"
"""Job name of a whole invocation."""

PRODUCER = "urn:reco-platform:openlineage:1"
SPEC = "https://openlineage.io/spec"
MODEL = f"{SPEC}/2-0-2/OpenLineage.json#/$defs"

Kind = Literal["START", "COMPLETE", "FAIL"]
Facets = dict[str, dict[str, Any]]

FACET_SCHEMAS = {
    "columnLineage": ("ColumnLineageDatasetFacet", "1-2-0"),
    "errorMessage": ("ErrorMessageRunFacet", "1-0-1"),
    "executionParameters": ("ExecutionParametersRunFacet", "1-0-0"),
    "outputStatistics": ("OutputStatisticsOutputDatasetFacet", "1-0-2"),
    "parent": ("ParentRunFacet", "1-2-0"),
    "schema": ("SchemaDatasetFacet", "1-2-0"),
    "storage": ("StorageDatasetFacet", "1-0-1"),
    "version": ("DatasetVersionDatasetFacet", "1-0-1"),
}
"""Standard facets: title and version of each one's schema."""

CUSTOM_FACETS = {"recoPlatform_step": "RunFacet", "recoPlatform_sourceCode": "JobFacet"}
"""Custom facets, each with its base type; the OpenLineage model allows any content in them."""


# --- column lineage


@dataclass(frozen=True)
class ColumnSources:
    """The source columns of a table's columns; a column that is not listed comes from no column.

    Attributes:
        source: the step's input that contains the source columns.
        copied: columns that are copies of a source column.
        computed: columns that are computed from source columns.
    """

    source: str
    copied: Mapping[str, str]
    computed: Mapping[str, tuple[str, ...]]

    def edges(self) -> Iterator[tuple[str, str, str]]:
        """Each (column, source column, kind of transformation)."""
        yield from ((column, origin, "IDENTITY") for column, origin in self.copied.items())
        yield from (
            (column, origin, "TRANSFORMATION") for column, origins in self.computed.items() for origin in origins
        )


PARSED_IDS = {"user_id": ("userId",), "movie_id": ("movieId",)}
COPIED_IDS = {"user_id": "user_id", "movie_id": "movie_id"}
COLUMNS = {
    "ratings": ColumnSources(
        "bronze",
        {},
        PARSED_IDS
        | {"rating": ("rating",), "rating_ts": ("timestamp",), "year": ("timestamp",), "month": ("timestamp",)},
    ),
    "movies": ColumnSources(
        "bronze",
        {"title": "title", "genres_string": "genres"},
        {"movie_id": ("movieId",), "genres": ("genres",), "release_year": ("title",)},
    ),
    "tags": ColumnSources(
        "bronze",
        {"tag": "tag"},
        PARSED_IDS | {"tag_ts": ("timestamp",), "year": ("timestamp",), "month": ("timestamp",)},
    ),
    "users": ColumnSources("bronze", {"source_id": "source_id"}, {"user_id": ("source_id",)}),
    "items": ColumnSources("bronze", {"source_id": "source_id"}, {"movie_id": ("source_id",)}),
    "interactions": ColumnSources(
        "ratings",
        COPIED_IDS | {"rating": "rating", "rating_ts": "rating_ts"},
        {"user_index": ("user_id",), "movie_index": ("movie_id",), "fold": ("user_id", "movie_id", "rating_ts")},
    ),
    # Scores come from the model, which has no columns; the interactions say which movies a user has seen.
    "recommendations_als": ColumnSources(
        "interactions", {"user_id": "user_id"}, {"recommendations": ("user_id", "movie_id")}
    ),
    "recommendations_fallback": ColumnSources(
        "interactions", {"user_id": "user_id"}, {"recommendations": ("user_id", "movie_id", "rating_ts")}
    ),
}
FOLD_SOURCES = {"global_time": ("rating_ts",), "random": ("user_id", "movie_id")}
"""Source columns of a fold for splits that do not use all three: see splits.split."""


def column_sources(receipt: Receipt) -> ColumnSources | None:
    """The column sources of a table; None if they are not known."""
    name = Path(receipt.path).name
    found = COLUMNS.get(name) if receipt.kind == "table" else None
    split = receipt.made_from.get("params", {}).get("split")
    if found is None or split not in FOLD_SOURCES:
        return found
    return ColumnSources(found.source, found.copied, {**found.computed, "fold": FOLD_SOURCES[split]})


def csv_columns(table: str) -> list[str]:
    """The columns that cleaning reads from a CSV file."""
    return list(dict.fromkeys(origin for _, origin, _ in COLUMNS[table].edges()))


# --- facets


def facet(name: str, **content: Any) -> Facets:
    return {name: {"_producer": PRODUCER, "_schemaURL": schema_url(name), **content}}


def schema_url(name: str) -> str:
    if name in CUSTOM_FACETS:
        return f"{MODEL}/{CUSTOM_FACETS[name]}"
    title, version = FACET_SCHEMAS[name]
    return f"{SPEC}/facets/{version}/{title}.json#/$defs/{title}"


def schema_facet(receipt: Receipt) -> Facets:
    """The columns of a table by its contract, or the columns that are read from a CSV file."""
    name = Path(receipt.path).stem
    if receipt.kind == "table" and name in CONTRACTS:
        return facet("schema", fields=contract_fields(CONTRACTS[name]))
    if receipt.format == "csv" and name in COLUMNS:
        return facet("schema", fields=[{"name": column, "type": "string"} for column in csv_columns(name)])
    return {}


def contract_fields(contract: Contract) -> list[dict[str, Any]]:
    return [{**field_schema(field.name, field.type), "description": field.description} for field in contract.fields]


def field_schema(name: str, kind: pa.DataType) -> dict[str, Any]:
    """A column's name and type; for a list of structs also the fields of the struct."""
    element = kind.value_type if pa.types.is_list(kind) else kind
    fields = [field_schema(field.name, field.type) for field in element] if pa.types.is_struct(element) else []
    return {"name": name, "type": arrow_type(kind), **({"fields": fields} if fields else {})}


def column_lineage_facet(root: str, receipt: Receipt, inputs: Mapping[str, Receipt]) -> Facets:
    columns = column_sources(receipt)
    if columns is None or columns.source not in inputs:
        return {}
    source = dataset_name(root, inputs[columns.source].artifact)
    fields: dict[str, dict[str, Any]] = {}
    for column, origin, kind in columns.edges():
        transformations = [{"type": "DIRECT", "subtype": kind}]
        input_field = {**source, "field": origin, "transformations": transformations}
        fields.setdefault(column, {"inputFields": []})["inputFields"].append(input_field)
    return facet("columnLineage", fields=fields)


# --- datasets


def dataset_name(root: str, artifact: str) -> dict[str, Any]:
    """Namespace and name of a dataset, by OpenLineage's naming rules.

    These are `file` and an absolute path, or the address of a store and the path there.
    """
    if "://" in root:
        parts = urlsplit(root)
        return {"namespace": f"{parts.scheme}://{parts.netloc}", "name": f"{parts.path.rstrip('/')}/{artifact}"}
    return {"namespace": "file", "name": str(Path(root).resolve() / artifact)}


def dataset(root: str, receipt: Receipt) -> dict[str, Any]:
    """A dataset at the version in a receipt: the Delta version, the model version, or the content's fingerprint."""
    versions = (receipt.version, receipt.facts.get("model_version"), receipt.fingerprint)
    version = next(str(value) for value in versions if value is not None)
    layer = "delta" if receipt.version is not None else receipt.kind
    content = "parquet" if receipt.kind in {"table", "model"} else receipt.format
    facets = facet("version", datasetVersion=version) | facet("storage", storageLayer=layer, fileFormat=content)
    return {**dataset_name(root, receipt.artifact), "facets": facets | schema_facet(receipt)}


def output_dataset(root: str, receipt: Receipt, inputs: Mapping[str, Receipt]) -> dict[str, Any]:
    """An output dataset, with its number of rows and bytes and its column lineage."""
    found = dataset(root, receipt)
    rows = {"rowCount": receipt.rows} if receipt.kind == "table" else {}
    found["facets"] |= column_lineage_facet(root, receipt, inputs)
    size = tables.content_bytes(store_paths.store_path(root), receipt)
    return {**found, "outputFacets": facet("outputStatistics", **rows, size=size)}


def present(found: Iterable[Receipt]) -> list[Receipt]:
    """The receipts of results that exist: a data set may have no tags."""
    return [receipt for receipt in found if receipt.kind != "absent"]


# --- runs


def run_id(path: Path) -> str:
    """The OpenLineage run id of an invocation, derived from the path of its journal."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"file://{platform.node()}{path}"))


def attempt_id(path: Path, step: str, artifact: str, started: float) -> str:
    return str(uuid.uuid5(uuid.UUID(run_id(path)), f"{step} {artifact} {started!r}"))


def parent_facet(path: Path) -> Facets:
    return facet("parent", run={"runId": run_id(path)}, job={"namespace": NAMESPACE, "name": INVOCATION})


def error_facet(message: str) -> Facets:
    return facet("errorMessage", message=message, programmingLanguage="PYTHON")


def parameters_facet(values: Mapping[str, Any]) -> Facets:
    """The parameters of a run, as text."""
    texts = {key: value if isinstance(value, str) else json.dumps(value) for key, value in values.items()}
    return facet("executionParameters", parameters=[{"key": key, "value": text} for key, text in texts.items()])


def run_event(
    kind: Kind,
    run: str,
    job: str,
    *,
    run_facets: Facets | None = None,
    job_facets: Facets | None = None,
    inputs: Sequence[dict[str, Any]] = (),
    outputs: Sequence[dict[str, Any]] = (),
) -> dict[str, Any]:
    """A run event with the current time.

    Args:
        kind: of the event.
        run: UUID of the run.
        job: name of the job.
        run_facets: facets of the run.
        job_facets: facets of the job.
        inputs: datasets that were read.
        outputs: datasets that were written.
    """
    return {
        "eventType": kind,
        "eventTime": journal.utc_now(),
        "producer": PRODUCER,
        "schemaURL": f"{MODEL}/RunEvent",
        "run": {"runId": run, "facets": run_facets or {}},
        "job": {"namespace": NAMESPACE, "name": job, "facets": job_facets or {}},
        "inputs": list(inputs),
        "outputs": list(outputs),
    }


def lineage_path(path: Path) -> Path:
    return path.with_suffix(SUFFIX)


def emit(path: Path, event: dict[str, Any]) -> None:
    """Appends an event to the lineage of a run; `path` is the run's journal."""
    journal.append(lineage_path(path), json.dumps(event, ensure_ascii=False))


def emit_invocation(kind: Kind, path: Path, facets: Facets) -> None:
    """Appends an event of the whole invocation."""
    emit(path, run_event(kind, run_id(path), INVOCATION, run_facets=facets))


def emit_missing_ends(path: Path) -> None:
    """Appends a FAIL event for each attempt that exited without reporting its end."""
    for end in journal.attempt_ends(journal.read(path)):
        if end.why == [journal.NO_EXIT_EVENT] and end.attempt:
            facets = parent_facet(path) | error_facet(journal.NO_EXIT_EVENT)
            emit(path, run_event("FAIL", end.attempt, end.step, run_facets=facets))
