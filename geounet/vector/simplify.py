"""Simplified outlines that keep the coverage: common borders stay common, without a gap or an overlap."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from geounet.vector.arcs import pin, reshape
from geounet.vector.polygons import Polygons

_REACH = 2.0
"""Pixels from a corner, or tolerances where those are larger, within which it is rounded."""


@dataclass(frozen=True, kw_only=True)
class Vertices:
    """Every vertex of a raster, as `Tracer` tells of them: row by row, from the left to the right."""

    codes: NDArray[np.int32]
    """``(n,)`` twice the column, plus 1 for a node."""
    rows: NDArray[np.int64]
    """``(height + 2,)`` where each row of vertices begins."""

    def pin(self, polygons: Polygons) -> None:
        """Make nodes of vertices without which a ring could vanish; all polygons come here before any is drawn."""
        pin(polygons.corners, polygons.ring_starts, self.codes, self.rows)


@dataclass(frozen=True, kw_only=True)
class Outline:
    """How outlines are drawn: polygon by polygon, yet neighbours keep every common corner."""

    tolerance: float
    """Metres: corners go whose triangle with their neighbours is not larger than its square; 0: none goes."""
    smooth: bool
    """Whether the corners that stay are rounded."""
    pixel: tuple[float, float]
    """A pixel's sides along rows and along columns, in metres."""

    def draw(self, polygons: Polygons, vertices: Vertices) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """Corners ``(n, 2)`` in pixels and the number of each ring; rings keep their order, and none is lost.

        Corners that stay do not move unless they are rounded.
        """
        across, down = self.pixel
        limit = 2 * self.tolerance**2 / (across * down) if self.tolerance else -1.0
        reach = _REACH * max(1.0, self.tolerance / min(across, down)) if self.smooth else 0.0
        corners, counts = reshape(
            polygons.corners, polygons.ring_starts, vertices.codes, vertices.rows, limit, reach
        )
        return corners, counts
