"""The registry, and the three ways to get a data set's CSV files."""

from __future__ import annotations

import json
import os
import stat
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from reco_platform.core.errors import ConfigError, DataError
from reco_platform.datasets import registry as datasets
from reco_platform.datasets.acquire import acquire
from reco_platform.datasets.registry import ArchiveDataset, Dataset, DirectoryDataset, GenerateDataset
from support import oracle
from support.builders import Page, Site, movielens_zip, quiet, serving, sha256, small_dataset, zip_of

MEMBERS = {"ratings": "ml/ratings.csv", "movies": "ml/movies.csv"}


def registry_error(folder: Path, text: str) -> str:
    path = folder / "datasets.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        datasets.load_registry(path)
    assert str(path) in caught.value.message
    assert caught.value.hint
    return caught.value.message


# --- the registry


def test_the_registry_holds_the_data_sets_of_the_design(registry: dict[str, Dataset]) -> None:
    assert isinstance(registry["demo"], GenerateDataset)
    for name in ("ml-latest-small", "ml-1m", "ml-25m"):
        entry = registry[name]
        assert isinstance(entry, ArchiveDataset)
        assert entry.licence
        assert all(url.startswith("https://") for url in entry.urls)
    assert datasets.tables(registry["ml-25m"]) == ("ratings", "movies", "tags")
    assert datasets.tables(registry["ml-1m"]) == ("ratings", "movies")
    assert datasets.tables(registry["demo"]) == ("ratings", "movies", "tags")


ARCHIVE = "kind: archive, urls: ['https://x'], licence: l, max_unpacked_bytes: 9, members: {ratings: r, movies: m}"
WHOLE = f"{ARCHIVE}, sha256: {'0' * 64}"


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        ("5", ["a: expected keys and values, got 5"]),
        ("{path: x}", ["kind: got None, allowed: generate, archive, directory"]),
        ("{kind: zip}", ["kind: got 'zip', allowed: generate, archive, directory"]),
        ("{kind: directory}", ["path: missing"]),
        ("{kind: directory, path: x, url: y}", ["url: unknown key, allowed: kind, path"]),
        ("{kind: generate, spec: {user: 3}}", ["spec.user: unknown key, allowed:", "users"]),
        ("{kind: generate, spec: {users: many}}", ["spec.users: got 'many'", "integer"]),
        ("{kind: generate, spec: {dirty: {rating: {}}}}", ["spec.dirty.rating: unknown key, allowed: movies, ratings"]),
        ("{kind: generate, spec: {dirty: {ratings: {typo: 1}}}}", ["ratings has no kind typo; kinds are null_user"]),
        ("{kind: generate, spec: {users: 9, movies: 40, ratings: 5}}", ["ratings must be at least users (9), got 5"]),
        ("{kind: generate, sha256: {links: abc}}", ["sha256.links: got 'links'", "'ratings', 'movies' or 'tags'"]),
        (f"{{{ARCHIVE}}}", ["sha256: missing"]),
        (f"{{{ARCHIVE}, sha256: abc}}", ["sha256: got 'abc'", "^[0-9a-f]{64}$"]),
        (f"{{{WHOLE}, bytes: 0}}", ["bytes: got 0", "greater than 0"]),
        (f"{{{WHOLE}, layout: ml-9m}}", ["layout: got 'ml-9m'", "'csv', 'ml-1m'"]),
        (f"{{{WHOLE}}}".replace("https", "ftp"), ["urls.0: got 'ftp://x'", "^https?://"]),
        (f"{{{WHOLE}}}".replace("'https://x'", ""), ["urls: got []", "at least 1 item"]),
        (f"{{{WHOLE}}}".replace(", movies: m", ""), ["members", "a member is needed for movies"]),
        (
            f"{{{WHOLE}, layout: ml-1m}}".replace("movies: m", "movies: m, tags: t"),
            ["members", "the layout ml-1m has no tags"],
        ),
        ("{kind: archive, sha256: abc, bytes: -1}", ["urls: missing", "sha256: got 'abc'", "bytes: got -1"]),
    ],
)
def test_a_wrong_entry_is_named_with_key_value_and_what_is_allowed(
    tmp_path: Path, entry: str, expected: list[str]
) -> None:
    text = registry_error(tmp_path, f"a: {entry}\n")
    assert "a:" in text
    assert [part for part in expected if part not in text] == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: [", "is not YAML"),
        ("- a\n- b\n", "expected the names of data sets"),
        ("", "expected the names of data sets"),
    ],
)
def test_a_registry_that_is_none_is_refused(tmp_path: Path, text: str, expected: str) -> None:
    assert expected in registry_error(tmp_path, text)


