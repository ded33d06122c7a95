"""Generate data in the format of MovieLens: the same bytes on every machine, of any size, with a known truth.

Only integer random streams, integer sums and single IEEE operations (+ - * / sqrt) on whole arrays are used: numpy's
exp, log, pow, normal draws, dot products and long float sums differ between CPUs and would change the bytes.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, NonNegativeInt, model_validator

from reco_platform.core.arrays import Float64Array, Int64Array, UInt8Array, UInt64Array
from reco_platform.datasets.synthetic_text import (
    ADJECTIVES,
    FAULTS,
    GENRES,
    NO_GENRES,
    NOUNS,
    PATTERNS,
    PLACES,
    TAGS,
)

FORMAT = 3
"""To be increased whenever the same spec would give different bytes."""

EPOCH = 1_420_070_400
"""2015-01-01T00:00:00Z, the time of the earliest possible rating."""

LATENT_DIMS = 8
NOISE_SD = 0.60
USER_BIAS_SD = 0.45
ITEM_BIAS_SD = 0.45
LATENT_SD = 0.65
BASE_RATING = 3.17
"""Stars; the mean rating is higher, as users choose movies to their taste. Fitted to the mean rating of
ml-latest-small, 3.50, by tools/fit_demo.py."""

TAG_EVERY = 50
LEAST_RATINGS = 20
RETURNING_SHARE = 0.30
"""Share of users who come back after more than two weeks; on ml-latest-small, 0.30 of the users do. The others rate
all their movies in their first days, so that a split by one moment in time has many users without training ratings."""

OLD_MOVIES_SHARE = 0.75

GROUPS = 2 * LATENT_DIMS
"""Number of groups of similar movies: one for each direction of each dimension of taste, so that a user's interest in a
group can depend on the user's taste for its movies."""

TASTE_INTEREST = 1.0
"""How much interest in a group depends on liking its movies: its standard deviation over users, without a unit.

Fitted together with OWN_INTEREST and LEAST_INTEREST by tools/fit_demo.py, so that models beat the most popular movies
by as much as on MovieLens (ml-latest-small). Greater values also raise the mean rating, for which BASE_RATING makes up.
"""

OWN_INTEREST = 1.5
"""How much interest in a group is independent of liking its movies, in the same unit as TASTE_INTEREST.

People know what a movie is about before they watch it, so that their choices depend on more than their later ratings.
Fitted as TASTE_INTEREST; greater values make interests narrower.
"""

LEAST_INTEREST = 0.01
"""Added to the chance, 0 to 1, that a movie of a group is watched: everyone sometimes chooses from every group.

Fitted as TASTE_INTEREST; greater values make the most popular movies a better recommendation.
"""

RECENT_SHARE = 0.03
"""Share of the choices that are among recent releases only.

Fitted by tools/fit_demo.py, so that movies are rated more in the year after their release than in the two years after
that, by as much as on ml-latest-small.
"""

RECENT_YEARS = 2.0
"""Age in years up to which a movie can be a recent release; fitted as RECENT_SHARE.

Each choice has an age limit of its own, uniform between 0 and this one, so that interest falls as movies get older.
"""

HEAD_SHARE = 0.005
"""Share of the movies that are the head of the long tail, within which popularity hardly falls.

Fitted by tools/fit_demo.py to the share of ratings of the top 1% and 10% of movies of ml-latest-small. Those of the
demo stay lower: a movie cannot be rated by more than all users, and the demo has more ratings for each movie.
"""

CHOICE_ROUNDS = 30
"""How often a user whose choice was a movie seen or not yet released chooses again; after that, any movie will do.

It ends every generation: the movies of a user's interests can be fewer than the user's ratings.
"""

_DAY = 86_400
_YEAR = 31_557_600
_SESSIONS = 4
_MAX_SEEN_CELLS = 64_000_000
_OLDEST = 91 * _YEAR
_INTEREST_UNIT = 2**30
_INTEREST_SLOTS = 128
_SLOTS_PER_MOVIE = 64

