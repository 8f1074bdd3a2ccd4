"""`--regularize`: a layer of squared outlines beside polygons that stay as they are."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

import geopandas
import numpy as np
import pyogrio
import pytest
import shapely
from affine import Affine
from rasterio.features import rasterize
from shapely import affinity

from geounet.errors import ConfigError
from geounet.model.spec import Head, LabelClass
from geounet.run.squared_classes import classes_to_square, squared_by_head
from geounet.run.vectorize import vectorize
from geounet.sample.write import write_sample
from geounet.vector.regularize import intersection_over_union
from tests.run.test_formats import FORMATS, NAMES, read
from tests.run.test_vectorize import ROAD, raster

TAGS = {"CLASS_0": "land #112233", "CLASS_1": "house #ff0000", "CLASS_2": "hall, large #00ff00"}


def squares(path: Path) -> geopandas.GeoDataFrame:
    """The squared outlines of a file: of a GeoPackage the layer beside the polygons."""
    return read(path, layer=f"{path.stem}_regularized" if path.suffix == ".gpkg" else None)


def village(path: Path, **options: object) -> Path:
    """Turned houses of 1, a hall of 2, and a triangle of 1 that has no right angle."""
    labels = np.zeros((220, 260), np.uint8)
    for k, turn in enumerate((0, 10, 25, 45, 70)):
        house = affinity.rotate(shapely.box(20 + 45 * k, 20, 50 + 45 * k, 42), turn)
        labels[rasterize([house], out_shape=labels.shape).astype(bool)] = 1
    hall = affinity.rotate(shapely.box(60, 100, 190, 170) - shapely.box(90, 120, 150, 150), 15)
    labels[rasterize([hall], out_shape=labels.shape).astype(bool)] = 2
    labels[:3, :3] = 255
    return raster(path, labels, tags=TAGS, transform=Affine(0.5, 0, 500000, 0, -0.5, 5500000), **options)


def test_a_layer_of_its_own_in_every_format(tmp_path: Path) -> None:
    path = village(tmp_path / "a.tif")
    (tmp_path / "plain").mkdir()
    plain = vectorize(path, output=tmp_path / "plain" / "out", formats=FORMATS)
    result = vectorize(path, output=tmp_path / "out", formats=FORMATS, regularize=["house", 2], simplify=0.0)
    for one, other in zip(plain.paths, result.paths, strict=True):
        if one.suffix != ".gpkg":
            assert one.read_bytes() == other.read_bytes(), "the coverage is left as it is"
    assert [p.name for p in result.regularized_paths] == [
        f"out{'' if p.suffix == '.gpkg' else '_regularized'}{p.suffix}" for p in result.paths
    ]
    assert (result.regularized_count, result.squared_count) == (6, 6)
    frames = {p.suffix: squares(p).sort_values("id", ignore_index=True) for p in result.regularized_paths}
    whole, first = read(tmp_path / "out.gpkg", layer="out"), frames[".gpkg"]
    assert whole.equals(read(tmp_path / "plain" / "out.gpkg")), "here too"
    assert list(first.columns[:-1]) == [*NAMES[:-1], "regularized"]
    for suffix, frame in frames.items():
        assert frame.iloc[:, 0].tolist() == first.id.tolist(), suffix
        away = frame.to_crs(32633).geometry.hausdorff_distance(first.geometry).max()
        assert away < (0.02 if "geojson" in suffix else 1e-9), suffix
    beside = whole.set_index("id").loc[first.id]
    assert beside.name.tolist() == first.name.tolist()
    assert (intersection_over_union(beside.geometry.to_numpy(), first.geometry.to_numpy()) > 0.9).all()
    assert first.area_m2.to_numpy() == pytest.approx(first.geometry.area, rel=2e-3)
    assert shapely.get_num_interior_rings(first.geometry.explode().to_numpy()).sum() == 1, "the hall's courtyard"
    assert any("regularized is regularize" in w for w in result.warnings)


def test_what_the_coverage_loses_is_told_beside_squares_that_lose_nothing(tmp_path: Path) -> None:
    """The corners of a globe seen from afar show none of it; a house in the middle is somewhere."""
    labels = np.full((40, 40), 2, np.uint8)
    labels[15:25, 15:25], labels[5:35, 5:35][labels[5:35, 5:35] == 2] = 1, 0
    labels[:3, :3] = labels[-3:, -3:] = 3
    crs = "+proj=ortho +lat_0=20 +lon_0=10 +datum=WGS84"
    path = raster(tmp_path / "a.tif", labels, crs=crs, transform=Affine(3.4e5, 0, -6.8e6, 0, -3.4e5, 6.8e6))
    result = vectorize(path, output=tmp_path / "a.geojson", regularize=1)
    assert result.squared_count == 1
    assert [w for w in result.warnings if w.startswith("4 polygons beyond")]
    assert result.warnings == vectorize(path, output=tmp_path / "b.geojson").warnings


def test_geojson_winds_as_rfc_7946_says(tmp_path: Path) -> None:
    vectorize(village(tmp_path / "a.tif"), regularize="2")
    text = json.loads((tmp_path / "a_regularized.geojson").read_text())
    assert text["name"] == "a_regularized"
    shell, hole = (shapely.LinearRing(r) for r in text["features"][0]["geometry"]["coordinates"])
    assert shell.is_ccw
    assert not hole.is_ccw


@pytest.mark.parametrize("rows", [1, 7, 64])
def test_same_bytes_whatever_the_strips(rows: int, tmp_path: Path) -> None:
    options = {"regularize": "house", "simplify": 2.0, "formats": ["geojson", "fgb"]}
    path = village(tmp_path / "a.tif")
    for folder, step in (("whole", None), ("strips", rows)):
        (tmp_path / folder).mkdir()
        vectorize(path, output=tmp_path / folder / "a.geojson", block_rows=step, **options)
    for name in ("a_regularized.geojson", "a_regularized.fgb"):
        assert (tmp_path / "whole" / name).read_bytes() == (tmp_path / "strips" / name).read_bytes()


def test_styles_show_the_squared_classes(tmp_path: Path) -> None:
    vectorize(village(tmp_path / "a.tif"), output=tmp_path / "o", formats=["gpkg", "fgb"], regularize="house")
    styles = pyogrio.read_dataframe(tmp_path / "o.gpkg", layer="layer_styles").set_index("f_table_name").styleQML
    assert sorted(styles.index) == ["o", "o_regularized"]
    for qml in (styles["o_regularized"], (tmp_path / "o_regularized.qml").read_text()):
        assert [c.get("label") for c in ElementTree.fromstring(qml).iter("category")] == ["house"]
    assert (tmp_path / "o.qml").read_text().count("<category ") == 3


def test_an_area_of_interest_cuts_them_exactly(tmp_path: Path) -> None:
    path = village(tmp_path / "a.tif")
    area = shapely.box(500012, 5499930, 500050, 5499990)
    geopandas.GeoDataFrame(geometry=[area], crs="EPSG:32633").to_file(tmp_path / "aoi.gpkg")
    for name, aoi in (("all", None), ("some", tmp_path / "aoi.gpkg")):
        vectorize(path, output=tmp_path / f"{name}.gpkg", formats=["gpkg"], regularize="house,2", aoi=aoi)
    whole, some = (squares(tmp_path / f"{n}.gpkg").geometry.union_all() for n in ("all", "some"))
    assert whole.intersection(area).symmetric_difference(some).area < 1e-6
    frame, labels = squares(tmp_path / "some.gpkg"), read(tmp_path / "some.gpkg", layer="some").set_index("id")
    assert (labels.loc[frame.id, "class"].to_numpy() == frame["class"].to_numpy()).all()


def test_what_cannot_be_squared_stays_as_the_coverage_has_it(tmp_path: Path) -> None:
    noise = (np.random.default_rng(0).random((60, 60)) < 0.62).astype(np.uint8)
    path = raster(tmp_path / "a.tif", noise)
    result = vectorize(path, output=tmp_path / "a.gpkg", formats=["gpkg"], regularize=1, simplify=20)
    assert 0 < result.squared_count < result.regularized_count
    frame, whole = squares(tmp_path / "a.gpkg"), read(tmp_path / "a.gpkg", layer="a").set_index("id")
    left = frame[~frame.regularized]
    assert left.geometry.geom_equals_exact(whole.loc[left.id].geometry, 0, align=False).all()
    assert frame.is_valid.all()


def test_true_angles_in_degrees(tmp_path: Path) -> None:
    """Square on the ground at 60° north, where pixels of a degree are half as wide as high."""
    size = 1e-5
    truth = affinity.rotate(shapely.box(-30, -18, 30, 18), 30)  # metres
    east, north = 55800.0, 111412.0  # metres of a degree there
    house = shapely.transform(truth, lambda xy: xy / [east, north] + [10.0, 60.0])
    transform = Affine(size, 0, 9.999, 0, -size, 60.0006)
    labels = rasterize([house], out_shape=(120, 200), transform=transform).astype(np.uint8)
    path = raster(tmp_path / "a.tif", labels, crs="EPSG:4326", transform=transform)
    assert vectorize(path, output=tmp_path / "a.gpkg", formats=["gpkg"], regularize=1).squared_count == 1
    found = squares(tmp_path / "a.gpkg").to_crs(32632).geometry.explode().iloc[0]
    xy = shapely.get_coordinates(found)
    step = np.diff(np.vstack([xy, xy[1:2]]), axis=0)
    cosine = (step[1:] * step[:-1]).sum(1) / np.hypot(*step[1:].T) / np.hypot(*step[:-1].T)
    assert np.degrees(np.abs(np.arcsin(cosine))).max() < 0.01
    assert shapely.get_num_coordinates(found) == 5


def test_classes_by_name_and_value() -> None:
    names = {0: "land", 1: "house", 7: "1"}
    assert classes_to_square("house, 0", names) == (0, 1)
    assert classes_to_square("1", names) == (7,), "a name comes before a value"
    assert classes_to_square([3], {}) == (3,)
    for asked, known, strict in (("shed", names, False), ("9", names, True), ("shed", {}, False)):
        with pytest.raises(ConfigError, match=f"--regularize {asked}: expected names or values of classes"):
            classes_to_square(asked, known, strict=strict)
    with pytest.raises(ConfigError, match="parted by commas"):
        classes_to_square("house,,land", names)


def test_classes_of_a_model() -> None:
    classes = tuple(LabelClass(value=k, name=n, color="#112233") for k, n in enumerate(("building", "road")))
    heads = (Head(name="landuse", kind="classes", classes=classes), ROAD)
    assert squared_by_head(("building",), heads) == {"landuse": (0,)}
    assert squared_by_head(("road", "0"), heads) == {"landuse": (0, 1), "road": (1,)}
    with pytest.raises(ConfigError, match="landuse and road have a class of that value; give its name"):
        squared_by_head("1", heads)
    with pytest.raises(ConfigError, match="the model has no such class; expected some of building, road"):
        squared_by_head("shed", heads)


def test_nothing_that_is_there_is_replaced(tmp_path: Path) -> None:
    path = village(tmp_path / "a.tif")
    (tmp_path / "a_regularized.geojson").write_text("mine")
    with pytest.raises(ConfigError, match=r"a_regularized.geojson is there already"):
        vectorize(path, regularize="house")
    assert (tmp_path / "a_regularized.geojson").read_text() == "mine"
    assert not (tmp_path / "a.geojson").exists()


def test_the_buildings_of_the_sample_town(tmp_path: Path) -> None:
    """Against the drawn outlines squared ones are better than those of the pixels."""
    sample = write_sample(tmp_path / "town.tif", size=1024)
    result = vectorize(sample.truth_landuse, output=tmp_path / "o.gpkg", formats=["gpkg"], regularize="building")
    truth = geopandas.read_file(sample.polygons).to_crs(32640)
    truth = truth[truth["class"] == 0].geometry.to_numpy()
    whole = read(tmp_path / "o.gpkg", layer="o").set_index("id")
    squared = squares(tmp_path / "o.gpkg").set_index("id")
    assert result.squared_count > 0.9 * result.regularized_count
    raw = whole.loc[squared.index].geometry.to_numpy()
    ours, theirs = shapely.STRtree(truth).query(shapely.point_on_surface(raw), predicate="within")
    assert ours.size > 100
    before, after = (
        intersection_over_union(shapes[ours], truth[theirs]).mean() for shapes in (raw, squared.geometry.to_numpy())
    )
    assert after > before + 0.01
    assert shapely.get_num_coordinates(squared.geometry.to_numpy()).mean() < 20
