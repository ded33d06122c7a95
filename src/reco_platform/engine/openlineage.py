"""The lineage of a run for other tools: OpenLineage run events (https://openlineage.io), one JSON line each.

The events of a run stand beside its journal. Each attempt at a step is an OpenLineage run of its own, with the whole
invocation as its parent; what it read and made are datasets, named by their places.
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
"""The job that a whole invocation is a run of."""

PRODUCER = "urn:reco-platform:openlineage:1"
SPEC = "https://openlineage.io/spec"
MODEL = f"{SPEC}/2-0-2/OpenLineage.json#/$defs"

Kind = Literal["START", "COMPLETE", "FAIL"]
Facets = dict[str, dict[str, Any]]

SCHEMAS = {
    "columnLineage": ("ColumnLineageDatasetFacet", "1-2-0"),
    "errorMessage": ("ErrorMessageRunFacet", "1-0-1"),
    "executionParameters": ("ExecutionParametersRunFacet", "1-0-0"),
    "outputStatistics": ("OutputStatisticsOutputDatasetFacet", "1-0-2"),
    "parent": ("ParentRunFacet", "1-2-0"),
    "schema": ("SchemaDatasetFacet", "1-2-0"),
    "storage": ("StorageDatasetFacet", "1-0-1"),
    "version": ("DatasetVersionDatasetFacet", "1-0-1"),
}
"""The specification's facets, each with the version of its schema."""

OURS = {"recoPlatform_step": "RunFacet", "recoPlatform_sourceCode": "JobFacet"}
"""Facets of our own, each with the kind that it is one of: the model allows any content."""


# --- which columns come from which


@dataclass(frozen=True)
class Columns:
    """Where a table's columns come from; a column that stands in neither has its values from no column.

    Attributes:
        source: the step's input that holds the columns behind them.
        same: columns that repeat one of the source's.
        made: columns computed from some of the source's.
    """

    source: str
    same: Mapping[str, str]
    made: Mapping[str, tuple[str, ...]]

    def inputs(self) -> Iterator[tuple[str, str, str]]:
        """Each column, one behind it, and the kind of transformation between them."""
        yield from ((column, behind, "IDENTITY") for column, behind in self.same.items())
        yield from ((column, one, "TRANSFORMATION") for column, behind in self.made.items() for one in behind)


KEYS = {"user_id": ("userId",), "movie_id": ("movieId",)}
PAIR = {"user_id": "user_id", "movie_id": "movie_id"}
COLUMNS = {
    "ratings": Columns(
        "bronze",
        {},
        KEYS | {"rating": ("rating",), "rating_ts": ("timestamp",), "year": ("timestamp",), "month": ("timestamp",)},
    ),
    "movies": Columns(
        "bronze",
        {"title": "title", "genres_string": "genres"},
        {"movie_id": ("movieId",), "genres": ("genres",), "release_year": ("title",)},
    ),
    "tags": Columns(
        "bronze",
        {"tag": "tag"},
        KEYS | {"tag_ts": ("timestamp",), "year": ("timestamp",), "month": ("timestamp",)},
    ),
    "interactions": Columns(
        "ratings",
        PAIR | {"rating": "rating", "rating_ts": "rating_ts"},
        {"user_index": ("user_id",), "movie_index": ("movie_id",), "fold": ("user_id", "movie_id", "rating_ts")},
    ),
    # Scores come from the model, which has no columns; which movies a user has seen comes from here.
    "recommendations_als": Columns(
        "interactions", {"user_id": "user_id"}, {"recommendations": ("user_id", "movie_id")}
    ),
    "recommendations_fallback": Columns(
        "interactions", {"user_id": "user_id"}, {"recommendations": ("user_id", "movie_id", "rating_ts")}
    ),
}
FOLD_FROM = {"global_time": ("rating_ts",), "random": ("user_id", "movie_id")}
"""What a fold comes from where it is less than all three: see splits.split."""


def columns_of(receipt: Receipt) -> Columns | None:
    """Where the columns of a table come from, as it was made."""
    name = Path(receipt.path).name
    found = COLUMNS.get(name) if receipt.kind == "table" else None
    split = receipt.made_from.get("params", {}).get("split")
    if found is None or split not in FOLD_FROM:
        return found
    return Columns(found.source, found.same, {**found.made, "fold": FOLD_FROM[split]})


def csv_columns(table: str) -> list[str]:
    """The columns that are read of a CSV file."""
    return list(dict.fromkeys(behind for _, behind, _ in COLUMNS[table].inputs()))


# --- facets


def facet(name: str, **content: Any) -> Facets:
    return {name: {"_producer": PRODUCER, "_schemaURL": schema_url(name), **content}}


def schema_url(name: str) -> str:
    if name in OURS:
        return f"{MODEL}/{OURS[name]}"
    title, version = SCHEMAS[name]
    return f"{SPEC}/facets/{version}/{title}.json#/$defs/{title}"


