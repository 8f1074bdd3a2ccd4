"""Polynomials in the place of projections: within 1e-9 degrees of PROJ, or not used."""

from __future__ import annotations

import numpy as np
import pytest
import rasterio
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st

from geounet.grid.geobox import GeoBox
from geounet.io.ground import Ground
from geounet.io.patches import Patches
from geounet.io.shapes import from_shapely
from geounet.vector.tracer import trace


def ground(transform: Affine, crs: str, height: int = 5000, width: int = 7000) -> Ground:
    box = GeoBox(
        height=height, width=width, transform=tuple(transform)[:6], crs=rasterio.CRS.from_string(crs).to_wkt()
    )
    return Ground(box)


SCENES = {
    "utm": (Affine(10, 0, 500000, 0, -10, 5500000), "EPSG:32633"),
    "utm, 30 cm": (Affine(0.3, 0, 300000, 0, -0.3, 2800000), "EPSG:32640"),
    "far from the zone": (Affine(30, 0, -1200000, 0, -30, 8500000), "EPSG:32633"),
    "rotated": (Affine(10, 0, 500000, 0, -10, 5500000) @ Affine.rotation(33), "EPSG:32633"),
    "south-up": (Affine(10, 0, 500000, 0, 10, 5500000), "EPSG:32733"),
    "mercator": (Affine(100, 0, 0, 0, -100, 8000000), "EPSG:3857"),
    "around the pole": (Affine(200, 0, -700000, 0, -200, 500000), "EPSG:3413"),
    "over the antimeridian": (Affine(60, 0, 600000, 0, -60, 7000000), "EPSG:32660"),
}


@settings(max_examples=30, deadline=None)
@given(st.sampled_from(sorted(SCENES)), st.integers(0, 2**31))
def test_degrees_are_those_of_proj(name: str, seed: int) -> None:
    scene = ground(*SCENES[name])
    rng = np.random.default_rng(seed)
    corners = np.stack([rng.integers(0, 7001, 900), rng.integers(0, 5001, 900)], axis=1).astype(float)
    shapes = from_shapely(np.array([polygon(c) for c in corners.reshape(-1, 3, 2)]))
    on_map = shapes.at(scene.coordinates(shapes.xy))
    lonlat, areas, lengths = scene.survey(shapes)
    exact = scene.lonlat(on_map.xy)
    assert np.abs(lonlat - exact).max() < 1e-9
    # on a rotated grid long edges are followed in other pieces; of thin triangles that is seen
    close = 1e-3 if name == "rotated" else 1e-7
    exact_areas, exact_lengths = scene.measures(on_map, exact)
    assert areas == pytest.approx(exact_areas, rel=close, abs=1e-3)
    assert lengths == pytest.approx(exact_lengths, rel=1e-7)


def polygon(corners: np.ndarray) -> object:
    import shapely

    return shapely.Polygon(corners)


def test_most_of_a_scene_is_covered_and_what_cannot_be_is_not() -> None:
    for name in ("utm", "utm, 30 cm", "mercator"):
        patches = Patches.of(ground(*SCENES[name]))
        assert patches is not None
        assert np.isfinite(patches.coefficients).all(), name
    pole = Patches.of(ground(*SCENES["around the pole"]))
    assert pole is not None
    assert 0 < np.isnan(pole.coefficients).mean() < 1
    assert Patches.of(ground(Affine(0.01, 0, 7, 0, -0.01, 47), "EPSG:4326")) is None
    assert Patches.of(ground(Affine(30, 0, 500000, 0, -30, 4000000), "EPSG:26714")) is None
    assert Patches.of(ground(Affine(50000, 0, -1510000, 0, -50000, 1480000), "EPSG:3413", 60, 60)) is None


def test_areas_of_pixels_and_of_large_areas_with_holes() -> None:
    scene = ground(*SCENES["utm"], 300, 400)
    labels = np.zeros((300, 400), np.int32)
    labels[20:280, 30:350], labels[100:101, 100:101], labels[150:250, 200:320] = 1, 2, 3
    polygons = trace(labels)
    shapes = from_shapely(polygons.to_shapely())
    on_map = shapes.at(scene.coordinates(shapes.xy))
    _, areas, lengths = scene.survey(shapes)
    exact_areas, exact_lengths = scene.measures(on_map)
    assert areas == pytest.approx(exact_areas, rel=1e-8)
    assert lengths == pytest.approx(exact_lengths, rel=1e-8)
    assert areas.sum() == pytest.approx(12_000_000 / 0.9996**2, rel=1e-4)
