"""Areas and lengths of polygons in the plane, many at once."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]


def planar_areas(xy: FloatArray, ring_starts: NDArray[np.int64], polygon_starts: NDArray[np.int64]) -> FloatArray:
    """``(polygons,)`` areas in the plane: shell minus holes."""
    following = _following(ring_starts, xy.shape[0])
    # about the first corner, so that large coordinates cancel before they are multiplied
    origin = np.repeat(xy[np.minimum(ring_starts[:-1], max(xy.shape[0] - 1, 0))], np.diff(ring_starts), axis=0)
    near = xy - origin
    cross = near[:, 0] * near[following, 1] - near[following, 0] * near[:, 1]
    ring = np.repeat(np.arange(ring_starts.size - 1), np.diff(ring_starts))
    rings = np.abs(np.bincount(ring, weights=cross, minlength=ring_starts.size - 1)) / 2
    shell = np.zeros(rings.size, bool)
    shell[polygon_starts[:-1]] = True
    owner = np.repeat(np.arange(polygon_starts.size - 1), np.diff(polygon_starts))
    areas = np.bincount(owner, weights=np.where(shell, rings, -rings), minlength=polygon_starts.size - 1)
    return np.asarray(areas, np.float64)


def planar_lengths(xy: FloatArray, ring_starts: NDArray[np.int64], polygon_starts: NDArray[np.int64]) -> FloatArray:
    """``(polygons,)`` lengths in the plane of all rings."""
    edges = np.hypot(*(xy[_following(ring_starts, xy.shape[0])] - xy).T)
    corner_owner = np.repeat(
        np.repeat(np.arange(polygon_starts.size - 1), np.diff(polygon_starts)), np.diff(ring_starts)
    )
    return np.asarray(np.bincount(corner_owner, weights=edges, minlength=polygon_starts.size - 1), np.float64)


def _following(ring_starts: NDArray[np.int64], corners: int) -> NDArray[np.int64]:
    """``(corners,)`` the place of the next corner of the same ring."""
    out = np.arange(1, corners + 1)
    filled = ring_starts[1:] > ring_starts[:-1]
    out[ring_starts[1:][filled] - 1] = ring_starts[:-1][filled]
    return out
