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

from geounet.vector.sweep import AUX, EAST, FLAGS, N_DEAD, SOUTH

_CROSSING = 15
"""Bits of a vertex from which borders lead in all four directions."""
_V, _D, _V0, _D0, _TOP, _LOOPS, _LOOP_RINGS, _TOUCHES, _CROSSED, _CLOSED = range(10)
"""Places in the state of a walk: where it stands and began, how much it has, what it saw."""


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
def _sort(a: Any, n: int) -> None:
    """Sort ``a[:n]`` in place by heaps; numba's own sort takes four seconds to compile."""
    k = 1
    while k < n and a[k - 1] <= a[k]:
        k += 1
    if k >= n:  # as nearly always
        return
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
def _forget_places(cells: Any, path: Any, begin: int, end: int) -> None:
    """Crossings in a stretch of the path are of use to another ring again."""
    for k in range(begin, end):
        if cells[path[k], FLAGS] >> 8 == _CROSSING:
            cells[path[k], AUX] = -1


@njit(cache=True, nogil=True)
def _steps(vertices: Any, counts: Any, path: Any, loops: Any, loop_lengths: Any, state: Any) -> None:
    """Walk on from the state until the ring is closed, or until there is no room for the next step."""
    cells = vertices.cells
    v, d, top, v0, d0 = state[_V], state[_D], state[_TOP], state[_V0], state[_D0]
    n_loops, n_loop_rings, touches = state[_LOOPS], state[_LOOP_RINGS], state[_TOUCHES]
    crossed, dead = state[_CROSSED], np.int64(0)
    seen = np.int64(cells[v, FLAGS])
    while top < path.size:
        if seen >> 8 == _CROSSING:  # only here can a ring come by twice
            low = np.int64(cells[v, AUX])
            if low >= 0:
                if n_loops + top - low > loops.size or n_loop_rings == loop_lengths.size:
                    break
                loop_lengths[n_loop_rings] = top - low
                n_loop_rings += 1
                for k in range(low, top):
                    loops[n_loops + k - low] = path[k]
                _forget_places(cells, path, low + 1, top)
                n_loops += top - low
                top = low
            cells[v, AUX] = top
            crossed = np.int64(1)
        path[top] = v
        top += 1
        touches |= seen >> (4 + d)
        seen |= 1 << d
        cells[v, FLAGS] = seen
        dead += seen & 15 == 15
        if d & 1:
            v = np.int64(cells[v, d >> 1])
        else:
            v += 1 - d
        seen = np.int64(cells[v, FLAGS])
        # right if it can, else on, else left
        if seen >> (8 + ((d + 1) & 3)) & 1:
            d = (d + 1) & 3
        elif not seen >> (8 + d) & 1:
            d = (d + 3) & 3
        if v == v0 and d == d0:
            state[_CLOSED] = 1
            break
    counts[N_DEAD] += dead
    state[_V], state[_D], state[_TOP] = v, d, top
    state[_LOOPS], state[_LOOP_RINGS], state[_TOUCHES] = n_loops, n_loop_rings, touches & 1
    state[_CROSSED] = crossed


@njit(cache=True, nogil=True)
def _hole_corners(corner: Any, cells: Any, corners: Any) -> tuple[Any, Any]:
    """The corners of the list that begins with ``corner``, in order, in ``corners`` (or a longer one); how many."""
    n = np.int64(0)
    while corner >= 0:
        if n == corners.size:
            corners = _room(corners, n, 1)
        corners[n] = corner
        n += 1
        corner = cells[corner, AUX]
    _sort(corners, n)
    return corners, n


@njit(cache=True, nogil=True)
def _begin(state: Any, v: int, d: int, top: int) -> None:
    """The state of a walk that has not begun."""
    for j in range(state.size):
        state[j] = 0
    state[_V], state[_D], state[_V0], state[_D0], state[_TOP] = v, d, v, d, top


@njit(cache=True, nogil=True)
def _places(xy: Any, path: Any, n: int) -> Any:
    """``(n, 2)`` the places of the vertices ``path[:n]``."""
    out = np.empty((n, 2), np.int32)
    for k in range(n):
        out[k, 0] = xy[path[k], 0]
        out[k, 1] = xy[path[k], 1]
    return out


@njit(cache=True, nogil=True)
def walk(finished: Any, vertices: Any, components: Any, counts: Any) -> tuple[Any, Any, Any, Any]:
    """The rings of the components ``finished`` (root numbers, ascending).

    Returns corners ``(n, 2)`` int32 as (column, row), rings not closed; the number of corners of each ring;
    the number of rings of each component, shell first, holes in the order of their first vertex; and whether
    each component touches what is outside.
    """
    path = np.empty(65536, np.int32)
    loops, loop_lengths = np.empty(64, np.int32), np.empty(16, np.int32)
    lengths = np.empty(1024, np.int32)
    corners = np.empty(64, np.int32)
    state = np.zeros(10, np.int64)
    ring_counts = np.empty(finished.size, np.int32)
    touching = np.zeros(finished.size, np.bool_)
    n_path, n_rings = np.int64(0), np.int64(0)
    for i in range(finished.size):
        root = finished[i]
        before = n_rings
        # the list is taken now: `AUX`, through which it runs, is of use to the walk as well
        corners, n_corners = _hole_corners(components.head[root], vertices.cells, corners)
        for k in range(-1, n_corners):
            v = np.int64(components.start_vertex[root] if k < 0 else corners[k])
            d = np.int64(EAST if k < 0 else SOUTH)
            if vertices.cells[v, FLAGS] & (1 << d):
                continue
            _begin(state, v, d, n_path)
            _steps(vertices, counts, path, loops, loop_lengths, state)
            while not state[_CLOSED]:
                if state[_TOP] == path.size:
                    path = _room(path, state[_TOP], path.size)
                else:
                    loops = _room(loops, state[_LOOPS], state[_TOP] - n_path)
                    loop_lengths = _room(loop_lengths, state[_LOOP_RINGS], 1)
                _steps(vertices, counts, path, loops, loop_lengths, state)
            top, more = state[_TOP], state[_LOOP_RINGS]
            if state[_CROSSED]:
                _forget_places(vertices.cells, path, n_path, top)
            if n_rings + 1 + more > lengths.size:
                lengths = _room(lengths, n_rings, 1 + more)
            lengths[n_rings] = top - n_path
            for j in range(more):
                lengths[n_rings + 1 + j] = loop_lengths[j]
            n_rings += 1 + more
            if top + state[_LOOPS] > path.size:
                path = _room(path, top, state[_LOOPS])
            for j in range(state[_LOOPS]):
                path[top + j] = loops[j]
            n_path = top + state[_LOOPS]
            if state[_TOUCHES]:
                touching[i] = True
        ring_counts[i] = n_rings - before
    return _places(vertices.xy, path, n_path), lengths[:n_rings], ring_counts, touching
