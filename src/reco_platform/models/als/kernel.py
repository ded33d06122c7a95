"""Compiled half-step of ALS: solves each row's factors while the other side's factors stay fixed.

A row with n ratings r, and the factors V of the rated movies (or of the rating users), shape (n, width), has the
objective

    f(x) = |r - V x|^2 + x'B x + penalty |x|^2

whose minimum solves (V'V + B + penalty I) x = V'r. For predicting ratings (ALS-WR: Zhou et al. 2008, section 3.1) there
is no B. For implicit feedback (Hu, Koren, Volinsky 2008), B is the Gram matrix of all rows of the other side times the
weight of an unobserved pair, so that no unobserved pair is visited. A weight c of a rating enters as sqrt(c), which
scales both r and its row of V.

Both solvers start from the row's present factors and solve for the correction, with the right side
g = V'(r - V x) - (B + penalty I) x, half the negative gradient. So float32 errors in V'V affect the correction alone,
and the objective needs no separate pass: it is the objective at the present factors minus the decrease by the
correction.

Factors are padded with zeros to a multiple of the CPU's vector width. Each row is computed by one thread in a fixed
order, so the result does not depend on how rows are distributed.
"""

# ruff: noqa: PLR0917 - compiled functions take no keyword-only arguments
from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import binding  # type: ignore[import-untyped]
from numba import njit, types
from numba.extending import get_cython_function_address

BLOCK = 512
"""Ratings per update of V'V; at rank 500 their factors take 1 MiB, a core's L2 cache."""

GROUP = 4
"""Ratings per pass over a vector; the loops below are unrolled for four."""

DAMPING = np.float32(1e-6)
"""Added to the diagonal of V'V before it is factorised, as a share of the diagonal's mean."""

TINY = np.float32(1e-20)
"""Below this, the diagonal of V'V counts as zero, such as that of padding without a penalty."""

# BLAS and LAPACK are called by symbol: numba cannot cache code with an address of this process, which ctypes function
# pointers contain.
for _module, _name in (("cython_blas", "ssyrk"), ("cython_lapack", "spotrf"), ("cython_lapack", "spotrs")):
    binding.add_symbol(f"reco_platform_{_name}", get_cython_function_address(f"scipy.linalg.{_module}", _name))
_ssyrk: Any = types.ExternalFunction("reco_platform_ssyrk", types.void(*[types.intp] * 10))
_spotrf: Any = types.ExternalFunction("reco_platform_spotrf", types.void(*[types.intp] * 5))
_spotrs: Any = types.ExternalFunction("reco_platform_spotrs", types.void(*[types.intp] * 8))

# Sums may be reordered for vectorisation; NaN and infinity keep their meaning, so that they can be detected.
# Functions called by others are always inlined. Otherwise there would be two copies of them, optimised and so rounded
# differently, and the linker's choice would depend on what this process compiled and what it read from the cache.
_FAST: dict[str, Any] = {
    "fastmath": {"reassoc", "contract", "arcp", "nsz"},
    "error_model": "numpy",
    "forceinline": True,
}
_compiled = njit(cache=True, nogil=True, **_FAST)
_inlined = njit(**_FAST)


@_compiled
def solve_rows(
    starts: Any,
    columns: Any,
    values: Any,
    scales: Any,
    fixed: Any,
    base: Any,
    penalties: Any,
    solved: Any,
    first: Any,
    last: Any,
    cholesky_above: Any,
    tolerance: Any,
    max_steps: Any,
) -> Any:
    """Solves the factors of the rows [first, last) in place; returns the sum of their objectives.

    Rows with more than `cholesky_above` ratings are solved by Cholesky factorisation of V'V, the others by conjugate
    gradients.

    Args:
        starts, columns, values, scales: see `ratings.SparseRows`.
        fixed: the other side's factors, float32, shape (columns, width).
        base: B, float32, shape (width, width); shape (0, 0) if there is none.
        penalties: of each row, float32, shape (rows,).
        solved: this side's factors, float32, shape (rows, width).
        first, last: the rows.
        cholesky_above: number of ratings.
        tolerance: conjugate gradients stop when the preconditioned residual has fallen to this share, float32.
        max_steps: maximum of conjugate gradient steps of a row.
    """
    width = solved.shape[1]
    longest = min(starts[first + 1] - starts[first], cholesky_above)
    gathered = np.empty((longest + GROUP, width), np.float32)
    gram = np.empty((width, width), np.float32)
    g, diagonal = np.empty(width, np.float32), np.empty(width, np.float32)
    p, q = np.empty(width, np.float32), np.empty(width, np.float32)
    total = 0.0
    for row in range(first, last):
        start, end, penalty, x = starts[row], starts[row + 1], penalties[row], solved[row]
        total += penalty_of(penalty, base, x, g, diagonal)
        if end - start > cholesky_above:
            if len(base):
                gram[:, :] = base
            else:
                gram[:, :] = 0
            total += accumulate(columns, values, scales, fixed, x, start, end, gram, g)
            total -= correct_by_cholesky(gram, g, penalty, x)
        else:
            _gather(fixed, columns, scales, start, end, gathered)
            total += _residual(gathered, values, start, end, x, g, diagonal)
            total -= _conjugate_gradients(
                gathered, end - start, penalty, base, x, g, diagonal, p, q, tolerance, max_steps
            )
    return total


