"""The logged model as MLflow loads it. MLflow copies this file, so it imports neither this package nor Spark."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import pyarrow.dataset as ds

BLOCK_ROWS = 1 << 16


class Scorer(mlflow.pyfunc.PythonModel):
    """Predicts ratings by the product of a user's and a movie's factors."""

    def load_context(self, context: Any) -> None:
        """Reads the factors of users and movies from the folder in Spark's format."""
        folder = Path(context.artifacts["als"])
        self.users = read_factors(folder / "userFactors")
        self.movies = read_factors(folder / "itemFactors")

    def predict(self, context: Any, model_input: pd.DataFrame, params: dict[str, Any] | None = None) -> pd.Series:
        """Predicts a rating for each row.

        Args:
            context: not used.
            model_input: integer columns user_id and movie_id.
            params: not used.

        Returns:
            Stars; NaN if the user or the movie was not in the training data.
        """
        at_user, user_known = positions(self.users[0], model_input["user_id"].to_numpy())
        at_movie, movie_known = positions(self.movies[0], model_input["movie_id"].to_numpy())
        warm = np.flatnonzero(user_known & movie_known)
        found = np.full(len(model_input), np.nan)
        for first in range(0, len(warm), BLOCK_ROWS):
            rows = warm[first : first + BLOCK_ROWS]
            left, right = self.users[1][at_user[rows]], self.movies[1][at_movie[rows]]
            found[rows] = np.einsum("ij,ij->i", left, right, dtype=np.float64)
        return pd.Series(found, index=model_input.index, name="prediction")


def read_factors(folder: Path) -> tuple[Any, Any]:
    """Ids in ascending order, shape (n,), and their factors, shape (n, rank)."""
    table = ds.dataset(str(folder), format="parquet").to_table().sort_by("id")
    features = table["features"].combine_chunks()
    return table["id"].to_numpy(), features.values.to_numpy().reshape(len(table), -1)


def positions(ids: Any, wanted: Any) -> tuple[Any, Any]:
    """The position of each wanted id, and whether it exists; both in the shape of `wanted`."""
    at = np.minimum(np.searchsorted(ids, wanted), len(ids) - 1)
    return at, ids[at] == wanted


mlflow.models.set_model(Scorer())
