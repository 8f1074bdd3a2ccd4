"""The walls of a building that lies along the axes: fitted to its outline, joined and cornered, compiled.

What `geounet.vector.right_angles` says of walls is done here.
"""

# ruff: noqa: PLR0917 - compiled functions are called with positions

from __future__ import annotations

import math
from typing import Any

import numpy as np

from geounet.kernels import kernel

LEAST = 2.5
"""Pixels; shorter walls are not kept, and no end of a wall is turned farther than this from where it is."""
_SLANTED, _LONG = 25.0, 6.0
"""Degrees from the building's directions from which a wall keeps its own, and pixels that it must have."""
_CROSSING = 0.2
"""Sine of the angle from which the place where two walls cross is a corner."""
_ALONG, _ACROSS, _OWN = 0, 1, 2


@kernel
def apart(angle: float, other: float) -> float:
    """Degrees from one direction to another modulo 90, -45 to 45."""
    return (angle - other + 45.0) % 90.0 - 45.0


@kernel
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


@kernel
def _axis(sums: Any) -> float:
    """Radians: direction of the straight line through a wall's middles (least squares across it)."""
    n = sums[0]
    xx = sums[3] - sums[1] * sums[1] / n
    xy = sums[4] - sums[1] * sums[2] / n
    yy = sums[5] - sums[2] * sums[2] / n
    return 0.5 * math.atan2(2.0 * xy, xx - yy)


@kernel
def slope(xy: Any, a: int, b: int, n: int) -> float:
    """Degrees: the direction of the straight line through a wall's middles."""
    sums = np.zeros(6)
    _sums(xy, a, b, n, sums)
    return math.degrees(_axis(sums))


@kernel
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


@kernel
def _same_wall(kind: Any, line: Any, heading: Any, i: int, j: int) -> bool:
    """Whether neighbours run the same way in nearly the same line."""
    if kind[i] != kind[j] or heading[i, 0] * heading[j, 0] + heading[i, 1] * heading[j, 1] <= 0.0:
        return False
    if kind[i] == _OWN:
        turn = abs(line[i, 0] * line[j, 1] - line[i, 1] * line[j, 0])
        one, other = math.hypot(heading[i, 0], heading[i, 1]), math.hypot(heading[j, 0], heading[j, 1])
        return bool(turn * min(one, other) < LEAST)
    return bool(abs(line[i, 2] - line[j, 2]) < LEAST)


@kernel
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


@kernel
def _take_out(order: Any, count: int, at: int) -> int:
    for k in range(at, count - 1):
        order[k] = order[k + 1]
    return count - 1


@kernel
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


@kernel
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


@kernel
def walls_of(xy: Any, breaks: Any) -> Any:
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
        off = abs(apart(math.degrees(math.atan2(dy, dx)), 0.0))
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
