"""What MLflow holds after a run, who is champion, and what becomes of a run when the store does not do its part."""

from __future__ import annotations

import json
import os
import re
import resource
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from reco_platform.config.load import load_config
from reco_platform.lakehouse.layout import Lakehouse
from reco_platform.models.als.model import Side, model_fingerprint, read_model, write_side
from reco_platform.pipeline.steps_table import STEPS, artifact_of, input_artifacts
from reco_platform.tracking.mlflow_worker import EXPERIMENT
from support import mlflow_server as servers
from support.project import QUICK, Project, Run

pytestmark = [pytest.mark.pipeline, pytest.mark.xdist_group("mlflow")]

FIRST = {"rank": 6, "reg_param": 0.01}  # on so few ratings, the less a model learns the better it is
WORSE = {"rank": 6, "reg_param": 0.001}
URI = "MLFLOW_TRACKING_URI"
WITHIN = 15.0


@pytest.fixture
def server(mlflow_server: str) -> str:
    return mlflow_server


@pytest.fixture
def name(request: pytest.FixtureRequest) -> str:
    """A registered model of the test's own."""
    return f"test-{abs(hash(request.node.nodeid))}"


@pytest.fixture(scope="module")
def whole(built_run: tuple[Project, Run], tmp_path_factory: pytest.TempPathFactory) -> tuple[Project, Run]:
    """A project after a run with the default store, and that run; not to be changed."""
    project = built_run[0].copy(tmp_path_factory.mktemp("whole") / "project")
    return project, project.gold(env={URI: ""}, tracking="true")


def client(address: str) -> Any:
    from mlflow import MlflowClient

    return MlflowClient(address, address)


def default_store(project: Project) -> Any:
    return client(f"sqlite:///{project.path('results/mlflow/mlflow.db')}")


def runs(store: Any, **tags: str) -> list[Any]:
    place = store.get_experiment_by_name(EXPERIMENT)
    wanted = " and ".join(f"tags.`{key}` = '{value}'" for key, value in tags.items())
    return list(store.search_runs([place.experiment_id], wanted)) if place else []


def version(project: Project) -> str:
    return str(project.receipt("gold/models/als")["facts"]["model_version"])


def gate(project: Project) -> dict[str, Any]:
    path = project.lakehouse() / f"gold/metrics/_gate/gate_{version(project)}.json"
    found: dict[str, Any] = json.loads(path.read_text("utf-8"))
    return found


def facts(project: Project, step: str) -> dict[str, Any]:
    artifact = {"gate": "gold/metrics/_gate/gate", "track": "gold/metrics/_tracking/tracking"}[step]
    found: dict[str, Any] = project.receipt(artifact)["facts"]
    return found


def run_step(project: Project, name: str, address: str, fence: Callable[[], None] | None = None, **given: Any) -> Run:
    """One step's script by itself, which is quicker than a whole run."""
    step, lakehouse = STEPS[name], Lakehouse("results/small", "small")
    asked = load_config({**QUICK, **given}, {})
    words = [
        word
        for read, artifact in input_artifacts(step, lakehouse, asked).items()
        for word in (f"--{read.replace('_', '-')}", lakehouse.receipt(artifact))
    ]
    command = [
        sys.executable, step.script, "--lakehouse", lakehouse.root, "--dataset", lakehouse.dataset, *words,
        "--receipt", lakehouse.receipt(artifact_of(step.makes, lakehouse.dataset)), "--params", json.dumps(given),
    ]  # fmt: skip
    environment = project.environment({"PYTHONPATH": "src", URI: address})
    ran = subprocess.run(
        command, cwd=project.root, env=environment, capture_output=True, text=True, check=False, preexec_fn=fence
    )
    return Run(ran.returncode, ran.stdout + ran.stderr, [])


# --- what is logged