Report = Callable[[str], None]


class DirtyRows(BaseModel):
    """The number of dirty rows of each kind that are added to each file; a kind that is not named has none."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    ratings: dict[str, NonNegativeInt] = {
        "null_user": 40,
        "null_movie": 35,
        "null_rating": 45,
        "null_timestamp": 30,
        "rating_out_of_range": 60,
        "rating_not_a_number": 24,
        "timestamp_not_a_number": 18,
        "exact_duplicate": 120,
        "conflicting_duplicate": 50,
        "unparsable": 15,
        "several_rules": 16,
    }
    movies: dict[str, NonNegativeInt] = {"null_movie": 3, "null_title": 4, "duplicate_movie": 5, "unparsable": 6}
    tags: dict[str, NonNegativeInt] = {
        "null_user": 7,
        "null_movie": 8,
        "null_tag": 9,
        "null_timestamp": 10,
        "exact_duplicate": 11,
        "unparsable": 12,
    }

    @model_validator(mode="after")
    def _check_kinds(self) -> Self:
        for table, faults in FAULTS.items():
            unknown = sorted(set(getattr(self, table)) - set(faults))
            if unknown:
                raise ValueError(f"{table} has no kind {', '.join(unknown)}; kinds are {', '.join(faults)}")
        return self


class SyntheticSpec(BaseModel):
    """Everything that determines the bytes. `ratings` is the number of clean rows; dirty rows are added to them."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    seed: int = Field(default=7, ge=0, lt=2**63)
    users: int = Field(default=2500, ge=1)
    movies: int = Field(default=1200, ge=40, le=300_000)
    ratings: int = Field(default=200_000, ge=1)
    years: int = Field(default=5, ge=1, le=60)
    dirty: DirtyRows = DirtyRows()

    @property
    def tags(self) -> int:
        """Number of clean rows of tags.csv."""
        return self.ratings // TAG_EVERY

    @model_validator(mode="after")
    def _check_sizes(self) -> Self:
        if self.ratings < self.users:
            raise ValueError(f"ratings must be at least users ({self.users}), got {self.ratings}")
        if self.ratings * 8 > self.users * self.movies:
            raise ValueError(f"ratings must be at most users * movies / 8 ({self.users * self.movies // 8})")
        for table in FAULTS:
            if sum(getattr(self.dirty, table).values()) > getattr(self, table):
                raise ValueError(f"{table} has more dirty rows than clean ones ({getattr(self, table)})")
        return self


@dataclass(frozen=True)
class Truth:
    """The clean ratings in the order of the file, each array of shape (ratings,), and their values without noise.

    `timestamp` is in seconds since 1970 UTC; `rating` and `expected` are stars, 0.5 to 5.0. A rating is `expected`
    before clipping plus noise of standard deviation `noise_sd`, clipped and rounded to half stars.
    """

    user: Int64Array
    movie: Int64Array
    rating: Float64Array
    timestamp: Int64Array
    expected: Float64Array
    noise_sd: float = NOISE_SD


def generate(folder: Path, spec: SyntheticSpec, *, progress: Callable[[str], None] | None = None) -> dict[str, Any]:
    """Writes ratings.csv, movies.csv, tags.csv and manifest.json into a folder.

    Args:
        folder: created if missing.
        spec: what to generate.
        progress: called with lines of text.

    Returns:
        The manifest: for each table `rows_in` (lines after the header), `valid_rows` (distinct clean rows) and `dirty`
        (rows of each kind), for each file its size in bytes and sha256, and the noise of the truth in stars.
    """
    report = progress or (lambda _: None)
    folder.mkdir(parents=True, exist_ok=True)
    world = _World.of(spec)
    report(f"movies: {spec.movies:,} rows")
    movies = _movie_rows(world)
    _write(
        folder / "movies.csv",
        "movieId,title,genres",
        [_with_dirty_rows(movies, _plan_faults(spec, "movies"), _movie_line)],
    )
    tagged: list[dict[str, Any]] = []
    noise = _NoiseSum()
    _write(folder / "ratings.csv", "userId,movieId,rating,timestamp", _rating_lines(world, tagged, noise, report))
    report(f"tags: {spec.tags:,} rows")
    _write(
        folder / "tags.csv",
        "userId,movieId,tag,timestamp",
        [_with_dirty_rows(tagged, _plan_faults(spec, "tags"), _tag_line)],
    )
    manifest = _manifest(folder, spec, movies, noise)
    (folder / "manifest.json").write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8", newline="\n")
    return manifest


