"""Areas of interest: what is read, what is refused at the door, and what names an area."""

from __future__ import annotations

import shutil
from pathlib import Path

import geopandas
import hypothesis
import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from pyproj import Transformer
from shapely.affinity import affine_transform

from geounet.errors import ConfigError
from geounet.grid.geobox import GeoBox
from geounet.io.aoi import area_key, area_mask, read_area, read_polygons

BOX = GeoBox(width=100, height=100, transform=(0.5, 0.0, 300000.0, 0.0, -0.5, 2800000.0), crs="EPSG:32640")
AREA = shapely.box(300010, 2799960, 300030, 2799990)


def write(path: Path, area: shapely.Geometry = AREA, crs: str = "EPSG:32640", **options: str) -> Path:
    frame = geopandas.GeoDataFrame({"name": ["a"]}, geometry=[area], crs="EPSG:32640").to_crs(crs)
    if path.suffix == ".parquet":
        frame.to_parquet(path)
    else:
        frame.to_file(path, **options)
    return path


FORMATS = {
    "a.gpkg": {"driver": "GPKG"},
    "a.fgb": {"driver": "FlatGeobuf"},
    "a.shp": {"driver": "ESRI Shapefile"},
    "a.gdb": {"driver": "OpenFileGDB"},
    "a.geojson": {"driver": "GeoJSON", "crs": "EPSG:4326"},
    "a.json": {"driver": "GeoJSON", "crs": "EPSG:4326"},
    "a.geojsonl": {"driver": "GeoJSONSeq", "crs": "EPSG:4326"},
    "a.geojsons": {"driver": "GeoJSONSeq", "crs": "EPSG:4326", "RS": "YES"},
    "a.kml": {"driver": "KML", "crs": "EPSG:4326"},
    "a.parquet": {},
}


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_gives_the_area_and_a_key(tmp_path: Path, name: str) -> None:
    path = write(tmp_path / name, **FORMATS[name])
    assert read_area(path, BOX).symmetric_difference(AREA).area < 1e-3 * AREA.area
    key = area_key(path, BOX.crs)
    moved = tmp_path / "elsewhere"
    shutil.copytree(tmp_path, moved)
    assert area_key(moved / name, BOX.crs) == key  # neither place nor time is part of it
    assert area_key(path, "EPSG:32639") != key
    for old in tmp_path.glob("a.*"):
        shutil.rmtree(old) if old.is_dir() else old.unlink()
    write(path, shapely.box(300010, 2799960, 300030, 2799991), **FORMATS[name])
    assert area_key(path, BOX.crs) != key


@pytest.mark.parametrize("west", [179.9, -180.1])
def test_an_area_over_the_antimeridian_lies_on_a_scene_over_it(tmp_path: Path, west: float) -> None:
    scene = GeoBox(width=200, height=100, transform=(1e-3, 0.0, west, 0.0, -1e-3, 10.0), crs="EPSG:4326")
    halves = shapely.union_all([shapely.box(179.95, 9.92, 180, 9.98), shapely.box(-180, 9.92, -179.96, 9.98)])
    path = tmp_path / "a.geojson"
    geopandas.GeoDataFrame(geometry=[halves], crs="EPSG:4326").to_file(path)  # split, as RFC 7946 wants it
    area = shapely.intersection(read_area(path, scene), shapely.box(west, 9.9, west + 0.2, 10))
    assert area.symmetric_difference(shapely.box(west + 0.05, 9.92, west + 0.14, 9.98)).area < 1e-9
    plain = GeoBox(width=200, height=100, transform=(1e-3, 0.0, 10.0, 0.0, -1e-3, 10.0), crs="EPSG:4326")
    assert read_area(path, plain).equals(halves)


def test_the_layer_with_polygons_is_the_area_and_two_of_them_are_asked_about(tmp_path: Path) -> None:
    path = tmp_path / "a.gpkg"
    lines = geopandas.GeoDataFrame(geometry=[AREA.boundary], crs="EPSG:32640")
    lines.to_file(path, layer="roads", driver="GPKG")
    write(path, driver="GPKG", layer="district")
    assert read_polygons(path, "EPSG:32640").equals(AREA)
    write(path, driver="GPKG", layer="parks")
    with pytest.raises(ConfigError, match=r"several layers of polygons \(district, parks\)"):
        read_polygons(path, "EPSG:32640")


