"""Housekeeping between strips: which components are finished, and what of the state may go.

What is kept is proportional to the width of the raster and to the corners of the unfinished components,
whatever was swept before; numbers keep their order, since it is the order of identity.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from geounet.vector.runs import find
from geounet.vector.sweep import AUX, DOWN, FLAGS, N_COMPONENTS, N_DEAD, N_VERTICES, OPEN, UP


@njit(cache=True, nogil=True)
def finished_roots(row: Any, seam: Any, parent: Any, counts: Any) -> Any:
    """Numbers, ascending, of the components without a pixel in the last row or in that above the first one."""
    n = counts[N_COMPONENTS]
    alive = np.zeros(n, np.uint8)
    for edge in (row, seam):
        for k in range(edge.n_runs[0]):
            if edge.ids[k] >= 0:
                alive[find(parent, edge.ids[k])] = 1
    out = np.empty(n, np.int32)
    m = 0
    for i in range(n):
        if parent[i] == i and not alive[i]:
            out[m] = i
            m += 1
    return out[:m]


@njit(cache=True, nogil=True)
def _needed(row: Any, parent: Any, number: Any) -> None:
    """Give the runs of a row their roots, and note these in ``number`` by a 0."""
    for k in range(row.n_runs[0]):
        if row.ids[k] >= 0:
            row.ids[k] = find(parent, row.ids[k])
            number[row.ids[k]] = 0


@njit(cache=True, nogil=True)
def _renumber(row: Any, number: Any) -> None:
    for k in range(row.n_runs[0]):
        if row.ids[k] >= 0:
            row.ids[k] = number[row.ids[k]]


@njit(cache=True, nogil=True)
def forget_components(row: Any, seam: Any, components: Any, counts: Any) -> None:
    """Renumber the components of the last row and of that above the first as 0, 1, … in order; forget others."""
    parent = components.parent
    n = counts[N_COMPONENTS]
    number = np.empty(n, np.int32)
    for i in range(n):
        number[i] = -1
    _needed(row, parent, number)
    _needed(seam, parent, number)
    kept = 0
    for i in range(n):
        if number[i] < 0:
            continue
        number[i] = kept
        components.first[kept] = components.first[i]
        components.label[kept] = components.label[i]
        components.start_vertex[kept] = components.start_vertex[i]
        for s in range(4):
            components.sums[kept, s] = components.sums[i, s]
        for k in range(components.stats.shape[1]):
            for s in range(4):
                components.stats[kept, k, s] = components.stats[i, k, s]
        components.head[kept] = components.head[i]
        components.tail[kept] = components.tail[i]
        kept += 1
    _renumber(row, number)
    _renumber(seam, number)
    for i in range(kept):
        parent[i] = i
    counts[N_COMPONENTS] = kept


@njit(cache=True, nogil=True)
def forget_vertices(vertices: Any, up: Any, components: Any, counts: Any) -> None:
    """Give back the vertices that no unfinished component needs; the rest keep their order."""
    xy, cells = vertices.xy, vertices.cells
    size = counts[N_VERTICES]
    moved = np.empty(size, np.int32)
    kept = 0
    for v in range(size):
        if cells[v, FLAGS] & 15 == 15:
            moved[v] = OPEN
        else:
            moved[v] = kept
            kept += 1
    for v in range(size):
        t = moved[v]
        if t < 0:
            continue
        xy[t, 0], xy[t, 1] = xy[v, 0], xy[v, 1]
        for k in (DOWN, UP, AUX):
            u = cells[v, k]
            cells[t, k] = moved[u] if u >= 0 else u
        cells[t, FLAGS] = cells[v, FLAGS]
    for x in range(up.size):
        if up[x] >= 0:
            up[x] = moved[up[x]]
    for k in range(counts[N_COMPONENTS]):
        if components.head[k] >= 0:
            components.head[k] = moved[components.head[k]]
            components.tail[k] = moved[components.tail[k]]
        components.start_vertex[k] = moved[components.start_vertex[k]]
    counts[N_VERTICES] = kept
    counts[N_DEAD] = 0
