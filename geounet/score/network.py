"""Lines as a road network: where they meet or cross is a node, and points may be put onto the edges."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import shapely
from numpy.typing import NDArray

if TYPE_CHECKING:
    import networkx as nx

GRID = 0.05
"""Metres to which nodes are rounded: ends that touch another line within rounding meet it."""
_SAME = 1e-6

Node = tuple[float, float]
Place = tuple[int, float]
"""A point on the network: an edge, and the metres along it."""


@dataclass(frozen=True)
class Network:
    """Edges between nodes; a bridge counts as a crossing, since plain lines do not say which it is."""

    edges: NDArray[Any]
    """``(n,)`` LineStrings in metres, in an order that depends on where they are alone."""
    lengths: NDArray[np.float64]
    """``(n,)`` metres."""

    @classmethod
    def of(cls, lines: NDArray[Any]) -> Network:
        """The network of LineStrings ``(n,)`` in metres, however they were cut into pieces."""
        noded = shapely.union_all(lines, grid_size=GRID)
        pieces = shapely.get_parts(shapely.line_merge(noded))
        pieces = _in_order(pieces[shapely.length(pieces) > 0])
        order = sorted(range(len(pieces)), key=lambda i: shapely.get_coordinates(pieces[i]).tolist())
        edges = pieces[np.array(order, dtype=np.intp)]
        return cls(edges, shapely.length(edges))

    def ends(self, edge: int) -> tuple[Node, Node]:
        """The nodes of an edge; the same one twice for a ring."""
        xy = shapely.get_coordinates(self.edges[edge])
        return _node(xy[0]), _node(xy[-1])

    def places(self, *, spacing: float) -> list[Place]:
        """Every node once, and points along the edges at equal distances of at most ``spacing`` metres."""
        out: list[Place] = []
        seen: set[Node] = set()
        for edge, length in enumerate(self.lengths):
            pieces = int(np.ceil(length / spacing))
            for end, along in zip(self.ends(edge), (0.0, float(length)), strict=True):
                if end not in seen:
                    seen.add(end)
                    out.append((edge, along))
            out.extend((edge, float(length) * i / pieces) for i in range(1, pieces))
        return out

    def point(self, place: Place) -> Any:
        """The shapely Point at a place."""
        return shapely.line_interpolate_point(self.edges[place[0]], place[1])

    def nearest(self, points: NDArray[Any], *, within: float) -> list[Place | None]:
        """For each of ``points`` the nearest place on the network, None where none is within ``within`` metres."""
        out: list[Place | None] = [None] * len(points)
        tree = shapely.STRtree(self.edges)
        asked, found = tree.query_nearest(points, max_distance=within + _SAME, all_matches=True)
        for at, edge in sorted(zip(asked.tolist(), found.tolist(), strict=True), reverse=True):
            out[at] = (edge, float(shapely.line_locate_point(self.edges[edge], points[at])))  # the first edge stays
        return out

    def graph(self, places: list[Place]) -> tuple[nx.Graph, list[Any]]:
        """The graph with weights ``length`` and every one of ``places`` as a node, and those nodes, in order."""
        import networkx as nx

        graph = nx.Graph()
        nodes: list[Any] = [None] * len(places)
        on_edge: dict[int, list[int]] = {}
        for at, (edge, _) in enumerate(places):
            on_edge.setdefault(edge, []).append(at)
        for edge, length in enumerate(self.lengths):
            start, end = self.ends(edge)
            stops: list[tuple[float, Any]] = [(0.0, start)]
            for at in sorted(on_edge.get(edge, []), key=lambda i: places[i][1]):
                along = places[at][1]
                if along - stops[-1][0] > _SAME:
                    stops.append((along, end if length - along <= _SAME else (edge, along, at)))
                nodes[at] = stops[-1][1]
            if stops[-1][1] != end or len(stops) == 1:
                stops.append((float(length), end))
            _link(graph, stops)
        return graph, nodes


def _in_order(pieces: NDArray[Any]) -> NDArray[Any]:
    """Each piece with the first point and in the direction that depend on where it lies alone.

    A ring begins anywhere, but one that hangs on the network begins, and ends, where it does.
    """
    ends = np.stack([shapely.get_coordinates(shapely.get_point(pieces, at)) for at in (0, -1)], axis=1)  # (n, 2, 2)
    _, at, count = np.unique(ends.reshape(-1, 2), axis=0, return_inverse=True, return_counts=True)
    hangs = shapely.is_closed(pieces) & (count[at.reshape(-1, 2)[:, 0]] > 2)
    turned = np.array([_backwards(piece) for piece in pieces], dtype=bool) & hangs
    out = np.where(hangs, pieces, shapely.normalize(pieces))
    out[turned] = shapely.reverse(pieces[turned])
    return out


def _backwards(line: Any) -> bool:
    xy = shapely.get_coordinates(line).tolist()
    return bool(xy[::-1] < xy)


def _link(graph: nx.Graph, stops: list[tuple[float, Any]]) -> None:
    """Join neighbouring stops; of two ways between the same nodes the shorter one counts."""
    for (before, first), (after, second) in itertools.pairwise(stops):
        known = graph.get_edge_data(first, second)
        length = after - before
        if known is None or length < known["length"]:
            graph.add_edge(first, second, length=length)


def _node(xy: NDArray[np.float64]) -> Node:
    return round(float(xy[0]), 3), round(float(xy[1]), 3)
