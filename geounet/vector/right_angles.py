"""Outlines of buildings with right angles: two proposals for every ring of pixels, compiled.

A ring is taken as the middles of its pixel edges, which lie within half a pixel of a straight wall however that is
turned. They are parted into walls (Douglas and Peucker), and the walls' directions, weighted by the squares of
their lengths and taken modulo 90°, tell how the building is turned. Each wall is then snapped to that direction or
to its normal, or keeps its own where it would leave the pixels for that; it lies in the mean of its middles. What
is shorter than `LEAST` goes, neighbours in one line are joined, and corners are where neighbours meet. The other
proposal is the rectangle in that direction with the ring's centre, moments and area.
"""

# ruff: noqa: PLR0917 - compiled functions are called with positions

from __future__ import annotations

import math
from typing import Any

import numpy as np

from geounet.kernels import kernel
from geounet.vector.walls import apart, slope, walls_of

_WANDER = 1.1
"""Pixels by which the middles of one wall may lie beside it: half for the grid, the rest for noise."""
_WINDOW = 10.0
"""Degrees around a direction that speak for it."""
_MOST_WALLS = 1000
"""A ring with more is no building."""


@kernel
def _middles(corners: Any, a: int, b: int, frame: Any) -> Any:
    """``(n, 2)`` middles of the pixel edges of a ring, from its first corner, in units of the frame."""
    n = 0
    for i in range(a, b):
        j = i + 1 if i + 1 < b else a
        n += abs(corners[j, 0] - corners[i, 0]) + abs(corners[j, 1] - corners[i, 1])
    out = np.empty((n, 2))
    k = 0
    for i in range(a, b):
        j = i + 1 if i + 1 < b else a
        dx, dy = corners[j, 0] - corners[i, 0], corners[j, 1] - corners[i, 1]
        size = abs(dx) + abs(dy)
        for s in range(size):
            t = (s + 0.5) / size
            x, y = corners[i, 0] - corners[a, 0] + t * dx, corners[i, 1] - corners[a, 1] + t * dy
            out[k, 0], out[k, 1] = frame[0, 0] * x + frame[0, 1] * y, frame[1, 0] * x + frame[1, 1] * y
            k += 1
    return out


@kernel
def _farthest(xy: Any, x: float, y: float) -> int:
    best, far = 0, -1.0
    for i in range(xy.shape[0]):
        d = (xy[i, 0] - x) ** 2 + (xy[i, 1] - y) ** 2
        if d > far + 1e-9:
            best, far = i, d
    return best


@kernel
def _breaks(xy: Any, tolerance: float) -> Any:
    """Places in a closed line at which a wall ends and the next begins (Douglas and Peucker)."""
    n = xy.shape[0]
    first = _farthest(xy, xy[:, 0].mean(), xy[:, 1].mean())
    second = _farthest(xy, xy[first, 0], xy[first, 1])
    keep = np.zeros(n, np.bool_)
    keep[first] = keep[second] = True
    stack = [(first, second if second > first else second + n), (second, first if first > second else first + n)]
    while stack:
        a, b = stack.pop()
        ax, ay = xy[a % n, 0], xy[a % n, 1]
        dx, dy = xy[b % n, 0] - ax, xy[b % n, 1] - ay
        length = math.hypot(dx, dy)
        worst, far = -1, tolerance
        for i in range(a + 1, b):
            px, py = xy[i % n, 0] - ax, xy[i % n, 1] - ay
            d = abs(px * dy - py * dx) / length if length > 0 else math.hypot(px, py)
            if d > far + 1e-9:
                worst, far = i, d
        if worst >= 0:
            keep[worst % n] = True
            stack.append((a, worst))
            stack.append((worst, b))
    return np.flatnonzero(keep)


@kernel
def _direction(xy: Any, breaks: Any) -> float:
    """Degrees, 0 to 90: how the building is turned."""
    n, m = xy.shape[0], breaks.size
    angle, weight = np.empty(m), np.empty(m)
    for k in range(m):
        a, b = breaks[k], breaks[(k + 1) % m]
        dx, dy = xy[b, 0] - xy[a, 0], xy[b, 1] - xy[a, 1]
        angle[k], weight[k] = math.degrees(math.atan2(dy, dx)), dx * dx + dy * dy
    best, most = 0.0, -1.0
    for whole in range(90):
        votes = 0.0
        for k in range(m):
            votes += weight[k] * max(0.0, 1.0 - abs(apart(angle[k], whole)) / _WINDOW)
        if votes > most * (1.0 + 1e-9):
            best, most = float(whole), votes
    total, turn = 0.0, 0.0
    for k in range(m):  # the slopes of straight lines through the walls' middles, which corners do not pull at
        if abs(apart(angle[k], best)) < _WINDOW:
            own = slope(xy, breaks[k], breaks[(k + 1) % m], n)
            share = weight[k] ** 1.5
            total, turn = total + share, turn + share * apart(own, best)
    return (best + turn / total) % 90.0 if total > 0 else best


