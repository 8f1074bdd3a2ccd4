"""Arcs: borders from node to node, simplified and rounded one by one, each without knowledge of the others.

A *node* is a vertex in which three borders or four meet, one on the raster's rim, or one that was pinned; an *arc*
runs from one node to the next. So what borders on the rim goes on doing so, corners of the raster included. What
becomes of an arc depends on its own corners and on one fixed set, that of all vertices of the raster as it was: a
corner goes only if the closed triangle with its two neighbours holds no vertex but the arc's own that have gone
already. That is enough, whatever becomes of the others and in whatever order:

- take two arcs A and B that do not meet but in nodes, and cut corners off A. A's new edge is a side of a triangle
  whose other two sides are A's as well. An edge of B that crossed the new edge would have to end in the triangle
  or leave it through A; neither is so. So the new A does not cross the old B;
- the corners that the new A has left are some that the old one had. So the triangles of B hold none of them
  either, and by the same reason the new B does not cross the new A.

Two arcs may then still fall upon one chord, if they have both ends in common; and a ring needs an inside. So each
ring that has fewer than three nodes gets some pinned, and both sides of a border know of these. Since an arc is
always taken from its earlier end to its later one, the two polygons that it parts get the very same corners.

Rounding a corner keeps within the triangle of the corner and two points on its edges, no farther than the middle;
where no vertex but the corner lies in that, the same reasoning holds, and two such triangles never meet: no edge
enters one, and sides that do not cross leave two chords that would cross an odd number of times.

The order of corners by the triangle is that of M. Visvalingam and J. D. Whyatt, Line generalisation by repeated
elimination of points, 1993.
"""

# ruff: noqa: PLR0917 - compiled functions are called with positions

from __future__ import annotations

import math
from typing import Any

import numpy as np

from geounet.kernels import kernel
from geounet.vector.heaps import pop, push, sort


@kernel
def _from(codes: Any, low: int, high: int, x: int) -> int:
    """The first place in ``codes[low:high]`` whose column is at least ``x``."""
    while low < high:
        middle = (low + high) // 2
        if codes[middle] >> 1 < x:
            low = middle + 1
        else:
            high = middle
    return low


@kernel
def _places(corners: Any, a: int, b: int, codes: Any, rows: Any, out: Any) -> int:
    """Places in ``codes`` of the corners ``a`` to ``b``; returns how many of them are nodes."""
    nodes = 0
    for i in range(a, b):
        y = corners[i, 1]
        out[i - a] = _from(codes, rows[y], rows[y + 1], corners[i, 0])
        nodes += codes[out[i - a]] & 1
    return nodes


@kernel
def _cross(ax: Any, ay: Any, bx: Any, by: Any, cx: Any, cy: Any) -> Any:
    """Twice the area of a triangle, with its sign."""
    return (bx - ax) * (cy - ay) - (by - ay) * (cx - ax)


@kernel
def pin(corners: Any, ring_starts: Any, codes: Any, rows: Any) -> None:
    """Pin vertices of rings with fewer than three nodes, in ``codes``, so that each keeps a triangle."""
    for r in range(ring_starts.size - 1):
        a, b = ring_starts[r], ring_starts[r + 1]
        at = np.empty(b - a, np.int64)
        nodes = _places(corners, a, b, codes, rows, at)
        if nodes > 2:
            continue
        ends = np.full(2, -1, np.int64)
        n = 0
        for i in range(b - a):
            if codes[at[i]] & 1:
                ends[n] = i
                n += 1
        if n == 0:  # the first vertex in row-major order
            ends[0] = np.argmin(at)
        xy = corners[a:b].astype(np.int64)
        if n < 2:
            ends[1] = _farthest(xy, at, ends[0], ends[0])
        third = _farthest(xy, at, ends[0], ends[1])
        codes[at[ends[0]]] |= 1
        codes[at[ends[1]]] |= 1
        codes[at[third]] |= 1


@kernel
def _farthest(xy: Any, at: Any, i: int, j: int) -> int:
    """The corner that is farthest from the line through ``i`` and ``j`` (or from ``i``, if they are the same)."""
    best, most = 0, np.int64(-1)
    for k in range(at.size):
        if i == j:
            far = (xy[k, 0] - xy[i, 0]) ** 2 + (xy[k, 1] - xy[i, 1]) ** 2
        else:
            far = abs(_cross(xy[i, 0], xy[i, 1], xy[j, 0], xy[j, 1], xy[k, 0], xy[k, 1]))
        if far > most or (far == most and at[k] < at[best]):
            best, most = k, far
    return best


