"""Spurs: short dead ends that say more about the outline of a mark than about a road.

They go in rounds: of the dead ends at a node that are too short only the shortest goes, then lines that met there
and now only pass are one line, which may be long enough. So of the two tips of a fork at the end of a road one
stays. The rounds hang on the whole graph and not on the order in which it was made.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from geounet.vector.network import IntArray, Network, network

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]


def steps(net: Network, place: IntArray, width: int, sides: FloatArray) -> FloatArray:
    """``(path,)`` length of the step from each entry of the path to the next, in the unit of ``sides`` ``(n, 2)``;
    0 from the end of one edge to the next.
    """
    row, column = place[net.path] // width, place[net.path] % width
    side = sides[net.path]
    out = np.zeros(net.path.size)
    across = np.diff(column) * (side[1:, 0] + side[:-1, 0]) / 2
    down = np.diff(row) * (side[1:, 1] + side[:-1, 1]) / 2
    out[:-1] = np.hypot(across, down)
    out[net.starts[1:] - 1] = 0
    return out


def lengths(net: Network, place: IntArray, width: int, sides: FloatArray) -> FloatArray:
    """``(edges,)`` lengths along the pixels."""
    return np.add.reduceat(steps(net, place, width, sides), net.starts[:-1]) if net.edge_count else np.zeros(0)


def without_spurs(
    place: IntArray, reach: FloatArray, *, width: int, sides: FloatArray, spur: float | None, lone: bool = True
) -> BoolArray:
    """``(n,)`` which pixels of a skeleton stay.

    ``spur``: length below which a dead end goes, in the unit of ``sides`` ``(n, 2)`` and of ``reach``; None: the
    width of the mark where it branches off. ``lone``: whether lines that meet no other go too.
    """
    stays = np.ones(place.size, np.bool_)
    while True:
        kept = np.flatnonzero(stays)
        net = network(place[kept], width=width)
        goes = _too_short(net, place[kept], reach[kept], width, sides[kept], spur, lone)
        if not goes.any():
            return stays
        stays[kept[_pixels(net, goes)]] = False


def _too_short(  # noqa: PLR0917
    net: Network, place: IntArray, reach: FloatArray, width: int, sides: FloatArray, spur: float | None, lone: bool
) -> BoolArray:
    """``(edges,)`` which edges go in this round."""
    if not net.edge_count:
        return np.zeros(0, np.bool_)
    dead = net.degree[net.ends] == 1
    length = lengths(net, place, width, sides)
    if spur is None:
        widest = np.maximum.reduceat(reach[net.path], net.starts[:-1])
        at_node = np.zeros(net.node_count)
        held = net.node_of >= 0
        np.maximum.at(at_node, net.node_of[held], reach[held])
        inner = at_node[np.where(dead[:, 0], net.ends[:, 1], net.ends[:, 0])]
        limit = 2 * np.where(dead.all(axis=1), widest, inner)
    else:
        limit = np.full(net.edge_count, spur)
    short = length < limit
    alone = dead.all(axis=1)
    hanging = np.flatnonzero(short & dead.any(axis=1) & ~alone)
    node = np.where(dead[hanging, 0], net.ends[hanging, 1], net.ends[hanging, 0])
    order = np.lexsort([hanging, length[hanging], node])
    first = np.ones(order.size, np.bool_)
    first[1:] = node[order][1:] != node[order][:-1]
    goes = short & alone & lone
    goes[hanging[order[first]]] = True
    return goes


def _pixels(net: Network, goes: BoolArray) -> IntArray:
    """The pixels of edges that go, with their dead ends and without the nodes at which others stay."""
    chosen = goes[net.edge_of_path]
    own = (net.node_of[net.path] < 0) | (net.degree[net.node_of[net.path]] == 1)
    return np.unique(net.path[chosen & own]).astype(np.int64)
