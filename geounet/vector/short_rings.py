"""Short rings in a graph: around a hole in a road, or where a line parts and meets again at once."""

from __future__ import annotations

import heapq

import numpy as np
from numpy.typing import NDArray

from geounet.vector.network import IntArray

FloatArray = NDArray[np.float64]
_Forest = dict[int, list[tuple[int, float]]]


def closing_edges(ends: NDArray[np.int32], length: FloatArray, limits: FloatArray) -> IntArray:
    """Edges that close a ring no longer than the greatest of the ``limits`` ``(nodes,)`` of its ends.

    A forest is grown from the shortest edges on (J. B. Kruskal, 1956); an edge that finds its ends joined already
    closes a ring of which it is the longest edge. Only edges that are shorter than a ring may be take part.
    """
    limit = limits[ends].max(axis=1, initial=0) if ends.size else np.zeros(0)
    short = np.flatnonzero(length <= limit)
    forest: _Forest = {}
    root: dict[int, int] = {}
    out = []
    for edge in short[np.lexsort([short, length[short]])].tolist():
        a, b = ends[edge].tolist()
        own = float(length[edge])
        ra, rb = _find(root, a), _find(root, b)
        if ra != rb:
            root[max(ra, rb)] = min(ra, rb)
            forest.setdefault(a, []).append((b, own))
            forest.setdefault(b, []).append((a, own))
        elif _is_near(forest, a, b, float(limit[edge]) - own):
            out.append(edge)
    return np.array(sorted(out), np.int64)


def _find(root: dict[int, int], i: int) -> int:
    while root.setdefault(i, i) != i:
        root[i] = root[root[i]]
        i = root[i]
    return i


def _is_near(forest: _Forest, a: int, b: int, within: float) -> bool:
    """Whether the way from ``a`` to ``b`` in the forest is no longer than ``within``."""
    waiting, seen = [(0.0, a)], {a}
    while waiting:
        length, node = heapq.heappop(waiting)
        if length > within:
            return False
        if node == b:
            return True
        for other, step in forest.get(node, []):
            if other not in seen:
                seen.add(other)
                heapq.heappush(waiting, (length + step, other))
    return False