@_compiled
def penalty_of(penalty: Any, base: Any, x: Any, g: Any, diagonal: Any) -> Any:
    """Sets g and the diagonal to the terms of B and of the penalty; returns x'B x + penalty |x|^2."""
    square = 0.0
    for d in range(len(x)):
        g[d] = -penalty * x[d]
        diagonal[d] = penalty + TINY
        square += np.float64(x[d]) * x[d]
    total = penalty * square
    if len(base):
        _add_product(base, x, np.float32(-1), g)
        for d in range(len(x)):
            diagonal[d] += base[d, d]
            total -= np.float64(g[d] + penalty * x[d]) * x[d]
    return total


@_inlined
def _add_product(base: Any, x: Any, factor: Any, result: Any) -> None:
    """Adds factor B x to the result; B is symmetric, and its width a multiple of GROUP."""
    for e in range(0, len(x), GROUP):
        a, b, c, f = base[e], base[e + 1], base[e + 2], base[e + 3]
        s, t, u, v = factor * x[e], factor * x[e + 1], factor * x[e + 2], factor * x[e + 3]
        for d in range(len(x)):
            result[d] += s * a[d] + t * b[d] + u * c[d] + v * f[d]


@_compiled
def accumulate(
    columns: Any, values: Any, scales: Any, fixed: Any, x: Any, first: Any, last: Any, gram: Any, g: Any
) -> Any:
    """Adds V'V to gram and V'(r - V x) to g for the ratings [first, last), block by block; returns |r - V x|^2."""
    gathered = np.empty((min(BLOCK, last - first) + GROUP, len(x)), np.float32)
    diagonal = np.zeros(len(x), np.float32)
    squares = 0.0
    for start in range(first, last, BLOCK):
        end = min(start + BLOCK, last)
        _gather(fixed, columns, scales, start, end, gathered)
        squares += _residual(gathered, values, start, end, x, g, diagonal)
        _multiply(gathered, end - start, gram)
    return squares


@_compiled
def correct_by_cholesky(gram: Any, g: Any, penalty: Any, x: Any) -> Any:
    """Corrects x by Cholesky factorisation; returns the decrease of the objective.

    Damping shortens the correction without moving the minimum. It keeps the matrix positive definite in float32 if the
    penalty is tiny, and grows until the factorisation succeeds. If anything is not finite, x becomes NaN.

    Args:
        gram: upper triangle of V'V + B in Fortran order, shape (width, width).
        g: the right side; see above.
        penalty: float32.
        x: the row's factors.
    """
    width = len(x)
    mean = penalty
    for d in range(width):
        mean += gram[d, d] / np.float32(width)
    if mean <= TINY:
        return 0.0
    factor, correction = np.empty_like(gram), np.empty_like(g)
    damping = DAMPING * mean
    while damping < mean:
        for row in range(width):
            for d in range(row + 1):
                factor[row, d] = gram[row, d]
            factor[row, row] += penalty + damping
            correction[row] = g[row]
        if _solved(factor, correction):
            gain = 0.0
            for d in range(width):
                x[d] += correction[d]
                gain += np.float64(correction[d]) * (g[d] + damping * correction[d])
            return gain
        damping *= np.float32(10)
    return _set_nan(x)


@_inlined
def _set_nan(x: Any) -> Any:
    for d in range(len(x)):
        x[d] = np.nan
    return np.nan


@_inlined
def _solved(matrix: Any, right: Any) -> Any:
    """Solves in place by spotrf and spotrs; False if the matrix is not positive definite."""
    upper, sizes = np.empty(1, np.int8), np.empty(3, np.int32)
    upper[0], sizes[0], sizes[1] = ord("U"), len(right), 1
    size, one, info = sizes.ctypes.data, sizes.ctypes.data + 4, sizes.ctypes.data + 8
    _spotrf(upper.ctypes.data, size, matrix.ctypes.data, size, info)
    if sizes[2] != 0:
        return False
    _spotrs(upper.ctypes.data, size, one, matrix.ctypes.data, size, right.ctypes.data, size, info)
    return True


