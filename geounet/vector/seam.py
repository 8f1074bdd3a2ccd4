"""A sweep that begins in the middle of a raster, and what joins it to the one above.

Such a sweep knows the row above its first one, and not what that row hangs together with: each run of it stands for
a component, each border that comes down out of it for a vertex, of which only the sweep above knows which they are.
What it finds besides is final. So joining replaces the stand-ins by what they stand for and puts the pools one
below the other: numbers keep the order of first pixels, and vertices that of rows, as if one sweep had made them.
"""

# ruff: noqa: PLR0917 - compiled functions are called with positions

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from geounet.vector.runs import cut_runs, find, keep_row, load, mark
from geounet.vector.sweep import AUX, DOWN, FLAGS, N_COMPONENTS, N_VERTICES, OPEN, UP, append_corners, union


@njit(cache=True, nogil=True)
def stand_in(values: Any, shut: Any, lut: Any, y0: int, above: Any, seam: Any, marks: Any, up: Any, vertices: Any,
             components: Any, counts: Any) -> None:  # fmt: skip
    """Begin below a row of pixels ``values`` ``(width,)``, of which ``shut`` (or empty) is as in the sweep.

    ``above`` and ``seam`` are rows without a run. A vertex that stands in is never walked, hence never dead.
    """
    load(values, lut, shut, seam)
    mark(above, seam, marks)
    cut_runs(marks, seam)
    n = np.int64(0)
    for j in range(seam.n_runs[0]):
        seam.fresh[j] = False
        seam.ids[j] = -1
        label = seam.labels[seam.runs[j] + 1]
        if label == seam.labels[0]:  # outside, as the frame of every row
            continue
        seam.ids[j] = n
        components.parent[n] = n
        components.first[n] = -1
        components.label[n] = label
        components.start_vertex[n] = -1
        for s in range(4):
            components.sums[n, s] = 0
        components.head[n] = -1
        components.tail[n] = -1
        n += 1
    counts[N_COMPONENTS] = n
    nv = np.int64(0)
    for x in range(up.size):
        if seam.labels[x] != seam.labels[x + 1]:
            vertices.xy[nv, 0], vertices.xy[nv, 1] = x, y0 - 1
            vertices.cells[nv, DOWN] = vertices.cells[nv, UP] = OPEN
            vertices.cells[nv, AUX] = -1
            vertices.cells[nv, FLAGS] = 0
            up[x] = nv
            nv += 1
    counts[N_VERTICES] = nv
    keep_row(seam, above)


@njit(cache=True, nogil=True)
def _join_vertices(standing: int, up: Any, vertices: Any, counts: Any, own: Any, own_count: int) -> Any:
    """Put the vertices ``own`` after ``vertices``; returns their numbers there."""
    number = np.empty(own_count, np.int32)
    for v in range(standing):
        number[v] = up[own.xy[v, 0]]
    for v in range(standing, own_count):
        number[v] = counts[N_VERTICES] + v - standing
    for v in range(own_count):
        t = number[v]
        if v < standing:
            if own.cells[v, DOWN] >= 0:
                vertices.cells[t, DOWN] = number[own.cells[v, DOWN]]
            continue
        vertices.xy[t, 0], vertices.xy[t, 1] = own.xy[v, 0], own.xy[v, 1]
        for k in (DOWN, UP, AUX):
            u = own.cells[v, k]
            vertices.cells[t, k] = number[u] if u >= 0 else u
        vertices.cells[t, FLAGS] = own.cells[v, FLAGS]
    counts[N_VERTICES] += own_count - standing
    return number


@njit(cache=True, nogil=True)
def _join_components(above: Any, seam: Any, components: Any, cells: Any, counts: Any, own: Any, own_count: int,
                     vertex: Any) -> Any:  # fmt: skip
    """Put the components ``own`` after ``components``, or into those for which they stood in; their numbers there.

    ``vertex`` are the numbers of their vertices.
    """
    number = np.full(own_count, -1, np.int32)
    for j in range(seam.n_runs[0]):
        if seam.ids[j] >= 0:
            known, root = number[seam.ids[j]], find(components.parent, above.ids[j])
            number[seam.ids[j]] = (
                root if known < 0 else union(find(components.parent, known), root, components, cells)
            )
    for i in range(own_count):
        head, tail = own.head[i], own.tail[i]
        if head >= 0:
            head, tail = vertex[head], vertex[tail]
        if number[i] < 0:
            t = counts[N_COMPONENTS]
            counts[N_COMPONENTS] += 1
            number[i] = t
            components.parent[t] = t
            components.first[t] = own.first[i]
            components.label[t] = own.label[i]
            components.start_vertex[t] = vertex[own.start_vertex[i]]
            for s in range(4):
                components.sums[t, s] = own.sums[i, s]
            components.head[t], components.tail[t] = head, tail
            continue
        t = find(components.parent, number[i])
        for s in range(4):
            components.sums[t, s] += own.sums[i, s]
        if head >= 0:
            append_corners(components, cells, t, head, tail)
    return number


@njit(cache=True, nogil=True)
def join_below(
    above: Any,
    up: Any,
    vertices: Any,
    components: Any,
    counts: Any,
    seam: Any,
    own_above: Any,
    own_up: Any,
    own_vertices: Any,
    own_components: Any,
    own_counts: Any,
) -> None:
    """Go on below with what a sweep that began below the row ``above`` has found and not finished.

    That sweep has forgotten what it needs no more, so all its components are roots. There must be room.
    """
    standing = np.int64(0)
    for x in range(up.size):
        standing += seam.labels[x] != seam.labels[x + 1]
    vertex = _join_vertices(standing, up, vertices, counts, own_vertices, own_counts[N_VERTICES])
    number = _join_components(
        above, seam, components, vertices.cells, counts, own_components, own_counts[N_COMPONENTS], vertex
    )
    for x in range(up.size):
        up[x] = vertex[own_up[x]] if own_up[x] >= 0 else -1
    for j in range(own_above.n_runs[0]):
        if own_above.ids[j] >= 0:
            own_above.ids[j] = find(components.parent, number[own_above.ids[j]])
    keep_row(own_above, above)
