"""Numbers for the ids of a source: an append-only dictionary in bronze, so that a number that was given never changes.

Each dictionary is a folder's files `<name>.json` and `<name>-<first number>.parquet`. A Parquet file, called a part,
has the column `source_id`; its first row is the text with the number in the file's name, the next row that with the
next number. The JSON file lists the parts with their sha256 and is written last, so that parts of a killed writer do
not count. Numbers are given in order of first appearance, from 0.
"""

from __future__ import annotations

import hashlib
import json
import shlex
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from reco_platform.core import project
from reco_platform.core.errors import DataError
from reco_platform.core.hashing import canonical_json, sha256
from reco_platform.datasets.text_numbers import TextNumbers
from reco_platform.store.atomic_write import write_text
from reco_platform.store.paths import StorePath, arrow_sink, arrow_source, sha256_file

Name = Literal["users", "items"]
COLUMN = "source_id"
MAX_IDS = 2**31 - 1
PART_ROWS = 1 << 20  # of a row group


@dataclass(frozen=True)
class Part:
    """A Parquet file of the dictionary: its name, the number of its first text, how many it has, its sha256."""

    file: str
    first: int
    ids: int
    sha256: str


class DictionaryError(DataError):
    """A dictionary that is missing, or whose files differ from what was written."""


@dataclass
class IdDictionary:
    """The numbers of all texts seen so far. Not for use by several threads at once.

    Attributes:
        folder: where its files are.
        name: users or items.
        parts: the files that are written.
        used: the greatest number that `encode` has given since the dictionary was loaded, and one more.
    """

    folder: StorePath
    name: Name
    parts: list[Part] = field(default_factory=list)
    used: int = 0
    _texts: TextNumbers = field(default_factory=TextNumbers, repr=False)

    @classmethod
    def load(cls, folder: StorePath, name: Name) -> IdDictionary:
        """The dictionary in a folder, every file checked; an empty one if the folder has none.

        Raises:
            DictionaryError: a file was deleted, edited or added by another program.
        """
        loaded = cls(folder, name, read_parts(folder, name))
        for part in loaded.parts:
            for texts in part_texts(folder, name, part):
                first = len(loaded)
                if not loaded.encode(texts).equals(pa.array(np.arange(first, first + len(texts), dtype=np.int32))):
                    raise damaged(folder, name, f"{folder / part.file} holds an id twice, or an empty one")
        loaded.used = 0
        return loaded

    def __len__(self) -> int:
        """How many texts have a number."""
        return self._texts.count

    def encode(self, column: pa.Array | pa.ChunkedArray) -> pa.Array:
        """The number of each text; new texts get the next ones. Rows must come in the order of the source.

        Args:
            column: texts, or integers, which count as their digits; shape (rows,).

        Returns:
            int32, shape (rows,); null where the column is null, empty, or has only blanks and control characters.

        Raises:
            DataError: there are more than 2^31 - 1 different texts.
        """
        found = self._texts.number(column)
        if self._texts.count > MAX_IDS:
            raise DataError(
                f"there are more than {MAX_IDS:,} different ids of {self.name}", "choose another column for them"
            )
        self.used = max(self.used, int(found.max(initial=-1)) + 1)
        return pa.array(found, mask=found < 0)

    @property
    def used_ids(self) -> UsedIds:
        """The part of the dictionary that the files need that were encoded since it was loaded."""
        return UsedIds(self.used, texts_sha256(self.texts(), self.used))

    def texts(self, first: int = 0) -> pa.Array:
        """The texts with the numbers from `first` on, in their order."""
        return self._texts.slice(first)

    def save(self) -> None:
        """Appends the new texts to the files; does nothing if there are none."""
        first = self.parts[-1].first + self.parts[-1].ids if self.parts else 0
        if first == len(self):
            return
        file = f"{self.name}-{first:010}.parquet"
        self.folder.mkdir(parents=True, exist_ok=True)
        table = pa.table({COLUMN: self.texts(first)})
        with arrow_sink(self.folder / file) as sink:
            pq.write_table(table, sink, compression="zstd", row_group_size=PART_ROWS, use_dictionary=False)
        self.parts.append(Part(file, first, len(table), sha256_file(self.folder / file)))
        write_text(list_path(self.folder, self.name), self.list_text)

    @property
    def list_text(self) -> str:
        """The content of the file that lists the parts."""
        return parts_text(self.parts)


# --- the ids that the present files use


@dataclass(frozen=True)
class UsedIds:
    """The first ids of a dictionary: those up to the greatest one in the present CSV files of bronze.

    A dictionary only grows, so this does not change when the user goes back to earlier files and forward again.

    Attributes:
        ids: how many.
        sha256: of their texts in order.
    """

    ids: int
    sha256: str

    def text(self) -> str:
        return json.dumps(asdict(self), indent=1) + "\n"