def test_the_key_follows_the_sidecar_that_says_the_crs(tmp_path: Path) -> None:
    path = write(tmp_path / "a.shp")
    key = area_key(path, BOX.crs)
    (tmp_path / "a.prj").write_text((write(tmp_path / "b.shp", crs="EPSG:32639").with_suffix(".prj")).read_text())
    assert area_key(path, BOX.crs) != key


VRT = '<OGRVRTDataSource><OGRVRTLayer name="a"><SrcDataSource>{}</SrcDataSource></OGRVRTLayer></OGRVRTDataSource>'


@pytest.mark.parametrize("name", ["a.vrt", "a.geojson", "a.kml", "a.shp", "a.gpkg"])
def test_a_recipe_that_reads_other_files_is_refused(tmp_path: Path, name: str) -> None:
    source = write(tmp_path / "source.gpkg", driver="GPKG")
    (tmp_path / name).write_text(VRT.format(source))
    with pytest.raises(ConfigError, match=r"--aoi .*(points at other files|no vector file)"):
        read_area(tmp_path / name, BOX)


def test_a_recipe_inside_a_comment_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.kml").write_text(f"<?xml version='1.0'?>\n<!-- kml -->\n{VRT.format('/etc/hosts')}")
    (tmp_path / "a.geojson").write_text('{"type": "gdal_streamed_alg", "command_line": "gdal vector convert"}')
    for name in ("a.kml", "a.geojson"):
        with pytest.raises(ConfigError, match="points at other files"):
            read_area(tmp_path / name, BOX)


@pytest.mark.parametrize("name", ["nothing.gpkg", "/vsicurl/http://example.com/a.geojson", "a.csv", "a.gpkg", "."])
def test_what_is_no_vector_file_is_one_line(tmp_path: Path, name: str) -> None:
    for file in ("a.csv", "a.gpkg"):
        (tmp_path / file).write_text("id,WKT\n")
    with pytest.raises(ConfigError) as caught:
        read_area(tmp_path / name if not name.startswith("/") else name, BOX)
    assert "\n" not in str(caught.value)


def grid(crs: str, x: float, y: float, pixel: float, *, width: int = 150, height: int = 120) -> GeoBox:
    return GeoBox(width=width, height=height, transform=(pixel, 0.0, x, 0.0, -pixel, y), crs=crs)


SCENES = {
    "utm": grid("EPSG:32633", 500_000, 5_000_000, 10),
    "utm of a whole zone": grid("EPSG:32633", 100_000, 9_000_000, 1000, width=750, height=8950),
    "utm over the antimeridian": grid("EPSG:32601", 150_000, 1_000_000, 1000),
    "laea": grid("EPSG:3035", 4_321_000, 3_210_000, 100),
    "over the north pole": grid("EPSG:3413", -700_000, 650_000, 10_000),
    "beside the north pole": grid("EPSG:3413", 1000, 1000, 5),
    "over the south pole": grid("EPSG:3031", -1_500_000, 1_500_000, 20_000),
    "mercator": grid("EPSG:3857", 1_500_000, 6_000_000, 1000),
    "mercator, all": grid("EPSG:3857", -20_037_508, 20_037_508, 267_200, height=150),
    "mercator, to its end": grid("EPSG:3857", 20_037_508.3 - 150_000, 6_000_000, 1000),
    "degrees of another datum": grid("EPSG:4267", -100, 40, 0.01),
    "degrees over the antimeridian": grid("EPSG:4267", 179.5, 60, 0.01),
    "sphere": grid("ESRI:54009", -18_100_000, 9_100_000, 241_400),
}


def in_pixels(area: shapely.Geometry, scene: GeoBox) -> shapely.Geometry:
    back = ~scene.affine
    return affine_transform(area, [back.a, back.b, back.d, back.e, back.c, back.f])