def truth(spec: SyntheticSpec) -> Truth:
    """The clean ratings that `generate` writes for this spec, with their values without noise."""
    blocks = list(_blocks(_World.of(spec)))
    return Truth(
        user=np.concatenate([b.user for b in blocks]),
        movie=np.concatenate([b.movie for b in blocks]),
        rating=np.concatenate([b.halves for b in blocks]) / 2,
        timestamp=np.concatenate([b.timestamp for b in blocks]),
        expected=np.concatenate([b.expected for b in blocks]),
    )


class _RandomStream:
    """A separate random stream for each purpose: raw Philox words, which NumPy guarantees not to change."""

    def __init__(self, spec: SyntheticSpec, purpose: str, number: int = 0) -> None:
        name = hashlib.sha256(f"{purpose} {number}".encode()).digest()
        key = np.array([spec.seed, int.from_bytes(name[:8], "big")], dtype=np.uint64)
        self._bits = np.random.Philox(key=key)

    def raw(self, count: int) -> UInt64Array:
        return self._bits.random_raw(count)

    def below(self, count: int, high: int) -> Int64Array:
        return (self.raw(count) % np.uint64(high)).astype(np.int64)

    def fraction(self, count: int) -> Float64Array:
        """Uniform in [0, 1)."""
        return (self.raw(count) >> np.uint64(11)).astype(np.float64) / 2.0**53

    def normal(self, count: int) -> Float64Array:
        """Approximately normal with mean 0 and standard deviation 1, within ±3.5: the sum of four 16-bit integers."""
        total = self.raw(count).view(np.uint16).reshape(count, 4).sum(axis=1, dtype=np.int64)
        return (total - 131_070).astype(np.float64) / 37_837.0

    def permutation(self, count: int) -> Int64Array:
        """A permutation of range(count)."""
        return np.argsort(self.raw(count), kind="stable")

    def spaced_rows(self, count: int, rows: int) -> Int64Array:
        """`count` different numbers below `rows`, ascending: one from each of `count` equal ranges."""
        edges = np.arange(count + 1, dtype=np.int64) * rows // max(count, 1)
        return edges[:-1] + (self.raw(count) % np.diff(edges).astype(np.uint64)).astype(np.int64)


@dataclass(frozen=True)
class _World:
    """Movies and users. Times are in seconds after EPOCH.

    A row of `interests`, shape (users, _INTEREST_SLOTS), names each group as often as the user is interested in it.
    """

    spec: SyntheticSpec
    movie_id: Int64Array
    released: Int64Array
    catalogue: _Catalogue
    item_bias: Float64Array
    item_latent: Float64Array
    first_row: Int64Array
    sessions: Int64Array
    user_bias: Float64Array
    user_latent: Float64Array
    interests: UInt8Array

    @classmethod
    def of(cls, spec: SyntheticSpec) -> _World:
        movie_stream = _RandomStream(spec, "movies")
        rank = movie_stream.permutation(spec.movies)
        movie_id = np.cumsum(1 + movie_stream.below(spec.movies, 3))
        released = _release_times(spec, movie_stream)
        item_bias = _item_bias(rank, movie_stream)
        item_latent = _latent(movie_stream, spec.movies)
        catalogue = _Catalogue.of(_groups(item_latent), released, _popularity(rank))
        user_stream = _RandomStream(spec, "users")
        first_row = _first_rows(spec, user_stream)
        sessions = _session_starts(spec, user_stream)
        user_bias = USER_BIAS_SD * user_stream.normal(spec.users)
        user_latent = _latent(user_stream, spec.users)
        return cls(
            spec=spec,
            movie_id=movie_id,
            released=released,
            catalogue=catalogue,
            item_bias=item_bias,
            item_latent=item_latent,
            first_row=first_row,
            sessions=sessions,
            user_bias=user_bias,
            user_latent=user_latent,
            interests=_interests(user_latent, catalogue.shares, _RandomStream(spec, "interests")),
        )


