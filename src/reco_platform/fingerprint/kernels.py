"""Numba kernels that hash the rows of Arrow record batches with XXH64, and the traversal of Arrow's buffers.

`fingerprint.spec` defines what is hashed; `fingerprint.arrow` is the module to import.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numba import boolean, int64, njit, types, uint8, uint32, uint64, void

from reco_platform.fingerprint.spec import MASK_BITS, SEED, arrow_type

SLICE_ROWS = 1 << 14  # the hashes and one column of a slice fit a core's L2 cache

# The constants of the xxHash specification, section "XXH64 algorithm description".
_P1 = np.uint64(0x9E3779B185EBCA87)
_P2 = np.uint64(0xC2B2AE3D27D4EB4F)
_P3 = np.uint64(0x165667B19E3779F9)
_P4 = np.uint64(0x85EBCA77C2B2AE63)
_P5 = np.uint64(0x27D4EB2F165667C5)

_NO_NULLS = np.empty(0, np.bool_)
_ROWS = np.arange(SLICE_ROWS + 1, dtype=np.int64)


def _view(element: Any) -> types.Array:
    return types.Array(element, 1, "C", readonly=True)


_HASHES, _MASK = types.Array(uint64, 1, "C"), types.Array(uint32, 1, "C")
_UINT32S, _UINT64S, _BYTES, _FLAGS, _BOUNDS = _view(uint32), _view(uint64), _view(uint8), _view(boolean), _view(int64)


@njit(uint64(uint64, uint64), cache=True, nogil=True)
def _rotate(value: Any, count: Any) -> Any:
    return (value << count) | (value >> (np.uint64(64) - count))


@njit(uint64(uint64), cache=True, nogil=True)
def _avalanche(h: Any) -> Any:
    h = (h ^ (h >> np.uint64(33))) * _P2
    h = (h ^ (h >> np.uint64(29))) * _P3
    return h ^ (h >> np.uint64(32))


@njit(uint64(uint64, uint64), cache=True, nogil=True)
def _round(lane: Any, word: Any) -> Any:
    return _rotate(lane + word * _P2, np.uint64(31)) * _P1


@njit(uint64(uint64, uint64), cache=True, nogil=True)
def _tail8(h: Any, word: Any) -> Any:
    return _rotate(h ^ _round(np.uint64(0), word), np.uint64(27)) * _P1 + _P4


@njit(uint64(uint64, uint64), cache=True, nogil=True)
def _tail4(h: Any, word: Any) -> Any:
    return _rotate(h ^ (word * _P1), np.uint64(23)) * _P2 + _P3


@njit(uint64(_BYTES, int64, int64), cache=True, nogil=True)
def _little_endian(data: Any, at: Any, width: Any) -> Any:
    word = np.uint64(0)
    for k in range(width):
        word |= np.uint64(data[at + k]) << np.uint64(8 * k)
    return word


@njit(uint64(_BYTES, int64, int64, uint64), cache=True, nogil=True)
def xxh64(data: Any, at: Any, end: Any, seed: Any) -> Any:
    """XXH64 of the bytes data[at:end], as the xxHash specification describes it."""
    length = np.uint64(end - at)
    h = seed + _P5
    if end - at >= 32:
        a, b, c, d = seed + _P1 + _P2, seed + _P2, seed, seed - _P1
        while at + 32 <= end:
            a = _round(a, _little_endian(data, at, 8))
            b = _round(b, _little_endian(data, at + 8, 8))
            c = _round(c, _little_endian(data, at + 16, 8))
            d = _round(d, _little_endian(data, at + 24, 8))
            at += 32
        h = _rotate(a, np.uint64(1)) + _rotate(b, np.uint64(7))
        h += _rotate(c, np.uint64(12)) + _rotate(d, np.uint64(18))
        for lane in (a, b, c, d):
            h = (h ^ _round(np.uint64(0), lane)) * _P1 + _P4
    h += length
    while at + 8 <= end:
        h = _tail8(h, _little_endian(data, at, 8))
        at += 8
    if at + 4 <= end:
        h = _tail4(h, _little_endian(data, at, 4))
        at += 4
    while at < end:
        h = _rotate(h ^ (np.uint64(data[at]) * _P5), np.uint64(11)) * _P1
        at += 1
    return _avalanche(h)


@njit(uint64(uint64, uint64), cache=True, nogil=True)
def _hash_int(seed: Any, word: Any) -> Any:
    return _avalanche(_tail4(seed + _P5 + np.uint64(4), word))


@njit(uint64(uint64, uint64), cache=True, nogil=True)
def _hash_long(seed: Any, word: Any) -> Any:
    return _avalanche(_tail8(seed + _P5 + np.uint64(8), word))


# In every kernel, row i has the elements bounds[i]:bounds[i + 1]; an empty `valid` means that none is null.


@njit(void(_HASHES, _UINT32S, _FLAGS, _BOUNDS), cache=True, nogil=True)
def _chain_ints(hashes: Any, values: Any, valid: Any, bounds: Any) -> None:
    for i in range(hashes.size):
        for j in range(bounds[i], bounds[i + 1]):
            if valid.size == 0 or valid[j]:
                hashes[i] = _hash_int(hashes[i], np.uint64(values[j]))


@njit(void(_HASHES, _UINT64S, _FLAGS, _BOUNDS), cache=True, nogil=True)
def _chain_longs(hashes: Any, values: Any, valid: Any, bounds: Any) -> None:
    for i in range(hashes.size):
        for j in range(bounds[i], bounds[i + 1]):
            if valid.size == 0 or valid[j]:
                hashes[i] = _hash_long(hashes[i], values[j])


@njit(void(_HASHES, _BYTES, _BOUNDS, _FLAGS, _BOUNDS), cache=True, nogil=True)
def _chain_strings(hashes: Any, data: Any, offsets: Any, valid: Any, bounds: Any) -> None:
    for i in range(hashes.size):
        for j in range(bounds[i], bounds[i + 1]):
            if valid.size == 0 or valid[j]:
                hashes[i] = xxh64(data, offsets[j], offsets[j + 1], hashes[i])


@njit(boolean(_FLAGS, int64, int64), cache=True, nogil=True)
def _any_null(valid: Any, at: Any, end: Any) -> Any:
    for j in range(at, end):  # noqa: SIM110 - numba compiles the loop, not any()
        if not valid[j]:
            return True
    return False


@njit(void(_HASHES, _FLAGS, _BOUNDS), cache=True, nogil=True)
def _chain_null_flags(hashes: Any, valid: Any, bounds: Any) -> None:
    for i in range(hashes.size):
        if _any_null(valid, bounds[i], bounds[i + 1]):
            for j in range(bounds[i], bounds[i + 1]):
                hashes[i] = _hash_int(hashes[i], np.uint64(not valid[j]))


@njit(void(_MASK, uint32, _FLAGS, _BOUNDS), cache=True, nogil=True)
def _mark_nulls(mask: Any, bit: Any, valid: Any, bounds: Any) -> None:
    for i in range(mask.size):
        if _any_null(valid, bounds[i], bounds[i + 1]):
            mask[i] |= bit


class _Node(NamedTuple):
    """One node of a column's type: a scalar, the sizes of a list, or a struct, which has no values of its own."""

    valid: np.ndarray
    bounds: np.ndarray
    nested: bool
    values: np.ndarray | None = None
    offsets: np.ndarray | None = None  # only for strings, whose values are bytes


