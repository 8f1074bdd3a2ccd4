"""Buildings squared, each by itself: the simplest outline with right angles that stays true to the pixels."""

from __future__ import annotations

import numpy as np
import shapely
from numpy.typing import NDArray

from geounet.vector.polygons import Polygons, close_rings, ranges, starts
from geounet.vector.right_angles import proposals
from geounet.vector.walls import LEAST

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

LIMIT = 0.8
"""Intersection over union with the traced outline from which a squared one is taken."""
_SIMPLER = 0.03
"""So much less may a rectangle agree with the pixels than walls do, and yet be taken,"""
_BESIDE = 0.5
"""if it lies no more pixels beside them, on an average of the outline."""


def regularize(
    polygons: Polygons, frames: FloatArray, *, width: int, height: int
) -> tuple[NDArray[np.object_], NDArray[np.bool_]]:
    """Square polygons of pixels.

    Args:
        polygons: traced, in whole pixel coordinates.
        frames: ``(polygons, 2, 2)`` from pixels to a plane in which angles are true and a pixel has area 1.
        width: of the raster, which no outline leaves.
        height: likewise.

    Holes that are smaller than the shortest wall squared are not kept.

    Returns:
        ``(done,)`` shapely polygons in pixel coordinates of those that could be squared, and ``(polygons,)`` which.
    """
    walls, wall_counts, boxes = proposals(
        polygons.corners.astype(np.int64), polygons.ring_starts, polygons.polygon_starts, frames
    )
    traced = polygons.corners.astype(np.float64), polygons.corner_counts.astype(np.int64)
    rings = _Rings(np.concatenate([traced[0], walls, boxes]), traced[1], wall_counts)
    chosen, known = rings.best()
    owner = np.repeat(np.arange(len(polygons)), polygons.ring_counts)
    speck = rings.areas < LEAST**2
    speck[polygons.polygon_starts[:-1]] = False
    done = np.bincount(owner, weights=~(known | speck), minlength=len(polygons)) == 0
    kept = done[owner] & ~speck
    xy, counts = rings.take(chosen[kept])
    ring_counts = np.bincount(owner[kept], minlength=len(polygons))[done]
    shapes = _inside(areas_of(xy, counts, ring_counts), width, height)
    true = shapely.is_valid(shapes) & (shapely.get_type_id(shapes) == shapely.GeometryType.POLYGON)
    own = polygons.take(done).to_shapely()
    true[true] = intersection_over_union(shapes[true], own[true]) >= LIMIT
    done[done] = true
    return shapes[true], done


def _inside(shapes: NDArray[np.object_], width: int, height: int) -> NDArray[np.object_]:
    """Shapes without what lies beyond the raster; what is not valid stays so."""
    low, high = shapely.bounds(shapes)[:, :2].min(axis=1), shapely.bounds(shapes)[:, 2:]
    beyond = (low < 0) | (high[:, 0] > width) | (high[:, 1] > height)
    beyond &= shapely.is_valid(shapes)
    shapes[beyond] = shapely.intersection(shapes[beyond], shapely.box(0, 0, width, height))
    return shapes


class _Rings:
    """Rings in a row: those of pixels, those of walls, rectangles; ``n`` of each."""

    def __init__(self, xy: FloatArray, traced: IntArray, walls: IntArray) -> None:
        self.xy, self.n = xy, traced.size
        self.counts = np.concatenate([traced, walls, np.full(self.n, 4)])
        self.starts = starts(self.counts)
        self.traced = areas_of(*self.take(np.arange(self.n)))
        self.areas = shapely.area(self.traced)

    def take(self, which: IntArray) -> tuple[FloatArray, IntArray]:
        """Corners and their number of the rings ``which``."""
        return self.xy[ranges(self.starts[which], self.counts[which])], self.counts[which]

    def best(self) -> tuple[IntArray, NDArray[np.bool_]]:
        """``(n,)`` the ring to take for each, and whether it is true to the pixels."""
        own = np.arange(self.n)
        walls, boxes = self._agreement(own + self.n), self._agreement(own + 2 * self.n)
        beside = (1.0 - boxes) * self.areas / shapely.length(self.traced)
        simple = (boxes >= walls) | ((boxes >= walls - _SIMPLER) & (beside <= _BESIDE))
        return np.where(simple, own + 2 * self.n, own + self.n), np.where(simple, boxes, walls) >= LIMIT

    def _agreement(self, which: IntArray) -> FloatArray:
        """``(n,)`` intersection over union with the pixels' rings; 0 for what is no ring."""
        out = np.zeros(self.n)
        good = np.flatnonzero(self.counts[which] >= 3)
        shapes = areas_of(*self.take(which[good]))
        valid = shapely.is_valid(shapes)
        good, shapes = good[valid], shapes[valid]
        out[good] = intersection_over_union(shapes, self.traced[good])
        return out


def areas_of(xy: FloatArray, corner_counts: IntArray, ring_counts: IntArray | None = None) -> NDArray[np.object_]:
    """Shapely polygons of rings that are not closed; ``ring_counts`` None: one ring each."""
    closed, begins = close_rings(xy, starts(corner_counts))
    rings = np.ones(corner_counts.size, np.int64) if ring_counts is None else ring_counts
    return np.asarray(shapely.from_ragged_array(shapely.GeometryType.POLYGON, closed, (begins, starts(rings))))


def intersection_over_union(one: NDArray[np.object_], other: NDArray[np.object_]) -> FloatArray:
    """``(n,)`` of valid areas, pair by pair."""
    common = shapely.area(shapely.intersection(one, other))
    return np.asarray(common / np.maximum(shapely.area(one) + shapely.area(other) - common, 1e-300))
