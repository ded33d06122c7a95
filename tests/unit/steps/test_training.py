"""The training steps: which models a run has, and their receipts; tests/spark has training by Spark."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from reco_platform.config.model import Config
from reco_platform.core.errors import ConfigError
from reco_platform.datasets import registry as datasets
from reco_platform.engine.task import Task
from reco_platform.lakehouse.layout import Lakehouse
from reco_platform.lakehouse.receipts import Receipt
from reco_platform.models.als import training, training_engine
from reco_platform.models.als.model import Model, read_model
from reco_platform.pipeline.steps_table import possible_inputs, resolve_input
from reco_platform.pipeline.workflow import Workflow
from reco_platform.steps import training as step
from reco_platform.steps.model_artifact import publish_model
from support.rating_rows import random_rows
from support.training_tasks import task_in


def train(task: Task, rows: pa.Table) -> training.TrainedModel:
    return training.train(rows, task.params, threads=task.threads, log=task.log)


def published(task: Task, trained: training.TrainedModel, rows: pa.Table) -> tuple[Receipt, Model]:
    receipt = publish_model(
        task, trained, training.training_stats(rows), training_engine.shaping_params(task.params, "native")
    )
    return receipt, read_model(task.root / receipt.path)


# --- which models a run has


def test_the_configuration_selects_the_trained_models_and_the_served_one() -> None:
    dataset = datasets.DirectoryDataset(name="mine", path=Path("data"))

    def flow(**config: Any) -> Workflow:
        return Workflow(Config(**config), Lakehouse("lake", "mine"), dataset)

    explicit = {"ranking_model": "explicit", "refit": False, "fallback_lists": False}
    one_model, plain = flow(**explicit), flow(**explicit, biased=False)
    refitted = flow(**explicit | {"refit": True, "fallback_lists": True})
    ranking, both = (
        flow(**explicit | {"ranking_model": "ease"}),
        flow(**explicit | {"ranking_model": "implicit", "refit": True}),
    )
    assert set(one_model.gold) - set(plain.gold) == {"als_plain"}
    assert set(refitted.gold) - set(one_model.gold) == {"als_refit", "fallback"}
    assert set(ranking.gold) - set(one_model.gold) == {"ranking_model"}
    assert set(both.gold) - set(ranking.gold) == {"ranking_refit"}
    for flow_of, served, ranked in (
        (one_model, "models/als", "models/als"),
        (refitted, "models/als_refit", "models/als"),
        (ranking, "models/ranking", "models/ranking"),
        (both, "models/ranking_refit", "models/ranking"),
    ):
        assert flow_of.receipt("served_model") == f"lake/gold/{served}.receipt.json"
        assert flow_of.receipt("ranking") == f"lake/gold/{ranked}.receipt.json"
    assert one_model.receipt("plain_model") == "lake/gold/baselines/als_plain.receipt.json"
    assert plain.receipt("plain_model") == plain.receipt("model")
    for name in ("served_model", "plain_model", "ranking"):
        found = {resolve_input(name, one.config) for one in (one_model, plain, refitted, ranking, both)}
        assert found == set(possible_inputs(name))


def test_a_refit_model_has_a_version_of_its_own(tmp_path: Path) -> None:
    rows, task = random_rows(), task_in(tmp_path)
    shaping = training_engine.shaping_params(task.params, "native")
    trained = train(task, rows)
    versions = {
        publish_model(task, trained, training.training_stats(rows), trial).facts["model_version"]
        for trial in (shaping, shaping | {"refit": True})
    }
    assert len(versions) == 2
    assert {version.partition("-")[2] for version in versions} == {"01234567"}


# --- what is published


def test_a_receipt_describes_the_model(tmp_path: Path) -> None:
    rows, task = random_rows(), task_in(tmp_path)
    receipt, model = published(task, train(task, rows), rows)
    facts = receipt.facts
    assert facts["model_version"] == Path(receipt.path).name
    assert (facts["biased"], facts["rank"], facts["width"]) == (True, 4, 6)
    assert facts["mean"] == pytest.approx(np.mean(rows["rating"].to_numpy()))
    assert (facts["users"], facts["movies"], facts["ratings"]) == (90, 40, len(rows))
    assert len(facts["objective"]) == 5
    assert facts["objective"] == sorted(facts["objective"], reverse=True)
    assert model.users.factors.shape == (90, 6)


def test_a_receipt_is_the_same_for_any_number_of_threads(tmp_path: Path) -> None:
    rows, texts = random_rows(), set()
    for threads in (1, 2, 3):
        task = task_in(tmp_path / str(threads), threads)
        texts.add(published(task, train(task, rows), rows)[0].text())
    assert len(texts) == 1


def test_nonnegative_factors_by_the_native_engine_are_refused(tmp_path: Path) -> None:
    params = {"biased": False, "nonnegative": True}
    with pytest.raises(ConfigError, match="nonnegative"):
        step.chosen_engine(task_in(tmp_path, engine="native", **params))
    assert step.chosen_engine(task_in(tmp_path, engine="auto", **params)).engine == "spark-ml"