def slice_hashes(batch: pa.RecordBatch, columns: Sequence[str]) -> np.ndarray:
    """The hash of each row of at most SLICE_ROWS rows: (rows,) uint64. Raises KeyError, TypeError."""
    rows = _ROWS[: batch.num_rows + 1]
    nodes = [node for name in columns for node in _nodes(_normalised(batch.column(name)), rows, False)]
    hashes = np.full(batch.num_rows, SEED, np.uint64)
    for first in range(0, len(nodes), MASK_BITS):
        _chain_ints(hashes, _null_mask(nodes[first : first + MASK_BITS], len(hashes)), _NO_NULLS, rows)
    for node in nodes:
        _chain(hashes, node)
    return hashes


def _null_mask(nodes: Sequence[_Node], rows: int) -> np.ndarray:
    mask = np.zeros(rows, np.uint32)
    for bit, node in enumerate(nodes):
        if node.valid.size:
            _mark_nulls(mask, 1 << bit, node.valid, node.bounds)
    return mask


def _chain(hashes: np.ndarray, node: _Node) -> None:
    if node.nested and node.valid.size:
        _chain_null_flags(hashes, node.valid, node.bounds)
    if node.values is None:
        return
    if node.offsets is not None:
        _chain_strings(hashes, node.values, node.offsets, node.valid, node.bounds)
    elif node.values.itemsize == 8:
        _chain_longs(hashes, node.values, node.valid, node.bounds)
    else:
        _chain_ints(hashes, node.values, node.valid, node.bounds)


