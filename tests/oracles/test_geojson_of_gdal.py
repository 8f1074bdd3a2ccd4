"""The whole way from labels to GeoJSON against GDAL's writer, on rasters fine enough for polynomials."""

from __future__ import annotations

from pathlib import Path

import geopandas
import numpy as np
import pytest
import shapely
from affine import Affine
from pyproj import Transformer

from geounet.run.vectorize import vectorize
from tests.run.test_vectorize import patches, raster

HALF = 20037508.342789244
SCENES: dict[str, tuple[Affine, str]] = {
    "utm": (Affine(10, 0, 500000, 0, -10, 5500000), "EPSG:32633"),
    "utm, south-up": (Affine(10, 0, 500000, 0, 10, 5500000), "EPSG:32733"),
    "utm, rotated": (Affine(10, 0, 500000, 0, -10, 5500000) @ Affine.rotation(33), "EPSG:32633"),
    "utm over the antimeridian": (Affine(100, 0, 640000, 0, -100, 7010000), "EPSG:32660"),
    "utm over the antimeridian from the east": (Affine(100, 0, 340000, 0, -100, 7010000), "EPSG:32601"),
    "around the north pole": (Affine(500, 0, -50250, 0, -500, 49750), "EPSG:3413"),
    "around the south pole": (Affine(500, 0, -50250, 0, -500, 49750), "EPSG:3031"),
    "beside the pole, over the antimeridian": (Affine(500, 0, -150000, 0, -500, 250000), "EPSG:3413"),
    "mercator up to the antimeridian": (Affine(100, 0, HALF - 20000, 0, -100, 5000000), "EPSG:3857"),
    "another datum": (Affine(30, 0, 500000, 0, -30, 4000000), "EPSG:26714"),
    "geographic": (Affine(1e-4, 0, 7, 0, -1e-4, 47), "EPSG:4326"),
    "geographic over the antimeridian": (Affine(1e-3, 0, 179.9, 0, -1e-3, 0.1), "EPSG:4326"),
}


@pytest.mark.parametrize("name", SCENES)
def test_equals_gdals_writer_feature_by_feature(name: str, tmp_path: Path) -> None:
    transform, crs = SCENES[name]
    path = raster(tmp_path / "a.tif", patches(200, 200), crs=crs, transform=transform)
    vectorize(path, output=tmp_path / "a", formats=["geojson", "parquet"])
    polygons = geopandas.read_parquet(tmp_path / "a.parquet").explode(ignore_index=True)
    polygons.to_file(tmp_path / "gdal.geojson", driver="GeoJSON", engine="pyogrio", RFC7946="YES")
    ours, theirs = (geopandas.read_file(tmp_path / f"{n}.geojson") for n in ("a", "gdal"))
    assert ours.id.tolist() == theirs.id.tolist() == polygons.id.tolist()
    assert shapely.is_valid(ours.geometry.values).all()
    cut = []
    for k, (a, b) in enumerate(
        zip(shapely.normalize(ours.geometry), shapely.normalize(theirs.geometry), strict=True)
    ):
        same_size = shapely.get_num_coordinates(a) == shapely.get_num_coordinates(b)
        if same_size and np.abs(shapely.get_coordinates(a) - shapely.get_coordinates(b)).max() < 2e-7:
            continue
        cut.append(k)
        # the crossing is that of the map's edge here, of the chord there; GDAL's may touch itself, and may be wrong
        difference = a.symmetric_difference(shapely.make_valid(b)).area
        if difference > 1e-5 * a.area + 1e-7 * a.length:
            assert unrolled(a).symmetric_difference(followed(polygons.geometry[k], crs)).area < 1e-4 * a.area, k
    assert not cut or "antimeridian" in name or "pole" in name


def unrolled(shape: shapely.Geometry) -> shapely.Geometry:
    """Both sides of the antimeridian as one area, from 0° to 360°."""
    parts = shapely.get_parts(shape)
    return shapely.union_all(
        [shapely.transform(p, lambda xy, p=p: xy + np.array([360 * (p.bounds[0] < 0), 0])) for p in parts]
    )


def followed(shape: shapely.Geometry, crs: str) -> shapely.Geometry:
    """The truth: the map's edges in short steps, from 0° to 360°."""
    to_degrees = Transformer.from_crs(crs, 4326, always_xy=True)

    def move(xy: np.ndarray) -> np.ndarray:
        lon, lat = to_degrees.transform(xy[:, 0], xy[:, 1])
        return np.stack([lon % 360, lat], axis=1)

    return shapely.transform(shapely.segmentize(shape, 20), move)