def read_used_ids(path: StorePath) -> UsedIds:
    """The content of the file in bronze that says which ids the present CSV files use.

    Raises:
        DictionaryError: it was edited.
    """
    try:
        return UsedIds(**json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, TypeError) as error:
        command = shlex.join(["rm", "--", project.as_typed_path(path)])
        raise DictionaryError(f"{path} was edited: {error}", f"delete it and run again: {command}") from error


def read_texts(folder: StorePath, name: Name, used: UsedIds) -> pa.Array:
    """The texts of the used ids in order, as large_string; the files are checked.

    Raises:
        DictionaryError: the dictionary is missing or was edited.
    """
    parts = read_parts(folder, name)
    if not parts and used.ids:
        raise damaged(folder, name, f"{list_path(folder, name)} is missing")
    chunks = [texts.cast(pa.large_string()) for part in parts for texts in part_texts(folder, name, part)]
    texts = pa.concat_arrays([pa.array([], pa.large_string()), *chunks])
    if len(texts) < used.ids or texts_sha256(texts, used.ids) != used.sha256:
        raise damaged(folder, name, f"{folder} holds other ids than the files in {folder.parent} were made with")
    return texts.slice(0, used.ids)


def texts_sha256(texts: pa.Array, count: int) -> str:
    """The sha256 of the first texts of a large_string array without offset: their boundaries and their bytes."""
    _, offsets, data = texts.buffers()
    bounds = np.frombuffer(offsets, np.int64, count + 1) if count else np.zeros(1, np.int64)
    digest = hashlib.sha256(bounds.astype("<i8").tobytes())
    digest.update(memoryview(data)[: bounds[-1]] if count else b"")
    return digest.hexdigest()


# --- files


def list_path(folder: StorePath, name: Name) -> StorePath:
    """The file that lists the parts of a dictionary."""
    return folder / f"{name}.json"


def parts_text(parts: list[Part]) -> str:
    """The content of a dictionary's list, with a checksum over everything else as its seal."""
    body = {"ids": sum(part.ids for part in parts), "parts": [asdict(part) for part in parts]}
    return json.dumps({**body, "seal": sha256(canonical_json(body))}, indent=1) + "\n"


def read_parts(folder: StorePath, name: Name) -> list[Part]:
    """The parts of a dictionary; none if there is no list. Their files are not read.

    Raises:
        DictionaryError: the list was edited.
    """
    path = list_path(folder, name)
    if not path.is_file():
        return []
    text = path.read_text(encoding="utf-8")
    try:
        parts = [Part(**part) for part in json.loads(text)["parts"]]
    except (ValueError, KeyError, TypeError) as error:
        raise damaged(folder, name, f"{path} is not a list of a dictionary's files: {error}") from error
    if text != parts_text(parts):
        raise damaged(folder, name, f"{path} was edited: its content does not match its seal")
    return parts


def part_texts(folder: StorePath, name: Name, part: Part) -> Iterator[pa.Array]:
    """The texts of a part in their order, after checking its bytes.

    Raises:
        DictionaryError: the file is missing or was changed.
    """
    check_part(folder, name, part)
    with pq.ParquetFile(arrow_source(folder / part.file)) as file:
        for batch in file.iter_batches(batch_size=PART_ROWS, columns=[COLUMN]):
            yield batch.column(0)


def check_part(folder: StorePath, name: Name, part: Part) -> None:
    """Checks the bytes of a part.

    Raises:
        DictionaryError: the file is missing or was changed.
    """
    path = folder / part.file
    if not path.is_file():
        raise damaged(folder, name, f"{path} is missing")
    if sha256_file(path) != part.sha256:
        raise damaged(folder, name, f"{path} was edited or damaged: its checksum differs")


def damaged(folder: StorePath, name: Name, what: str) -> DictionaryError:
    """The error for a dictionary that cannot be used; `folder` is bronze/movielens/<dataset>/_ids of a lakehouse."""
    dataset, lakehouse = folder.parent.name, folder.parent.parent.parent.parent
    pairs = f"dataset={shlex.quote(dataset)} lakehouse={shlex.quote(project.as_typed_path(lakehouse))}"
    return DictionaryError(
        f"the dictionary of {name}, which holds the number of each source id, was changed: {what}",
        f"restore {project.as_typed_path(folder)} from a backup; without one, remove the lakehouse, and the next run "
        f"gives new numbers: {project.command('clean', '--config', pairs)}",
    )
