"""One set of ratings in the layouts in which people have theirs, and small files in the layouts of known data sets."""

from __future__ import annotations

import gzip
import json
import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

FIRST_SECOND = 1_200_000_000


@dataclass(frozen=True)
class Rating:
    """A rating in half stars from 0.5 to 5, and its time in seconds since 1970."""

    user: int
    item: int
    stars: float
    time: int

    @property
    def whole(self) -> int:
        """The rating in whole stars."""
        return int(self.stars + 0.5)

    @property
    def moment(self) -> datetime:
        return datetime.fromtimestamp(self.time, UTC)

    @property
    def iso(self) -> str:
        return self.moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def some_ratings(rows: int = 1200, users: int = 60, items: int = 90, seed: int = 5) -> list[Rating]:
    """Random ratings, one for each pair of user and item, by user."""
    rng = random.Random(seed)
    pairs = rng.sample([(user, item) for user in range(1, users + 1) for item in range(1, items + 1)], rows)
    times = [FIRST_SECOND + number * 40_000 + rng.randrange(40_000) for number in range(rows)]
    rng.shuffle(times)
    return [
        Rating(user, item, rng.randrange(1, 11) / 2, time)
        for (user, item), time in zip(sorted(pairs), times, strict=True)
    ]


def titles(ratings: Sequence[Rating]) -> list[tuple[int, str, str]]:
    """Id, title and genres of each item."""
    words = ("Comedy", "Drama", "Comedy|Drama", "Children's|Thriller", "(no genres listed)")
    return [
        (item, f'The "Film" No. {item}, Part é (1990)', words[item % 5]) for item in sorted({r.item for r in ratings})
    ]


def code(prefix: str, number: int, digits: int = 8) -> str:
    """A string id of a number."""
    return f"{prefix}{number * 2654435761 % 2**32:0{digits}X}"


