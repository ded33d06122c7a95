"""Numba kernels of `topn.exact`, which defines what they compute.

The best items of a user so far are a heap in the user's own range start:end of the result. Its root is the worst of
them: the lowest score or, among equal scores, the highest position.
"""

# ruff: noqa: PLR0917 - numba's kernels are called by position

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import boolean, float32, float64, int32, int64, njit, types

USER_BLOCK, ITEM_BLOCK = 128, 512  # their estimates (256 KiB) and both sides' factors stay in a core's L2 cache
CHUNK = 64  # estimates compared with the limit per step

_TINY = float(np.finfo(np.float32).smallest_normal)  # below it float32's errors are absolute, no longer relative
_NO_ITEM = np.int32(2**31 - 1)


def _view(element: Any, dimensions: int) -> types.Array:
    return types.Array(element, dimensions, "C", readonly=True)


_MATRIX, _NORMS, _BOUNDS, _POSITIONS = _view(float32, 2), _view(float64, 1), _view(int64, 1), _view(int32, 1)
_INTS, _LONGS, _FLOATS = (types.Array(element, 1, "C") for element in (int32, int64, float32))

_compiled = njit(cache=True, nogil=True)


class _Users(NamedTuple):
    factors: Any
    probes: Any
    norms: Any
    base: Any
    along: Any
    level: Any
    seen_bounds: Any
    seen: Any


class _Items(NamedTuple):
    factors: Any
    probes: Any
    positions: Any
    norms_from: Any
    cone: Any


class _Best(NamedTuple):
    bounds: Any
    items: Any
    scores: Any


@_compiled
def _exact_score(users: Any, user: Any, items: Any, item: Any) -> Any:
    """The score in float64, summed in the same order on every machine (no fastmath here), rounded once to float32."""
    a = b = c = d = 0.0
    width = users.shape[1]
    unrolled = width - width % 4
    for k in range(0, unrolled, 4):
        a += np.float64(users[user, k]) * np.float64(items[item, k])
        b += np.float64(users[user, k + 1]) * np.float64(items[item, k + 1])
        c += np.float64(users[user, k + 2]) * np.float64(items[item, k + 2])
        d += np.float64(users[user, k + 3]) * np.float64(items[item, k + 3])
    total = (a + c) + (b + d)
    for k in range(unrolled, width):
        total += np.float64(users[user, k]) * np.float64(items[item, k])
    return np.float32(total)


# Unsigned indices below: numba lets a signed one count from the end, and that test keeps loops from being vectorized.


@njit(cache=True, nogil=True, fastmath=True)
def _quick_score(users: Any, user: Any, items: Any, item: Any) -> Any:
    total = np.float32(0)
    for k in range(np.uint64(users.shape[1])):
        total += users[np.uint64(user), k] * items[np.uint64(item), k]
    return total


@_compiled
def _find_reaching(estimates: Any, start: Any, end: Any, limit: Any, found: Any) -> Any:
    """Writes to `found` the positions in start:end where the estimates reach the limit; returns their number."""
    reaching = 0
    for k in range(np.uint64(start), np.uint64(end)):
        reaching += estimates[k] >= limit
    if reaching == 0:
        return 0
    count = np.uint64(0)
    for k in range(np.uint64(start), np.uint64(end)):
        found[count] = k
        count += np.uint64(estimates[k] >= limit)
    return reaching


@_compiled
def _is_worse(score: Any, item: Any, other_score: Any, other_item: Any) -> Any:
    return score < other_score or (score == other_score and item > other_item)


@_compiled
def _replace_root(best: Any, start: Any, end: Any, score: Any, item: Any) -> None:
    at, child = start, start + 1
    while child < end:
        if child + 1 < end and _is_worse(
            best.scores[child + 1], best.items[child + 1], best.scores[child], best.items[child]
        ):
            child += 1
        if _is_worse(score, item, best.scores[child], best.items[child]):
            break
        best.scores[at], best.items[at] = best.scores[child], best.items[child]
        at, child = child, start + 2 * (child - start) + 1
    best.scores[at], best.items[at] = score, item


