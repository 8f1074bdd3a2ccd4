"""Areas of interest: what is read, what is refused at the door, and what names an area."""

from __future__ import annotations

import shutil
from pathlib import Path

import geopandas
import pytest
import shapely

from geounet.errors import ConfigError
from geounet.grid.geobox import GeoBox
from geounet.io.aoi import area_key, read_area, read_polygons

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
