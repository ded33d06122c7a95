"""The common input of the other contenders, from a finished run of ours, and the RMSE of all models on one test fold.

interactions.parquet                 user_index, movie_index (int32), rating (float32), fold (text)
trained/{users,movies}.npy           factors of our model, float32, shape (rows, rank)
isotropic/{users,movies}.npy         random ones with equal norms, for which no bound saves work
seen_{indptr,indices,values}.npy     the training ratings as CSR, a row for each row of users.npy
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from reco_platform.lakehouse import layout, receipts, tables
from reco_platform.models.als.model import Model, read_model
from reco_platform.pipeline.steps_table import STEP_OF

COLUMNS = ["user_id", "movie_id", "user_index", "movie_index", "rating", "fold"]


def interactions(lakehouse: Path) -> pa.Table:
    """The interactions of a finished run, sorted by user and movie."""
    receipt = receipts.read(layout.Lakehouse(str(lakehouse), "").receipt(STEP_OF["interactions"].artifact))
    return tables.open_table(lakehouse, receipt, "snakemake gold").read(COLUMNS)


def trained_model(lakehouse: Path) -> Model:
    receipt = receipts.read(layout.Lakehouse(str(lakehouse), "").receipt(STEP_OF["model"].artifact))
    return read_model(lakehouse / receipt.path)


def export(lakehouse: Path, inputs: Path) -> None:
    """Writes the common input from a finished run."""
    inputs.mkdir(parents=True, exist_ok=True)
    rows, model = interactions(lakehouse), trained_model(lakehouse)
    pq.write_table(rows.select(COLUMNS[2:]), inputs / "interactions.parquet")
    train = rows.filter(pc.not_equal(rows["fold"], "test"))
    users, _ = model.users.positions(train["user_id"].to_numpy())
    movies, _ = model.movies.positions(train["movie_id"].to_numpy())
    ends = np.cumsum(np.bincount(users, minlength=len(model.users.ids)))
    np.save(inputs / "seen_indptr.npy", np.concatenate([[0], ends]).astype(np.int32))
    np.save(inputs / "seen_indices.npy", movies.astype(np.int32))
    np.save(inputs / "seen_values.npy", train["rating"].to_numpy().astype(np.float32))
    random = np.random.default_rng(42)
    for name, side in (("users", model.users), ("movies", model.movies)):
        save(inputs / "trained" / f"{name}.npy", side.factors)
        save(inputs / "isotropic" / f"{name}.npy", equal_norms(random.standard_normal(side.factors.shape, np.float32)))


def save(path: Path, factors: npt.NDArray[np.float32]) -> None:
    path.parent.mkdir(exist_ok=True)
    np.save(path, np.ascontiguousarray(factors, np.float32))


def equal_norms(factors: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    return factors / np.linalg.norm(factors, axis=1, keepdims=True)


def evaluate(lakehouse: Path, model: Model) -> dict[str, float | int]:
    """RMSE of a model on the test rows whose user and movie are in our training data and in the model."""
    rows = interactions(lakehouse)
    is_test = pc.equal(rows["fold"], "test")
    train, test = rows.filter(pc.invert(is_test)), rows.filter(is_test)
    users, movies = test["user_id"].to_numpy(), test["movie_id"].to_numpy()
    warm = np.isin(users, train["user_id"].to_numpy()) & np.isin(movies, train["movie_id"].to_numpy())
    predicted = model.predict(users[warm], movies[warm])
    truth = test["rating"].to_numpy()[warm].astype(np.float64)
    known = ~np.isnan(predicted)
    return {"rmse": float(np.sqrt(np.mean((truth - predicted)[known] ** 2))), "warm_rows": int(known.sum())}
