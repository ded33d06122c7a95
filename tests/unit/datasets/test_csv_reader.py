"""Reading CSV: every record is kept, counted as malformed, or refused with file, line and reason."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from reco_platform.core.errors import DataError
from reco_platform.datasets import csv_quotes, csv_reader

COLUMNS = ("userId", "movieId", "tag", "timestamp")
HEADER = b"userId,movieId,tag,timestamp\n"
GOOD = {"userId": "1", "movieId": "2", "tag": "a", "timestamp": "3"}


def read(folder: Path, content: bytes) -> tuple[list[dict[str, Any]], list[str], list[str]]:
    """Good records, malformed lines, and names of the columns left out."""
    source, target = folder / "tags.csv", folder / "tags.parquet"
    source.write_bytes(content)
    extra = csv_reader.extra_columns(source, COLUMNS)
    csv_reader.convert_to_parquet(source, COLUMNS, target)
    rows = pq.read_table(target).to_pylist()
    good = [{name: row[name] for name in COLUMNS} for row in rows if row[csv_reader.LINE] is None]
    malformed = [row[csv_reader.LINE] for row in rows if row[csv_reader.LINE] is not None]
    assert [row[csv_reader.ROW] for row in rows] == list(range(len(rows)))
    assert all(row[name] is None for row in rows if row[csv_reader.LINE] is not None for name in COLUMNS)
    return good, malformed, extra


def refusal(folder: Path, content: bytes) -> DataError:
    with pytest.raises(DataError) as caught:
        read(folder, content)
    assert str(folder / "tags.csv") in caught.value.message
    assert caught.value.hint
    return caught.value


# --- what changes nothing


@pytest.mark.parametrize(
    "content",
    [
        HEADER + b"1,2,a,3\n",
        HEADER + b"1,2,a,3",
        b"\xef\xbb\xbf" + HEADER + b"1,2,a,3\n",
        (HEADER + b"1,2,a,3\n").replace(b"\n", b"\r\n"),
        (HEADER + b"1,2,a,3\n").replace(b"\n", b"\r"),
        b'"userId","movieId","tag","timestamp"\n"1","2","a","3"\n',
        b"\xef\xbb\xbf" + b'"userId","movieId","tag","timestamp"\n"1","2","a","3"\n',
        b"timestamp,tag,movieId,userId\n3,a,2,1\n",
        HEADER + b"\n1,2,a,3\n\n\n",
    ],
    ids=["plain", "no-last-newline", "bom", "crlf", "cr", "quoted", "bom-quoted", "order", "blank-lines"],
)
def test_ways_of_writing_the_same_record_are_read_alike(tmp_path: Path, content: bytes) -> None:
    assert read(tmp_path, content) == ([GOOD], [], [])


def test_more_columns_are_left_out_and_named(tmp_path: Path) -> None:
    good, malformed, extra = read(tmp_path, b"note,userId,movieId,tag,timestamp,source\nx,1,2,a,3,y\n")
    assert (good, malformed, extra) == ([GOOD], [], ["note", "source"])


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ('"a,b"', "a,b"),
        ('"so-called ""classic"""', 'so-called "classic"'),
        ('"two\nlines"', "two\nlines"),
        ('""', ""),
        ("", ""),
        (" padded ", " padded "),
        ("null", "null"),
        ('5" pipe', '5" pipe'),
        ("back\\slash", "back\\slash"),
        ("🎬 наивно", "🎬 наивно"),
        ("a\0b", "a\0b"),
    ],
)
def test_a_value_is_kept_as_it_is_written(tmp_path: Path, field: str, value: str) -> None:
    content = HEADER + f"1,2,{field},3\n1,2,a,3\n".encode()
    assert read(tmp_path, content) == ([{**GOOD, "tag": value}, GOOD], [], [])


def test_bytes_that_are_not_utf_8_are_passed_on_wherever_they_are(tmp_path: Path) -> None:
    """The rules judge them later; near the header they once made the whole file unreadable."""
    source, target = tmp_path / "tags.csv", tmp_path / "tags.parquet"
    for rows_before in (0, 2_000):
        source.write_bytes(HEADER + b"1,2,a,3\n" * rows_before + b"1,2,caf\xe9,3\n")
        csv_reader.convert_to_parquet(source, COLUMNS, target)
        written = pq.read_table(target).column("tag").cast("binary").to_pylist()
        assert (len(written), written[-1]) == (rows_before + 1, b"caf\xe9")


# --- malformed lines


def test_short_and_long_lines_are_kept_as_text_after_the_good_ones(tmp_path: Path) -> None:
    good, malformed, _ = read(tmp_path, HEADER + b"1,2,a\n1,2,a,3\n1,2,a,3,4\n   \n\0\0\0\0\n1,2,a,3\n1,2,")
    assert good == [GOOD, GOOD]
    assert malformed == ["1,2,a", "1,2,a,3,4", "   ", "\0\0\0\0", "1,2,"]


