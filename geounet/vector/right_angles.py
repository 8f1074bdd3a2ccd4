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
from numba import njit

LEAST = 2.5
"""Pixels; shorter walls are not kept, and no end of a wall is turned farther than this from where it is."""
_WANDER = 1.1
"""Pixels by which the middles of one wall may lie beside it: half for the grid, the rest for noise."""
_SLANTED, _LONG = 25.0, 6.0
"""Degrees from the building's directions from which a wall keeps its own, and pixels that it must have."""
_CROSSING = 0.2
"""Sine of the angle from which the place where two walls cross is a corner."""
_WINDOW = 10.0
"""Degrees around a direction that speak for it."""
_MOST_WALLS = 1000
"""A ring with more is no building."""
_ALONG, _ACROSS, _OWN = 0, 1, 2


@njit(cache=True, nogil=True)
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


@njit(cache=True, nogil=True)
def _farthest(xy: Any, x: float, y: float) -> int:
    best, far = 0, -1.0
    for i in range(xy.shape[0]):
        d = (xy[i, 0] - x) ** 2 + (xy[i, 1] - y) ** 2
        if d > far + 1e-9:
            best, far = i, d
    return best


@njit(cache=True, nogil=True)
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


@njit(cache=True, nogil=True)
def _apart(angle: float, other: float) -> float:
    """Degrees from one direction to another modulo 90, -45 to 45."""
    return (angle - other + 45.0) % 90.0 - 45.0


@njit(cache=True, nogil=True)
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
            votes += weight[k] * max(0.0, 1.0 - abs(_apart(angle[k], whole)) / _WINDOW)
        if votes > most * (1.0 + 1e-9):
            best, most = float(whole), votes
    total, turn = 0.0, 0.0
    for k in range(m):  # the slopes of straight lines through the walls' middles, which corners do not pull at
        if abs(_apart(angle[k], best)) < _WINDOW:
            own = _slope(xy, breaks[k], breaks[(k + 1) % m], n)
            share = weight[k] ** 1.5
            total, turn = total + share, turn + share * _apart(own, best)
    return (best + turn / total) % 90.0 if total > 0 else best


@njit(cache=True, nogil=True)
def _sums(xy: Any, a: int, b: int, n: int, out: Any) -> None:
    """Add number, sums and sums of products of a wall's middles; without its ends where there are enough."""
    last = b if b > a else b + n
    first = a
    if last - first >= 4:
        first, last = first + 1, last - 1
    for i in range(first, last + 1):
        x, y = xy[i % n, 0], xy[i % n, 1]
        out[0] += 1.0
        out[1] += x
        out[2] += y
        out[3] += x * x
        out[4] += x * y
        out[5] += y * y


@njit(cache=True, nogil=True)
def _axis(sums: Any) -> float:
    """Radians: direction of the straight line through a wall's middles (least squares across it)."""
    n = sums[0]
    xx = sums[3] - sums[1] * sums[1] / n
    xy = sums[4] - sums[1] * sums[2] / n
    yy = sums[5] - sums[2] * sums[2] / n
    return 0.5 * math.atan2(2.0 * xy, xx - yy)


@njit(cache=True, nogil=True)
def _slope(xy: Any, a: int, b: int, n: int) -> float:
    sums = np.zeros(6)
    _sums(xy, a, b, n, sums)
    return math.degrees(_axis(sums))


@njit(cache=True, nogil=True)
def _fit(kind: int, sums: Any, line: Any) -> None:
    """The line ``nx x + ny y = c`` of a wall, into ``line``."""
    if kind == _ALONG:
        line[0], line[1] = 0.0, 1.0
    elif kind == _ACROSS:
        line[0], line[1] = 1.0, 0.0
    else:
        turn = _axis(sums)
        line[0], line[1] = -math.sin(turn), math.cos(turn)
    line[2] = (line[0] * sums[1] + line[1] * sums[2]) / sums[0]


@njit(cache=True, nogil=True)
def _same_wall(kind: Any, line: Any, heading: Any, i: int, j: int) -> bool:
    """Whether neighbours run the same way in nearly the same line."""
    if kind[i] != kind[j] or heading[i, 0] * heading[j, 0] + heading[i, 1] * heading[j, 1] <= 0.0:
        return False
    if kind[i] == _OWN:
        turn = abs(line[i, 0] * line[j, 1] - line[i, 1] * line[j, 0])
        one, other = math.hypot(heading[i, 0], heading[i, 1]), math.hypot(heading[j, 0], heading[j, 1])
        return bool(turn * min(one, other) < LEAST)
    return bool(abs(line[i, 2] - line[j, 2]) < LEAST)


@njit(cache=True, nogil=True)
def _corner(kind: Any, line: Any, start: Any, i: int, j: int, out: Any) -> bool:
    """Where wall ``i`` ends and ``j`` begins, into ``out`` (2, 2); whether that is one place."""
    det = line[i, 0] * line[j, 1] - line[i, 1] * line[j, 0]
    if abs(det) > _CROSSING:
        x = (line[i, 2] * line[j, 1] - line[i, 1] * line[j, 2]) / det
        y = (line[i, 0] * line[j, 2] - line[i, 2] * line[j, 0]) / det
        out[0, 0] = out[1, 0] = x
        out[0, 1] = out[1, 1] = y
        return True
    for k, wall in ((0, i), (1, j)):  # a step, where the one was parted from the other
        away = line[wall, 2] - line[wall, 0] * start[j, 0] - line[wall, 1] * start[j, 1]
        out[k, 0] = start[j, 0] + away * line[wall, 0]
        out[k, 1] = start[j, 1] + away * line[wall, 1]
    if kind[i] != kind[j] or kind[i] == _OWN:  # they bend a little
        for axis in range(2):
            out[0, axis] = out[1, axis] = 0.5 * (out[0, axis] + out[1, axis])
        return True
    return False