def check_edges(path: Path, scene: GeoBox, own: str, area: shapely.Geometry) -> float:
    """Part of the scene in the area; asserts that points of the scene lie in it as they do in its own CRS."""
    move = Transformer.from_crs(scene.crs, own, always_xy=True)
    rng = np.random.default_rng(0)
    pixels = rng.uniform((-64, -64), (scene.width + 64, scene.height + 64), (4000, 2))
    a, _, c, _, e, f = scene.transform
    x, y = move.transform(*(pixels * (a, e) + (c, f)).T)
    known = np.isfinite(x) & np.isfinite(y)
    if scene.crs != "EPSG:4267":  # only what the map shows once
        again = np.column_stack(move.transform(x, y, direction="INVERSE"))
        known &= np.hypot(*(again - pixels * (a, e) - (c, f)).T) < a
    pixels, x, y = pixels[known], (x[known] + 180) % 360 - 180, y[known]
    found = in_pixels(read_area(path, scene), scene)
    expected = shapely.contains_xy(area, x, y)
    wrong = shapely.contains_xy(found, pixels) != expected
    assert (shapely.distance(shapely.points(pixels[wrong]), found.boundary) < 0.1).all()
    within = ((pixels >= 0) & (pixels <= (scene.width, scene.height))).all(axis=1)
    assert within.any()
    return float(expected[within].mean())


WORLD = shapely.box(-180, -90, 180, 90)


@pytest.mark.parametrize("name", [n for n in SCENES if n not in ("sphere", "degrees of another datum")])
def test_the_whole_world_is_the_whole_scene(tmp_path: Path, name: str) -> None:
    scene = SCENES[name]
    path = write_degrees(tmp_path / "a.geojson", WORLD)
    assert check_edges(path, scene, "OGC:CRS84", WORLD) == 1.0
    outline = shapely.box(0, 0, scene.width, scene.height)
    if not name.startswith("mercator"):  # whose end is the scene's own rim
        assert shapely.intersection(in_pixels(read_area(path, scene), scene), outline).equals(outline)  # no slit
    assert area_mask(path, scene, around=3)(scene.window).all()


def write_degrees(path: Path, area: shapely.Geometry) -> Path:
    geopandas.GeoDataFrame(geometry=[area], crs="OGC:CRS84").to_file(path)
    return path


@pytest.mark.parametrize("half", [0.02, 1, 5, 60])
def test_a_long_edge_along_a_parallel_stays_on_it(tmp_path: Path, half: float) -> None:
    area = shapely.box(15.01 - half, 45.148, 15.01 + half, 46)
    path = write_degrees(tmp_path / "a.geojson", area)
    assert 0.4 < check_edges(path, SCENES["utm"], "OGC:CRS84", area) < 0.6


def test_an_area_over_a_pole_that_the_scene_has_as_a_line_is_refused_and_not_called_outside(tmp_path: Path) -> None:
    path = tmp_path / "a.gpkg"
    geopandas.GeoDataFrame(geometry=[shapely.box(-9e5, -7e5, 9e5, 8e5)], crs="EPSG:3413").to_file(path)
    with pytest.raises(ConfigError, match=r"cannot be brought .*: an edge .*; give") as caught:
        read_area(path, grid("EPSG:4326", -180, 90, 0.5, width=720, height=360))
    assert "\n" not in str(caught.value)


@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_edges_are_straight_in_the_crs_of_the_area(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    scene = SCENES[data.draw(st.sampled_from(list(SCENES)))]
    lon, lat = st.floats(-180, 180), st.floats(-90, 90)
    corners = data.draw(st.lists(st.tuples(lon, lat), min_size=3, max_size=5))
    area = shapely.make_valid(shapely.Polygon(corners))
    area = shapely.union_all([part for part in shapely.get_parts(area) if part.area > 1])
    hypothesis.assume(not area.is_empty)
    path = write_degrees(tmp_path_factory.mktemp("area") / "a.geojson", area)
    check_edges(path, scene, "OGC:CRS84", geopandas.read_file(path).geometry[0])
