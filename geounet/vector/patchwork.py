"""Longitudes and latitudes of pixel corners, areas and lengths of outlines, by polynomials, compiled.

A map projection is so smooth that a cubic over some kilometres is it, to far less than what a file can hold; a
polynomial costs a tenth of the projection. `geounet.io.patches` makes the polynomials and proves each of them.
"""

# ruff: noqa: PLR0917 - compiled functions are called with positions

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from geounet.kernels import kernel
from geounet.vector.length import edge_length

LON, LAT, Q = 0, 16, 32
"""Where the three bicubics begin among the 48 numbers of a patch: degrees, degrees, and q of the latitude."""


class Patchwork(NamedTuple):
    """The patchwork over a raster."""

    numbers: Any
    """``(48 * rows * cols,)``: coefficients of each square; NaN where a patch is not good."""
    rows: int
    cols: int
    scale: float
    """Squares per pixel."""


@kernel
def _place(x: Any, y: Any, patches: Patchwork) -> Any:
    """Where the numbers of the patch of a pixel corner begin, and the corner's place −1..1 in it."""
    scale, rows, cols = patches.scale, patches.rows, patches.cols
    col, row = np.int64(x * scale), np.int64(y * scale)
    col, row = min(col, np.int64(cols - 1)), min(row, np.int64(rows - 1))
    return 48 * (row * cols + col), 2.0 * (x * scale - col) - 1.0, 2.0 * (y * scale - row) - 1.0


@kernel
def _value(c: Any, k: int, u: float, v: float) -> float:
    """The bicubic ``c[k + 4i + j] u^i v^j`` by Horner's rule."""
    w = ((c[k + 15] * v + c[k + 14]) * v + c[k + 13]) * v + c[k + 12]
    w = w * u + (((c[k + 11] * v + c[k + 10]) * v + c[k + 9]) * v + c[k + 8])
    w = w * u + (((c[k + 7] * v + c[k + 6]) * v + c[k + 5]) * v + c[k + 4])
    return float(w * u + (((c[k + 3] * v + c[k + 2]) * v + c[k + 1]) * v + c[k]))


@kernel
def _step(lon0: float, lat0: float, lon1: float, lat1: float, e2: float) -> float:
    """Length of a short edge between places in degrees, on an ellipsoid of radius 1."""
    f = math.pi / 180.0
    return float(edge_length(lon0 * f, lat0 * f, lon1 * f, lat1 * f, 1.0, e2, True))


@kernel
def _long_edge(x: float, y: float, dx: float, dy: float, n: int, patches: Patchwork, base: float, e2: float) -> Any:
    """∫ (q − ``base``) dλ along an edge in ``n`` pieces, and its length."""
    c = patches.numbers
    k, u, v = _place(x, y, patches)
    lon, lat, q = _value(c, k + LON, u, v), _value(c, k + LAT, u, v), _value(c, k + Q, u, v)
    total, length = 0.0, 0.0
    for s in range(1, n + 1):
        k, u, v = _place(x + dx * s / n, y + dy * s / n, patches)
        next_lon, next_lat = _value(c, k + LON, u, v), _value(c, k + LAT, u, v)
        next_q = _value(c, k + Q, u, v)
        total += (next_lon - lon) * (0.5 * (q + next_q) - base)
        length += _step(lon, lat, next_lon, next_lat, e2)
        lon, lat, q = next_lon, next_lat, next_q
    return total, length


@kernel
def _corner(corners: Any, i: int, patches: Patchwork, lonlat: Any) -> float:
    """Put the degrees of a corner into ``lonlat``; its q."""
    k, u, v = _place(corners[i, 0], corners[i, 1], patches)
    lonlat[i, 0] = _value(patches.numbers, k + LON, u, v)
    lonlat[i, 1] = _value(patches.numbers, k + LAT, u, v)
    return _value(patches.numbers, k + Q, u, v)


@kernel
def _ring(corners: Any, a: int, b: int, patches: Patchwork, longest: float, e2: float, lonlat: Any) -> Any:
    """∫ q dλ around the ring of the corners ``a`` to ``b``, and its length."""
    total, length, base = 0.0, 0.0, _corner(corners, a, patches, lonlat)
    last = _corner(corners, b - 1, patches, lonlat)
    j, before = b - 1, last
    for i in range(a, b):
        q = base if i == a else last if i == b - 1 else _corner(corners, i, patches, lonlat)
        x, y = corners[j, 0], corners[j, 1]
        dx, dy = corners[i, 0] - x, corners[i, 1] - y
        size = max(abs(dx), abs(dy))
        if size > longest:
            pieces = np.int64(math.ceil(size / longest))
            area, step = _long_edge(x, y, dx, dy, pieces, patches, base, e2)
            total += area
            length += step
        else:  # so short that the mean of both ends is as good as Simpson's rule
            total += (lonlat[i, 0] - lonlat[j, 0]) * (0.5 * (before + q) - base)
            length += _step(lonlat[j, 0], lonlat[j, 1], lonlat[i, 0], lonlat[i, 1], e2)
        j, before = i, q
    return total, length


@kernel
def measure(
    corners: Any,
    ring_starts: Any,
    polygon_starts: Any,
    shape_starts: Any,
    patches: Patchwork,
    longest: float,
    e2: float,
    lonlat: Any,
) -> tuple[Any, Any, Any]:
    """Areas and lengths ``(n,)`` of shapes, and ``(n,)`` whether all corners are known.

    Areas in the unit ``∫ q dλ`` with λ in degrees, lengths in semi-major axes; ``e2`` is the square of the
    eccentricity. ``corners`` ``(corners, 2)`` as (column, row) inside the raster; edges longer than ``longest``
    pixels are followed in pieces. ``lonlat`` ``(corners, 2)`` is filled: degrees, NaN where unknown.
    """
    n = shape_starts.size - 1
    areas, lengths = np.zeros(n), np.zeros(n)
    known = np.ones(n, np.bool_)
    for f in range(n):
        for p in range(shape_starts[f], shape_starts[f + 1]):
            for r in range(polygon_starts[p], polygon_starts[p + 1]):
                a, b = ring_starts[r], ring_starts[r + 1]
                total, length = _ring(corners, a, b, patches, longest, e2, lonlat)
                areas[f] += abs(total) if r == polygon_starts[p] else -abs(total)
                lengths[f] += length
        known[f] = not math.isnan(areas[f])
    return areas, lengths, known
