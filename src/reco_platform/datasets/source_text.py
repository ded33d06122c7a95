"""Plain text of a user's file: UTF-8, not compressed, one character between fields, as the CSV reader takes it."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from reco_platform.core.errors import DataError
from reco_platform.datasets.source_files import SourceFile

UNIT_SEPARATOR = "\x1f"
"""Stands between fields where the file's own delimiter is not one ASCII character."""

BLOCK = 8 << 20
SINGLE_BYTE = {"iso8859-1", "cp1252", "iso8859-15", "latin-1"}
NETFLIX, NETFLIX_TITLES = "netflix", "netflix-titles"
NETFLIX_ITEM = re.compile(rb"[ \t]*(\d+)[ \t]*:[ \t]*")


def is_plain(file: SourceFile, delimiter: str, encoding: str, kind: str) -> bool:
    """Whether the CSV reader can read the file itself."""
    utf_8 = codecs.lookup(encoding).name in {"utf-8", "utf-8-sig", "ascii"}
    return file.packing is None and utf_8 and is_single(delimiter) and kind not in {NETFLIX, NETFLIX_TITLES}


def is_single(delimiter: str) -> bool:
    return len(delimiter) == 1 and delimiter.isascii()


def reader_delimiter(delimiter: str) -> str:
    """The character between fields in plain text."""
    return delimiter if is_single(delimiter) else UNIT_SEPARATOR


def write_plain(file: SourceFile, target: Path, delimiter: str, encoding: str, kind: str) -> None:
    """Writes a file's plain text.

    Bytes that the encoding does not have stay as they are; they are not UTF-8, so that a later check rejects their row.

    Args:
        file: the file.
        target: the file to write.
        delimiter: between its fields.
        encoding: of the file.
        kind: csv, jsonl, netflix, or netflix-titles: lines `item,year,title`, where the title may hold commas.

    Raises:
        DataError: it cannot be unpacked or decoded, it is UTF-8 although its encoding is said to be another, or it
            has the character that is to stand between fields.
    """
    refuse_utf_8_as_another(file, encoding)
    with file.open() as source, target.open("wb") as out:
        blocks = whole_lines(decoded(file, source, encoding))
        for block in netflix_lines(blocks) if kind == NETFLIX else blocks:
            if kind == NETFLIX_TITLES:
                out.write(re.sub(rb"(?m)^([^,\n]*),([^,\n]*),", b"\\1\x1f\\2\x1f", block))
                continue
            if is_single(delimiter):
                out.write(block)
                continue
            if UNIT_SEPARATOR.encode() in block:
                raise DataError(f"{file.name} has the control character 1F", "remove it from the file")
            out.write(block.replace(delimiter.encode(), UNIT_SEPARATOR.encode()))


def decoded(file: SourceFile, source: IO[bytes], encoding: str) -> Iterator[bytes]:
    """The text of a stream as UTF-8, in blocks."""
    if codecs.lookup(encoding).name in {"utf-8", "utf-8-sig", "ascii"}:
        while block := source.read(BLOCK):
            yield block
        return
    decoder = codecs.getincrementaldecoder(encoding)("surrogateescape")
    lines = 0
    while True:
        block = source.read(BLOCK)
        try:
            text = decoder.decode(block, final=not block)
        except UnicodeDecodeError as error:
            line = lines + block[: error.start].count(b"\n") + 1
            raise DataError(
                f"{file.name}, line {line}: the bytes {block[error.start : error.end].hex(' ')} are not {encoding}",
                f"python tools/run_pipeline.py inspect {file.path}",
            ) from error
        lines += text.count("\n")
        yield text.lstrip("\ufeff").encode("utf-8", "surrogateescape")
        if not block:
            return


def whole_lines(blocks: Iterator[bytes]) -> Iterator[bytes]:
    """The same bytes in blocks that end where a line ends, so that no delimiter is cut."""
    rest = b""
    for block in blocks:
        cut = block.rfind(b"\n") + 1
        if cut:
            yield rest + block[:cut]
            rest = block[cut:]
        else:
            rest += block
    if rest:
        yield rest


def netflix_lines(blocks: Iterator[bytes]) -> Iterator[bytes]:
    """Lines `item,user,rating,date` from lines `item:` with lines `user,rating,date` below each."""
    item = b""
    for block in blocks:
        lines = []
        for line in block.splitlines():
            heading = NETFLIX_ITEM.fullmatch(line)
            if heading:
                item = heading[1]
            elif line:
                lines.append(item + b"," + line + b"\n")
        yield b"".join(lines)


def refuse_utf_8_as_another(file: SourceFile, encoding: str) -> None:
    """Checks that a file that is said to be Latin-1 or the like is not UTF-8: every byte is a letter in Latin-1.

    Raises:
        DataError: all of it is UTF-8, and not only ASCII.
    """
    if codecs.lookup(encoding).name not in SINGLE_BYTE:
        return
    decoder, has_more_than_ascii = codecs.getincrementaldecoder("utf-8")(), False
    try:
        with file.open() as source:
            while block := source.read(BLOCK):
                has_more_than_ascii |= not block.isascii()
                decoder.decode(block)
            decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return
    if has_more_than_ascii:
        raise DataError(
            f"{file.name} is UTF-8, but its layout says {encoding}: its letters would be garbled",
            "set --config encoding=utf-8 (items_encoding for the titles); "
            "an entry of config/datasets.yaml with layout: ml-1m needs layout: ml-10m",
        )
