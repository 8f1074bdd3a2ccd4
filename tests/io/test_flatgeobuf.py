"""FlatGeobuf: what GDAL reads of ours is what it reads of its own."""

from __future__ import annotations

import struct
from dataclasses import replace
from pathlib import Path

import geopandas
import numpy as np
import pyogrio
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from geounet.io.flatbuffer import Doubles, Scalar, Table, size_prefixed
from geounet.io.flatgeobuf import FlatGeobufWriter, packed_tree
from geounet.io.shapes import Features, from_shapely


def features_of(geometries: NDArray[np.object_], begin: int = 0) -> Features:
    n = len(geometries)
    number = np.arange(begin, begin + n)
    return Features(
        shapes=from_shapely(geometries),
        lonlat=None,
        reshaped=False,
        id=number + 1,
        value=number % 3,
        name=np.array([["Straße", "", 'a "b"'][k % 3] for k in number], object),
        area=number * 0.25,
        confidence=np.where(number % 4 == 1, np.nan, number / 7),
    )


def write(path: Path, geometries: NDArray[np.object_], *, chunk: int = 10_000, crs: str | None = None) -> Path:
    writer = FlatGeobufWriter(path, name="a layer", crs=crs)
    for begin in range(0, max(1, len(geometries)), chunk):
        writer.write(features_of(geometries[begin : begin + chunk], begin))
    writer.close()
    return path


def gdals(path: Path, geometries: NDArray[np.object_], crs: str | None) -> Path:
    columns = features_of(geometries).columns()
    frame = geopandas.GeoDataFrame(columns, geometry=list(geometries), crs=crs)
    frame.to_file(path, driver="FlatGeobuf", engine="pyogrio", geometry_type="MultiPolygon", promote_to_multi=True)
    return path


def boxes(n: int, seed: int = 0) -> NDArray[np.object_]:
    rng = np.random.default_rng(seed)
    corner = rng.uniform(-1000, 1000, (n, 2))
    out = shapely.box(corner[:, 0], corner[:, 1], corner[:, 0] + rng.uniform(1, 50, n), corner[:, 1] + 20)
    holed = shapely.difference(out, shapely.buffer(shapely.centroid(out), 0.3))
    two = shapely.union(out, shapely.box(corner[:, 0] + 100, corner[:, 1], corner[:, 0] + 101, corner[:, 1] + 1))
    kind = rng.integers(0, 3, n)
    return np.asarray(np.choose(kind, [out, holed, two]), object)


def test_in_any_order_and_numbered_at_the_end(tmp_path: Path) -> None:
    geometries = np.repeat(boxes(40), 10)  # many in one place of the curve
    writer = FlatGeobufWriter(tmp_path / "b.fgb", name="a layer", crs=None, numbered=False)
    for begin in np.random.default_rng(2).permutation(np.arange(0, 400, 8)).tolist():
        chunk = features_of(geometries[begin : begin + 8], begin)
        writer.write(replace(chunk, id=chunk.id**2 * 2**30))
    writer.close()
    assert (tmp_path / "b.fgb").read_bytes() == write(tmp_path / "a.fgb", geometries).read_bytes()


