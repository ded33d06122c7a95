"""Translate a user's own files into the CSV files of bronze: ratings.csv and movies.csv in MovieLens's columns.

No row is lost. A value that cannot be translated stays as it was written, so that cleaning rejects it with its reason
and shows it; a line that is no record stays a malformed line. What would be wrong in every row stops the import.
"""

from __future__ import annotations

import shlex
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from reco_platform.core.errors import DataError
from reco_platform.datasets import source_text
from reco_platform.datasets.source_files import SourceFile
from reco_platform.datasets.source_layout import INSPECT, SourceLayout
from reco_platform.datasets.source_records import FileFormat, Records, read_records
from reco_platform.datasets.source_times import TimeTranslation
from reco_platform.datasets.text_columns import as_text, decodes, is_invalid_utf8, rating_text, text_array

Report = Callable[[str], None]
RATINGS_HEADER = ("userId", "movieId", "rating", "timestamp")
MOVIES_HEADER = ("movieId", "title", "genres")
WRITERS = 2
"""Threads that make lines of records; the ids are numbered in the order of the file, by one thread."""


class Encoder(Protocol):
    """Gives texts their numbers, as `id_dictionary.IdDictionary` does."""

    def encode(self, column: pa.Array) -> pa.Array:
        """int32, shape (rows,); null for a text that is no id."""


@dataclass
class Items:
    """The items that occur in the ratings, in order of first appearance.

    Attributes:
        is_needed: whether they are collected: only where no file has titles.
        titles: the title of each id in bronze: its source id.
    """

    is_needed: bool
    titles: dict[str, str] = field(default_factory=dict)

    def add(self, ids: pa.Array, source_ids: pa.Array) -> None:
        if not self.is_needed:
            return
        rows = pa.array(first_rows(ids), pa.int64())
        first, names = (as_text(column.take(rows)).cast(pa.binary()).to_pylist() for column in (ids, source_ids))
        for number, name in zip(first, names, strict=True):
            if decodes(number) and decodes(name):  # otherwise its rows are rejected
                self.titles.setdefault(number.decode(), name.decode())


@dataclass(frozen=True)
class Translation:
    """What a data set is translated with.

    Attributes:
        layout: of the files.
        target: an existing folder, to which ratings.csv and movies.csv are written.
        report: called with a line of text for each file.
        encoders: of `users` and `items`, if the ids are texts.
    """

    layout: SourceLayout
    target: Path
    report: Report
    encoders: Mapping[Any, Encoder]


def translate(work: Translation, ratings: Sequence[SourceFile], items: Sequence[SourceFile]) -> None:
    """Writes ratings.csv and movies.csv.

    Args:
        work: layout and target.
        ratings: the files of ratings, in order.
        items: the files of items; none if items are to be shown by their ids.

    Raises:
        DataError: a file cannot be read in this layout, it changed meanwhile, or a column cannot be what the layout
            says, such as times in another unit.
    """
    before = {file: file.stats() for file in (*ratings, *items)}
    shown = Items(not items)
    translate_ratings(work, ratings, shown)
    if items:
        translate_items(work, items, from_ratings=bool({*ratings} & {*items}))
    else:
        work.report("no file of items: they are shown by their ids")
        write_shown_items(shown, work.target)
    for file, stats in before.items():
        if file.stats() != stats:
            raise DataError(f"{file.path} changed while it was read", "run again when nothing writes to it any more")


# --- ratings


