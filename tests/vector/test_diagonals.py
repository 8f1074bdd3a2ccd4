"""Straight roads at 45 degrees keep the line that thinning takes from them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio
import shapely
from numpy.typing import NDArray
from rasterio.features import rasterize

from geounet.grid.window import Window
from geounet.run.vectorize import vectorize
from geounet.vector.centrelines import CentreLines, centre_lines
from geounet.vector.diagonals import with_diagonals
from geounet.vector.skeleton import skeleton

SIDE = 300
MIDDLE = (SIDE / 2, SIDE / 2)
LENGTH = 180


def band(angle: float, width: float, aside: float = 0.0) -> tuple[shapely.LineString, shapely.Polygon]:
    """A straight road through the middle, ``aside`` from it: its line and its outline."""
    half, y = LENGTH / 2, MIDDLE[1] + aside
    line = shapely.LineString([(MIDDLE[0] - half, y), (MIDDLE[0] + half, y)])
    turned = shapely.affinity.rotate(line, angle, origin=MIDDLE)
    return turned, turned.buffer(width / 2, cap_style="flat")


def drawn(*shapes: shapely.Polygon) -> NDArray[np.bool_]:
    return np.asarray(rasterize([(s, 1) for s in shapes], out_shape=(SIDE, SIDE), dtype="uint8") == 1)


def lines_of(mask: NDArray[np.bool_]) -> tuple[CentreLines, list[shapely.LineString]]:
    found = centre_lines(
        skeleton(mask),
        shape=mask.shape,
        sides=lambda rows: np.ones((rows.size, 2)),
        marks=lambda w: mask[w.row_off : w.bottom, w.col_off : w.right],
    )
    which = np.repeat(np.arange(len(found.ends)), np.diff(found.starts))
    return found, list(shapely.linestrings(found.xy, indices=which)) if len(found.ends) else []


def added(mask: NDArray[np.bool_]) -> int:
    whole = skeleton(mask)
    new, reach = with_diagonals(
        whole.place,
        whole.reach,
        shape=mask.shape,
        pixel=np.ones(len(whole)),
        marks=lambda w: mask[w.row_off : w.bottom, w.col_off : w.right],
    )
    assert mask.reshape(-1)[new].all()
    assert not np.isin(new, whole.place).any()
    assert (reach > 0).all()
    return int(new.size)


@pytest.mark.parametrize("angle", [44.5, 45.0, 45.5, 135.0])
@pytest.mark.parametrize("width", [5, 6, 7, 8, 9, 13])
@pytest.mark.parametrize("aside", [0.0, 0.3, 0.5])
def test_a_straight_road_has_a_line_from_end_to_end(angle: float, width: float, aside: float) -> None:
    line, outline = band(angle, width, aside)
    lines, shapes = lines_of(drawn(outline))
    assert len(shapes) == 1
    assert shapes[0].length == pytest.approx(LENGTH, abs=width / 2 + 2)
    assert shapely.hausdorff_distance(shapes[0], line) < width / 2 + 2
    assert shapes[0].difference(outline.buffer(0.8)).length == 0
    assert lines.width[0] == pytest.approx(width, abs=1.5)


def test_thinning_does_take_such_a_road() -> None:
    """Else nothing here would be needed."""
    mask = drawn(band(45, 8, 0.3)[1])
    assert len(skeleton(mask)) == 1
    assert added(mask) > 0.8 * LENGTH / np.sqrt(2)


def test_a_branch_keeps_its_length() -> None:
    street = shapely.box(20, 40, 280, 48)
    branch = shapely.LineString([(60, 44), (200, 184)])
    _, shapes = lines_of(drawn(street, branch.buffer(3.5, cap_style="flat")))
    total = sum(shape.length for shape in shapes)
    assert total == pytest.approx(260 + branch.length, rel=0.04)


@pytest.mark.parametrize("angle", [0.0, 20.0, 60.0, 90.0])
def test_nothing_is_added_where_thinning_takes_nothing(angle: float) -> None:
    ring = shapely.Point(230, 60).buffer(40).difference(shapely.Point(230, 60).buffer(32))
    assert added(drawn(band(angle, 9)[1], ring, shapely.box(20, 20, 60, 50), shapely.box(70, 20, 76, 26))) == 0


def test_no_byte_hangs_on_the_strips(tmp_path: Path) -> None:
    """Through files, with a gap, a crossing and a branch."""
    shapes = [band(45, 6, 0.3)[1], band(135, 9, 60)[1], shapely.box(0, 200, 150, 206)]
    place = {"crs": "EPSG:32633", "transform": rasterio.Affine(10, 0, 500000, 0, -10, 5000000)}
    path = tmp_path / "road.tif"
    with rasterio.open(path, "w", "GTiff", SIDE, SIDE, 1, dtype="uint8", **place) as file:
        file.write(drawn(*shapes).astype(np.uint8), 1)
    found = set()
    for rows, threads in ((None, 1), (7, 2), (64, 1), (300, 2)):
        out = tmp_path / f"{rows}" / "road.geojson"
        out.parent.mkdir()
        result = vectorize(path, output=out, lines=1, block_rows=rows, threads=threads)
        assert result.line_count >= 3
        found.add(out.with_name("road_lines.geojson").read_bytes())
    assert len(found) == 1


def test_marks_are_read_around_a_place_only() -> None:
    asked: list[Window] = []
    mask = drawn(band(45, 8, 0.3)[1])

    def marks(window: Window) -> NDArray[np.bool_]:
        asked.append(window)
        return mask[window.row_off : window.bottom, window.col_off : window.right]

    whole = skeleton(mask)
    with_diagonals(whole.place, whole.reach, shape=mask.shape, pixel=np.ones(len(whole)), marks=marks)
    assert 1 <= len(asked) < 10
    assert max(w.area for w in asked) < 210**2
    assert all(w.row_off >= 0 and w.bottom <= SIDE and w.col_off >= 0 and w.right <= SIDE for w in asked)


def test_a_field_is_no_road_and_is_not_read() -> None:
    """Its reach is half of its width: what lies around a place would be all of it."""
    mask = np.ones((SIDE, SIDE), np.bool_)
    whole = skeleton(mask)

    def marks(window: Window) -> NDArray[np.bool_]:
        raise AssertionError(window)

    pixel = np.ones(len(whole))
    new, _ = with_diagonals(whole.place, whole.reach, shape=mask.shape, pixel=pixel, marks=marks)
    assert not new.size
    assert len(whole)
