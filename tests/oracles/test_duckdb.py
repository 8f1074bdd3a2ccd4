"""DuckDB's spatial extension, which brings a GDAL of its own, reads every vector format."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import geopandas
import pytest
import shapely

from tests.run.test_formats import made
from tests.run.test_vectorize import HEAD, patches

duckdb = pytest.importorskip("duckdb")
extensions = pytest.importorskip("duckdb_ext")


@pytest.fixture
def database() -> Any:
    found = [p for folder in extensions.__path__ for p in Path(folder).rglob("spatial.duckdb_extension")]
    if not found:
        pytest.skip("duckdb-ext-spatial is not installed")
    with duckdb.connect() as connection:
        connection.execute(f"LOAD '{found[0]}'")
        yield connection


def test_every_format_says_the_same(database: Any, tmp_path: Path) -> None:
    result = made(tmp_path, patches(), head=HEAD)
    frame = geopandas.read_parquet(tmp_path / "out.parquet")
    for path in result.paths:
        source = f"'{path}'" if path.suffix == ".parquet" else f"ST_Read('{path}')"
        geometry = "geometry" if path.suffix == ".parquet" else "geom"
        count, ids, names, area, covered = database.execute(
            f"SELECT count(*), sum(id), count(DISTINCT name), sum(area_m2), sum(ST_Area({geometry})) FROM {source}"
        ).fetchone()
        assert (count, ids, names) == (len(frame), frame.id.sum(), frame.name.nunique()), path
        assert area == pytest.approx(frame.area_m2.sum())
        if "geojson" not in path.suffix:  # which is in degrees
            assert covered == pytest.approx(frame.geometry.area.sum())


def test_the_index_of_flatgeobuf_is_used(database: Any, tmp_path: Path) -> None:
    made(tmp_path, patches(), head=HEAD)
    frame = geopandas.read_parquet(tmp_path / "out.parquet")
    box = shapely.box(500105, 5499605, 500205, 5499705)
    corners = "{'min_x': 500105, 'min_y': 5499605, 'max_x': 500205, 'max_y': 5499705}::BOX_2D"
    query = f"SELECT id FROM ST_Read('{tmp_path / 'out.fgb'}', spatial_filter_box={corners})"
    found = {number for (number,) in database.execute(query).fetchall()}
    assert found == set(frame.id[frame.intersects(box)])
    assert 0 < len(found) < len(frame)