def translate_ratings(work: Translation, files: Sequence[SourceFile], shown: Items) -> None:
    layout = work.layout
    roles = (
        layout.user_column, layout.item_column, layout.rating_column, layout.time_column, layout.event_column,
    )  # fmt: skip
    required = tuple(dict.fromkeys(filter(None, roles)))
    fmt = FileFormat(layout.file_format, layout.delimiter, layout.quoting, layout.header, layout.encoding, "|")
    times = TimeTranslation.of(layout.time_unit, layout.time_zone)
    with (work.target / "ratings.csv").open("wb") as out, ThreadPoolExecutor(WRITERS) as pool:
        blocks = OrderedWriter(out, pool)
        write_line(out, RATINGS_HEADER)
        for file in files:
            work.report(f"translating {file.name}")
            rows_before = times.rows
            for records in read_records(file, fmt, required, work.target):
                if records.columns and len(records.columns[layout.user_column]):
                    check_integers(layout, file, records)
                    blocks.write(rating_columns(work, records.columns, times, shown, pool))
                if records.malformed:
                    blocks.flush()
                    write_malformed(out, records.malformed)
            blocks.flush()
            refuse_wrong_times(layout, file, times, rows_before)


def rating_columns(
    work: Translation, columns: Mapping[str, pa.Array], times: TimeTranslation, shown: Items, pool: ThreadPoolExecutor
) -> list[pa.Array]:
    """The columns of ratings.csv for some records; users and items are numbered side by side."""
    layout = work.layout
    source_items = as_text(columns[layout.item_column])
    coming = pool.submit(translated_ids, as_text(columns[layout.user_column]), work.encoders.get("users"))
    items = translated_ids(source_items, work.encoders.get("items"))
    shown.add(items, source_items)
    rows = len(items)
    if layout.rating_column is not None:
        ratings = rating_text(columns[layout.rating_column])
    elif layout.event_column is not None and layout.event_weights:
        ratings = event_weights(as_text(columns[layout.event_column]), dict(layout.event_weights))
    else:
        ratings = repeated("1", rows)
    seconds = repeated("0", rows) if layout.time_column is None else times.translate(columns[layout.time_column])
    return [coming.result(), items, ratings, seconds]


def translated_ids(source_ids: pa.Array, encoder: Encoder | None) -> pa.Array:
    """The ids in bronze, as text or as numbers; a text that is no id stays as it was written, and is no number."""
    if encoder is None:
        return source_ids
    broken = is_invalid_utf8(source_ids)
    usable = pc.if_else(pa.array(broken), "", source_ids) if broken.any() else source_ids
    numbers = encoder.encode(usable)
    return numbers if not numbers.null_count else pc.coalesce(numbers.cast(pa.string()), source_ids)


def event_weights(events: pa.Array, weights: Mapping[str, float]) -> pa.Array:
    """The weight of each event; an event without one stays as it was written, behind a word: it may be a number."""
    found = pc.index_in(events, pa.array(list(weights), pa.string()))
    numbers = pa.array([f"{weight:g}" for weight in weights.values()], pa.string()).take(found)
    if not numbers.null_count:
        return numbers
    unknown = pc.binary_join_element_wise(pa.scalar("event"), events, " ")
    return pc.coalesce(numbers, unknown)


def repeated(text: str, rows: int) -> pa.Array:
    return pa.repeat(pa.scalar(text, pa.string()), rows)


def check_integers(layout: SourceLayout, file: SourceFile, records: Records) -> None:
    """Checks that ids are whole numbers where the layout says so.

    Raises:
        DataError: half of some records or more have another id.
    """
    if layout.id_type != "integer":
        return
    for key in ("user_column", "item_column"):
        column = records.columns[getattr(layout, key)]
        if is_int32(column):
            continue
        texts = as_text(column)
        wrong = np.array([not is_id(value) for value in texts.cast(pa.binary()).to_pylist()])
        if 2 * wrong.sum() >= len(wrong):
            example = texts.slice(int(np.argmax(wrong)), 1).cast(pa.binary())[0].as_py().decode("utf-8", "replace")
            raise DataError(
                f"{file.path}: {key}={getattr(layout, key)}: {example!r} is not a whole number from 0 to 2147483647",
                "for ids of any kind: --config id_type=text",
            )


def is_int32(column: pa.Array) -> bool:
    try:
        numbers = pc.cast(column, pa.int32())
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        return False
    return bool(pc.min(numbers).as_py() is None or pc.min(numbers).as_py() >= 0)