def test_a_missing_registry_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"datasets\.yaml: cannot be read") as caught:
        datasets.load_registry(tmp_path / "datasets.yaml")
    assert caught.value.hint == "git checkout config/datasets.yaml"


@pytest.mark.parametrize(
    ("name", "near"), [("ml-25", "ml-25m"), ("ml-latest", "ml-latest-small"), ("dmeo", "demo"), ("ML-1M", "ml-1m")]
)
def test_an_unknown_name_is_answered_with_the_nearest(registry: dict[str, Dataset], name: str, near: str) -> None:
    with pytest.raises(ConfigError) as caught:
        datasets.resolve(registry, name, None)
    assert f"there is no {name!r}; nearest: {near}" in caught.value.message
    assert all(known in caught.value.message for known in registry)
    assert caught.value.hint is not None
    assert f"set dataset to '{near}', or set dataset_path" in caught.value.hint


def test_a_path_makes_any_name_a_data_set(registry: dict[str, Dataset]) -> None:
    assert datasets.resolve(registry, "demo", None) is registry["demo"]
    assert datasets.resolve(registry, "mine", "/data/mine") == DirectoryDataset(name="mine", path=Path("/data/mine"))
    assert datasets.resolve({}, "mine", "~/x") == DirectoryDataset(name="mine", path=Path.home() / "x")
    with pytest.raises(ConfigError, match="there is no 'mine'"):
        datasets.resolve({}, "mine", None)


# --- a folder


@pytest.mark.parametrize("name", ["with spaces", 'it\'s "quoted"', "café Ünïcode 🎬", "a,b=c;d", "-rf"])
def test_a_folder_of_any_name_is_copied(tmp_path: Path, name: str) -> None:
    source = small_dataset(tmp_path / name)
    target = tmp_path / "bronze"
    dataset = DirectoryDataset(name="own", path=source)
    assert datasets.tables(dataset) == ("ratings", "movies", "tags")
    acquire(dataset, target, tmp_path / "cache", report=quiet)
    for table in ("ratings", "movies", "tags"):
        assert (target / f"{table}.csv").read_bytes() == (source / f"{table}.csv").read_bytes()
    assert sorted(path.name for path in target.iterdir()) == ["movies.csv", "ratings.csv", "tags.csv"]


def test_a_folder_without_tags_has_two_tables(tmp_path: Path) -> None:
    dataset = DirectoryDataset(name="own", path=small_dataset(tmp_path / "own", tags=False))
    assert datasets.tables(dataset) == ("ratings", "movies")
    acquire(dataset, tmp_path / "bronze", tmp_path, report=quiet)
    assert sorted(path.name for path in (tmp_path / "bronze").iterdir()) == ["movies.csv", "ratings.csv"]


@pytest.mark.parametrize("missing", ["ratings", "movies"])
def test_a_missing_file_of_a_folder_is_named(tmp_path: Path, missing: str) -> None:
    source = small_dataset(tmp_path / "it's here")
    (source / f"{missing}.csv").unlink()
    with pytest.raises(DataError) as caught:
        acquire(DirectoryDataset(name="own", path=source), tmp_path / "bronze", tmp_path, report=quiet)
    assert f"{source / missing}.csv is missing" in caught.value.message
    assert caught.value.hint is not None
    assert "dataset_path" in caught.value.hint
    assert not (tmp_path / "bronze").exists()


def test_a_file_with_the_right_bytes_is_not_touched(tmp_path: Path) -> None:
    source, target = small_dataset(tmp_path / "own"), tmp_path / "bronze"
    dataset = DirectoryDataset(name="own", path=source)
    acquire(dataset, target, tmp_path, report=quiet)
    for path in target.iterdir():
        os.utime(path, (0, 0))
    (source / "tags.csv").write_text("userId,movieId,tag,timestamp\n", encoding="utf-8")
    acquire(dataset, target, tmp_path, report=quiet)
    changed = {path.name for path in target.iterdir() if path.stat().st_mtime != 0}
    assert changed == {"tags.csv"}


def test_a_folder_that_is_its_own_destination_stays_as_it_is(tmp_path: Path) -> None:
    source = small_dataset(tmp_path / "own")
    before = {path.name: path.stat() for path in source.iterdir()}
    acquire(DirectoryDataset(name="own", path=source), source, tmp_path, report=quiet)
    assert {path.name: path.stat().st_mtime_ns for path in source.iterdir()} == {
        name: found.st_mtime_ns for name, found in before.items()
    }


