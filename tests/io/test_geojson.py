"""Our GeoJSON writer against GDAL's (``RFC7946=YES``), feature by feature."""

from __future__ import annotations

import io
import json
from pathlib import Path

import geopandas
import numpy as np
import pytest
import shapely
from affine import Affine
from numpy.typing import NDArray

from geounet.grid.geobox import GeoBox
from geounet.io.geojson import GeoJsonWriter
from geounet.io.ground import Ground
from geounet.io.shapes import Features, from_shapely
from geounet.vector.tracer import trace

UTM = Affine(10, 0, 500000, 0, -10, 5500000)


def blobs(height: int, width: int, seed: int = 1) -> NDArray[np.int32]:
    """Three classes in smooth patches."""
    rng = np.random.default_rng(seed)
    z = np.cumsum(np.cumsum(rng.standard_normal((height + 8, width + 8)), 0), 1)
    z = z[8:, 8:] - z[:-8, 8:] - z[8:, :-8] + z[:-8, :-8]
    return np.digitize(z, np.quantile(z, [0.3, 0.65])).astype(np.int32)


def box_of(labels: NDArray[np.int32], transform: Affine, crs: str | None) -> GeoBox:
    from pyproj import CRS

    wkt = None if crs is None else CRS.from_user_input(crs).to_wkt()
    height, width = labels.shape
    return GeoBox(width=width, height=height, transform=tuple(transform)[:6], crs=wkt)


def features_of(geometries: NDArray[np.object_], *, reshaped: bool = False) -> Features:
    n = len(geometries)
    return Features(
        shapes=from_shapely(geometries),
        lonlat=None,
        reshaped=reshaped,
        id=np.arange(1, n + 1),
        value=np.zeros(n, np.int64),
        name=np.array(['Straße "1"'] * n, object),
        area=np.full(n, 1.5),
        confidence=np.full(n, np.nan),
    )


def ours(box: GeoBox, geometries: NDArray[np.object_], *, chunk: int = 7) -> list[dict[str, object]]:
    file = io.BytesIO()
    writer = GeoJsonWriter(file, name='a "layer"', ground=Ground(box))
    for begin in range(0, len(geometries), chunk):
        writer.write(features_of(geometries[begin : begin + chunk]))
    writer.close()
    assert writer.dropped == writer.collapsed == 0
    return list(json.loads(file.getvalue())["features"])


def gdals(box: GeoBox, geometries: NDArray[np.object_], folder: Path) -> list[dict[str, object]]:
    path = folder / "gdal.geojson"
    frame = geopandas.GeoDataFrame({"n": np.arange(len(geometries))}, geometry=geometries, crs=box.crs)
    frame.to_file(path, driver="GeoJSON", engine="pyogrio", RFC7946="YES")
    return list(json.loads(path.read_text())["features"])


WORLD = 20037508.342789244
SCENES: dict[str, tuple[Affine, str]] = {
    "utm": (UTM, "EPSG:32633"),
    "south-up": (Affine(10, 0, 500000, 0, 10, 5500000), "EPSG:32633"),
    "rotated": (UTM @ Affine.rotation(33), "EPSG:32633"),
    "another datum": (Affine(30, 0, 500000, 0, -30, 4000000), "EPSG:26714"),
    "geographic": (Affine(0.01, 0, 7, 0, -0.02, 47), "EPSG:4326"),
    "geographic beyond 180": (Affine(0.5, 0, 165, 0, -0.5, 20), "EPSG:4326"),
    "world from -180": (Affine(6, 0, -180, 0, -3, 90), "EPSG:4326"),
    "world from 0": (Affine(6, 0, 0, 0, -3, 90), "EPSG:4326"),
    "utm over the antimeridian": (Affine(1000, 0, 790000, 0, -1000, 7000000), "EPSG:32660"),
    "utm over the antimeridian from the east": (Affine(1000, 0, 150000, 0, -1000, 3000000), "EPSG:32601"),
    "around the north pole": (Affine(50000, 0, -1510000, 0, -50000, 1480000), "EPSG:3413"),
    "around the south pole": (Affine(50000, 0, -1510000, 0, -50000, 1480000), "EPSG:3031"),
    "mercator world": (Affine(WORLD / 30, 0, -WORLD, 0, -WORLD / 30, WORLD), "EPSG:3857"),
    "over Fiji": (Affine(3000, 0, 1900000, 0, -3000, 3900000), "EPSG:3460"),
}


@pytest.mark.parametrize("name", SCENES)
def test_equals_gdal(name: str, tmp_path: Path) -> None:
    transform, crs = SCENES[name]
    labels = blobs(60, 60)
    box = box_of(labels, transform, crs)
    polygons = trace(labels)
    geometries = polygons.to_shapely(Ground(box).coordinates(polygons.corners))
    found, expected = ours(box, geometries), gdals(box, geometries, tmp_path)
    assert len(found) == len(expected) == len(geometries)
    for one, other in zip(found, expected, strict=True):
        a, b = (shapely.geometry.shape(f["geometry"]) for f in (one, other))
        assert a.is_valid
        assert all(p.exterior.is_ccw and not any(r.is_ccw for r in p.interiors) for p in shapely.get_parts(a))
        assert shapely.bounds(a)[0] >= -180
        assert shapely.bounds(a)[2] <= 180
        if shapely.get_num_coordinates(a) == shapely.get_num_coordinates(b):
            assert shapely.hausdorff_distance(a, b) < 2e-7
        # GDAL's own cut may leave an invalid ring; make_valid takes it as it was meant
        difference = a.symmetric_difference(shapely.make_valid(b)).area
        assert difference <= 1e-5 * a.area + 1e-7 * a.length, (name, a.wkt[:300], b.wkt[:300])


