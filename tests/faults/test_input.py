"""Bad input, caused for real: servers that cut and stall, full disks, damaged archives, hazards of CSV."""

from __future__ import annotations

import contextlib
import gzip
import os
import random
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from reco_platform.core.errors import DataError
from reco_platform.datasets import csv_reader
from reco_platform.datasets import registry as datasets
from reco_platform.datasets.acquire import acquire
from reco_platform.datasets.download import download_file
from reco_platform.datasets.registry import ArchiveDataset, DirectoryDataset
from reco_platform.lakehouse.tables import open_table
from reco_platform.steps import silver
from support import oracle
from support.builders import (
    MOVIES_HEADER,
    RATINGS_HEADER,
    movielens_zip,
    quiet,
    serving,
    sha256,
    small_dataset,
    write_lines,
)
from support.builders import Page as WebPage
from support.cleaned import CLEANINGS, SHARE, natively, task_for

ROOT = Path(__file__).resolve().parents[2]
BODY = random.Random(3).randbytes(60_000)
SHA = sha256(BODY)
Handle = Callable[[socket.socket, int], None]


# --- downloads


@contextlib.contextmanager
def answering(handle: Handle) -> Iterator[str]:
    """A server that sends what it likes: `handle` gets each connection and the first byte that is asked for."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                with connection, contextlib.suppress(OSError):
                    asked = re.search(rb"bytes=([0-9]+)-", connection.recv(10_000))
                    handle(connection, int(asked[1]) if asked else 0)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.getsockname()[1]}/a.zip"
        finally:
            server.shutdown(socket.SHUT_RDWR)
            thread.join()


def answer(body: bytes, start: int) -> bytes:
    """The whole answer with what a body has from a byte on."""
    status = f"206 Partial Content\r\nContent-Range: bytes {start}-{len(body) - 1}/{len(body)}" if start else "200 OK"
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(body) - start}\r\n\r\n".encode() + body[start:]


@pytest.mark.parametrize("size", [len(BODY), None])
def test_a_connection_cut_at_any_byte_costs_no_byte(tmp_path: Path, size: int | None) -> None:
    chance = random.Random(f"cuts {size}")
    whole = len(answer(BODY, 0))
    for number, first in enumerate([0, 1, 8, 12, 17, 40, *(chance.randrange(whole) for _ in range(25))]):
        cuts = [first, chance.randrange(whole), None]

        def handle(connection: socket.socket, start: int, cuts: list[int | None] = cuts) -> None:
            connection.sendall(answer(BODY, start)[: cuts.pop(0)])

        said: list[str] = []
        cache = tmp_path / str(number)
        with answering(handle) as url:
            for _ in range(3):  # a cut among the headers may look like another answer: then the url has failed
                try:
                    download_file([url], cache, sha256=SHA, size=size, report=said.append, timeout=5.0)
                    break
                except DataError as error:
                    assert f"{url}: " in error.message
                    assert not (cache / f"{SHA}.zip").exists()
                    assert size is None or first >= 60, "the first answer could only be continued"
        assert [path.name for path in cache.iterdir()] == [f"{SHA}.zip"], said
        assert (cache / f"{SHA}.zip").read_bytes() == BODY


@pytest.mark.parametrize("sent", [0, 10, 30_000])
def test_a_server_that_falls_silent_is_given_up(tmp_path: Path, sent: int) -> None:
    over = threading.Event()

    def handle(connection: socket.socket, start: int) -> None:
        connection.sendall(answer(BODY, start)[:sent] if not start else b"")
        over.wait(20)

    said: list[str] = []
    with serving({"/a.zip": WebPage(BODY)}) as site, answering(handle) as url:
        try:
            found = download_file(
                [url, site.url("/a.zip")], tmp_path, sha256=SHA, size=len(BODY), report=said.append, timeout=0.3
            )
        finally:
            over.set()
    assert found.read_bytes() == BODY
    assert any("timed out" in line for line in said), said


def child(code: str, folder: Path, **values: Any) -> subprocess.CompletedProcess[str]:
    """Python in a process of its own, which may write no file of more than `most` bytes."""
    lines = [f"{name} = {value!r}" for name, value in values.items()]
    limit = "resource.setrlimit(resource.RLIMIT_FSIZE, (most, resource.RLIM_INFINITY))"
    text = "\n".join(["import resource", "from pathlib import Path, PosixPath", *lines, limit, code])
    env = {**os.environ, "PYTHONPATH": str(ROOT / "src"), "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(
        [sys.executable, "-c", text], cwd=folder, env=env, capture_output=True, text=True, check=False
    )


def archive_entry(archive: bytes, url: str) -> dict[str, Any]:
    members = {"ratings": "ml/ratings.csv", "movies": "ml/movies.csv"}
    return {
        "name": "ml", "kind": "archive", "urls": [url], "sha256": sha256(archive), "bytes": len(archive),
        "licence": "for tests", "members": members, "max_unpacked_bytes": 10_000_000,
    }  # fmt: skip


ACQUIRE = """
from reco_platform.datasets import registry as datasets
from reco_platform.datasets.acquire import acquire
from reco_platform.core.errors import RecoError
try:
    acquire(datasets.ArchiveDataset.model_validate(entry), Path("bronze"), Path("cache"), report=print)
