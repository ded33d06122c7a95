"""Generated data in MovieLens' shape: the same bytes on every machine, at any size, with the truth known.

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
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field, NonNegativeInt, model_validator

FORMAT = 2
"""Rises whenever the same spec would give other bytes."""

EPOCH = 1_420_070_400
"""2015-01-01T00:00:00Z, when the first rating can be given."""

LATENT_DIMS = 8
NOISE_SD = 0.60
USER_BIAS_SD = 0.45
ITEM_BIAS_SD = 0.45
LATENT_SD = 0.65
BASE_RATING = 3.30

TAG_EVERY = 50
LEAST_RATINGS = 20
RETURNING_SHARE = 0.65
OLD_MOVIES_SHARE = 0.75
POPULAR_ROUNDS = 10

_DAY = 86_400
_YEAR = 31_557_600
_SESSIONS = 4
_SEEN_CELLS = 64_000_000

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Report = Callable[[str], None]

# A dirty row is made from a clean row of its own. `later` is a second after its timestamp, so that only the
# duplicates share a key (user, movie, timestamp) with a clean row; `other` is another rating; `spare` an unused id.
RATING_FAULTS: Mapping[str, tuple[str, ...]] = {
    "null_user": (",{movie},{rating},{later}",),
    "null_movie": ("{user},,{rating},{later}",),
    "null_rating": ("{user},{movie},,{later}",),
    "null_timestamp": ("{user},{movie},{rating},",),
    "rating_out_of_range": (
        "{user},{movie},0.0,{later}",
        "{user},{movie},5.5,{later}",
        "{user},{movie},-1,{later}",
        "{user},{movie},9.5,{later}",
    ),
    "rating_not_a_number": ("{user},{movie},four,{later}", '{user},{movie},"3,5",{later}'),
    "timestamp_not_a_number": ("{user},{movie},{rating},yesterday",),
    "exact_duplicate": ("{user},{movie},{rating},{timestamp}",),
    "conflicting_duplicate": ("{user},{movie},{other},{timestamp}",),
    "unparsable": (
        "{user},{movie}",
        "{user},{movie},{rating},{later},surplus",
        "#### disk error near {later} ####",
    ),
    "several_rules": (
        ",{movie},7.5,{later}",
        "{user},,,{later}",
        ",,0.0,{later}",
        ",{movie},{rating},",
    ),
}
MOVIE_FAULTS: Mapping[str, tuple[str, ...]] = {
    "null_movie": (",{title},{genres}",),
    "null_title": ("{spare},,{genres}",),
    "duplicate_movie": ("{movie},Another Film of the Same Number ({movie}),{genres}",),
    "unparsable": ("{spare}", "{spare},{title},{genres},surplus", "#### disk error near {spare} ####"),
}
TAG_FAULTS: Mapping[str, tuple[str, ...]] = {
    "null_user": (",{movie},{tag},{later}",),
    "null_movie": ("{user},,{tag},{later}",),
    "null_tag": ("{user},{movie},,{later}",),
    "null_timestamp": ("{user},{movie},{tag},",),
    "exact_duplicate": ("{user},{movie},{tag},{timestamp}",),
    "unparsable": ("{user},{movie}", "{user},{movie},{tag},{later},surplus", "#### disk error near {later} ####"),
}
FAULTS = {"ratings": RATING_FAULTS, "movies": MOVIE_FAULTS, "tags": TAG_FAULTS}


class Dirty(BaseModel):
    """How many additional, dirty rows of each kind each file has; a kind left out has none."""

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
    def _kinds_are_known(self) -> Self:
        for table, faults in FAULTS.items():
            unknown = sorted(set(getattr(self, table)) - set(faults))
            if unknown:
                raise ValueError(f"{table} has no kind {', '.join(unknown)}; kinds are {', '.join(faults)}")
        return self


class DemoSpec(BaseModel):
    """Everything that decides the bytes. `ratings` counts clean rows; dirty rows come on top."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    seed: int = Field(default=7, ge=0, lt=2**63)
    users: int = Field(default=2500, ge=1)
    movies: int = Field(default=1200, ge=40, le=300_000)
    ratings: int = Field(default=200_000, ge=1)
    years: int = Field(default=5, ge=1, le=60)
    dirty: Dirty = Dirty()

    @property
    def tags(self) -> int:
        """Clean rows of tags.csv."""
        return self.ratings // TAG_EVERY

    @model_validator(mode="after")
    def _sizes_fit(self) -> Self:
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
    """The clean ratings in file order, each array of shape (ratings,), and what they would be without noise.

    `timestamp` is in seconds since 1970 UTC; `rating` and `expected` are stars, 0.5 to 5.0. A rating is `expected`
    before clipping plus noise of standard deviation `noise_sd`, clipped and rounded to half stars.
    """

    user: Ints
    movie: Ints
    rating: Floats
    timestamp: Ints
    expected: Floats
    noise_sd: float = NOISE_SD