def is_id(value: bytes) -> bool:
    number = value.strip(b" ")
    return number.isdigit() and int(number) < 2**31


def refuse_wrong_times(layout: SourceLayout, file: SourceFile, times: TimeTranslation, first_row: int) -> None:
    """Checks the unit of time against all rows that were read.

    Raises:
        DataError: it is wrong for half of them or more.
    """
    problem = times.problem()
    if layout.time_column is None or problem is None or times.example is None:
        return
    unit = times.proposal()
    row = times.example[0] - first_row
    where = f", record {row + 1}" if row >= 0 else ""
    command = f"--config time_unit={shlex.quote(unit)}" if unit else f"set time_unit to their form; {INSPECT} finds it"
    raise DataError(
        f"{file.path}{where}: time_column={layout.time_column} with time_unit={layout.time_unit}: {problem}", command
    )


# --- items


def translate_items(work: Translation, files: Sequence[SourceFile], *, from_ratings: bool) -> None:
    """Writes movies.csv: id, title, genres, and the attributes in columns of their own.

    Args:
        work: layout and target.
        files: of the items.
        from_ratings: whether the files are those of the ratings, in which an item occurs many times: its first row
            counts.
    """
    layout, encoder = work.layout, work.encoders.get("items")
    roles = (layout.items_id_column, layout.title_column, layout.genres_column, *layout.item_attributes)
    required = tuple(dict.fromkeys(filter(None, roles)))
    header = (*MOVIES_HEADER, *layout.item_attributes)
    fmt = items_format(layout)
    seen: set[bytes] = set()
    with (work.target / "movies.csv").open("wb") as out:
        write_line(out, header)
        for file in files:
            work.report(f"translating {file.name}")
            for records in read_records(file, fmt, required, work.target):
                columns = item_columns(layout, records.columns, encoder) if records.columns else []
                if from_ratings and columns:
                    columns = unseen(columns, seen)
                if columns and len(columns[0]):
                    write_records(out, columns)
                if not from_ratings:
                    write_malformed(out, records.malformed)


def unseen(columns: Sequence[pa.Array], seen: set[bytes]) -> list[pa.Array]:
    """The first row of each item that was not seen before; adds their ids."""
    rows = first_rows(columns[0])
    ids = as_text(columns[0].take(pa.array(rows, pa.int64()))).cast(pa.binary()).to_pylist()
    new = [row for row, number in zip(rows, ids, strict=True) if number not in seen]
    seen |= set(ids)
    return [column.take(pa.array(new, pa.int64())) for column in columns]


def items_format(layout: SourceLayout) -> FileFormat:
    """The format of the files of items."""
    kind, delimiter = layout.file_format, layout.items_delimiter
    if kind == "netflix":
        kind, delimiter = source_text.NETFLIX_TITLES, source_text.UNIT_SEPARATOR
    elif kind in {"parquet", "jsonl"}:
        kind = "auto"  # titles may be in a file of another format than the ratings
    return FileFormat(
        kind, delimiter, layout.quoting, layout.items_header, layout.items_encoding, layout.genres_delimiter
    )


def item_columns(layout: SourceLayout, columns: Mapping[str, pa.Array], encoder: Encoder | None) -> list[pa.Array]:
    source_ids = as_text(columns[layout.items_id_column])
    titles = source_ids if layout.title_column is None else as_text(columns[layout.title_column])
    genres = repeated("", len(source_ids))
    if layout.genres_column is not None:
        genres = piped(as_text(columns[layout.genres_column], layout.genres_delimiter), layout.genres_delimiter)
    attributes = [as_text(columns[name]) for name in layout.item_attributes]
    return [translated_ids(source_ids, encoder), titles, genres, *attributes]


