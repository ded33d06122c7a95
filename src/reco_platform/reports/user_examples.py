"""Some users with what they liked, what is recommended to them, and what they thought of it later."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from reco_platform.lakehouse.tables import OpenTable

COLUMNS = ("user_id", "movie_id", "rating", "rating_ts", "fold")


@dataclass(frozen=True)
class Movie:
    """A movie on a user's shelf.

    Attributes:
        title: as in the source.
        genres: empty where none are listed.
        score: stars, given or predicted.
        later: the stars that the user gave a recommended movie in the test fold; None where there are none.
    """

    title: str
    genres: list[str]
    score: float
    later: float | None = None


@dataclass(frozen=True)
class UserExample:
    """One user: the best of what the model knew of, and what it recommends."""

    user_id: int
    known: int
    liked: list[Movie]
    recommended: list[Movie]


def user_examples(
    lists: pa.Table, interactions: OpenTable, movies: pa.Table, folds: Collection[str], *, users: int, count: int
) -> list[UserExample]:
    """The shelves of some users, evenly spread over the recommendations.

    Args:
        lists: user_id and recommendations.
        interactions: gold/interactions.
        movies: movie_id, title and genres.
        folds: those that the served model was trained on.
        users: how many.
        count: movies of each kind at most.
    """
    step = max(1, len(lists) // max(users, 1))
    chosen = lists.take(list(range(0, len(lists), step))[:users]).to_pylist()
    wanted = pa.array([row["user_id"] for row in chosen], pa.int32())
    ratings = (
        interactions.dataset().to_table(columns=list(COLUMNS), filter=pc.field("user_id").isin(wanted)).to_pylist()
    )
    shown = {row["movie_id"] for row in ratings} | {one["movie_id"] for row in chosen for one in row["recommendations"]}
    known = movies.filter(pc.is_in(movies["movie_id"], pa.array(sorted(shown), pa.int32()))).to_pylist()
    by_id = {row["movie_id"]: row for row in known}

    def movie(number: int, score: float, later: float | None = None) -> Movie:
        row: Mapping[str, list[str]] = by_id.get(number, {})
        return Movie(str(row.get("title", f"movie {number}")), list(row.get("genres") or []), score, later)

    found = []
    for row in chosen:
        own = [one for one in ratings if one["user_id"] == row["user_id"]]
        before = [one for one in own if one["fold"] in folds]
        after = {one["movie_id"]: one["rating"] for one in own if one["fold"] not in folds}
        before.sort(key=lambda one: (-one["rating"], -one["rating_ts"].timestamp(), one["movie_id"]))
        found.append(
            UserExample(
                row["user_id"],
                len(before),
                [movie(one["movie_id"], one["rating"]) for one in before[:count]],
                [
                    movie(one["movie_id"], one["score"], after.get(one["movie_id"]))
                    for one in row["recommendations"][:count]
                ],
            )
        )
    return found