def generate(folder: Path, spec: DemoSpec, *, progress: Callable[[str], None] | None = None) -> dict[str, Any]:
    """Writes ratings.csv, movies.csv, tags.csv and manifest.json into `folder` (made if missing).

    Returns the manifest: per table `rows_in` (lines after the header), `valid_rows` (distinct clean rows) and `dirty`
    (rows of each kind), per file its size in bytes and sha256, and the truth's noise in stars.
    """
    report = progress or (lambda _: None)
    folder.mkdir(parents=True, exist_ok=True)
    world = _World.of(spec)
    report(f"movies: {spec.movies:,} rows")
    movies = _movie_rows(world)
    _write(folder / "movies.csv", "movieId,title,genres", [_dirtied(movies, _plan(spec, "movies"), _movie_line)])
    tagged: list[dict[str, Any]] = []
    squares = _Squares()
    _write(folder / "ratings.csv", "userId,movieId,rating,timestamp", _rating_lines(world, tagged, squares, report))
    report(f"tags: {spec.tags:,} rows")
    _write(folder / "tags.csv", "userId,movieId,tag,timestamp", [_dirtied(tagged, _plan(spec, "tags"), _tag_line)])
    manifest = _manifest(folder, spec, movies, squares)
    (folder / "manifest.json").write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8", newline="\n")
    return manifest


def truth(spec: DemoSpec) -> Truth:
    """The clean ratings that `generate` writes for `spec`, with their noise-free expectation."""
    blocks = list(_blocks(_World.of(spec)))
    return Truth(
        user=np.concatenate([b.user for b in blocks]),
        movie=np.concatenate([b.movie for b in blocks]),
        rating=np.concatenate([b.halves for b in blocks]) / 2,
        timestamp=np.concatenate([b.timestamp for b in blocks]),
        expected=np.concatenate([b.expected for b in blocks]),
    )


class _Draws:
    """A stream of its own for each purpose: raw Philox words, whose values no numpy release may change."""

    def __init__(self, spec: DemoSpec, purpose: str, number: int = 0) -> None:
        name = hashlib.sha256(f"{purpose} {number}".encode()).digest()
        key = np.array([spec.seed, int.from_bytes(name[:8], "big")], dtype=np.uint64)
        self._bits = np.random.Philox(key=key)

    def raw(self, count: int) -> npt.NDArray[np.uint64]:
        return self._bits.random_raw(count)

    def below(self, count: int, high: int) -> Ints:
        return (self.raw(count) % np.uint64(high)).astype(np.int64)

    def fraction(self, count: int) -> Floats:
        """Uniform in [0, 1)."""
        return (self.raw(count) >> np.uint64(11)).astype(np.float64) / 2.0**53

    def bell(self, count: int) -> Floats:
        """Nearly normal, mean 0, sd 1, never beyond 3.5: the sum of four 16-bit integers."""
        total = self.raw(count).view(np.uint16).reshape(count, 4).sum(axis=1, dtype=np.int64)
        return (total - 131_070).astype(np.float64) / 37_837.0

    def order(self, count: int) -> Ints:
        """A permutation of range(count)."""
        return np.argsort(self.raw(count), kind="stable")

    def spread(self, count: int, rows: int) -> Ints:
        """`count` different rows out of range(rows), ascending: one of each equal share."""
        edges = np.arange(count + 1, dtype=np.int64) * rows // max(count, 1)
        return edges[:-1] + (self.raw(count) % np.diff(edges).astype(np.uint64)).astype(np.int64)