def piped(genres: pa.Array, delimiter: str) -> pa.Array:
    """Lists joined by `|`; a `|` that is part of a name becomes a slash."""
    if delimiter == "|":
        return genres
    return pc.replace_substring(pc.replace_substring(genres, "|", "/"), delimiter, "|")


def write_shown_items(shown: Items, target: Path) -> None:
    """Writes movies.csv with the ids as titles."""
    with (target / "movies.csv").open("wb") as out:
        write_line(out, MOVIES_HEADER)
        ids, titles = list(shown.titles), list(shown.titles.values())
        usable = [at for at, number in enumerate(ids) if number.strip() and titles[at].strip()]
        if usable:
            columns = [text_array([values[at] for at in usable]) for values in (ids, titles)]
            write_records(out, [*columns, repeated("", len(usable))])


def first_rows(ids: pa.Array) -> list[int]:
    """The first row of each different text, ascending."""
    codes = pc.dictionary_encode(ids).indices.to_numpy(zero_copy_only=False)  # numbered in order of first appearance
    before = np.concatenate([[-1], np.maximum.accumulate(codes)[:-1]])
    return [int(row) for row in np.flatnonzero(codes > before)]


# --- CSV


def write_line(out: IO[bytes], fields: Sequence[str]) -> None:
    out.write((",".join(map(quoted, fields)) + "\n").encode("utf-8", "surrogateescape"))


def quoted(text: str) -> str:
    return '"' + text.replace('"', '""') + '"' if set(text) & set(',"\r\n') else text


def write_records(out: IO[bytes], columns: Sequence[pa.Array]) -> None:
    """Writes text columns as CSV lines."""
    out.write(csv_lines(columns))


def csv_lines(columns: Sequence[pa.Array]) -> pa.Buffer:
    """Text columns as CSV lines."""
    *front, last = map(quoted_column, columns)
    ended = pc.binary_join_element_wise(last, "\n", "")
    lines = pc.binary_join_element_wise(*front, ended, ",")
    _, offsets, data = lines.buffers()
    ends = np.frombuffer(offsets, np.int32, len(lines) + 1)
    return data.slice(int(ends[0]), int(ends[-1] - ends[0]))


class OrderedWriter:
    """Writes blocks of records in their order, while the threads of a pool make lines of the next ones."""

    def __init__(self, out: IO[bytes], pool: ThreadPoolExecutor) -> None:
        self.out, self.pool = out, pool
        self.waiting: deque[Future[pa.Buffer]] = deque()

    def write(self, columns: Sequence[pa.Array]) -> None:
        self.waiting.append(self.pool.submit(csv_lines, columns))
        if len(self.waiting) > WRITERS:  # bounds the memory
            self.out.write(self.waiting.popleft().result())

    def flush(self) -> None:
        while self.waiting:
            self.out.write(self.waiting.popleft().result())


def quoted_column(column: pa.Array) -> pa.Array:
    """A column as CSV has it; nearly all need no quotes, which a search through all bytes tells quickly."""
    if not pa.types.is_string(column.type):
        return column.cast(pa.string())
    if not any(needle in block for block in bytes_of(column) for needle in (b",", b'"', b"\n", b"\r")):
        return column
    mask = pc.match_substring_regex(column.cast(pa.binary()), '[,"\r\n]')
    return pc.if_else(mask, pc.binary_join_element_wise('"', pc.replace_substring(column, '"', '""'), '"', ""), column)


def bytes_of(column: pa.Array) -> Iterator[bytes]:
    """All bytes of a text column, one value behind the other."""
    _, offsets, data = column.buffers()
    if data is not None and len(column):
        bounds = np.frombuffer(offsets, np.int32, len(column) + 1, 4 * column.offset)
        yield data.slice(int(bounds[0]), int(bounds[-1] - bounds[0])).to_pybytes()


def write_malformed(out: IO[bytes], lines: Sequence[str]) -> None:
    """Writes lines that are no records as one field, which is in quotes where it might be taken for several."""
    for line in lines:
        write_line(out, [line])
