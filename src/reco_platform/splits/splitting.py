"""From silver ratings to interactions: the latest rating of each pair, dense indexes, and a fold for each row.

The folds are train, validation and test. Three kinds of split are known:

- global_time: one moment for all. Rows up to the cut train, those after it test; rows of one moment stay together.
- user_time: the last rows of each user. Rows of one moment of one user count in order of movie_id, so that exactly as
  many are cut off as asked; the cut of a user is the moment of the first row after it, which rows before it may share.
- random: rows in an order drawn from split_seed and the two ids alone, whatever the order and number of other rows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from reco_platform.contracts.tables import INTERACTIONS
from reco_platform.core.errors import DataError
from reco_platform.splits import kernels
from reco_platform.splits.interactions import microseconds

Longs = npt.NDArray[np.int64]
Ints = npt.NDArray[np.int32]
FoldNumbers = npt.NDArray[np.int8]

FOLDS = ("train", "validation", "test")
LARGEST_TABLE = 1 << 24  # ids up to this are numbered by a table, larger ones by searching
BATCH_ROWS = 1 << 18
MOST_SORTERS = 8  # each counts all users, and memory is what limits them
BIN_BITS = 16
ROUNDING = 1e-9  # so that 10 * (1 - 0.9) counts as 1


# --- the latest rating of each pair


@dataclass(frozen=True)
class Numbering:
    """Ids numbered from 0 in their order.

    Attributes:
        ids: the distinct ids, rising, shape (ids,).
    """

    ids: Ints

    @classmethod
    def of(cls, chunks: Sequence[Ints]) -> Numbering:
        """The numbering of all ids in some arrays, none negative."""
        largest = max((int(chunk.max(initial=0)) for chunk in chunks), default=0)
        if largest > LARGEST_TABLE:
            return cls(np.unique(np.concatenate(chunks)))
        present = np.zeros(largest + 1, bool)
        for chunk in chunks:
            present[chunk] = True
        return cls(np.flatnonzero(present).astype(np.int32))

    @cached_property
    def table(self) -> Ints | None:
        if len(self.ids) == 0 or self.ids[-1] > LARGEST_TABLE:
            return None
        table = np.zeros(int(self.ids[-1]) + 1, np.int32)
        table[self.ids] = np.arange(len(self.ids), dtype=np.int32)
        return table

    def __call__(self, ids: Ints) -> Ints:
        """The number of each id, shape as given."""
        return np.searchsorted(self.ids, ids).astype(np.int32) if self.table is None else self.table[ids]


@dataclass(frozen=True)
class Rows:
    """One row a (user, movie), sorted by user, then movie.

    Attributes:
        users: ids, rising, shape (users,).
        movies: ids, rising, shape (movies,).
        starts: where the rows of each user begin, and the end of the last, shape (users + 1,).
        movie_index: places in movies, shape (rows,).
        ratings: shape (rows,).
        moments: microseconds since 1970, shape (rows,).
    """

    users: Ints
    movies: Ints
    starts: Longs
    movie_index: Ints
    ratings: npt.NDArray[np.float32]
    moments: Longs

    def __len__(self) -> int:
        return len(self.moments)

    def table(self, fold: FoldNumbers, first: int, end: int) -> pa.Table:
        """The rows [first, end) with the columns of the contract; the fold is dictionary-encoded."""
        starts: Longs = np.clip(self.starts, first, end)
        user_index = np.repeat(np.arange(len(self.users), dtype=np.int32), np.diff(starts))
        movie_index = self.movie_index[first:end]
        columns = {
            "user_id": self.users[user_index],
            "movie_id": self.movies[movie_index],
            "user_index": user_index,
            "movie_index": movie_index,
            "rating": self.ratings[first:end],
            "rating_ts": pa.array(self.moments[first:end]).cast(INTERACTIONS.schema.field("rating_ts").type),
            "fold": pa.DictionaryArray.from_arrays(fold[first:end], list(FOLDS)),
        }
        return pa.table(columns).select(INTERACTIONS.names)


def latest(ratings: pa.Table, threads: int = 1) -> Rows:
    """The latest rating of each (user, movie): a counting sort by user, then a sort by movie within each.

    Args:
        ratings: user_id int32, movie_id int32, rating float, rating_ts timestamp; no two rows alike in the first two
            and the last. In any order.
        threads: how many; never changes the result.
    """
    batches = ratings.to_batches(max_chunksize=BATCH_ROWS)
    sorters = min(threads, MOST_SORTERS)
    users = Numbering.of([batch["user_id"].to_numpy() for batch in batches])
    movies = Numbering.of([batch["movie_id"].to_numpy() for batch in batches])
    groups = [batches[number::sorters] for number in range(sorters)]
    rows = ratings.num_rows
    movie_index, stars, moments = np.empty(rows, np.int32), np.empty(rows, np.float32), np.empty(rows, np.int64)
    counts = np.zeros((sorters, len(users.ids)), np.int64)

    def count(group: int) -> None:
        for batch in groups[group]:
            kernels.count(users(batch["user_id"].to_numpy()), counts[group])

    def scatter(group: int) -> None:
        for batch in groups[group]:
            user_numbers, movie_numbers = users(batch["user_id"].to_numpy()), movies(batch["movie_id"].to_numpy())
            values, when = batch["rating"].to_numpy(), microseconds(batch["rating_ts"])
            place = places[group]
            kernels.scatter(user_numbers, movie_numbers, values, when, place, movie_index, stars, moments)

    def sort(bounds: tuple[int, int]) -> None:
        kernels.sort_by_movie(*bounds, starts, movie_index, stars, moments)
        kernels.mark_latest(*bounds, starts, movie_index, moments, keep)

    keep = np.empty(rows, bool)
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(count, range(sorters)))
        starts = ends_of(counts.sum(axis=0))
        places = starts[:-1] + np.cumsum(counts, axis=0) - counts
        list(pool.map(scatter, range(sorters)))
        list(pool.map(sort, even_ranges(starts, 4 * threads)))
    if not keep.all():
        kept_before = ends_of(keep)
        starts, movie_index, stars, moments = kept_before[starts], movie_index[keep], stars[keep], moments[keep]
    return Rows(users.ids, movies.ids, starts, movie_index, stars, moments)


def ends_of(counts: npt.NDArray[Any]) -> Longs:
    """Where runs of these lengths begin and end, shape (runs + 1,)."""
    return np.concatenate([np.zeros(1, np.int64), np.cumsum(counts, dtype=np.int64)])


def even_ranges(starts: Longs, parts: int) -> list[tuple[int, int]]:
    """Ranges of users with about as many rows each."""
    edges = np.searchsorted(starts, np.linspace(0, starts[-1], parts + 1)).tolist()
    edges[-1] = len(starts) - 1
    return list(pairwise(edges))


# --- folds: each function gives the number of each row's fold, its place in FOLDS, shape (rows,)


@dataclass(frozen=True)
class Cuts:
    """Moments in microseconds since 1970: train holds rows up to `train`, validation up to `test`, test those after."""

    train: int
    test: int


@dataclass(frozen=True)
class Split:
    """The fold of each row.

    Attributes:
        kind: global_time, user_time or random.
        fold: places in FOLDS, shape (rows,).
        cuts: of global_time.
    """

    kind: str
    fold: FoldNumbers
    cuts: Cuts | None = None


def split(rows: Rows, params: Mapping[str, Any]) -> Split:
    """The folds of all rows, checked.

    Args:
        rows: as `latest` gives them.
        params: split, test_fraction, validation_fraction, validation_from, test_from, last_k, split_seed.

    Raises:
        DataError: if a fold is empty, or a row is in a fold where it must not be.
    """
    made = unchecked_split(rows, params)
    check_filled(rows, made.fold, params)
    check_leaks(rows, made)
    return made


def unchecked_split(rows: Rows, params: Mapping[str, Any]) -> Split:
    kind, test_fraction, validation_fraction = params["split"], params["test_fraction"], params["validation_fraction"]
    if kind == "random":
        drawn = draws(rows, params["split_seed"])
        return Split(kind, folds_by_cuts(drawn, count_cuts(drawn, test_fraction, validation_fraction)))
    if kind == "user_time":
        sizes = np.diff(rows.starts)
        kept, trained = (
            last_k_cuts(sizes, params["last_k"])
            if params["last_k"]
            else fraction_cuts(sizes, test_fraction, validation_fraction)
        )
        return Split(kind, folds_by_user(rows, trained, kept))
    if params["test_from"]:
        cuts = date_cuts(params["validation_from"], params["test_from"])
    else:
        cuts = count_cuts(rows.moments, test_fraction, validation_fraction)
    return Split(kind, folds_by_cuts(rows.moments, cuts), cuts)


def count_cuts(values: Longs, test_fraction: float, validation_fraction: float) -> Cuts:
    """Where the folds end when rows are counted off in order of a value; equal values stay on the earlier side.

    Args:
        values: shape (rows,); moments in microseconds, or random draws.
        test_fraction: share of all rows, the last, for the test fold.
        validation_fraction: share of the others, the last, for the validation fold.

    Raises:
        DataError: if there are no rows.
    """
    if len(values) == 0:
        raise DataError("there are no ratings to split", "see the report of silver ratings for what was rejected")
    test = nth(values, int(upto(len(values), test_fraction)))
    training = int(np.count_nonzero(values <= test))
    return Cuts(train=nth(values, int(upto(training, validation_fraction))), test=test)


def date_cuts(validation_from: str, test_from: str) -> Cuts:
    """Cuts before the midnights, UTC, that begin two days; a row at midnight belongs to the day."""
    first, second = (int(np.datetime64(day, "us").astype(np.int64)) for day in (validation_from, test_from))
    return Cuts(train=first - 1, test=second - 1)


def folds_by_cuts(values: Longs, cuts: Cuts) -> FoldNumbers:
    return (values > cuts.train).astype(np.int8) + (values > cuts.test)


def fraction_cuts(sizes: Longs, test_fraction: float, validation_fraction: float) -> tuple[Longs, Longs]:
    """Of each user's rows, how many come before test, and how many before validation; at least one each."""
    kept = upto(sizes, test_fraction)
    return kept, upto(kept, validation_fraction)


