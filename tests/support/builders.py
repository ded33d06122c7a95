"""Small builders: CSV files, zip files, a web server, staged tables."""

from __future__ import annotations

import contextlib
import csv
import hashlib
import http.server
import io
import os
import ssl
import threading
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from reco_platform.contracts.tables import RATINGS
from reco_platform.fingerprint.arrow import arrow_sums
from reco_platform.fingerprint.spec import fingerprint
from reco_platform.lakehouse import publish
from reco_platform.lakehouse.receipts import Receipt

RATINGS_HEADER = "userId,movieId,rating,timestamp"
MOVIES_HEADER = "movieId,title,genres"
TAGS_HEADER = "userId,movieId,tag,timestamp"


def quiet(_: str) -> None:
    """A report that nobody reads."""


@contextlib.contextmanager
def umask(mask: int) -> Iterator[None]:
    """What this process and those that it starts make lacks these permissions."""
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)


def write_lines(path: Path, header: str, lines: Iterable[str]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in [header, *lines]), encoding="utf-8", newline="")
    return path


def csv_line(values: Sequence[str]) -> str:
    out = io.StringIO()
    csv.writer(out, lineterminator="").writerow(values)
    return out.getvalue()


def small_dataset(folder: Path, *, tags: bool = True) -> Path:
    """A folder with the smallest data set there is."""
    write_lines(folder / "ratings.csv", RATINGS_HEADER, ["1,10,4.0,1000000000", "2,10,3.5,1000000001"])
    write_lines(folder / "movies.csv", MOVIES_HEADER, ["10,Heat (1995),Action|Crime"])
    if tags:
        write_lines(folder / "tags.csv", TAGS_HEADER, ["1,10,café,1000000002"])
    return folder


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


# --- zip files


def zip_of(members: Mapping[Any, bytes]) -> bytes:
    """A zip file; the keys are names, or ZipInfo where more is to be said of a member."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as bundle:
        for name, content in members.items():
            bundle.writestr(name, content)
    return out.getvalue()


def movielens_zip(**more: bytes) -> bytes:
    """A good archive with the folder ml, and other members by name."""
    return zip_of(
        {
            "ml/ratings.csv": b"userId,movieId,rating,timestamp\n1,10,4.0,1000000000\n",
            "ml/movies.csv": "movieId,title,genres\n10,Amélie (2001),Comedy\n".encode(),
            **more,
        }
    )


# --- a web server on this machine


@dataclass
class Page:
    """How one path is answered.

    Attributes:
        body: what it holds.
        status: of the answer; other than 200 has no body.
        location: where it redirects to.
        ranges: whether it can send a part.
        shift: by how many bytes a part begins elsewhere than asked for.
        cuts: for each of the first requests, after how many bytes the connection ends.
    """

    body: bytes = b""
    status: int = 200
    location: str = ""
    ranges: bool = True
    shift: int = 0
    cuts: list[int] = field(default_factory=list)


@dataclass
class Site:
    """A running server: its address, its pages, and the requests that it got as (path, Range header)."""

    address: str
    pages: dict[str, Page]
    requests: list[tuple[str, str | None]]

    def url(self, path: str) -> str:
        return self.address + path


@contextlib.contextmanager
def serving(pages: dict[str, Page], context: ssl.SSLContext | None = None) -> Iterator[Site]:
    """Serves pages on 127.0.0.1 from a thread; over https with a context."""
    requests: list[tuple[str, str | None]] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            requests.append((self.path, self.headers.get("Range")))
            answer(self, pages.get(self.path, Page(status=404)))

        def log_message(self, *_: Any) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        if context is not None:
            server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            scheme = "http" if context is None else "https"
            yield Site(f"{scheme}://127.0.0.1:{server.server_address[1]}", pages, requests)
        finally:
            server.shutdown()
            thread.join()


def answer(request: http.server.BaseHTTPRequestHandler, page: Page) -> None:
    wanted = request.headers.get("Range")
    start = int(wanted.removeprefix("bytes=").rstrip("-")) + page.shift if wanted and page.ranges else 0
    if page.location:
        request.send_response(302)
        request.send_header("Location", page.location)
        request.end_headers()
    elif page.status != 200:
        request.send_error(page.status)
    elif start and start >= len(page.body):
        request.send_error(416)
    else:
        request.send_response(206 if start else 200)
        if start:
            request.send_header("Content-Range", f"bytes {start}-{len(page.body) - 1}/{len(page.body)}")
        request.send_header("Content-Length", str(len(page.body) - start))
        request.end_headers()
        stop = start + page.cuts.pop(0) if page.cuts else None
        request.wfile.write(page.body[start:stop])


# --- tables


def ratings_table(first_user: int = 1, rows: int = 6) -> pa.Table:
    """Ratings over two months, as their contract says."""
    start = datetime(2020, 1, 30, tzinfo=UTC)
    moments = [start + timedelta(days=day) for day in range(rows)]
    return pa.table(
        {
            "user_id": [first_user + number for number in range(rows)],
            "movie_id": [10 + number % 3 for number in range(rows)],
            "rating": [0.5 + number % 10 / 2 for number in range(rows)],
            "rating_ts": moments,
            "year": [moment.year for moment in moments],
            "month": [moment.month for moment in moments],
        },
        schema=RATINGS.schema,
    )


def content_of(table: pa.Table) -> str:
    return fingerprint(RATINGS.schema_hash, arrow_sums(table, RATINGS.names))


def stage(target: Path, table: pa.Table) -> Path:
    """A staging folder of `target` with a Parquet file for each month, as Spark leaves one."""
    staging = publish.create_staging_folder(target)
    pairs = sorted(set(zip(table["year"].to_pylist(), table["month"].to_pylist(), strict=True)))
    for year, month in pairs:
        part = table.filter((pa.compute.field("year") == year) & (pa.compute.field("month") == month))
        folder = staging / f"year={year}" / f"month={month}"
        folder.mkdir(parents=True)
        pq.write_table(part.drop_columns(["year", "month"]), folder / "part-0.snappy.parquet")
    return staging


def publish_ratings(
    root: Path, table: pa.Table, storage_format: str = "delta", path: str = "silver/ratings", dataset: str = "small"
) -> Receipt:
    """Publishes ratings under `root` and gives their receipt."""
    content = content_of(table)
    version = publish.publish_table(
        stage(root / path, table),
        root / path,
        storage_format=storage_format,
        schema=RATINGS.schema,
        partition_by=RATINGS.partition_by,
        fingerprint=content,
        rows=len(table),
        dataset=dataset,
    )
    return Receipt(path, "table", path, storage_format, version, len(table), RATINGS.schema_hash, content)


def sorted_rows(table: pa.Table) -> list[dict[str, Any]]:
    return sorted(table.select(RATINGS.names).to_pylist(), key=lambda row: (row["user_id"], row["movie_id"]))


def java_home(folder: Path, release: str | None, says: str | None = None) -> Path:
    """A folder that looks like a Java: with a release file, or with a program that prints its version."""
    program = folder / "bin" / "java"
    program.parent.mkdir(parents=True)
    program.write_text(f"#!/bin/sh\ncat >&2 <<'END'\n{says}\nEND\n", encoding="utf-8")
    program.chmod(0o755)
    if release is not None:
        (folder / "release").write_text(release, encoding="utf-8")
    return folder
