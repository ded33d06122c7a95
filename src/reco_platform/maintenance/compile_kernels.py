"""Compile every numba kernel of the pipeline on a tiny data set, so that the first run finds them in numba's cache.

Numba keeps compiled code beside the source, or in NUMBA_CACHE_DIR, for one state of the source file, one version of
numba and one kind of processor. Set-up runs this module. Where the cache is complete, it only loads what is there.

    .venv/bin/python -m reco_platform.maintenance.compile_kernels
"""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from functools import cache
from typing import Any

import numpy as np
import pyarrow as pa

from reco_platform.config.load import load_config

USERS, MOVIES, RATINGS_PER_USER = 30, 20, 10
DAY = 24 * 60 * 60 * 1_000_000
SPLITS = ({"split": "global_time"}, {"split": "user_time"}, {"split": "user_time", "last_k": 1}, {"split": "random"})
SMALL = {
    "rank": 4,
    "max_iter": 2,
    "ranking_rank": 4,
    "ranking_max_iter": 2,
    "evaluation_k": [2, 5],
    "bootstrap_samples": 100,
}


def compile_kernels() -> None:
    """Compiles all kernels, in two processes that take about the same time.

    A kernel with declared types is compiled when its module is imported, the others when they are called.
    """
    with ProcessPoolExecutor(2) as pool:
        for group in [pool.submit(compile_training), pool.submit(compile_serving)]:
            group.result()


def compile_training() -> None:
    """Compiles the kernels of source ids, cleaning, fingerprints, splits and training."""
    from reco_platform.cleaning import kernels as _cleaning  # noqa: F401, PLC0415
    from reco_platform.datasets import csv_quotes as _quotes  # noqa: F401, PLC0415
    from reco_platform.datasets import id_kernels as _ids  # noqa: F401, PLC0415
    from reco_platform.fingerprint import kernels as _fingerprint  # noqa: F401, PLC0415
    from reco_platform.models.als import training  # noqa: PLC0415
    from reco_platform.models.ranking import implicit  # noqa: PLC0415
    from reco_platform.splits.latest import latest_ratings  # noqa: PLC0415
    from reco_platform.splits.split import split, split_facts  # noqa: PLC0415

    rows = latest_ratings(interactions().select(["user_id", "movie_id", "rating", "rating_ts"]))
    for choice in SPLITS:
        split_facts(rows, split(rows, parameters() | choice))
    for solver in ("cg", "cholesky"):
        training.train(interactions(), parameters() | {"solver": solver}, threads=1, log=lambda _: None)
    implicit.train(interactions(), parameters(), threads=1, log=lambda _: None)


def compile_serving() -> None:
    """Compiles the kernels of top-N lists and of the evaluation."""
    from reco_platform.evaluation.dataset import rating_arrays  # noqa: PLC0415
    from reco_platform.evaluation.evaluate import evaluate  # noqa: PLC0415
    from reco_platform.evaluation.half_life import choose_half_life  # noqa: PLC0415
    from reco_platform.evaluation.settings import settings_from_params  # noqa: PLC0415
    from reco_platform.models import popularity  # noqa: PLC0415
    from reco_platform.models.als.model import Model, Side  # noqa: PLC0415
    from reco_platform.models.ranking import diversify, models  # noqa: PLC0415
    from reco_platform.models.topn import exact as topn  # noqa: PLC0415

    table, random = interactions(), np.random.default_rng(1)
    model = Model(*(Side(ids(count), random.random((count, 4), np.float32)) for count in (USERS, MOVIES)))
    seen = topn.seen_by_id(model, table["user_id"].to_numpy(), table["movie_id"].to_numpy())
    diversify.diversified(topn.top_n(model, 5, seen, threads=1), model.movies, 5, 0.5, threads=1)
    popularity.most_popular(model.movies, ids(1) + USERS, table, table.slice(0, 0), half_life=30, n=5)
    genres = pa.table({"movie_id": ids(MOVIES), "genres": [["Drama"]] * MOVIES})
    train, test = (rating_arrays(part) for part in (table.slice(0, len(table) // 2), table.slice(len(table) // 2)))
    weights = models.train_item_weights("item_knn", train, parameters(), 1)
    half_life = choose_half_life(train, test, liked_rating=4.0)
    settings = settings_from_params(parameters() | {"ranking_model": "item_knn"}, 1, half_life)
    evaluate(model, model, weights, train, test, genres=genres, settings=settings)


@cache
def parameters() -> dict[str, Any]:
    """The default configuration, with small sizes."""
    return load_config(SMALL, {}).model_dump(mode="json")


@cache
def interactions() -> pa.Table:
    """RATINGS_PER_USER ratings of each user, one a day, with the columns that training and evaluation read."""
    random = np.random.default_rng(0)
    user_index = np.repeat(np.arange(USERS, dtype=np.int32), RATINGS_PER_USER)
    movie_index = np.concatenate([random.permutation(MOVIES)[:RATINGS_PER_USER] for _ in range(USERS)]).astype(np.int32)
    moments = pa.array(random.permutation(len(user_index)) * DAY)
    return pa.table({
        "user_id": ids(USERS)[user_index],
        "movie_id": ids(MOVIES)[movie_index],
        "user_index": user_index,
        "movie_index": movie_index,
        "rating": random.integers(1, 11, len(user_index)).astype(np.float32) / 2,
        "rating_ts": moments.cast(pa.timestamp("us", "UTC")),
    })  # fmt: skip


def ids(count: int) -> np.ndarray[Any, np.dtype[np.int32]]:
    return np.arange(1, count + 1, dtype=np.int32)


if __name__ == "__main__":
    compile_kernels()