def quoted(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'


def write(folder: Path, files: dict[str, Iterable[str]], encoding: str = "utf-8", newline: str = "\n") -> Path:
    """Writes lines into files of a folder; those whose names end with .gz are compressed."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, lines in files.items():
        content = "".join(line + newline for line in lines).encode(encoding)
        (folder / name).write_bytes(gzip.compress(content, mtime=0) if name.endswith(".gz") else content)
    return folder


def movies_csv(ratings: Sequence[Rating]) -> list[str]:
    return ["movieId,title,genres", *(f"{i},{quoted(t)},{g}" for i, t, g in titles(ratings))]


def ratings_csv(ratings: Sequence[Rating], header: str = "userId,movieId,rating,timestamp") -> list[str]:
    return [header, *(f"{r.user},{r.item},{r.stars},{r.time}" for r in ratings)]


# --- the layouts that users have

Write = Callable[[Path, Sequence[Rating]], Path]


def _ml_100k(folder: Path, rs: Sequence[Rating]) -> Path:
    write(folder, {"u.data": [f"{r.user}\t{r.item}\t{r.whole}\t{r.time}" for r in rs]})
    flags = "|".join("1" if n in {5, 8} else "0" for n in range(19))
    lines = [f"{i}|{t.replace('|', '/')}|01-Jan-1995||http://us.imdb.com/M/{i}|{flags}" for i, t, _ in titles(rs)]
    return write(folder, {"u.item": lines}, "latin-1")


def _ml_1m(folder: Path, rs: Sequence[Rating]) -> Path:
    write(folder, {"ratings.dat": [f"{r.user}::{r.item}::{r.whole}::{r.time}" for r in rs]})
    return write(folder, {"movies.dat": [f"{i}::{t}::{g}" for i, t, g in titles(rs)]}, "latin-1")


def _ml_10m(folder: Path, rs: Sequence[Rating]) -> Path:
    return write(folder, {"ratings.dat": [f"{r.user}::{r.item}::{r.stars:g}::{r.time}" for r in rs],
                          "movies.dat": [f"{i}::{t}::{g}" for i, t, g in titles(rs)]})  # fmt: skip


def _tabs(folder: Path, rs: Sequence[Rating]) -> Path:
    lines = [f"{r.user}\t{r.item}\t{r.stars}\t{r.time}" for r in rs]
    return write(folder, {"ratings.tsv": ["user\titem\tstars\twhen", *lines]})


def _semicolons(folder: Path, rs: Sequence[Rating]) -> Path:
    lines = [f"{r.user};{r.item};{r.stars};{r.time}" for r in rs]
    return write(folder, {"ratings.csv": ["user_id;movie_id;rating;timestamp", *lines], "movies.csv": movies_csv(rs)})


def _gzip(folder: Path, rs: Sequence[Rating]) -> Path:
    return write(folder, {"ratings.csv.gz": ratings_csv(rs), "movies.csv": movies_csv(rs)})


def _no_header(folder: Path, rs: Sequence[Rating]) -> Path:
    return write(folder, {"ratings.csv": ratings_csv(rs)[1:], "movies.csv": movies_csv(rs)})


def _iso_dates(folder: Path, rs: Sequence[Rating]) -> Path:
    lines = [f"{r.user},{r.item},{r.stars},{r.iso}" for r in rs]
    return write(folder, {"ratings.csv": ["customer,product,score,date", *lines]})


def _milliseconds(folder: Path, rs: Sequence[Rating]) -> Path:
    lines = [f"{r.user},{r.item},{r.stars},{r.time}000" for r in rs]
    return write(folder, {"ratings.csv": [ratings_csv(rs)[0], *lines], "movies.csv": movies_csv(rs)})


def _ten_points(folder: Path, rs: Sequence[Rating]) -> Path:
    lines = [f"{r.user},{r.item},{r.stars * 2:.0f},{r.time}" for r in rs]
    return write(folder, {"ratings.csv": [ratings_csv(rs)[0], *lines], "movies.csv": movies_csv(rs)})


def _string_ids(folder: Path, rs: Sequence[Rating]) -> Path:
    lines = [f"{code('A', r.user)},{code('B0', r.item)},{r.stars},{r.time}" for r in rs]
    return write(folder, {"reviews.csv": ["reviewer,asin,overall,unix_time", *lines]})


def _big_ids(folder: Path, rs: Sequence[Rating]) -> Path:
    lines = [f"{9_000_000_000 + r.user},{7_000_000_000 + r.item},{r.stars},{r.time}" for r in rs]
    return write(folder, {"ratings.csv": [ratings_csv(rs)[0], *lines]})


def _clicks(folder: Path, rs: Sequence[Rating]) -> Path:
    lines = [f"{r.user},{r.item},{'view' if r.stars < 4 else 'purchase'},{r.iso}" for r in rs]
    return write(folder, {"events.csv": ["user_id,item_id,event,time", *lines]})


USERS_LAYOUTS: dict[str, Write] = {
    "ml-100k": _ml_100k, "ml-1m": _ml_1m, "tabs": _tabs, "semicolons": _semicolons, "gzip": _gzip,
    "no-header": _no_header, "iso-dates": _iso_dates, "milliseconds": _milliseconds, "ten-points": _ten_points,
    "string-ids": _string_ids, "big-ids": _big_ids, "clicks": _clicks,
}  # fmt: skip
"""The twelve layouts in which users have ratings."""


# --- the layouts of known data sets


def _amazon_csv(folder: Path, rs: Sequence[Rating]) -> Path:
    lines = [f"{code('A', r.user, 13)},{code('B0', r.item)},{r.whole}.0,{r.time}" for r in rs]
    return write(folder, {"ratings_Books.csv": lines})


def _amazon_jsonl(folder: Path, rs: Sequence[Rating]) -> Path:
    lines = [json.dumps({"reviewerID": code("A", r.user, 13), "asin": code("B0", r.item), "reviewerName": "J. McD",
                         "helpful": [2, 3], "reviewText": 'A "fine" book,\nreally.', "overall": float(r.whole),
                         "summary": "Good", "unixReviewTime": r.time, "reviewTime": r.moment.strftime("%m %d, %Y")})
             for r in rs]  # fmt: skip
    return write(folder, {"reviews_Books_5.json.gz": lines})


def _goodreads(folder: Path, rs: Sequence[Rating]) -> Path:
    lines = [f"{r.user},{r.item},1,{r.whole if r.item % 3 else 0},{r.item % 2}" for r in rs]
    return write(folder, {"goodreads_interactions.csv": ["user_id,book_id,is_read,rating,is_reviewed", *lines]})


def _netflix(folder: Path, rs: Sequence[Rating]) -> Path:
    lines: list[str] = []
    for item in sorted({r.item for r in rs}):
        lines += [f"{item}:", *(f"{r.user},{r.whole},{r.iso[:10]}" for r in rs if r.item == item)]
    write(folder, {"combined_data_1.txt": lines})
    return write(folder, {"movie_titles.csv": [f"{i},1990,{t}" for i, t, _ in titles(rs)]}, "latin-1")


def _book_crossing(folder: Path, rs: Sequence[Rating]) -> Path:
    lines = [f'"{r.user}";"{r.item:09d}X";"{r.stars * 2 if r.item % 2 else 0:.0f}"' for r in rs]
    books = [f'"{i:09d}X";"Tödlich {i}";"An Author";"1999";"A Press";"http://x/{i}.jpg"' for i, _, _ in titles(rs)]
    head = '"ISBN";"Book-Title";"Book-Author";"Year-Of-Publication";"Publisher";"Image-URL-S"'
    return write(folder, {"BX-Book-Ratings.csv": ['"User-ID";"ISBN";"Book-Rating"', *lines],
                          "BX-Books.csv": [head, *books]}, "latin-1")  # fmt: skip


def _lastfm(folder: Path, rs: Sequence[Rating]) -> Path:
    lines = [
        f"{r.user:040x}\t{r.item:08x}-0000-4000-8000-000000000000\tThe Band {r.item}\t{r.time % 900 + 1}" for r in rs
    ]
    return write(folder, {"usersha1-artmbid-artname-plays.tsv": lines})


def _steam(folder: Path, rs: Sequence[Rating]) -> Path:
    lines = [f'{150000000 + r.user},"Game, No. {r.item}",{event},{hours},0'
             for r in rs for event, hours in (("purchase", "1.0"), ("play", f"{r.stars * 31.7:.1f}"))]  # fmt: skip
    return write(folder, {"steam-200k.csv": lines})


def _yelp(folder: Path, rs: Sequence[Rating]) -> Path:
    reviews = [json.dumps({"review_id": code("r", n, 22), "user_id": code("u", r.user, 21),
                           "business_id": code("b", r.item, 21), "stars": float(r.whole), "useful": 0, "funny": 0,
                           "cool": 1, "text": "Nice.\nVery nice.", "date": r.moment.strftime("%Y-%m-%d %H:%M:%S")})
               for n, r in enumerate(rs)]  # fmt: skip
    places = [json.dumps({"business_id": code("b", i, 21), "name": f"Café {i}", "city": "Tampa", "stars": 3.5,
                          "attributes": {"WiFi": "no"}, "categories": "Coffee, Food"})
              for i, _, _ in titles(rs)]  # fmt: skip
    return write(folder, {"yelp_academic_dataset_review.json": reviews, "yelp_academic_dataset_business.json": places})


def _movielens(folder: Path, rs: Sequence[Rating]) -> Path:
    return write(folder, {"ratings.csv": ratings_csv(rs), "movies.csv": movies_csv(rs)})


KNOWN_LAYOUTS: dict[str, Write] = {
    "movielens": _movielens, "ml-100k": _ml_100k, "ml-1m": _ml_1m, "ml-10m": _ml_10m, "amazon-csv": _amazon_csv,
    "amazon-jsonl": _amazon_jsonl, "goodreads": _goodreads, "netflix": _netflix, "book-crossing": _book_crossing,
    "lastfm-360k": _lastfm, "steam": _steam, "yelp": _yelp,
}  # fmt: skip
"""The layouts that the configuration knows by name."""
