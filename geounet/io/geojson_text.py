"""Coordinates to GeoJSON text, compiled: numbers are formatted from integers, digit by digit."""

# ruff: noqa: PLR0917 - compiled functions are called with positions

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

BYTES_PER_CORNER = 50
"""``[x,y],`` with two numbers of at most 23 characters."""
BYTES_PER_PART = 64

_POLYGON = np.frombuffer(b'{"type":"Polygon","coordinates":', np.uint8)
_MULTI = np.frombuffer(b'{"type":"MultiPolygon","coordinates":[', np.uint8)


@njit(cache=True, nogil=True)
def _text(out: Any, k: int, text: Any) -> int:
    for i in range(text.size):
        out[k + i] = text[i]
    return k + text.size


@njit(cache=True, nogil=True)
def _number(out: Any, k: int, value: int, decimals: int) -> int:
    """``value / 10**decimals`` as text at ``out[k:]``, without trailing zeros; the place after it."""
    if value < 0:
        out[k] = 45
        k += 1
        value = -value
    scale = 10**decimals
    whole, rest = value // scale, value % scale
    digits = 1
    top = np.int64(10)
    while whole >= top:
        top *= 10
        digits += 1
    for i in range(digits):
        out[k + digits - 1 - i] = 48 + whole % 10
        whole //= 10
    k += digits
    if rest:
        while rest % 10 == 0:
            rest //= 10
            decimals -= 1
        out[k] = 46
        for i in range(decimals):
            out[k + decimals - i] = 48 + rest % 10
            rest //= 10
        k += decimals + 1
    return k


@njit(cache=True, nogil=True)
def _twice_area(xy: Any, a: int, b: int) -> float:
    """Twice the signed area of a ring (anticlockwise positive), about its first corner."""
    out = 0.0
    for i in range(a + 1, b - 1):
        x0, y0 = float(xy[i, 0] - xy[a, 0]), float(xy[i, 1] - xy[a, 1])
        x1, y1 = float(xy[i + 1, 0] - xy[a, 0]), float(xy[i + 1, 1] - xy[a, 1])
        out += x0 * y1 - x1 * y0
    return out


@njit(cache=True, nogil=True)
def _ring(out: Any, k: int, xy: Any, a: int, b: int, backwards: bool, decimals: int) -> int:
    """``[[x,y],…]`` closed, without repeated corners."""
    n = b - a
    out[k] = 91
    k += 1
    last = -1
    for i in range(n + 1):
        j = a + (n - i) % n if backwards else a + i % n
        if last >= 0 and xy[j, 0] == xy[last, 0] and xy[j, 1] == xy[last, 1] and i < n:
            continue
        if i == n and xy[last, 0] == xy[a, 0] and xy[last, 1] == xy[a, 1]:
            continue
        out[k] = 91
        k = _number(out, k + 1, xy[j, 0], decimals)
        out[k] = 44
        k = _number(out, k + 1, xy[j, 1], decimals)
        out[k] = 93
        out[k + 1] = 44
        k += 2
        last = j
    out[k - 1] = 93
    return k


@njit(cache=True, nogil=True)
def format_features(
    xy: Any,
    decimals: int,
    ring_starts: Any,
    polygon_starts: Any,
    shape_starts: Any,
    heads: Any,
    head_starts: Any,
    before: Any,
    after: Any,
    polygon_text: Any,
    multi_text: Any,
    out: Any,
) -> tuple[int, Any]:
    """Write features into ``out``; returns the bytes written and those of each feature.

    ``xy`` ``(corners, 2)`` int64 in units of ``10**-decimals``. Shells become anticlockwise, holes clockwise;
    rings without an area are left out, and features without a ring written not at all (0 bytes).
    """
    n = shape_starts.size - 1
    sizes = np.zeros(n, np.int64)
    areas = np.empty(ring_starts.size - 1)
    for r in range(areas.size):
        areas[r] = _twice_area(xy, ring_starts[r], ring_starts[r + 1])
    k = 0
    for f in range(n):
        parts = 0
        for p in range(shape_starts[f], shape_starts[f + 1]):
            parts += areas[polygon_starts[p]] != 0
        if parts == 0:
            continue
        begin = k
        k = _text(out, k, before)
        k = _text(out, k, heads[head_starts[f] : head_starts[f + 1]])
        k = _text(out, k, polygon_text if parts == 1 else multi_text)
        for p in range(shape_starts[f], shape_starts[f + 1]):
            shell = polygon_starts[p]
            if areas[shell] == 0:
                continue
            out[k] = 91
            k += 1
            for r in range(shell, polygon_starts[p + 1]):
                if areas[r] != 0:
                    k = _ring(
                        out, k, xy, ring_starts[r], ring_starts[r + 1], (areas[r] > 0) != (r == shell), decimals
                    )
                    out[k] = 44
                    k += 1
            out[k - 1] = 93
            out[k] = 44
            k += 1
        if parts == 1:
            k -= 1
        else:
            out[k - 1] = 93
        out[k] = 125
        k = _text(out, k + 1, after)
        sizes[f] = k - begin
    return k, sizes
