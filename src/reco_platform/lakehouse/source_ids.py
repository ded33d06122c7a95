"""Show ids as the source writes them, and take them so: the only place where numbers and source ids meet.

Where the ids of the source are whole numbers, the tables hold them as they are. Where they are texts, the tables hold
numbers, which silver/users and silver/items map to the texts.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import pyarrow as pa
import pyarrow.compute as pc

from reco_platform.core.errors import ConfigError

Kind = Literal["user", "movie"]
TABLE_OF: Mapping[Kind, str] = {"user": "users", "movie": "items"}
"""The result with the source ids of each kind."""

MAX_GUESSES = 200_000


class UnknownIdError(ConfigError):
    """A source id that does not occur in the data."""


@dataclass(frozen=True)
class SourceIds:
    """The source ids of users or movies.

    Attributes:
        kind: user or movie.
        texts: the source id of each number from 0; None where the source ids are the numbers themselves.
    """

    kind: Kind
    texts: pa.Array | None = None

    @classmethod
    def from_table(cls, kind: Kind, table: pa.Table | None) -> SourceIds:
        """From silver/users or silver/items; None where the data set has none."""
        if table is None:
            return cls(kind)
        ordered = table.sort_by(f"{kind}_id")
        return cls(kind, ordered["source_id"].combine_chunks().cast(pa.large_string()))

    def shown(self, number: int) -> int | str:
        """The source id of a number."""
        return number if self.texts is None else str(self.texts[number].as_py())

    def shown_all(self, numbers: pa.Array | pa.ChunkedArray) -> pa.Array | pa.ChunkedArray:
        """The source ids of a column of numbers; nulls stay."""
        return numbers if self.texts is None else self.texts.take(numbers)

    def number(self, source_id: int | str) -> int:
        """The number of a source id.

        Raises:
            UnknownIdError: the data have no such id; the message names a similar one.
        """
        text = str(source_id)
        if self.texts is not None:
            found = int(pc.index(self.texts, pa.scalar(text, pa.large_string())).as_py())
            if found < 0:
                raise UnknownIdError(f"there is no {self.kind} {text!r}{self._guess(text)}", self._hint())
            return found
        if not (text.isascii() and text.isdigit() and int(text) < 2**31):
            raise UnknownIdError(
                f"there is no {self.kind} {text!r}: the ids of this data set are numbers", self._hint()
            )
        return int(text)

    def numbers(self, source_ids: pa.Array) -> pa.Array:
        """The numbers of many source ids, int32; null where the data have no such id."""
        if self.texts is None:
            return source_ids.cast(pa.int32())
        return pc.index_in(source_ids.cast(pa.large_string()), value_set=self.texts)

    def _guess(self, text: str) -> str:
        if self.texts is None or len(self.texts) > MAX_GUESSES:
            return ""
        near = difflib.get_close_matches(text, self.texts.to_pylist(), n=1, cutoff=0.8)
        return f"; did you mean {near[0]!r}?" if near else ""

    def _hint(self) -> str:
        return f"silver/{TABLE_OF[self.kind]} lists them" if self.texts is not None else "silver/ratings lists them"


@dataclass(frozen=True)
class AllSourceIds:
    """The source ids of users and of movies."""

    users: SourceIds = SourceIds("user")
    movies: SourceIds = SourceIds("movie")

    @classmethod
    def read(cls, table: Callable[[str], pa.Table | None]) -> AllSourceIds:
        """Reads silver/users and silver/items.

        Args:
            table: returns the table of a result, `users` or `items`; None where the data set has none.
        """
        return cls(*(SourceIds.from_table(kind, table(name)) for kind, name in TABLE_OF.items()))

    @property
    def are_texts(self) -> bool:
        """Whether the tables hold other ids than the source."""
        return self.users.texts is not None

    def shown_table(self, table: pa.Table) -> pa.Table:
        """A table with source ids in the columns user_id and movie_id, and in lists of recommendations.

        Tables of numbers and source ids stay as they are.
        """
        if not self.are_texts or "source_id" in table.column_names:
            return table
        for name, ids in (("user_id", self.users), ("movie_id", self.movies)):
            if name in table.column_names:
                at = table.column_names.index(name)
                table = table.set_column(at, name, ids.shown_all(table[name]).cast(pa.string()))
        if "recommendations" in table.column_names:
            at = table.column_names.index("recommendations")
            lists = [self._shown_lists(chunk) for chunk in table["recommendations"].chunks]
            kind = lists[0].type if lists else table["recommendations"].type
            table = table.set_column(at, "recommendations", pa.chunked_array(lists, kind))
        return table

    def _shown_lists(self, lists: pa.ListArray) -> pa.ListArray:
        """Lists of structs with movie_id, with source ids in it."""
        items = lists.flatten()
        names = [field.name for field in items.type]
        values = [
            self.movies.shown_all(column).cast(pa.string()) if name == "movie_id" else column
            for name, column in zip(names, items.flatten(), strict=True)
        ]
        lengths = pc.fill_null(pc.list_value_length(lists), 0)
        offsets = pa.concat_arrays([pa.array([0], pa.int32()), pc.cumulative_sum(lengths).cast(pa.int32())])
        return pa.ListArray.from_arrays(offsets, pa.StructArray.from_arrays(values, names))


NUMBERS = AllSourceIds()
"""For a source whose ids are whole numbers."""