except RecoError as error:
    raise SystemExit(f"[ERROR] {error}")
"""


def test_a_disk_that_fills_up_leaves_nothing_half_written(tmp_path: Path) -> None:
    """First while downloading, then while unpacking, then there is room."""
    ratings = RATINGS_HEADER.encode() + b"\n1,10,4.0,1000000000" * 20_000
    archive = movielens_zip(**{"ml/ratings.csv": ratings, "ml/noise": random.Random(1).randbytes(100_000)})
    name = f"{sha256(archive)}.zip"
    with serving({"/ml.zip": WebPage(archive)}) as site:
        entry = archive_entry(archive, site.url("/ml.zip"))
        full = child(ACQUIRE, tmp_path, most=50_000, entry=entry)
        assert f"cache/{name}.part: File too large\n  -> df -h -- cache" in full.stderr
        assert [path.name for path in (tmp_path / "cache").iterdir()] == [f"{name}.part"]
        full = child(ACQUIRE, tmp_path, most=len(archive) + 1000, entry=entry)
        assert "ml: the CSV files cannot be written to bronze: File too large\n  -> df -h -- bronze" in full.stderr
        assert (full.returncode, list((tmp_path / "bronze").iterdir())) == (1, [])
        assert "Traceback" not in full.stderr
        done = child(ACQUIRE, tmp_path, most=10_000_000, entry=entry)
        assert site.requests[1:] == [("/ml.zip", "bytes=50000-")]
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "bronze" / "ratings.csv").read_bytes() == ratings


OWN_REGISTRY = """
import sys
from pathlib import Path
from reco_platform.core import project
project.file = Path  # the registry is that of the working directory
from reco_platform.steps.bronze import main
sys.exit(main())
"""


@pytest.mark.usefixtures("heeding")
def test_a_download_that_ctrl_c_ends_goes_on_at_the_next_run(tmp_path: Path) -> None:
    archive = movielens_zip(**{"ml/noise": random.Random(1).randbytes(300_000)})
    half, over = 150_000, threading.Event()
    starts: list[int] = []

    def handle(connection: socket.socket, start: int) -> None:
        starts.append(start)
        text = answer(archive, start)
        if start:
            connection.sendall(text)
        else:
            connection.sendall(text[: len(text) - len(archive) + half])
            over.wait(60)

    command = [sys.executable, "-c", OWN_REGISTRY, "--lakehouse", "lake", "--dataset", "ml"]
    env = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    part = tmp_path / ".cache" / "downloads" / f"{sha256(archive)}.zip.part"
    with answering(handle) as url:
        entry = {key: value for key, value in archive_entry(archive, url).items() if key != "name"}
        (tmp_path / "config").mkdir()
        (tmp_path / "config" / "datasets.yaml").write_text(f"ml: {entry}", encoding="utf-8")  # a literal is YAML, too
        started = subprocess.Popen(command, cwd=tmp_path, env=env, stderr=subprocess.PIPE, text=True)
        end = time.monotonic() + 60
        while not (part.exists() and part.stat().st_size):
            assert started.poll() is None and time.monotonic() < end
            time.sleep(0.02)
        started.send_signal(signal.SIGINT)
        _, said = started.communicate(timeout=20)
        over.set()
        assert (started.returncode, "Traceback" in said) == (130, False), said
        assert "[ERROR] bronze: stopped by SIGINT\n  -> run the same command again" in said
        kept = part.stat().st_size
        assert 0 < kept <= half
        assert [path.name for path in part.parent.iterdir()] == [part.name]
        assert not [path for path in (tmp_path / "lake").rglob("*") if path.suffix == ".csv"]
        again = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, check=False)
    assert again.returncode == 0, again.stderr
    assert starts == [0, kept]
    assert sorted(path.name for path in (tmp_path / "lake").rglob("*.csv")) == ["movies.csv", "ratings.csv"]


# --- archives


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_damaged_archive_is_refused_or_gives_the_right_bytes(tmp_path: Path, method: int) -> None:
    """Its sha256 is made to fit, as if the registry had been written from the damaged file."""
    chance = random.Random(method)
    members = {
        "ml/ratings.csv": RATINGS_HEADER.encode() + b"\n1,10,4.0,1000000000" * 40,
        "ml/movies.csv": (MOVIES_HEADER + "\n10,Amélie (2001),Comedy\n").encode(),
    }
    good = tmp_path / "good.zip"
    with zipfile.ZipFile(good, "w", method) as bundle:
        for name, content in members.items():
            bundle.writestr(name, content)
    whole, refused = good.read_bytes(), 0
    for number in range(150):
        archive = bytearray(whole)
        if number % 5 == 0:
            del archive[chance.randrange(1, len(archive)) :]
        for _ in range(chance.choice([1, 1, 4])):
            if archive:
                archive[chance.randrange(len(archive))] = chance.randrange(256)
        entry = ArchiveDataset.model_validate(archive_entry(bytes(archive), "https://localhost/none"))
        cache, bronze = tmp_path / "cache", tmp_path / f"bronze-{number}"
        cache.mkdir(exist_ok=True)
        (cache / f"{entry.sha256}.zip").write_bytes(archive)
        try:
            acquire(entry, bronze, cache, report=quiet)
        except DataError as error:
            assert error.hint
            assert list(bronze.iterdir()) == []
            refused += 1
        else:
            found = {f"ml/{path.name}": path.read_bytes() for path in bronze.iterdir()}
            assert found == members
    assert refused > 50


@pytest.mark.parametrize("table", ["ratings", "tags"])
@pytest.mark.parametrize("instead", ["folder", "dead link", "nothing"])
def test_what_is_no_file_is_named_with_a_command_that_can_be_pasted(tmp_path: Path, table: str, instead: str) -> None:
    source = small_dataset(tmp_path / "it's $(touch pwned)", tags=table == "tags")
    file = source / f"{table}.csv"
    file.unlink()
    if instead == "folder":
        file.mkdir()
    elif instead == "dead link":
        file.symlink_to("nowhere")
    dataset = DirectoryDataset(name="own", path=source)
    if (instead, table) == ("nothing", "tags"):
        assert datasets.tables(dataset) == ("ratings", "movies")
        return
    with pytest.raises(DataError, match=r"\.csv is (not a file|missing)") as caught:
        acquire(dataset, tmp_path / "bronze", tmp_path, report=quiet)
    assert str(file) in caught.value.message
    assert caught.value.hint is not None
    command = caught.value.hint.partition(", then")[0]
    shown = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=True, cwd=tmp_path).stdout
    assert ("movies.csv" if instead == "nothing" else f"{table}.csv") in shown
    assert not (tmp_path / "pwned").exists()


# --- CSV


RATING = {"userId": "1", "movieId": "10", "rating": "4.0", "timestamp": "1000000000"}


@pytest.mark.parametrize(
    ("column", "value", "reason"),
    [
        ("userId", "1,000", "user_not_a_number"),
        ("userId", "1e3", "user_not_a_number"),
        ("userId", "NaN", "user_not_a_number"),
        ("userId", "2147483648", "user_not_a_number"),
        ("userId", "9223372036854775808", "user_not_a_number"),
        ("userId", "-1", "negative_user"),
        ("userId", "-0", None),
        ("userId", "1\0", "user_not_a_number"),
        ("userId", "\t1", "user_not_a_number"),
        ("userId", "1\n", "user_not_a_number"),
        ("userId", "userId", "user_not_a_number"),
        ("movieId", "1'000", "movie_not_a_number"),
        ("movieId", "10\u00a0", "movie_not_a_number"),
        ("rating", "4,0", "rating_not_a_number"),
        ("rating", "4.0\0", "rating_not_a_number"),
        ("rating", "4.0\n", "rating_not_a_number"),
        ("rating", "Infinity", "rating_not_a_number"),
        ("rating", "-0", "rating_out_of_range"),
        ("rating", "1e3", "rating_out_of_range"),
        ("rating", "1e99999999999999999999", "rating_out_of_range"),
        ("rating", "4e0", None),
        ("rating", "5.0000001", None),  # the nearest number of 32 bits is 5
        ("rating", "5.000001", "rating_out_of_range"),
        ("timestamp", "1000000000000", "timestamp_out_of_range"),  # milliseconds
        ("timestamp", "1,000,000,000", "timestamp_not_a_number"),
        ("timestamp", "-1000000000", "timestamp_out_of_range"),
        ("timestamp", "253402300799", None),  # the last second of the year 9999
        ("timestamp", "253402300800", "timestamp_out_of_range"),
        ("timestamp", "2147483648", None),
        ("timestamp", "9223372036854775807", "timestamp_out_of_range"),
        ("timestamp", "9223372036854775808", "timestamp_not_a_number"),
        ("timestamp", "-9223372036854775809", "timestamp_not_a_number"),
        ("timestamp", "1e9", "timestamp_not_a_number"),
    ],
)
def test_a_hazardous_value_is_taken_or_kept_with_its_reason(
    tmp_path: Path, column: str, value: str, reason: str | None
) -> None:
    row = {**RATING, column: value}
    source = tmp_path / "ratings.csv"
    line = ",".join(f'"{text}"' for text in row.values())
    source.write_text(f"{RATINGS_HEADER}\n{line}\n", encoding="utf-8", newline="")
    outcome = natively(source, "ratings", tmp_path)
    assert (outcome.cleaned.rows_in, outcome.cleaned.rows_out) == (1, 0 if reason else 1)
    assert outcome.rejected() == ([{**row, "line": None, "reasons": [reason]}] if reason else [])
    assert list(oracle.ratings(source).reasons) == ([reason] if reason else [])


def test_a_header_in_the_middle_is_a_rejected_row(tmp_path: Path) -> None:
    source = write_lines(tmp_path / "movies.csv", MOVIES_HEADER, ["1,A (1990),War", MOVIES_HEADER, "2,B,War"])
    outcome = natively(source, "movies", tmp_path)
    expected = {"movieId": "movieId", "title": "title", "genres": "genres", "line": None}
    assert outcome.rejected() == [{**expected, "reasons": ["movie_not_a_number"]}]


def test_a_line_of_10_mb_is_a_row_like_any_other(tmp_path: Path) -> None:
    long = "x" * 10_000_000
    source = write_lines(tmp_path / "movies.csv", MOVIES_HEADER, [f"1,{long} (1990),War", "2,B,War", f"3{long}"])
    outcome = natively(source, "movies", tmp_path)
    assert outcome.table()["title"].to_pylist() == [f"{long} (1990)", "B"]
    assert [(row["line"], row["reasons"]) for row in outcome.rejected()] == [(f"3{long}", ["malformed_line"])]


def test_a_line_longer_than_what_is_read_at_a_time_is_refused(tmp_path: Path) -> None:
    long = "x" * (2 * csv_reader.BLOCK_BYTES)
    source = write_lines(tmp_path / "movies.csv", MOVIES_HEADER, ["1,A,War", f"2,{long},War", "3,C,War"])
    with pytest.raises(DataError, match="cannot be read as CSV") as caught:
        natively(source, "movies", tmp_path)
    assert caught.value.hint


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is empty"),
        (RATINGS_HEADER.encode() + b"\r\n", "has a header but no rows"),
        (gzip.compress(RATINGS_HEADER.encode() + b"\n1,10,4.0,5\n", mtime=0), "cannot be read as CSV"),
        (b"userId,movieId,stars,timestamp\n1,10,4.0,5\n", "column 'rating' is missing; the file has 'userId'"),
        (b"userId,movieId,Rating,timestamp\n1,10,4.0,5\n", "column 'rating' is missing (perhaps it is named 'Rating'"),
        (
            b"userId,movieId,rating,time_stamp\n1,10,4.0,5\n",
            "column 'timestamp' is missing (perhaps it is named 'time_stamp'",
        ),
        (b"userId,movieId,timestamp\n1,10,5\n", "column 'rating' is missing"),
        (b'userId,movieId,rating,timestamp\n1,10,"4.0,5\n', "line 2: a quote is opened and never closed"),
        (None, "cannot be read as CSV: [Errno 21] Is a directory"),
    ],
)
def test_a_file_that_is_not_the_table_stops_the_step_before_anything_is_published(
    tmp_path: Path, content: bytes | None, said: str
) -> None:
    source = write_lines(tmp_path / "bronze" / "ratings.csv", RATINGS_HEADER, ["1,10,4.0,1000000000"])
    task = task_for(tmp_path, "ratings")
    before = silver.silver_table(task, CLEANINGS["ratings"])
    source.unlink()
    if content is None:
        source.mkdir()
    else:
        source.write_bytes(content)
    with pytest.raises(DataError) as caught:
        csv_reader.read_header(source, ("userId",)) if content is None else silver.silver_table(
            task_for(tmp_path, "ratings"), CLEANINGS["ratings"]
        )
    assert said in caught.value.message
    assert caught.value.hint
    assert open_table(tmp_path, before, "").read().num_rows == 1


@pytest.mark.parametrize("bad", [5, 6])
def test_more_than_one_bad_row_in_twenty_stops_the_job_by_default(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], bad: int
) -> None:
    assert SHARE == 0.05
    header = f"{RATINGS_HEADER},note"
    good = [f"{user},10,4.0,1000000000,x" for user in range(100)]
    write_lines(tmp_path / "bronze" / "ratings.csv", header, good)
    first = silver.silver_table(task_for(tmp_path, "ratings"), CLEANINGS["ratings"])
    write_lines(tmp_path / "bronze" / "ratings.csv", header, [*good[bad:], *["1,x,4.0,1000000000,x"] * bad])
    task = task_for(tmp_path, "ratings")
    if bad > 5:
        with pytest.raises(DataError, match=r"6 of 100 rows rejected \(6\.0%\), more than max_reject_share=0\.05"):
            silver.silver_table(task, CLEANINGS["ratings"])
        assert open_table(tmp_path, first, "").read().num_rows == 100
    else:
        second = silver.silver_table(task, CLEANINGS["ratings"])
        assert (second.rows, second.facts["rejected"], second.facts["ignored_columns"]) == (95, 5, ["note"])
        rows = pq.read_table(tmp_path / "silver" / "_quarantine" / "ratings").to_pylist()
        kept = {**RATING, "movieId": "x", "line": None, "reasons": ["movie_not_a_number"]}
        assert [{name: row[name] for name in kept} for row in rows] == [kept] * 5
    assert "ignored columns of ratings.csv: 'note'" in capsys.readouterr().out