# --- identity


def test_the_identity_of_a_folder_is_its_content_and_not_its_place(tmp_path: Path) -> None:
    first = DirectoryDataset(name="a", path=small_dataset(tmp_path / "first"))
    second = DirectoryDataset(name="b", path=small_dataset(tmp_path / "second"))
    assert datasets.source_identity(first) == datasets.source_identity(second)
    assert str(tmp_path) not in datasets.source_identity(first)
    (tmp_path / "second" / "tags.csv").unlink()
    assert datasets.source_identity(first) != datasets.source_identity(second)


def test_each_registered_data_set_has_an_identity_of_its_own(registry: dict[str, Dataset]) -> None:
    found = {name: datasets.source_identity(entry) for name, entry in registry.items()}
    assert len(set(found.values())) == len(registry)
    assert found == {name: datasets.source_identity(entry) for name, entry in registry.items()}
    assert all(json.loads(text)["kind"] == registry[name].kind for name, text in found.items())


def test_urls_and_licence_are_no_part_of_an_archives_identity(registry: dict[str, Dataset]) -> None:
    entry = registry["ml-25m"]
    moved = entry.model_copy(update={"urls": ("https://mirror.example/x.zip",), "licence": "", "bytes": None})
    assert datasets.source_identity(moved) == datasets.source_identity(entry)
    other = entry.model_copy(update={"sha256": "0" * 64})
    assert datasets.source_identity(other) != datasets.source_identity(entry)


# --- generated


def test_demo_is_generated_with_the_registered_checksums(
    registry: dict[str, Dataset], demo_folder: Path, tmp_path: Path
) -> None:
    entry = registry["demo"]
    assert isinstance(entry, GenerateDataset)
    found = {table: sha256((demo_folder / f"{table}.csv").read_bytes()) for table in datasets.tables(entry)}
    assert entry.sha256 == found


def test_a_small_data_set_is_generated_once(tmp_path: Path) -> None:
    spec = {"users": 20, "movies": 40, "ratings": 100, "dirty": {"ratings": {}, "movies": {}, "tags": {}}}
    entry = GenerateDataset.model_validate({"name": "tiny", "kind": "generate", "spec": spec})
    acquire(entry, tmp_path / "a", tmp_path, report=quiet)
    assert sorted(path.name for path in (tmp_path / "a").iterdir()) == ["movies.csv", "ratings.csv", "tags.csv"]
    found = {table: sha256((tmp_path / "a" / f"{table}.csv").read_bytes()) for table in datasets.tables(entry)}
    pinned = entry.model_copy(update={"sha256": found})
    said: list[str] = []
    acquire(pinned, tmp_path / "a", tmp_path, report=said.append)
    assert said == []
    wrong = entry.model_copy(update={"sha256": {**found, "tags": "0" * 64}})
    with pytest.raises(
        DataError, match=f"the generated tags.csv has sha256 {found['tags']}, but the registry lists 0000"
    ):
        acquire(wrong, tmp_path / "b", tmp_path, report=quiet)
    assert list((tmp_path / "b").iterdir()) == []


# --- archives


Acquire = Callable[..., Path]


@pytest.fixture
def acquire_zip(tmp_path: Path) -> Acquire:
    """Gets an archive from a server and gives the folder with its CSV files."""

    def run(archive: bytes, *, said: list[str] | None = None, **changes: Any) -> Path:
        with serving({"/ml.zip": Page(archive)}) as site:
            report = quiet if said is None else said.append
            acquire(entry_for(site, archive, **changes), tmp_path / "bronze", tmp_path / "cache", report=report)
        return tmp_path / "bronze"

    return run


def entry_for(site: Site, archive: bytes, **changes: Any) -> ArchiveDataset:
    values = {
        "name": "ml",
        "urls": [site.url("/ml.zip")],
        "sha256": sha256(archive),
        "bytes": len(archive),
        "licence": "for tests",
        "members": MEMBERS,
        "max_unpacked_bytes": 10_000,
    }
    return ArchiveDataset.model_validate(values | changes)


def refusal(acquire_zip: Acquire, archive: bytes, **changes: Any) -> str:
    with pytest.raises(DataError) as caught:
        acquire_zip(archive, **changes)
    assert "ml" in caught.value.message
    assert caught.value.hint
    return caught.value.message