@kernel
def _rectangle(xy: Any) -> Any:
    """``(4, 2)`` the rectangle along the axes with centre, area and moments of a ring."""
    area, mx, my, mxx, myy = 0.0, 0.0, 0.0, 0.0, 0.0
    n = xy.shape[0]
    for i in range(n):
        x, y, u, v = xy[i, 0], xy[i, 1], xy[(i + 1) % n, 0], xy[(i + 1) % n, 1]
        cross = x * v - u * y
        area += cross / 2
        mx += cross * (x + u) / 6
        my += cross * (y + v) / 6
        mxx += cross * (x * x + x * u + u * u) / 12
        myy += cross * (y * y + y * v + v * v) / 12
    cx, cy = mx / area, my / area
    wide, high = math.sqrt(max(mxx / area - cx * cx, 1e-12)), math.sqrt(max(myy / area - cy * cy, 1e-12))
    scale = math.sqrt(abs(area) / (wide * high)) / 2
    wide, high = wide * scale, high * scale
    sign = 1.0 if area > 0 else -1.0
    out = np.empty((4, 2))
    for k in range(4):
        out[k, 0] = cx + (wide if k in (1, 2) else -wide)
        out[k, 1] = cy + sign * (high if k in (2, 3) else -high)
    return out


@kernel
def _put(found: Any, out: Any, at: int, turn: float, frame: Any, corner: Any) -> int:
    """Corners in a turned frame as pixel coordinates, to ``out`` from ``at`` on; where they end."""
    c, s = math.cos(turn), math.sin(turn)
    det = frame[0, 0] * frame[1, 1] - frame[0, 1] * frame[1, 0]
    for i in range(found.shape[0]):
        x, y = c * found[i, 0] - s * found[i, 1], s * found[i, 0] + c * found[i, 1]
        out[at + i, 0] = corner[0] + (frame[1, 1] * x - frame[0, 1] * y) / det
        out[at + i, 1] = corner[1] + (frame[0, 0] * y - frame[1, 0] * x) / det
    return at + found.shape[0]


@kernel
def _turned(xy: Any, turn: float) -> Any:
    c, s = math.cos(turn), math.sin(turn)
    out = np.empty_like(xy)
    for i in range(xy.shape[0]):
        out[i, 0], out[i, 1] = c * xy[i, 0] + s * xy[i, 1], c * xy[i, 1] - s * xy[i, 0]
    return out


@kernel
def proposals(corners: Any, ring_starts: Any, polygon_starts: Any, frames: Any) -> Any:
    """Walls and rectangle for every ring of polygons of pixels.

    Args:
        corners: ``(corners, 2)`` whole pixel coordinates of rings, not closed; edges run along rows and columns.
        ring_starts: ``(rings + 1,)``.
        polygon_starts: ``(polygons + 1,)``; all rings of a polygon have the direction of its first.
        frames: ``(polygons, 2, 2)`` from pixels to a plane in which angles are true and a pixel has area 1.

    Returns corners of the walls, ``(rings,)`` how many each ring has (0: it has no such form), and the corners of
    the rectangles ``(4 * rings, 2)``, in pixel coordinates.
    """
    rings = ring_starts.size - 1
    walls, counts = np.empty((2 * corners.shape[0] + 8, 2)), np.zeros(rings, np.int64)
    boxes, size = np.empty((4 * rings, 2)), 0
    for p in range(polygon_starts.size - 1):
        turn, frame = 0.0, frames[p]
        for r in range(polygon_starts[p], polygon_starts[p + 1]):
            a, b = ring_starts[r], ring_starts[r + 1]
            xy = _middles(corners, a, b, frame)
            breaks = _breaks(xy, _WANDER)
            if r == polygon_starts[p]:
                turn = math.radians(_direction(xy, breaks))
            if 3 <= breaks.size <= _MOST_WALLS:
                found = walls_of(_turned(xy, turn), breaks)
                if size + found.shape[0] > walls.shape[0]:
                    more = np.empty((2 * walls.shape[0], 2))
                    more[:size] = walls[:size]
                    walls = more
                end = _put(found, walls, size, turn, frame, corners[a])
                counts[r], size = end - size, end
            own = np.empty((b - a, 2))
            for i in range(a, b):
                x, y = corners[i, 0] - corners[a, 0], corners[i, 1] - corners[a, 1]
                own[i - a, 0] = frame[0, 0] * x + frame[0, 1] * y
                own[i - a, 1] = frame[1, 0] * x + frame[1, 1] * y
            _put(_rectangle(_turned(own, turn)), boxes, 4 * r, turn, frame, corners[a])
    return walls[:size].copy(), counts, boxes
