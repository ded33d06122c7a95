"""Downloads from a real server on this machine: resumed, verified, refused, cached."""

from __future__ import annotations

import ipaddress
import os
import ssl
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from reco_platform.core.errors import DataError
from reco_platform.datasets.download import download_file
from reco_platform.store.paths import sha256_file
from support.builders import Page, quiet, serving, sha256

BODY = bytes(range(256)) * 4_000
SHA = sha256(BODY)
Get = Callable[..., Path]


@pytest.fixture
def get(tmp_path: Path) -> Get:
    """`fetch` into a cache of its own."""

    def run(*urls: str, sha: str = SHA, size: int | None = len(BODY), said: list[str] | None = None) -> Path:
        report = quiet if said is None else said.append
        return download_file(urls, tmp_path / "cache", sha256=sha, size=size, report=report, timeout=5.0)

    return run


def refusal(get: Get, *urls: str, sha: str = SHA, size: int | None = len(BODY)) -> str:
    with pytest.raises(DataError) as caught:
        get(*urls, sha=sha, size=size)
    assert caught.value.hint
    return caught.value.message


# --- what arrives


@pytest.mark.parametrize("size", [len(BODY), None])
def test_a_file_is_kept_in_the_cache_under_its_sha256(get: Get, tmp_path: Path, size: int | None) -> None:
    with serving({"/a.zip": Page(BODY)}) as site:
        path = get(site.url("/a.zip"), size=size)
    assert path == tmp_path / "cache" / f"{SHA}.zip"
    assert path.read_bytes() == BODY
    assert list(path.parent.iterdir()) == [path]


def test_a_terminal_sees_a_bar_and_a_pipe_plain_lines(get: Get, monkeypatch: pytest.MonkeyPatch) -> None:
    lines: list[str] = []
    with serving({"/a.zip": Page(BODY)}) as site:
        get(site.url("/a.zip"), said=lines).unlink()
        assert lines[-1].endswith(f"100% ({len(BODY):,} of {len(BODY):,} bytes)")
        reader, writer = os.openpty()
        with os.fdopen(writer, "w") as terminal:
            monkeypatch.setattr(sys, "stderr", terminal)
            lines.clear()
            get(site.url("/a.zip"), said=lines)
            monkeypatch.undo()
    assert lines == []
    assert b"\x1b[" in os.read(reader, 10_000), "a bar is drawn anew in its place"
    os.close(reader)


def test_a_verified_copy_needs_no_network(get: Get) -> None:
    with serving({"/a.zip": Page(BODY)}) as site:
        first = get(site.url("/a.zip"))
    assert get(site.url("/a.zip")) == first
    assert get("https://no-such-host.invalid/a.zip") == first
    assert len(site.requests) == 1


def test_a_damaged_copy_is_noticed_and_downloaded_again(get: Get) -> None:
    said: list[str] = []
    with serving({"/a.zip": Page(BODY)}) as site:
        path = get(site.url("/a.zip"))
        path.write_bytes(BODY[:-1] + b"x")
        assert get(site.url("/a.zip"), said=said).read_bytes() == BODY
    assert "is damaged" in said[0]


def test_progress_is_told_in_tenths_where_there_is_no_terminal(get: Get) -> None:
    said: list[str] = []
    with serving({"/a.zip": Page(BODY)}) as site:
        get(site.url("/a.zip"), said=said)
    assert said
    assert f"100% ({len(BODY):,} of {len(BODY):,} bytes)" in said[-1]


# --- several urls


@pytest.mark.parametrize("status", [403, 404, 500, 503])
def test_the_second_url_serves_where_the_first_cannot(get: Get, status: int) -> None:
    said: list[str] = []
    with serving({"/bad": Page(status=status), "/good": Page(BODY)}) as site:
        assert get(site.url("/bad"), site.url("/good"), said=said).read_bytes() == BODY
        assert [path for path, _ in site.requests] == ["/bad", "/good"]
    assert f"HTTP {status}" in said[0]


def test_the_second_url_serves_where_the_first_has_another_file(get: Get) -> None:
    with serving({"/bad": Page(BODY[::-1]), "/good": Page(BODY)}) as site:
        assert get(site.url("/bad"), site.url("/good")).read_bytes() == BODY


def test_where_no_url_serves_each_ones_reason_is_told(get: Get, tmp_path: Path) -> None:
    with serving({"/empty": Page(b""), "/wrong": Page(BODY[::-1])}) as site:
        urls = [site.url(path) for path in ("/missing", "/wrong", "/empty")]
        with pytest.raises(DataError) as caught:
            get(*urls)
    assert all(url in caught.value.message for url in urls)
    assert "HTTP 404" in caught.value.message
    assert f"its sha256 is {sha256(BODY[::-1])}, expected {SHA}" in caught.value.message
    assert caught.value.hint is not None
    assert f"save it as {tmp_path / 'cache' / SHA}.zip" in caught.value.hint
    assert not list((tmp_path / "cache").iterdir())


def test_a_server_that_is_not_there_is_a_reason(get: Get) -> None:
    with serving({}) as site:
        url = site.url("/a.zip")
    assert f"{url}: " in refusal(get, url)
    assert "refused" in refusal(get, url)


# --- cut connections


def test_a_cut_download_goes_on_where_it_stopped(get: Get) -> None:
    said: list[str] = []
    with serving({"/a.zip": Page(BODY, cuts=[300_000, 200_000])}) as site:
        assert get(site.url("/a.zip"), said=said).read_bytes() == BODY
        assert [wanted for _, wanted in site.requests] == [None, "bytes=300000-", "bytes=500000-"]
    assert any("resuming from byte 300,000" in line for line in said)


