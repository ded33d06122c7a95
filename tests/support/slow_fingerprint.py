"""The definition of fingerprints again in plain Python, and random tables to compare implementations on."""

from __future__ import annotations

import math
import random
import struct
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pyarrow as pa

from reco_platform.fingerprint.arrow import arrow_sums
from reco_platform.fingerprint.spec import RowSums

M64 = 2**64 - 1
P1, P2, P3 = 0x9E3779B185EBCA87, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9
P4, P5 = 0x85EBCA77C2B2AE63, 0x27D4EB2F165667C5
ITEM = pa.struct(
    [("movie_id", pa.int32()), ("score", pa.float32()), ("rank", pa.int32()), ("tags", pa.list_(pa.utf8()))]
)
SCHEMA = pa.schema(
    [
        ("flag", pa.bool_()),
        ("tiny", pa.int8()),
        ("small", pa.int16()),
        ("number", pa.int32()),
        ("big", pa.int64()),
        ("single", pa.float32()),
        ("double", pa.float64()),
        ("text", pa.string()),
        ("day", pa.date32()),
        ("at", pa.timestamp("us", "UTC")),
        ("words", pa.list_(pa.string())),
        ("other_words", pa.list_(pa.string())),
        ("vector", pa.list_(pa.float32())),
        ("bits", pa.list_(pa.bool_())),
        ("times", pa.list_(pa.timestamp("us", "UTC"))),
        ("items", pa.list_(ITEM)),
        ("item", ITEM),
        ("matrix", pa.list_(pa.list_(pa.int32()))),
    ]
)


def rotate(value: int, count: int) -> int:
    return (value << count | value >> (64 - count)) & M64


def slow_round(lane: int, word: int) -> int:
    return rotate((lane + word * P2) & M64, 31) * P1 & M64


def slow_xxh64(data: bytes, seed: int) -> int:
    h, at = (seed + P5) & M64, 0
    if len(data) >= 32:
        lanes = [(seed + P1 + P2) & M64, (seed + P2) & M64, seed, (seed - P1) & M64]
        for at in range(0, len(data) - 31, 32):
            lanes = [slow_round(*pair) for pair in zip(lanes, struct.unpack_from("<4Q", data, at), strict=True)]
        at += 32
        h = sum(rotate(lane, k) for lane, k in zip(lanes, (1, 7, 12, 18), strict=True)) & M64
        for lane in lanes:
            h = ((h ^ slow_round(0, lane)) * P1 + P4) & M64
    h = (h + len(data)) & M64
    for at in range(at, len(data) - 7, 8):  # noqa: B020 - goes on from where the lanes ended
        h = (rotate(h ^ slow_round(0, struct.unpack_from("<Q", data, at)[0]), 27) * P1 + P4) & M64
    at = len(data) & -8
    if at + 4 <= len(data):
        h = (rotate(h ^ (struct.unpack_from("<I", data, at)[0] * P1 & M64), 23) * P2 + P3) & M64
        at += 4
    for byte in data[at:]:
        h = rotate(h ^ (byte * P5 & M64), 11) * P1 & M64
    h = (h ^ h >> 33) * P2 & M64
    h = (h ^ h >> 29) * P3 & M64
    return h ^ h >> 32


def scalar_bytes(value: Any, kind: pa.DataType) -> bytes:
    if kind == pa.string():
        return str(value).encode()
    if kind in (pa.float32(), pa.float64()):
        value = math.nan if math.isnan(value) else value + 0.0
        return struct.pack("<f" if kind == pa.float32() else "<d", value)
    if kind == pa.date32():
        value = (value - date(1970, 1, 1)).days
    if pa.types.is_timestamp(kind):
        value = (value - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
    return struct.pack("<q" if kind.bit_width == 64 else "<i", value)


def slow_nodes(values: list[Any], kind: pa.DataType, depth: int) -> Iterator[tuple[bool, list[bytes]]]:
    """(null, chained bytes) of each node: `values` are one row's, those of all arrays around them run together."""
    null = any(value is None for value in values)
    chained = [struct.pack("<i", value is None) for value in values] if null and depth else []
    present = [value for value in values if value is not None]
    if pa.types.is_struct(kind):
        yield null, chained
        for field in kind:
            yield from slow_nodes([value and value[field.name] for value in values], field.type, depth)
    elif pa.types.is_list(kind):
        yield null, chained + [struct.pack("<i", len(value)) for value in present]
        yield from slow_nodes([x for value in present for x in value], kind.value_type, depth + 1)
    else:
        yield null, chained + [scalar_bytes(value, kind) for value in present]


def slow_hash(row: dict[str, Any], schema: pa.Schema) -> int:
    nodes = [node for field in schema for node in slow_nodes([row[field.name]], field.type, 0)]
    masks = [sum(null << i for i, (null, _) in enumerate(nodes[k : k + 31])) for k in range(0, len(nodes), 31)]
    h = 42
    for word in [*(struct.pack("<i", mask) for mask in masks), *(word for _, words in nodes for word in words)]:
        h = slow_xxh64(word, h)
    return h


def slow_sums(table: pa.Table) -> RowSums:
    hashes = [slow_hash(row, table.schema) for row in table.to_pylist()]
    return RowSums(len(hashes), sum(h & 0xFFFFFFFF for h in hashes), sum(h >> 32 for h in hashes))


def random_value(rng: random.Random, kind: pa.DataType, nulls: float) -> Any:
    if rng.random() < nulls:
        return None
    if pa.types.is_list(kind):
        return [random_value(rng, kind.value_type, nulls) for _ in range(rng.choice((0, 1, 2, 5)))]
    if pa.types.is_struct(kind):
        return {field.name: random_value(rng, field.type, nulls) for field in kind}
    return random_scalar(rng, kind)


def random_scalar(rng: random.Random, kind: pa.DataType) -> Any:
    if kind in (pa.float32(), pa.float64()):
        return rng.choice((0.0, -0.0, math.nan, math.inf, -math.inf, 0.5, rng.randrange(-(10**6), 10**6) / 64))
    if kind == pa.string():
        return "".join(rng.choice("ab\0é漢🎬") for _ in range(rng.choice((0, 1, 3, 4, 8, 15, 40))))
    if kind == pa.date32():
        return date(1970, 1, 1) + timedelta(days=rng.randrange(-20_000, 40_000))
    if pa.types.is_timestamp(kind):
        return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=rng.randrange(-(10**15), 10**16))
    if kind == pa.bool_():
        return rng.random() < 0.5
    limit = 2 ** (kind.bit_width - 1)
    return rng.choice((-limit, limit - 1, 0, rng.randrange(-limit, limit)))


def random_table(seed: int, rows: int, nulls: float, schema: pa.Schema = SCHEMA) -> pa.Table:
    """Some chunks, each a slice that starts inside its buffers."""
    rng = random.Random(seed)
    chunks: list[pa.Table] = []
    left = rows
    while left or not chunks:
        size, skip = rng.randint(min(1, left), left), rng.randrange(12)
        made = [{f.name: random_value(rng, f.type, nulls) for f in schema} for _ in range(skip + size + 1)]
        chunks.append(pa.Table.from_pylist(made, schema).slice(skip, size))
        left -= size
    return pa.concat_tables(chunks)


def sums(table: pa.Table) -> RowSums:
    return arrow_sums(table, table.column_names)
