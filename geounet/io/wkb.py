"""Shapes to well-known binary (OGC 06-103r4, section 8): MultiPolygons, compiled."""

# ruff: noqa: PLR0917 - compiled functions are called with positions

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from geounet.io.shapes import Shapes
from geounet.kernels import kernel
from geounet.vector.polygons import starts

_POLYGON, _MULTI_POLYGON = 3, 6


def multipolygons(shapes: Shapes) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """The bytes of all shapes, one after another, and ``(n + 1,)`` where each begins."""
    rings, polygons, parts = (starts(c) for c in (shapes.corner_counts, shapes.ring_counts, shapes.part_counts))
    # 9 bytes for a shape and for each part, 4 for each ring, 16 for each corner and for the one that closes a ring
    per_polygon = np.add.reduceat(np.append(16 * shapes.corner_counts + 20, 0), polygons[:-1]) + 9
    ends = starts(per_polygon if polygons.size > 1 else np.empty(0, np.int64))[parts]
    begins = ends + 9 * np.arange(parts.size)
    out = np.empty(int(begins[-1]), np.uint8)
    _put(np.ascontiguousarray(shapes.xy).view(np.uint8).reshape(-1), rings, polygons, parts, begins, out)
    return out, begins


@kernel
def _head(out: Any, k: int, kind: int, count: int) -> int:
    """Byte order, kind of geometry and number of what follows; the place after them."""
    out[k] = 1
    return _word(out, _word(out, k + 1, kind), count)


@kernel
def _word(out: Any, k: int, value: int) -> int:
    for i in range(4):
        out[k + i] = (value >> (8 * i)) & 255
    return k + 4


@kernel
def _put(xy: Any, ring_starts: Any, polygon_starts: Any, shape_starts: Any, begins: Any, out: Any) -> None:
    """Fill ``out``; ``xy`` are the bytes of the corners, sixteen each."""
    for f in range(shape_starts.size - 1):
        k = _head(out, begins[f], _MULTI_POLYGON, shape_starts[f + 1] - shape_starts[f])
        for p in range(shape_starts[f], shape_starts[f + 1]):
            k = _head(out, k, _POLYGON, polygon_starts[p + 1] - polygon_starts[p])
            for r in range(polygon_starts[p], polygon_starts[p + 1]):
                a, b = 16 * ring_starts[r], 16 * ring_starts[r + 1]
                k = _word(out, k, (b - a) // 16 + 1)
                for i in range(a, b):
                    out[k + i - a] = xy[i]
                k += b - a
                for i in range(16):
                    out[k + i] = xy[a + i]
                k += 16
