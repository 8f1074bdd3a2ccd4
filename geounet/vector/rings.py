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
from numpy.typing import NDArray

from geounet.kernels import kernel
from geounet.vector.heaps import sort
from geounet.vector.room import Room
from geounet.vector.sweep import AUX, EAST, FLAGS, N_DEAD, N_VERTICES, SOUTH, Components, Vertices

_CROSSING = 15
"""Bits of a vertex from which borders lead in all four directions."""
_V, _D, _V0, _D0, _TOP, _LOOPS, _LOOP_RINGS, _TOUCHES, _CROSSED, _CLOSED = range(10)
"""Places in the state of a walk: where it stands and began, how much it has, what it saw."""
_COMPONENT, _NEXT, _CORNERS, _CORNER, _PATH, _RINGS, _LEFT = range(10, 17)
"""And where the work stands: the component's place; the next vertex of the list of its corners, −1 when all were
taken; how many were, and which of them is walked from; vertices and rings so far; and the steps left."""
_SHELL = -1
_LISTING = -2
_STEPS = 2**18
"""Of a piece of work, each to a vertex that may have to come from disk."""


@kernel
def _room(array: Any, used: int, more: int) -> Any:
    """``array``, or a copy of at least twice the length, with room for ``more`` entries after ``used``."""
    if used + more <= array.size:
        return array
    out = np.empty(max(2 * array.size, used + more), array.dtype)
    for i in range(used):
        out[i] = array[i]
    return out


@kernel
def _forget_places(cells: Any, path: Any, begin: int, end: int) -> None:
    """Crossings in a stretch of the path are of use to another ring again."""
    for k in range(begin, end):
        if cells[path[k], FLAGS] >> 8 == _CROSSING:
            cells[path[k], AUX] = -1


@kernel
def _steps(vertices: Any, counts: Any, path: Any, loops: Any, loop_lengths: Any, state: Any) -> None:
    """Walk on from the state until the ring is closed, or until no step is left or there is no room for it."""
    cells = vertices.cells
    v, d, top, v0, d0 = state[_V], state[_D], state[_TOP], state[_V0], state[_D0]
    n_loops, n_loop_rings, touches = state[_LOOPS], state[_LOOP_RINGS], state[_TOUCHES]
    crossed, left, dead = state[_CROSSED], state[_LEFT], np.int64(0)
    seen = np.int64(cells[v, FLAGS])
    while top < path.size and left > 0:
        left -= 1
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
    state[_V], state[_D], state[_TOP], state[_LEFT] = v, d, top, left
    state[_LOOPS], state[_LOOP_RINGS], state[_TOUCHES] = n_loops, n_loop_rings, touches & 1
    state[_CROSSED] = crossed


@kernel
def _list_corners(state: Any, cells: Any, corners: Any) -> Any:
    """List on from the state, in ``corners`` (or a longer one), in order in the end; until no step is left."""
    corner, n = state[_NEXT], state[_CORNERS]
    while corner >= 0 and state[_LEFT] > 0:
        if n == corners.size:
            corners = _room(corners, n, 1)
        corners[n] = corner
        n += 1
        state[_LEFT] -= 1
        corner = np.int64(cells[corner, AUX])
    state[_NEXT], state[_CORNERS] = corner, n
    if corner < 0:
        sort(corners, n)
        state[_CORNER] = _SHELL
    return corners


@kernel
def _begin(state: Any, v: int, d: int) -> None:
    """The state of a walk that has not begun."""
    for j in range(_CLOSED + 1):
        state[j] = 0
    state[_V], state[_D], state[_V0], state[_D0], state[_TOP] = v, d, v, d, state[_PATH]


@kernel
def _put_places(xy: Any, path: Any, begin: int, end: int, out: Any) -> None:
    """The places of the vertices ``path[begin:end]`` there in ``out`` ``(n, 2)``."""
    for k in range(begin, end):
        out[k, 0] = xy[path[k], 0]
        out[k, 1] = xy[path[k], 1]