def schema(receipt: Receipt) -> Facets:
    """The columns of a table by its contract, or of a CSV file those that are read."""
    name = Path(receipt.path).stem
    if receipt.kind == "table" and name in CONTRACTS:
        return facet("schema", fields=contract_fields(CONTRACTS[name]))
    if receipt.format == "csv" and name in COLUMNS:
        return facet("schema", fields=[{"name": column, "type": "string"} for column in csv_columns(name)])
    return {}


def contract_fields(contract: Contract) -> list[dict[str, Any]]:
    return [{**typed(field.name, field.type), "description": field.description} for field in contract.fields]


def typed(name: str, kind: pa.DataType) -> dict[str, Any]:
    """A column's name and type; of a list of structs the struct's fields too."""
    below = kind.value_type if pa.types.is_list(kind) else kind
    fields = [typed(field.name, field.type) for field in below] if pa.types.is_struct(below) else []
    return {"name": name, "type": arrow_type(kind), **({"fields": fields} if fields else {})}


def column_lineage(root: str, receipt: Receipt, inputs: Mapping[str, Receipt]) -> Facets:
    columns = columns_of(receipt)
    if columns is None or columns.source not in inputs:
        return {}
    source = place(root, inputs[columns.source].artifact)
    fields: dict[str, dict[str, Any]] = {}
    for column, behind, kind in columns.inputs():
        transformations = [{"type": "DIRECT", "subtype": kind}]
        one = {**source, "field": behind, "transformations": transformations}
        fields.setdefault(column, {"inputFields": []})["inputFields"].append(one)
    return facet("columnLineage", fields=fields)


# --- datasets


def place(root: str, artifact: str) -> dict[str, Any]:
    """A dataset by its name alone.

    Named as the specification's naming page says: `file` and an absolute path, or a store's address and the path there.
    """
    if "://" in root:
        parts = urlsplit(root)
        return {"namespace": f"{parts.scheme}://{parts.netloc}", "name": f"{parts.path.rstrip('/')}/{artifact}"}
    return {"namespace": "file", "name": str(Path(root).resolve() / artifact)}


def dataset(root: str, receipt: Receipt) -> dict[str, Any]:
    """A dataset at the version that a receipt names: Delta's, a model's, or the content's fingerprint."""
    versions = (receipt.version, receipt.facts.get("model_version"), receipt.fingerprint)
    version = next(str(one) for one in versions if one is not None)
    layer = "delta" if receipt.version is not None else receipt.kind
    content = "parquet" if receipt.kind in {"table", "model"} else receipt.format
    facets = facet("version", datasetVersion=version) | facet("storage", storageLayer=layer, fileFormat=content)
    return {**place(root, receipt.artifact), "facets": facets | schema(receipt)}


def output(root: str, receipt: Receipt, inputs: Mapping[str, Receipt]) -> dict[str, Any]:
    """The same with what was written: rows, bytes, and where each column comes from."""
    found = dataset(root, receipt)
    rows = {"rowCount": receipt.rows} if receipt.kind == "table" else {}
    found["facets"] |= column_lineage(root, receipt, inputs)
    size = tables.content_bytes(store_paths.store_path(root), receipt)
    return {**found, "outputFacets": facet("outputStatistics", **rows, size=size)}


def there(found: Iterable[Receipt]) -> list[Receipt]:
    """Those that stand for something: a data set may have no tags."""
    return [receipt for receipt in found if receipt.kind != "absent"]


# --- runs


def run_id(path: Path) -> str:
    """The identity of an invocation, which every process of it finds from its journal."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"file://{platform.node()}{path}"))


def attempt_id(path: Path, step: str, artifact: str, started: float) -> str:
    return str(uuid.uuid5(uuid.UUID(run_id(path)), f"{step} {artifact} {started!r}"))


def parent(path: Path) -> Facets:
    return facet("parent", run={"runId": run_id(path)}, job={"namespace": NAMESPACE, "name": INVOCATION})


def error(message: str) -> Facets:
    return facet("errorMessage", message=message, programmingLanguage="PYTHON")


def parameters(values: Mapping[str, Any]) -> Facets:
    """Parameters of a run, each as text."""
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
    """One event, as of now.

    Args:
        kind: what happened to the run.
        run: its UUID.
        job: name of what runs.
        run_facets: what is known of this run.
        job_facets: what is known of the job.
        inputs: datasets that were read.
        outputs: datasets that were made.
    """
    return {
        "eventType": kind,
        "eventTime": journal.clock(),
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
    """Adds an event to the lineage of the run whose journal this is."""
    journal.append(lineage_path(path), json.dumps(event, ensure_ascii=False))


def emit_of_run(kind: Kind, path: Path, facets: Facets) -> None:
    """Adds an event of the whole invocation."""
    emit(path, run_event(kind, run_id(path), INVOCATION, run_facets=facets))


def emit_unsaid(path: Path) -> None:
    """Ends the attempts that could not say their own end."""
    for end in journal.endings(journal.read(path)):
        if end.why == [journal.NO_EXIT_EVENT] and end.attempt:
            emit(path, run_event("FAIL", end.attempt, end.step, run_facets=parent(path) | error(journal.NO_EXIT_EVENT)))
