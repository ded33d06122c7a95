"""Download files into a cache: https only, resumed after interruptions, renamed only if the sha256 is right."""

from __future__ import annotations

import contextlib
import http.client
import ipaddress
import shlex
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO, Any
from urllib.parse import urlsplit

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TimeRemainingColumn, TransferSpeedColumn

from reco_platform.core import project
from reco_platform.core.errors import DataError
from reco_platform.store.paths import sha256_file

ATTEMPTS = 4
MAX_BYTES = 4 * 2**30  # where the size is not known
CHUNK_BYTES = 2**18

Report = Callable[[str], None]


class _SourceError(Exception):
    """A URL cannot be used; the message says why."""


class _InterruptedError(Exception):
    """The connection ended early; the received part is kept, and the download can be resumed."""


def download_file(
    urls: Sequence[str],
    cache: Path,
    *,
    sha256: str,
    size: int | None,
    report: Report,
    timeout: float = 30.0,
) -> Path:
    """Downloads a file as `<cache>/<sha256>.zip`, unless a verified copy exists.

    Args:
        urls: https, or http on this machine; tried in order.
        cache: folder for the file and for `.part`, the file while it is being downloaded; created if missing.
        sha256: of the file, lower-case hex.
        size: of the file in bytes, if known.
        report: called with a line for each failure, and for progress if there is no terminal.
        timeout: seconds without a byte after which a connection counts as interrupted.

    Returns:
        The path of the file.

    Raises:
        DataError: every URL failed (the message lists the reasons), or the cache cannot be written.
    """
    final = cache / f"{sha256}.zip"
    if final.is_file():
        if sha256_file(final) == sha256:
            return final
        report(f"{final} is damaged (its sha256 differs from its name); downloading it again")
        final.unlink()
    try:
        cache.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(
            f"{cache} cannot be created: {error.strerror}", f"ls -ld -- {shlex.quote(project.as_typed_path(cache))}"
        ) from error
    part = final.with_name(final.name + ".part")
    failures = []
    for url in urls:
        try:
            _download(url, part, sha256=sha256, size=size, report=report, timeout=timeout)
        except _SourceError as failure:
            failures.append(f"{url}: {failure}")
            report(f"download failed: {failures[-1]}")
        except OSError as error:
            raise DataError(
                f"{part}: {error.strerror}", f"df -h -- {shlex.quote(project.as_typed_path(cache))}"
            ) from error
        else:
            part.replace(final)
            return final
    raise DataError(
        "the file could not be downloaded:\n    " + "\n    ".join(failures),
        f"download it with a browser, save it as {final} and run the same command again; "
        "or unpack it anywhere and set dataset_path to that folder",
    )


def _download(url: str, part: Path, *, sha256: str, size: int | None, report: Report, timeout: float) -> None:
    """Completes `part`, or raises `_SourceError`."""
    reason = ""
    for _ in range(ATTEMPTS):
        resumed = part.exists()
        try:
            _receive(url, part, size=size, report=report, timeout=timeout)
        except _InterruptedError as interruption:
            reason = str(interruption)
            report(f"{url}: {interruption}; resuming from byte {_size(part):,}")
            continue
        found = sha256_file(part)
        if found == sha256:
            return
        part.unlink()
        reason = f"its sha256 is {found}, expected {sha256}"
        if not resumed:
            break
    raise _SourceError(reason)


def _receive(url: str, part: Path, *, size: int | None, report: Report, timeout: float) -> None:
    """Receives what `part` lacks. A server that ignores the range sends everything, and `part` is written again."""
    have = _size(part)
    if size is not None and have == size:
        return
    with _opened(url, part, timeout) as response:
        if response.status != http.client.PARTIAL_CONTENT:
            have = 0
        elif not response.headers.get("Content-Range", "").startswith(f"bytes {have}-"):
            raise _SourceError(f"sent another range than requested ({response.headers.get('Content-Range')})")
        announced = response.headers.get("Content-Length")
        total = size if announced is None else have + int(announced)
        if total is not None and total > (size or MAX_BYTES):
            raise _SourceError(f"would send {total:,} bytes, expected at most {size or MAX_BYTES:,}")
        with part.open("ab" if have else "wb") as out, _progress(part.stem, total, report) as show:
            _copy(response, out, have=have, limit=size or MAX_BYTES, show=show)
    if total is not None and _size(part) < total:
        raise _InterruptedError(f"the connection was interrupted after {_size(part):,} of {total:,} bytes")


