"""The compiled walk: rings of finished components, over the vertices that the sweep left.

A ring keeps its component on the right (on the screen, rows growing downwards), so shells run clockwise and
holes anticlockwise there. At a vertex the walk turns right if it can, else goes on, else turns left: that is
4-connectivity. A walk that comes to a vertex a second time has closed a loop; the loop is cut off as a ring
of its own. Since the component is 4-connected, its interior is connected, and what is cut off is always a
hole: one simple shell, simple holes, touching in points only, as OGC 06-103r4 §6.1.11 wants polygons.
"""

# ruff: noqa: PLR0917 - compiled functions are called with positions

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from geounet.vector.sweep import EAST, N_DEAD, NO_EDGE, SOUTH


@njit(cache=True, nogil=True)
def _room(array: Any, used: int, more: int) -> Any:
    """``array``, or a copy of at least twice the length, with room for ``more`` entries after ``used``."""
    if used + more <= array.size:
        return array
    out = np.empty(max(2 * array.size, used + more), array.dtype)
    out[:used] = array[:used]
    return out


@njit(cache=True, nogil=True)
def _crossing(link: Any, v: int) -> bool:
    """Whether four borders meet in ``v``: only there can a ring come by twice."""
    return link[v, 0] != NO_EDGE and link[v, 1] != NO_EDGE and link[v, 2] != NO_EDGE and link[v, 3] != NO_EDGE


@njit(cache=True, nogil=True)
def _walk(
    v0: int,
    d0: int,
    vertices: Any,
    counts: Any,
    stack: Any,
    path: Any,
    n_path: int,
    lengths: Any,
    n_rings: int,
) -> tuple[Any, Any, int, Any, int, int]:
    """Walk one ring from vertex ``v0`` in direction ``d0`` and append it to ``path``, loops after it."""
    link, flags, aux = vertices.link, vertices.flags, vertices.aux
    top = 0
    loops = np.empty(16, stack.dtype)
    loop_lengths = np.empty(4, lengths.dtype)
    n_loops, n_loop_rings = 0, 0
    touches = 0
    v, d = v0, d0
    while True:
        if _crossing(link, v) and aux[v] >= 0:
            low = aux[v]
            n = top - low
            loops = _room(loops, n_loops, n)
            loops[n_loops : n_loops + n] = stack[low:top]
            n_loops += n
            loop_lengths = _room(loop_lengths, n_loop_rings, 1)
            loop_lengths[n_loop_rings] = n
            n_loop_rings += 1
            for k in range(low + 1, top):
                if _crossing(link, stack[k]):
                    aux[stack[k]] = -1
            top = low + 1
        else:
            stack = _room(stack, top, 1)
            stack[top] = v
            if _crossing(link, v):
                aux[v] = top
            top += 1
        flags[v] |= 1 << d
        touches |= flags[v] >> (4 + d) & 1
        if flags[v] & 15 == 15:
            counts[N_DEAD] += 1
        v = link[v, d]
        right, left = (d + 1) & 3, (d + 3) & 3
        if link[v, right] != NO_EDGE:
            d = right
        elif link[v, d] == NO_EDGE:
            d = left
        if v == v0 and d == d0:
            break
    for k in range(top):
        if _crossing(link, stack[k]):
            aux[stack[k]] = -1
    path = _room(path, n_path, top + n_loops)
    path[n_path : n_path + top] = stack[:top]
    path[n_path + top : n_path + top + n_loops] = loops[:n_loops]
    lengths = _room(lengths, n_rings, 1 + n_loop_rings)
    lengths[n_rings] = top
    lengths[n_rings + 1 : n_rings + 1 + n_loop_rings] = loop_lengths[:n_loop_rings]
    return stack, path, n_path + top + n_loops, lengths, n_rings + 1 + n_loop_rings, touches


@njit(cache=True, nogil=True)
def walk(finished: Any, vertices: Any, components: Any, counts: Any) -> tuple[Any, Any, Any, Any]:
    """The rings of the components ``finished`` (root numbers, ascending).

    Returns corners ``(n, 2)`` int32 as (column, row), rings not closed; the number of corners of each ring;
    the number of rings of each component, shell first, holes in the order of their first vertex; and whether
    each component touches what is outside.
    """
    stack = np.empty(1024, np.int32)
    path = np.empty(4096, np.int32)
    lengths = np.empty(1024, np.int32)
    ring_counts = np.empty(finished.size, np.int32)
    touching = np.empty(finished.size, np.bool_)
    n_path, n_rings = 0, 0
    for i in range(finished.size):
        root = finished[i]
        before = n_rings
        # the list of hole corners shares ``aux`` with the walk: vertices of a hole corner are no crossings
        n_corners = 0
        v = components.head[root]
        while v >= 0:
            n_corners += 1
            v = vertices.aux[v]
        corners = np.empty(n_corners, np.int32)
        v = components.head[root]
        for k in range(n_corners):
            corners[k] = v
            v = vertices.aux[v]
        corners.sort()
        stack, path, n_path, lengths, n_rings, touches = _walk(
            components.start_vertex[root], EAST, vertices, counts, stack, path, n_path, lengths, n_rings
        )
        for k in range(n_corners):
            if not vertices.flags[corners[k]] & (1 << SOUTH):
                stack, path, n_path, lengths, n_rings, touched = _walk(
                    corners[k], SOUTH, vertices, counts, stack, path, n_path, lengths, n_rings
                )
                touches |= touched
        ring_counts[i] = n_rings - before
        touching[i] = touches != 0
    coords = np.empty((n_path, 2), np.int32)
    for k in range(n_path):
        coords[k, 0] = vertices.xy[path[k], 0]
        coords[k, 1] = vertices.xy[path[k], 1]
    return coords, lengths[:n_rings].copy(), ring_counts, touching
