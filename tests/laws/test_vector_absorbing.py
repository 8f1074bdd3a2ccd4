"""The minimum mapping unit against a plain reading of its rule."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from skimage.measure import label as connected

from geounet.vector.mapping_unit import MappingUnit
from geounet.vector.runs import OUTSIDE

NODATA = 9
Labels = NDArray[np.uint8]
rasters = arrays(
    np.uint8, st.tuples(st.integers(1, 9), st.integers(1, 9)), elements=st.sampled_from([0, 1, 2, 2, NODATA])
)


def absorbed(
    labels: Labels,
    min_area: float,
    rows: int,
    *,
    only: int | None = None,
    density: float = 1.0,
    sides: tuple[float, float] = (1.0, 1.0),
    min_hole: float = 0.0,
) -> NDArray[np.int32]:
    lut = np.arange(256, dtype=np.int32)
    lut[NODATA] = OUTSIDE
    unit = MappingUnit(
        width=labels.shape[1],
        lut=lut,
        min_area=min_area,
        density=lambda r: np.full((r.size, 2), density),
        sides=lambda r: np.tile(sides, (r.size, 1)),
        pixel_area=density,
        min_hole=min_hole,
        only=only,
    )
    strips = [labels[top : top + rows] for top in range(0, labels.shape[0], rows)]
    for strip in strips:
        unit.feed(strip)
    unit.decide()
    return np.concatenate([unit.clean(strip) for strip in strips])


def plainly(labels: Labels, min_area: float, sides: tuple[float, float] = (1.0, 1.0)) -> NDArray[np.int32]:
    """The rule word for word: one component at a time, everything counted anew."""
    out = labels.astype(np.int32)
    while _absorb_one(out, min_area, sides):
        pass
    out[labels == NODATA] = OUTSIDE
    return out


def _absorb_one(labels: NDArray[np.int32], min_area: float, sides: tuple[float, float]) -> bool:
    parts = connected(labels + 1, connectivity=1)
    parts[labels == NODATA] = 0
    first = {p: int(np.flatnonzero(parts.ravel() == p)[0]) for p in np.unique(parts) if p}
    sizes = {p: int((parts == p).sum()) for p in first}
    for part in sorted(first, key=lambda p: (sizes[p], first[p])):
        if sizes[part] >= min_area:
            continue
        borders: dict[int, float] = {}
        for axis, side in enumerate(sides):
            moved = np.moveaxis(parts, axis, 0)
            for one, other in ((moved[1:], moved[:-1]), (moved[:-1], moved[1:])):
                for neighbour in other[(one == part) & (other != part) & (other != 0)].tolist():
                    borders[neighbour] = borders.get(neighbour, 0.0) + side
        if borders:
            best = min(borders, key=lambda p: (-borders[p], first[p]))
            labels[parts == part] = labels.ravel()[first[best]]
            return True
    return False


@settings(max_examples=120, deadline=None)
@given(rasters, st.integers(2, 8), st.integers(1, 9))
def test_equals_the_rule_in_any_strips(labels: Labels, min_area: int, rows: int) -> None:
    assert np.array_equal(absorbed(labels, min_area, rows), plainly(labels, min_area))


@settings(max_examples=40, deadline=None)
@given(rasters, st.integers(2, 6))
def test_borders_are_measured_on_the_ground(labels: Labels, min_area: int) -> None:
    # (a pixel side along rows, along columns); the former separates rows, axis 0
    found = absorbed(labels, min_area, 4, sides=(1.0, 2.5))
    assert np.array_equal(found, plainly(labels, min_area, sides=(1.0, 2.5)))


def test_a_small_component_with_very_many_neighbours() -> None:
    labels = np.zeros((5, 401), np.uint8)
    labels[2] = 1
    labels[1, ::2] = 2
    labels[3, 1::2] = 3
    found = absorbed(labels, 402, 2)
    assert np.array_equal(found, plainly(labels, 402))


def test_areas_have_the_unit_of_the_density() -> None:
    labels = np.zeros((6, 6), np.uint8)
    labels[2, 2:4] = 1
    assert absorbed(labels, 199.0, 2, density=100.0)[2, 2] == 1
    assert absorbed(labels, 200.0, 2, density=100.0)[2, 2] == 1
    assert absorbed(labels, 201.0, 2, density=100.0)[2, 2] == 0


def test_of_a_mask_only_the_marks_are_absorbed() -> None:
    labels = np.ones((7, 7), np.uint8)
    labels[3, 3] = 0
    labels[:, 5] = 0
    labels[0, 6] = NODATA
    labels[1:, 6] = NODATA
    labels[4, 6] = 1
    found = absorbed(labels, 5, 3, only=1)
    assert found[4, 6] == OUTSIDE
    assert found[3, 3] == OUTSIDE
    assert (found == 1).sum() == 7 * 5 - 1


def test_a_lonely_component_stays_and_a_lonely_mark_goes() -> None:
    labels = np.full((5, 5), NODATA, np.uint8)
    labels[2, 2] = 1
    assert absorbed(labels, 4, 2)[2, 2] == 1
    assert absorbed(labels, 4, 2, only=1)[2, 2] == OUTSIDE


def holes_of(parts: NDArray[np.int64], part: int) -> list[NDArray[np.bool_]]:
    """What ``part`` alone parts from what is outside (the rim, and 0), one mask for each piece."""
    around = np.pad(parts, 1)
    rest, outside = connected(around != part, connectivity=1), around == 0
    pieces = [rest == p for p in np.unique(rest) if p]
    # nodata in the middle is outside as well
    return [m[1:-1, 1:-1] for m in pieces if not (m & outside).any()]


def filled_plainly(labels: NDArray[np.int32], min_hole: float, *, owner: int | None = None) -> NDArray[np.int32]:
    """The rule word for word: the largest of the small holes first, everything counted anew."""
    out = labels.copy()
    while True:
        parts = connected(np.where(out == OUTSIDE, -1, out), background=-1, connectivity=1)
        small = [
            (int(mask.sum()), part, mask)
            for part in np.unique(parts)
            if part and owner in (None, out[parts == part][0])
            for mask in holes_of(parts, part)
            if mask.sum() < min_hole
        ]
        if not small:
            return out
        _, part, mask = max(small, key=lambda s: s[0])
        out[mask] = out[parts == part][0]


@settings(max_examples=150, deadline=None)
@given(rasters, st.integers(1, 4), st.integers(2, 9), st.integers(1, 9))
def test_small_holes_are_filled_after_absorbing_in_any_strips(
    labels: Labels, min_area: int, min_hole: int, rows: int
) -> None:
    expected = filled_plainly(plainly(labels, min_area), min_hole)
    assert np.array_equal(absorbed(labels, min_area, rows, min_hole=min_hole), expected)


@settings(max_examples=60, deadline=None)
@given(rasters.map(lambda a: np.where(a == 2, 0, a).astype(np.uint8)), st.integers(2, 9), st.integers(1, 9))
def test_of_a_mask_only_the_holes_of_the_marks_are_filled(labels: Labels, min_hole: int, rows: int) -> None:
    expected = filled_plainly(np.where(labels == NODATA, OUTSIDE, labels.astype(np.int32)), min_hole, owner=1)
    expected[expected == 0] = OUTSIDE
    assert np.array_equal(absorbed(labels, 0, rows, min_hole=min_hole, only=1), expected)


def test_holes_in_holes_and_holes_of_several_regions() -> None:
    labels = np.ones((11, 20), np.uint8)
    labels[1:10, 1:10] = 2
    labels[3:8, 3:8] = 0
    labels[4, 4], labels[6, 4:6], labels[6, 6] = 2, 1, 2  # one pixel, and three in two regions
    labels[2:5, 12:16] = 0
    labels[2:5, 14:16] = 2  # two regions, one hole of twelve pixels
    labels[7:9, 13:16] = 0
    labels[8, 14] = NODATA
    assert (absorbed(labels, 0, 3, min_hole=4)[3:8, 3:8] == 0).all()
    twelve = absorbed(labels, 0, 3, min_hole=13)
    assert (twelve[2:5, 12:16] == 1).all()
    assert twelve[5, 5] == 0
    assert twelve[7, 14] == 0  # nodata lies in it: not a hole
    assert (absorbed(labels, 0, 3, min_hole=26)[3:8, 3:8] == 2).all()
    assert (absorbed(labels, 0, 3, min_hole=82)[1:10, 1:10] == 1).all()
