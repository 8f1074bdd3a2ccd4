"""Roads against roads: figures worked out by hand on small networks."""

from __future__ import annotations

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from shapely import LineString

from geounet.score.apls import apls
from geounet.score.buffers import covered_lengths, line_scores
from geounet.score.network import Network


def lines(*coordinates):
    return np.array([LineString(c) for c in coordinates], dtype=object)


SQUARE = lines([(0, 0), (100, 0)], [(100, 0), (100, 100)], [(100, 100), (0, 100)], [(0, 100), (0, 0)])
FAR = {"snap": 4.0, "spacing": 1000.0}  # nodes only


# --- buffers --------------------------------------------------------------------------------------------------


def test_lengths_by_hand():
    truth = lines([(0, 0), (100, 0)], [(0, 50), (100, 50)])
    predicted = lines([(0, 1), (60, 1)], [(0, 80), (40, 80)])
    found = covered_lengths(truth, predicted, buffer=2)
    assert found[1] == 0
    assert found[0] == pytest.approx(60 + np.sqrt(3), abs=0.02)  # the round end reaches sqrt(2² - 1²) further
    right = covered_lengths(predicted, truth, buffer=2)
    np.testing.assert_allclose(right, [60, 0])
    scores = line_scores(np.array([found.sum(), 200.0, right.sum(), 100.0]))
    assert scores["completeness"] == pytest.approx(found.sum() / 200)
    assert scores["correctness"] == pytest.approx(0.6)
    assert scores["quality"] == pytest.approx(60 / (100 + 200 - found.sum()))


def test_overlapping_buffers_count_once():
    twice = lines([(0, 1), (100, 1)], [(0, -1), (100, -1)], [(0, 1), (100, 1)])
    np.testing.assert_allclose(covered_lengths(lines([(0, 0), (100, 0)]), twice, buffer=3), [100])


def test_cutting_lines_into_pieces_changes_nothing():
    whole = lines([(0, 0), (100, 0)])
    cut = lines([(0, 0), (37, 0)], [(37, 0), (100, 0)])
    other = lines([(10, 1), (90, 1)])
    assert covered_lengths(cut, other, buffer=2).sum() == pytest.approx(
        covered_lengths(whole, other, buffer=2).sum()
    )
    assert apls(cut, whole, **FAR).apls == pytest.approx(1)


# --- the network --------------------------------------------------------------------------------------------


def test_crossings_and_touching_ends_are_nodes():
    cross = Network.of(lines([(-10, 0), (10, 0)], [(0, -10), (0, 10)], [(5, 0), (5, 20)]))
    assert len(cross.edges) == 6
    np.testing.assert_allclose(np.sort(cross.lengths), [5, 5, 10, 10, 10, 20])
    graph, nodes = cross.graph([(0, 0.0)])
    assert sorted(degree for _, degree in graph.degree()) == [1, 1, 1, 1, 1, 3, 4]
    assert nodes[0] in graph


def test_points_on_edges_split_them():
    import networkx as nx

    network = Network.of(SQUARE)
    assert len(network.edges) == 1, "a ring has no node of its own"
    places = network.places(spacing=100)
    assert len(places) == 4
    graph, nodes = network.graph(places)
    assert len(graph) == 4
    assert nx.shortest_path_length(graph, nodes[0], nodes[2], weight="length") == pytest.approx(200)
    assert nx.shortest_path_length(graph, nodes[0], nodes[3], weight="length") == pytest.approx(100)


def test_a_ring_hangs_on_the_network_where_it_does():
    import networkx as nx

    at_its_end = lines([(100, 100), (150, 120)])
    for ring in (SQUARE, SQUARE[[2, 1, 3, 0]], shapely.reverse(SQUARE[[1, 0, 2, 3]])):
        network = Network.of(np.concatenate([ring, at_its_end]))
        assert len(network.edges) == 2
        graph, _ = network.graph(network.places(spacing=60))
        assert nx.number_connected_components(graph) == 1
        assert [e.wkt for e in network.edges] == [
            e.wkt for e in Network.of(np.concatenate([at_its_end, SQUARE])).edges
        ]


