"""Buildings with right angles: against the shapes that were burnt into the pixels."""

from __future__ import annotations

import math

import numpy as np
import pytest
import shapely
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from rasterio.features import rasterize
from shapely import affinity

from geounet.vector.polygons import Polygons
from geounet.vector.regularize import LIMIT, intersection_over_union, regularize
from geounet.vector.runs import OUTSIDE
from geounet.vector.tracer import Tracer

SIZE = 120
PLAIN = np.eye(2)[None]
LSHAPE = shapely.Polygon([(30, 40), (90, 40), (90, 62), (56, 62), (56, 85), (30, 85)])
USHAPE = shapely.Polygon([(30, 35), (92, 35), (92, 80), (72, 80), (72, 55), (50, 55), (50, 80), (30, 80)])
COURT = shapely.box(30, 35, 92, 85) - shapely.box(48, 50, 74, 70)


def traced(mask: NDArray[np.bool_]) -> Polygons:
    """The polygons of the marks of a mask."""
    lut = np.full(256, OUTSIDE, np.int32)
    lut[1] = 1
    tracer = Tracer(width=mask.shape[1], lut=lut)
    found = [tracer.feed(mask.astype(np.uint8)), tracer.close()]
    return max(found, key=len)


def burnt(shape: shapely.Geometry) -> NDArray[np.bool_]:
    return np.asarray(rasterize([shape], out_shape=(SIZE, SIZE)).astype(bool))


def largest(polygons: Polygons) -> Polygons:
    return polygons.take(np.array([int(polygons.pixels.argmax())]))


def squared(mask: NDArray[np.bool_]) -> tuple[shapely.Geometry, Polygons]:
    """The largest mark with right angles, and as it was."""
    own = largest(traced(mask))
    shapes, done = regularize(own, PLAIN, width=mask.shape[1], height=mask.shape[0])
    assert done.tolist() == [True]
    return shapes[0], own


def angles(shape: shapely.Geometry) -> NDArray[np.float64]:
    """Degrees from a right angle at every corner."""
    out = []
    for ring in shapely.get_rings(shape):
        xy = shapely.get_coordinates(ring)[:-1]
        before, after = xy - np.roll(xy, 1, axis=0), np.roll(xy, -1, axis=0) - xy
        dot = (before * after).sum(axis=1) / np.hypot(*before.T) / np.hypot(*after.T)
        out.append(np.degrees(np.abs(np.arcsin(np.clip(dot, -1, 1)))))
    return np.concatenate(out)


@settings(max_examples=80, deadline=None)
@example(turn=0.0, shape=shapely.box(50, 45, 66, 77), shift=(1.5, 1.5))
@given(
    turn=st.floats(0, 180),
    shape=st.sampled_from([shapely.box(32, 40, 88, 78), shapely.box(50, 45, 66, 77), LSHAPE, USHAPE, COURT]),
    shift=st.tuples(st.floats(-4, 4), st.floats(-4, 4)),
)
def test_what_was_square_comes_back_within_a_pixel(
    turn: float, shape: shapely.Geometry, shift: tuple[float, float]
) -> None:
    truth = affinity.translate(affinity.rotate(shape, turn, origin=(60, 60)), *shift)
    found, own = squared(burnt(truth))
    assert angles(found).max() < 1e-6
    assert shapely.get_num_coordinates(found) == shapely.get_num_coordinates(truth)
    assert shapely.hausdorff_distance(found, truth) < 1.5  # of corners; of walls:
    half_a_pixel = 0.5 * truth.length / truth.area  # where walls run through the middles of pixels
    assert intersection_over_union(np.array([found]), np.array([truth]))[0] > 1 - 1.1 * half_a_pixel
    pixels = own.to_shapely()[0]
    assert found.symmetric_difference(truth).area <= pixels.symmetric_difference(truth).area + 0.1 * truth.length