@_compiled
def _sort_heap(best: Any, start: Any, end: Any) -> None:
    """Sorts a heap in place, best first."""
    for last in range(end - 1, start, -1):
        score, item = best.scores[last], best.items[last]
        best.scores[last], best.items[last] = best.scores[start], best.items[start]
        _replace_root(best, start, last, score, item)


@_compiled
def _has_seen(users: Any, user: Any, position: Any) -> Any:
    start, end = users.seen_bounds[user], users.seen_bounds[user + 1]
    while start < end:
        middle = (start + end) >> 1
        if users.seen[middle] < position:
            start = middle + 1
        else:
            end = middle
    return start < users.seen_bounds[user + 1] and users.seen[start] == position


@_compiled
def _slack(margin: Any, user_norm: Any, item_norm: Any) -> Any:
    """The largest error of a float32 estimate."""
    return margin * ((user_norm + _TINY) * (item_norm + _TINY) + _TINY)


@_compiled
def _start(first: Any, last: Any, users: Any, best: Any, packed: Any, active: Any) -> Any:
    """Empties the heaps and packs the probes of users with unseen items; returns their number."""
    count = 0
    for user in range(first, last):
        for k in range(best.bounds[user], best.bounds[user + 1]):
            best.scores[k], best.items[k] = -np.inf, _NO_ITEM
        if best.bounds[user] < best.bounds[user + 1]:
            packed[count], active[count] = users.probes[user], user
            count += 1
    return count


@_compiled
def _keep_reaching(
    packed: Any, active: Any, count: Any, users: Any, items: Any, block: Any, margin: Any, best: Any
) -> Any:
    """Drops users whose N-th score no item of this block or a later one can reach; returns the number left."""
    kept = 0
    bounds, item_norm = items.cone[block], items.norms_from[block]
    for row in range(count):
        user = active[row]
        reach = users.base[user] + users.along[user] * bounds[np.uint64(users.level[user])]
        reach += _slack(margin, users.norms[user], item_norm)
        if reach >= best.scores[best.bounds[user]]:
            if kept < row:
                packed[kept], active[kept] = packed[row], user
            kept += 1
    return kept


@_compiled
def _offer(
    estimates: Any, at: Any, width: Any, slack: Any, found: Any, users: Any, user: Any, items: Any, top: Any, best: Any
) -> Any:
    """Adds the best of items[top : top + width] to a user's heap; returns how many estimates reached the limit.

    Each test costs more than the one before and has fewer items left to check; only the last two decide.
    """
    offered, start, end = 0, best.bounds[user], best.bounds[user + 1]
    limit = np.float32(best.scores[start] - slack)
    for chunk in range(at, at + width, CHUNK):
        reaching = _find_reaching(estimates, chunk, min(chunk + CHUNK, at + width), limit, found)
        offered += reaching
        for k in range(reaching):
            item = top + found[k] - at
            if _quick_score(users.factors, user, items.factors, item) < limit:
                continue
            score, position = _exact_score(users.factors, user, items.factors, item), items.positions[item]
            if _is_worse(score, position, best.scores[start], best.items[start]) or _has_seen(users, user, position):
                continue
            _replace_root(best, start, end, score, position)
            limit = np.float32(best.scores[start] - slack)
    return offered


