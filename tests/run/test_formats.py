"""Every vector format from one raster: the same features, streamed, with the styles that QGIS finds."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

import geopandas
import numpy as np
import pyogrio
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from geounet.errors import ConfigError, WorkError
from geounet.io.ogr import short_names
from geounet.run.vector_result import VectorResult
from geounet.run.vectorize import vectorize
from tests.run.test_vectorize import HEAD, patches, raster

NAMES = ["id", "class", "name", "area_m2", "perimeter_m", "touches_edge", "confidence_mean"]
FORMATS = ("geojson", "geojsonseq", "geojsons", "gpkg", "fgb", "parquet", "shp")


def read(path: Path, layer: str | None = None) -> geopandas.GeoDataFrame:
    """A layer of a file, the first one if none is named."""
    if path.suffix == ".parquet":
        pytest.importorskip("pyarrow")
        return geopandas.read_parquet(path)
    return geopandas.GeoDataFrame(pyogrio.read_dataframe(path, layer=layer or pyogrio.list_layers(path)[0, 0]))


def made(folder: Path, labels: np.ndarray, **options: object) -> VectorResult:
    path = raster(folder / "a.tif", labels)
    confidence = raster(folder / "confidence.tif", np.full(labels.shape, 225, np.uint8))
    return vectorize(path, output=folder / "out", formats=FORMATS, confidence=confidence, overwrite=True, **options)


def test_all_formats_have_the_same_features(tmp_path: Path) -> None:
    result = made(tmp_path, patches(), head=HEAD)
    frames = {p.suffix: read(p).sort_values("id", ignore_index=True) for p in result.paths}
    first = frames[".gpkg"]
    for suffix, found in frames.items():
        frame = found.rename(columns={short: name for name, short in short_names(NAMES).items()})
        text = "geojson" in suffix
        assert frame.crs == ("EPSG:4326" if text else "EPSG:32633"), suffix
        for column in NAMES:
            assert frame[column].tolist() == first[column].tolist(), (suffix, column)
        away = frame.to_crs(32633).geometry.hausdorff_distance(first.geometry).max()
        assert away < (0.02 if text else 1e-9), suffix
    assert [w for w in result.warnings if "10 characters (perimeter_m is perimeter_, " in w]


def test_a_layer_of_nothing_has_its_columns(tmp_path: Path) -> None:
    result = made(tmp_path, np.full((9, 9), 255, np.uint8))
    for path in result.paths:
        if "geojson" in path.suffix:
            continue
        frame = read(path)
        assert len(frame) == 0
        assert list(frame.columns[:4]) == NAMES[:4], path
        assert frame.crs == "EPSG:32633"


def test_the_same_bytes_whatever_the_strips(tmp_path: Path) -> None:
    found: dict[str, set[bytes]] = {}
    for rows in (1, 7, 1000):
        made(tmp_path, patches(), block_rows=rows)
        for path in tmp_path.glob("out.*"):
            # a DBF says the day on which it was written, in its bytes 1 to 3
            content = path.read_bytes()
            found.setdefault(path.name, set()).add(content[4:] if path.suffix == ".dbf" else content)
    assert len(found) == len(FORMATS) + 4
    assert {name: len(contents) for name, contents in found.items() if len(contents) > 1} == {}


def test_record_separators_are_those_of_rfc_8142(tmp_path: Path) -> None:
    made(tmp_path, patches(20, 20))
    plain, separated = (tmp_path / "out.geojsonl").read_bytes(), (tmp_path / "out.geojsons").read_bytes()
    assert separated.replace(b"\x1e", b"") == plain
    texts = separated.split(b"\x1e")
    assert texts[0] == b""
    assert all(t.endswith(b"\n") and json.loads(t)["type"] == "Feature" for t in texts[1:])


def test_styles_lie_beside_and_inside(tmp_path: Path) -> None:
    made(tmp_path, patches(), head=HEAD)
    inside = pyogrio.read_dataframe(tmp_path / "out.gpkg", layer="layer_styles")
    qml = (tmp_path / "out.qml").read_text()
    assert inside.styleQML.tolist() == [qml]
    renderer = ElementTree.fromstring(qml).find("renderer-v2")
    assert renderer.get("attr") == "class"
    assert [c.get("label") for c in renderer.iter("category")] == [c.name for c in HEAD.classes]
    assert {o.get("value") for o in renderer.iter("Option") if o.get("name") == "color"} == {"17,34,51,255"}
    (tmp_path / "out.qml").write_text("mine")
    made(tmp_path, patches(), head=HEAD)
    assert (tmp_path / "out.qml").read_text() == "mine"


def test_colours_come_from_the_raster(tmp_path: Path) -> None:
    labels = patches(20, 20)
    tags = {"CLASS_0": "bare #102030", "CLASS_1": "tree #405060"}
    vectorize(raster(tmp_path / "tags.tif", labels, tags=tags), formats=["fgb"])
    style = (tmp_path / "tags.qml").read_text()
    assert 'label="tree"' in style
    assert "64,80,96,255" in style
    assert style.count("<category ") == 2
    vectorize(raster(tmp_path / "plain.tif", labels), formats=["fgb", "gpkg"])
    assert not (tmp_path / "plain.qml").exists()
    assert "layer_styles" not in pyogrio.list_layers(tmp_path / "plain.gpkg")[:, 0]


def test_a_geopackage_takes_more_than_one_layer(tmp_path: Path) -> None:
    path, target = raster(tmp_path / "a.tif", patches(20, 20)), tmp_path / "all.gpkg"
    for name in ("first", "second"):
        head = HEAD.__class__(name=name, kind="classes", classes=HEAD.classes)
        vectorize(path, output=tmp_path / f"{name}.x", formats=["gpkg"], head=head, container=target)
    assert sorted(pyogrio.list_layers(target)[:, 0]) == ["first", "layer_styles", "second"]
    assert pyogrio.read_dataframe(target, layer="layer_styles").f_table_name.tolist() == ["first", "second"]
    assert not (tmp_path / "first.gpkg").exists()


def test_one_geopackage_holds_all_layers_and_their_styles(tmp_path: Path) -> None:
    tags = {"CLASS_0": "land #102030", "CLASS_1": "road #405060", "CLASS_2": "house #708090"}
    path = raster(tmp_path / "a.tif", patches(60, 60), tags=tags)
    asked = {"lines": True, "regularize": "house", "output": tmp_path / "town.gpkg", "overwrite": True}
    result = vectorize(path, formats=["gpkg"], **asked)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.tif", "town.gpkg"]
    layers = ["town", "town_lines", "town_nodes", "town_regularized"]
    assert sorted(pyogrio.list_layers(result.paths[0])[:, 0]) == ["layer_styles", *layers]
    assert sorted(pyogrio.read_dataframe(result.paths[0], layer="layer_styles").f_table_name) == layers
    counts = [result.feature_count, result.line_count, result.node_count, result.regularized_count]
    assert [len(read(result.paths[0], layer=layer)) for layer in layers] == counts
    before = result.paths[0].read_bytes()
    with pytest.raises(ConfigError, match="--aoi"):
        vectorize(path, formats=["gpkg"], aoi=raster(tmp_path / "b.tif", patches(9, 9)), **asked)
    assert result.paths[0].read_bytes() == before, "what was there is not damaged"
    vectorize(path, formats=["gpkg"], **asked)
    assert result.paths[0].read_bytes() == before


@pytest.mark.parametrize(("limit", "which"), [(20_000, ".shp"), (2**31 - 1, "")])
def test_a_shapefile_beyond_its_limit_is_refused(
    limit: int, which: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The real limit is two gigabytes; here it is also one that a small raster's polygons exceed."""
    monkeypatch.setattr("geounet.io.ogr.SHAPEFILE_LIMIT", limit)
    monkeypatch.setattr("geounet.io.spool._CHUNK_POLYGONS", 20)
    path = raster(tmp_path / "a.tif", patches(60, 60))
    (tmp_path / "out.shp").write_text("mine")
    options = {"output": tmp_path / "out.shp", "formats": ["shp"], "overwrite": True}
    if not which:
        vectorize(path, **options)
        assert (tmp_path / "out.shp").stat().st_size > 20_000
        return
    with pytest.raises(
        WorkError, match=r"the Shapefile's .shp would have 2\d,\d+ bytes or more.*choose --format gpkg"
    ):
        vectorize(path, **options)
    assert (tmp_path / "out.shp").read_text() == "mine"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.tif", "out.shp"], "nothing is left behind"


def test_parquet_is_written_by_row_groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    monkeypatch.setattr("geounet.io.spool._CHUNK_POLYGONS", 5)
    made(tmp_path, patches(60, 60))
    file = parquet.ParquetFile(tmp_path / "out.parquet")
    assert file.num_row_groups == -(-file.metadata.num_rows // 5) > 1
    about = json.loads(
        file.schema_arrow.metadata[b"geo"]
        if b"geo" in (file.schema_arrow.metadata or {})
        else file.metadata.metadata[b"geo"]
    )
    frame = geopandas.read_parquet(tmp_path / "out.parquet")
    assert about["columns"]["geometry"]["bbox"] == list(frame.total_bounds)
    assert set(frame.geom_type) == {"MultiPolygon"}
    assert shapely.is_valid(frame.geometry.values).all()


@settings(max_examples=50)
@given(st.lists(st.text(min_size=1), unique_by=str.upper, max_size=40))
def test_short_names_are_short_and_different(names: list[str]) -> None:
    found = short_names(names)
    assert all(len(short.encode()) <= 10 for short in found.values())
    assert len({short.upper() for short in found.values()}) == len(names)
    assert all(found[n] == n for n in names[:1] if len(n.encode()) <= 10)
