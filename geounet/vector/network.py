"""From the pixels of a skeleton to a graph: nodes where lines end or meet, edges as paths of pixels.

Two pixels of a skeleton are neighbours if they share a side, or a corner that neither shares a side with a third
(A. Rosenfeld, Adjacency in digital pictures, 1974: mixed adjacency), so that the corner of a staircase is no
crossing. Pixels with three neighbours or more that touch each other are one node.

Nodes and edges are numbered by their first pixel in row-major order: of an edge the first one between its nodes, or
the end itself where there is none. Nothing here knows of strips.
"""

# ruff: noqa: PLR0917 - compiled functions are called with positions

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geounet.kernels import kernel

IntArray = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class Network:
    """A graph over ``n`` pixels, which stay in the skeleton's own arrays."""

    node_of: NDArray[np.int32]
    """``(n,)`` the node that a pixel belongs to, or −1."""
    node_count: int
    path: NDArray[np.int32]
    """Pixels of all edges, one after the other, with a pixel of the node at both ends."""
    starts: IntArray
    """``(edges + 1,)`` where each edge begins in ``path``."""
    ends: NDArray[np.int32]
    """``(edges, 2)`` nodes at the beginning and the end; the first is not the greater one."""

    @property
    def edge_count(self) -> int:
        """Number of edges."""
        return int(self.ends.shape[0])

    @property
    def degree(self) -> IntArray:
        """``(nodes,)`` ends of edges at each node; both of a loop count."""
        return np.bincount(self.ends.reshape(-1), minlength=self.node_count)

    @property
    def edge_of_path(self) -> IntArray:
        """``(path,)`` the edge of each entry."""
        return np.repeat(np.arange(self.edge_count), np.diff(self.starts))


def network(place: IntArray, *, width: int, glued: NDArray[np.bool_] | None = None) -> Network:
    """The graph of the pixels ``place`` (``row * width + column``, rising). Pixels by themselves are left out.

    ``glued`` ``(n,)``: pixels that are taken for crossings whatever meets there.
    """
    links = neighbours(place, width)
    degree = _without_corners(links)
    crossing = degree > 2 if glued is None else (degree > 2) | glued
    node_of = _nodes(links, degree, crossing)
    path, starts, ends = _trace(links, degree, node_of)
    first = _first_pixels(path, starts, degree)
    order = np.argsort(first, kind="stable")
    count = int(node_of.max(initial=-1)) + 1
    sizes = np.diff(starts)[order]
    begin = np.concatenate([[0], np.cumsum(sizes)])
    gather = np.repeat(starts[:-1][order] - begin[:-1], sizes) + np.arange(int(sizes.sum()))
    return Network(node_of=node_of, node_count=count, path=path[gather], starts=begin, ends=ends[order])


@kernel
def neighbours(place: Any, width: int) -> Any:
    """``(n, 8)`` int32 numbers of the neighbouring pixels, clockwise from the north-west; −1 for none."""
    n = place.size
    out = np.full((n, 8), -1, np.int32)
    above = 0
    for i in range(n):
        column = place[i] % width
        if i and column and place[i - 1] == place[i] - 1:
            out[i, 7], out[i - 1, 3] = i - 1, i
        while place[above] < place[i] - width - 1:
            above += 1
        j = above
        while j < i and place[j] <= place[i] - width + 1:
            step = place[j] - (place[i] - width)
            if 0 <= column + step < width:
                out[i, 1 + step], out[j, 5 + step] = j, i
            j += 1
    return out


@kernel
def _without_corners(near: Any) -> Any:
    """Leave those of the neighbours that are adjacent: not over a corner where there is a way along sides.

    ``(n,)`` int8: how many these are.
    """
    degree = np.zeros(near.shape[0], np.int8)
    for i in range(near.shape[0]):
        for k in range(0, 8, 2):
            if near[i, (k + 7) % 8] >= 0 or near[i, k + 1] >= 0:
                near[i, k] = -1
        for k in range(8):
            degree[i] += near[i, k] >= 0
    return degree


