"""Absorbing: components under the minimum mapping unit join the neighbour with the longest common border.

The smallest goes first, the earlier identity among equals, until none is left that is too small and has a
neighbour. Neighbours of equal label that meet by this become one component. The order is that of areas and
identities alone, so it does not depend on how the raster was divided.
"""

# ruff: noqa: PLR0917 - compiled functions are called with positions

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from geounet.kernels import kernel
from geounet.vector.runs import find


@kernel
def _sift_up(who: Any, size: Any, k: int) -> None:
    while k > 0:
        up = (k - 1) // 2
        if size[up] < size[k] or (size[up] == size[k] and who[up] <= who[k]):
            return
        who[up], who[k] = who[k], who[up]
        size[up], size[k] = size[k], size[up]
        k = up


@kernel
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


@kernel
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


@kernel
def _lists(one: Any, other: Any, first: Any, last: Any, following: Any) -> None:
    """Each border twice, ``2k`` seen from ``one[k]``, ``2k + 1`` from ``other[k]``, in lists per component."""
    for h in range(following.size):
        c = other[h // 2] if h & 1 else one[h // 2]
        if first[c] < 0:
            first[c] = h
        else:
            following[last[c]] = h
        last[c] = h


@kernel
def _neighbours(
    a: int, parent: Any, borders: Any, first: Any, following: Any, slot: Any, near: Any, sums: Any
) -> int:
    """The neighbours of ``a`` and their common sides, into ``near`` and ``sums``; how many, or −1 for no room."""
    one, other, across, down = borders
    k = 0
    h = first[a]
    while h >= 0 and k < near.size:
        b = find(parent, one[h // 2] if h & 1 else other[h // 2])
        if b != a:
            if slot[b] < 0:
                slot[b] = k
                near[k], sums[k, 0], sums[k, 1] = b, 0, 0
                k += 1
            sums[slot[b], 0] += across[h // 2]
            sums[slot[b], 1] += down[h // 2]
        h = following[h]
    for q in range(k):
        slot[near[q]] = -1
    return k if h < 0 else -1


@kernel
def _absorb(area: Any, label: Any, may_go: Any, borders: Any, side: Any, limit: int, parent: Any) -> None:
    n = area.size
    first, last, slot = np.full(n, -1, np.int64), np.full(n, -1, np.int64), np.full(n, -1, np.int64)
    following = np.full(2 * borders[0].size, -1, np.int64)
    _lists(borders[0], borders[1], first, last, following)
    who, size = np.empty(2 * n + 1, np.int64), np.empty(2 * n + 1, np.int64)
    near, sums = np.empty(64, np.int64), np.empty((64, 2), np.int64)
    m = 0
    for c in range(n):
        if may_go[c] and area[c] < limit:
            who[m], size[m] = c, area[c]
            m += 1
            _sift_up(who, size, m - 1)
    while m > 0:
        a, s = who[0], size[0]
        m -= 1
        who[0], size[0] = who[m], size[m]
        _sift_down(who, size, m)
        if parent[a] != a or area[a] != s:
            continue  # it has grown since, or is part of another
        k = _neighbours(a, parent, borders, first, following, slot, near, sums)
        while k < 0:
            near, sums = np.empty(2 * near.size, np.int64), np.empty((2 * near.size, 2), np.int64)
            k = _neighbours(a, parent, borders, first, following, slot, near, sums)
        best, longest = -1, -1.0
        for q in range(k):
            length = sums[q, 0] * side[a, 0] + sums[q, 1] * side[a, 1]
            if length > longest or (length == longest and near[q] < best):
                best, longest = near[q], length
        if best < 0:
            continue
        kept, free = label[best], may_go[best]
        root = _merge(a, best, parent, area, label, first, last, following)
        may_go[root] = free
        for q in range(k):
            if near[q] != best and label[near[q]] == kept:
                root = _merge(root, near[q], parent, area, label, first, last, following)
        may_go[root] = free
        if free and area[root] < limit:
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
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Absorb components of ``area < limit`` that ``may_go``: ``(n,)`` labels, and ``(n,)`` who is one with whom.

    The latter is the first component of all that have become one.

    Components come in the order of identity. ``borders``: pairs of components, each once, and their common
    pixel sides along rows and along columns; ``side`` ``(n, 2)`` the length of those two at each component.
    """
    parent = np.arange(area.size, dtype=np.int32)
    label = label.copy()
    _absorb(area.copy(), label, may_go.copy(), borders, side, limit, parent)
    roots = parent
    while True:
        up = roots[roots]
        if np.array_equal(up, roots):
            break
        roots = up
    return np.asarray(label[roots]), np.asarray(roots)
