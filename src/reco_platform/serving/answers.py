"""Answers: small frozen records, each with `to_dict`, and lists of them as data frames and Arrow tables."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar

import pyarrow as pa

if TYPE_CHECKING:
    import pandas as pd

Source = Literal["model", "popular"]
TEXT, LONG, REAL = pa.string(), pa.int32(), pa.float64()
MOVIE_COLUMNS = (
    ("movie_id", LONG), ("title", TEXT), ("year", LONG), ("genres", pa.list_(TEXT)), ("ratings", pa.int64()),
    ("mean_rating", REAL),
)  # fmt: skip


@dataclass(frozen=True)
class Movie:
    """A movie.

    Attributes:
        movie_id: as in the source, a number or a text.
        title: as in the source.
        year: of release; None if the title has none.
        genres: empty where none are listed.
        ratings: how many ratings the served model knows.
        mean_rating: of all ratings, in stars; None without ratings.
    """

    movie_id: int | str
    title: str
    year: int | None
    genres: tuple[str, ...]
    ratings: int
    mean_rating: float | None

    def to_dict(self) -> dict[str, Any]:
        """The record as a dictionary that JSON can represent."""
        found = asdict(self)
        return {**found, "genres": list(self.genres)}


@dataclass(frozen=True)
class Reason:
    """What one rating adds to a score.

    Attributes:
        movie_id, title: of the rated movie.
        rating: in stars.
        adds: to the score; negative if the rating speaks against the movie.
        words: the same in words, such as `you liked Toy Story (1995)`.
    """

    movie_id: int | str
    title: str
    rating: float
    adds: float
    words: str


@dataclass(frozen=True)
class ListedMovie(Movie):
    """A movie in a list.

    Attributes:
        rank: from 1.
        score: of the model that made the list; see `Movies.score_means`.
        why: the ratings that speak most for it, if the question asked for them.
    """

    rank: int
    score: float
    why: tuple[Reason, ...] = ()


@dataclass(frozen=True)
class RatedMovie(Movie):
    """A movie that a user has rated.

    Attributes:
        rating: in stars.
        rated_at: UTC.
    """

    rating: float
    rated_at: datetime


Record = TypeVar("Record", bound=Movie)


@dataclass(frozen=True)
class Movies(Generic[Record]):
    """Movies in order; they can be iterated and indexed.

    Attributes:
        movies: the records.
        model_version: the version that answered.
        source: `model`, or `popular` for a list of the most popular movies, which is the same for everybody.
        score_means: what the scores are, in words; empty without scores.
        note: what the reader should know about the answer; empty if nothing.
        used: ids of the given movies whose ratings the model could use; only of `recommend_for`.
        unused: ids of those that it could not use.
    """

    movies: tuple[Record, ...]
    model_version: str
    source: Source = "model"
    score_means: str = ""
    note: str = ""
    used: tuple[int | str, ...] = ()
    unused: tuple[int | str, ...] = ()

    def __len__(self) -> int:
        return len(self.movies)

    def __iter__(self) -> Iterator[Record]:
        return iter(self.movies)

    def __getitem__(self, at: int) -> Record:
        return self.movies[at]

    def to_dict(self) -> dict[str, Any]:
        """The answer as a dictionary that JSON can represent."""
        rest = {field.name: getattr(self, field.name) for field in fields(self) if field.name != "movies"}
        shown = {name: list(value) if isinstance(value, tuple) else value for name, value in rest.items()}
        return {**shown, "movies": [plain(movie.to_dict()) for movie in self.movies]}

    def to_arrow(self) -> pa.Table:
        """One row a movie; reasons are not part of it."""
        kind = type(self.movies[0]) if self.movies else Movie
        columns = [*MOVIE_COLUMNS]
        if kind is ListedMovie:
            columns = [("rank", LONG), *columns, ("score", REAL)]
        if kind is RatedMovie:
            columns += [("rating", REAL), ("rated_at", pa.timestamp("us", "UTC"))]
        return table_of(self.movies, columns)

    def to_pandas(self) -> pd.DataFrame:
        """One row a movie; reasons are not part of it."""
        return self.to_arrow().to_pandas()


@dataclass(frozen=True)
class Explanation:
    """Why a movie has its score for a user: parts that add up to the score.

    Attributes:
        movie: whose score it is.
        score: of the model.
        model_version: the version that answered.
        score_means: what the score is, in words.
        mean: of all ratings, and how far the user's and the movie's ratings are above it: 0 but in a model of ratings.
        user_level, movie_level: see `mean`.
        reasons: what each rating adds, the largest part first, with the sign that it has.
        remainder: what the solver of the training has left: the factors of a user of the training are near the exact
            solution, and no more.
        typical: the score of this movie for the average user, for comparison; not a part.
    """

    movie: Movie
    score: float
    model_version: str
    score_means: str
    mean: float
    user_level: float
    movie_level: float
    reasons: tuple[Reason, ...]
    remainder: float
    typical: float

    def sentences(self, n: int = 5) -> list[str]:
        """The explanation in words, with at most n reasons for and n against."""
        found = [f"{self.movie.title} has the score {self.score:.3f}: {self.score_means}."]
        if self.mean:
            found.append(f"{self.mean:+.3f} is the mean of all ratings.")
            found.append(f"{self.movie_level:+.3f} because everybody rates it {above(self.movie_level)} the mean.")
            found.append(f"{self.user_level:+.3f} because you rate {above(self.user_level)} others.")
        elif self.movie_level:
            found.append(f"{self.movie_level:+.3f} is the movie's own level, the same for everybody.")
        speaks_for = [reason for reason in self.reasons if reason.adds > 0]
        against = [reason for reason in self.reasons if reason.adds < 0]
        shown = {reason.movie_id for reason in [*speaks_for[:n], *against[:n]]}
        for reason in self.reasons:
            if reason.movie_id in shown:
                found.append(f"{reason.adds:+.3f} because {reason.words}.")
        others = [reason.adds for reason in self.reasons if reason.movie_id not in shown]
        if others:
            found.append(f"{sum(others):+.3f} from {len(others)} other ratings together.")
        if abs(self.remainder) >= 0.0005:
            found.append(f"{self.remainder:+.3f} is what the training's solver left.")
        if not self.reasons and not self.movie_level:
            found.append("None of your ratings counts for this model.")
        found.append(f"For comparison: the average user has the score {self.typical:.3f} for this movie.")
        return found

    def to_dict(self) -> dict[str, Any]:
        """The explanation as a dictionary that JSON can represent."""
        found = asdict(self)
        return plain({**found, "movie": self.movie.to_dict(), "reasons": [asdict(reason) for reason in self.reasons]})

    def to_arrow(self) -> pa.Table:
        """One row a part of the score: the levels, each rating, the remainder. `adds` sums to the score."""
        levels = [("mean", self.mean), ("user_level", self.user_level), ("movie_level", self.movie_level)]
        rows: list[tuple[Any, ...]] = [(name, None, None, None, value) for name, value in levels]
        rows += [("rating", one.movie_id, one.title, one.rating, one.adds) for one in self.reasons]
        rows.append(("remainder", None, None, None, self.remainder))
        names = (("part", TEXT), ("movie_id", LONG), ("title", TEXT), ("rating", REAL), ("adds", REAL))
        columns = zip(names, zip(*rows, strict=True), strict=True)
        return pa.table({name: column(name, values, kind) for (name, kind), values in columns})

    def to_pandas(self) -> pd.DataFrame:
        """As `to_arrow`."""
        return self.to_arrow().to_pandas()


def above(level: float) -> str:
    return f"{abs(level):.2f} stars {'above' if level >= 0 else 'below'}"


@dataclass(frozen=True)
class Prediction:
    """A predicted rating.

    Attributes:
        user_id, movie_id: the pair.
        rating: in stars, not limited to the scale; None if the model cannot say.
        basis: `model`; `levels` where the model does not know the user or the movie, and the mean and the level of the
            other one are the prediction; `nothing` if it cannot say.
    """

    user_id: int | str
    movie_id: int | str
    rating: float | None
    basis: Literal["model", "levels", "nothing"]


@dataclass(frozen=True)
class Predictions:
    """Predicted ratings in the order of the question.

    Attributes:
        predictions: the records.
        model_version: of the rating model.
    """

    predictions: tuple[Prediction, ...]
    model_version: str

    def __len__(self) -> int:
        return len(self.predictions)

    def __iter__(self) -> Iterator[Prediction]:
        return iter(self.predictions)

    def __getitem__(self, at: int) -> Prediction:
        return self.predictions[at]

    def to_dict(self) -> dict[str, Any]:
        """The answer as a dictionary that JSON can represent."""
        return {"model_version": self.model_version, "predictions": [asdict(one) for one in self.predictions]}

    def to_arrow(self) -> pa.Table:
        """One row a pair."""
        kinds = (("user_id", LONG), ("movie_id", LONG), ("rating", REAL), ("basis", TEXT))
        return table_of(self.predictions, kinds)

    def to_pandas(self) -> pd.DataFrame:
        """One row a pair."""
        return self.to_arrow().to_pandas()


@dataclass(frozen=True)
class ModelCard:
    """What answers, how good it is, on which data, and how fresh it is.

    Attributes:
        model_version: of the model that makes the lists.
        kind: `implicit`, `ease`, `item_knn`, `popular` or `explicit`.
        hyperparameters: of its training.
        users, movies, ratings: that it was trained on.
        rating_model_version: of the model that predicts ratings.
        dataset: name of the data set.
        data_fingerprint: of the ratings.
        latest_rating: moment of the latest rating, UTC.
        lists_made_at: when the stored lists were written, UTC.
        metrics: the evaluation of the latest run with intervals, by system and metric (docs/metrics.md); empty if it
            was not of these models. With `refit` it is of the same models trained without the test ratings.
        evaluated: the name in `metrics` of the system that orders the lists.
    """

    model_version: str
    kind: str
    hyperparameters: dict[str, Any]
    users: int
    movies: int
    ratings: int
    rating_model_version: str
    dataset: str
    data_fingerprint: str
    latest_rating: datetime
    lists_made_at: datetime
    metrics: dict[str, Any]
    evaluated: str

    def to_dict(self) -> dict[str, Any]:
        """The card as a dictionary that JSON can represent."""
        return plain(asdict(self))


def table_of(records: Sequence[object], columns: Iterable[tuple[str, pa.DataType]]) -> pa.Table:
    """Records as rows; ids that are texts are a column of texts."""
    return pa.table({
        name: column(name, [getattr(record, name) for record in records], kind) for name, kind in columns
    })  # fmt: skip


def column(name: str, values: Sequence[Any], kind: pa.DataType) -> pa.Array:
    has_texts = name in {"user_id", "movie_id"} and any(isinstance(value, str) for value in values)
    return pa.array(values, TEXT if has_texts else kind)


def plain(values: dict[str, Any]) -> dict[str, Any]:
    """The same with moments as ISO 8601 text."""
    return {name: value.isoformat() if isinstance(value, datetime) else value for name, value in values.items()}
