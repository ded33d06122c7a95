"""A new step and a new config key are one entry each: everything else follows."""

from __future__ import annotations

import json

import pytest

from support.project import Project

pytestmark = pytest.mark.pipeline

KEY = """    busy_from: int = key(
        5, ge=1, le=1000, description="Ratings from which a user counts as busy", shapes=("busy_users",),
        env="RECO_BUSY_FROM",
    )  # fmt: skip
"""
ENTRY = """    step(
        "busy_users", "busy_users", "gold", kind="file", artifact="gold/metrics/_busy/busy_users",
        content=_VERSIONED_JSON, reads=("interactions", "model"), version_of="model",
        description="The number of users with many ratings.",
    ),
"""
MODULE = '''"""Counts the users with many ratings."""

import json

import pyarrow.compute as pc

from reco_platform.engine.task import Task
from reco_platform.lakehouse.receipts import Receipt


def work(task: Task) -> Receipt:
    counts = pc.value_counts(task.open("interactions").read(["user_id"])["user_id"]).field("counts")
    busy = pc.sum(pc.greater_equal(counts, task.params["busy_from"])).as_py()
    version = task.inputs["model"].facts["model_version"]
    return task.publish_file(json.dumps({"busy": busy}) + "\\n", {"model_version": version}, version)
'''
SCRIPT = '''"""Counts the users with many ratings."""

import sys

from reco_platform.engine.runner import run
from reco_platform.pipeline.steps_table import STEPS
from reco_platform.steps.busy_users import work

if __name__ == "__main__":
    sys.exit(run(STEPS["busy_users"], __doc__, work))
'''


def added(project: Project) -> Project:
    """The project with the step `busy_users` and its key `busy_from`, and what `make docs` generates."""
    source = project.path("src/reco_platform")
    project.edit("src/reco_platform/config/model.py", "    tracking: bool = key(", f"{KEY}    tracking: bool = key(")
    at = '    step(\n        "gate", "gate"'
    project.edit("src/reco_platform/pipeline/steps_table.py", at, f"{ENTRY}{at}")
    (source / "steps" / "busy_users.py").write_text(MODULE, "utf-8")
    project.path("scripts/busy_users.py").write_text(SCRIPT, "utf-8")
    assert project.generate_docs().code == 0
    return project


def states(project: Project, **config: object) -> dict[str, str]:
    return {one["step"]: one["state"] for one in project.status(**config)["steps"]}


def test_a_step_is_one_entry_and_a_key_is_one_field(built: Project) -> None:
    project = added(built)
    before = states(project)
    assert before.pop("busy_users") == "works"
    assert set(before.values()) == {"up to date"}, "no other step is stale"

    run = project.gold()
    assert run.worked == {"busy_users"}
    receipt = project.receipt("gold/metrics/_busy/busy_users")
    content = json.loads((project.lakehouse() / receipt["path"]).read_text("utf-8"))
    assert receipt["made_from"]["params"] == {"busy_from": 5} and content["busy"] > 0
    assert states(project, busy_from=7)["busy_users"] == "works", "the key shapes the step"
    assert project.gold(busy_from=7).worked == {"busy_users"}
    assert project.gold(env={"RECO_BUSY_FROM": "7"}).worked == set(), "its environment variable sets it"

    said = project.reco("validate")
    assert said.code == 0 and "busy_users exists" in said.output
    assert "busy_users" in project.reco("explain", "busy_users").output
    project.path("results/small/gold/metrics/_busy/busy_users_old-version.json").write_text("{}", "utf-8")
    assert "busy_users_old-version.json" in project.reco("prune", retain_versions=1).output


def test_docs_rules_and_forms_follow_the_table(built: Project) -> None:
    project = added(built)
    assert "rule busy_users:" in project.path("rules/gold.smk").read_text("utf-8")
    assert "| `busy_users` |" in project.path("docs/steps.md").read_text("utf-8")
    assert "| `busy_from` | `5` |" in project.path("docs/configuration.md").read_text("utf-8")
    assert "busy_from: 5" in project.path("config/config.yaml").read_text("utf-8")
    assert "#RECO_BUSY_FROM=5" in project.path(".env.example").read_text("utf-8")
    schema = json.loads(project.path("config/config.schema.json").read_text("utf-8"))["properties"]["busy_from"]
    assert (schema["minimum"], schema["x-env"]) == (1, "RECO_BUSY_FROM"), "Airflow's form is made from this schema"
