"""Lines with fewer points that stay lines: longer than nothing, not crossing themselves, rings as rings.

All are simplified at once, after J. Bruen Douglas and T. Peucker, 1973; the few that this would fold are done
again by themselves, with points pinned and ever finer, so that no line depends on which others there are, but for
those that join the same two places.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import shapely
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

_HALVINGS = 12
"""Times that a tolerance is halved before a line stays as it was."""


def straightened(lines: NDArray[np.object_], tolerance: FloatArray) -> NDArray[np.object_]:
    """LineStrings ``(n,)`` without the points that are nearer than ``tolerance`` ``(n,)`` to what is left.

    Ends stay. A line that is no line even with all its points becomes None.
    """
    out = np.asarray(shapely.simplify(lines, tolerance, preserve_topology=False), object)
    for k in np.flatnonzero(~sound(out) | _twins(out)):
        out[k] = _by_itself(lines[k], float(tolerance[k]))
    return out


def sound(lines: NDArray[np.object_]) -> NDArray[np.bool_]:
    """``(n,)`` whether a line is longer than nothing and does not cross or touch itself but where a ring closes."""
    return np.asarray(shapely.is_valid(lines) & (shapely.length(lines) > 0) & shapely.is_simple(lines))


def _twins(lines: NDArray[np.object_]) -> NDArray[np.bool_]:
    """``(n,)`` whether a line is nothing but its two ends, and another one is the same."""
    out = np.zeros(lines.size, np.bool_)
    bare = np.flatnonzero(shapely.get_num_coordinates(lines) == 2)
    if bare.size:
        ends = shapely.get_coordinates(lines[bare]).reshape(-1, 2, 2)
        turned = (ends[:, 0, 0] > ends[:, 1, 0]) | (
            (ends[:, 0, 0] == ends[:, 1, 0]) & (ends[:, 0, 1] > ends[:, 1, 1])
        )
        ends[turned] = ends[turned, ::-1]
        _, which, count = np.unique(ends.reshape(-1, 4), axis=0, return_inverse=True, return_counts=True)
        out[bare] = count[which.reshape(-1)] > 1
    return out


def _by_itself(line: shapely.LineString, tolerance: float) -> shapely.LineString | None:
    """A line simplified between pinned points, as coarsely as it stays sound."""
    points = shapely.get_coordinates(line)
    pins = _pins(points)
    for k in range(_HALVINGS):
        found = _between(points, pins, tolerance / 2**k)
        if sound(np.array([found], object))[0]:
            return found
    closed = bool((points[0] == points[-1]).all())
    good = sound(np.array([line], object))[0] if closed else line.length > 0
    return line if good else None


def _pins(points: FloatArray) -> list[int]:
    """Of a ring the point farthest from its node; of all lines that farthest from the chord."""
    last = len(points) - 1
    far = last
    if (points[0] == points[-1]).all():
        far = int(np.argmax(np.hypot(*(points - points[0]).T)))
    u, v = (points[far] - points[0]), points - points[0]
    off = int(np.argmax(np.abs(u[0] * v[:, 1] - u[1] * v[:, 0])))
    return sorted({0, off, far, last})


def _between(points: FloatArray, pins: list[int], tolerance: float) -> shapely.LineString:
    pieces = [shapely.LineString(points[a : b + 1]) for a, b in pairwise(pins)]
    thin = [shapely.get_coordinates(p) for p in shapely.simplify(pieces, tolerance, preserve_topology=False)]
    return shapely.LineString(np.concatenate([thin[0], *(piece[1:] for piece in thin[1:])]))
