"""Coordinates to GeoJSON text, compiled: numbers are formatted from integers, digit by digit."""

# ruff: noqa: PLR0917 - compiled functions are called with positions

from __future__ import annotations

from typing import Any

import numpy as np

from geounet.io.column_bytes import put_integer
from geounet.kernels import kernel

DECIMALS = 7
_SCALE = 10**DECIMALS
_PAIRS = np.frombuffer("".join(f"{n:02}" for n in range(100)).encode(), np.uint8)
BYTES_PER_CORNER = 50
"""``[x,y],`` with two numbers of at most 23 characters."""
BYTES_PER_PART = 64

_POLYGON = np.frombuffer(b'{"type":"Polygon","coordinates":', np.uint8)
_MULTI = np.frombuffer(b'{"type":"MultiPolygon","coordinates":[', np.uint8)


@kernel
def _text(out: Any, k: int, text: Any) -> int:
    for i in range(text.size):
        out[k + i] = text[i]
    return k + text.size


@kernel
def _number(out: Any, k: int, value: int) -> int:
    """``value / 10**DECIMALS`` as text at ``out[k:]``, without trailing zeros; the place after it.

    Two digits at a time, and nothing is divided by what the compiler does not know.
    """
    if value < 0:
        out[k] = 45
        k += 1
        value = -value
    whole, rest = value // _SCALE, value % _SCALE
    k = put_integer(out, k, whole)
    if rest:
        out[k] = 46
        rest *= 10  # eight digits, the last of them 0
        for pair in range(3, -1, -1):
            two = 2 * (rest % 100)
            rest //= 100
            out[k + 1 + 2 * pair] = _PAIRS[two]
            out[k + 2 + 2 * pair] = _PAIRS[two + 1]
        k += DECIMALS + 1
        while out[k - 1] == 48:
            k -= 1
    return k


@kernel
def _whole(xy: Any, i: int) -> Any:
    """A corner in units of the last decimal, rounded half to even."""
    return np.int64(np.rint(xy[i, 0] * 10.0**DECIMALS)), np.int64(np.rint(xy[i, 1] * 10.0**DECIMALS))


@kernel
def _twice_area(xy: Any, a: int, b: int) -> float:
    """Twice the signed area of a ring (anticlockwise positive), about its first corner."""
    out = 0.0
    if b - a < 3:
        return out
    x, y = _whole(xy, a)
    x1, y1 = _whole(xy, a + 1)
    x0, y0 = float(x1 - x), float(y1 - y)
    for i in range(a + 2, b):
        x1, y1 = _whole(xy, i)
        x2, y2 = float(x1 - x), float(y1 - y)
        out += x0 * y2 - x2 * y0
        x0, y0 = x2, y2
    return out


@kernel
def _corner(out: Any, k: int, x: int, y: int) -> int:
    """``[x,y],`` at ``out[k:]``."""
    out[k] = 91
    k = _number(out, k + 1, x)
    out[k] = 44
    k = _number(out, k + 1, y)
    out[k] = 93
    out[k + 1] = 44
    return k + 2


@kernel
def _ring(out: Any, k: int, xy: Any, a: int, b: int, backwards: bool) -> int:
    """``[[x,y],…]`` closed, without repeated corners."""
    out[k] = 91
    k += 1
    step = -1 if backwards else 1
    first = _whole(xy, a)
    last = first
    k = _corner(out, k, first[0], first[1])
    j = a
    for _ in range(b - a - 1):
        j += step
        if j < a:
            j = b - 1
        here = _whole(xy, j)
        if here != last:
            k = _corner(out, k, here[0], here[1])
            last = here
    if last != first:
        k = _corner(out, k, first[0], first[1])
    out[k - 1] = 93
    return k


@kernel
def format_features(
    xy: Any,
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

    ``xy`` ``(corners, 2)``. Shells become anticlockwise, holes clockwise;
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
                    k = _ring(out, k, xy, ring_starts[r], ring_starts[r + 1], (areas[r] > 0) != (r == shell))
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