def test_a_server_that_ignores_ranges_sends_all_once_more(get: Get) -> None:
    with serving({"/a.zip": Page(BODY, cuts=[300_000], ranges=False)}) as site:
        assert get(site.url("/a.zip")).read_bytes() == BODY
        assert [wanted for _, wanted in site.requests] == [None, "bytes=300000-"]


def test_a_later_run_goes_on_with_what_an_earlier_one_left(get: Get, tmp_path: Path) -> None:
    with serving({"/a.zip": Page(BODY, cuts=[100_000] * 4)}) as site:
        assert "the connection was interrupted after 400,000 of" in refusal(get, site.url("/a.zip"))
        assert (tmp_path / "cache" / f"{SHA}.zip.part").stat().st_size == 400_000
        assert not (tmp_path / "cache" / f"{SHA}.zip").exists()
        assert get(site.url("/a.zip")).read_bytes() == BODY
        assert site.requests[-1][1] == "bytes=400000-"


def test_a_part_that_begins_elsewhere_is_not_taken(get: Get, tmp_path: Path) -> None:
    with serving({"/bad": Page(BODY, cuts=[300_000], shift=100), "/good": Page(BODY)}) as site:
        said: list[str] = []
        assert get(site.url("/bad"), site.url("/good"), said=said).read_bytes() == BODY
        assert site.requests[-1] == ("/good", "bytes=300000-")
    assert any("sent another range than requested (bytes 300100-" in line for line in said)


@pytest.mark.parametrize("left", [b"not from this file", BODY[::-1], BODY + b"more"])
def test_a_wrong_leftover_is_thrown_away(get: Get, tmp_path: Path, left: bytes) -> None:
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / f"{SHA}.zip.part").write_bytes(left)
    with serving({"/a.zip": Page(BODY)}) as site:
        assert get(site.url("/a.zip")).read_bytes() == BODY


def test_a_whole_leftover_needs_no_network(get: Get, tmp_path: Path) -> None:
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / f"{SHA}.zip.part").write_bytes(BODY)
    assert get("https://no-such-host.invalid/a.zip").read_bytes() == BODY


# --- what is refused


def test_a_file_larger_than_registered_is_not_taken(get: Get) -> None:
    with serving({"/a.zip": Page(BODY + b"x")}) as site:
        assert f"would send {len(BODY) + 1:,} bytes, expected at most {len(BODY):,}" in refusal(get, site.url("/a.zip"))


@pytest.mark.parametrize("url", ["http://example.com/a.zip", "ftp://127.0.0.1/a.zip", "file:///etc/hostname"])
def test_only_https_is_taken_from_elsewhere(get: Get, url: str) -> None:
    assert "only https is allowed" in refusal(get, url)


@pytest.mark.parametrize(
    "location", ["http://example.com/a.zip", "http://127.0.0.1.example.com/a.zip", "ftp://127.0.0.1/a.zip"]
)
def test_a_redirect_away_from_https_is_not_followed(get: Get, location: str) -> None:
    with serving({"/a.zip": Page(location=location)}) as site:
        text = refusal(get, site.url("/a.zip"))
    assert "only https is allowed" in text or "not allowed" in text


def test_a_redirect_on_this_machine_is_followed(get: Get) -> None:
    with serving({"/a.zip": Page(location="/b.zip"), "/b.zip": Page(BODY)}) as site:
        assert get(site.url("/a.zip")).read_bytes() == BODY


def test_a_redirect_in_a_circle_is_a_reason(get: Get) -> None:
    with serving({"/a.zip": Page(location="/a.zip")}) as site:
        assert "HTTP 302" in refusal(get, site.url("/a.zip"))


@pytest.mark.parametrize("url", ["https://[bad/a.zip", "https:///a.zip", "https://exa mple.com/a.zip"])
def test_an_address_that_is_none_is_a_reason(get: Get, url: str) -> None:
    assert url in refusal(get, url)


def test_a_redirect_to_an_address_that_is_none_is_a_reason(get: Get) -> None:
    with serving({"/a.zip": Page(location="http://[bad/b.zip")}) as site:
        assert site.url("/a.zip") in refusal(get, site.url("/a.zip"))


def test_a_cache_that_cannot_be_written_is_named(get: Get, tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file in its place", encoding="utf-8")
    with serving({"/a.zip": Page(BODY)}) as site:
        assert str(tmp_path / "cache") in refusal(get, site.url("/a.zip"))


# --- https


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate and its key for 127.0.0.1, signed by itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")])
    now = datetime.now(UTC)
    alternative = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    signed = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(alternative, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    path = tmp_path_factory.mktemp("https") / "certificate.pem"
    secret = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain)
    path.write_bytes(signed.public_bytes(pem) + secret)
    return path


@pytest.fixture
def https(certificate: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


def test_https_is_taken_from_a_server_whose_certificate_is_trusted(
    get: Get, https: ssl.SSLContext, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    with serving({"/a.zip": Page(BODY, cuts=[300_000])}, https) as site:
        assert get(site.url("/a.zip")).read_bytes() == BODY


def test_https_with_an_unknown_certificate_is_refused(get: Get, https: ssl.SSLContext) -> None:
    with serving({"/a.zip": Page(BODY)}, https) as site:
        assert "CERTIFICATE_VERIFY_FAILED" in refusal(get, site.url("/a.zip"))


def test_the_checksum_of_a_file_is_that_of_its_bytes(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(BODY)
    assert sha256_file(tmp_path / "a") == SHA
