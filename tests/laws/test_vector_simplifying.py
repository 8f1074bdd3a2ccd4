"""Laws of simplified and rounded outlines: a valid coverage, the same whatever the strips, near the pixels."""

from __future__ import annotations

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from label_rasters import LUT, NODATA, SHAPES, Labels
from numpy.typing import NDArray

from geounet.vector.polygons import Polygons, close_rings, starts
from geounet.vector.simplify import Outline, Vertices
from geounet.vector.tracer import trace


def drawn(labels: Labels, outline: Outline, *, rows: int = 1000) -> tuple[Polygons, NDArray[np.object_]]:
    """The polygons of a raster, and their outlines in pixels."""
    seen: list[tuple[NDArray[np.int32], NDArray[np.bool_]]] = []
    polygons = trace(
        labels, lut=LUT, rows_at_once=rows, on_vertices=lambda xy, node: seen.append((xy.copy(), node.copy()))
    )
    xy, node = (np.concatenate(column) for column in zip(*seen, strict=True))
    begin = np.searchsorted(xy[:, 1], np.arange(labels.shape[0] + 2))
    vertices = Vertices(codes=(xy[:, 0] << 1 | node).astype(np.int32), rows=begin.astype(np.int64))
    # as from a spool: two chunks, one after the other
    half = len(polygons) // 2
    for chunk in (polygons.part(0, half), polygons.part(half, len(polygons))):
        vertices.pin(chunk)
    corners, counts = outline.draw(polygons, vertices)
    closed, ring_starts = close_rings(corners, starts(counts))
    shapes = shapely.from_ragged_array(shapely.GeometryType.POLYGON, closed, (ring_starts, polygons.polygon_starts))
    return polygons, np.asarray(shapes)


def check(labels: Labels, tolerance: float, *, smooth: bool) -> None:
    outline = Outline(tolerance=tolerance, smooth=smooth, pixel=(1.0, 1.0))
    polygons, found = drawn(labels, outline)
    assert len(found) == len(polygons)
    assert shapely.is_valid(found).all()
    assert not shapely.is_empty(found).any()
    assert (shapely.area(found) > 0).all()
    plain = polygons.to_shapely()
    assert (shapely.get_num_interior_rings(found) == polygons.ring_counts - 1).all()
    if len(found):
        assert shapely.coverage_is_valid(found)
        total = shapely.area(found).sum()
        assert total - shapely.union_all(found).area <= 1e-6 * total
        footprint = shapely.union_all(plain)
        moved = shapely.get_parts(shapely.union_all(found).symmetric_difference(footprint))
        moved = moved[shapely.area(moved) > 1e-9]
        assert (shapely.distance(moved, footprint.boundary) < 1e-9).all(), (
            "away from the rim the footprint is whole"
        )
        if not smooth:
            corners, known = (set(map(tuple, shapely.get_coordinates(g))) for g in (found, plain))
            assert corners <= known
        height, width = labels.shape
        rim = shapely.box(0, 0, width, height).exterior
        lost = rim.intersection(footprint).difference(shapely.union_all(found))
        assert lost.length < 1e-9, "along the raster's rim nothing is cut off"
    for rows in (1, 3):
        again = drawn(labels, outline, rows=rows)[1]
        assert (shapely.to_wkb(found) == shapely.to_wkb(again)).all()


rasters = arrays(
    np.uint8, st.tuples(st.integers(1, 14), st.integers(1, 14)), elements=st.sampled_from([0, 1, 1, 2, NODATA])
)
blobs = st.builds(
    lambda seeds, n: np.kron(seeds, np.ones((n, n), np.uint8)),
    arrays(np.uint8, (5, 6), elements=st.sampled_from([0, 1, 1, NODATA])),
    st.integers(1, 4),
)


@settings(max_examples=250, deadline=None)
@given(st.one_of(rasters, blobs), st.sampled_from([0.0, 0.8, 1.0, 1.5, 3.0, 50.0]), st.booleans())
def test_any_raster(labels: Labels, tolerance: float, smooth: bool) -> None:
    check(labels, tolerance, smooth=smooth)


@pytest.mark.parametrize("smooth", [False, True])
@pytest.mark.parametrize("name", SHAPES)
def test_known_shapes(name: str, smooth: bool) -> None:
    check(SHAPES[name], 4.0, smooth=smooth)


@pytest.mark.parametrize("smooth", [False, True])
def test_the_scene_keeps_its_rectangle(smooth: bool) -> None:
    labels = np.kron(np.random.default_rng(1).integers(0, 2, (4, 5)), np.ones((5, 5))).astype(np.uint8)
    _, found = drawn(labels, Outline(tolerance=10.0, smooth=smooth, pixel=(1.0, 1.0)))
    assert shapely.union_all(found).equals(shapely.box(0, 0, 25, 20))


def test_a_border_that_would_fall_upon_another_stays() -> None:
    # a lens between two regions: both of its borders would become the same chord
    labels = np.zeros((8, 12), np.uint8)
    labels[4:] = 1
    labels[3, 3:9] = 2
    labels[4, 4:8] = 2
    check(labels, 50.0, smooth=False)


def test_a_diagonal_becomes_straight() -> None:
    labels = np.tril(np.ones((60, 60), np.uint8))
    _, found = drawn(labels, Outline(tolerance=1.0, smooth=False, pixel=(1.0, 1.0)))
    assert shapely.get_num_coordinates(found).max() <= 8
    _, metres = drawn(labels, Outline(tolerance=10.0, smooth=False, pixel=(10.0, 10.0)))
    assert (shapely.to_wkb(found) == shapely.to_wkb(metres)).all()


def test_without_a_request_nothing_changes() -> None:
    labels = SHAPES["pinched"]
    polygons, found = drawn(labels, Outline(tolerance=0.0, smooth=False, pixel=(1.0, 1.0)))
    assert shapely.equals(found, polygons.to_shapely()).all()
    assert shapely.get_num_coordinates(found).sum() == shapely.get_num_coordinates(polygons.to_shapely()).sum()


def test_rounding_stays_near_the_corner() -> None:
    labels = np.zeros((40, 40), np.uint8)
    labels[10:30, 10:30] = 1
    polygons, found = drawn(labels, Outline(tolerance=0.0, smooth=True, pixel=(1.0, 1.0)))
    plain = polygons.to_shapely()[1]
    assert 0 < plain.area - found[1].area < 4
    assert shapely.hausdorff_distance(plain, found[1]) < 2
