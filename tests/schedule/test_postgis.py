"""Vectors in a real PostGIS table: every feature once, a scene's rows replaced whole or not at all."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import geopandas
import pytest
from places import Place
from shapely import from_wkb, normalize

from geounet.errors import ConfigError, WorkError
from geounet.schedule.ledger import Entry
from geounet.schedule.postgis import PostgisTable

psycopg = pytest.importorskip("psycopg")
OPERATIONS = Path(__file__).resolve().parents[2] / "docs" / "operations.md"
MakePlace = Callable[..., Place]


@pytest.fixture
def gis(postgres: str) -> str:
    """A fresh database with PostGIS."""
    with psycopg.connect(postgres, autocommit=True) as server:
        if not server.execute("SELECT 1 FROM pg_available_extensions WHERE name = 'postgis'").fetchall():
            pytest.skip("PostGIS is not installed")
        server.execute("DROP DATABASE IF EXISTS gis")
        server.execute("CREATE DATABASE gis")
    url = postgres.replace("/postgres?", "/gis?")
    with psycopg.connect(url) as database:
        database.execute("CREATE EXTENSION postgis")
    return url


def rows(url: str, words: str = "SELECT * FROM landuse") -> list[dict[str, Any]]:
    with psycopg.connect(url, row_factory=psycopg.rows.dict_row) as database:
        return database.execute(words).fetchall()


def entry(source: str, key: str = "k") -> Entry:
    return Entry(
        key=key, name="a", source=source, paths=(source,), time="2026-01-02T00:00:00+00:00", content="c",
        recipe="r", state="running", attempts=0, deaths=0, not_before=0, owner=None, lease=None, error=None,
        output=None, found=0, started=None, finished=None,
    )  # fmt: skip


def write(folder: Path, *classes: str, nowhere: bool = False) -> Path:
    folder.mkdir(exist_ok=True)
    square = [[[10, 50], [11, 50], [11, 51], [10, 50]]]
    features = [
        {"type": "Feature", "properties": {"class": c}, "geometry": {"type": "Polygon", "coordinates": square}}
        for c in classes
    ]
    (folder / "landuse.geojson").write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    if nowhere:
        (folder / "road.geojson").write_text("no vectors")
    return folder


def test_every_feature_of_a_run_stands_in_the_table(gis: str, place: MakePlace) -> None:
    there = place(publish={"postgis": gis, "table": "landuse"})
    there.add("a", seed=1)
    there.add("b", seed=2)
    there.run()
    frames = {(n, f.stem): geopandas.read_file(f) for n in "ab" for f in (there.out / n).glob("*.geojson")}
    found = rows(
        gis, "SELECT scene, layer, properties, ST_AsBinary(geom) AS wkb, ST_SRID(geom) AS srid FROM landuse"
    )
    assert {row["srid"] for row in found} == {4326}
    assert len(found) == sum(map(len, frames.values())) > 10
    for (scene, layer), frame in frames.items():
        mine = [row for row in found if (row["scene"], row["layer"]) == (scene, layer)]
        shapes = sorted(normalize(from_wkb(bytes(row["wkb"]))).wkb for row in mine)
        assert shapes == sorted(normalize(geometry).wkb for geometry in frame.geometry)
        if "class" in frame:
            assert sorted(row["properties"]["class"] for row in mine) == sorted(frame["class"])
    documented = re.search(r"```text\n(SELECT.*?)```", OPERATIONS.read_text(encoding="utf-8"), re.DOTALL)
    assert documented
    assert {row["scene"] for row in rows(gis, documented[1])} == {"a", "b"}
    there.add("a", seed=3)
    there.run()
    assert {row["key"] for row in rows(gis)} == {
        e["key"] for e in there.ledger("list", "--json") if e["state"] == "done"
    }


def test_a_scene_whose_rows_are_refused_is_tried_again(gis: str, place: MakePlace) -> None:
    there = place(publish={"postgis": gis, "table": "landuse"})
    PostgisTable(gis, "landuse")
    with psycopg.connect(gis) as database:
        database.execute("ALTER TABLE landuse ADD CONSTRAINT full_disk CHECK (scene <> 'a')")
    there.add("a", seed=1)
    (failed, _) = [event for event in there.run(code=1) if event["event"] == "failed"]
    assert "full_disk" in failed["error"]
    assert rows(gis) == []
    with psycopg.connect(gis) as database:
        database.execute("ALTER TABLE landuse DROP CONSTRAINT full_disk")
    there.ledger("retry", "--all")
    before = {path: path.stat().st_mtime_ns for path in there.out.rglob("*.tif")}
    there.run()
    assert rows(gis)
    assert {path: path.stat().st_mtime_ns for path in there.out.rglob("*.tif")} == before  # nothing computed again


def test_rows_are_replaced_whole_or_not_at_all(gis: str, tmp_path: Path) -> None:
    table = PostgisTable(gis, "landuse")
    assert table.replace(entry("/in/a.tif"), write(tmp_path / "one", "x", "y")) == 2
    assert table.replace(entry("/in/b.tif"), write(tmp_path / "two", "z")) == 1
    again = replace(entry("/in/a.tif"), key="k2")
    with pytest.raises(ConfigError):  # its second file cannot be read
        table.replace(again, write(tmp_path / "bad", "w", nowhere=True))
    assert sorted(row["properties"]["class"] for row in rows(gis)) == ["x", "y", "z"]
    table.replace(again, write(tmp_path / "good", "w"))
    assert sorted((row["key"], row["properties"]["class"]) for row in rows(gis)) == [("k", "z"), ("k2", "w")]
    with pytest.raises(ConfigError, match="no vectors"):
        table.replace(again, tmp_path)


def test_a_database_that_cannot_take_them_is_one_line(postgres: str, place: MakePlace) -> None:
    nobody = f"postgresql://me:secret@127.0.0.1:{os.getpid() % 100 + 1}/x"
    for url, words in ((nobody, "publish.postgis postgresql://127.0.0.1"), (postgres, "CREATE EXTENSION postgis")):
        there = place(publish={"postgis": url})
        there.add("a", seed=1)
        process = there.start()
        out, err = process.communicate(timeout=60)
        assert (process.returncode, out, err.count("\n")) == (2, "", 1), err
        assert words in err
        assert "secret" not in err
    with pytest.raises((ConfigError, WorkError)):
        PostgisTable(nobody, "landuse")
