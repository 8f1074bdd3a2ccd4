"""Holes: what lies wholly inside of one component, and what becomes of the small ones.

Components are the nodes of a graph, common borders its edges, and one node more stands for what is outside:
the rim, nodata. A hole of a component is what it alone parts from the outside: a set of components, one or
several, that hang on it as a subtree of the depth-first search hangs on a cut vertex (J. Hopcroft and R. Tarjan,
Efficient algorithms for graph manipulation, 1973). What holds nodata is therefore no hole. Which sets these are
does not depend on the order of the search, so neither does the result.
"""

# ruff: noqa: PLR0917 - compiled functions are called with positions

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from geounet.kernels import kernel


@kernel
def _adjacency(one: Any, other: Any, n: int) -> tuple[Any, Any]:
    """Where the neighbours of each node begin, and the neighbours."""
    begin = np.zeros(n + 1, np.int64)
    for k in range(one.size):
        begin[one[k] + 1] += 1
        begin[other[k] + 1] += 1
    for i in range(n):
        begin[i + 1] += begin[i]
    place = begin[:n].copy()
    near = np.empty(2 * one.size, np.int32)
    for k in range(one.size):
        near[place[one[k]]] = other[k]
        place[one[k]] += 1
        near[place[other[k]]] = one[k]
        place[other[k]] += 1
    return begin, near


@kernel
def _search(begin: Any, near: Any, open_: Any, up: Any, found: Any, low: Any) -> Any:
    """Depth first from the outside, to which all ``open_`` nodes are tied; nodes in the order they were found.

    ``up`` the parent (−1 the outside, −2 not reached), ``found`` the time, ``low`` the earliest time that a node's
    subtree is tied to; the outside has time 0.
    """
    n = up.size
    order = np.empty(n, np.int32)
    place = begin[:n].copy()
    time = 0
    for start in range(n):
        if not open_[start] or up[start] != -2:
            continue
        up[start], v = -1, start
        order[time], found[v], low[v] = v, time + 1, 0
        time += 1
        while v >= 0:
            if place[v] < begin[v + 1]:
                w = near[place[v]]
                place[v] += 1
                if up[w] == -2:
                    up[w] = v
                    order[time], found[w] = w, time + 1
                    low[w] = 0 if open_[w] else time + 1
                    time += 1
                    v = w
                elif w != up[v]:
                    low[v] = min(low[v], found[w])
            else:
                if up[v] >= 0:
                    low[up[v]] = min(low[up[v]], low[v])
                v = up[v]
    return order[:time]


@kernel
def _fill(area: Any, label: Any, may_own: Any, open_: Any, one: Any, other: Any, limit: int) -> None:
    n = area.size
    begin, near = _adjacency(one, other, n)
    up, found, low = np.full(n, -2, np.int32), np.zeros(n, np.int64), np.zeros(n, np.int64)
    order = _search(begin, near, open_, up, found, low)
    inside = area.copy()
    for k in range(order.size - 1, -1, -1):
        v = order[k]
        if up[v] >= 0:
            inside[up[v]] += inside[v]
    filled = np.zeros(n, np.bool_)
    for k in range(order.size):  # parents come before their children, so the outermost hole decides
        v = order[k]
        u = up[v]
        if u < 0:
            continue
        if filled[u]:
            # the whole subtree goes with the hole, but what hangs on ``u`` from outside of it is not there
            filled[v] = True
            label[v] = label[u]
        elif low[v] >= found[u] and may_own[u] and inside[v] < limit:
            filled[v] = True
            label[v] = label[u]


def fill_holes(
    *,
    area: NDArray[np.int64],
    label: NDArray[np.int32],
    may_own: NDArray[np.bool_],
    at_rim: NDArray[np.bool_],
    borders: tuple[NDArray[np.int32], NDArray[np.int32]],
    limit: int,
) -> NDArray[np.int32]:
    """``(n,)`` the label of each component after the holes of ``area < limit`` were filled by what they lie in.

    ``may_own``: components whose holes are filled; ``at_rim``: those that meet what is outside. ``borders``:
    pairs of components, each once; those between two of at least ``limit`` may be left out.
    """
    # a component as large as that is in no small hole: tied to the outside it changes nothing, and its borders
    # with others of its kind need not be known
    out = label.copy()
    _fill(area, out, may_own, at_rim | (area >= limit), *borders, limit)
    return out