def last_k_cuts(sizes: Longs, last_k: int) -> tuple[Longs, Longs]:
    """As `fraction_cuts`: the last k rows are test, the k before them validation, and at least one train."""
    kept = np.maximum(1, sizes - last_k)
    return kept, np.maximum(1, kept - last_k)


def folds_by_user(rows: Rows, trained: Longs, kept: Longs) -> FoldNumbers:
    """Each user's rows in order of time, those of one moment by movie: so many train, up to so many validation."""
    fold = np.empty(len(rows), np.int8)
    kernels.last_of_each(rows.starts, rows.moments, trained, kept, fold)
    return fold


def draws(rows: Rows, seed: int) -> Longs:
    """A pseudorandom number of each row, by the seed and its ids alone, shape (rows,)."""
    drawn = np.empty(len(rows), np.int64)
    kernels.draw(seed, rows.starts, rows.users, rows.movies, rows.movie_index, drawn)
    return drawn


def nth(values: Longs, number: int) -> int:
    """The value at a place in their order, counted from 1: found in the bin that holds it, in linear time.

    Args:
        values: shape (rows,); their range less than 2^63.
        number: from 1 to rows.
    """
    low, high = int(values.min()), int(values.max())
    shift = max(0, (high - low).bit_length() - BIN_BITS)
    counts = np.zeros(1 << BIN_BITS, np.int64)
    kernels.count_bins(values, low, shift, counts)
    ends = np.cumsum(counts)
    chosen = int(np.searchsorted(ends, number))
    place = number - 1 - int(ends[chosen] - counts[chosen])
    members = np.empty(counts[chosen], np.int64)
    kernels.copy_bin(values, low, shift, chosen, members)
    return int(np.partition(members, place)[place])


