"""Areas and lengths on the ellipsoid against pyproj's geodesics, along edges that are cut fine."""

from __future__ import annotations

import numpy as np
import pytest
import shapely
from affine import Affine
from pyproj import CRS, Geod, Transformer

from geounet.grid.geobox import GeoBox
from geounet.io.ground import Ground
from geounet.io.shapes import from_shapely
from geounet.vector.planar import planar_areas

MARS = (
    'PROJCS["Equirectangular MARS",GEOGCS["GCS_MARS",DATUM["D_MARS",SPHEROID["MARS",3396190,0]],'
    'PRIMEM["Reference_Meridian",0],UNIT["degree",0.0174532925199433]],PROJECTION["Equirectangular"],'
    'PARAMETER["standard_parallel_1",10],PARAMETER["central_meridian",0],PARAMETER["false_easting",0],'
    'PARAMETER["false_northing",0],UNIT["metre",1]]'
)


def ground(transform: Affine, crs: str | None, *, size: int = 100) -> Ground:
    wkt = None if crs is None else CRS.from_user_input(crs).to_wkt()
    return Ground(GeoBox(width=size, height=size, transform=tuple(transform)[:6], crs=wkt))


PLACES: dict[str, tuple[Affine, str]] = {
    "utm": (Affine(30, 0, 300000, 0, -30, 6000000), "EPSG:32633"),
    "geographic": (Affine(0.01, 0, 10, 0, -0.01, 60), "EPSG:4326"),
    "north american datum": (Affine(0.01, 0, -100, 0, -0.01, 40), "EPSG:4267"),
    "web mercator": (Affine(100, 0, 1e6, 0, -100, 9e6), "EPSG:3857"),
    "polar": (Affine(10000, 0, -510000, 0, -10000, 490000), "EPSG:3031"),
    "over the antimeridian": (Affine(2000, 0, 790000, 0, -2000, 7000000), "EPSG:32660"),
    "feet": (Affine(100, 0, 2000000, 0, -100, 500000), "EPSG:2263"),
    "mars": (Affine(500, 0, 100000, 0, -500, 800000), MARS),
}


@pytest.mark.parametrize("name", PLACES)
def test_areas_and_lengths_are_geodesic(name: str) -> None:
    transform, crs = PLACES[name]
    here = ground(transform, crs)
    shapes = [
        shapely.box(10, 10, 11, 11),
        shapely.box(0, 0, 100, 100),
        shapely.box(5, 3, 90, 5),
        shapely.box(20, 20, 70, 80) - shapely.box(30, 30, 60, 35) - shapely.box(40, 50, 41, 51),
        shapely.Polygon([(3, 3), (80, 20), (40, 90)]),
    ]
    placed = shapely.transform(np.array(shapes), here.coordinates)
    found, lengths = here.measures(from_shapely(placed))
    crs_here = CRS.from_user_input(crs)
    geod = crs_here.get_geod()
    assert isinstance(geod, Geod)
    to_degrees = Transformer.from_crs(crs_here, crs_here.geodetic_crs, always_xy=True)
    for shape, area, length in zip(shapes, found, lengths, strict=True):
        fine = shapely.transform(shapely.segmentize(shape, 0.05), here.coordinates)
        degrees = shapely.transform(fine, lambda xy: np.stack(to_degrees.transform(xy[:, 0], xy[:, 1]), 1))
        expected = abs(geod.geometry_area_perimeter(degrees)[0])
        assert area == pytest.approx(expected, rel=5e-6), (name, shape.wkt)
        around = sum(geod.geometry_length(ring) for ring in shapely.get_rings(degrees))
        assert length == pytest.approx(around, rel=2e-6), (name, shape.wkt)


def test_sums_over_pixels_are_the_whole() -> None:
    for transform, crs in PLACES.values():
        here = ground(transform, crs, size=20)
        cells = np.array([shapely.box(c, r, c + 1, r + 1) for r in range(20) for c in range(20)])
        whole = here.areas(from_shapely(shapely.transform(np.array([shapely.box(0, 0, 20, 20)]), here.coordinates)))
        parts = here.areas(from_shapely(shapely.transform(cells, here.coordinates)))
        assert parts.sum() == pytest.approx(whole[0], rel=1e-5)


def test_pixel_areas_agree_with_polygons() -> None:
    for name in ("geographic", "web mercator", "feet", "utm"):
        here = ground(*PLACES[name])
        box = shapely.transform(np.array([shapely.box(0, 40, 100, 41)]), here.coordinates)
        row = here.pixel_areas(np.array([40]))
        per_row = np.mean((row[0, 1:] + row[0, :-1]) / 2) * 100
        # a map that is true to a hundredth is taken as it is
        assert per_row == pytest.approx(
            here.areas(from_shapely(box))[0], rel=2e-3 if name in ("utm", "feet") else 1e-6
        )


def test_the_whole_globe() -> None:
    here = ground(Affine(3.6, 0, -180, 0, -1.8, 90), "EPSG:4326")
    globe = here.areas(from_shapely(np.array([shapely.box(-180, -90, 180, 90)])))[0]
    assert globe == pytest.approx(510065621724088.44, rel=1e-9)  # Moritz 1980, Geodetic Reference System


def test_without_a_crs_pixels_are_square_units() -> None:
    here = ground(Affine(10, 0, 5, 0, -10, 9), None)
    assert here.areas(from_shapely(np.array([shapely.box(2, 2, 5, 4)]))).tolist() == [6.0]
    assert here.coordinates(np.array([[3, 4]])).tolist() == [[3.0, 4.0]]


def test_planar_areas_far_from_the_origin() -> None:
    square = from_shapely(np.array([shapely.box(5e6, 5e6, 5e6 + 0.01, 5e6 + 0.01)]))
    area = planar_areas(square.xy, np.array([0, 4]), np.array([0, 1]))
    assert area[0] == pytest.approx(1e-4, rel=1e-6)


def test_lengths_without_a_crs_are_pixels() -> None:
    here = ground(Affine.identity(), None)
    holed = shapely.box(0, 0, 10, 10) - shapely.box(2, 2, 4, 5)
    assert here.measures(from_shapely(np.array([holed, shapely.box(1, 1, 2, 2)])))[1].tolist() == [50, 4]


def test_a_length_over_the_pole() -> None:
    here = ground(Affine(1000, 0, -50000, 0, -1000, 50000), "EPSG:3413")
    placed = shapely.transform(np.array([shapely.box(45, 45, 55, 55)]), here.coordinates)
    assert here.measures(from_shapely(placed))[1][0] == pytest.approx(40000 / 0.9697, rel=1e-3)