def test_an_archive_is_downloaded_checked_and_unpacked(acquire_zip: Acquire) -> None:
    said: list[str] = []
    folder = acquire_zip(movielens_zip(), said=said)
    assert sorted(path.name for path in folder.iterdir()) == ["movies.csv", "ratings.csv"]
    assert oracle.ratings(folder / "ratings.csv").good == [(1, 10, 4.0, 1_000_000_000, 2001, 9)]
    assert oracle.movies(folder / "movies.csv").good[0][1] == "Amélie (2001)"
    assert "ml: licence: for tests" in said


def test_members_that_are_not_named_are_left_in_the_archive(acquire_zip: Acquire) -> None:
    folder = acquire_zip(movielens_zip(**{"ml/links.csv": b"x", "evil.sh": b"x"}))
    assert sorted(path.name for path in folder.iterdir()) == ["movies.csv", "ratings.csv"]


def test_a_cached_archive_is_unpacked_without_network(tmp_path: Path) -> None:
    archive = movielens_zip()
    with serving({"/ml.zip": Page(archive)}) as site:
        entry = entry_for(site, archive)
        acquire(entry, tmp_path / "a", tmp_path / "cache", report=quiet)
    acquire(entry, tmp_path / "b", tmp_path / "cache", report=quiet)
    assert (tmp_path / "b" / "ratings.csv").read_bytes() == (tmp_path / "a" / "ratings.csv").read_bytes()


def test_an_archive_with_another_checksum_is_not_unpacked(acquire_zip: Acquire, tmp_path: Path) -> None:
    assert "expected 0000" in refusal(acquire_zip, movielens_zip(), sha256="0" * 64)
    assert list((tmp_path / "bronze").iterdir()) == []


def stored(name: str, content: bytes = b"x", mode: int = 0o644, kind: int = stat.S_IFREG) -> dict[Any, bytes]:
    info = zipfile.ZipInfo(name)
    info.external_attr = (kind | mode) << 16
    return {info: content}


@pytest.mark.parametrize(
    "name", ["../evil.csv", "ml/../../evil.csv", "/etc/evil.csv", "\\evil.csv", "C:\\evil.csv", "..\\evil.csv"]
)
def test_an_archive_with_a_file_outside_of_its_folder_is_refused(
    acquire_zip: Acquire, tmp_path: Path, name: str
) -> None:
    assert "a file outside its folder" in refusal(acquire_zip, movielens_zip(**{name: b"x"}))
    assert not list(tmp_path.rglob("evil.csv"))
    assert list((tmp_path / "bronze").iterdir()) == []


def test_a_link_in_the_place_of_a_file_is_refused(acquire_zip: Acquire) -> None:
    members = {
        "ml/movies.csv": b"movieId,title,genres\n",
        **stored("ml/ratings.csv", b"/etc/passwd", kind=stat.S_IFLNK),
    }
    assert "'ml/ratings.csv' in the archive is a link" in refusal(acquire_zip, zip_of(members))


def test_an_encrypted_member_is_refused(acquire_zip: Acquire) -> None:
    archive = bytearray(movielens_zip())
    at = archive.index(b"PK\x01\x02")
    archive[at + 8] |= 1
    assert "'ml/ratings.csv' in the archive is encrypted" in refusal(acquire_zip, bytes(archive))


def test_an_archive_that_would_unpack_to_more_than_allowed_is_refused(acquire_zip: Acquire, tmp_path: Path) -> None:
    bomb = movielens_zip(**{"ml/tags.csv": b"0" * 20_000_000})
    assert len(bomb) < 100_000
    members = {**MEMBERS, "tags": "ml/tags.csv"}
    assert "unpacks to 20,000," in refusal(acquire_zip, bomb, members=members)
    assert list((tmp_path / "bronze").iterdir()) == []
    assert (acquire_zip(bomb) / "ratings.csv").is_file()


def test_a_bomb_that_lies_about_its_size_is_refused(acquire_zip: Acquire, tmp_path: Path) -> None:
    archive = bytearray(zip_of({"ml/ratings.csv": b"0" * 20_000_000, "ml/movies.csv": b"x"}))
    at = archive.index(b"PK\x01\x02")
    archive[at + 24 : at + 28] = struct.pack("<I", 100)
    assert "is not a complete zip file" in refusal(acquire_zip, bytes(archive))
    assert list((tmp_path / "bronze").iterdir()) == []