@kernel
def _close(state: Any, cells: Any, path: Any, loops: Any, loop_lengths: Any, lengths: Any) -> tuple[Any, Any]:
    """Keep a ring that is closed, and the loops that were cut off it; ``path`` and ``lengths``, or longer ones."""
    begin, top, cut, more = state[_PATH], state[_TOP], state[_LOOPS], state[_LOOP_RINGS]
    if state[_CROSSED]:
        _forget_places(cells, path, begin, top)
    lengths = _room(lengths, state[_RINGS], 1 + more)
    lengths[state[_RINGS]] = top - begin
    for j in range(more):
        lengths[state[_RINGS] + 1 + j] = loop_lengths[j]
    path = _room(path, top, cut)
    for j in range(cut):
        path[top + j] = loops[j]
    state[_RINGS] += 1 + more
    state[_PATH] = top + cut
    return path, lengths


@kernel
def walk(
    finished: Any,
    vertices: Any,
    components: Any,
    counts: Any,
    state: Any,
    path: Any,
    loops: Any,
    loop_lengths: Any,
    lengths: Any,
    corners: Any,
    ring_counts: Any,
    touching: Any,
) -> tuple[Any, Any, Any, Any, Any]:
    """Walk on from the state, until all of ``finished`` are done or no step is left; the growing arrays."""
    cells = vertices.cells
    walking = state[_TOP] > 0
    while state[_COMPONENT] < finished.size and state[_LEFT] > 0:
        i = state[_COMPONENT]
        root = finished[i]
        if state[_CORNER] == _LISTING:
            # the list is taken first: `AUX`, through which it runs, is of use to the walk as well
            corners = _list_corners(state, cells, corners)
            continue
        if state[_CORNER] == state[_CORNERS]:
            state[_COMPONENT] += 1
            state[_CORNERS], state[_CORNER] = 0, _LISTING
            if i + 1 < finished.size:
                state[_NEXT] = components.head[finished[i + 1]]
            continue
        if not walking:
            k = state[_CORNER]
            v = np.int64(components.start_vertex[root] if k == _SHELL else corners[k])
            d = np.int64(EAST if k == _SHELL else SOUTH)
            if cells[v, FLAGS] & (1 << d):
                state[_CORNER] += 1
                continue
            _begin(state, v, d)
            walking = True
        _steps(vertices, counts, path, loops, loop_lengths, state)
        if not state[_CLOSED]:
            if state[_TOP] == path.size:
                path = _room(path, state[_TOP], 1)
            elif state[_LEFT] > 0:
                loops = _room(loops, state[_LOOPS], state[_TOP] - state[_PATH])
                loop_lengths = _room(loop_lengths, state[_LOOP_RINGS], 1)
            continue
        before = state[_RINGS]
        path, lengths = _close(state, cells, path, loops, loop_lengths, lengths)
        ring_counts[i] += state[_RINGS] - before
        touching[i] |= state[_TOUCHES] != 0
        state[_CORNER] += 1
        state[_TOP] = 0
        walking = False
    return path, loops, loop_lengths, lengths, corners


def rings_of(
    finished: NDArray[np.int32], vertices: Vertices, components: Components, counts: NDArray[np.int64], room: Room
) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.int32], NDArray[np.bool_]]:
    """The rings of the components ``finished`` (root numbers, ascending), whose vertices lie in ``room``.

    Returns corners ``(n, 2)`` int32 as (column, row), rings not closed; the number of corners of each ring;
    the number of rings of each component, shell first, holes in the order of their first vertex; and whether
    each component touches what is outside.
    """
    ring_counts, touching = np.zeros(finished.size, np.int32), np.zeros(finished.size, np.bool_)
    state = np.zeros(_LEFT + 1, np.int64)
    state[_CORNER] = _LISTING
    state[_NEXT] = components.head[finished[0]] if finished.size else -1
    growing = tuple(np.empty(size, np.int32) for size in (65536, 64, 16, 1024, 64))
    while state[_COMPONENT] < finished.size:
        state[_LEFT] = _STEPS
        growing = walk(finished, vertices, components, counts, state, *growing, ring_counts, touching)
        room.let_go(int(counts[N_VERTICES]))
    path, _, _, lengths, _ = growing
    corners = np.empty((int(state[_PATH]), 2), np.int32)
    for begin in range(0, len(corners), _STEPS):
        _put_places(vertices.xy, path, begin, min(begin + _STEPS, len(corners)), corners)
        room.let_go(int(counts[N_VERTICES]))
    return corners, lengths[: state[_RINGS]], ring_counts, touching