@dataclass(frozen=True)
class _Catalogue:
    """Movies by group, then by release; each has as many slots, one after the other, as it is popular.

    A popular movie of some group that was released in some period is then a random slot of a range.

    Attributes:
        key: group and release of each movie as one rising number, shape (movies,); see `_catalogue_key`.
        first_slot: of each movie, and the number of slots, shape (movies + 1,).
        slots: the movie of each slot, shape (slots,).
        bounds: the first slot of each group, and the number of slots, shape (GROUPS + 1,).
    """

    key: Int64Array
    first_slot: Int64Array
    slots: Int64Array
    bounds: Int64Array

    @classmethod
    def of(cls, group: Int64Array, released: Int64Array, popularity: Int64Array) -> _Catalogue:
        key = _catalogue_key(group, released)
        order = np.argsort(key, kind="stable")
        total = np.cumsum(popularity[order])
        last_slot = (total / total[-1] * (_SLOTS_PER_MOVIE * len(order))).astype(np.int64)
        first_slot = np.concatenate([[0], last_slot])
        return cls(
            key=key[order],
            first_slot=first_slot,
            slots=np.repeat(order, np.diff(first_slot)),
            bounds=first_slot[np.searchsorted(group[order], np.arange(GROUPS + 1))],
        )

    @property
    def shares(self) -> Float64Array:
        """Each group's share of the popularity of all movies, shape (GROUPS,)."""
        return np.diff(self.bounds) / self.bounds[-1]

    def slot_after(self, group: Int64Array, time: Int64Array) -> Int64Array:
        """The first slot after those of the movies of a group that are released by a time."""
        return self.first_slot[np.searchsorted(self.key, _catalogue_key(group, time), side="right")]


def _catalogue_key(group: Int64Array, time: Int64Array) -> Int64Array:
    """Rises with the group, then with the time in seconds after EPOCH, from -_OLDEST to _OLDEST."""
    return group * (2 * _OLDEST + 1) + time + _OLDEST


def _groups(item_latent: Float64Array) -> Int64Array:
    """The group of each movie, shape (movies,): the strongest dimension of its latent factors, and its sign there."""
    strongest = np.argmax(np.abs(item_latent), axis=0)
    return 2 * strongest + (np.take_along_axis(item_latent, strongest[None], axis=0)[0] < 0)


