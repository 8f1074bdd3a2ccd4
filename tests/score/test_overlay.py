"""Polygons against polygons: by area and object by object."""

from __future__ import annotations

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from shapely import box

from geounet.score.matrix import overlap_scores
from geounet.score.overlay import Polygons, area_matrix, common_ground, match_objects, object_scores


def layer(*shapes, classes=None):
    return Polygons(
        shapes=np.array(shapes, dtype=object), classes=np.array(classes or [0] * len(shapes), dtype=np.intp)
    )


def test_by_hand():
    truth = layer(box(0, 0, 10, 10), box(20, 0, 30, 10), box(40, 0, 50, 10))
    predicted = layer(box(0, 0, 10, 8), box(24, 0, 34, 10), box(100, 0, 101, 1))
    matrix = area_matrix(truth, predicted, common_ground(truth, predicted), classes=1)
    np.testing.assert_allclose(matrix, [[80 + 60, 160], [41, 0]])
    matches, iou = match_objects(truth, predicted)
    np.testing.assert_allclose(iou, [0.8])  # the second reaches 60 / 140 only
    assert (matches.truth.tolist(), matches.predicted.tolist()) == ([0], [0])
    scores = object_scores(np.array([1.0, 3.0, 3.0, 0.8]))
    assert scores["object_f1"] == pytest.approx(1 / 3)
    assert scores["object_iou"] == pytest.approx(0.8)


def test_each_object_is_taken_once_the_best_first():
    truth = layer(box(0, 0, 10, 10))
    predicted = layer(box(0, 0, 10, 9), box(0, 0, 10, 10), box(0, 1, 10, 10))
    matches, iou = match_objects(truth, predicted)
    assert matches.predicted.tolist() == [1]
    np.testing.assert_allclose(iou, [1])


def test_classes_are_matched_apart():
    square = box(0, 0, 10, 10)
    assert match_objects(layer(square), layer(square, classes=[1]))[1].size == 0


def test_half_is_enough():
    assert match_objects(layer(box(0, 0, 10, 10)), layer(box(0, 0, 10, 5)))[1].tolist() == [0.5]


def test_overlaps_within_a_class_count_once():
    twice = layer(box(0, 0, 10, 10), box(5, 0, 15, 10)).dissolved()
    assert shapely.area(twice.shapes).sum() == 150
    neighbours = layer(box(0, 0, 10, 10), box(10, 0, 20, 10))
    assert len(neighbours.dissolved().shapes) == 2, "what does not overlap stays as it is"


def test_cutting_along_squares_keeps_every_area_and_length():
    from geounet.score.squares import BLOCKS, Squares

    rng = np.random.default_rng(2)
    at, size = rng.uniform(0, 99, (60, 2)), rng.uniform(1, 60, (60, 2))
    at[:10], size[:10] = at[:10] // 20 * 20, 20  # sides that lie on those of the squares
    shapes = np.array([box(0, 0, 160, 160), *(box(*a, *(a + s)) for a, s in zip(at, size, strict=True))])
    for layer, measure in ((shapes, shapely.area), (shapely.boundary(shapes), shapely.length)):
        pieces, of, block = Squares(layer).cut(layer)
        np.testing.assert_allclose(np.bincount(of, weights=measure(pieces)), measure(layer))
        assert 0 <= block.min() <= block.max() < BLOCKS
        assert Squares(layer).side == 20
        middles = shapely.points([Squares(layer).middle(b) for b in block])
        assert (shapely.distance(pieces, middles) < Squares(layer).side).all()


squares = st.lists(
    st.tuples(st.integers(0, 6), st.integers(0, 6), st.integers(1, 3), st.integers(1, 3), st.integers(0, 1)),
    min_size=1,
    max_size=7,
)


@given(squares, squares)
@settings(max_examples=80, deadline=None)
def test_areas_are_those_of_the_unions(first, second):
    made = [
        layer(*(box(x, y, x + w, y + h) for x, y, w, h, _ in drawn), classes=[c for *_, c in drawn])
        for drawn in (first, second)
    ]
    whole = [m.dissolved() for m in made]
    pairs = common_ground(*whole)
    for value in (0, 1):
        unions = [shapely.union_all(m.shapes[m.classes == value]) for m in made]
        both = shapely.intersection(*unions).area
        same = (whole[0].classes[pairs.truth] == value) & (whole[1].classes[pairs.predicted] == value)
        assert pairs.area[same].sum() == pytest.approx(both)
        either = shapely.union(*unions).area
        areas = [shapely.area(m.shapes[m.classes == value]).sum() for m in whole]
        if either:
            assert overlap_scores(np.array([both, *areas]))["iou"] == pytest.approx(both / either)


@given(squares, st.randoms(use_true_random=False))
@settings(max_examples=40, deadline=None)
def test_the_order_of_the_file_does_not_matter(drawn, random):
    shapes = [box(x, y, x + w, y + h) for x, y, w, h, _ in drawn]
    truth = layer(*shapes)
    moved = [shapely.transform(s, lambda xy: xy + np.array([0.25, 0])) for s in shapes]
    first = np.sort(match_objects(truth, layer(*moved))[1])
    random.shuffle(moved)
    np.testing.assert_allclose(np.sort(match_objects(truth, layer(*moved))[1]), first)