@pytest.mark.parametrize("crs", ["EPSG:3413", "EPSG:3031"])
@pytest.mark.parametrize("corner", [(0, 0), (3, 4), (15, 14), (0.5, 0.5)])
def test_borders_through_a_pole_leave_a_coverage(crs: str, corner: tuple[float, float]) -> None:
    # here GDAL 3.12 loses a part of the globe, so the law is: no overlap, nothing missing
    labels = blobs(30, 30, seed=5)
    labels[:15, :15], labels[15:, 15:] = 0, 1
    box = box_of(labels, Affine(50000, 0, -50000 * (15 - corner[0]), 0, -50000, 50000 * (15 - corner[1])), crs)
    polygons = trace(labels)
    found = ours(box, polygons.to_shapely(Ground(box).coordinates(polygons.corners)))
    areas = np.array([shapely.geometry.shape(f["geometry"]) for f in found])
    assert shapely.is_valid(areas).all()
    union = shapely.union_all(areas)
    assert shapely.area(areas).sum() - union.area < 1e-4 * union.area
    whole = ours(box, np.array([shapely.union_all(polygons.to_shapely(Ground(box).coordinates(polygons.corners)))]))
    outline = shapely.geometry.shape(whole[0]["geometry"])
    assert union.symmetric_difference(outline).area < 1e-3 * outline.area + 2


def test_text_is_one_feature_per_line_and_whole_json() -> None:
    labels = blobs(12, 12)
    box = box_of(labels, UTM, "EPSG:32633")
    polygons = trace(labels)
    geometries = polygons.to_shapely(Ground(box).coordinates(polygons.corners))
    file = io.BytesIO()
    writer = GeoJsonWriter(file, name="x", ground=Ground(box))
    writer.write(features_of(geometries))
    writer.close()
    text = file.getvalue().decode()
    assert len(text.splitlines()) == len(geometries) + 2
    document = json.loads(text)
    assert "crs" not in document
    assert document["features"][0]["properties"] == {
        "id": 1,
        "class": 0,
        "name": 'Straße "1"',
        "area_m2": 1.5,
        "confidence_mean": None,
    }


def test_chunks_leave_no_trace_and_none_is_a_document() -> None:
    labels = blobs(20, 20)
    box = box_of(labels, UTM, "EPSG:32633")
    polygons = trace(labels)
    geometries = polygons.to_shapely(Ground(box).coordinates(polygons.corners))
    geoms = [f["geometry"] for f in ours(box, geometries, chunk=1)]
    assert geoms == [f["geometry"] for f in ours(box, geometries, chunk=1000)]
    file = io.BytesIO()
    writer = GeoJsonWriter(file, name="x", ground=Ground(box))
    writer.close()
    assert json.loads(file.getvalue())["features"] == []


def test_what_vanishes_in_rounding_is_left_out_and_counted() -> None:
    box = box_of(np.zeros((4, 4), np.int32), Affine(1e-9, 0, 7, 0, -1e-9, 47), "EPSG:4326")
    file = io.BytesIO()
    writer = GeoJsonWriter(file, name="x", ground=Ground(box))
    writer.write(features_of(np.array([shapely.box(7, 47, 7 + 4e-9, 47 + 4e-9), shapely.box(7, 47, 7.1, 47.1)])))
    writer.close()
    assert writer.collapsed == 1
    assert len(json.loads(file.getvalue())["features"]) == 1


def test_folded_by_rounding_is_mended() -> None:
    labels = blobs(60, 60, seed=3)
    box = box_of(labels, Affine(4e-8, 0, 7, 0, -4e-8, 47), "EPSG:4326")
    polygons = trace(labels)
    file = io.BytesIO()
    writer = GeoJsonWriter(file, name="x", ground=Ground(box))
    writer.write(features_of(polygons.to_shapely(Ground(box).coordinates(polygons.corners))))
    writer.close()
    found = [shapely.geometry.shape(f["geometry"]) for f in json.loads(file.getvalue())["features"]]
    assert found
    assert all(shape.is_valid for shape in found)


@pytest.mark.parametrize("value", [0, 1, -1, 7, 10**7, -(10**7), 1234567, 1800000000, -1799999999, 120000000, 5])
def test_numbers_are_those_of_python(value: int) -> None:
    from geounet.io.geojson_text import _number

    out = np.zeros(40, np.uint8)
    end = _number(out, 0, np.int64(value))
    text = out[:end].tobytes().decode()
    assert float(text) == value / 1e7
    assert not text.endswith(".")
    assert "." not in text or not text.endswith("0")


def test_lines_and_separators() -> None:
    box = box_of(np.zeros((4, 4), np.int32), UTM, None)
    for separators in (False, True):
        file = io.BytesIO()
        writer = GeoJsonWriter(file, name="x", ground=Ground(box), lines=True, separators=separators)
        writer.write(features_of(np.array([shapely.box(0, 0, 1, 1), shapely.box(1, 0, 2, 1)])))
        writer.close()
        lines = file.getvalue().splitlines()
        assert len(lines) == 2
        assert all(line.startswith(b"\x1e") == separators for line in lines)
        assert all(json.loads(line.lstrip(b"\x1e"))["type"] == "Feature" for line in lines)