def _interests(user_latent: Float64Array, shares: Float64Array, draws: _RandomStream) -> UInt8Array:
    """The groups that users choose from, as in `_World`.

    A user is interested in a group as much as the group is popular, times the chance that the user watches a movie of
    it. The chance is squared, which leaves little of the groups that a user does not care for.
    """
    users = user_latent.shape[1]
    weights = np.empty((users, GROUPS), dtype=np.int64)
    for group, share in enumerate(shares.tolist()):
        direction = (1 - 2 * (group % 2)) / _latent_scale()
        taste = direction * user_latent[group // 2]
        interest = TASTE_INTEREST * taste + OWN_INTEREST * draws.normal(users)
        chance = (1 + interest / np.sqrt(1 + interest * interest)) / 2
        weights[:, group] = ((LEAST_INTEREST + chance * chance) * share * _INTEREST_UNIT).astype(np.int64)
    total = np.cumsum(weights, axis=1)
    slots = np.diff(total * _INTEREST_SLOTS // total[:, -1:], axis=1, prepend=0)
    groups = np.tile(np.arange(GROUPS, dtype=np.uint8), users)
    return np.repeat(groups, slots.ravel()).reshape(users, _INTEREST_SLOTS)


def _popularity(rank: Int64Array) -> Int64Array:
    """Integer weights that fall with the power 1.5 of the rank."""
    offset = int(len(rank) * HEAD_SHARE) + 5
    ratio = offset / (rank + offset)
    return (ratio * np.sqrt(ratio) * 2**30).astype(np.int64)


def _item_bias(rank: Int64Array, draws: _RandomStream) -> Float64Array:
    """Stars; more popular films are rated higher on average."""
    popular = (0.5 - (rank + 0.5) / len(rank)) * math.sqrt(12.0)
    return ITEM_BIAS_SD * (0.5 * popular + math.sqrt(0.75) * draws.normal(len(rank)))


def _latent(draws: _RandomStream, count: int) -> Float64Array:
    """Shape (LATENT_DIMS, count), scaled so that products of users and films have a standard deviation of LATENT_SD."""
    return _latent_scale() * draws.normal(LATENT_DIMS * count).reshape(LATENT_DIMS, count)


def _latent_scale() -> float:
    """The standard deviation of a latent factor."""
    return math.sqrt(LATENT_SD / math.sqrt(LATENT_DIMS))


def _release_times(spec: SyntheticSpec, draws: _RandomStream) -> Int64Array:
    """Most films are older than the first rating; the others are released over the years, in order of their ids."""
    old = int(spec.movies * OLD_MOVIES_SHARE)
    age = np.minimum(draws.below(old, 90), draws.below(old, 90))
    new = np.sort(draws.below(spec.movies - old, spec.years * _YEAR))
    return np.concatenate([-(age * _YEAR + _YEAR // 2), new])


def _first_rows(spec: SyntheticSpec, draws: _RandomStream) -> Int64Array:
    """The first clean row of each user, and the number of rows, shape (users + 1,). Activity is roughly Pareto."""
    least = min(LEAST_RATINGS, spec.ratings // spec.users)
    extra = spec.ratings - least * spec.users
    flattening = max(0.002, 2 * extra / (spec.users * spec.movies))
    quantile = (draws.permutation(spec.users) + 0.5) / spec.users
    activity = ((1 / (quantile + flattening) - 0.9 / (1 + flattening)) * 2**12).astype(np.int64)
    total = np.concatenate([[0], np.cumsum(activity)])
    return np.arange(spec.users + 1) * least + total * extra // total[-1]


def _session_starts(spec: SyntheticSpec, draws: _RandomStream) -> Int64Array:
    """Shape (users, sessions): at arrival, then within two weeks, or over all remaining years for returning users."""
    last = spec.years * _YEAR - 30 * _DAY
    arrival = draws.below(spec.users, last)
    returns = draws.fraction(spec.users) < RETURNING_SHARE
    stay = np.where(returns, last - arrival, np.minimum(last - arrival, 14 * _DAY))
    gap = draws.fraction(spec.users * _SESSIONS).reshape(spec.users, _SESSIONS)
    gap[:, 0] = 0
    return arrival[:, None] + (gap * stay[:, None]).astype(np.int64)


@dataclass(frozen=True)
class _Block:
    """The clean ratings of some users in the order of the file; `halves` are half stars, 1 to 10."""

    first_row: int
    user: Int64Array
    movie: Int64Array
    halves: Int64Array
    timestamp: Int64Array
    expected: Float64Array


def _blocks(world: _World) -> Iterator[_Block]:
    """Users in groups, each small enough for a table of the films that each user has seen."""
    spec = world.spec
    size = max(1, _MAX_SEEN_CELLS // spec.movies)
    for first in range(0, spec.users, size):
        users = np.arange(first, min(first + size, spec.users))
        yield _block(world, users, _RandomStream(spec, "ratings", first))


def _block(world: _World, users: Int64Array, draws: _RandomStream) -> _Block:
    counts = np.diff(world.first_row)[users]
    user = np.repeat(users, counts)
    time = _rating_times(world, user, np.repeat(counts, counts), draws)
    film = _films(world, user, time, draws)
    order = np.argsort(user * world.spec.movies + film)
    user, film, time = user[order], film[order], time[order]
    exact = _expected(world, user, film)
    noisy = exact + NOISE_SD * draws.normal(len(user))
    return _Block(
        first_row=int(world.first_row[users[0]]),
        user=user + 1,
        movie=world.movie_id[film],
        halves=np.clip(np.floor(noisy * 2 + 0.5), 1, 10).astype(np.int64),
        timestamp=time + EPOCH,
        expected=np.clip(exact, 0.5, 5.0),
    )


def _rating_times(world: _World, user: Int64Array, count: Int64Array, draws: _RandomStream) -> Int64Array:
    """Times of ratings: more than half in the first session, which lasts about half a minute for each rating."""
    session = np.maximum(draws.below(len(user), 2 * _SESSIONS - 1) - (_SESSIONS - 1), 0)
    within = draws.fraction(len(user)) * (30 * count)
    return world.sessions[user, session] + within.astype(np.int64)


def _films(world: _World, user: Int64Array, time: Int64Array, draws: _RandomStream) -> Int64Array:
    """For each rating a movie that is released by then, and that the user has not rated yet.

    Movies are chosen by interest, recency and popularity. The few ratings of very active users that are left after
    CHOICE_ROUNDS get any movie.
    """
    movies = world.spec.movies
    seen = np.zeros((user[-1] - user[0] + 1) * movies, dtype=bool)
    film = np.full(len(user), -1, dtype=np.int64)
    empty = np.arange(len(user))
    rounds = 0
    while len(empty):
        if rounds < CHOICE_ROUNDS:
            pick = _choices(world, user[empty], time[empty], draws)
        else:
            pick = draws.below(len(empty), movies)
        cell = (user[empty] - user[0]) * movies + pick
        fits = np.flatnonzero((world.released[pick] <= time[empty]) & ~seen[cell])
        taken = fits[np.unique(cell[fits], return_index=True)[1]]
        film[empty[taken]] = pick[taken]
        seen[cell[taken]] = True
        empty = np.delete(empty, taken)
        rounds += 1
    return film


def _choices(world: _World, user: Int64Array, time: Int64Array, draws: _RandomStream) -> Int64Array:
    """A movie for each user and time, released or not: first a group by interest, then a movie of it by popularity.

    RECENT_SHARE of the choices are among movies of the group that were released within a limit of time, if any were.
    """
    catalogue = world.catalogue
    group = world.interests[user, draws.below(len(user), _INTEREST_SLOTS)].astype(np.int64)
    start, stop = catalogue.bounds[group], catalogue.bounds[group + 1]
    recent = np.flatnonzero(draws.fraction(len(user)) < RECENT_SHARE)
    limit = (draws.fraction(len(recent)) * (RECENT_YEARS * _YEAR)).astype(np.int64)
    since, until = (catalogue.slot_after(group[recent], time[recent] - age) for age in (limit, 0))
    some = since < until
    start[recent[some]], stop[recent[some]] = since[some], until[some]
    return catalogue.slots[start + (draws.fraction(len(user)) * (stop - start)).astype(np.int64)]


def _expected(world: _World, user: Int64Array, film: Int64Array) -> Float64Array:
    total = BASE_RATING + world.user_bias[user] + world.item_bias[film]
    for of_users, of_films in zip(world.user_latent, world.item_latent, strict=True):
        total += of_users[user] * of_films[film]
    return total


class _NoiseSum:
    """The sum of squared noise as an integer (millionths of a squared star), which is exact in any order."""

    def __init__(self) -> None:
        self.total = 0
        self.rows = 0

    def add(self, block: _Block) -> None:
        difference = np.rint((block.halves / 2 - block.expected) * 1000).astype(np.int64)
        self.total += int((difference * difference).sum())
        self.rows += len(difference)

    def rmse(self) -> float:
        return round(math.sqrt(self.total / self.rows) / 1000, 6)


@dataclass(frozen=True)
class _Fault:
    """A dirty line to be made from a clean row, by a template."""

    row: int
    template: str


def _plan_faults(spec: SyntheticSpec, table: str) -> list[_Fault]:
    """The dirty rows of a table, each from another clean row, in ascending order of these; kinds are mixed."""
    counts: dict[str, int] = getattr(spec.dirty, table)
    faults = FAULTS[table]
    templates = [faults[kind][i % len(faults[kind])] for kind in faults for i in range(counts.get(kind, 0))]
    draws = _RandomStream(spec, f"dirty {table}")
    rows = draws.spaced_rows(len(templates), getattr(spec, table))
    return [_Fault(int(row), templates[i]) for row, i in zip(rows, draws.permutation(len(templates)), strict=True)]


def _with_dirty_rows(
    rows: list[dict[str, Any]], plan: list[_Fault], line: Callable[[Mapping[str, Any]], str]
) -> Iterable[str]:
    """All rows as lines, with the planned dirty lines among them."""
    return _insert_dirty_lines([line(row) for row in rows], plan, [f.template.format_map(rows[f.row]) for f in plan], 0)


def _insert_dirty_lines(lines: list[str], plan: list[_Fault], bad: list[str], first_row: int) -> Iterable[str]:
    """Inserts the dirty lines, each at the row of the next one, so that it comes some lines after its original."""
    merged: list[str] = []
    start = 0
    stops = [fault.row - first_row for fault in plan[1:]] + [len(lines)]
    for stop, text in zip(stops, bad, strict=False):
        merged += [*lines[start:stop], text]
        start = stop
    return merged + lines[start:]


def _rating_lines(
    world: _World, tagged: list[dict[str, Any]], noise: _NoiseSum, report: Report
) -> Iterator[Iterable[str]]:
    """The lines of ratings.csv, block by block; fills `tagged` with the rows that get a tag, and sums the noise."""
    spec = world.spec
    plan = _plan_faults(spec, "ratings")
    tag_draws = _RandomStream(spec, "tags")
    tag_rows = tag_draws.spaced_rows(spec.tags, spec.ratings)
    tag_words = tag_draws.below(spec.tags, len(TAGS))
    for block in _blocks(world):
        stop = block.first_row + len(block.user)
        noise.add(block)
        here = slice(*np.searchsorted(tag_rows, [block.first_row, stop]))
        tagged += [
            _tag_row(block, row - block.first_row, TAGS[word])
            for row, word in zip(tag_rows[here].tolist(), tag_words[here].tolist(), strict=True)
        ]
        mine = [fault for fault in plan if block.first_row <= fault.row < stop]
        bad = [fault.template.format_map(_rating_row(block, fault.row - block.first_row)) for fault in mine]
        yield _insert_dirty_lines(_clean_lines(block), mine, bad, block.first_row)
        if stop * 10 // spec.ratings > block.first_row * 10 // spec.ratings:
            report(f"ratings: {stop:,} of {spec.ratings:,}")


_STARS = [f"{halves / 2:.1f}" for halves in range(11)]


def _clean_lines(block: _Block) -> list[str]:
    columns = (block.user.tolist(), block.movie.tolist(), block.halves.tolist(), block.timestamp.tolist())
    return [f"{user},{movie},{_STARS[halves]},{time}" for user, movie, halves, time in zip(*columns, strict=True)]


def _rating_row(block: _Block, at: int) -> dict[str, Any]:
    halves, time = int(block.halves[at]), int(block.timestamp[at])
    return {
        "user": int(block.user[at]),
        "movie": int(block.movie[at]),
        "rating": _STARS[halves],
        "other": _STARS[halves % 10 + 1],
        "timestamp": time,
        "later": time + 1,
    }


def _tag_row(block: _Block, at: int, tag: str) -> dict[str, Any]:
    time = int(block.timestamp[at]) + 60
    return {
        "user": int(block.user[at]),
        "movie": int(block.movie[at]),
        "tag": _csv_field(tag),
        "timestamp": time,
        "later": time + 1,
    }


def _tag_line(row: Mapping[str, Any]) -> str:
    return "{user},{movie},{tag},{timestamp}".format_map(row)


def _movie_line(row: Mapping[str, Any]) -> str:
    return "{movie},{title},{genres}".format_map(row)


def _movie_rows(world: _World) -> list[dict[str, Any]]:
    spec = world.spec
    draws = _RandomStream(spec, "titles")
    moment = (world.released + EPOCH).astype("datetime64[s]")
    years = moment.astype("datetime64[Y]").astype(np.int64) + 1970
    yearless = draws.below(spec.movies, 40) == 0
    picks = draws.below(spec.movies * 3, len(GENRES)).reshape(spec.movies, 3)
    kept = np.where(draws.below(spec.movies, 25) == 0, 0, 1 + draws.below(spec.movies, 3))
    names = draws.permutation(len(PATTERNS) * len(ADJECTIVES) * len(NOUNS) * len(PLACES))[: spec.movies]
    rows = []
    for i, movie in enumerate(world.movie_id.tolist()):
        title = _title(int(names[i])) + ("" if yearless[i] else f" ({years[i]})")
        genres = "|".join(sorted({GENRES[g] for g in picks[i, : kept[i]]})) or NO_GENRES
        rows.append({"movie": movie, "title": _csv_field(title), "genres": genres, "spare": movie + 10_000_000})
        rows[-1]["yearless"] = bool(yearless[i])
    return rows


def _title(number: int) -> str:
    """A different title for each number below the product of the word lists' lengths."""
    number, pattern = divmod(number, len(PATTERNS))
    number, adjective = divmod(number, len(ADJECTIVES))
    place, noun = divmod(number, len(NOUNS))
    return PATTERNS[pattern].format(adjective=ADJECTIVES[adjective], noun=NOUNS[noun], place=PLACES[place])


def _csv_field(text: str) -> str:
    out = io.StringIO()
    csv.writer(out, lineterminator="").writerow([text])
    return out.getvalue()


def _write(path: Path, header: str, groups: Iterable[Iterable[str]]) -> None:
    with path.open("w", encoding="utf-8", newline="\n") as out:
        out.write(header + "\n")
        for lines in groups:
            out.write("\n".join([*lines, ""]))


def _manifest(folder: Path, spec: SyntheticSpec, movies: list[dict[str, Any]], noise: _NoiseSum) -> dict[str, Any]:
    manifest: dict[str, Any] = {
        "format": FORMAT,
        "spec": spec.model_dump(),
        "latent_dims": LATENT_DIMS,
        "noise_sd": NOISE_SD,
        "noise_floor_rmse": noise.rmse(),
    }
    for table, faults in FAULTS.items():
        clean = getattr(spec, table)
        dirty = {kind: getattr(spec.dirty, table).get(kind, 0) for kind in faults}
        manifest[table] = {"rows_in": clean + sum(dirty.values()), "valid_rows": clean, "dirty": dirty}
    manifest["movies"]["noted"] = {
        "title_without_year": sum(row["yearless"] for row in movies),
        "no_genres_listed": sum(row["genres"] == NO_GENRES for row in movies),
    }
    manifest["files"] = {f"{table}.csv": _fingerprint(folder / f"{table}.csv") for table in FAULTS}
    return manifest


def _fingerprint(path: Path) -> dict[str, Any]:
    with path.open("rb") as file:
        return {"bytes": path.stat().st_size, "sha256": hashlib.file_digest(file, "sha256").hexdigest()}