@kernel
def _own_and_gone(place: int, own: Any, alive: Any) -> bool:
    """Whether the vertex at ``place`` is one of the arc's that has gone; ``own``: sorted ``place * m + number``."""
    m = alive.size
    low, high = 0, m
    while low < high:
        middle = (low + high) // 2
        if own[middle] // m < place:
            low = middle + 1
        else:
            high = middle
    return low < m and own[low] // m == place and not alive[own[low] % m]


@kernel
def _span(y: float, ax: Any, ay: Any, bx: Any, by: Any, low: float, high: float) -> tuple[float, float]:
    """Stretch from ``low`` to ``high`` by where an edge lies in row ``y``."""
    if min(ay, by) <= y <= max(ay, by):
        if ay == by:
            return min(low, ax, bx), max(high, ax, bx)
        x = ax + (y - ay) * (bx - ax) / (by - ay)
        return min(low, x), max(high, x)
    return low, high


@kernel
def _is_free(
    ax: Any, ay: Any, vx: Any, vy: Any, bx: Any, by: Any,
    skip_a: int, skip_v: int, skip_b: int,
    codes: Any, rows: Any, own: Any, alive: Any, slack: float,
) -> bool:  # fmt: skip
    """Whether the closed triangle holds no vertex but those at the three places and own ones that have gone."""
    top, bottom = math.ceil(min(ay, vy, by) - slack), math.floor(max(ay, vy, by) + slack)
    for y in range(max(top, 0), min(bottom, rows.size - 2) + 1):
        low, high = _span(y, ax, ay, vx, vy, np.inf, -np.inf)
        low, high = _span(y, vx, vy, bx, by, low, high)
        low, high = _span(y, ax, ay, bx, by, low, high)
        if low > high:
            continue
        end = rows[y + 1]
        k = _from(codes, rows[y], end, math.ceil(low - 1e-6))
        while k < end and codes[k] >> 1 <= high + 1e-6:
            if k not in (skip_a, skip_v, skip_b):
                x = codes[k] >> 1
                s0 = _cross(ax, ay, vx, vy, x, y)
                s1 = _cross(vx, vy, bx, by, x, y)
                s2 = _cross(bx, by, ax, ay, x, y)
                inside = (s0 >= -slack and s1 >= -slack and s2 >= -slack) or (
                    s0 <= slack and s1 <= slack and s2 <= slack
                )
                if inside and not _own_and_gone(k, own, alive):
                    return False
            k += 1
    return True


@kernel
def _thin(xy: Any, at: Any, own: Any, alive: Any, limit: float, codes: Any, rows: Any) -> None:
    """Take corners off one arc, the smallest triangle (twice its area) first, up to ``limit``."""
    m = at.size
    before, after = np.arange(-1, m - 1), np.arange(1, m + 1)
    now = np.full(m, -1, np.int64)
    areas, who = np.empty(3 * m, np.int64), np.empty(3 * m, np.int64)
    n = 0
    for i in range(1, m - 1):
        now[i] = abs(_cross(xy[i - 1, 0], xy[i - 1, 1], xy[i, 0], xy[i, 1], xy[i + 1, 0], xy[i + 1, 1]))
        if now[i] <= limit:
            push(areas, who, n, now[i], i)
            n += 1
    while n > 0:
        area, v = areas[0], who[0]
        pop(areas, who, n)
        n -= 1
        if not alive[v] or now[v] != area:
            continue
        p, q = before[v], after[v]
        if not _is_free(
            xy[p, 0], xy[p, 1], xy[v, 0], xy[v, 1], xy[q, 0], xy[q, 1],
            at[p], at[v], at[q], codes, rows, own, alive, 0,
        ):  # fmt: skip
            continue
        alive[v] = False
        after[p], before[q] = q, p
        for i in (p, q):
            if 0 < i < m - 1:
                b, a = before[i], after[i]
                now[i] = abs(_cross(xy[b, 0], xy[b, 1], xy[i, 0], xy[i, 1], xy[a, 0], xy[a, 1]))
                if now[i] <= limit:
                    push(areas, who, n, now[i], i)
                    n += 1


@kernel
def _towards(v: float, p: float, length: float, reach: float) -> float:
    return v + (p - v) * (0.5 if length <= 2 * reach else reach / length)


_STEPS = 4
"""Pieces of the parabola that rounds a corner."""


