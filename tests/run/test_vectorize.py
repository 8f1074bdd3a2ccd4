"""`geounet.vectorize`: from a file to files."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import pyogrio
import pytest
import rasterio
import rasterio.features
import shapely
from affine import Affine
from numpy.typing import NDArray
from rasterio.control import GroundControlPoint
from skimage.measure import label as connected

import geounet
from geounet.errors import ConfigError, MissingExtraError, SceneError
from geounet.model.spec import Head, LabelClass
from geounet.run.vectorize import vectorize

UTM = Affine(10, 0, 500000, 0, -10, 5500000)
HEAD = Head(
    name="cover",
    kind="classes",
    classes=tuple(LabelClass(value=i, name=n, color="#112233") for i, n in enumerate(("bare", "tree", "lake"))),
)
ROAD = Head(
    name="road",
    kind="mask",
    classes=(LabelClass(value=0, name="else", color="#000000"), LabelClass(value=1, name="road", color="#ffffff")),
)


def patches(height: int = 60, width: int = 50, seed: int = 1) -> NDArray[np.uint8]:
    rng = np.random.default_rng(seed)
    z = np.cumsum(np.cumsum(rng.standard_normal((height + 5, width + 5)), 0), 1)
    z = z[5:, 5:] - z[:-5, 5:] - z[5:, :-5] + z[:-5, :-5]
    return np.digitize(z, np.quantile(z, [0.3, 0.65])).astype(np.uint8)


def raster(path: Path, data: NDArray[Any], **options: Any) -> Path:
    profile = {"crs": "EPSG:32633", "transform": UTM, "nodata": 255} | options
    tags = profile.pop("tags", {})
    with rasterio.open(
        path,
        "w",
        driver="GTiff",
        height=data.shape[0],
        width=data.shape[1],
        count=1,
        dtype=data.dtype,
        **{k: v for k, v in profile.items() if v is not None},
    ) as file:
        file.write(data, 1)
        file.update_tags(**tags)
    return path


def test_attributes_and_result(tmp_path: Path) -> None:
    labels = patches()
    labels[:9, :9] = 255
    confidence = np.where(labels == 255, 255, 200).astype(np.uint8)
    seen: list[tuple[int, int]] = []
    result = vectorize(
        raster(tmp_path / "cover.tif", labels),
        head=HEAD,
        confidence=raster(tmp_path / "confidence.tif", confidence),
        block_rows=7,
        progress=lambda done, total: seen.append((done, total)),
    )
    assert result.paths == (tmp_path / "cover.geojson",)
    frame = geopandas.read_file(result.paths[0])
    assert len(frame) == result.feature_count
    assert frame["id"].tolist() == list(range(1, len(frame) + 1))
    assert dict(zip(frame["class"], frame["name"], strict=True)) == {0: "bare", 1: "tree", 2: "lake"}
    assert set(frame["confidence_mean"]) == {0.8}
    assert sum(result.area_by_class.values()) == pytest.approx((labels != 255).sum() * 100, rel=2e-3)
    assert frame.groupby("class").area_m2.sum().to_dict() == pytest.approx(dict(result.area_by_class))
    assert seen[-1] == (60, 60)
    assert not result.warnings


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"min_area": 700.0},
        {"simplify": 12.0},
        {"min_area": 700.0, "simplify": 12.0, "smooth": True},
        {"min_hole": 5000.0, "stats": "heights.tif", "aoi": "aoi.gpkg", "smooth": True},
    ],
)
def test_same_bytes_whatever_the_strips(options: dict[str, Any], tmp_path: Path) -> None:
    path = raster(tmp_path / "a.tif", patches())
    sure = raster(tmp_path / "sure.tif", np.random.default_rng(3).integers(0, 251, (60, 50), np.uint8))
    raster(tmp_path / "heights.tif", np.random.default_rng(4).normal(size=(60, 50)), nodata=None)
    circle = shapely.Point(500250, 5499700).buffer(190)
    geopandas.GeoDataFrame(geometry=[circle], crs="EPSG:32633").to_file(tmp_path / "aoi.gpkg")
    options = {k: tmp_path / v if isinstance(v, str) else v for k, v in options.items()}
    cleaned = tmp_path / "c.tif"
    found = set()
    for rows in (1, 7, 16, 60, 1000):
        result = vectorize(
            path, output=tmp_path / "o.geojson", overwrite=True, block_rows=rows, confidence=sure, cleaned=cleaned,
            **options,
        )  # fmt: skip
        found.add((result.paths[0].read_bytes(), cleaned.read_bytes()))
    assert len(found) == 1


def burnt(path: Path, like: Path, *, fill: int) -> NDArray[np.uint8]:
    """The polygons of a file, burnt into the grid of a raster."""
    frame = geopandas.read_file(path)
    with rasterio.open(like) as file:
        pairs = zip(frame.geometry, frame["class"], strict=True)
        return np.asarray(
            rasterio.features.rasterize(
                pairs, out_shape=file.shape, transform=file.transform, fill=fill, dtype="uint8"
            )
        )


@pytest.mark.parametrize("sizes", [{"min_area": 900.0}, {"min_hole": 4000.0}, {"min_area": 600.0, "min_hole": 9e3}])
def test_the_cleaned_raster_is_what_the_polygons_show(sizes: dict[str, float], tmp_path: Path) -> None:
    labels = patches()
    labels[20:30, 5:40] = 255
    path = raster(tmp_path / "a.tif", labels, tags={"CLASS_0": "sea #112233"})
    vectorize(path, output=tmp_path / "o.gpkg", formats=["gpkg"], cleaned=tmp_path / "c.tif", **sizes)
    with rasterio.open(tmp_path / "c.tif") as file:
        cleaned = file.read(1)
        assert file.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
        assert (file.nodata, file.crs, file.transform) == (255, "EPSG:32633", UTM)
        assert file.tags()["CLASS_0"] == "sea #112233"
    assert np.array_equal(cleaned, burnt(tmp_path / "o.gpkg", path, fill=255))
    assert np.array_equal(cleaned == 255, labels == 255)
    assert (cleaned != labels).any()


@pytest.mark.parametrize("dtype", ["uint8", "int16"])
def test_a_cleaned_mask_keeps_what_is_no_mark(dtype: str, tmp_path: Path) -> None:
    labels = (patches() == 1).astype(dtype)
    labels[:, :4] = 255
    path = raster(tmp_path / "a.tif", labels)
    sizes = {"min_area": 600.0, "min_hole": 3000.0}
    vectorize(path, output=tmp_path / "o.gpkg", formats=["gpkg"], head=ROAD, cleaned=tmp_path / "c.tif", **sizes)
    with rasterio.open(tmp_path / "c.tif") as file:
        cleaned = file.read(1)
    assert cleaned.dtype == dtype
    assert set(np.unique(cleaned)) == {0, 1, 255}
    assert np.array_equal(cleaned == 255, labels == 255)
    assert np.array_equal(cleaned == 1, burnt(tmp_path / "o.gpkg", path, fill=0) == 1)
    frame = geopandas.read_file(tmp_path / "o.gpkg")
    assert 0 < frame.touches_edge.sum() < len(frame)


def test_statistics_of_another_raster(tmp_path: Path) -> None:
    labels = patches()
    path = raster(tmp_path / "a.tif", labels)
    rng = np.random.default_rng(1)
    bands = rng.integers(-500, 500, (2, 60, 50)).astype(np.int16)
    bands[:, 10:20, 10:30] = -999
    profile = {"crs": "EPSG:32633", "transform": UTM, "nodata": -999, "width": 50, "height": 60}
    with rasterio.open(tmp_path / "s.tif", "w", driver="GTiff", count=2, dtype="int16", **profile) as file:
        file.write(bands)
        file.set_band_description(1, "Height (m)")
    vectorize(path, output=tmp_path / "o.gpkg", formats=["gpkg"], stats=tmp_path / "s.tif")
    frame = geopandas.read_file(tmp_path / "o.gpkg")
    assert list(frame.columns[6:-1]) == [f"{b}_{s}" for b in ("height_m", "b2") for s in ("mean", "min", "max")]
    for row in frame.itertuples():
        own = rasterio.features.geometry_mask([row.geometry], labels.shape, UTM, invert=True)
        for band, name in zip(bands, ("height_m", "b2"), strict=True):
            values = band[own & (band != -999)]
            if not values.size:
                assert np.isnan(getattr(row, f"{name}_mean"))
                continue
            assert getattr(row, f"{name}_mean") == pytest.approx(values.mean(), rel=1e-6)
            assert getattr(row, f"{name}_min") == values.min()
            assert getattr(row, f"{name}_max") == values.max()
    other = raster(tmp_path / "other.tif", patches(), transform=UTM @ Affine.translation(1, 0))
    with pytest.raises(SceneError, match="another grid than"):
        vectorize(path, stats=other)


def test_confidence_and_area_of_what_is_inside_of_an_area_of_interest(tmp_path: Path) -> None:
    labels = np.zeros((60, 50), np.uint8)
    labels[30:] = 1
    sure = np.repeat(np.arange(50, dtype=np.uint8)[None] * 5, 60, axis=0)
    area = shapely.box(500100, 5499500, 500200, 5499800)  # columns 10 to 19, rows 20 to 49
    geopandas.GeoDataFrame(geometry=[area], crs="EPSG:32633").to_file(tmp_path / "aoi.gpkg")
    path = raster(tmp_path / "a.tif", labels)
    options = {"confidence": raster(tmp_path / "c.tif", sure), "aoi": tmp_path / "aoi.gpkg"}
    vectorize(path, output=tmp_path / "o.gpkg", formats=["gpkg"], **options)
    frame = geopandas.read_file(tmp_path / "o.gpkg")
    assert frame.confidence_mean.tolist() == [round(14.5 / 50, 4)] * 2
    assert frame.area_m2.tolist() == pytest.approx([1e4, 2e4], rel=1e-3)
    assert frame.perimeter_m.tolist() == pytest.approx([400, 600], rel=1e-3)


def test_a_confidence_without_data_is_unknown_and_one_of_another_meaning_is_refused(tmp_path: Path) -> None:
    path = raster(tmp_path / "a.tif", np.zeros((20, 10), np.uint8))
    half = np.full((20, 10), 200, np.uint8)
    half[:, :5] = 0
    frame = geounet.vectorize(path, confidence=raster(tmp_path / "none.tif", half, nodata=0))
    assert frame.confidence_mean.tolist() == [0.8]
    beside = raster(tmp_path / "c.tif", half)
    assert geounet.vectorize(path, confidence=beside).confidence_mean.tolist() == [0.4]
    for scale, right in ((1 / 250, True), (1 / 255, False)):
        with rasterio.open(beside, "r+") as file:
            file.scales = (scale,)
        if right:
            assert geounet.vectorize(path, confidence=beside).confidence_mean.tolist() == [0.4]
    with pytest.raises(SceneError, match=r"c.tif has a scale of 0.0039\d+ and an offset of 0; expected 1/250"):
        geounet.vectorize(path, confidence=beside)
    half[3, 7] = 254
    with pytest.raises(SceneError, match=r"odd.tif holds 254; expected 0 to 250"):
        geounet.vectorize(path, confidence=raster(tmp_path / "odd.tif", half))


@pytest.mark.parametrize("threshold", ["0.6", "0.7:0.4", "0.52:0.3"])
def test_a_mask_at_another_threshold(threshold: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    p = patches().astype(float) / 4 + rng.random((60, 50)) / 2
    p[5:9, 7:30] = np.nan
    strong, weak = (float(t) for t in (threshold.split(":") * 2)[:2])
    parts = connected(p >= weak, connectivity=1)
    kept = np.unique(parts[p >= strong])
    expected = np.isin(parts, kept[kept > 0])
    for dtype in ("float32", "float64"):
        source = raster(tmp_path / "p.tif", p.astype(dtype), nodata=None)
        vectorize(source, output=tmp_path / "o.gpkg", formats=["gpkg"], threshold=threshold, overwrite=True)
        assert np.array_equal(burnt(tmp_path / "o.gpkg", source, fill=0) == 1, expected)
    mask = np.where(np.isnan(p), 255, p >= 0.5).astype(np.uint8)
    sure = np.where(np.isnan(p), 255, np.rint(np.maximum(p, 1 - p) * 250)).astype(np.uint8)
    path, beside = raster(tmp_path / "m.tif", mask), raster(tmp_path / "c.tif", sure)
    vectorize(path, output=tmp_path / "m.gpkg", formats=["gpkg"], threshold=threshold, confidence=beside)
    frame = geopandas.read_file(tmp_path / "m.gpkg")
    found = burnt(tmp_path / "m.gpkg", path, fill=0) == 1
    assert (found != expected).mean() < 0.02  # bytes are steps of 1/250
    assert frame.confidence_mean.min() >= weak - 0.002
    assert sorted(x.name for x in tmp_path.iterdir() if x.suffix != ".tif") == ["m.gpkg", "o.gpkg"]


@pytest.mark.parametrize(
    ("dtype", "full", "offset"), [("uint8", 255, 0), ("uint8", 100, 0), ("uint16", 10000, 0), ("int16", 1000, 0.5)]
)
def test_probabilities_as_numbers_with_a_scale(dtype: str, full: int, offset: float, tmp_path: Path) -> None:
    p = np.arange(1, 3001).reshape(60, 50) / 3000
    stored = np.rint((p - offset) * full).astype(dtype)
    source = raster(tmp_path / "p.tif", stored, nodata=None)
    with rasterio.open(source, "r+") as file:
        file.scales, file.offsets = [round(1 / full, 9)], [offset]
    vectorize(source, output=tmp_path / "o.gpkg", formats=["gpkg"], threshold="0.6")
    expected = stored / full + offset >= 0.6 - 1e-6
    assert np.array_equal(burnt(tmp_path / "o.gpkg", source, fill=0) == 1, expected)
    with rasterio.open(source, "r+") as file:
        file.scales = [2 / full]
    with pytest.raises(SceneError, match=r"with its scale of .*expected probabilities from 0 to 1"):
        vectorize(source, threshold="0.6")


@pytest.mark.skipif(shutil.which("gdal_translate") is None, reason="GDAL's own programs are not installed")
def test_the_refusal_of_bytes_names_a_command_that_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    stored = np.arange(3000).reshape(60, 50).astype(np.uint8)
    raster(tmp_path / "p.tif", stored, nodata=255)
    with pytest.raises(SceneError) as refused:
        vectorize("p.tif", threshold="0.6")
    subprocess.run(str(refused.value).partition("with: ")[2].split(), check=True, capture_output=True)
    vectorize("scaled.tif", output="o.gpkg", formats=["gpkg"], threshold="0.6")
    assert np.array_equal(burnt(tmp_path / "o.gpkg", tmp_path / "p.tif", fill=0), (stored >= 153) & (stored < 255))


def test_confidences_of_a_run_are_no_probabilities_of_marks(tmp_path: Path) -> None:
    source = raster(tmp_path / "road_confidence.tif", np.full((60, 50), 240, np.uint8), nodata=255)
    with rasterio.open(source, "r+") as file:
        file.scales, file.descriptions = [1 / 250], ["road confidence"]
        file.update_tags(GEOUNET_MODEL="m 1")
    with pytest.raises(SceneError, match=r"how sure the labels are.*give the mask, and --confidence"):
        vectorize(source, threshold="0.6")


def test_the_own_threshold_gives_the_labels_back(tmp_path: Path) -> None:
    p = np.random.default_rng(5).integers(480, 521, (60, 50)) / 1000  # near the threshold, where bytes are rounded
    mask = raster(tmp_path / "m.tif", (p >= 0.5).astype(np.uint8))
    sure = raster(tmp_path / "c.tif", np.rint(np.maximum(p, 1 - p) * 250).astype(np.uint8))
    vectorize(mask, output=tmp_path / "o.gpkg", formats=["gpkg"], confidence=sure, threshold="0.5", head=ROAD)
    assert np.array_equal(burnt(tmp_path / "o.gpkg", mask, fill=0) == 1, p >= 0.5)


def test_rasterizing_gives_the_labels_back(tmp_path: Path) -> None:
    labels = patches()
    labels[20:30, 5:40] = 255
    vectorize(raster(tmp_path / "a.tif", labels), output=tmp_path / "a.gpkg", formats=["gpkg"])
    frame = geopandas.read_file(tmp_path / "a.gpkg")
    pairs = zip(frame.geometry, frame["class"], strict=True)
    burnt = rasterio.features.rasterize(pairs, out_shape=labels.shape, transform=UTM, fill=255, dtype="uint8")
    assert np.array_equal(burnt, labels)


def test_every_format_has_the_same_features(tmp_path: Path) -> None:
    path = raster(tmp_path / "a.tif", patches())
    result = vectorize(path, output=tmp_path / "out", formats=["geojson", "geojsonseq", "gpkg", "fgb"])
    assert [p.suffix for p in result.paths] == [".geojson", ".geojsonl", ".gpkg", ".fgb"]
    first = geopandas.read_file(result.paths[0])
    for file in result.paths[1:]:
        other = geopandas.read_file(file).sort_values("id", ignore_index=True)
        for column in ("id", "class", "name", "area_m2"):
            assert other[column].tolist() == first[column].tolist(), file
        degrees = other.to_crs(4326).geometry
        assert degrees.hausdorff_distance(first.geometry).max() < 2e-7


def test_a_geopackage_carries_its_style(tmp_path: Path) -> None:
    path = raster(tmp_path / "a.tif", patches())
    vectorize(path, output=tmp_path / "o.gpkg", formats=["gpkg"], head=HEAD)
    styles = geopandas.read_file(tmp_path / "o.gpkg", layer="layer_styles")
    assert styles["f_table_name"].tolist() == ["cover"]
    assert styles["useAsDefault"].tolist() == [True]
    assert all(c.name in styles["styleQML"][0] for c in HEAD.classes)
    assert len(geopandas.read_file(tmp_path / "o.gpkg", layer="cover")) > 0


def test_simplified_is_still_a_coverage(tmp_path: Path) -> None:
    path = raster(tmp_path / "a.tif", patches(200, 200))
    vectorize(path, output=tmp_path / "o.gpkg", formats=["gpkg"], simplify=15)
    vectorize(path, output=tmp_path / "p.gpkg", formats=["gpkg"])
    shapes = geopandas.read_file(tmp_path / "o.gpkg").geometry.to_numpy()
    plain = geopandas.read_file(tmp_path / "p.gpkg").geometry.to_numpy()
    assert shapely.is_valid(shapes).all()
    assert shapely.coverage_is_valid(np.concatenate([shapely.get_parts(s) for s in shapes]))
    assert shapely.get_num_coordinates(shapes).sum() < 0.7 * shapely.get_num_coordinates(plain).sum()
    union = shapely.union_all(shapes)
    assert abs(shapely.area(shapes).sum() - union.area) < 1e-6 * union.area


def test_small_parts_are_absorbed(tmp_path: Path) -> None:
    labels = patches()
    path = raster(tmp_path / "a.tif", labels)
    result = vectorize(path, output=tmp_path / "o.gpkg", formats=["gpkg"], min_area=900)
    frame = geopandas.read_file(tmp_path / "o.gpkg")
    assert frame.geometry.area.min() >= 900
    assert frame.geometry.area.sum() == labels.size * 100
    assert result.feature_count < vectorize(path).feature_count


def test_min_area_is_metres_in_degrees_too(tmp_path: Path) -> None:
    labels = np.zeros((60, 40), np.uint8)
    labels[5, 5:7] = 1  # at 60° north a pixel of 0.01° has half the area of one at the equator
    labels[55, 5:7] = 1
    box = {"crs": "EPSG:4326", "transform": Affine(1, 0, 0, 0, -1, 60)}
    frame = vectorize(raster(tmp_path / "a.tif", labels, **box), min_area=1.8e10, output=tmp_path / "o.geojson")
    assert frame.feature_count == 2
    assert frame.area_by_class[1] == pytest.approx(2 * 12305e6, rel=0.01)


def test_of_a_mask_only_the_marks_become_polygons(tmp_path: Path) -> None:
    labels = (patches() == 1).astype(np.uint8)
    labels[0, :5] = 255
    path = raster(tmp_path / "a.tif", labels)
    result = vectorize(path, head=ROAD)
    assert set(result.area_by_class) == {1}
    assert vectorize(path, head=ROAD, min_area=900, overwrite=True).feature_count < result.feature_count


def test_area_of_interest_cuts_exactly(tmp_path: Path) -> None:
    labels = patches()
    area = shapely.box(500101, 5499600, 500333, 5499901).buffer(37)
    geopandas.GeoDataFrame(geometry=[area], crs="EPSG:32633").to_crs(3857).to_file(tmp_path / "aoi.gpkg")
    path = raster(tmp_path / "a.tif", labels)
    result = vectorize(path, output=tmp_path / "o.gpkg", formats=["gpkg"], aoi=tmp_path / "aoi.gpkg")
    frame = geopandas.read_file(tmp_path / "o.gpkg")
    union = shapely.union_all(frame.geometry.to_numpy())
    assert union.symmetric_difference(area).area < 1e-6 * area.area
    assert frame["id"].tolist() == list(range(1, result.feature_count + 1))
    far = geopandas.GeoDataFrame(geometry=[shapely.box(0, 0, 1, 1)], crs="EPSG:32633")
    far.to_file(tmp_path / "far.gpkg")
    with pytest.raises(ConfigError, match="outside the scene"):
        vectorize(path, output=tmp_path / "p.geojson", aoi=tmp_path / "far.gpkg")


@pytest.mark.parametrize("dtype", ["uint8", "int8", "int16", "uint16", "int32", "uint32"])
def test_whole_numbers_of_any_size(dtype: str, tmp_path: Path) -> None:
    limits = np.iinfo(dtype)
    labels = np.array([[limits.min + 1, 3, 3], [limits.max, 3, 7]], dtype)
    result = vectorize(raster(tmp_path / "a.tif", labels, nodata=7))
    assert set(result.area_by_class) == {int(limits.min) + 1, 3, int(limits.max)}
    assert result.feature_count == 3


def test_names_from_the_file(tmp_path: Path) -> None:
    labels = np.array([[0, 1], [2, 2]], np.uint8)
    tagged = raster(tmp_path / "a.tif", labels, tags={"CLASS_0": "open water #3f88c5", "CLASS_1": "wood"})
    names = [f["properties"]["name"] for f in json.loads(vectorize(tagged).paths[0].read_text())["features"]]
    assert names == ["open water", "wood", "2"]
    beside = raster(tmp_path / "b.tif", labels)
    (tmp_path / "b.tif.aux.xml").write_text(
        '<PAMDataset><PAMRasterBand band="1"><CategoryNames><Category>sea &amp; lake</Category>'
        "<Category>wood</Category></CategoryNames></PAMRasterBand></PAMDataset>"
    )
    names = [f["properties"]["name"] for f in json.loads(vectorize(beside).paths[0].read_text())["features"]]
    assert names == ["sea & lake", "wood", "2"]


def test_no_crs_gives_pixels_and_says_so(tmp_path: Path) -> None:
    labels = np.array([[0, 0, 1]], np.uint8)
    result = vectorize(raster(tmp_path / "a.tif", labels, crs=None))
    features = json.loads(result.paths[0].read_text())["features"]
    assert shapely.geometry.shape(features[0]["geometry"]).bounds == (0, 0, 2, 1)
    assert features[0]["properties"]["area_m2"] == 2
    assert len(result.warnings) == 1
    assert "pixels" in result.warnings[0]


def test_all_nodata_is_an_empty_layer(tmp_path: Path) -> None:
    path = raster(tmp_path / "a.tif", np.full((5, 5), 255, np.uint8))
    result = vectorize(path, formats=["geojson", "gpkg", "fgb"], min_area=10, simplify=3)
    assert result.feature_count == 0
    for file in result.paths:
        assert len(geopandas.read_file(file)) == 0


def test_requests_that_cannot_work(tmp_path: Path) -> None:
    path = raster(tmp_path / "a.tif", patches())
    vectorize(path)
    cases: list[tuple[type[Exception], str, dict[str, Any]]] = [
        (ConfigError, "there already", {}),
        (ConfigError, "did you mean geojson", {"formats": ["geojsn"]}),
        (ConfigError, "at least 0", {"min_area": -1.0}),
        (ConfigError, "at least 0", {"simplify": float("nan")}),
        (ConfigError, "at least 0", {"min_hole": -2.0}),
        (ConfigError, "expected a probability", {"threshold": "0.3:0.5"}),
        (ConfigError, "expected a probability", {"threshold": "half"}),
        (SceneError, "not probabilities", {"threshold": "0.5", "overwrite": True}),
        (SceneError, "is no mask", {"threshold": "0.5", "overwrite": True, "confidence": path}),
        (ConfigError, "ends in .tif", {"cleaned": tmp_path / "c.png", "overwrite": True}),
        (ConfigError, "file itself", {"cleaned": path, "overwrite": True}),
        (ConfigError, "is not there", {"output": tmp_path / "none" / "a.geojson"}),
        (
            SceneError,
            "expected uint8, 50 x 60",
            {"confidence": raster(tmp_path / "c.tif", patches(9, 9)), "overwrite": True},
        ),
    ]
    for kind, message, options in cases:
        with pytest.raises(kind, match=message):
            vectorize(path, **options)
    with pytest.raises(SceneError, match=r"whole numbers.*gdal_translate"):
        vectorize(raster(tmp_path / "f.tif", np.zeros((3, 3), np.float32), nodata=None))
    with pytest.raises(SceneError, match=r"int64 pixels.*convert it to int32"):
        vectorize(raster(tmp_path / "i.tif", np.zeros((3, 3), np.int64), nodata=None))
    with pytest.raises(ConfigError, match="is a folder; expected the name of a file"):
        vectorize(path, output=tmp_path)
    with pytest.raises(SceneError, match="is a folder"):
        vectorize(Path("."))  # noqa: PTH201  without a name of its own
    with pytest.raises(ConfigError, match="add --lines"):
        vectorize(path, overwrite=True, bridge=5.0)
    with pytest.raises(ConfigError, match="add --lines"):
        vectorize(path, overwrite=True, spur=0.0)


@pytest.mark.parametrize(
    ("transform", "crs", "message"),
    [
        ((float("nan"), 0, 0, 0, -1, 0), "EPSG:32633", "to a line or a point"),
        ((10, 0, 0, 0, 0, 0), "EPSG:32633", "to a line or a point"),
        ((1, 0, 10, 0, -1, 300), "EPSG:4326", "no place on the globe"),
    ],
)
def test_a_raster_that_lies_nowhere_is_refused(
    transform: tuple[float, ...], crs: str, message: str, tmp_path: Path
) -> None:
    path = raster(tmp_path / "a.tif", patches(), transform=Affine(*transform), crs=crs)
    with pytest.raises(SceneError, match=message):
        vectorize(path)
    assert [p.name for p in tmp_path.iterdir()] == ["a.tif"]


def test_control_points_are_to_be_warped_first(tmp_path: Path) -> None:
    path = raster(tmp_path / "a.tif", patches(), transform=None, crs=None)
    points = [GroundControlPoint(r, c, 10 + c, 50 - r) for r, c in ((0, 0), (0, 9), (9, 0))]
    with rasterio.open(path, "r+") as file:
        file.gcps = points, "EPSG:4326"
    with pytest.raises(SceneError, match="gdalwarp -tps -r near"):
        vectorize(path)


def test_a_confidence_of_another_place_is_refused(tmp_path: Path) -> None:
    labels = raster(tmp_path / "a.tif", patches())
    sure = np.full((60, 50), 200, np.uint8)
    moved = raster(tmp_path / "c.tif", sure, transform=UTM @ Affine.translation(1, 0))
    mask = raster(tmp_path / "m.tif", (patches() == 1).astype(np.uint8))
    with pytest.raises(SceneError, match="lies elsewhere"):
        vectorize(labels, confidence=moved)
    with pytest.raises(SceneError, match="on one grid"):
        vectorize(mask, confidence=moved, threshold=0.6)


def test_parquet_without_pyarrow_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("geounet.io.vectors.find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"geounet\[parquet\]"):
        vectorize(raster(tmp_path / "a.tif", patches()), formats=["parquet"])


def test_parquet_holds_the_features_of_flatgeobuf(tmp_path: Path) -> None:
    path = raster(tmp_path / "a.tif", patches())
    result = vectorize(path, output=tmp_path / "a", formats=["parquet", "fgb"])
    parquet, fgb = geopandas.read_parquet(result.paths[0]), geopandas.read_file(result.paths[1])
    assert len(parquet) == len(fgb) == result.feature_count > 1
    fgb = fgb.sort_values("id").reset_index(drop=True)  # FlatGeobuf orders by its index
    assert parquet.crs == fgb.crs
    assert parquet.geometry.geom_equals_exact(fgb.geometry, 0).all()
    assert (parquet["class"] == fgb["class"]).all()


def test_a_failure_leaves_nothing_behind(tmp_path: Path) -> None:
    path = raster(tmp_path / "a.tif", patches())

    def stop(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        vectorize(path, progress=stop, block_rows=5)
    assert [p.name for p in tmp_path.iterdir()] == ["a.tif"]


def test_no_input_is_replaced_by_its_own_polygons(tmp_path: Path) -> None:
    labels = raster(tmp_path / "labels.tif", patches())
    sure = raster(tmp_path / "sure.tif", np.full((60, 50), 200, np.uint8))
    (tmp_path / "link.geojson").symlink_to(labels)
    before = labels.read_bytes(), sure.read_bytes()
    for output in (labels, sure, tmp_path / "link.geojson", tmp_path / "x" / ".." / "labels.tif"):
        (tmp_path / "x").mkdir(exist_ok=True)
        with pytest.raises(ConfigError, match="itself; name another output"):
            vectorize(labels, output=output, confidence=sure, overwrite=True)
    assert (labels.read_bytes(), sure.read_bytes()) == before


def test_a_suffix_that_contradicts_the_only_format_is_refused(tmp_path: Path) -> None:
    labels = raster(tmp_path / "labels.tif", patches())
    with pytest.raises(ConfigError, match="the format is geojson: give --format gpkg"):
        vectorize(labels, output=tmp_path / "out.gpkg")
    with pytest.raises(ConfigError, match="the format is geojson: give --format shp"):
        vectorize(labels, output=tmp_path / "out.shp")
    assert vectorize(labels, output=tmp_path / "out.shp", formats=("shp",)).paths[0].exists()
    assert vectorize(labels, output=tmp_path / "out.GPKG", formats=("gpkg",)).paths[0].exists()
    assert vectorize(labels, output=tmp_path / "out.anything").paths == (tmp_path / "out.anything",)


@pytest.mark.parametrize("name", ["out.dxf", "out.KML", "out.csv"])
def test_geojson_is_not_written_under_the_name_of_another_format(name: str, tmp_path: Path) -> None:
    labels = raster(tmp_path / "labels.tif", patches())
    with pytest.raises(ConfigError, match=r"which geounet does not write; expected \.geojson"):
        vectorize(labels, output=tmp_path / name)
    assert not (tmp_path / name).exists()


def test_a_frame_from_a_path_or_an_array(tmp_path: Path) -> None:
    labels = patches()
    path = raster(tmp_path / "a.tif", labels)
    vectorize(path, output=tmp_path / "o.gpkg", formats=["gpkg"])
    expected = geopandas.read_file(tmp_path / "o.gpkg")
    for frame in (
        geounet.vectorize(path),
        geounet.vectorize(labels, transform=UTM, crs="EPSG:32633", nodata=255),
        geounet.vectorize(labels.astype(np.int64), transform=UTM, crs="EPSG:32633"),
    ):
        assert isinstance(frame, geopandas.GeoDataFrame)
        assert set(frame.geom_type) == {"Polygon"}
        assert frame.crs == "EPSG:32633"
        assert frame.drop(columns="geometry").equals(expected.drop(columns="geometry"))
        assert shapely.equals(frame.geometry.to_numpy(), expected.geometry.to_numpy()).all()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.tif", "o.gpkg"]
    assert geounet.vectorize(labels == 1, nodata=0).crs is None
    assert len(geounet.vectorize(np.full((3, 4), 255, np.uint8), nodata=255)) == 0
    result = geounet.vectorize(labels, output=tmp_path / "x.geojson")
    assert isinstance(result, geounet.VectorResult)
    with pytest.raises(SceneError, match="expected \\(height, width\\)"):
        geounet.vectorize(np.zeros((2, 3, 4), np.uint8))
    with pytest.raises(ConfigError, match="belong to an array"):
        geounet.vectorize(path, nodata=3)


def test_an_array_has_a_transform_and_a_crs_or_neither() -> None:
    with pytest.raises(ConfigError, match="transform without crs"):
        geounet.vectorize(patches(), transform=UTM)
    with pytest.raises(ConfigError, match="crs without transform"):
        geounet.vectorize(patches(), crs="EPSG:32633")


@pytest.mark.parametrize(
    ("transform", "says"),
    [
        (UTM.to_gdal(), "in GDAL's order"),
        (Affine(0, 0, 5, 0, 0, 5), "to a line or a point"),
        (Affine(np.nan, 0, 5, 0, -1, 5), "to a line or a point"),
        (Affine.identity(), "is the identity"),
        ((1, 2), "no affine"),
        (3, "no affine"),
    ],
)
def test_a_transform_that_cannot_be_meant_is_one_line(transform: Any, says: str) -> None:
    with pytest.raises(ConfigError, match=says) as caught:
        geounet.vectorize(patches(), transform=transform, crs="EPSG:32633")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "transform", [Affine(500_000, 10, 0, 5_000_000, 0, -10), Affine(4e6, 0, 500_000, 0, -4e6, 5_000_000)]
)
def test_a_file_with_pixels_beyond_all_measure_is_refused_before_its_edges_are_cut(
    tmp_path: Path, transform: Affine
) -> None:
    path = raster(tmp_path / "a.tif", patches(), transform=transform)
    with pytest.raises(SceneError, match=r"a.tif has pixels of .* geotransform is wrong"):
        geounet.vectorize(path)


def test_arrays_of_other_types_serve_or_are_refused_as_arrays() -> None:
    expected = geounet.vectorize(patches().astype(np.int16))
    for dtype in (">i2", ">i4", ">i8", ">u2"):
        found = geounet.vectorize(patches().astype(dtype))
        assert shapely.equals(found.geometry.to_numpy(), expected.geometry.to_numpy()).all()
        assert found["class"].tolist() == expected["class"].tolist()
    assert len(geounet.vectorize(patches().astype(">f4") / 2, threshold="0.5"))
    with pytest.raises(SceneError, match=r"^an array of float64; expected whole numbers .*astype"):
        geounet.vectorize(patches().astype(float))
    with pytest.raises(SceneError, match=r"^an array of float16; expected float32"):
        geounet.vectorize(patches().astype(np.float16), threshold="0.5")


@pytest.mark.parametrize("dtype", ["uint8", "int16", "int64", "bool"])
def test_what_is_masked_is_no_data(dtype: str) -> None:
    labels = patches().astype(dtype)
    hidden = patches(seed=2) == 1
    place = {"transform": UTM, "crs": "EPSG:32633"}
    frame = geounet.vectorize(np.ma.masked_array(labels, hidden), **place)
    expected = geounet.vectorize(np.where(hidden, 99, labels.astype(np.int16)), nodata=99, **place)
    assert isinstance(frame, geopandas.GeoDataFrame)
    assert isinstance(expected, geopandas.GeoDataFrame)
    assert shapely.equals(frame.geometry.to_numpy(), expected.geometry.to_numpy()).all()
    assert frame["class"].equals(expected["class"])
    full = np.ma.masked_array(np.arange(256, dtype=np.uint8).reshape(16, 16), np.zeros((16, 16), bool))
    assert len(geounet.vectorize(full)) == 256
    used = np.ma.masked_array(np.arange(257).reshape(1, 257).astype(np.uint8), np.arange(257) == 256)
    with pytest.raises(SceneError, match="uses every value"):
        geounet.vectorize(used)


def test_the_suffix_says_the_format_from_python_too(tmp_path: Path) -> None:
    for name, driver in (("a.gpkg", "GPKG"), ("a.fgb", "FlatGeobuf"), ("A.GEOJSON", "GeoJSON")):
        geounet.vectorize(patches(), output=tmp_path / name)
        assert pyogrio.read_info(tmp_path / name)["driver"] == driver
    result = geounet.vectorize(patches(), output=tmp_path / "b", formats="fgb,gpkg")
    assert isinstance(result, geounet.VectorResult)
    assert [p.name for p in result.paths] == ["b.fgb", "b.gpkg"]