@njit(
    types.UniTuple(int64, 2)(
        *(_MATRIX, _MATRIX, _NORMS, _NORMS, _NORMS, _BOUNDS, _BOUNDS, _POSITIONS),
        *(_MATRIX, _MATRIX, _POSITIONS, _NORMS, _view(float64, 2)),
        *(_BOUNDS, _INTS, _FLOATS),
        float64,
    ),
    cache=True,
    nogil=True,
)
def search(
    user_factors: Any,
    user_probes: Any,
    user_norms: Any,
    base: Any,
    along: Any,
    level: Any,
    seen_bounds: Any,
    seen: Any,
    item_factors: Any,
    item_probes: Any,
    positions: Any,
    norms_from: Any,
    cone: Any,
    bounds: Any,
    best_items: Any,
    best_scores: Any,
    margin: Any,
) -> Any:
    """Writes the best items of user j, best first, to bounds[j]:bounds[j + 1] of `best_items` and `best_scores`.

    Args:
        user_factors: (u, k); user_probes: (u, w); user_norms: (u,).
        base, along, level: (u,); no item of a block or a later one scores above base + along * cone[block, level].
        seen_bounds: user j has seen the positions seen[seen_bounds[j] : seen_bounds[j + 1]], in rising order.
        item_factors: (m, k), in the order of the cone; item_probes: (m, w); positions: (m,), of each of these items.
            The product of a user's and an item's probe is the score or an upper bound of it.
        norms_from: the largest norm in each block of ITEM_BLOCK items and all later ones.
        cone: (blocks, levels + 1).
        bounds: (u + 1,); no range is longer than the user's number of unseen items.
        margin: largest error of a float32 dot product, relative to the product of the norms.

    Returns:
        The number of probe products, and how many of them reached their user's limit.
    """
    users = _Users(user_factors, user_probes, user_norms, base, along, level, seen_bounds, seen)
    items = _Items(item_factors, item_probes, positions, norms_from, cone)
    best = _Best(bounds, best_items, best_scores)
    estimates = np.empty(USER_BLOCK * ITEM_BLOCK, np.float32)
    packed = np.empty((USER_BLOCK, user_probes.shape[1]), np.float32)
    active, found = np.empty(USER_BLOCK, np.int64), np.empty(CHUNK + 1, np.int64)
    products = offered = 0
    for first in range(0, len(user_factors), USER_BLOCK):
        last = min(first + USER_BLOCK, len(user_factors))
        count = _start(first, last, users, best, packed, active)
        for block in range(len(norms_from)):
            count = _keep_reaching(packed, active, count, users, items, block, margin, best)
            if count == 0:
                break
            top = block * ITEM_BLOCK
            probes = item_probes[top : top + ITEM_BLOCK]
            width = len(probes)
            np.dot(packed[:count], probes.T, estimates[: count * width].reshape(count, width))
            products += count * width
            for row in range(count):
                user = active[row]
                slack = _slack(margin, user_norms[user], norms_from[block])
                offered += _offer(estimates, row * width, width, slack, found, users, user, items, top, best)
        for user in range(first, last):
            _sort_heap(best, bounds[user], bounds[user + 1])
    return products, offered


@njit(boolean(_POSITIONS, _POSITIONS), cache=True, nogil=True)
def pairs_rise(users: Any, items: Any) -> Any:
    """Whether pairs are distinct and sorted by user and item."""
    for k in range(1, len(users)):
        if users[k] < users[k - 1] or (users[k] == users[k - 1] and items[k] <= items[k - 1]):
            return False
    return True


@njit(types.Tuple((_LONGS, _INTS))(_POSITIONS, _POSITIONS, int64, int64), cache=True, nogil=True)
def group_pairs(users: Any, items: Any, user_count: Any, item_count: Any) -> Any:
    """The distinct items of each user in rising order, by two counting sorts: bounds (user_count + 1,) and items."""
    ends = np.zeros(item_count + 1, np.int64)
    for item in items:
        ends[item + 1] += 1
    ends = np.cumsum(ends)
    cursors, users_by_item = ends[:-1].copy(), np.empty(len(users), np.int32)
    for k in range(len(users)):
        users_by_item[cursors[items[k]]] = users[k]
        cursors[items[k]] += 1
    latest, bounds = np.full(user_count, -1, np.int32), np.zeros(user_count + 1, np.int64)
    for item in range(item_count):
        for user in users_by_item[ends[item] : ends[item + 1]]:
            bounds[user + 1] += latest[user] != item
            latest[user] = item
    bounds = np.cumsum(bounds)
    cursors, grouped = bounds[:-1].copy(), np.empty(bounds[-1], np.int32)
    latest[:] = -1
    for item in range(item_count):
        for user in users_by_item[ends[item] : ends[item + 1]]:
            if latest[user] != item:
                grouped[cursors[user]] = latest[user] = item
                cursors[user] += 1
    return bounds, grouped
