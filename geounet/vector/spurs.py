"""What says more about the outline of a mark than about a road: spurs, lone specks, rings around small holes.

They go in rounds, in each of which the whole graph decides: so nothing hangs on the order in which it was made.
Where a line ends in a fork of two short tips, both go; then lines that met there and now only pass are one line.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from geounet.kernels import kernel
from geounet.vector.network import IntArray, Network, network
from geounet.vector.short_rings import closing_edges

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]

_LONE = 6.0
"""Reaches, so three widths: a mark by itself that is not longer is no road."""


def steps(net: Network, place: IntArray, width: int, sides: FloatArray) -> FloatArray:
    """``(path,)`` length of the step from each entry of the path to the next, in the unit of ``sides`` ``(n, 2)``;
    0 from the end of one edge to the next.
    """
    out = _steps(net.path, place, width, sides)
    out[net.starts[1:] - 1] = 0
    return out


@kernel
def _steps(path: Any, place: Any, width: int, sides: Any) -> Any:
    out = np.zeros(path.size)
    for i in range(path.size - 1):
        here, there = path[i], path[i + 1]
        row, column = divmod(place[here], width)
        to_row, to_column = divmod(place[there], width)
        across = (to_column - column) * (sides[there, 0] + sides[here, 0]) / 2
        down = (to_row - row) * (sides[there, 1] + sides[here, 1]) / 2
        out[i] = np.hypot(across, down)
    return out


def lengths(net: Network, place: IntArray, width: int, sides: FloatArray) -> FloatArray:
    """``(edges,)`` lengths along the pixels."""
    return np.add.reduceat(steps(net, place, width, sides), net.starts[:-1]) if net.edge_count else np.zeros(0)


def node_reaches(net: Network, reach: FloatArray) -> FloatArray:
    """``(nodes,)`` the greatest reach of a node's pixels."""
    out = np.zeros(net.node_count)
    held = net.node_of >= 0
    np.maximum.at(out, net.node_of[held], reach[held])
    return out


def without_spurs(
    place: IntArray, reach: FloatArray, *, width: int, sides: FloatArray, spur: float | None, lone: bool = True
) -> BoolArray:
    """``(n,)`` which pixels of a skeleton stay.

    ``spur``: length below which a dead end goes, in the unit of ``sides`` ``(n, 2)`` and of ``reach``; None: the
    width of the mark where it branches off. A ring goes up to one and a half times the circle of that diameter.
    ``lone``: whether lines that meet no other go too, below the same length, or below three times their width.
    """
    stays = np.ones(place.size, np.bool_)
    while True:
        kept = np.flatnonzero(stays)
        net = network(place[kept], width=width)
        length = lengths(net, place[kept], width, sides[kept])
        at_node = node_reaches(net, reach[kept])
        limits = 2 * at_node if spur is None else np.full(net.node_count, spur)
        if lone and net.edge_count:
            goes = _lone(net, length, reach[kept], spur)
        else:
            goes = np.zeros(net.edge_count, np.bool_)
        goes[closing_edges(net.ends, length, 1.5 * np.pi * limits)] = True
        goes[_short_tips(net, length, limits, goes)] = True
        if not goes.any():
            return stays
        stays[kept[_pixels(net, goes)]] = False


def glued(net: Network, length: FloatArray, at_node: FloatArray) -> BoolArray:
    """``(n,)`` the pixels between crossings that are nearer to each other than to the outline: they are one."""
    both = (net.degree[net.ends] > 2).all(axis=1) & (net.ends[:, 0] != net.ends[:, 1])
    near = both & (length < at_node[net.ends].max(axis=1, initial=0))
    out = np.zeros(net.node_of.size, np.bool_)
    out[net.path[near[net.edge_of_path]]] = True
    return out


def _lone(net: Network, length: FloatArray, reach: FloatArray, spur: float | None) -> BoolArray:
    """``(edges,)`` which meet no other and are short: without a given length, against their own width."""
    widest = np.maximum.reduceat(reach[net.path], net.starts[:-1])
    alone = (net.degree[net.ends] == 1).all(axis=1)
    return alone & (length < (_LONE * widest if spur is None else spur))


def _short_tips(net: Network, length: FloatArray, limits: FloatArray, goes: BoolArray) -> IntArray:
    """The dead ends that are too short for the node where they branch off.

    Where nothing else would be left at a node, the longest stays, and of two the first.
    """
    dead = (net.degree[net.ends] == 1) & ~goes[:, None]
    inner = np.where(dead[:, 0], net.ends[:, 1], net.ends[:, 0])
    tips = np.flatnonzero((dead[:, 0] != dead[:, 1]) & (length < limits[inner]))
    if not tips.size:
        return tips
    node = inner[tips]
    left = np.bincount(net.ends[~goes].reshape(-1), minlength=net.node_count)
    left -= np.bincount(node, minlength=net.node_count)
    order = np.lexsort([-tips, length[tips], node])
    last = np.ones(order.size, np.bool_)
    last[:-1] = node[order][1:] != node[order][:-1]
    return tips[order[~(last & (left[node[order]] == 0))]]


def _pixels(net: Network, goes: BoolArray) -> IntArray:
    """The pixels of edges that go, with their dead ends and without the nodes at which others stay."""
    chosen = goes[net.edge_of_path]
    own = (net.node_of[net.path] < 0) | (net.degree[net.node_of[net.path]] == 1)
    return np.unique(net.path[chosen & own]).astype(np.int64)
