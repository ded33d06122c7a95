"""Ways to call movies similar, by how far the people who like two movies are the same.

    python benchmarks/similar_movies.py results/ml-latest-small

For the 200 movies with the most ratings, and the ten most similar movies of each, it gives the mean Jaccard index of
their fans: those who like both over those who like either, where to like is a rating of at least `liked_rating`. It
trains every model on all ratings of the lakehouse, with the default parameters.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator

import numpy as np

import reco_platform
from reco_platform.config.model import Config
from reco_platform.core.arrays import BoolArray, Float32Array, Int64Array
from reco_platform.evaluation.dataset import RatingArrays, rating_arrays
from reco_platform.models import similarity
from reco_platform.models.als import training
from reco_platform.models.als.model import Side
from reco_platform.models.ranking import implicit, models
from reco_platform.splits.interactions import COLUMNS

MOST_RATED, LISTED = 200, 10
Likeness = Callable[[int], Float32Array]
"""The likeness of each rated movie to the one at a position."""


def fans_in_common(fans: BoolArray, movie: int, others: Int64Array) -> float:
    """The mean Jaccard index of a movie's fans and those of other movies; `fans` has shape (users, movies)."""
    own = fans[:, movie, None]
    both, either = (own & fans[:, others]).sum(axis=0), (own | fans[:, others]).sum(axis=0)
    return float(np.mean(both / np.maximum(either, 1)))


def spread(side: Side, rows: RatingArrays, scores: Float32Array) -> Float32Array:
    """The scores of a model's movies as those of all rated movies; 0 for movies that the model does not know."""
    ids = np.unique(rows.movies)
    found = np.zeros(len(ids), np.float32)
    found[np.searchsorted(ids, side.ids)] = scores
    return found


def candidates(
    rows: RatingArrays, table: object, params: dict[str, object], threads: int
) -> Iterator[tuple[str, Likeness]]:
    """Every way to call movies similar, by name."""
    ids, movie = np.unique(rows.movies, return_inverse=True)
    counts = np.bincount(movie)

    def by_factors(side: Side, columns: int, shrink: float) -> Likeness:
        factors, own = np.ascontiguousarray(side.factors[:, :columns]), counts[np.searchsorted(ids, side.ids)]

        def likeness(at: int) -> Float32Array:
            position = int(np.searchsorted(side.ids, ids[at]))
            return spread(side, rows, similarity.by_factors(factors, position, own, shrink))

        return likeness

    quiet = {"threads": threads, "log": lambda _: None}
    explicit = training.train(table, params, **quiet).model.movies  # type: ignore[arg-type]
    ranking = implicit.train(table, params, **quiet).model.movies  # type: ignore[arg-type]
    for shrink in (0, 10, 25, 50):
        yield f"rating model: cosine, shrunk by {shrink}", by_factors(explicit, explicit.factors.shape[1] - 2, shrink)
    for shrink in (0, 5, 10, 25, 50):
        yield f"implicit ALS: cosine, shrunk by {shrink}", by_factors(ranking, ranking.factors.shape[1], shrink)
    for kind in models.ITEM_WEIGHTS:
        weights = models.train_item_weights(kind, rows, params, threads)
        side = weights.movies

        def by_weights(at: int, side: Side = side) -> Float32Array:
            position = int(np.searchsorted(side.ids, ids[at]))
            known = position < len(side.ids) and side.ids[position] == ids[at]
            return spread(side, rows, similarity.by_weights(side.factors, position)) if known else np.zeros(len(ids))

        yield f"{kind}: weights in both directions", by_weights


def measure(rows: RatingArrays, liked: float, likeness: Likeness) -> tuple[float, float]:
    """The mean Jaccard index, and the median number of ratings of the similar movies."""
    _, user = np.unique(rows.users, return_inverse=True)
    _, movie = np.unique(rows.movies, return_inverse=True)
    counts = np.bincount(movie)
    fans = np.zeros((user.max() + 1, len(counts)), bool)
    likes = rows.ratings >= liked
    fans[user[likes], movie[likes]] = True
    found, ratings = [], []
    for at in np.argsort(-counts, kind="stable")[:MOST_RATED].tolist():
        similar = similarity.nearest(likeness(at), LISTED, np.array([at]))
        found.append(fans_in_common(fans, at, similar) if len(similar) else 0.0)
        ratings += counts[similar].tolist()
    return float(np.mean(found)), float(np.median(ratings))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("lakehouse", help="with gold/interactions, such as results/ml-latest-small")
    parser.add_argument("--threads", type=int, default=2)
    given = parser.parse_args()
    table = reco_platform.open(given.lakehouse).table("interactions", COLUMNS)
    table = table.sort_by([("user_id", "ascending"), ("movie_id", "ascending")])
    params, rows = Config().shaping(), rating_arrays(table)
    print(f"| {'Similar by':42} | Fans in common | Ratings of the similar movies |\n|---|---|---|")
    for name, likeness in candidates(rows, table, params, given.threads):
        shared, ratings = measure(rows, params["liked_rating"], likeness)
        print(f"| {name:42} | {shared:.3f} | {ratings:.0f} |", flush=True)


if __name__ == "__main__":
    main()