def upto(rows: int | Longs, last_fraction: float) -> Longs:
    """How many of `rows` come before the last fraction; at least one. Shape as given."""
    return np.maximum(1, np.floor(np.asarray(rows) * (1 - last_fraction) + ROUNDING)).astype(np.int64)


# --- checks


def check_filled(rows: Rows, fold: FoldNumbers, params: Mapping[str, Any]) -> None:
    """That every fold has rows.

    Raises:
        DataError: if a fold is empty.
    """
    counts = np.bincount(fold, minlength=len(FOLDS))
    if counts.all():
        return
    empty = [name for name, size in zip(FOLDS, counts, strict=True) if size == 0]
    what = f"no row in the {' or the '.join(empty)} fold: "
    if params["split"] == "global_time" and params["test_from"]:
        data = f"the ratings run from {timestamp(int(rows.moments.min()))} to {timestamp(int(rows.moments.max()))}"
        dates = f"validation_from={params['validation_from']}, test_from={params['test_from']}"
        raise DataError(f"{what}{dates}, and {data}", "set dates with ratings before, between and after them")
    why = {
        "global_time": "of which too many share one moment, or which are too few",
        "user_time": "whose users have too few each",
        "random": "which are too few",
    }[params["split"]]
    shares = f"test_fraction={params['test_fraction']} or validation_fraction={params['validation_fraction']}"
    raise DataError(f"{what}{len(rows):,} ratings, {why}", f"give more data, or raise {shares}")