def test_a_run_is_logged_with_parameters_metrics_data_and_files(whole: tuple[Project, Run]) -> None:
    project, run = whole
    assert run.worked == {"gate", "report", "track"}
    store = default_store(project)
    (found,) = runs(store, model_version=version(project))
    metrics = json.loads((project.lakehouse() / f"gold/metrics/run_metrics_{version(project)}.json").read_text("utf-8"))
    evaluation, data = metrics["evaluation"], found.data
    for key in ("rank", "max_iter", "reg_param", "cold_start_strategy", "seed"):
        assert data.params[key] == str(metrics["hyperparameters"][key])
    assert data.params["top_n"] == "10"
    for key in ("rmse", "test_count", "predictions_count", "coverage"):
        assert data.metrics[key] == pytest.approx(evaluation[key])
    theirs = evaluation["systems"]["popular"]["ndcg@10"]
    assert data.metrics["popular/ndcg_at_10"] == theirs["value"]
    assert data.metrics["popular/ndcg_at_10_low"] == theirs["low"]
    curve = store.get_metric_history(found.info.run_id, "objective")
    assert [one.step for one in curve] == [1, 2, 3]
    assert [one.value for one in curve] == metrics["training"]["objective"]
    (data_set,) = found.inputs.dataset_inputs
    assert data_set.dataset.digest == project.receipt("gold/interactions")["fingerprint"]
    for tag, artifact in (("interactions", "interactions"), ("model", "models/als")):
        assert data.tags[tag] == project.receipt(f"gold/{artifact}")["fingerprint"]
    assert data.tags["recommendations"] == project.receipt("gold/recommendations_als")["fingerprint"]
    assert found.info.status == "FINISHED"
    files = {one.path for one in store.list_artifacts(found.info.run_id)}
    wanted = {f"run_metrics_{version(project)}.json", f"{version(project)}.html", "config.resolved.json", "receipts"}
    assert wanted | {"model"} <= files
    receipts = {one.path for one in store.list_artifacts(found.info.run_id, "receipts/gold")}
    assert "receipts/gold/interactions.receipt.json" in receipts


def test_the_first_model_becomes_champion_and_is_said_to_be(whole: tuple[Project, Run]) -> None:
    project, run = whole
    assert "gate     became champion: there was no champion before it" in run.output
    assert gate(project)["state"] == "first"
    champion = default_store(project).get_model_version_by_alias("reco-small", "champion")
    assert champion.tags["model_version"] == version(project)
    assert "there was no champion" in champion.description
    assert champion.tags["gate.state"] == "first" and champion.tags["gate.decided_by"] == "no comparison"
    page = (project.lakehouse() / f"reports/{version(project)}.html").read_text("utf-8")
    assert "here was no champion before it" in page


def test_nothing_is_logged_again_where_nothing_changed(whole: tuple[Project, Run], tmp_path: Path) -> None:
    project = whole[0].copy(tmp_path / "project")
    before = project.receipts()
    run = project.gold(env={URI: ""}, tracking="true")
    assert run.events == []
    assert project.receipts() == before


def test_receipts_hold_no_run_id_address_or_time(whole: tuple[Project, Run]) -> None:
    project = whole[0]
    (found,) = runs(default_store(project), model_version=version(project))
    for path, text in project.receipts().items():
        assert found.info.run_id not in text, path
        assert "sqlite" not in text and str(project.root) not in text, path


SCORE = """
import json, sys, mlflow, pandas as pd
model = mlflow.pyfunc.load_model("models:/reco-small@champion")
frame = pd.read_json(sys.stdin)
assert "reco_platform" not in sys.modules
print(json.dumps([None if x != x else x for x in model.predict(frame)]))
"""


