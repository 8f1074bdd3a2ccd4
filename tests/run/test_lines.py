"""`geounet.vectorize(lines=…)`: centre-lines, their nodes, and the graph of both."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import geopandas
import networkx
import numpy as np
import pyogrio
import pyproj
import pytest
import rasterio
import shapely
from affine import Affine
from numpy.typing import NDArray
from rasterio.features import rasterize

import geounet
from geounet.errors import ConfigError, SceneError
from geounet.run.frames import Layers
from geounet.run.vectorize import vectorize

UTM = Affine(0.5, 0, 500000, 0, -0.5, 5500000)
SHAPE = (240, 260)


def roads(*lines: list[tuple[float, float]], width: float = 12.0) -> NDArray[np.uint8]:
    """A mask of roads along lines in pixels."""
    shapes = [shapely.LineString(line).buffer(width / 2, cap_style="flat") for line in lines]
    return np.asarray(rasterize(shapes, out_shape=SHAPE, fill=0, default_value=1, dtype="uint8"))


def town() -> NDArray[np.uint8]:
    return roads(
        [(-20, 60), (280, 75)], [(-20, 170), (280, 160)], [(70, -20), (75, 260)], [(200, 20), (190, 165)], width=11
    )


def raster(path: Path, data: NDArray[Any], **options: Any) -> Path:
    profile = {"crs": "EPSG:32633", "transform": UTM, "nodata": 255} | options
    profile = {k: v for k, v in profile.items() if v is not None}
    shape = {"height": data.shape[0], "width": data.shape[1], "count": 1, "dtype": data.dtype}
    with rasterio.open(path, "w", driver="GTiff", **shape, **profile) as file:
        file.write(data, 1)
    return path


def test_lines_nodes_and_their_attributes(tmp_path: Path) -> None:
    mask = town()
    confidence = np.full(SHAPE, 200, np.uint8)
    result = vectorize(
        raster(tmp_path / "road.tif", mask), lines=True, confidence=raster(tmp_path / "sure.tif", confidence)
    )
    assert [p.name for p in result.line_paths] == ["road_lines.geojson", "road_nodes.geojson"]
    lines, nodes = (geopandas.read_file(p) for p in result.line_paths)
    assert (len(lines), len(nodes)) == (result.line_count, result.node_count)
    assert list(lines.columns[:-1]) == [
        "id", "length_m", "width_m", "width_sd_m", "confidence_mean", "from_node", "to_node"
    ]  # fmt: skip
    assert lines["id"].tolist() == list(range(1, len(lines) + 1))
    assert set(lines.confidence_mean) == {0.8}
    assert lines.width_m.to_numpy() == pytest.approx(5.5, abs=0.4)
    geod = pyproj.Geod(ellps="WGS84")
    assert lines.length_m.to_numpy() == pytest.approx([geod.geometry_length(g) for g in lines.geometry], abs=0.1)
    assert result.length == pytest.approx(lines.length_m.sum(), abs=0.01)
    places = dict(zip(nodes.id, nodes.geometry, strict=True))
    for line in lines.itertuples():
        assert line.geometry.coords[0] == places[line.from_node].coords[0]
        assert line.geometry.coords[-1] == places[line.to_node].coords[0]
    assert sorted(nodes.degree) == [1] * 7 + [3] + [4] * 3
    text = json.loads(result.line_paths[0].read_text())
    assert "crs" not in text
    assert text["name"] == "road_lines"


def test_the_graph_can_be_routed_on(tmp_path: Path) -> None:
    result = vectorize(raster(tmp_path / "road.tif", town()), lines=True, formats=["gpkg", "fgb", "geojson"])
    graphs = [geounet.road_graph(p) for p in result.line_paths[::2]]
    for graph in graphs:
        assert graph.number_of_nodes() == result.node_count
        assert graph.number_of_edges() == result.line_count
        assert dict(graph.degree) == networkx.get_node_attributes(graph, "degree")
        assert networkx.is_connected(graph)
    west = min(graphs[0], key=lambda n: graphs[0].nodes[n]["x"])
    east = max(graphs[0], key=lambda n: graphs[0].nodes[n]["x"])
    metres = [networkx.shortest_path_length(g, west, east, weight="length_m") for g in graphs]
    assert metres == pytest.approx([130] * 3, rel=0.25)
    with pytest.raises(SceneError, match="not there"):
        geounet.road_graph(tmp_path / "no_lines.geojson")
    with pytest.raises(SceneError, match="nodes="):
        geounet.road_graph(tmp_path / "road.tif")


def test_one_geopackage_of_all_layers(tmp_path: Path) -> None:
    path, target = raster(tmp_path / "road.tif", town()), tmp_path / "vectors.gpkg"
    own = vectorize(path, lines=True, formats=["gpkg"])
    result = vectorize(path, output=tmp_path / "other.gpkg", lines=True, formats=["gpkg"], container=target)
    assert not (tmp_path / "other.gpkg").exists()
    assert own.paths * 2 == own.line_paths, "all layers are in the polygons' file"
    layers = Layers({target.name: target})
    assert list(layers) == ["other", "other_lines", "other_nodes"]
    assert len(layers["other_lines"]) == result.line_count == own.line_count
    graphs = [geounet.road_graph(p) for p in (target, own.line_paths[0])]
    assert [g.number_of_edges() for g in graphs] == [own.line_count] * 2
    assert (tmp_path / "road.gpkg").exists()
    vectorize(path, output=tmp_path / "third.gpkg", lines=True, formats=["gpkg"], container=target)
    with pytest.raises(SceneError, match="several layers"):
        geounet.road_graph(target)


@pytest.mark.parametrize(
    "options", [{}, {"bridge": 6.0}, {"spur": 3.0}, {"simplify": 2.0}, {"min_area": 10.0, "bridge": 4.0}]
)
def test_same_bytes_whatever_the_strips(options: dict[str, float], tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    mask = town() & (rng.random(SHAPE) > 0.01) & (np.add.outer(np.arange(SHAPE[0]), np.arange(SHAPE[1])) % 90 > 5)
    sure = raster(tmp_path / "sure.tif", rng.integers(0, 251, SHAPE).astype(np.uint8))
    path = raster(tmp_path / "road.tif", mask.astype(np.uint8))
    found = set()
    for rows in (1, 7, 64, 1000):
        result = vectorize(path, confidence=sure, lines=1, overwrite=True, block_rows=rows, **options)
        found.add(tuple(p.read_bytes() for p in result.line_paths))
    assert len(found) == 1


def test_lines_in_degrees_are_measured_in_metres(tmp_path: Path) -> None:
    box = {"crs": "EPSG:4326", "transform": Affine(1e-5, 0, 25.0, 0, -1e-5, 60.001)}
    mask = np.zeros((100, 160), np.uint8)
    mask[10:90, 20:29] = 1  # 9 pixels of 0.557 m wide, 80 of 1.114 m long
    result = vectorize(raster(tmp_path / "a.tif", mask, **box), lines=True, spur=0)
    lines = geopandas.read_file(result.line_paths[0])
    longest = lines.loc[lines.length_m.idxmax()]
    assert longest.width_m == pytest.approx(9 * 0.557, abs=0.6)
    assert result.length == pytest.approx(80 * 1.114, rel=0.1)


def test_gaps_are_bridged_where_the_confidence_says_road(tmp_path: Path) -> None:
    mask = roads([(-20, 100), (120, 100)], [(140, 100), (280, 100)])
    path = raster(tmp_path / "road.tif", mask)
    for sure, edges in ((250, 2), (150, 1)):  # in the gap: not road for certain, or two in five for road
        confidence = raster(tmp_path / f"{sure}.tif", np.full(SHAPE, sure, np.uint8))
        result = vectorize(path, lines=True, confidence=confidence, bridge=12, overwrite=True)
        assert result.line_count == edges, sure
    assert vectorize(path, lines=True, bridge=12, overwrite=True).line_count == 1
    assert vectorize(path, lines=True, bridge=5, overwrite=True).line_count == 2


def test_a_road_over_the_antimeridian_is_cut(tmp_path: Path) -> None:
    box = {"crs": "EPSG:32660", "transform": Affine(10, 0, 832000, 0, -10, 20000)}
    result = vectorize(raster(tmp_path / "a.tif", roads([(-10, 90), (290, 120)]), **box), lines=True)
    line = geopandas.read_file(result.line_paths[0]).geometry[0]
    assert line.geom_type == "MultiLineString"
    assert sorted(np.sign(part.coords[0][0]) for part in line.geoms) == [-1, 1]
    assert np.abs(shapely.get_coordinates(line)[:, 0]).max() == 180.0
    assert result.length == pytest.approx(2613, rel=0.02)


def test_no_crs_no_roads_and_a_class_by_name(tmp_path: Path) -> None:
    result = vectorize(raster(tmp_path / "a.tif", town(), crs=None), lines=True)
    assert result.length > 900
    formats = ["geojson", "geojsonseq", "geojsons", "gpkg", "fgb", "parquet", "shp"]
    empty = raster(tmp_path / "b.tif", np.zeros(SHAPE, np.uint8))
    result = vectorize(empty, lines=True, formats=formats)
    assert (result.line_count, result.node_count, result.length) == (0, 0, 0.0)
    for path in result.line_paths:
        if not path.suffix.startswith(".geojson") or path.suffix == ".geojson":
            layer = {"layer": "b_lines"} if path.suffix == ".gpkg" else {}
            frame = (
                geopandas.read_parquet(path) if path.suffix == ".parquet" else geopandas.read_file(path, **layer)
            )
            assert len(frame) == 0
    path = raster(tmp_path / "c.tif", town() * np.uint8(4))
    with rasterio.open(path, "r+") as file:
        file.update_tags(CLASS_0="else", CLASS_4="road")
    assert vectorize(path, lines=True).line_count == vectorize(path, lines="road", overwrite=True).line_count > 5
    (told,) = vectorize(path, lines=1, overwrite=True).warnings
    assert told.startswith("no polygon is of class 1, of which centre-lines were asked for; found 0, 4")
    with pytest.raises(ConfigError, match=r"value or the name of a class \(else, road\)"):
        vectorize(path, lines="raod", overwrite=True)


def test_requests_that_cannot_work(tmp_path: Path) -> None:
    path = raster(tmp_path / "road.tif", town())
    (tmp_path / "road_nodes.geojson").write_text("mine")
    with pytest.raises(ConfigError, match=r"road_nodes.geojson is there already"):
        vectorize(path, lines=True)
    for options in ({"bridge": -1.0}, {"spur": float("nan")}):
        with pytest.raises(ConfigError, match="at least 0"):
            vectorize(path, output=tmp_path / "o.geojson", lines=True, **options)
    assert (tmp_path / "road_nodes.geojson").read_text() == "mine"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["road.tif", "road_nodes.geojson"]


def test_lines_never_replace_what_is_read(tmp_path: Path) -> None:
    path = raster(tmp_path / "road.tif", town())
    area = tmp_path / "road_lines.geojson"
    geopandas.GeoDataFrame(geometry=[shapely.box(14.9, 49.6, 15.1, 49.7)], crs="EPSG:4326").to_file(area)
    before = area.read_bytes()
    with pytest.raises(ConfigError, match=r"road_lines.geojson is the --aoi file itself"):
        vectorize(path, lines=True, aoi=area, overwrite=True)
    assert area.read_bytes() == before


@pytest.mark.parametrize(
    "area",
    [
        shapely.box(500000, 5499910, 500020, 5499990),
        shapely.Point(500060, 5499940).buffer(33) - shapely.Point(500060, 5499940).buffer(20),
        shapely.box(500000, 5499890, 500050, 5499960) | shapely.box(500081, 5499900, 500099, 5500010),
    ],
    ids=["box", "ring", "two"],
)
def test_an_area_of_interest_cuts_the_lines_exactly(area: shapely.Geometry, tmp_path: Path) -> None:
    path = raster(tmp_path / "road.tif", town())
    geopandas.GeoDataFrame(geometry=[area], crs="EPSG:32633").to_file(tmp_path / "aoi.gpkg")
    options = {"lines": True, "formats": ["gpkg"]}
    whole = vectorize(path, output=tmp_path / "all.gpkg", **options)
    result = vectorize(path, output=tmp_path / "some.gpkg", aoi=tmp_path / "aoi.gpkg", **options)
    every, lines = (geopandas.read_file(r.paths[0], layer=f"{r.paths[0].stem}_lines") for r in (whole, result))
    nodes = geopandas.read_file(result.paths[0], layer="some_nodes").set_index("id")
    assert area.buffer(1e-6).covers(lines.union_all())
    kept = every.union_all().intersection(area)
    assert lines.length.sum() == pytest.approx(kept.length, rel=1e-9)
    assert lines.union_all().hausdorff_distance(kept) < 1e-6
    assert lines.length_m.sum() == pytest.approx(lines.length.sum(), rel=2e-3)
    assert result.length == pytest.approx(lines.length_m.sum(), abs=0.01)
    for line in lines.itertuples():
        for node, end in ((line.from_node, 0), (line.to_node, -1)):
            assert line.geometry.coords[end] == nodes.geometry[node].coords[0]
    ends = np.bincount([*lines.from_node, *lines.to_node])[1:]
    assert nodes.degree.tolist() == ends.tolist()
    cut = nodes[nodes.cut]
    assert len(cut)
    assert (cut.distance(area.boundary) < 1e-6).all()
    assert set(cut.degree) == {1}
    assert nodes[~nodes.cut].intersects(area).all()
    graph = geounet.road_graph(result.line_paths[0])
    assert graph.number_of_edges() == len(lines)
    assert sum(cut for _, cut in graph.nodes(data="cut")) == len(cut)


def test_a_line_that_only_touches_the_area_is_not_there(tmp_path: Path) -> None:
    path = raster(tmp_path / "road.tif", town())
    area = shapely.box(500002, 5499935, 500010, 5499950)  # between two roads
    geopandas.GeoDataFrame(geometry=[area], crs="EPSG:32633").to_file(tmp_path / "aoi.gpkg")
    result = vectorize(path, lines=True, aoi=tmp_path / "aoi.gpkg", formats=["gpkg"])
    assert (result.line_count, result.node_count, result.length) == (0, 0, 0.0)
    assert "cut" in geopandas.read_file(result.paths[0], layer="road_nodes").columns


def test_lines_and_nodes_bring_their_styles(tmp_path: Path) -> None:
    path = raster(tmp_path / "road.tif", town())
    with rasterio.open(path, "r+") as file:
        file.update_tags(CLASS_1="road #4a4a55")
    result = vectorize(path, lines=True, formats=["gpkg", "fgb"])
    styles = pyogrio.read_dataframe(result.paths[0], layer="layer_styles").set_index("f_table_name")
    for name in ("road", "road_lines", "road_nodes"):
        assert styles.useAsDefault[name]
        assert (tmp_path / f"{name}.qml").read_text() == styles.styleQML[name]
    assert "74,74,85,255" in (tmp_path / "road_lines.qml").read_text()
    plain = vectorize(raster(tmp_path / "plain.tif", town()), lines=True)
    assert plain.line_count == result.line_count
    assert not (tmp_path / "plain_lines.qml").exists(), "nobody says a colour"