@_inlined
def _multiply(gathered: Any, rows: Any, gram: Any) -> None:
    """Adds V'V to the upper triangle, in Fortran order, by ssyrk."""
    letters, sizes, one = np.empty(2, np.int8), np.empty(2, np.int32), np.ones(1, np.float32)
    letters[0], letters[1], sizes[0], sizes[1] = ord("U"), ord("N"), gram.shape[0], rows
    upper, no_transpose, width = letters.ctypes.data, letters.ctypes.data + 1, sizes.ctypes.data
    factor, target = one.ctypes.data, gram.ctypes.data
    _ssyrk(upper, no_transpose, width, width + 4, factor, gathered.ctypes.data, width, factor, target, width)


@_inlined
def _gather(fixed: Any, columns: Any, scales: Any, first: Any, last: Any, gathered: Any) -> None:
    """Copies the factors of the ratings [first, last), scaled, padded with zero rows to a whole group."""
    width = fixed.shape[1]
    for rating in range(first, last):
        column = columns[rating]
        for d in range(width):
            gathered[rating - first, d] = fixed[column, d]
    if len(scales):
        for rating in range(first, last):
            for d in range(width):
                gathered[rating - first, d] *= scales[rating]
    for row in range(last - first, last - first + GROUP - 1):
        for d in range(width):
            gathered[row, d] = 0


@_inlined
def _value(values: Any, rating: Any) -> Any:
    return values[rating] if len(values) else np.float32(1)


@_inlined
def _residual(gathered: Any, values: Any, first: Any, last: Any, x: Any, g: Any, diagonal: Any) -> Any:
    """Adds V'(r - V x) to g and the diagonal of V'V to diagonal; returns |r - V x|^2."""
    width, count = len(x), last - first
    squares = 0.0
    for j in range(0, count, GROUP):
        a, b, c, e = gathered[j], gathered[j + 1], gathered[j + 2], gathered[j + 3]
        s, t, u, v = np.float32(0), np.float32(0), np.float32(0), np.float32(0)
        for d in range(width):
            s += a[d] * x[d]
            t += b[d] * x[d]
            u += c[d] * x[d]
            v += e[d] * x[d]
        s = _value(values, first + j) - s
        t = _value(values, first + j + 1) - t if j + 1 < count else np.float32(0)
        u = _value(values, first + j + 2) - u if j + 2 < count else np.float32(0)
        v = _value(values, first + j + 3) - v if j + 3 < count else np.float32(0)
        squares += np.float64(s) * s + np.float64(t) * t + np.float64(u) * u + np.float64(v) * v
        for d in range(width):
            g[d] += s * a[d] + t * b[d] + u * c[d] + v * e[d]
            diagonal[d] += a[d] * a[d] + b[d] * b[d] + c[d] * c[d] + e[d] * e[d]
    return squares


@_inlined
def _conjugate_gradients(
    gathered: Any,
    count: Any,
    penalty: Any,
    base: Any,
    x: Any,
    g: Any,
    diagonal: Any,
    p: Any,
    q: Any,
    tolerance: Any,
    max_steps: Any,
) -> Any:
    """Corrects x by conjugate gradients preconditioned by the diagonal (Saad 2003, algorithm 9.1).

    Returns the decrease of the objective: a step of length s along p decreases it by s g'z, where z is the
    preconditioned residual, since p'g = z'g. If anything is not finite, x becomes NaN.
    """
    width = len(x)
    residual = np.float32(0)
    for d in range(width):
        p[d] = g[d] / diagonal[d]
        residual += g[d] * p[d]
    if not np.isfinite(residual):
        return _set_nan(x)
    # A decrease below TINY is none; going on would divide numbers that have lost their digits.
    threshold = max(residual * tolerance * tolerance, TINY)
    gain = 0.0
    for _ in range(max_steps):
        if residual <= threshold:
            break
        for d in range(width):
            q[d] = penalty * p[d]
        if len(base):
            _add_product(base, p, np.float32(1), q)
        _multiply_vector(gathered, count, p, q)
        curvature = np.float32(0)
        for d in range(width):
            curvature += p[d] * q[d]
        if curvature <= 0:
            break
        step = residual / curvature
        gain += np.float64(step) * residual
        before = residual
        residual = np.float32(0)
        for d in range(width):
            x[d] += step * p[d]
            g[d] -= step * q[d]
            residual += g[d] * g[d] / diagonal[d]
        for d in range(width):
            p[d] = g[d] / diagonal[d] + residual / before * p[d]
    return gain


@_inlined
def _multiply_vector(gathered: Any, count: Any, p: Any, q: Any) -> None:
    """Adds V'V p to q."""
    width = len(p)
    for j in range(0, count, GROUP):
        a, b, c, e = gathered[j], gathered[j + 1], gathered[j + 2], gathered[j + 3]
        s, t, u, v = np.float32(0), np.float32(0), np.float32(0), np.float32(0)
        for d in range(width):
            s += a[d] * p[d]
            t += b[d] * p[d]
            u += c[d] * p[d]
            v += e[d] * p[d]
        for d in range(width):
            q[d] += s * a[d] + t * b[d] + u * c[d] + v * e[d]