def test_a_file_of_nothing_but_malformed_lines_is_counted(tmp_path: Path) -> None:
    assert read(tmp_path, HEADER + b"1\n2,3\n") == ([], ["1", "2,3"], [])


def rejected_lines(folder: Path, *lines: str, newline: str = "\n") -> tuple[list[str], list[str]]:
    """The malformed lines of a file of tags, and the tags of the good rows."""
    good, malformed, _ = read(folder, HEADER.replace(b"\n", newline.encode()) + newline.join(lines).encode())
    return malformed, [row["tag"] for row in good]


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_a_stray_quote_rejects_its_own_line_and_joins_no_others(tmp_path: Path, newline: str) -> None:
    lines = ['1,2,"a,3', "1,2,b,3", "1,2,c,3", '1,2,"d,d",3', "1,2,e,3"]
    assert rejected_lines(tmp_path, *lines, newline=newline) == (['1,2,"a,3'], ["b", "c", "d,d", "e"])


@pytest.mark.parametrize(
    "line",
    [
        '1,2,"Grand" Stage,3',
        '1,2,"a"b",3',
        '1,2,"a" ,3',
        '1,2,"a""b"c,3',
        '"1"2,2,a,3',
        '1,2,a,"3"4',
        r'1,2,"The \"best\" one",3',
        r'1,2,"\"Best\" one",3',
        r'1,2,"the \"best\"",3',
        r'1,2,"ends in \",b",3',
    ],
)
def test_text_behind_a_closing_quote_rejects_the_line_and_no_other(tmp_path: Path, line: str) -> None:
    """Backslashes before quotes are how Spark writes them by default."""
    assert rejected_lines(tmp_path, "1,2,a,3", line, '1,2,"c,c",3') == ([line], ["a", "c,c"])


@pytest.mark.parametrize(
    ("opens", "closes"),
    [
        ('1,2,"a,3', '1,2,d",3'),  # a column behind the closing quote
        ('1,2,"a,3', '1,2,d,3"'),  # too few fields
        ('1,"2,a,3', '1,2",d,3'),
        ('1,2,"a,3', '1,2,""",3'),
    ],
)
def test_a_quote_that_swallows_records_rejects_its_own_line(tmp_path: Path, opens: str, closes: str) -> None:
    """Each of these is one record by RFC 4180, with other records in one of its values."""
    malformed, good = rejected_lines(tmp_path, opens, "1,2,b,3", "1,2,c,3", closes, "1,2,e,3")
    assert malformed[0] == opens
    assert (good[:2], good[-1]) == (["b", "c"], "e")
    assert len(malformed) + len(good) == 5


def test_a_quote_that_swallows_one_record_is_found_by_the_last_line(tmp_path: Path) -> None:
    assert rejected_lines(tmp_path, '1,2,"a,3', '4,5,d",6') == (['1,2,"a,3'], ['d"'])


@pytest.mark.parametrize(
    "tag", ["two, or\nthree, lines", "\n\n", "1\n2\n3", "a\n1,2\nb", "a, b, c\n1, two, three, 4", '""a""\n""b, c""']
)
def test_a_value_of_several_lines_that_are_no_records_is_kept(tmp_path: Path, tag: str) -> None:
    assert rejected_lines(tmp_path, f'1,2,"{tag}",3', "1,2,b,3") == ([], [tag.replace('""', '"'), "b"])


def test_a_value_with_more_lines_than_any_has_is_a_stray_quote(tmp_path: Path) -> None:
    long = "x\n" * (csv_quotes.MAX_LINES - 1)
    assert rejected_lines(tmp_path, f'1,2,"{long}",3')[0] == []
    malformed, good = rejected_lines(tmp_path, f'1,2,"x\n{long}",3', "1,2,b,3")
    assert (malformed[0], len(malformed), good) == ('1,2,"x', csv_quotes.MAX_LINES + 1, ["b"])