@dataclass(frozen=True)
class _World:
    """Films and users before any rating. Times are seconds after EPOCH; weights are cumulative, by film."""

    spec: DemoSpec
    movie_id: Ints
    released: Ints
    weights: Ints
    item_bias: Floats
    item_latent: Floats
    first_row: Ints
    sessions: Ints
    user_bias: Floats
    user_latent: Floats

    @classmethod
    def of(cls, spec: DemoSpec) -> _World:
        films = _Draws(spec, "movies")
        rank = films.order(spec.movies)
        people = _Draws(spec, "users")
        return cls(
            spec=spec,
            movie_id=np.cumsum(1 + films.below(spec.movies, 3)),
            released=_release_times(spec, films),
            weights=np.cumsum(_popularity(rank)),
            item_bias=_item_bias(rank, films),
            item_latent=_latent(films, spec.movies),
            first_row=_first_rows(spec, people),
            sessions=_session_starts(spec, people),
            user_bias=USER_BIAS_SD * people.bell(spec.users),
            user_latent=_latent(people, spec.users),
        )


def _popularity(rank: Ints) -> Ints:
    """Integer weights falling as the power 1.5 of the rank."""
    offset = len(rank) // 100 + 10
    ratio = offset / (rank + offset)
    return (ratio * np.sqrt(ratio) * 2**30).astype(np.int64)


def _item_bias(rank: Ints, draws: _Draws) -> Floats:
    """Stars; the more popular half of the films is the better one, on the whole."""
    popular = (0.5 - (rank + 0.5) / len(rank)) * math.sqrt(12.0)
    return ITEM_BIAS_SD * (0.5 * popular + math.sqrt(0.75) * draws.bell(len(rank)))


def _latent(draws: _Draws, count: int) -> Floats:
    """Shape (LATENT_DIMS, count), scaled so that a user's product with a film has sd LATENT_SD stars."""
    scale = math.sqrt(LATENT_SD / math.sqrt(LATENT_DIMS))
    return scale * draws.bell(LATENT_DIMS * count).reshape(LATENT_DIMS, count)


