"""Example users of a run's page: their best rated movies, their recommendations, and their later ratings of these."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from reco_platform.lakehouse.source_ids import NUMBERS, AllSourceIds
from reco_platform.lakehouse.tables import OpenTable

COLUMNS = ("user_id", "movie_id", "rating", "rating_ts", "fold")


@dataclass(frozen=True)
class ExampleMovie:
    """A movie that an example user rated or is recommended.

    Attributes:
        title: as in the source.
        genres: empty if none are listed.
        score: stars, given or predicted.
        later_rating: the user's rating of a recommended movie in the test fold; None if there is none.
    """

    title: str
    genres: list[str]
    score: float
    later_rating: float | None = None


@dataclass(frozen=True)
class UserExample:
    """A user with the best rated movies among the ratings that the model knows, and the best recommendations."""

    user_id: int | str
    known_ratings: int
    liked: list[ExampleMovie]
    recommended: list[ExampleMovie]


def user_examples(
    lists: pa.Table,
    interactions: OpenTable,
    movies: pa.Table,
    folds: Collection[str],
    *,
    ids: AllSourceIds = NUMBERS,
    users: int,
    count: int,
) -> list[UserExample]:
    """Examples of users, evenly spread over the recommendations.

    Args:
        lists: user_id and recommendations.
        interactions: gold/interactions.
        movies: movie_id, title and genres.
        folds: the folds that the served model was trained on.
        ids: the source ids, as which users, and movies without a title, are shown.
        users: number of users.
        count: greatest number of movies of each kind.
    """
    step = max(1, len(lists) // max(users, 1))
    chosen = lists.take(list(range(0, len(lists), step))[:users]).to_pylist()
    user_ids = pa.array([row["user_id"] for row in chosen], pa.int32())
    ratings = (
        interactions.dataset().to_table(columns=list(COLUMNS), filter=pc.field("user_id").isin(user_ids)).to_pylist()
    )
    movie_ids = {row["movie_id"] for row in ratings} | {
        item["movie_id"] for row in chosen for item in row["recommendations"]
    }
    known_movies = movies.filter(pc.is_in(movies["movie_id"], pa.array(sorted(movie_ids), pa.int32()))).to_pylist()
    by_id = {row["movie_id"]: row for row in known_movies}

    def movie(movie_id: int, score: float, later_rating: float | None = None) -> ExampleMovie:
        row: Mapping[str, list[str]] = by_id.get(movie_id, {})
        title, genres = str(row.get("title", f"movie {ids.movies.shown(movie_id)}")), list(row.get("genres") or [])
        return ExampleMovie(title, genres, score, later_rating)

    examples = []
    for row in chosen:
        own = [rating for rating in ratings if rating["user_id"] == row["user_id"]]
        known = [rating for rating in own if rating["fold"] in folds]
        later = {rating["movie_id"]: rating["rating"] for rating in own if rating["fold"] not in folds}
        known.sort(key=lambda rating: (-rating["rating"], -rating["rating_ts"].timestamp(), rating["movie_id"]))
        examples.append(
            UserExample(
                ids.users.shown(row["user_id"]),
                len(known),
                [movie(rating["movie_id"], rating["rating"]) for rating in known[:count]],
                [
                    movie(item["movie_id"], item["score"], later.get(item["movie_id"]))
                    for item in row["recommendations"][:count]
                ],
            )
        )
    return examples
