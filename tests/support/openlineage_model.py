"""OpenLineage's own Python model: whether an event is one that it could have written."""

from __future__ import annotations

import json
from typing import Any

from openlineage.client import event_v2, facet_v2
from openlineage.client.serde import Serde

FACETS = {
    "columnLineage": facet_v2.column_lineage_dataset.ColumnLineageDatasetFacet,
    "errorMessage": facet_v2.error_message_run.ErrorMessageRunFacet,
    "executionParameters": facet_v2.execution_parameters_run.ExecutionParametersRunFacet,
    "outputStatistics": facet_v2.output_statistics_output_dataset.OutputStatisticsOutputDatasetFacet,
    "parent": facet_v2.parent_run.ParentRunFacet,
    "schema": facet_v2.schema_dataset.SchemaDatasetFacet,
    "storage": facet_v2.storage_dataset.StorageDatasetFacet,
    "version": facet_v2.dataset_version_dataset.DatasetVersionDatasetFacet,
    "recoPlatform_step": facet_v2.RunFacet,
    "recoPlatform_sourceCode": facet_v2.JobFacet,
}
PARTS = {
    ("schema", "fields"): facet_v2.schema_dataset.SchemaDatasetFacetFields,
    ("parent", "run"): facet_v2.parent_run.Run,
    ("parent", "job"): facet_v2.parent_run.Job,
    ("executionParameters", "parameters"): facet_v2.execution_parameters_run.ExecutionParameter,
}


def checked(event: dict[str, Any]) -> event_v2.RunEvent:
    """The event as the model's objects, which refuse what they do not know and lack nothing that they need.

    Raises:
        AssertionError: if the model would write other JSON.
    """
    run, job = event["run"], event["job"]
    built = event_v2.RunEvent(
        eventType=event_v2.RunState[event["eventType"]],
        eventTime=event["eventTime"],
        producer=event["producer"],
        run=event_v2.Run(run["runId"], facets(run["facets"])),
        job=event_v2.Job(job["namespace"], job["name"], facets(job["facets"])),
        inputs=[
            event_v2.InputDataset(one["namespace"], one["name"], facets=facets(one["facets"]))
            for one in event["inputs"]
        ],
        outputs=[
            event_v2.OutputDataset(
                one["namespace"], one["name"], facets=facets(one["facets"]), outputFacets=facets(one["outputFacets"])
            )
            for one in event["outputs"]
        ],
    )
    written = json.loads(Serde.to_json(built))
    assert without_empty(written) == without_empty(event)
    return built


def facets(found: dict[str, Any]) -> dict[str, Any]:
    return {name: facet(name, content) for name, content in found.items()}


def facet(name: str, content: dict[str, Any]) -> Any:
    rest = {key: part(name, key, value) for key, value in content.items() if not key.startswith("_")}
    model = FACETS[name]
    if name.startswith("recoPlatform_"):
        built = model(producer=content["_producer"]).with_additional_properties(**rest)
    else:
        built = model(producer=content["_producer"], **rest)
    assert content["_schemaURL"] == model._get_schema()
    return built


def part(name: str, key: str, value: Any) -> Any:
    model = PARTS.get((name, key))
    if name == "columnLineage":
        return {column: lineage(one) for column, one in value.items()}
    if model is None:
        return value
    return [nested(model, one) for one in value] if isinstance(value, list) else model(**value)


def nested(model: Any, value: dict[str, Any]) -> Any:
    below = {"fields": [nested(model, one) for one in value["fields"]]} if "fields" in value else {}
    return model(**{**value, **below})


def lineage(found: dict[str, Any]) -> Any:
    column = facet_v2.column_lineage_dataset
    inputs = [
        column.InputField(
            **{**one, "transformations": [column.Transformation(**how) for how in one["transformations"]]}
        )
        for one in found["inputFields"]
    ]
    return column.Fields(inputFields=inputs)


def without_empty(value: Any) -> Any:
    """Without what says nothing: null, and empty lists and objects."""
    if isinstance(value, dict):
        kept = {key: without_empty(one) for key, one in value.items()}
        return {key: one for key, one in kept.items() if one not in (None, [], {})}
    return [without_empty(one) for one in value] if isinstance(value, list) else value
