"""What every training has in common: its ratings, what the biases leave of them, and the model as it is published."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from reco_platform.core.errors import DataError
from reco_platform.core.hashing import short
from reco_platform.engine.runner import Task
from reco_platform.lakehouse import publishing
from reco_platform.lakehouse.receipts import Receipt
from reco_platform.models import biases
from reco_platform.models.als.model import Ids, Model, Side, model_fingerprint, write_model
from reco_platform.splits import interactions

COLUMNS = ("user_id", "movie_id", "user_index", "movie_index", "rating")
Floats = npt.NDArray[np.float32]

MODEL_PARAMS = {"userCol": "user_id", "itemCol": "movie_id", "coldStartStrategy": "drop"}


@dataclass(frozen=True)
class Trained:
    """A model, and its objective for each rating after each iteration; empty where the engine does not tell it."""

    model: Model
    objective: list[float]


@dataclass(frozen=True)
class Data:
    """What a model was trained on: how many ratings, and their mean."""

    ratings: int
    mean: float


def data_of(rows: pa.Table) -> Data:
    return Data(len(rows), float(np.mean(rows["rating"].to_numpy(), dtype=np.float64)))


class Look(NamedTuple):
    """What somebody who watches a training says: words for its line of progress, and whether it is to end."""

    said: str = ""
    enough: bool = False


Watch = Callable[[int, float | None, Model], Look]
"""Called with the iteration, from 1, the objective for each rating if it is known, and the model as it is then."""


class Terms(Protocol):
    """What of a task decides how a model is trained."""

    @property
    def params(self) -> Mapping[str, Any]: ...

    @property
    def threads(self) -> int: ...

    def log(self, text: str) -> None: ...


T = TypeVar("T", bound=Terms)
Solve = Callable[[T, pa.Table, Watch], Trained]


def unwatched(iteration: int, objective: float | None, model: Model) -> Look:
    return Look()


def rows_for(task: Task, folds: Collection[str]) -> pa.Table:
    """The interactions that a model is trained on, by user and movie.

    Args:
        task: with the input interactions.
        folds: whose.
    """
    rows = interactions.read(task.open("interactions"), COLUMNS, folds, task.threads)
    return supported(rows, task.params["min_user_ratings"], task.params["min_item_ratings"])


def supported(rows: pa.Table, least_of_user: int, least_of_movie: int) -> pa.Table:
    """The ratings of users and movies that have enough of them.

    Both are counted once, over all rows given: a user who is kept may be left with fewer.

    Raises:
        DataError: if nothing is left.
    """
    users, movies = rows["user_index"].to_numpy(), rows["movie_index"].to_numpy()
    enough = (np.bincount(users) >= least_of_user)[users] & (np.bincount(movies) >= least_of_movie)[movies]
    if not enough.any():
        raise nothing_left(len(rows), least_of_user, least_of_movie)
    return rows if enough.all() else rows.filter(pa.array(enough))


def nothing_left(ratings: int, least_of_user: int, least_of_movie: int) -> DataError:
    return DataError(
        f"none of {ratings:,} training ratings has a user with min_user_ratings={least_of_user} of them and "
        f"a movie with min_item_ratings={least_of_movie}",
        "set smaller ones",
    )


def on_residuals(task: T, rows: pa.Table, solve: Solve[T], watch: Watch = unwatched) -> Trained:
    """A model of what the biases leave, with the biases in two columns more, so that its products are whole ratings.

    Koren 2010 (Factor in the Neighbors, section 2.1) has the biases; LensKit's BiasedMF trains ALS on the same rest.
    """
    users, movies, values = (rows[name].to_numpy() for name in ("user_index", "movie_index", "rating"))
    found = biases.fit(users, movies, values, task.params["bias_damping"])
    at = rows.schema.get_field_index("rating")
    left = rows.set_column(at, "rating", pa.array(found.residuals(users, movies, values)))
    # Dense indexes rise with the ids, as a model's rows do.
    own = (found.mean + found.users[present(users)], found.movies[present(movies)])
    trained = solve(task, left, lambda iteration, loss, model: watch(iteration, loss, model.plus(*own)))
    return Trained(trained.model.plus(*own), trained.objective)


def present(index: npt.NDArray[np.int32]) -> npt.NDArray[np.int64]:
    """The dense indexes that occur, rising."""
    return np.flatnonzero(np.bincount(index))


def natively(task: Terms, rows: pa.Table, watch: Watch = unwatched) -> Trained:
    """Training by threads of this process."""
    from reco_platform.models.als import native  # noqa: PLC0415  # a restore needs no compiled code
    from reco_platform.models.als.ratings import ratings  # noqa: PLC0415

    users, movies = rows["user_index"].to_numpy(), rows["movie_index"].to_numpy()
    user_ids, movie_ids = own_ids(users, rows["user_id"]), own_ids(movies, rows["movie_id"])

    def after(iteration: int, objective: float, user_factors: Floats, movie_factors: Floats) -> bool:
        loss = objective / len(rows)
        look = watch(iteration, loss, Model(Side(user_ids, user_factors), Side(movie_ids, movie_factors)))
        report(task, iteration, f"objective {loss:.5f} a rating{look.said}", started)
        return look.enough

    started = time.monotonic()
    task.log(f"{len(rows):,} ratings, {task.threads} threads")
    factors = native.train(
        ratings(users, movies, rows["rating"].to_numpy()),
        rank=task.params["rank"],
        max_iter=task.params["max_iter"],
        reg_param=task.params["reg_param"],
        seed=task.params["seed"],
        solver=task.params["solver"],
        threads=task.threads,
        callback=after,
    )
    model = Model(Side(user_ids, factors.users), Side(movie_ids, factors.movies))
    return Trained(model, (factors.objective / len(rows)).tolist())


def report(task: Terms, iteration: int, said: str, started: float) -> None:
    elapsed = time.monotonic() - started
    left = elapsed / iteration * (task.params["max_iter"] - iteration)
    task.log(f"iteration {iteration}/{task.params['max_iter']}: {said}, {elapsed:.1f} s, {left:.1f} s left")


def own_ids(index: npt.NDArray[np.int32], ids: pa.ChunkedArray) -> Ids:
    """The ids of the dense indexes that occur, rising."""
    return ids_of(present(index).astype(np.int32), index, ids)


def ids_of(wanted: npt.NDArray[np.int32], index: npt.NDArray[np.int32], ids: pa.ChunkedArray) -> Ids:
    """The ids of dense indexes, shape as `wanted`."""
    found = np.zeros(int(index.max()) + 1, np.int32)
    found[index] = ids.to_numpy()
    return found[wanted]


def publish(
    task: Task, trained: Trained, data: Data, shaping: Mapping[str, Any], place: Callable[[str], str]
) -> Receipt:
    """Saves a model under its version, `<trial>-<data>`, and gives its receipt.

    Args:
        task: with the input interactions.
        trained: what to save.
        data: what it was trained on.
        shaping: what of the parameters decides it: its trial.
        place: the folder of a version, relative to the lakehouse.
    """
    version = f"{short(shaping)}-{task.inputs['interactions'].fingerprint[:8]}"
    path, model = place(version), trained.model
    staging = publishing.staging_folder(task.root / path)
    write_model(model, staging, MODEL_PARAMS)
    found, users = model_fingerprint(staging), len(model.users.ids)
    publishing.publish_folder(staging, task.root / path, fingerprint=found, rows=users)
    facts = {
        "model_version": version,
        "engine": shaping["engine"],
        "users": users,
        "movies": len(model.movies.ids),
        "ratings": data.ratings,
        "mean": data.mean,
        "biased": shaping["biased"],
        "rank": shaping["rank"],
        "width": model.users.factors.shape[1],
        "objective": [float(f"{loss:.10g}") for loss in trained.objective],
    }
    return Receipt(task.artifact, "model", path, shaping["engine"], None, users, "", found, facts)
