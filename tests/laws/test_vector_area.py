"""An area of interest cuts: what lies inside is what would be there without it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import pyogrio
import pytest
import rasterio
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from packages import ROAD, UTM, save, tiny_spec, unet, write_scene
from rasterio.features import geometry_mask
from scipy.ndimage import gaussian_filter

import geounet
from geounet.run.vectorize import vectorize
from tests.run.test_vectorize import patches, raster

NOTHING = 1e-6
"""Square metres."""


def layer(path: Path, name: str) -> geopandas.GeoDataFrame:
    return geopandas.GeoDataFrame(pyogrio.read_dataframe(path, layer=name))


def kept(whole: geopandas.GeoDataFrame, area: shapely.Geometry) -> geopandas.GeoDataFrame:
    """What of every feature lies in the area."""
    cut = whole.assign(geometry=whole.geometry.intersection(area))
    return cut[cut.geometry.area > NOTHING].reset_index(drop=True)


def an_area(folder: Path, area: shapely.Geometry, crs: str) -> Path:
    path = folder / "aoi.gpkg"
    geopandas.GeoDataFrame(geometry=[area], crs=crs).to_file(path)
    return path


@st.composite
def areas(draw: st.DrawFn) -> shapely.Geometry:
    """Triangles and rings over a raster of 50 × 60 pixels of 10 m, of any size and place."""
    x, y = draw(st.floats(500_020, 500_480)), draw(st.floats(5_499_420, 5_499_980))
    points = [(x + draw(st.floats(-200, 200)), y + draw(st.floats(-200, 200))) for _ in range(2)]
    triangle = shapely.Polygon([(x, y), *points]).buffer(11)
    return triangle - shapely.Point(x, y).buffer(5)


@settings(max_examples=6, deadline=None)
@given(
    area=areas(),
    seed=st.integers(0, 99),
    options=st.sampled_from(
        [{}, {"simplify": 15.0}, {"min_area": 700.0, "simplify": 25.0, "smooth": True}, {"min_hole": 4000.0}]
    ),
)
def test_polygons_are_those_of_the_whole_cut(
    tmp_path_factory: pytest.TempPathFactory, area: shapely.Geometry, seed: int, options: dict[str, Any]
) -> None:
    folder = tmp_path_factory.mktemp("area")
    path, aoi = raster(folder / "a.tif", patches(seed=seed)), an_area(folder, area, "EPSG:32633")
    for name, inside in (("all", None), ("some", aoi)):
        vectorize(path, output=folder / f"{name}.gpkg", formats=["gpkg"], aoi=inside, regularize="1", **options)
    inside = kept(layer(folder / "all.gpkg", "all"), area)["id"]
    for suffix in ("", "_regularized"):
        whole = layer(folder / "all.gpkg", f"all{suffix}")
        expected = kept(whole[whole["id"].isin(inside)], area)  # squared outlines of polygons that are there
        found = layer(folder / "some.gpkg", f"some{suffix}")
        found = found[found.geometry.area > NOTHING].reset_index(drop=True)
        for column in ("class", "touches_edge"):
            assert found[column].tolist() == expected[column].tolist(), "in the same order"
        assert found.geometry.symmetric_difference(expected.geometry).area.max() < NOTHING or not len(found)


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A scene of roads and patches, and a model that sees them, with centre-lines."""
    folder = tmp_path_factory.mktemp("scene")
    spec = tiny_spec(heads=(tiny_spec().heads[0], replace(ROAD, lines=True)))
    model = save(folder / "model", unet(spec, seed=3), spec)
    noise = gaussian_filter(np.random.default_rng(5).standard_normal((2, 330, 360)), (0, 5, 5))
    pixels = np.clip(128 + 30 * noise / noise.std(), 1, 255).astype(np.uint8)
    return write_scene(folder / "scene.tif", pixels, nodata=0), model


def test_a_run_inside_of_an_area_is_the_whole_run_cut(scene: tuple[Path, Path], tmp_path: Path) -> None:
    """Polygons and centre-lines alike: they do not bend where the network had no more to say."""
    path, model = scene
    area = shapely.Polygon([(300012, 2799985), (300055, 2799970), (300040, 2799945), (300018, 2799950)])
    aoi = an_area(tmp_path, area, "EPSG:32640")
    options = {"model": str(model), "device": "cpu", "simplify": 1.5, "formats": "gpkg", "min_area": 0.6}
    whole = geounet.infer(path, output=tmp_path / "all", cleaned=True, **options)
    some = geounet.infer(path, output=tmp_path / "some", cleaned=True, aoi=str(aoi), **options)
    assert some.tiles < whole.tiles
    for head in ("landuse", "road"):
        expected = kept(layer(tmp_path / "all" / "vectors.gpkg", head), area)
        found = layer(tmp_path / "some" / "vectors.gpkg", head)
        for value in sorted(set(expected["class"])):
            one, other = (f[f["class"] == value].union_all() for f in (expected, found))
            assert one.symmetric_difference(other).area < NOTHING, (head, value)
    for name in ("landuse", "road", "landuse_cleaned"):
        labels, shown = (rasterio.open(tmp_path / f / f"{name}.tif").read(1) for f in ("all", "some"))
        touched = geometry_mask([area], labels.shape, UTM, all_touched=True, invert=True)
        assert np.array_equal(shown, np.where(touched, labels, 255)), name
    lines, other = (layer(tmp_path / f / "vectors.gpkg", "road_lines").union_all() for f in ("all", "some"))
    assert lines.intersection(area).length > 20
    assert lines.intersection(area).hausdorff_distance(other) < 1e-6
    other_polygons = {**options, "simplify": 0.5, "overwrite": True}
    again = geounet.infer(path, output=tmp_path / "some", aoi=str(aoi), **other_polygons)
    assert again.tiles == 0, "what lies around the area is kept for the next polygons"