def test_a_missing_member_is_named(acquire_zip: Acquire) -> None:
    archive = zip_of({"ml/ratings.csv": b"x"})
    assert "the archive has no 'ml/movies.csv' (for movies)" in refusal(acquire_zip, archive)


@pytest.mark.parametrize(
    "archive",
    [b"", b"just text", b"PK\x05\x06", movielens_zip()[:-30], movielens_zip()[:60]],
    ids=["empty", "text", "short", "cut", "cut-early"],
)
def test_a_file_that_is_no_whole_zip_is_refused(acquire_zip: Acquire, archive: bytes) -> None:
    text = refusal(acquire_zip, archive, bytes=None)
    assert "is not a complete zip file" in text


def test_a_damaged_member_is_refused_and_nothing_is_left(acquire_zip: Acquire, tmp_path: Path) -> None:
    archive = bytearray(zip_of({"ml/movies.csv": b"x", "ml/ratings.csv": os.urandom(5_000)}))
    archive[2_000] ^= 1
    assert "is not a complete zip file" in refusal(acquire_zip, bytes(archive))
    assert list((tmp_path / "bronze").iterdir()) == []


def test_the_layout_of_ml_1m_becomes_csv(acquire_zip: Acquire) -> None:
    archive = zip_of(
        {
            "ml/ratings.dat": b"1::1193::5::978300760\r\n6040::1097::4::956715569\n",
            "ml/movies.dat": (
                '1::Toy Story (1995)::Animation|Comedy\n2::Amélie, "the" film (2001)::Comedy\n'.encode("latin-1")
            ),
        }
    )
    members = {"ratings": "ml/ratings.dat", "movies": "ml/movies.dat"}
    folder = acquire_zip(archive, layout="ml-1m", members=members)
    ratings = (folder / "ratings.csv").read_text(encoding="utf-8")
    assert ratings == "userId,movieId,rating,timestamp\n1,1193,5,978300760\n6040,1097,4,956715569\n"
    assert [row[:2] for row in oracle.movies(folder / "movies.csv").good] == [
        (1, "Toy Story (1995)"),
        (2, 'Amélie, "the" film (2001)'),
    ]


def test_a_line_that_is_not_of_the_layout_stays_a_malformed_line(acquire_zip: Acquire) -> None:
    archive = zip_of({"ml/ratings.csv": b"1::2::3::4\n1,2,3,4\n", "ml/movies.csv": b"2::Film::Drama\n"})
    folder = acquire_zip(archive, layout="ml-1m")
    assert (folder / "ratings.csv").read_text("utf-8").splitlines()[1:] == ["1,2,3,4", '"1,2,3,4"']
    found = oracle.ratings(folder / "ratings.csv")
    assert (len(found.good), found.rows_in) == (1, 2)


UTF_8_ARCHIVE = {
    "ml/ratings.csv": b"1::1::3.5::978300760\n2::1::5::956715569\n",
    "ml/movies.csv": "1::Café One (1995)::Drama\n".encode(),
}


def test_an_archive_in_utf_8_is_not_read_as_latin_1(acquire_zip: Acquire) -> None:
    with pytest.raises(DataError, match=r"movies\.csv is UTF-8, but its layout says latin-1") as caught:
        acquire_zip(zip_of(UTF_8_ARCHIVE), layout="ml-1m")
    assert "layout: ml-10m" in str(caught.value.hint)


def test_the_layout_of_ml_10m_keeps_half_stars_and_letters(acquire_zip: Acquire) -> None:
    folder = acquire_zip(zip_of(UTF_8_ARCHIVE), layout="ml-10m")
    assert (folder / "ratings.csv").read_text("utf-8").splitlines()[1:] == ["1,1,3.5,978300760", "2,1,5,956715569"]
    assert (folder / "movies.csv").read_text("utf-8").splitlines()[1:] == ["1,Café One (1995),Drama"]


def test_a_folder_of_the_registry_is_relative_to_the_project(
    root: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    registry: dict[str, Dataset] = {
        "near": DirectoryDataset(name="near", path=Path("data/mine")),
        "far": DirectoryDataset(name="far", path=Path("/data/mine")),
    }

    def path(name: str) -> Path:
        found = datasets.resolve(registry, name, None)
        assert isinstance(found, DirectoryDataset)
        return found.path

    assert (path("near"), path("far")) == (Path("data/mine"), Path("/data/mine"))
    monkeypatch.chdir(tmp_path)
    assert (path("near"), path("far")) == (root / "data/mine", Path("/data/mine"))
