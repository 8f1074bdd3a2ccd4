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
    for i in range(used):
        out[i] = array[i]
    return out


@njit(cache=True, nogil=True)
def _append(array: Any, used: int, other: Any, begin: int, end: int) -> Any:
    """``array`` with ``other[begin:end]`` after its first ``used`` entries; grown where that is needed."""
    array = _room(array, used, end - begin)
    for i in range(begin, end):
        array[used + i - begin] = other[i]
    return array


@njit(cache=True, nogil=True)
def _sort(a: Any, n: int) -> None:
    """Sort ``a[:n]`` in place by heaps; numba's own sort takes four seconds to compile."""
    for end in range(1, n):
        k = end
        while k > 0 and a[(k - 1) // 2] < a[k]:
            a[(k - 1) // 2], a[k] = a[k], a[(k - 1) // 2]
            k = (k - 1) // 2
    for end in range(n - 1, 0, -1):
        a[0], a[end] = a[end], a[0]
        k = 0
        while True:
            low = 2 * k + 1
            if low >= end:
                break
            if low + 1 < end and a[low + 1] > a[low]:
                low += 1
            if a[low] <= a[k]:
                break
            a[low], a[k] = a[k], a[low]
            k = low


@njit(cache=True, nogil=True)
def _crossing(link: Any, v: int) -> bool:
    """Whether four borders meet in ``v``: only there can a ring come by twice."""
    return link[v, 0] != NO_EDGE and link[v, 1] != NO_EDGE and link[v, 2] != NO_EDGE and link[v, 3] != NO_EDGE


@njit(cache=True, nogil=True)
def _walk(
    v0: Any,
    d0: Any,
    vertices: Any,
    counts: Any,
    stack: Any,
    path: Any,
    n_path: int,
    lengths: Any,
    n_rings: int,
) -> tuple[Any, Any, Any, Any, Any, Any]:
    """Walk one ring from vertex ``v0`` in direction ``d0`` and append it to ``path``, loops after it."""
    link, flags, aux = vertices.link, vertices.flags, vertices.aux
    top = np.int64(0)
    loops = np.empty(16, stack.dtype)
    loop_lengths = np.empty(4, lengths.dtype)
    n_loops, n_loop_rings = np.int64(0), np.int64(0)
    touches = np.int64(0)
    v, d = v0, d0
    while True:
        if _crossing(link, v) and aux[v] >= 0:
            low = np.int64(aux[v])
            n = top - low
            loops = _append(loops, n_loops, stack, low, top)
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
        v = np.int64(link[v, d])
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
    path = _append(path, n_path, stack, np.int64(0), top)
    path = _append(path, n_path + top, loops, np.int64(0), n_loops)
    lengths = _room(lengths, n_rings, 1)
    lengths[n_rings] = top
    lengths = _append(lengths, n_rings + 1, loop_lengths, np.int64(0), n_loop_rings)
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
    corners = np.empty(64, np.int32)
    ring_counts = np.empty(finished.size, np.int32)
    touching = np.zeros(finished.size, np.bool_)
    n_path, n_rings = np.int64(0), np.int64(0)
    for i in range(finished.size):
        root = finished[i]
        before = n_rings
        n_corners = np.int64(0)
        # the list is taken now: ``aux``, through which it runs, is of use to the walk as well
        corner = components.head[root]
        while corner >= 0:
            corners = _room(corners, n_corners, 1)
            corners[n_corners] = corner
            n_corners += 1
            corner = vertices.aux[corner]
        _sort(corners, n_corners)
        for k in range(-1, n_corners):
            v = np.int64(components.start_vertex[root] if k < 0 else corners[k])
            d = np.int64(EAST if k < 0 else SOUTH)
            if vertices.flags[v] & (1 << d):
                continue
            stack, path, n_path, lengths, n_rings, touches = _walk(
                v, d, vertices, counts, stack, path, n_path, lengths, n_rings
            )
            if touches:
                touching[i] = True
        ring_counts[i] = n_rings - before
    coords = np.empty((n_path, 2), np.int32)
    for k in range(n_path):
        coords[k, 0] = vertices.xy[path[k], 0]
        coords[k, 1] = vertices.xy[path[k], 1]
    return coords, lengths[:n_rings], ring_counts, touching