@kernel
def _nodes(links: Any, degree: Any, crossing: Any) -> Any:
    """``(n,)`` number of the node of each pixel: ends, and clusters of crossings; −1 for the others."""
    n = degree.size
    out = np.full(n, -1, np.int32)
    stack = np.empty(n, np.int32)
    count = 0
    for i in range(n):
        if out[i] >= 0 or not (crossing[i] or degree[i] == 1):
            continue
        out[i] = count
        stack[0], waiting = i, 1
        while waiting and crossing[i]:
            waiting -= 1
            p = stack[waiting]
            for k in range(8):
                q = links[p, k]
                if q >= 0 and out[q] < 0 and crossing[q]:
                    out[q] = count
                    stack[waiting] = q
                    waiting += 1
        count += 1
    return out


@kernel
def _walk(links: Any, node_of: Any, start: int, first: int, path: Any, n: int, seen: Any) -> int:
    """Follow a line from the node pixel ``start`` over ``first`` to the next node; the length of the path."""
    path[n], path[n + 1] = start, first
    n += 2
    before, here = start, first
    while node_of[here] < 0:
        seen[here] = True
        for k in range(8):
            following = links[here, k]
            if following >= 0 and following != before:
                break
        before, here = here, following
        path[n] = here
        n += 1
    return n


@kernel
def _trace(links: Any, degree: Any, node_of: Any) -> tuple[Any, Any, Any]:
    """Paths, where they begin, the nodes at their ends, in any order; ``node_of`` gets those of closed loops."""
    n_pixels = degree.size
    open_ends = 0
    for i in range(n_pixels):
        if node_of[i] >= 0:
            open_ends += degree[i]
    path = np.empty(2 * n_pixels + 2 * open_ends + 2, np.int32)
    starts = np.zeros(n_pixels + open_ends + 1, np.int64)
    ends = np.empty((n_pixels + open_ends, 2), np.int32)
    seen = np.zeros(n_pixels, np.bool_)
    used, edges = 0, 0
    for pass_ in range(2):
        for i in range(n_pixels):
            if pass_ == 1:
                # what was not met from any node is a closed loop: its first pixel becomes one
                if node_of[i] >= 0 or seen[i] or degree[i] != 2:
                    continue
                node_of[i] = n_pixels
            elif node_of[i] < 0:
                continue
            for k in range(8):
                j = links[i, k]
                if j < 0 or seen[j] or (node_of[j] >= 0 and (node_of[j] == node_of[i] or j < i)):
                    continue
                end = _walk(links, node_of, i, j, path, used, seen)
                ends[edges, 0], ends[edges, 1] = node_of[i], node_of[path[end - 1]]
                edges += 1
                used = end
                starts[edges] = used
    _renumber(node_of, n_pixels)
    for e in range(edges):
        a, b = starts[e], starts[e + 1]
        ends[e, 0], ends[e, 1] = node_of[path[a]], node_of[path[b - 1]]
        backwards = ends[e, 0] > ends[e, 1] or (ends[e, 0] == ends[e, 1] and path[a + 1] > path[b - 2])
        if backwards:
            ends[e, 0], ends[e, 1] = ends[e, 1], ends[e, 0]
            for k in range((b - a) // 2):
                path[a + k], path[b - 1 - k] = path[b - 1 - k], path[a + k]
    return path[:used], starts[: edges + 1], ends[:edges]


@kernel
def _renumber(node_of: Any, loop: int) -> None:
    """Number the nodes by their first pixels; each pixel that has the number ``loop`` is a node by itself."""
    names = np.full(loop + 1, -1, np.int32)
    count = 0
    for i in range(node_of.size):
        if node_of[i] < 0:
            continue
        if node_of[i] == loop:
            node_of[i] = count
            count += 1
            continue
        if names[node_of[i]] < 0:
            names[node_of[i]] = count
            count += 1
        node_of[i] = names[node_of[i]]


@kernel
def _first_pixels(path: Any, starts: Any, degree: Any) -> Any:
    """The first pixel of each edge between its nodes; where there is none, of those of its ends that end there."""
    out = np.empty(starts.size - 1, np.int64)
    for e in range(out.size):
        a, b = starts[e], starts[e + 1]
        if b - a == 2:
            one, other = path[a], path[a + 1]
            out[e] = min(one if degree[one] == 1 else other, other if degree[other] == 1 else one)
            continue
        out[e] = path[a + 1]
        for k in range(a + 2, b - 1):
            out[e] = min(out[e], path[k])
    return out
