"""Compute the row hashes of fingerprint.spec with Spark, in the same pass that writes a table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from reco_platform.fingerprint.spec import MASK_BITS, SCALARS, RowSums

if TYPE_CHECKING:
    from pyspark.sql import Column
    from pyspark.sql.types import StructField, StructType

SPARK_SCALARS = {*SCALARS.values(), "timestamp"}


def spark_fields(schema: StructType) -> list[tuple[str, str]]:
    """(name, simple type string) of each column, for `schema_hash`."""
    return [(field.name, field.dataType.simpleString()) for field in schema.fields]


def spark_sums(columns: Sequence[str], schema: StructType) -> list[Column]:
    """Aggregate columns fp_rows, fp_low and fp_high (bigint), for `observe` or `agg`.

    Args:
        columns: names of the columns to hash, in order.
        schema: of the data frame.

    Raises:
        KeyError: the schema lacks a column.
        TypeError: a column's type cannot be hashed.
    """
    from pyspark.sql.functions import expr  # noqa: PLC0415

    row = _row_hash([node for name in columns for node in _column_nodes(schema[name])])
    return [
        expr("count(1)").alias("fp_rows"),
        expr(f"sum({row} & 4294967295)").alias("fp_low"),
        expr(f"sum(shiftrightunsigned({row}, 32))").alias("fp_high"),
    ]


def row_sums(observed: Mapping[str, Any]) -> RowSums:
    """The results of `spark_sums`, from an observation or `Row.asDict()`. Spark's sums of no rows are null, here 0."""
    return RowSums(*(observed[name] or 0 for name in ("fp_rows", "fp_low", "fp_high")))


class _Node(NamedTuple):
    """SQL of one node: whether the row has a null in it (None if the schema excludes nulls), and what is hashed."""

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
    elif kind.simpleString() in SPARK_SCALARS:
        yield _Node(null, [*flags, sql])
    else:
        raise TypeError(f"no fingerprint of the Spark type {kind.simpleString()}")


def _any_null(sql: str, depth: int) -> str:
    # Spark generates no code for an aggregate with a lambda, so only arrays that may contain nulls get one.
    return f"exists({sql}, x{depth} -> {_any_null(f'x{depth}', depth - 1)})" if depth else f"{sql} is null"


def _each(sql: str, depth: int, template: str) -> str:
    if depth == 0:
        return template.replace("{}", sql, 1)
    return f"transform({sql}, x{depth} -> {_each(f'x{depth}', depth - 1, template)})"


def _field(sql: str, name: str, depth: int) -> str:
    # Brackets, because a.b could also be column b of a frame with the alias a. They work inside one level of arrays.
    quoted = name.replace("\\", "\\\\").replace("'", "\\'")
    return _each(sql, max(depth - 1, 0), f"{{}}['{quoted}']")