@pytest.mark.parametrize("shape", [shapely.box(32, 40, 88, 78), LSHAPE], ids=["rectangle", "L"])
@pytest.mark.parametrize("turn", [0, 12, 33, 45, 71])
def test_a_ragged_outline_comes_back_with_right_angles(shape: shapely.Geometry, turn: float) -> None:
    """A third of the pixels at the outline are wrong."""
    truth = affinity.rotate(shape, turn, origin=(60, 60))
    rng = np.random.default_rng(turn)
    rim = rasterize([truth.boundary], out_shape=(SIZE, SIZE), all_touched=True).astype(bool)
    noisy = burnt(truth) ^ (rim & (rng.random((SIZE, SIZE)) < 0.33))
    found, own = squared(noisy)
    assert angles(found).max() < 1e-6
    assert shapely.get_num_coordinates(found) <= shapely.get_num_coordinates(truth) + 2
    assert found.symmetric_difference(truth).area < 0.8 * truth.length, "less than a pixel beside the truth"
    assert shapely.hausdorff_distance(found, truth) < 3
    assert shapely.get_num_coordinates(own.to_shapely()[0]) > 100


def test_slanted_walls_keep_their_direction() -> None:
    """No steps along a wall that is neither along nor across."""
    octagon = shapely.Point(60, 60).buffer(40, quad_segs=2)
    found, _ = squared(burnt(octagon))
    assert shapely.get_num_coordinates(found) == 9
    assert shapely.hausdorff_distance(found, octagon) < 1.5


def test_what_has_no_form_is_left_alone() -> None:
    row, column = np.mgrid[:SIZE, :SIZE] - 60
    angle, away = np.arctan2(row, column), np.hypot(row, column)
    star = away < 18 + 30 * (np.cos(4.5 * angle) > 0.8)
    own = largest(traced(star))
    shapes, done = regularize(own, PLAIN, width=SIZE, height=SIZE)
    if done[0]:
        assert intersection_over_union(shapes, own.to_shapely())[0] >= LIMIT
    noise = np.random.default_rng(3).random((SIZE, SIZE)) < 0.62
    tangle = largest(traced(noise))
    shapes, done = regularize(tangle, PLAIN, width=SIZE, height=SIZE)
    assert shapes.size == 0
    assert not done.any()


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10**6), share=st.floats(0.05, 0.7))
def test_every_result_is_valid_true_and_on_the_raster(seed: int, share: float) -> None:
    mask = np.random.default_rng(seed).random((24, 30)) < share
    polygons = traced(mask)
    shapes, done = regularize(polygons, np.repeat(PLAIN, len(polygons), 0), width=30, height=24)
    assert shapes.size == done.sum()
    assert shapely.is_valid(shapes).all()
    assert (intersection_over_union(shapes, polygons.take(done).to_shapely()) >= LIMIT).all()
    assert shapely.covers(shapely.box(0, 0, 30, 24).buffer(1e-9), shapes).all()
    alone = [
        regularize(polygons.part(k, k + 1), PLAIN, width=30, height=24)[0] for k in np.flatnonzero(done).tolist()
    ]
    assert all(a[0] == b for a, b in zip(alone, shapes, strict=True)), "a polygon by itself"


def test_angles_are_true_where_pixels_are_not_square() -> None:
    """At 60° north a degree of longitude is half as long as one of latitude."""
    frame = np.array([[[math.sqrt(0.5), 0], [0, math.sqrt(2)]]])
    truth = affinity.rotate(shapely.box(-22, -14, 22, 14), 25)
    on_pixels = shapely.transform(truth, lambda xy: xy / [frame[0, 0, 0], frame[0, 1, 1]] + 60)
    own = largest(traced(burnt(on_pixels)))
    shapes, done = regularize(own, frame, width=SIZE, height=SIZE)
    assert done[0]
    true = shapely.transform(shapes[0], lambda xy: (xy - 60) * [frame[0, 0, 0], frame[0, 1, 1]])
    assert angles(true).max() < 1e-6
    assert angles(shapes[0]).max() > 10
    assert shapely.hausdorff_distance(true, truth) < 1.5