def _release_times(spec: DemoSpec, draws: _Draws) -> Ints:
    """Most films are older than the first rating; the others come out over the years, in order of their ids."""
    old = int(spec.movies * OLD_MOVIES_SHARE)
    age = np.minimum(draws.below(old, 90), draws.below(old, 90))
    new = np.sort(draws.below(spec.movies - old, spec.years * _YEAR))
    return np.concatenate([-(age * _YEAR + _YEAR // 2), new])


def _first_rows(spec: DemoSpec, draws: _Draws) -> Ints:
    """Shape (users + 1,): the clean row at which each user's begin. Activity is Pareto-like above a floor."""
    least = min(LEAST_RATINGS, spec.ratings // spec.users)
    extra = spec.ratings - least * spec.users
    bend = max(0.002, 2 * extra / (spec.users * spec.movies))
    quantile = (draws.order(spec.users) + 0.5) / spec.users
    activity = ((1 / (quantile + bend) - 0.9 / (1 + bend)) * 2**12).astype(np.int64)
    total = np.concatenate([[0], np.cumsum(activity)])
    return np.arange(spec.users + 1) * least + total * extra // total[-1]


def _session_starts(spec: DemoSpec, draws: _Draws) -> Ints:
    """Shape (users, sessions): on arrival, then within two weeks, or over all the years left for those who return."""
    last = spec.years * _YEAR - 30 * _DAY
    arrival = draws.below(spec.users, last)
    returns = draws.fraction(spec.users) < RETURNING_SHARE
    stay = np.where(returns, last - arrival, np.minimum(last - arrival, 14 * _DAY))
    gap = draws.fraction(spec.users * _SESSIONS).reshape(spec.users, _SESSIONS)
    gap[:, 0] = 0
    return arrival[:, None] + (gap * stay[:, None]).astype(np.int64)


@dataclass(frozen=True)
class _Block:
    """The clean ratings of some users in file order; `halves` counts half stars, 1 to 10."""

    first_row: int
    user: Ints
    movie: Ints
    halves: Ints
    timestamp: Ints
    expected: Floats


def _blocks(world: _World) -> Iterator[_Block]:
    """Users in groups small enough for a table of which film each has seen."""
    spec = world.spec
    size = max(1, _SEEN_CELLS // spec.movies)
    for first in range(0, spec.users, size):
        users = np.arange(first, min(first + size, spec.users))
        yield _block(world, users, _Draws(spec, "ratings", first))


def _block(world: _World, users: Ints, draws: _Draws) -> _Block:
    counts = np.diff(world.first_row)[users]
    user = np.repeat(users, counts)
    time = _rating_times(world, user, np.repeat(counts, counts), draws)
    film = _films(world, user, time, draws)
    order = np.argsort(user * world.spec.movies + film)
    user, film, time = user[order], film[order], time[order]
    exact = _expected(world, user, film)
    noisy = exact + NOISE_SD * draws.bell(len(user))
    return _Block(
        first_row=int(world.first_row[users[0]]),
        user=user + 1,
        movie=world.movie_id[film],
        halves=np.clip(np.floor(noisy * 2 + 0.5), 1, 10).astype(np.int64),
        timestamp=time + EPOCH,
        expected=np.clip(exact, 0.5, 5.0),
    )


def _rating_times(world: _World, user: Ints, count: Ints, draws: _Draws) -> Ints:
    """More than half in the first session; a session lasts about half a minute for each rating of the user."""
    session = np.maximum(draws.below(len(user), 2 * _SESSIONS - 1) - (_SESSIONS - 1), 0)
    within = draws.fraction(len(user)) * (30 * count)
    return world.sessions[user, session] + within.astype(np.int64)


def _films(world: _World, user: Ints, time: Ints, draws: _Draws) -> Ints:
    """For each slot a film that is out by then and that the user has no other slot for.

    Drawn by popularity; the few slots still empty after POPULAR_ROUNDS (very active users) take any film.
    """
    movies = world.spec.movies
    seen = np.zeros((user[-1] - user[0] + 1) * movies, dtype=bool)
    film = np.full(len(user), -1, dtype=np.int64)
    empty = np.arange(len(user))
    rounds = 0
    while len(empty):
        if rounds < POPULAR_ROUNDS:
            draw = draws.below(len(empty), int(world.weights[-1]))
            pick = np.searchsorted(world.weights, draw, side="right").astype(np.int64)
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


def _expected(world: _World, user: Ints, film: Ints) -> Floats:
    total = BASE_RATING + world.user_bias[user] + world.item_bias[film]
    for of_users, of_films in zip(world.user_latent, world.item_latent, strict=True):
        total += of_users[user] * of_films[film]
    return total


class _Squares:
    """The sum of squared noise, in millionths of a square star: an integer, so that no order of summing matters."""

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
    """A dirty line to be made from a clean row."""

    row: int
    template: str


def _plan(spec: DemoSpec, table: str) -> list[_Fault]:
    """The table's dirty rows by ascending row, each from a clean row of its own, kinds in mixed order."""
    counts: dict[str, int] = getattr(spec.dirty, table)
    faults = FAULTS[table]
    templates = [faults[kind][i % len(faults[kind])] for kind in faults for i in range(counts.get(kind, 0))]
    draws = _Draws(spec, f"dirty {table}")
    rows = draws.spread(len(templates), getattr(spec, table))
    return [_Fault(int(row), templates[i]) for row, i in zip(rows, draws.order(len(templates)), strict=True)]


def _dirtied(rows: list[dict[str, Any]], plan: list[_Fault], line: Callable[[Mapping[str, Any]], str]) -> Iterable[str]:
    """All rows as lines with the planned dirty ones among them."""
    return _scattered([line(row) for row in rows], plan, [f.template.format_map(rows[f.row]) for f in plan], 0)


def _scattered(lines: list[str], plan: list[_Fault], bad: list[str], first_row: int) -> Iterable[str]:
    """`lines` with the dirty ones put in, each at the next one's row: after its original, and not beside it."""
    merged: list[str] = []
    start = 0
    stops = [fault.row - first_row for fault in plan[1:]] + [len(lines)]
    for stop, text in zip(stops, bad, strict=False):
        merged += [*lines[start:stop], text]
        start = stop
    return merged + lines[start:]


def _rating_lines(
    world: _World, tagged: list[dict[str, Any]], squares: _Squares, report: Report
) -> Iterator[Iterable[str]]:
    """Block by block; adds the rows that get a tag to `tagged` and the noise to `squares` on the way."""
    spec = world.spec
    plan = _plan(spec, "ratings")
    tag_draws = _Draws(spec, "tags")
    tag_rows = tag_draws.spread(spec.tags, spec.ratings)
    tag_words = tag_draws.below(spec.tags, len(TAGS))
    for block in _blocks(world):
        stop = block.first_row + len(block.user)
        squares.add(block)
        here = slice(*np.searchsorted(tag_rows, [block.first_row, stop]))
        tagged += [
            _tag_row(block, row - block.first_row, TAGS[word])
            for row, word in zip(tag_rows[here].tolist(), tag_words[here].tolist(), strict=True)
        ]
        mine = [fault for fault in plan if block.first_row <= fault.row < stop]
        bad = [fault.template.format_map(_rating_row(block, fault.row - block.first_row)) for fault in mine]
        yield _scattered(_clean_lines(block), mine, bad, block.first_row)
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
        "tag": _field(tag),
        "timestamp": time,
        "later": time + 1,
    }


def _tag_line(row: Mapping[str, Any]) -> str:
    return "{user},{movie},{tag},{timestamp}".format_map(row)


def _movie_line(row: Mapping[str, Any]) -> str:
    return "{movie},{title},{genres}".format_map(row)


def _movie_rows(world: _World) -> list[dict[str, Any]]:
    spec = world.spec
    draws = _Draws(spec, "titles")
    moment = (world.released + EPOCH).astype("datetime64[s]")
    years = moment.astype("datetime64[Y]").astype(np.int64) + 1970
    yearless = draws.below(spec.movies, 40) == 0
    picks = draws.below(spec.movies * 3, len(GENRES)).reshape(spec.movies, 3)
    kept = np.where(draws.below(spec.movies, 25) == 0, 0, 1 + draws.below(spec.movies, 3))
    names = draws.order(len(PATTERNS) * len(ADJECTIVES) * len(NOUNS) * len(PLACES))[: spec.movies]
    rows = []
    for i, movie in enumerate(world.movie_id.tolist()):
        title = _title(int(names[i])) + ("" if yearless[i] else f" ({years[i]})")
        genres = "|".join(sorted({GENRES[g] for g in picks[i, : kept[i]]})) or NO_GENRES
        rows.append({"movie": movie, "title": _field(title), "genres": genres, "spare": movie + 10_000_000})
        rows[-1]["yearless"] = bool(yearless[i])
    return rows


def _title(number: int) -> str:
    """Another title for each number below the product of the word lists' lengths."""
    number, pattern = divmod(number, len(PATTERNS))
    number, adjective = divmod(number, len(ADJECTIVES))
    place, noun = divmod(number, len(NOUNS))
    return PATTERNS[pattern].format(adjective=ADJECTIVES[adjective], noun=NOUNS[noun], place=PLACES[place])


def _field(text: str) -> str:
    out = io.StringIO()
    csv.writer(out, lineterminator="").writerow([text])
    return out.getvalue()


def _write(path: Path, header: str, groups: Iterable[Iterable[str]]) -> None:
    with path.open("w", encoding="utf-8", newline="\n") as out:
        out.write(header + "\n")
        for lines in groups:
            out.write("\n".join([*lines, ""]))


def _manifest(folder: Path, spec: DemoSpec, movies: list[dict[str, Any]], squares: _Squares) -> dict[str, Any]:
    manifest: dict[str, Any] = {
        "format": FORMAT,
        "spec": spec.model_dump(),
        "latent_dims": LATENT_DIMS,
        "noise_sd": NOISE_SD,
        "noise_floor_rmse": squares.rmse(),
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


NO_GENRES = "(no genres listed)"
GENRES = (  # noqa: SIM905 - one quoted word a line would be long
    "Action Adventure Animation Children Comedy Crime Documentary Drama Fantasy Film-Noir Horror IMAX Musical "
    "Mystery Romance Sci-Fi Thriller War Western"
).split()
TAGS = (
    "atmospheric",
    "based on a book",
    "Based on a Book",
    "beautifully filmed",
    "boring",
    "café scenes",
    "clever",
    "dark",
    "ensemble cast",
    "funny",
    "good soundtrack",
    "long, but worth it",
    "must see",
    "overrated",
    "plot twist",
    'so-called "classic"',
    "quirky",
    "sad ending",
    "slow",
    "strong female lead",
    "surreal",
    "thought-provoking",
    "time travel",
    "visually striking",
)
PATTERNS = (
    "{adjective} {noun} of {place}, The",
    "The {noun} and the {adjective} Road to {place}",
    "{place}: {adjective} {noun}",
    "A {adjective} {noun} in {place}",
    "{adjective} {noun}, or How We Left {place}",
    '"{adjective} {noun}" at {place}',
)
ADJECTIVES = (  # noqa: SIM905 - one quoted word a line would be long
    "Amber Borrowed Brass Broken Careful Clockwork Cold Copper Crooked Distant Electric Empty Faded Fearless "
    "Forgotten Frozen Gentle Hollow Honest Hungry Idle Ivory Last Lonely Loud Midnight Modest Narrow Naïve "
    "Northern Paper Patient Pale Quiet Reluctant Restless Rusty Salted Scarlet Second Silver Sleepless Stubborn "
    "Sudden Tender Thirteenth Unlikely Velvet Wandering Weary"
).split()
NOUNS = (  # noqa: SIM905 - one quoted word a line would be long
    "Accordion Afternoon Anchor Archivist Baker Balcony Bridge Caravan Cartographer Cathedral Chess-Player Clerk "
    "Comet Cousin Daughter Detective Dinner Engineer Falcon Ferry Fiancée Fountain Gardener Ghost Harvest Horizon "
    "Inheritance Island Juror Ladder Lantern Lighthouse Locksmith Mapmaker Mirror Neighbour Orchard Painter "
    "Passenger Piano Postman Quarry Rehearsal River Secret Shepherd Station Summer Tailor Telegram Tide Umbrella "
    "Violin Voyage Waltz Winter Witness Zeppelin"
).split()
PLACES = (  # noqa: SIM905 - one quoted word a line would be long
    "Asunción Bergen Bilbao Córdoba Daventry Elmwood Fairhaven Göteborg Harrow Ithaca Jaipur Kraków Lisbon Málaga "
    "Nairobi Odessa Pécs Quito Reykjavík Salford Tromsø Utrecht Valparaíso Whitby Zürich"
).split()
