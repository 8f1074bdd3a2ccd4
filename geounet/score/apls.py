"""Average path length similarity: whether one gets from A to B on the predicted roads as on the true ones.

A. Van Etten, D. Lindenbaum and T. M. Bacastow, SpaceNet: A Remote Sensing Dataset and Challenge Series, 2018
(arXiv 1807.01232), section on APLS. Control points lie on the nodes and along the edges of one network and are
snapped onto the other; every pair that is joined in the one contributes ``min(1, |L - L'| / L)``, 1 where a point
or a way is missing in the other. One minus the mean is the similarity of that direction; both are joined by the
harmonic mean.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from geounet.score.matrix import harmonic
from geounet.score.network import Network, Place

if TYPE_CHECKING:
    import networkx as nx

SPACING = 50.0
"""Metres between control points along an edge, as in the paper."""
CONTROL_POINTS = 300
"""Drawn where a network has more; all pairs of them are compared."""
_SHORTEST = 1e-3


@dataclass(frozen=True, kw_only=True)
class Apls:
    """Similarities 0..1; NaN where a network has no pair of points that are joined."""

    apls: float
    """Harmonic mean of the other two."""
    truth_to_prediction: float
    """Ways of the truth, tried in the prediction: falls with roads that are missing or broken."""
    prediction_to_truth: float
    """Ways of the prediction, tried in the truth: falls with roads that are not there."""


def apls(
    truth: NDArray[Any],
    predicted: NDArray[Any],
    *,
    snap: float,
    spacing: float = SPACING,
    points: int = CONTROL_POINTS,
    seed: int = 0,
) -> Apls:
    """APLS of LineStrings ``(n,)`` in metres. ``snap``: metres a control point may lie beside the other network.

    At most ``points`` control points are used, drawn with ``seed``. The order of the lines changes nothing.
    """
    networks = Network.of(truth), Network.of(predicted)
    there = one_way(*networks, snap=snap, spacing=spacing, points=points, seed=seed)
    back = one_way(*networks[::-1], snap=snap, spacing=spacing, points=points, seed=seed)
    if len(networks[0].edges) and not len(networks[1].edges):
        return Apls(apls=0.0, truth_to_prediction=there, prediction_to_truth=back)  # nothing was found
    both = float(harmonic(np.float64(there), np.float64(back)))  # type: ignore[arg-type]
    return Apls(apls=both, truth_to_prediction=there, prediction_to_truth=back)


def one_way(network: Network, other: Network, *, snap: float, spacing: float, points: int, seed: int) -> float:
    """One minus the mean difference of the ways of ``network``, tried in ``other``."""
    if not len(network.edges):
        return float("nan")
    places = _drawn(network.places(spacing=spacing), points, seed)
    snapped = other.nearest(np.array([network.point(p) for p in places]), within=snap)
    graph, nodes = network.graph(places)
    other_graph, found = other.graph([p for p in snapped if p is not None])
    spare = iter(found)
    twins = [None if p is None else next(spare) for p in snapped]
    total, pairs = 0.0, 0
    for at in range(len(nodes) - 1):
        lengths, twin_lengths = _ways(graph, nodes[at]), _ways(other_graph, twins[at])
        for node, twin in zip(nodes[at + 1 :], twins[at + 1 :], strict=True):
            length = lengths.get(node, 0.0)
            if length > _SHORTEST:
                total += min(1.0, abs(length - twin_lengths.get(twin, np.inf)) / length)
                pairs += 1
    return 1 - total / pairs if pairs else float("nan")


def _drawn(places: list[Place], points: int, seed: int) -> list[Place]:
    if len(places) <= points:
        return places
    chosen = np.random.default_rng(seed).choice(len(places), points, replace=False)
    return [places[i] for i in np.sort(chosen)]


def _ways(graph: nx.Graph, node: Any) -> dict[Any, float]:
    """Metres from ``node`` to all that can be reached; nothing from a node that is not there."""
    import networkx as nx

    if node is None:
        return {}
    return dict(nx.single_source_dijkstra_path_length(graph, node, weight="length"))
