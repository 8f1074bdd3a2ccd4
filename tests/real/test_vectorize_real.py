"""Vectors of real rasters, against rasterio and GDAL."""

from __future__ import annotations

import json
from pathlib import Path

import geopandas
import numpy as np
import pytest
import rasterio
import rasterio.features
import shapely
from rasterio.windows import Window

from geounet.run.vectorize import vectorize
from geounet.vector.tracer import trace

pytestmark = pytest.mark.real


def oracle(labels: np.ndarray, transform: rasterio.Affine, valid: np.ndarray | None) -> list[tuple[int, object]]:
    shapes = rasterio.features.shapes(labels, mask=valid, connectivity=4, transform=transform)
    return [(int(v), shapely.geometry.shape(s)) for s, v in shapes]


def equal_as_sets(ours: list[tuple[int, object]], theirs: list[tuple[int, object]]) -> None:
    def plain(pairs: list[tuple[int, object]]) -> list[tuple[int, bytes, object]]:
        # corners where only a third region begins are ours alone; simplify(0) takes them out
        shapes = shapely.normalize(shapely.simplify(np.array([g for _, g in pairs]), 0))
        values = [v for v, _ in pairs]
        return sorted(zip(values, shapely.to_wkb(shapes), shapes, strict=True), key=lambda t: t[:2])

    for (v, one, a), (w, other, b) in zip(plain(ours), plain(theirs), strict=True):
        assert v == w
        # equal bytes are the same shape; the topological test takes minutes where there are 10⁴ holes
        assert one == other or shapely.equals(a, b)


def crop(source: Path, out: Path, window: Window) -> Path:
    with rasterio.open(source) as file:
        profile = file.profile | {
            "width": window.width,
            "height": window.height,
            "transform": file.window_transform(window),
        }
        with rasterio.open(out, "w", **profile) as target:
            target.write(file.read(window=window))
    return out


def check(path: Path, folder: Path) -> None:
    result = vectorize(path, output=folder / "o.gpkg", formats=["gpkg", "geojson"], overwrite=True)
    frame = geopandas.read_file(result.paths[0])
    with rasterio.open(path) as file:
        labels, transform, crs = file.read(1), file.transform, file.crs
    ours = [(c, shapely.get_parts(g)[0]) for c, g in zip(frame["class"], frame.geometry, strict=True)]
    assert shapely.coverage_is_valid(np.array([g for _, g in ours]))
    equal_as_sets(ours, oracle(labels, transform, None))
    burnt = rasterio.features.rasterize(
        ((g, c) for c, g in ours), out_shape=labels.shape, transform=transform, fill=254, dtype="uint8"
    )
    assert np.array_equal(burnt, labels)
    gdal = folder / "gdal.geojson"
    frame.set_crs(crs, allow_override=True).to_file(gdal, driver="GeoJSON", RFC7946="YES", engine="pyogrio")
    pairs = zip(_shapes(result.paths[1]), _shapes(gdal), strict=True)
    away = []
    for a, b in pairs:
        ours_xy, gdals_xy = shapely.get_coordinates(a), shapely.get_coordinates(b)
        assert ours_xy.shape == gdals_xy.shape
        away.append(np.abs(ours_xy - gdals_xy).max(axis=1))
    # GDAL shortens a number with a run of nines or zeros (-72.2999993 becomes -72.3), some of ten thousand
    assert np.concatenate(away).max() < 1e-6
    assert np.mean(np.concatenate(away) > 1.5e-7) < 1e-3


def _shapes(path: Path) -> list[shapely.Geometry]:
    return [shapely.geometry.shape(f["geometry"]) for f in json.loads(path.read_text())["features"]]


def test_a_corner_of_the_sentinel_labels(shared_data: Path, tmp_path: Path) -> None:
    source = shared_data / "scenes" / "labels_sentinel2_10980.tif"
    check(crop(source, tmp_path / "crop.tif", Window(4000, 4000, 1500, 1200)), tmp_path)


@pytest.mark.slow
def test_the_whole_sentinel_labels(shared_data: Path, tmp_path: Path) -> None:
    check(shared_data / "scenes" / "labels_sentinel2_10980.tif", tmp_path)


def test_strips_leave_no_trace_on_real_labels(shared_data: Path) -> None:
    with rasterio.open(shared_data / "scenes" / "labels_sentinel2_10980.tif") as file:
        labels = file.read(1, window=Window(2000, 3000, 2000, 1000)).astype(np.int32)
    whole = trace(labels)
    for rows in (1, 37, 256, 640):
        strips = trace(labels, rows_at_once=rows)
        assert np.array_equal(whole.identity, strips.identity)
        assert np.array_equal(whole.corners, strips.corners)


def test_over_the_antimeridian(shared_data: Path, tmp_path: Path) -> None:
    source = shared_data / "hostile" / "rio_tiler" / "tests" / "fixtures" / "cog_dateline.tif"
    with rasterio.open(source) as file:
        data = file.read(1)
        profile = file.profile | {"dtype": "uint8", "driver": "GTiff", "nodata": None}
    labels = np.digitize(data, np.unique(np.quantile(data, [0.2, 0.5, 0.8]))).astype(np.uint8)
    with rasterio.open(tmp_path / "labels.tif", "w", **profile) as file:
        file.write(labels, 1)
    result = vectorize(tmp_path / "labels.tif", min_area=2e6)
    shapes = np.array(_shapes(result.paths[0]))
    assert shapely.is_valid(shapes).all()
    bounds = shapely.bounds(np.concatenate([shapely.get_parts(s) for s in shapes]))
    assert (bounds[:, 2] - bounds[:, 0]).max() < 10
    assert bounds[:, 0].min() == -180
    assert bounds[:, 2].max() == 180
    union = shapely.union_all(shapes)
    assert shapely.area(shapes).sum() - union.area < 1e-6 * union.area


@pytest.mark.parametrize(
    ("name", "word"),
    [
        ("rasterio/tests/data/goes.tif", "beyond"),
        ("rio_tiler/tests/fixtures/cog_hirise_mars.tif", "not on the Earth"),
    ],
)
def test_other_worlds_are_told_in_one_line(name: str, word: str, shared_data: Path, tmp_path: Path) -> None:
    with rasterio.open(shared_data / "hostile" / name) as file:
        profile = file.profile | {"dtype": "uint8", "driver": "GTiff", "nodata": None, "count": 1}
        for key in ("compress", "photometric", "interleave"):
            profile.pop(key, None)
        labels = (file.read(1) // 86).astype(np.uint8)
    with rasterio.open(tmp_path / "labels.tif", "w", **profile) as file:
        file.write(labels, 1)
    result = vectorize(tmp_path / "labels.tif")
    assert len(result.warnings) == 1
    assert word in result.warnings[0]
    assert len(_shapes(result.paths[0])) > 0