@njit(cache=True, nogil=True)
def _take_out(order: Any, count: int, at: int) -> int:
    for k in range(at, count - 1):
        order[k] = order[k + 1]
    return count - 1


@njit(cache=True, nogil=True)
def _join(order: Any, count: int, kind: Any, line: Any, heading: Any, sums: Any) -> int:
    """Join neighbours in one line; how many walls are left."""
    k = 0
    while k < count and count > 2:
        i, j = order[k], order[(k + 1) % count]
        if not _same_wall(kind, line, heading, i, j):
            k += 1
            continue
        sums[i] += sums[j]
        heading[i] += heading[j]
        _fit(kind[i], sums[i], line[i])
        at = (k + 1) % count
        count = _take_out(order, count, at)
        k = max(k - 1, 0) if at else 0
    return count


@njit(cache=True, nogil=True)
def _shortest(order: Any, count: int, kind: Any, line: Any, heading: Any, start: Any) -> int:
    """The place of the shortest wall below `LEAST` (negative where its ends have changed places); -1 for none."""
    before, after = np.empty((2, 2)), np.empty((2, 2))
    worst, least = -1, LEAST
    for k in range(count):
        i = order[k]
        _corner(kind, line, start, order[k - 1] if k else order[count - 1], i, before)
        _corner(kind, line, start, i, order[(k + 1) % count], after)
        dx, dy = after[0, 0] - before[1, 0], after[0, 1] - before[1, 1]
        length = math.hypot(dx, dy)
        if dx * heading[i, 0] + dy * heading[i, 1] < 0:
            length = -length
        if length < least - 1e-9:
            worst, least = k, length
    return worst


@njit(cache=True, nogil=True)
def _walls(xy: Any, breaks: Any) -> Any:
    """``(corners, 2)`` of the ring of walls, along whose frame the building lies; none where it has no form."""
    n, m = xy.shape[0], breaks.size
    kind, line, sums = np.empty(m, np.int64), np.empty((m, 3)), np.zeros((m, 6))
    heading, start, order = np.empty((m, 2)), np.empty((m, 2)), np.arange(m)
    for k in range(m):
        a, b = breaks[k], breaks[(k + 1) % m]
        dx, dy = xy[b, 0] - xy[a, 0], xy[b, 1] - xy[a, 1]
        heading[k, 0], heading[k, 1] = dx, dy
        start[k] = xy[a]
        _sums(xy, a, b, n, sums[k])
        off = abs(_apart(math.degrees(math.atan2(dy, dx)), 0.0))
        kind[k] = _ALONG if abs(dx) >= abs(dy) else _ACROSS
        length = math.hypot(dx, dy)
        if (off > _SLANTED and length > _LONG) or 0.5 * length * math.sin(math.radians(off)) > LEAST:
            kind[k] = _OWN
        _fit(kind[k], sums[k], line[k])
    count = _join(order, m, kind, line, heading, sums)
    while count >= 3:
        worst = _shortest(order, count, kind, line, heading, start)
        if worst < 0:
            break
        count = _take_out(order, count, worst)
        count = _join(order, count, kind, line, heading, sums)
    out, size, here = np.empty((2 * m, 2)), 0, np.empty((2, 2))
    for k in range(count if count >= 3 else 0):
        single = _corner(kind, line, start, order[k], order[(k + 1) % count], here)
        for place in range(1 if single else 2):
            out[size] = here[place]
            size += 1
    return out[:size]


@njit(cache=True, nogil=True)
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


@njit(cache=True, nogil=True)
def _put(found: Any, out: Any, at: int, turn: float, frame: Any, corner: Any) -> int:
    """Corners in a turned frame as pixel coordinates, to ``out`` from ``at`` on; where they end."""
    c, s = math.cos(turn), math.sin(turn)
    det = frame[0, 0] * frame[1, 1] - frame[0, 1] * frame[1, 0]
    for i in range(found.shape[0]):
        x, y = c * found[i, 0] - s * found[i, 1], s * found[i, 0] + c * found[i, 1]
        out[at + i, 0] = corner[0] + (frame[1, 1] * x - frame[0, 1] * y) / det
        out[at + i, 1] = corner[1] + (frame[0, 0] * y - frame[1, 0] * x) / det
    return at + found.shape[0]


@njit(cache=True, nogil=True)
def _turned(xy: Any, turn: float) -> Any:
    c, s = math.cos(turn), math.sin(turn)
    out = np.empty_like(xy)
    for i in range(xy.shape[0]):
        out[i, 0], out[i, 1] = c * xy[i, 0] + s * xy[i, 1], c * xy[i, 1] - s * xy[i, 0]
    return out


@njit(cache=True, nogil=True)
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
                found = _walls(_turned(xy, turn), breaks)
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
