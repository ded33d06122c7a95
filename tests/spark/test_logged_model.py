"""The model that MLflow keeps is one that Spark loads."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from reco_platform.models.als.model import Model, Side, write_model
from reco_platform.tracking import client as tracking
from reco_platform.tracking import mlflow_worker
from reco_platform.tracking.registered_models import RATING

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

pytestmark = pytest.mark.spark


def test_the_logged_model_loads_in_spark_and_predicts_the_same(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mlflow import MlflowClient
    from pyspark.ml.recommendation import ALSModel

    for name, value in {**tracking.QUIET, tracking.URI_VARIABLE: f"sqlite:///{tmp_path}/mlflow.db"}.items():
        monkeypatch.setenv(name, value)
    rng = np.random.default_rng(1)
    sides = (Side(np.array([3, 5, 8], np.int32), rng.normal(size=(3, 4)).astype(np.float32)) for _ in range(2))
    model, folder = Model(*sides), tmp_path / "als"
    folder.mkdir()
    (folder / "_memo").mkdir()
    write_model(model, folder)
    store = MlflowClient()
    run = store.create_run(store.create_experiment("one", (tmp_path / "artifacts").as_uri()))
    mlflow_worker.upload_model(store, run.info.run_id, {RATING: str(folder)})

    logged = Path(store.download_artifacts(run.info.run_id, mlflow_worker.FACTORS))
    assert not (logged / "_memo").exists()
    frame = spark.createDataFrame([(3, 8), (8, 5)], ["user_id", "movie_id"])
    found = [row["prediction"] for row in ALSModel.load(logged.as_uri()).transform(frame).collect()]
    expected = model.predict(np.array([3, 8], np.int32), np.array([8, 5], np.int32))
    assert sorted(found) == pytest.approx(sorted(expected), rel=1e-5)