def check_leaks(rows: Rows, split: Split) -> None:
    """That nothing of a later fold could be known from an earlier one.

    Raises:
        DataError: if a (user, movie) comes twice; with global_time, if a row is on the wrong side of a cut; with
            user_time, if a row is later than one of the same user in a later fold.
    """
    row = int(kernels.repeated(rows.starts, rows.movie_index))
    if row >= 0:
        movie = rows.movies[rows.movie_index[row]]
        raise DataError(f"user {user_of(rows, row)} has more than one row of movie {movie}: it could be in two folds")
    if split.kind == "random":
        return
    first, last = kernels.spans(rows.starts, rows.moments, split.fold)
    if split.cuts is not None:
        check_cut(FOLDS[:1], last[:, :1], FOLDS[1:], first[:, 1:], split.cuts.train)
        check_cut(FOLDS[:2], last[:, :2], FOLDS[2:], first[:, 2:], split.cuts.test)
        return
    late = (last[:, 0] > first[:, 1:].min(axis=1)) | (last[:, :2].max(axis=1) > first[:, 2])
    if late.any():
        user = rows.users[int(np.argmax(late))]
        raise DataError(f"user {user} has a row that is later than one of a later fold ({late.sum():,} users have)")


def check_cut(before: Sequence[str], last: Longs, after: Sequence[str], first: Longs, cut: int) -> None:
    """That the last moments of some folds are not after a cut, and the first of others are."""
    if last.max() > cut:
        raise DataError(f"a {' or '.join(before)} row is later than the cut {timestamp(cut)}: {timestamp(last.max())}")
    if first.min() <= cut:
        raise DataError(f"a {' or '.join(after)} row is not after the cut {timestamp(cut)}: {timestamp(first.min())}")


def user_of(rows: Rows, row: int) -> int:
    return int(rows.users[np.searchsorted(rows.starts, row, side="right") - 1])


# --- facts


def facts(rows: Rows, split: Split) -> dict[str, Any]:
    """What a receipt says of a split: counts, cuts, and of each fold its users and movies, warm and cold.

    A user or movie of the validation fold is warm if it has rows in train; one of the test fold, if it has rows in
    train or validation, which the model is trained on. A row is warm if both its user and its movie are.
    """
    counts = np.bincount(split.fold, minlength=len(FOLDS)).tolist()
    users_in, movies_in = np.zeros((3, len(rows.users)), bool), np.zeros((3, len(rows.movies)), bool)
    kernels.mark_present(rows.starts, rows.movie_index, split.fold, users_in, movies_in)
    found: dict[str, dict[str, int]] = {}
    for number, name in enumerate(FOLDS):
        users, movies = users_in[number], movies_in[number]
        found[name] = {"rows": counts[number], "users": int(users.sum()), "movies": int(movies.sum())}
        if number:
            known_users, known_movies = users_in[:number].max(axis=0), movies_in[:number].max(axis=0)
            found[name] |= warmth("users", users, known_users) | warmth("movies", movies, known_movies)
            found[name]["warm_rows"] = int(
                kernels.warm_rows(rows.starts, rows.movie_index, split.fold, number, known_users, known_movies)
            )
    cuts = split.cuts and {"validation_after": timestamp(split.cuts.train), "test_after": timestamp(split.cuts.test)}
    return {
        "split": split.kind,
        "train_count": counts[0] + counts[1],
        "validation_count": counts[1],
        "test_count": counts[2],
        **(cuts or {}),
        "folds": found,
    }


def warmth(name: str, present: npt.NDArray[np.bool_], known: npt.NDArray[np.bool_]) -> dict[str, int]:
    return {f"warm_{name}": int((present & known).sum()), f"cold_{name}": int((present & ~known).sum())}


def timestamp(moment: int) -> str:
    """A moment in microseconds as text in UTC."""
    return str(np.datetime64(int(moment), "us")) + "Z"
