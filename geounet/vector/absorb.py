"""Absorbing: components under the minimum mapping unit join the neighbour with the longest common border.

The smallest goes first, the earlier identity among equals, until none is left that is too small and has a
neighbour. Neighbours of equal label that meet by this become one component. The order is that of areas and
identities alone, so it does not depend on how the raster was divided.
"""

# ruff: noqa: PLR0917 - compiled functions are called with positions

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from geounet.vector.runs import find


@njit(cache=True, nogil=True)
def _sift_up(who: Any, size: Any, k: int) -> None:
    while k > 0:
        up = (k - 1) // 2
        if size[up] < size[k] or (size[up] == size[k] and who[up] <= who[k]):
            return
        who[up], who[k] = who[k], who[up]
        size[up], size[k] = size[k], size[up]
        k = up


@njit(cache=True, nogil=True)
def _sift_down(who: Any, size: Any, n: int) -> None:
    k = 0
    while True:
        low = 2 * k + 1
        if low >= n:
            return
        if low + 1 < n and (size[low + 1] < size[low] or (size[low + 1] == size[low] and who[low + 1] < who[low])):
            low += 1
        if size[k] < size[low] or (size[k] == size[low] and who[k] <= who[low]):
            return
        who[low], who[k] = who[k], who[low]
        size[low], size[k] = size[k], size[low]
        k = low


@njit(cache=True, nogil=True)
def _merge(a: int, b: int, parent: Any, area: Any, label: Any, first: Any, last: Any, following: Any) -> int:
    """Join the roots ``a`` and ``b`` under the label of ``b``; the root of both is the earlier."""
    root, gone = min(a, b), max(a, b)
    keep = label[b]
    parent[gone] = root
    area[root] += area[gone]
    label[root] = keep
    if first[gone] >= 0:
        if first[root] < 0:
            first[root] = first[gone]
        else:
            following[last[root]] = first[gone]
        last[root] = last[gone]
    return root


@njit(cache=True, nogil=True)
def _absorb(
    area: Any,
    label: Any,
    may_go: Any,
    one: Any,
    other: Any,
    across: Any,
    down: Any,
    side: Any,
    limit: int,
    parent: Any,
) -> None:
    n = area.size
    edges = one.size
    # each border twice, 2k seen from ``one`` and 2k + 1 from ``other``; lists per component
    first = np.full(n, -1, np.int64)
    last = np.full(n, -1, np.int64)
    following = np.full(2 * edges, -1, np.int64)
    for h in range(2 * edges):
        c = other[h // 2] if h & 1 else one[h // 2]
        if first[c] < 0:
            first[c] = h
        else:
            following[last[c]] = h
        last[c] = h
    who = np.empty(2 * n + 1, np.int64)
    size = np.empty(2 * n + 1, np.int64)
    m = 0
    for c in range(n):
        if may_go[c] and area[c] < limit:
            who[m], size[m] = c, area[c]
            m += 1
            _sift_up(who, size, m - 1)
    slot = np.full(n, -1, np.int64)
    near = np.empty(64, np.int64)
    sums = np.empty((64, 2), np.int64)
    while m > 0:
        a, s = who[0], size[0]
        m -= 1
        who[0], size[0] = who[m], size[m]
        _sift_down(who, size, m)
        if parent[a] != a or area[a] != s:
            continue
        k = 0
        h = first[a]
        while h >= 0:
            b = find(parent, one[h // 2] if h & 1 else other[h // 2])
            if b != a:
                if slot[b] < 0:
                    if k == near.size:
                        near2, sums2 = np.empty(2 * k, np.int64), np.empty((2 * k, 2), np.int64)
                        for q in range(k):
                            near2[q], sums2[q, 0], sums2[q, 1] = near[q], sums[q, 0], sums[q, 1]
                        near, sums = near2, sums2
                    slot[b] = k
                    near[k], sums[k, 0], sums[k, 1] = b, 0, 0
                    k += 1
                sums[slot[b], 0] += across[h // 2]
                sums[slot[b], 1] += down[h // 2]
            h = following[h]
        best, longest = -1, -1.0
        for q in range(k):
            slot[near[q]] = -1
            length = sums[q, 0] * side[a, 0] + sums[q, 1] * side[a, 1]
            if length > longest or (length == longest and near[q] < best):
                best, longest = near[q], length
        if best < 0:
            continue
        kept = label[best]
        root = _merge(a, best, parent, area, label, first, last, following)
        may_go[root] = may_go[best]
        for q in range(k):
            b = near[q]
            if b != best and label[b] == kept:
                root = _merge(root, b, parent, area, label, first, last, following)
        if may_go[root] and area[root] < limit:
            if m == who.size:
                return
            who[m], size[m] = root, area[root]
            m += 1
            _sift_up(who, size, m - 1)


def absorb(
    *,
    area: NDArray[np.int64],
    label: NDArray[np.int32],
    may_go: NDArray[np.bool_],
    borders: tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.int64], NDArray[np.int64]],
    side: NDArray[np.float64],
    limit: int,
) -> NDArray[np.int32]:
    """``(n,)`` the label of each component after absorbing those of ``area < limit`` that ``may_go``.

    Components come in the order of identity. ``borders``: pairs of components, each once, and their common
    pixel sides along rows and along columns; ``side`` ``(n, 2)`` the length of those two at each component.
    """
    parent = np.arange(area.size, dtype=np.int32)
    label = label.copy()
    _absorb(area.copy(), label, may_go.copy(), *borders, side, limit, parent)
    roots = parent
    while True:
        up = roots[roots]
        if np.array_equal(up, roots):
            break
        roots = up
    return np.asarray(label[roots])
