"""Laws of the sweep: nothing shows how the rows were divided, and the polygons are those of the raster."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest
import rasterio.features
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from label_rasters import LUT, NODATA, SHAPES, Labels
from skimage.measure import label as connected

from geounet.vector.polygons import Polygons
from geounet.vector.tracer import trace

rasters = arrays(
    np.uint8,
    st.tuples(st.integers(1, 12), st.integers(1, 12)),
    elements=st.sampled_from([0, 1, 2, 255, NODATA]),
)


def same(one: Polygons, other: Polygons) -> bool:
    return all(np.array_equal(getattr(one, f.name), getattr(other, f.name)) for f in fields(Polygons))


def check_strips(labels: Labels) -> None:
    confidence = (np.arange(labels.size) % 256).astype(np.uint8).reshape(labels.shape)
    whole = trace(labels, lut=LUT, confidence=confidence)
    for rows in range(1, labels.shape[0]):
        assert same(whole, trace(labels, lut=LUT, confidence=confidence, rows_at_once=rows)), rows


def check_oracle(labels: Labels) -> None:
    polygons = trace(labels, lut=LUT)
    ours = polygons.to_shapely()
    assert shapely.is_valid(ours).all()
    assert shapely.coverage_is_valid(ours)
    shapes = rasterio.features.shapes(labels, mask=labels != NODATA, connectivity=4)
    theirs = [(int(v), shapely.geometry.shape(s)) for s, v in shapes]
    assert len(theirs) == len(ours)

    def place(pair: tuple[int, shapely.Geometry]) -> tuple[float, ...]:
        point = shapely.get_coordinates(pair[1])
        first = point[np.lexsort((point[:, 0], point[:, 1]))[0]]
        return (*first[::-1], pair[1].area, pair[0])

    pairs = zip(sorted(theirs, key=place), sorted(zip(polygons.label, ours, strict=True), key=place), strict=True)
    for (value, expected), (label, found) in pairs:
        assert value == label
        assert shapely.equals(expected, found)


def check_inverse(labels: Labels) -> None:
    polygons = trace(labels, lut=LUT)
    burnt = np.full(labels.shape, NODATA, np.uint8)
    if len(polygons):
        pairs = zip(polygons.to_shapely(), polygons.label.tolist(), strict=True)
        burnt = rasterio.features.rasterize(pairs, out_shape=labels.shape, fill=NODATA, dtype=np.uint8)
    assert np.array_equal(burnt, labels)


def check_attributes(labels: Labels) -> None:
    polygons = trace(labels, lut=LUT)
    assert np.array_equal(polygons.pixels, shapely.area(polygons.to_shapely()).astype(int))
    assert np.array_equal(labels.ravel()[polygons.identity], polygons.label)
    assert np.all(np.diff(polygons.identity) > 0)
    counts = np.bincount(labels[labels != NODATA].ravel(), minlength=256)
    assert np.array_equal(np.bincount(polygons.label, weights=polygons.pixels, minlength=256), counts)


CHECKS = (check_strips, check_oracle, check_inverse, check_attributes)


@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize("name", SHAPES)
def test_known_shapes(name: str, check: object) -> None:
    check(SHAPES[name])  # type: ignore[operator]


@settings(max_examples=150, deadline=None)
@given(rasters)
def test_any_raster(labels: Labels) -> None:
    for check in CHECKS:
        check(labels)


@settings(max_examples=30, deadline=None)
@given(rasters, st.integers(1, 5))
def test_int32_rows_with_a_mask_are_the_same(labels: Labels, rows: int) -> None:
    values = labels.astype(np.int32)
    assert same(trace(labels, lut=LUT), trace(values, outside=labels == NODATA, rows_at_once=rows))


def test_touches_what_is_outside() -> None:
    labels = np.full((7, 7), 1, np.uint8)
    labels[2, 2], labels[4, 3:5], labels[4, 5], labels[0, 0] = 2, 3, NODATA, 4
    polygons = trace(labels, lut=LUT)
    assert dict(zip(polygons.label.tolist(), polygons.touches.tolist(), strict=True)) == {
        1: True,
        2: False,
        3: True,
        4: True,
    }


@settings(max_examples=100, deadline=None)
@given(rasters, st.integers(1, 5))
def test_sums_and_touching_are_those_of_the_pixels(labels: Labels, rows: int) -> None:
    confidence = (np.arange(labels.size) * 37 % 256).astype(np.uint8).reshape(labels.shape)
    lut = LUT.copy()
    lut[0] = -(2**31)  # not wanted, yet no rim
    rim = labels == NODATA
    polygons = trace(labels, lut=lut, confidence=confidence, rim=rim, rows_at_once=rows)
    around = np.pad(rim, 1, constant_values=True)
    near = around[:-2, 1:-1] | around[2:, 1:-1] | around[1:-1, :-2] | around[1:-1, 2:]
    parts = connected(np.where(rim | (labels == 0), -1, labels.astype(int)), background=-1, connectivity=1)
    for i, first in enumerate(polygons.identity.tolist()):
        own = parts == parts.ravel()[first]
        known = own & (confidence != 255)
        assert polygons.pixels[i] == own.sum()
        assert polygons.confidence_sum[i] == confidence[known].sum(dtype=int)
        assert polygons.confidence_count[i] == known.sum()
        assert polygons.touches[i] == (near & own).any()


def test_confidence_sums_leave_out_what_is_unknown() -> None:
    labels = np.array([[1, 1], [1, 2]], np.uint8)
    confidence = np.array([[10, 255], [250, 7]], np.uint8)
    polygons = trace(labels, lut=LUT, confidence=confidence)
    assert polygons.confidence_sum.tolist() == [260, 7]
    assert polygons.confidence_count.tolist() == [2, 1]


def test_a_background_with_very_many_holes_in_little_memory() -> None:
    labels = np.zeros((801, 801), np.uint8)
    labels[1::2, 1::2] = 1
    polygons = trace(labels, lut=LUT, rows_at_once=50)
    assert len(polygons) == 1 + 400 * 400
    assert polygons.ring_counts[0] == 1 + 400 * 400
    assert same(polygons, trace(labels, lut=LUT, rows_at_once=801))


@pytest.mark.slow
def test_a_million_holes_in_a_component_that_spans_the_scene() -> None:
    labels = np.zeros((2001, 2001), np.uint8)
    labels[1::2, 1::2] = 1
    polygons = trace(labels, lut=LUT, rows_at_once=128)
    assert len(polygons) == 1 + 1000 * 1000
    assert polygons.ring_counts[0] == 1 + 1000 * 1000
    assert polygons.pixels[0] == 2001**2 - 1000**2
