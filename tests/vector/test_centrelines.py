"""What centre-lines look like: drawn roads come back as the lines they were drawn along."""

from __future__ import annotations

import numpy as np
import pytest
import shapely
from numpy.typing import NDArray
from rasterio.features import rasterize
from scipy.ndimage import gaussian_filter

from geounet.vector.centrelines import CentreLines, centre_lines
from geounet.vector.skeleton import skeleton

SHAPE = (200, 200)


def road(*lines: list[tuple[float, float]], width: float = 12.0) -> NDArray[np.bool_]:
    """A mask of roads that are drawn along lines (column, row)."""
    shapes = [shapely.LineString(line).buffer(width / 2, cap_style="flat") for line in lines]
    return np.asarray(rasterize(shapes, out_shape=SHAPE, fill=0, default_value=1) == 1)


def lines_of(mask: NDArray[np.bool_], scale: float = 1.0, **options: object) -> CentreLines:
    found = skeleton(mask)
    found = type(found)(place=found.place, reach=found.reach * scale, confidence=found.confidence)
    return centre_lines(found, shape=mask.shape, sides=lambda r: np.full((r.size, 2), scale), **options)  # type: ignore[arg-type]


def shapes(lines: CentreLines) -> NDArray[np.object_]:
    which = np.repeat(np.arange(len(lines.ends)), np.diff(lines.starts))
    return np.asarray(shapely.linestrings(lines.xy, indices=which))


def test_a_straight_road_is_one_line_from_end_to_end() -> None:
    truth = [(20.0, 30.0), (170.0, 110.0)]
    lines = lines_of(road(truth))
    assert len(lines.ends) == 1
    assert lines.degree.tolist() == [1, 1]
    assert shapely.hausdorff_distance(shapes(lines)[0], shapely.LineString(truth)) < 3
    assert lines.width[0] == pytest.approx(12, abs=0.7)
    assert lines.width_sd[0] < 0.7


@pytest.mark.parametrize("width", [5, 8, 11, 20])
@pytest.mark.parametrize("slope", [0.0, 0.4, 1.0])
def test_width_is_that_of_the_road(width: float, slope: float) -> None:
    lines = lines_of(road([(20.0, 60.0), (180.0, 60.0 + 130 * slope)], width=width), scale=0.5)
    assert len(lines.ends) == 1
    assert lines.width[0] == pytest.approx(0.5 * width, abs=0.5)


def test_a_crossing_is_one_node() -> None:
    lines = lines_of(road([(10.0, 90.0), (190.0, 105.0)], [(100.0, 5.0), (95.0, 190.0)]))
    assert sorted(lines.degree.tolist()) == [1, 1, 1, 1, 4]
    node = lines.node_xy[lines.degree == 4][0]
    assert np.hypot(*(node - (97.5, 97.3))) < 2


def test_a_ring_has_one_node_and_comes_back_to_it() -> None:
    mask = road(list(shapely.Point(100, 100).buffer(60).exterior.coords))
    lines = lines_of(mask)
    assert lines.ends.tolist() == [[0, 0]]
    assert lines.degree.tolist() == [2]
    assert shapes(lines)[0].length == pytest.approx(2 * np.pi * 60, rel=0.02)


def test_spurs_go_and_streets_stay() -> None:
    mask = road([(10.0, 100.0), (190.0, 100.0)])
    mask[90:94, 60:63] = True  # a bump of four pixels
    mask[60:94, 120:128] = True  # a street of forty
    assert sorted(lines_of(mask).degree.tolist()) == [1, 1, 1, 3]
    assert sorted(lines_of(mask, spur=60.0).degree.tolist()) == [1, 1]
    assert len(lines_of(mask, spur=0.0).ends) > 3


def test_a_small_hole_makes_no_ring_but_a_roundabout_does() -> None:
    mask = road([(10.0, 100.0), (190.0, 100.0)], width=16)
    mask[98:101, 80:83] = False
    assert len(lines_of(mask).ends) == 1
    mask = road([(0.0, 100.0), (70.0, 100.0)], [(130.0, 100.0), (199.0, 100.0)]) | road(
        list(shapely.Point(100, 100).buffer(30).exterior.coords)
    )
    assert sorted(lines_of(mask).degree.tolist()) == [1, 1, 3, 3]


def test_lines_lead_to_the_rim_of_the_scene() -> None:
    lines = lines_of(road([(-20.0, 100.0), (220.0, 100.0)]))
    assert sorted(lines.node_xy[:, 0].tolist()) == [0.0, 200.0]
    assert lines.width_sd[0] < 0.1


def test_gaps_are_bridged_where_ends_point_at_each_other() -> None:
    mask = road([(10.0, 100.0), (80.0, 100.0)], [(100.0, 102.0), (190.0, 104.0)])
    assert len(lines_of(mask).ends) == 2
    assert len(lines_of(mask, bridge=10.0).ends) == 2
    lines = lines_of(mask, bridge=25.0)
    assert lines.degree.tolist() == [1, 1]
    aside = road([(10.0, 80.0), (80.0, 80.0)], [(100.0, 120.0), (190.0, 120.0)])
    assert len(lines_of(aside, bridge=25.0).ends) == 2


def test_an_end_is_led_to_the_road_that_it_points_at() -> None:
    mask = road([(10.0, 100.0), (80.0, 100.0)], [(100.0, 10.0), (100.0, 190.0)])
    assert sorted(lines_of(mask, bridge=20.0).degree.tolist()) == [1, 1, 1, 3]


def test_no_bridge_where_the_network_sees_no_road() -> None:
    mask = road([(10.0, 100.0), (80.0, 100.0)], [(95.0, 100.0), (190.0, 100.0)])
    for odds, edges in ((0.4, 1), (0.05, 2), (np.nan, 2)):
        found = lines_of(mask, bridge=25.0, likelihood=lambda places, o=odds: np.full(places.size, o))
        assert len(found.ends) == edges, odds


@pytest.mark.parametrize("simplify", [30.0, 50.0, 80.0, 500.0])
def test_a_ring_stays_a_ring_however_coarse_it_is(simplify: float) -> None:
    ring = road(list(shapely.Point(100, 100).buffer(36).exterior.coords), width=8)
    (line,) = shapes(lines_of(ring, simplify=simplify))
    assert line.is_ring
    assert shapely.Polygon(line).area > 1000


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(("spur", "simplify"), [(None, 4.0), (0.0, 10.0), (0.0, 0.0)])
def test_lines_do_not_cross_themselves(seed: int, spur: float | None, simplify: float) -> None:
    noise = gaussian_filter(np.random.default_rng(seed).random((150, 150)), 2.5)
    lines = lines_of(np.abs(noise - 0.5) < 0.02, spur=spur, simplify=simplify)
    drawn = shapes(lines)
    assert shapely.is_simple(drawn).all()
    assert (shapely.length(drawn) > 0).all()
    assert (np.bincount(lines.ends.reshape(-1), minlength=len(lines.node_xy)) == lines.degree).all()


def test_loops_without_room_for_a_line_are_left_out() -> None:
    random = np.random.default_rng(0)
    for _ in range(400):
        lines = lines_of(random.random(tuple(random.integers(5, 10, 2))) < 0.65, spur=0.0)
        drawn = shapes(lines)
        assert (shapely.length(drawn) > 0).all()
        assert shapely.is_simple(drawn).all()
        assert lines.degree.all()
        assert (np.bincount(lines.ends.reshape(-1), minlength=len(lines.node_xy)) == lines.degree).all()
