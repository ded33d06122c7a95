"""Content fingerprints of tables, whatever the order of their rows: the same from Spark SQL and from Arrow data.

A row is hashed as a chain of 32-bit, 64-bit and string values by XXH64 (https://github.com/Cyan4973/xxHash, file
doc/xxhash_spec.md) with seed 42, where the hash of one value is the seed of the next and nulls are passed over, as in
Spark's expression XxHash64. The columns' types are trees of nodes: a scalar, a struct with its fields, an array with
its element. Taken in pre-order, the nodes of all columns contribute

1. a bit mask, one int for each 31 nodes: bit i is set where the row has a null in node i;
2. then each node in turn: inside an array, where its bit is set, one null flag an element; then an array's size, or a
   scalar's value. Fields of structs inside an array come field by field: a.x of all elements, then a.y of all.

So every chain can be read in one way only: nulls, sizes and values that move from one place to another change it.
What the schema says of nullability changes nothing. A table is the sum of its rows' hashes modulo 2^64.
"""

# ruff: noqa: PLC0415 - pyspark, pyarrow and numba start slowly, and no caller needs all three
from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import Column
    from pyspark.sql.types import StructField, StructType

SEED = 42
MASK_BITS = 31  # so that no literal needs the sign bit of an int

_SCALARS = {
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
_SPARK_SCALARS = {*_SCALARS.values(), "timestamp"}


@dataclass(frozen=True)
class RowSums:
    """The row count of a table and the sums of the lower and upper 32 bits of its rows' hashes.

    Two halves, so that Spark's signed 64-bit sums cannot overflow below 2^31 rows.
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
    """16 hex digits of a table's schema, row count and rows (BLAKE2b of 8 bytes)."""
    return _digest([schema_hash, sums.rows, sums.total])


def schema_hash(fields: Sequence[tuple[str, str]]) -> str:
    """16 hex digits of (name, Spark's simple type string) pairs in their order."""
    return _digest([list(field) for field in fields])


def _digest(value: Any) -> str:
    return hashlib.blake2b(json.dumps(value).encode(), digest_size=8).hexdigest()


# --- Spark


def spark_fields(schema: StructType) -> list[tuple[str, str]]:
    """(name, simple type string) of each column, for `schema_hash`."""
    return [(field.name, field.dataType.simpleString()) for field in schema.fields]


def spark_sums(columns: Sequence[str], schema: StructType) -> list[Column]:
    """Aggregates fp_rows, fp_low and fp_high (bigint) of a frame of this schema, for `observe` or `agg`.

    Raises:
        KeyError: a column that the schema lacks.
        TypeError: a column of a type that cannot be hashed.
    """
    from pyspark.sql.functions import expr

    row = _row_hash([node for name in columns for node in _column_nodes(schema[name])])
    return [
        expr("count(1)").alias("fp_rows"),
        expr(f"sum({row} & 4294967295)").alias("fp_low"),
        expr(f"sum(shiftrightunsigned({row}, 32))").alias("fp_high"),
    ]


def row_sums(observed: Mapping[str, Any]) -> RowSums:
    """What `spark_sums` gave, from an observation or `Row.asDict()`. The sums of no rows are null, here 0."""
    return RowSums(*(observed[name] or 0 for name in ("fp_rows", "fp_low", "fp_high")))


class _Node(NamedTuple):
    """SQL of one node: whether the row has a null in it (None: the schema says never), and what it chains."""

    null: str | None
    values: list[str]


def _row_hash(nodes: Sequence[_Node]) -> str:
    masks = [_null_mask(nodes[first : first + MASK_BITS]) for first in range(0, len(nodes), MASK_BITS)]
    return f"xxhash64({', '.join([*masks, *(value for node in nodes for value in node.values)])})"


def _null_mask(nodes: Sequence[_Node]) -> str:
    bits = [f"if({node.null}, {1 << bit}, 0)" for bit, node in enumerate(nodes) if node.null]
    return " | ".join(bits) or "0"


def _column_nodes(field: StructField) -> Iterator[_Node]:
    name = field.name.replace("`", "``")
    return _spark_nodes(f"`{name}`", field.dataType, field.nullable, depth=0)


def _spark_nodes(sql: str, kind: Any, nullable: bool, depth: int) -> Iterator[_Node]:
    """The nodes of a type in pre-order. `depth` counts the arrays around the values of the expression."""
    null = _any_null(sql, depth) if nullable else None
    flags = [f"if({null}, {_each(sql, depth, '{} is null')}, null)"] if null and depth else []
    if kind.typeName() == "struct":
        yield _Node(null, flags)
        for field in kind.fields:
            yield from _spark_nodes(_field(sql, field.name, depth), field.dataType, nullable or field.nullable, depth)
    elif kind.typeName() == "array":
        yield _Node(null, [*flags, _each(sql, depth, "array_size({})")])
        yield from _spark_nodes(sql, kind.elementType, kind.containsNull, depth + 1)
    elif kind.simpleString() in _SPARK_SCALARS:
        yield _Node(null, [*flags, sql])
    else:
        raise TypeError(f"no fingerprint of the Spark type {kind.simpleString()}")


def _any_null(sql: str, depth: int) -> str:
    # A lambda keeps the whole aggregate out of Spark's generated code: none but for arrays that may hold nulls.
    return f"exists({sql}, x{depth} -> {_any_null(f'x{depth}', depth - 1)})" if depth else f"{sql} is null"


def _each(sql: str, depth: int, template: str) -> str:
    if depth == 0:
        return template.replace("{}", sql, 1)
    return f"transform({sql}, x{depth} -> {_each(f'x{depth}', depth - 1, template)})"


def _field(sql: str, name: str, depth: int) -> str:
    # Brackets, because a.b could also be the column b of a frame with the alias a. They reach through one array.
    quoted = name.replace("\\", "\\\\").replace("'", "\\'")
    return _each(sql, max(depth - 1, 0), f"{{}}['{quoted}']")


# --- Arrow


def arrow_fields(schema: pa.Schema) -> list[tuple[str, str]]:
    """(name, Spark's simple type string) of each column, for `schema_hash`. Raises TypeError like `arrow_sums`."""
    return [(field.name, arrow_type(field.type)) for field in schema]


def arrow_type(kind: pa.DataType) -> str:
    """Spark's simple string of an Arrow type. A timestamp without a zone counts as UTC (INT96 in Parquet has none).

    Raises:
        TypeError: a type that cannot be hashed: decimal, binary, unsigned, map and others.
    """
    from pyarrow import types

    if types.is_dictionary(kind):
        return arrow_type(kind.value_type)
    if types.is_timestamp(kind):
        return "timestamp"
    if types.is_struct(kind):
        return "struct<{}>".format(",".join(f"{field.name}:{arrow_type(field.type)}" for field in kind))
    if types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind):
        return f"array<{arrow_type(kind.value_type)}>"
    if str(kind) not in _SCALARS:
        raise TypeError(f"no fingerprint of the Arrow type {kind}")
    return _SCALARS[str(kind)]


def arrow_sums(data: Iterable[pa.RecordBatch] | pa.Table, columns: Sequence[str]) -> RowSums:
    """The same sums as `spark_sums`, from Arrow data and without a JVM. One thread, without the GIL in the kernels.

    Spark's INT96 timestamps come as nanoseconds, which overflow outside 1677 to 2262: where such can be, read Parquet
    files with `coerce_int96_timestamp_unit="us"`.

    Raises:
        KeyError: a column that the data lack.
        TypeError: a column of a type that cannot be hashed.
        pyarrow.ArrowInvalid: a timestamp that is no whole number of microseconds.
    """
    import numpy as np
    import pyarrow as pa

    from reco_platform._xxhash import SLICE_ROWS, slice_hashes

    rows = low = high = 0
    for batch in data.to_batches() if isinstance(data, pa.Table) else data:
        for first in range(0, batch.num_rows, SLICE_ROWS):
            hashes = slice_hashes(batch.slice(first, SLICE_ROWS), columns)
            rows += len(hashes)
            low += int(np.sum(hashes & np.uint64(0xFFFFFFFF)))
            high += int(np.sum(hashes >> np.uint64(32)))
    return RowSums(rows, low, high)