def _nodes(array: pa.Array, bounds: np.ndarray, nested: bool) -> Iterator[_Node]:
    """The nodes of an array's type in pre-order.

    Arrow's `flatten` makes a struct's nulls those of its fields, and drops the elements of null lists.
    """
    valid = _validity(array)
    if pa.types.is_struct(array.type):
        yield _Node(valid, bounds, nested)
        for child in array.flatten():
            yield from _nodes(child, bounds, nested)
    elif pa.types.is_list(array.type) or pa.types.is_large_list(array.type):
        sizes = pc.fill_null(pc.list_value_length(array), 0).to_numpy(zero_copy_only=False)
        yield _Node(valid, bounds, nested, sizes.astype(np.uint32))
        ends = np.concatenate(([0], np.cumsum(sizes, dtype=np.int64)))
        yield from _nodes(array.flatten(), ends[bounds], True)
    elif pa.types.is_string(array.type) or pa.types.is_large_string(array.type):
        yield _Node(valid, bounds, nested, *_strings(array))
    else:
        yield _Node(valid, bounds, nested, _words(array))


def _validity(array: pa.Array) -> np.ndarray:
    """One boolean for each element, or an empty array if none is null."""
    if array.null_count == 0:
        return _NO_NULLS
    first, end = array.offset // 8, (array.offset + len(array) + 7) // 8
    bits = np.unpackbits(_numbers(array.buffers()[0], np.uint8, first, end - first), bitorder="little")
    return bits[array.offset - 8 * first :][: len(array)].view(np.bool_)


def _words(array: pa.Array) -> np.ndarray:
    """The 4 or 8 bytes that are hashed for each number, as uint32 or uint64."""
    if array.type in (pa.bool_(), pa.int8(), pa.int16()):
        array = array.cast(pa.int32())
    dtype = np.dtype(np.uint64 if array.type.bit_width == 64 else np.uint32)
    words = _numbers(array.buffers()[1], dtype, array.offset, len(array))
    if not pa.types.is_floating(array.type):
        return words
    values = words.view(f"f{dtype.itemsize}")
    no_negative_zero = np.where(
        values == 0, values.dtype.type(0), values
    )  # as in Spark, -0.0 is hashed as 0.0, and all NaNs as one
    return np.where(np.isnan(values), values.dtype.type(np.nan), no_negative_zero).view(dtype)


def _strings(array: pa.Array) -> tuple[np.ndarray, np.ndarray]:
    """The bytes that the array refers to, and its elements' offsets in them, shape (n + 1,)."""
    _, offsets, data = array.buffers()
    width = np.int64 if pa.types.is_large_string(array.type) else np.int32
    bounds = _numbers(offsets, width, array.offset, len(array) + 1 if len(array) else 0)
    return _numbers(data, np.uint8, 0, data.size if data else 0), bounds.astype(np.int64)


def _numbers(buffer: Any, dtype: Any, first: int, count: int) -> np.ndarray:
    if not count:
        return np.empty(0, dtype)  # an empty array may have no buffer
    return np.frombuffer(buffer, dtype, count, first * np.dtype(dtype).itemsize)


def _normalised(array: pa.Array) -> pa.Array:
    kind = _normalised_type(array.type)
    return array if kind == array.type else array.cast(kind)


def _normalised_type(kind: pa.DataType) -> pa.DataType:
    """The type that the traversal can read: dictionaries decoded, views as offsets, timestamps in microseconds UTC."""
    if pa.types.is_dictionary(kind):
        return _normalised_type(kind.value_type)
    if pa.types.is_struct(kind):
        return pa.struct([field.with_type(_normalised_type(field.type)) for field in kind])
    if pa.types.is_list(kind):
        return pa.list_(kind.value_field.with_type(_normalised_type(kind.value_type)))
    if pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        return pa.large_list(kind.value_field.with_type(_normalised_type(kind.value_type)))
    spark_type = arrow_type(kind)  # raises TypeError for types that cannot be hashed
    if spark_type == "timestamp":
        return pa.timestamp("us", "UTC")
    return pa.large_string() if pa.types.is_string_view(kind) else kind