@kernel
def _round(xy: Any, at: Any, own: Any, alive: Any, reach: float, codes: Any, rows: Any, out: Any, n: int) -> int:
    """Append an arc without its last corner to ``out``, rounded where there is room; returns the new length."""
    last = 0
    for i in range(at.size - 1):
        if not alive[i]:
            continue
        if i == 0:
            out[n, 0], out[n, 1] = xy[0, 0], xy[0, 1]
            n += 1
            continue
        j = i + 1
        while not alive[j]:
            j += 1
        vx, vy = float(xy[i, 0]), float(xy[i, 1])
        to_p = math.hypot(xy[last, 0] - vx, xy[last, 1] - vy)
        to_q = math.hypot(xy[j, 0] - vx, xy[j, 1] - vy)
        ax, ay = _towards(vx, xy[last, 0], to_p, reach), _towards(vy, xy[last, 1], to_p, reach)
        bx, by = _towards(vx, xy[j, 0], to_q, reach), _towards(vy, xy[j, 1], to_q, reach)
        last = i
        if not _is_free(ax, ay, vx, vy, bx, by, -1, at[i], -1, codes, rows, own, alive, 1e-9):
            out[n, 0], out[n, 1] = vx, vy
            n += 1
            continue
        for s in range(_STEPS + 1):
            t = s / _STEPS
            x = (1 - t) * ((1 - t) * ax + t * vx) + t * ((1 - t) * vx + t * bx)
            y = (1 - t) * ((1 - t) * ay + t * vy) + t * ((1 - t) * vy + t * by)
            if n == 0 or out[n - 1, 0] != x or out[n - 1, 1] != y:
                out[n, 0], out[n, 1] = x, y
                n += 1
    return n


@kernel
def reshape(corners: Any, ring_starts: Any, codes: Any, rows: Any, limit: float, reach: float) -> tuple[Any, Any]:
    """Rings ``corners[ring_starts[r]:ring_starts[r + 1]]`` with simplified and rounded arcs.

    ``codes``: of every vertex, row by row, twice its column, plus 1 for a node; ``rows`` where each row begins;
    ``limit`` twice the area in square pixels up to which corners go (negative: all stay); ``reach`` pixels from
    a corner within which it is rounded (0: none is). Returns corners ``(n, 2)`` float64 and those of each ring.
    """
    counts = np.zeros(ring_starts.size - 1, np.int64)
    room = corners.shape[0] * (_STEPS + 1 if reach > 0 else 1)
    out = np.empty((room, 2), np.float64)
    used = 0
    for r in range(counts.size):
        a, m = ring_starts[r], ring_starts[r + 1] - ring_starts[r]
        places = np.empty(m, np.int64)
        _places(corners, a, a + m, codes, rows, places)
        begin = 0
        while begin < m and not codes[places[begin]] & 1:
            begin += 1
        start = used
        i = begin
        while i < begin + m:
            j = i + 1
            while not codes[places[j % m]] & 1:
                j += 1
            used = _arc(corners, a, m, i, j, places, codes, rows, limit, reach, out, used)
            i = j
        counts[r] = used - start
    return out[:used], counts


@kernel
def _arc(
    corners: Any, a: int, m: int, i: int, j: int, places: Any, codes: Any, rows: Any,
    limit: float, reach: float, out: Any, used: int,
) -> int:  # fmt: skip
    """Append the arc from corner ``i`` to ``j`` of a ring of ``m``, without its last corner; the new length."""
    size = j - i + 1
    backwards = places[i % m] > places[j % m]
    xy, at = np.empty((size, 2), np.int64), np.empty(size, np.int64)
    for k in range(size):
        q = (j - k if backwards else i + k) % m
        xy[k, 0], xy[k, 1], at[k] = corners[a + q, 0], corners[a + q, 1], places[q]
    own = at * size + np.arange(size)
    sort(own, size)
    alive = np.ones(size, np.bool_)
    if limit >= 0 and size > 2:
        _thin(xy, at, own, alive, limit, codes, rows)
    if reach > 0:
        end = _round(xy, at, own, alive, reach, codes, rows, out, used)
    else:
        end = used
        for k in range(size - 1):
            if alive[k]:
                out[end, 0], out[end, 1] = xy[k, 0], xy[k, 1]
                end += 1
    if backwards:  # first comes the other end, and the one that was first is the next arc's
        for k in range(used, end - 1):
            out[k, 0], out[k, 1] = out[k + 1, 0], out[k + 1, 1]
        for k in range((end - 1 - used) // 2):
            p, q = used + k, end - 2 - k
            out[p, 0], out[q, 0] = out[q, 0], out[p, 0]
            out[p, 1], out[q, 1] = out[q, 1], out[p, 1]
        for k in range(end - 1, used, -1):
            out[k, 0], out[k, 1] = out[k - 1, 0], out[k - 1, 1]
        out[used, 0], out[used, 1] = xy[size - 1, 0], xy[size - 1, 1]
    return end