def _copy(
    response: http.client.HTTPResponse, out: IO[bytes], *, have: int, limit: int, show: Callable[[int], None]
) -> None:
    while chunk := _read(response):
        have += len(chunk)
        if have > limit:
            raise _SourceError(f"sent more than {limit:,} bytes")
        out.write(chunk)
        show(have)


def _read(response: http.client.HTTPResponse) -> bytes:
    """Reads what has arrived, so that nothing is lost if the connection breaks."""
    try:
        return response.read1(CHUNK_BYTES)
    except (OSError, http.client.HTTPException) as error:
        raise _InterruptedError(f"the connection broke ({error or type(error).__name__})") from error


def _opened(url: str, part: Path, timeout: float) -> Any:
    """The response to a request for the bytes that `part` lacks."""
    have = _size(part)
    handlers: list[urllib.request.BaseHandler] = [_HttpsRedirects()]
    try:
        _check_scheme(url)
        if _is_loopback(url):
            handlers.append(urllib.request.ProxyHandler({}))
        request = urllib.request.Request(url, headers={"Range": f"bytes={have}-"} if have else {})  # noqa: S310 - checked
        return urllib.request.build_opener(*handlers).open(request, timeout=timeout)
    except urllib.error.HTTPError as error:
        error.close()
        if error.code == http.client.REQUESTED_RANGE_NOT_SATISFIABLE and have:
            part.unlink()
            raise _InterruptedError("the server does not have this range") from error
        raise _SourceError(f"HTTP {error.code} {error.reason}") from error
    except urllib.error.URLError as error:
        raise _SourceError(str(error.reason)) from error
    except (http.client.BadStatusLine, ConnectionError) as error:
        raise _InterruptedError("the connection was interrupted before the response") from error
    except (OSError, http.client.HTTPException, ValueError) as error:  # ValueError: not an address
        raise _SourceError(f"{type(error).__name__}: {error}") from error


class _HttpsRedirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> Any:  # noqa: PLR0917
        try:
            _check_scheme(newurl)
        except _SourceError as failure:
            raise urllib.error.URLError(f"redirects to {newurl}: {failure}") from failure
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _check_scheme(url: str) -> None:
    if urlsplit(url).scheme != "https" and not _is_loopback(url):
        raise _SourceError("only https is allowed")


def _is_loopback(url: str) -> bool:
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"}:
        return False
    try:
        return ipaddress.ip_address(parts.hostname or "").is_loopback
    except ValueError:
        return parts.hostname == "localhost"


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


@contextlib.contextmanager
def _progress(name: str, total: int | None, report: Report) -> Iterator[Callable[[int], None]]:
    """Yields a function to call with the number of bytes received: shows a bar on a terminal, lines elsewhere."""
    columns = (BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    console = Console(stderr=True)
    if not console.is_terminal:
        yield _tenths(name, total, report)
        return
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task(name, total=total)
        yield lambda have: bar.update(task, completed=have)


def _tenths(name: str, total: int | None, report: Report) -> Callable[[int], None]:
    """A function that reports each tenth of `total` once, and nothing if the total is unknown."""
    reported = 0

    def show(have: int) -> None:
        nonlocal reported
        tenth = have * 10 // total if total else 0
        if tenth > reported:
            reported = tenth
            report(f"{name}: {tenth * 10}% ({have:,} of {total:,} bytes)")

    return show
