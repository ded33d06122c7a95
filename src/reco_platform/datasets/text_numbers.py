"""Numbers for texts in order of first appearance, in a hash table that takes whole columns."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

if TYPE_CHECKING:
    from reco_platform.core.arrays import Int32Array

SMALLEST_TABLE = 1 << 12


class TextNumbers:
    """Texts by number and numbers by text, in a few arrays: about 30 bytes a text besides its own."""

    def __init__(self) -> None:
        self.count = 0
        self.known = np.zeros(SMALLEST_TABLE * 16, np.uint8)
        self.bounds = np.zeros(SMALLEST_TABLE + 1, np.int64)
        self.slots = np.zeros(2 * SMALLEST_TABLE, np.uint64)

    def number(self, column: pa.Array | pa.ChunkedArray) -> Int32Array:
        """The number of each row's text, -1 where it is null or blank; adds new texts. Shape (rows,)."""
        return np.concatenate([np.empty(0, np.int32), *map(self._number, string_chunks(column))])

    def _number(self, texts: pa.StringArray) -> Int32Array:
        from reco_platform.datasets.id_kernels import number_texts  # noqa: PLC0415  # most data sets need none

        _, offset_buffer, data_buffer = texts.buffers()
        ids = np.empty(len(texts), np.int32)
        if not len(texts):
            return ids
        offsets = np.frombuffer(offset_buffer, np.int32)[texts.offset : texts.offset + len(texts) + 1]
        data = np.frombuffer(data_buffer, np.uint8) if data_buffer is not None else np.empty(0, np.uint8)
        row = 0
        while True:
            row, self.count = number_texts(data, offsets, row, self.slots, self.known, self.bounds, self.count, ids)
            if row == len(ids):
                return ids
            self._grow(int(offsets[row + 1] - offsets[row]))

    def _grow(self, next_bytes: int) -> None:
        """Makes room for a text of so many bytes."""
        from reco_platform.datasets.id_kernels import fill_slots  # noqa: PLC0415

        used = int(self.bounds[self.count])
        if used + next_bytes > len(self.known):
            grown = np.zeros(max(2 * len(self.known), used + next_bytes), np.uint8)
            grown[:used] = self.known[:used]
            self.known = grown
        if self.count + 1 >= len(self.bounds):
            self.bounds = np.concatenate([self.bounds, np.zeros(len(self.bounds) - 1, np.int64)])
        if self.count >= len(self.slots) // 2:
            self.slots = np.zeros(2 * len(self.slots), np.uint64)
            fill_slots(self.known, self.bounds, self.count, self.slots)

    def slice(self, first: int) -> pa.Array:
        """The texts from a number on; as large_string, because all together may have more than 2 GB."""
        bounds = self.bounds[first : self.count + 1]
        data = self.known[bounds[0] : bounds[-1]].copy()
        return pa.LargeStringArray.from_buffers(
            self.count - first, pa.py_buffer((bounds - bounds[0]).copy()), pa.py_buffer(data)
        )


def string_chunks(column: pa.Array | pa.ChunkedArray) -> Iterator[pa.StringArray]:
    """A column as arrays of strings, nulls as empty ones."""
    kind = column.type
    if pa.types.is_dictionary(kind):
        column, kind = column.cast(kind.value_type), kind.value_type
    if not pa.types.is_string(kind):
        column = column.cast(pa.string())
    for chunk in column.chunks if isinstance(column, pa.ChunkedArray) else [column]:
        yield pc.fill_null(chunk, "") if chunk.null_count else chunk
