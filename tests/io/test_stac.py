from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pystac
import pytest
from rasterio.warp import transform_bounds
from shapely.geometry import box, shape

from geounet.grid.geobox import GeoBox
from geounet.io.facts import ClassArea, Output, RunFacts
from geounet.io.footprint import footprint
from geounet.io.stac import to_item, write_item
from geounet.model.spec import Head, InputBand, LabelClass, ModelSpec

HEAD = Head(
    name="landuse",
    kind="classes",
    classes=(
        LabelClass(value=0, name="bâti <b> & co", color="#d7483b"),
        LabelClass(value=1, name="water", color="#3f88c5"),
    ),
)
MODEL = ModelSpec(
    name="tiny", architecture="unet", bands=(InputBand(name="red", mean=0, std=1),), heads=(HEAD,), version="1.2"
)
UTM = GeoBox(width=400, height=300, transform=(0.5, 0, 3e5, 0, -0.5, 2.8e6), crs="EPSG:32640")


def facts(folder: Path, geobox: GeoBox = UTM) -> RunFacts:
    return RunFacts(
        scene="scène <1>",
        geobox=geobox,
        bands=("red",),
        dtype="uint8",
        fingerprint="ab12",
        datetime="2024-05-01T00:00:00Z",
        model=MODEL,
        model_digest="sha256:cd",
        outputs=(
            Output(path=folder / "landuse.tif", bytes=12, role="labels", head="landuse"),
            Output(path=folder / "landuse_confidence.tif", bytes=12, role="confidence", head="landuse"),
            Output(path=folder / "land use.geojson", bytes=12, role="polygons", head="landuse"),
            Output(path=folder / "preview.png", bytes=12, role="other"),
        ),
        areas=(
            ClassArea(head="landuse", value=0, pixels=90_000, square_metres=22_500.0),
            ClassArea(head="landuse", value=1, pixels=30_000, square_metres=7_500.0),
        ),
        settings={"tile": "512"},
        timings={"forward": 12.5, "stitch": 1.0},
        warnings=("the scene is <coarser> than the model",),
        software={"geounet": "0.1.0", "GDAL": "3.10.3"},
        scene_href="../scene.tif",
    )


def test_the_item_is_stac(tmp_path: Path):
    path = write_item(tmp_path / "item.json", facts(tmp_path))
    item = pystac.Item.from_file(str(path))
    item.stac_extensions = []  # their schemas are on the network; the core's come with pystac
    item.validate()
    assert {a.href for a in item.assets.values()} >= {"./landuse.tif", "./land%20use.geojson"}
    assert item.properties["geounet:model_digest"] == "sha256:cd"
    assert item.properties["proj:code"] == "EPSG:32640"
    labels = item.assets["landuse.tif"].extra_fields
    assert [c["title"] for c in labels["classification:classes"]] == ["bâti <b> & co", "water"]


def test_equal_facts_equal_bytes(tmp_path: Path):
    first = write_item(tmp_path / "item.json", facts(tmp_path)).read_bytes()
    assert write_item(tmp_path / "item.json", facts(tmp_path)).read_bytes() == first


def test_no_crs_no_place(tmp_path: Path):
    item = to_item(facts(tmp_path, GeoBox(width=4, height=3)), folder=tmp_path)
    assert item["geometry"] is None
    assert "bbox" not in item
    pystac.Item.from_dict(json.loads(json.dumps(item))).to_dict()


def test_the_footprint_is_where_the_corners_are():
    geometry, bbox = footprint(UTM)
    ring = shape(geometry)
    assert ring.is_valid
    assert ring.exterior.is_ccw
    assert ring.bounds == pytest.approx(bbox)
    corners = (3e5, 2.8e6 - 150, 3e5 + 200, 2.8e6)
    assert bbox == pytest.approx(transform_bounds(UTM.crs, "EPSG:4326", *corners), abs=1e-6)


@pytest.mark.parametrize(
    ("geobox", "bbox", "area"),
    [
        (
            GeoBox(width=360, height=180, transform=(1, 0, -180, 0, -1, 90), crs="EPSG:4326"),
            [-180, -90, 180, 90],
            64800,
        ),
        (GeoBox(width=20, height=10, transform=(1, 0, 170, 0, -1, 5), crs="EPSG:4326"), [170, -5, -170, 5], 200),
        (GeoBox(width=20, height=10, transform=(1, 0, 350, 0, -1, 5), crs="EPSG:4326"), [-10, -5, 10, 5], 200),
    ],
    ids=["world", "antimeridian", "0..360"],
)
def test_footprints_around_the_antimeridian(geobox, bbox, area):
    geometry, got = footprint(geobox)
    assert got == pytest.approx(bbox)
    assert shape(geometry).is_valid
    assert shape(geometry).area == pytest.approx(area)
    assert shape(geometry).within(box(-180, -90, 180, 90))


def test_utm_across_the_antimeridian_and_around_the_pole():
    across = GeoBox(width=2000, height=1000, transform=(100, 0, 7e5, 0, -100, 1e5), crs="EPSG:32660")
    geometry, bbox = footprint(across)
    assert bbox[0] > bbox[2]
    assert shape(geometry).area < 3
    pole = replace(across, width=200, height=200, transform=(1e4, 0, -1e6, 0, -1e4, 1e6), crs="EPSG:3413")
    geometry, bbox = footprint(pole)
    assert (bbox[0], bbox[2], bbox[3]) == (-180, 180, 90)
    assert 70 < bbox[1] < 83
