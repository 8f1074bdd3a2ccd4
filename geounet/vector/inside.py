"""Which pixels have their centre inside of an area, row by row; the rows do not know how they were divided."""

from __future__ import annotations

from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from geounet.kernels import kernel


@kernel
def _toggle(edges: Any, top: int, out: Any) -> None:
    """Turn ``out`` ``(h, width)`` over to the right of each edge that crosses the middle of its row (even-odd)."""
    height, width = out.shape
    for k in range(edges.shape[0]):
        x0, y0, x1, y1 = edges[k, 0], edges[k, 1], edges[k, 2], edges[k, 3]
        first = max(int(np.floor(min(y0, y1))) - 1, top)
        last = min(int(np.ceil(max(y0, y1))) + 1, top + height)
        for r in range(first, last):
            middle = r + 0.5
            if (y0 <= middle) == (y1 <= middle):
                continue
            x = x0 + (middle - y0) * (x1 - x0) / (y1 - y0)
            column = np.ceil(x - 0.5)
            if column < width:
                out[r - top, max(0, int(column))] ^= True
    for r in range(height):
        now = False
        for c in range(width):
            now ^= out[r, c]
            out[r, c] = now


class Inside:
    """Answers for rows of a grid."""

    def __init__(self, area: shapely.Geometry, *, width: int) -> None:
        """``area``: valid polygons, in pixel coordinates (column, row)."""
        rings = shapely.get_rings(shapely.get_parts(shapely.get_parts(area)))
        pieces = [shapely.get_coordinates(ring) for ring in rings]
        edges = [np.concatenate([p[:-1], p[1:]], axis=1) for p in pieces]
        self._edges = np.ascontiguousarray(np.concatenate(edges) if edges else np.empty((0, 4)))
        self._width = width

    def rows(self, top: int, height: int) -> NDArray[np.bool_]:
        """``(height, width)`` True where a pixel's centre lies inside."""
        out = np.zeros((height, self._width), np.bool_)
        _toggle(self._edges, top, out)
        return out
