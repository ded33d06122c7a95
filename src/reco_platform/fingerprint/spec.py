"""Definition of a table's content fingerprint, which does not depend on the order of rows.

`fingerprint.arrow` and `fingerprint.spark` compute the same sums from Arrow data and with Spark.

A row is hashed as a chain of 32-bit, 64-bit and string values by XXH64 (https://github.com/Cyan4973/xxHash, file
doc/xxhash_spec.md) with seed 42, where the hash of one value is the seed of the next and nulls are skipped, as in
Spark's expression XxHash64. The columns' types are trees of nodes: a scalar, a struct with its fields, an array with
its element. Taken in pre-order, the nodes of all columns contribute

1. a bit mask, one int for each 31 nodes: bit i is set where the row has a null in node i;
2. then each node in turn: inside an array, where its bit is set, one null flag an element; then an array's size, or a
   scalar's value. Fields of structs inside an array come field by field: a.x of all elements, then a.y of all.

So a chain determines the row: moving a null, a size or a value to another position changes the chain.
The nullability in the schema changes nothing. A table is the sum of its rows' hashes modulo 2^64.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa

SEED = 42
MASK_BITS = 31  # so that no literal needs the sign bit of an int

SCALARS = {
    "bool": "boolean",
    "int8": "tinyint",
    "int16": "smallint",
    "int32": "int",
    "int64": "bigint",
    "float": "float",
    "double": "double",
    "string": "string",
    "large_string": "string",
    "string_view": "string",
    "date32[day]": "date",
}


@dataclass(frozen=True)
class RowSums:
    """The row count of a table and the sums of the lower and upper 32 bits of its rows' hashes.

    Two halves, so that Spark's signed 64-bit sums cannot overflow with fewer than 2^31 rows.
    """

    rows: int
    low: int
    high: int

    def __add__(self, other: RowSums) -> RowSums:
        return RowSums(self.rows + other.rows, self.low + other.low, self.high + other.high)

    @property
    def total(self) -> int:
        """The sum of the rows' hashes modulo 2^64."""
        return (self.low + (self.high << 32)) % 2**64


def fingerprint(schema_hash: str, sums: RowSums) -> str:
    """16 hex digits from a table's schema, row count and rows (BLAKE2b with 8 bytes)."""
    return _digest([schema_hash, sums.rows, sums.total])


def schema_hash(fields: Sequence[tuple[str, str]]) -> str:
    """16 hex digits of (name, Spark's simple type string) pairs in their order."""
    return _digest([list(field) for field in fields])


def _digest(value: Any) -> str:
    return hashlib.blake2b(json.dumps(value).encode(), digest_size=8).hexdigest()


def arrow_fields(schema: pa.Schema) -> list[tuple[str, str]]:
    """(name, Spark's simple type string) of each column, for `schema_hash`. Raises TypeError as `arrow_type` does."""
    return [(field.name, arrow_type(field.type)) for field in schema]


def arrow_type(kind: pa.DataType) -> str:
    """Spark's simple string of an Arrow type. A timestamp without a zone counts as UTC (INT96 in Parquet has none).

    Raises:
        TypeError: a type that cannot be hashed: decimal, binary, unsigned, map and others.
    """
    from pyarrow import types  # noqa: PLC0415  # reading the Snakefile does not need it

    if types.is_dictionary(kind):
        return arrow_type(kind.value_type)
    if types.is_timestamp(kind):
        return "timestamp"
    if types.is_struct(kind):
        return "struct<{}>".format(",".join(f"{field.name}:{arrow_type(field.type)}" for field in kind))
    if types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind):
        return f"array<{arrow_type(kind.value_type)}>"
    if str(kind) not in SCALARS:
        raise TypeError(f"no fingerprint of the Arrow type {kind}")
    return SCALARS[str(kind)]
