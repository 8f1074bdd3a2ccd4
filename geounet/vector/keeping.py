"""Housekeeping between strips: which components are finished, and what of the state may go.

What is kept is proportional to the width of the raster and to the corners of the unfinished components,
whatever was swept before; numbers keep their order, since it is the order of identity.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from geounet.vector.sweep import N_COMPONENTS, N_DEAD, N_VERTICES, OPEN, find


@njit(cache=True, nogil=True)
def finished_roots(run_ids: Any, n_runs: int, parent: Any, counts: Any) -> Any:
    """Root numbers, ascending, of the components without a pixel in the last row."""
    n = counts[N_COMPONENTS]
    alive = np.zeros(n, np.bool_)
    for k in range(n_runs):
        if run_ids[k] >= 0:
            alive[find(parent, run_ids[k])] = True
    out = np.empty(n, np.int32)
    m = 0
    for i in range(n):
        if parent[i] == i and not alive[i]:
            out[m] = i
            m += 1
    return out[:m].copy()


@njit(cache=True, nogil=True)
def forget_components(
    run_ids: Any,
    n_runs: int,
    parent: Any,
    first: Any,
    label: Any,
    start_vertex: Any,
    sums: Any,
    head: Any,
    tail: Any,
    counts: Any,
) -> None:
    """Renumber the components of the last row as 0, 1, … in their order, and forget the others."""
    n = counts[N_COMPONENTS]
    number = np.full(n, -1, np.int32)
    for k in range(n_runs):
        if run_ids[k] >= 0:
            run_ids[k] = find(parent, run_ids[k])
            number[run_ids[k]] = 0
    kept = 0
    for i in range(n):
        if number[i] < 0:
            continue
        number[i] = kept
        first[kept] = first[i]
        label[kept] = label[i]
        start_vertex[kept] = start_vertex[i]
        sums[kept] = sums[i]
        head[kept] = head[i]
        tail[kept] = tail[i]
        kept += 1
    for k in range(n_runs):
        if run_ids[k] >= 0:
            run_ids[k] = number[run_ids[k]]
    for i in range(kept):
        parent[i] = i
    counts[N_COMPONENTS] = kept


@njit(cache=True, nogil=True)
def forget_vertices(
    xy: Any, link: Any, flags: Any, aux: Any, up: Any, start_vertex: Any, head: Any, tail: Any, counts: Any
) -> None:
    """Give back the vertices that no unfinished component needs; the rest keep their order.

    A vertex is done when all its edges were walked from it.
    """
    size = counts[N_VERTICES]
    moved = np.empty(size, np.int32)
    kept = 0
    for v in range(size):
        if flags[v] & 15 == 15:
            moved[v] = OPEN
        else:
            moved[v] = kept
            kept += 1
    for v in range(size):
        t = moved[v]
        if t < 0:
            continue
        xy[t, 0], xy[t, 1] = xy[v, 0], xy[v, 1]
        for d in range(4):
            u = link[v, d]
            link[t, d] = moved[u] if u >= 0 else u
        flags[t] = flags[v]
        aux[t] = moved[aux[v]] if aux[v] >= 0 else -1
    for x in range(up.size):
        if up[x] >= 0:
            up[x] = moved[up[x]]
    for k in range(counts[N_COMPONENTS]):
        if head[k] >= 0:
            head[k] = moved[head[k]]
            tail[k] = moved[tail[k]]
        start_vertex[k] = moved[start_vertex[k]]
    counts[N_VERTICES] = kept
    counts[N_DEAD] = 0