def test_the_champion_scores_by_name_where_the_project_is_not_installed(
    whole: tuple[Project, Run], tmp_path: Path
) -> None:
    project = whole[0]
    model = read_model(project.lakehouse() / "gold/models/als" / version(project))
    users, movies = np.resize(model.users.ids, 400), np.resize(model.movies.ids, 400)
    frame = pd.DataFrame(
        {"user_id": [*users.tolist(), 999_999, int(users[0])], "movie_id": [*movies.tolist(), 1, 999_999]}
    )
    store = f"sqlite:///{project.path('results/mlflow/mlflow.db')}"
    ran = subprocess.run(
        [sys.executable, "-I", "-c", SCORE], cwd=tmp_path, env={**os.environ, URI: store, "MLFLOW_REGISTRY_URI": store},
        input=frame.to_json(), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    scores = np.array(json.loads(ran.stdout.splitlines()[-1]), float)
    assert np.array_equal(scores[:-2], model.predict(users, movies))
    assert np.isnan(scores[-2:]).all()


def test_the_snippet_of_the_docs_runs_as_written_and_leaves_no_file(
    whole: tuple[Project, Run], tmp_path: Path, root: Path
) -> None:
    (snippet,) = re.findall(r"```python\n(.*?)```", (root / "docs/tracking.md").read_text("utf-8"), re.DOTALL)
    (tmp_path / "results").symlink_to(whole[0].path("results"))
    environment = {key: value for key, value in os.environ.items() if not key.startswith("MLFLOW")}
    ran = subprocess.run(
        [sys.executable, "-I", "-c", snippet.replace("reco-demo", "reco-small")], cwd=tmp_path, env=environment,
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    assert "prediction" in ran.stdout
    assert [path.name for path in tmp_path.iterdir()] == ["results"]


def test_the_logged_factors_are_those_of_the_model(whole: tuple[Project, Run], tmp_path: Path) -> None:
    project = whole[0]
    store = default_store(project)
    (found,) = runs(store, model_version=version(project))
    folder = store.download_artifacts(found.info.run_id, "model/artifacts/als", str(tmp_path))
    assert model_fingerprint(Path(folder)) == project.receipt("gold/models/als")["fingerprint"]


def test_another_top_n_brings_the_same_run_up_to_date(whole: tuple[Project, Run], tmp_path: Path) -> None:
    project = whole[0].copy(tmp_path / "project")
    run = project.gold(env={URI: ""}, tracking="true", top_n=4)
    assert "track" in run.worked and "gate" not in run.worked
    (found,) = runs(default_store(project), model_version=version(project))
    assert found.data.params["top_n"] == "10", "MLflow never changes a parameter"
    assert found.data.tags["now.top_n"] == "4"
    assert found.data.tags["recommendations"] == project.receipt("gold/recommendations_als")["fingerprint"]


def test_a_lost_store_is_filled_anew(whole: tuple[Project, Run], tmp_path: Path) -> None:
    project = whole[0].copy(tmp_path / "project")
    before = project.receipts()
    shutil.rmtree(project.path("results/mlflow"))
    run = project.gold(env={URI: ""}, tracking="true")
    assert run.worked == {"gate", "track"}
    assert len(runs(default_store(project), model_version=version(project))) == 1
    assert project.receipts() == before


def test_a_sweep_is_a_run_with_a_nested_run_for_each_trial(built: Project) -> None:
    for _ in range(2):
        built.gold("sweep", env={URI: ""}, tracking="true", rank="2,3", max_iter=2, sweep_name="mine")
        shutil.rmtree(built.lakehouse() / "sweeps/_tracking")  # told twice
    store = default_store(built)
    (parent,) = runs(store, sweep="mine")
    nested = runs(store, **{"mlflow.parentRunId": parent.info.run_id})
    assert sorted(one.data.params["rank"] for one in nested) == ["2", "3"]
    assert all("rmse_all" in one.data.metrics for one in nested)
    curve = store.get_metric_history(nested[0].info.run_id, "rmse_all_by_iteration")
    assert [one.step for one in curve] == [1, 2]


# --- the gate, with a real server


def test_a_worse_model_stays_challenger_a_better_one_replaces_the_champion_and_promotion_overrides(
    built: Project, server: str, name: str
) -> None:
    env, asked = {URI: server}, {"tracking": "true", "registered_model": name}
    store = client(server)
    champion = lambda: store.get_model_version_by_alias(name, "champion").tags["model_version"]  # noqa: E731
    built.gold(env=env, **asked, **FIRST)
    first = version(built)
    assert champion() == first

    worse = built.gold(env=env, **asked, **WORSE)
    challenger = version(built)
    assert champion() == first
    assert f"gate     stays challenger: significantly worse than champion {first} by rmse_all" in worse.output
    assert gate(built)["champion_version"] == first and gate(built)["difference"]["high"] > 0
    registered = store.get_model_version_by_alias(name, "challenger")
    assert registered.tags["model_version"] == challenger
    assert gate(built)["reason"] in registered.description

    better = built.gold(env=env, **asked)
    best = version(built)
    assert f"gate     became champion: better than champion {first}" in better.output
    assert champion() == best and gate(built)["difference"]["high"] < 0

    promoted = built.reco("promote", challenger, env=env, registered_model=name)
    assert promoted.code == 0, promoted.output
    assert f"{challenger} is now the champion of {name}; it replaces {best}" in promoted.output
    assert champion() == challenger
    assert len(runs(store, model_version=challenger)) == 1
    unknown = built.reco("promote", "no-such", env=env, registered_model=name)
    assert unknown.code == 1 and best in unknown.output and "Traceback" not in unknown.output


def test_a_model_whose_factors_were_changed_in_the_store_is_not_promoted_until_they_are_put_back(
    built: Project,
) -> None:
    assert run_step(built, "gate", "").code == 0
    store, first = default_store(built), version(built)
    store.delete_registered_model_alias("reco-small", "champion")
    (side,) = built.path("results/mlflow/artifacts").rglob("userFactors")
    good = [(path, path.read_bytes()) for path in side.iterdir()]
    users = read_model(side.parent).users
    shutil.rmtree(side)
    write_side(Side(users.ids, users.factors * 2), side)
    refused = built.reco("promote", first, env={URI: ""})
    said = f"[ERROR] the factors of {first} in MLflow differ from those that were registered: it was not promoted"
    assert refused.code == 1 and said in refused.output and "Traceback" not in refused.output
    assert "champion" not in store.get_registered_model("reco-small").aliases
    command = shlex.split(refused.output[refused.output.index(".venv/bin/mlflow") :])
    environment = built.environment({URI: f"sqlite:///{built.path('results/mlflow/mlflow.db')}"})
    mlflow = str(Path(sys.executable).with_name("mlflow"))
    subprocess.run([mlflow, *command[1:]], cwd=built.root, env=environment, check=True, capture_output=True)
    assert [(path, path.read_bytes()) for path in side.iterdir()] == good
    assert f"{first} is now the champion" in built.reco("promote", first, env={URI: ""}).output
    assert not list(built.path("results/mlflow").rglob("*.pkl")), "a model holds no pickle"


def test_a_champion_of_another_data_set_or_with_other_factors_is_not_replaced_by_itself(
    built: Project, server: str, name: str
) -> None:
    assert run_step(built, "gate", server, registered_model=name).code == 0
    store = client(server)
    champion = store.get_model_version_by_alias(name, "champion")
    store.set_model_version_tag(name, champion.version, "model_version", "another")
    store.set_model_version_tag(name, champion.version, "model", "0123")
    said = run_step(built, "gate", server, registered_model=name, bootstrap_seed=1)
    assert "challenger: the factors of champion another differ from those that were registered" in said.output
    own = store.get_model_version_by_alias(name, "challenger")
    store.delete_model_version(name, own.version)
    store.set_model_version_tag(name, champion.version, "dataset", "others")
    said = run_step(built, "gate", server, registered_model=name, bootstrap_seed=2)
    assert "challenger: champion another is of the data set others" in said.output
    assert store.get_model_version_by_alias(name, "champion").version == champion.version


def test_the_same_model_twice_is_one_run_and_one_version(built: Project, server: str, name: str) -> None:
    built.gold(env={URI: server}, tracking="true", registered_model=name)
    before = gate(built)
    for step in ("gate", "track"):
        memo = {"gate": "_gate/_memo", "track": "_tracking/_memo"}[step]
        shutil.rmtree(built.lakehouse() / "gold/metrics" / memo)
        assert run_step(built, step, server, registered_model=name).code == 0
    assert gate(built) == before
    store = client(server)
    (found,) = runs(store, model_version=version(built))
    assert len(store.get_metric_history(found.info.run_id, "rmse")) == 1
    assert len(store.search_model_versions(f"name = '{name}'")) == 1


# --- the store does not do its part


def refused() -> AbstractContextManager[str]:
    return nullcontext(f"http://127.0.0.1:{servers.free_port()}")


FAULTS: dict[str, tuple[Callable[[], AbstractContextManager[str]], str]] = {
    "away": (refused, "it cannot be reached"),
    "silent": (lambda: servers.listener(servers.silent), "it does not answer in time"),
    "dripping": (lambda: servers.listener(servers.dripping), "it does not answer in time"),
    "401": (lambda: servers.listener(servers.answering("401 Unauthorized")), "it answers with HTTP 401"),
    "500": (lambda: servers.listener(servers.answering("500 Internal Server Error")), "it answers with HTTP 500"),
}


@pytest.fixture(scope="module")
def at_once(built_run: tuple[Project, Run], tmp_path_factory: pytest.TempPathFactory) -> float:
    """Seconds of the step where the store refuses at once: what this machine, busy as it is, takes to start."""
    project = built_run[0].copy(tmp_path_factory.mktemp("at-once") / "project")
    with refused() as address:
        started = time.monotonic()
        run_step(project, "gate", address)
        return time.monotonic() - started


@pytest.mark.parametrize("fault", FAULTS)
def test_a_store_that_fails_costs_one_warning_in_time(built: Project, at_once: float, fault: str) -> None:
    broken, reason = FAULTS[fault]
    with broken() as address:
        secret = address.replace("//", "//reco:hush@")
        started = time.monotonic()
        said = run_step(built, "gate", secret)
        took = time.monotonic() - started
        report = run_step(built, "track", secret) if fault == "away" else None
    assert said.code == 0, said.output
    assert took - at_once < WITHIN
    assert said.output.count("[WARNING]") == 1
    assert reason in said.output
    assert facts(built, "gate")["tracked"] is False
    assert gate(built)["state"] == "untracked" and gate(built)["reason"] == reason
    assert "hush" not in said.output
    if report:
        assert "[WARNING]" not in report.output, "one warning a run"


def test_a_store_that_dies_in_the_middle_gets_the_rest_from_the_next_run(
    built: Project, server: str, name: str
) -> None:
    asked = {"tracking": "true", "registered_model": name}
    with servers.listener(servers.dying(server, 12)) as address:
        run = built.gold(env={URI: address}, **asked)
    assert run.output.count("[WARNING] not logged to MLflow") == 1
    assert facts(built, "gate")["tracked"] is facts(built, "track")["tracked"] is False
    with servers.listener(servers.dying(server, 10_000)) as address:
        again = built.gold(env={URI: address}, **asked)
    assert {"gate", "track"} <= again.worked
    assert facts(built, "track")["tracked"] is True
    store = client(server)
    (found,) = runs(store, model_version=version(built))
    assert found.info.status == "FINISHED"
    (registered,) = store.search_model_versions(f"name = '{name}'")
    assert "champion" in store.get_model_version(name, registered.version).aliases
    third = built.gold(env={URI: address}, **asked)
    assert third.events == [], "the store is away again, and nothing is to be logged"


def test_a_store_that_dies_while_the_run_is_logged_leaves_the_gates_decision(
    built: Project, server: str, name: str
) -> None:
    assert run_step(built, "gate", server, registered_model=name).code == 0
    with servers.listener(servers.dying(server, 8)) as address:
        said = run_step(built, "track", address, registered_model=name)
    assert said.code == 0 and said.output.count("[WARNING]") == 1
    assert facts(built, "track")["tracked"] is False
    assert run_step(built, "track", server, registered_model=name).code == 0
    assert facts(built, "track")["tracked"] is True


def test_a_full_disk_costs_a_warning_and_the_next_run_logs_it(built: Project) -> None:
    def fence() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))

    said = run_step(built, "gate", "", fence)
    assert said.code == 0, said.output
    assert said.output.count("[WARNING]") == 1 and "there is no space left" in said.output
    assert run_step(built, "gate", "").code == 0
    assert facts(built, "gate")["tracked"] is True


def test_without_mlflow_a_run_warns_and_goes_on(built: Project) -> None:
    built.path("src/mlflow.py").write_text("raise ImportError('no mlflow here')\n", "utf-8")
    said = run_step(built, "gate", "")
    assert said.code == 0, said.output
    assert said.output.count("[WARNING]") == 1 and "MLflow does not work here" in said.output