@pytest.mark.parametrize("n", [0, 1, 2, 15, 16, 17, 300, 5000])
@pytest.mark.parametrize("crs", ["EPSG:32633", None])
def test_gdal_reads_what_it_reads_of_its_own(n: int, crs: str | None, tmp_path: Path) -> None:
    wkt = None if crs is None else geopandas.GeoSeries(crs=crs).crs.to_wkt()
    geometries = boxes(n)
    ours = geopandas.read_file(write(tmp_path / "a.fgb", geometries, crs=wkt))
    assert ours.crs == crs
    assert len(ours) == n
    assert list(ours.columns) == ["id", "class", "name", "area_m2", "confidence_mean", "geometry"]
    if not n:
        return
    theirs = geopandas.read_file(gdals(tmp_path / "b.fgb", geometries, wkt))
    assert (ours.dtypes == theirs.dtypes).all()
    one, other = (frame.sort_values("id", ignore_index=True) for frame in (ours, theirs))
    assert one.drop(columns="geometry").equals(other.drop(columns="geometry"))
    assert shapely.equals_exact(one.geometry.values, other.geometry.values).all()
    # ours are sorted by the same curve; where two lie in one cell, GDAL's sort leaves them in any order
    assert (ours.id == theirs.id).mean() > 0.9
    info = pyogrio.read_info(tmp_path / "a.fgb")
    assert info["layer_name"] == "a layer"
    assert info["geometry_type"] == "MultiPolygon"
    assert info["capabilities"]["fast_spatial_filter"]
    assert info["total_bounds"] == tuple(shapely.total_bounds(geometries))


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 700), st.integers(0, 2**31), st.tuples(*[st.floats(-1100, 1100)] * 4))
def test_the_index_finds_what_meets_a_box(n: int, seed: int, ends: tuple[float, ...]) -> None:
    import tempfile

    x0, x1 = sorted(ends[:2])
    y0, y1 = sorted(ends[2:])
    geometries = boxes(n, seed)
    bounds = shapely.bounds(geometries)
    meets = (bounds[:, 0] <= x1) & (bounds[:, 2] >= x0) & (bounds[:, 1] <= y1) & (bounds[:, 3] >= y0)
    with tempfile.TemporaryDirectory() as folder:
        path = write(Path(folder) / "a.fgb", geometries)
        found = pyogrio.read_bounds(path, bbox=(x0, y0, x1, y1))
    by_box = {tuple(b) for b in found[1].T}
    assert by_box <= {tuple(b) for b in bounds[meets]}
    exact = shapely.intersects(geometries, shapely.box(x0, y0, x1, y1))
    assert {tuple(b) for b in bounds[exact]} <= by_box


def test_chunks_leave_no_trace(tmp_path: Path) -> None:
    geometries = boxes(200)
    found = {write(tmp_path / "a.fgb", geometries, chunk=size).read_bytes() for size in (1, 7, 200)}
    assert len(found) == 1


def test_every_inner_node_holds_its_children() -> None:
    rng = np.random.default_rng(3)
    low = rng.uniform(0, 100, (300, 2))
    leaves = np.concatenate([low, low + 1], axis=1)
    nodes = packed_tree(leaves, np.full(300, 8))
    assert nodes.size == 300 + 19 + 2 + 1
    assert (nodes["box"][-300:] == leaves).all()
    assert (nodes["offset"][-300:] == 8 * np.arange(300)).all()
    for k in range(nodes.size - 300):
        first = int(nodes["offset"][k])
        after = int(nodes["offset"][k + 1]) if k + 1 < nodes.size - 300 else nodes.size
        children = nodes["box"][first : max(after, first + 1)][:16]
        assert (nodes["box"][k, :2] == children[:, :2].min(0)).all()
        assert (nodes["box"][k, 2:] == children[:, 2:].max(0)).all()


def test_flatbuffers_say_what_was_put_in() -> None:
    table = Table(
        {0: "näme", 1: Doubles([1.5, -2.0]), 3: Scalar("B", 6), 4: Scalar("Q", 2**40), 6: [Table({0: "x"})]}
    )
    data = size_prefixed(table)
    assert struct.unpack_from("<I", data)[0] == len(data) - 4

    def field(at: int, slot: int) -> int:
        look = at - struct.unpack_from("<i", data, at)[0]
        return at + struct.unpack_from("<H", data, look + 4 + 2 * slot)[0]

    def follow(place: int) -> int:
        return place + struct.unpack_from("<I", data, place)[0]

    root = follow(4)
    name = follow(field(root, 0))
    assert data[name + 4 : name + 4 + struct.unpack_from("<I", data, name)[0]].decode() == "näme"
    doubles = follow(field(root, 1))
    assert (doubles + 4) % 8 == 0
    assert struct.unpack_from("<I2d", data, doubles) == (2, 1.5, -2.0)
    assert data[field(root, 3)] == 6
    assert field(root, 4) % 8 == 0
    assert struct.unpack_from("<Q", data, field(root, 4))[0] == 2**40
    tables = follow(field(root, 6))
    assert struct.unpack_from("<I", data, tables)[0] == 1
    inner = follow(field(follow(tables + 4), 0))
    assert data[inner + 4 : inner + 5] == b"x"