def test_lines_with_wrong_quotes_are_left_out_at_any_size_of_block(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(csv_reader, "BLOCK_BYTES", 64)
    lines = [f'1,2,"{number}" x,3' if number % 3 == 0 else f'1,2,"{number},x",3' for number in range(400)]
    malformed, good = rejected_lines(tmp_path, *lines)
    assert malformed == lines[::3]
    assert good == [f"{number},x" for number in range(400) if number % 3]


@pytest.mark.parametrize("line", [b'1,2,"a,3', b'1,2,a,"3', b'"1,2,a,3', b'1,2,"a"",3', b'1,2,a,"'])
def test_a_quote_that_is_never_closed_is_refused_with_its_line(tmp_path: Path, line: bytes) -> None:
    """It would swallow the rest of the file as one value."""
    content = HEADER + b"1,2,a,3\n" + line + b"\n" + b"1,2,b,3\n" * 5
    assert "line 3: a quote is opened and never closed" in refusal(tmp_path, content).message


def test_a_malformed_line_that_is_not_utf_8_is_kept_like_any_other(tmp_path: Path) -> None:
    content = HEADER.replace(b"\n", ",ünï\n".encode()) + b"1,2,caf\xe9\n" + "1,2,café,3,x\n".encode()
    assert read(tmp_path, content) == ([{**GOOD, "tag": "café"}], ["1,2,caf\ufffd"], ["ünï"])


def test_bytes_0_in_a_file_of_many_blocks_join_no_lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Arrow's search for the end of long values passes over commas and newlines that are close behind one."""
    monkeypatch.setattr(csv_reader, "BLOCK_BYTES", 5_000)
    tags = ["a title of some forty characters or so, no", "a\0b", "\0"]
    rows = [f"{number},2,{tags[number % 3].replace(',', '')},3\n" for number in range(1_000)]
    good, malformed, _ = read(tmp_path, HEADER + "".join(rows).encode())
    assert ([row["userId"] for row in good], malformed) == ([str(number) for number in range(1_000)], [])


@pytest.mark.parametrize("newline", [b"\n", b"\r\n", b"\r"])
def test_a_newline_in_quotes_is_never_cut_by_a_block(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, newline: bytes
) -> None:
    monkeypatch.setattr(csv_reader, "BLOCK_BYTES", 100)
    good, malformed, _ = read(tmp_path, (HEADER + b'1,"2\n",a,3\n' * 50).replace(b"\n", newline))
    assert (len(good), {row["movieId"] for row in good}, malformed) == (50, {"2" + newline.decode()}, [])


def test_records_across_blocks_are_all_there_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csv_reader, "BLOCK_BYTES", 1_000)
    lines = [b'%d,2,"a\nb",3\n' % number if number % 7 else b"%d,short\n" % number for number in range(3_000)]
    good, malformed, _ = read(tmp_path, HEADER + b"".join(lines))
    assert [row["userId"] for row in good] == [str(number) for number in range(3_000) if number % 7]
    assert malformed == [f"{number},short" for number in range(0, 3_000, 7)]


# --- refusals


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", "is empty"),
        (b"\n\n", "is empty"),
        (HEADER, "has a header but no rows"),
        (HEADER.strip(), "cannot be read as CSV"),
        (
            b"userId,movieId,tag\n1,2,a\n",
            "line 1: column 'timestamp' is missing; the file has 'userId', 'movieId', 'tag'",
        ),
        (b"user_id,movieId,tag,timestamp\n1,2,a,3\n", "column 'userId' is missing (perhaps it is named 'user_id'"),
        (b"userid,movieId,tag,timestamp\n1,2,a,3\n", "column 'userId' is missing (perhaps it is named 'userid'"),
        (b"userId;movieId;tag;timestamp\n1;2;a;3\n", "column 'userId' is missing"),
        (b"userId,userId,movieId,tag,timestamp\n1,9,2,a,3\n", "line 1: column 'userId' occurs twice"),
        ((HEADER + b"1,2,a,3\n").decode().encode("utf-16"), "cannot be read as CSV"),
        (gzip.compress(HEADER + b"1,2,a,3\n", mtime=0), "cannot be read as CSV"),
        (HEADER.replace(b"tag", b"t\xe9g"), "cannot be read as CSV"),
        (b"\n" + HEADER + b"1,2,a,3\n", "the first line is empty"),
        (b'userId,movieId,tag,timestamp,"no\nte"\n1,2,a,3,x\n', "cannot be read as CSV: unexpected end of data"),
        (HEADER + b"1,2,a,3\r" * 3 + b'1,2,"a,3', "line 5: a quote is opened"),
    ],
    ids=range(15),
)
def test_a_file_that_is_not_the_table_is_refused_with_the_reason(tmp_path: Path, content: bytes, expected: str) -> None:
    assert expected in refusal(tmp_path, content).message


def test_a_missing_file_is_named_with_the_columns_that_it_needs(tmp_path: Path) -> None:
    path = tmp_path / "none.csv"
    with pytest.raises(DataError, match="does not exist") as caught:
        csv_reader.convert_to_parquet(path, COLUMNS, tmp_path / "none.parquet")
    assert caught.value.hint is not None
    assert "userId, movieId, tag, timestamp" in caught.value.hint


def test_a_folder_in_the_place_of_a_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be read as CSV"):
        csv_reader.read_header(tmp_path, COLUMNS)
