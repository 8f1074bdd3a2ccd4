"""Blocks of ground for the intervals of vectors: 8 × 8 squares over all that is compared."""

from __future__ import annotations

from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

ACROSS = 8
BLOCKS = ACROSS**2


class Squares:
    """Squares over the longer side of all layers, numbered from the lower left; the outermost ones are endless."""

    def __init__(self, *layers: NDArray[Any]) -> None:
        left, bottom, right, top = shapely.total_bounds(np.concatenate(layers))
        self.side = max(right - left, top - bottom, 1e-9) / ACROSS
        steps = np.arange(ACROSS + 1) * self.side
        self._x, self._y = left + steps, bottom + steps

    def of(self, points: NDArray[Any]) -> NDArray[np.intp]:
        """The square ``(n,)`` of points ``(n,)``; on a common side that to the right or above."""
        return _place(self._y, shapely.get_y(points)) * ACROSS + _place(self._x, shapely.get_x(points))

    def cut(self, shapes: NDArray[Any]) -> tuple[NDArray[Any], NDArray[np.intp], NDArray[np.intp]]:
        """Shapes ``(n,)`` cut along the squares: pieces ``(m,)``, the shape that each is of, and its square."""
        west, south, east, north = shapely.bounds(shapes).T
        low = _place(self._y, south) * ACROSS + _place(self._x, west)
        torn = low != _place(self._y, north) * ACROSS + _place(self._x, east)
        whole = np.flatnonzero(~torn)
        pieces, of, block = self._torn(shapes[torn])
        return (
            np.concatenate([shapes[whole], pieces]),
            np.concatenate([whole, np.flatnonzero(torn)[of]]),
            np.concatenate([low[whole], block]),
        )

    def _torn(self, shapes: NDArray[Any]) -> tuple[NDArray[Any], NDArray[np.intp], NDArray[np.intp]]:
        boxes = np.array([self._box(block) for block in range(BLOCKS)])
        of, block = shapely.STRtree(boxes).query(shapes, predicate="intersects")
        pieces, at = shapely.get_parts(shapely.intersection(shapes[of], boxes[block]), return_index=True)
        of, block = of[at], block[at]
        lines = shapely.get_dimensions(pieces) == 1
        kept = shapely.get_dimensions(pieces) == shapely.get_dimensions(shapes[of])
        # a line along a common side is in both squares
        middles = shapely.line_interpolate_point(pieces[lines], 0.5, normalized=True)
        kept[lines] &= self.of(middles) == block[lines]
        return pieces[kept], of[kept], block[kept]

    def middle(self, block: int) -> tuple[float, float]:
        """Local metres of a square's middle."""
        row, col = divmod(block, ACROSS)
        return float(self._x[col] + self.side / 2), float(self._y[row] + self.side / 2)

    def _box(self, block: int) -> Any:
        row, col = divmod(block, ACROSS)
        x, y = ([edges[0] - self.side, *edges[1:-1], edges[-1] + self.side] for edges in (self._x, self._y))
        return shapely.box(x[col], y[row], x[col + 1], y[row + 1])


def _place(edges: NDArray[np.float64], values: NDArray[np.float64]) -> NDArray[np.intp]:
    return np.searchsorted(edges[1:-1], values, side="right")