def test_of_two_ways_between_nodes_the_shorter_counts():
    import networkx as nx

    loop = lines(
        [(0, 0), (100, 0)], [(0, 0), (0, 50), (100, 50), (100, 0)], [(-10, 0), (0, 0)], [(100, 0), (110, 0)]
    )
    graph, nodes = Network.of(loop).graph([])
    assert nodes == []
    assert nx.shortest_path_length(graph, (-10.0, 0.0), (110.0, 0.0), weight="length") == pytest.approx(120)


# --- APLS ----------------------------------------------------------------------------------------------------


def test_identical_networks_score_one():
    town = lines(
        [(0, 0), (300, 0)],
        [(100, -80), (100, 150)],
        [(200, 0), (200, 150)],
        [(100, 150), (200, 150)],
        [(900, 0), (960, 20)],
    )
    similar = apls(town, town, snap=4)
    assert similar.apls == pytest.approx(1, abs=1e-12)
    assert similar.truth_to_prediction == similar.prediction_to_truth == pytest.approx(1, abs=1e-12)


def test_a_broken_edge_by_hand():
    """A path of three nodes, 0, 100 and 200 m; the prediction lacks what lies between 130 and 200 m.

    Truth: nodes 0 and 200 (the one in the middle joins two pieces of one line), so with control points every 100 m:
    0, 100, 200. In the prediction 200 is missing (70 m away): pairs 0-100 right, 0-200 and 100-200 lost: 1 - 2/3.
    Prediction: 0, 65, 130: all three ways are there in the truth: 1. Harmonic mean of 1/3 and 1: 1/2.
    """
    truth = lines([(0, 0), (100, 0)], [(100, 0), (200, 0)])
    similar = apls(truth, lines([(0, 0), (130, 0)]), snap=4, spacing=100)
    assert similar.truth_to_prediction == pytest.approx(1 / 3)
    assert similar.prediction_to_truth == pytest.approx(1)
    assert similar.apls == pytest.approx(0.5)


def test_a_detour_by_hand():
    """A square of 100 m with a stub at each corner; the prediction lacks one side.

    Nodes: 4 corners A B C D and 4 ends a b c d of stubs of 10 m. Side AB is gone. Then A-B is 300 instead of 100 m:
    min(1, 2) = 1; a-B, A-b 310 against 110: 1; a-b 320 against 120: 1. All other ways stay: opposite corners
    are 200 m either way round, and C-D, B-C, A-D are not touched. So of the 28 pairs four are lost: 1 - 4/28.
    """
    stubs = lines([(0, 0), (-10, 0)], [(100, 0), (110, 0)], [(100, 100), (110, 100)], [(0, 100), (-10, 100)])
    truth = np.concatenate([SQUARE, stubs])
    predicted = np.concatenate([SQUARE[1:], stubs])
    similar = apls(truth, predicted, **FAR)
    assert similar.truth_to_prediction == pytest.approx(1 - 4 / 28)
    # of the prediction A and B are bends, not nodes: a, b, C, D, c, d remain; only a-b is shorter in the truth
    assert similar.prediction_to_truth == pytest.approx(1 - (200 / 320) / 15)


def test_shifted_beyond_the_snap_nothing_is_found():
    truth = lines([(0, 0), (100, 0)])
    near, far = (lines([(0, d), (100, d)]) for d in (3.9, 4.1))
    assert apls(truth, near, snap=4).apls == pytest.approx(1)
    assert apls(truth, far, snap=4).apls == 0


def test_the_order_and_direction_of_lines_does_not_matter():
    rng = np.random.default_rng(5)
    xy = rng.integers(0, 40, (60, 2, 2)) * 10.0
    town = np.array([LineString(p) for p in xy if not np.array_equal(*p)], dtype=object)
    other = town[: len(town) - 9]
    first = apls(town, other, snap=4, points=40, seed=7)
    again = apls(shapely.reverse(rng.permutation(town)), other[::-1], snap=4, points=40, seed=7)
    assert first == again
    assert 0 < first.apls < 1


@given(st.lists(st.tuples(*[st.integers(0, 12)] * 4), min_size=1, max_size=8))
@settings(max_examples=40, deadline=None)
def test_any_network_is_like_itself(drawn):
    town = lines(*([(a * 10, b * 10), (c * 10, d * 10)] for a, b, c, d in drawn if (a, b) != (c, d)))
    if len(town):
        assert apls(town, town, snap=4).apls == pytest.approx(1, abs=1e-9)
