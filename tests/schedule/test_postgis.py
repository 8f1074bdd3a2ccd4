"""Vectors in a real PostGIS table: every feature once, a scene's rows replaced whole or not at all."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import geopandas
import pytest
from places import Place
from shapely import from_wkb, normalize

from geounet.errors import ConfigError, WorkError
from geounet.schedule.entry import Entry
from geounet.schedule.postgis import PostgisTable
from geounet.schedule.publish import Publication, published_key

psycopg = pytest.importorskip("psycopg")
OPERATIONS = Path(__file__).resolve().parents[2] / "docs" / "operations.md"
MakePlace = Callable[..., Place]


@pytest.fixture
def gis(postgres: str) -> str:
    """A fresh database with PostGIS."""
    with psycopg.connect(postgres, autocommit=True) as server:
        if not server.execute("SELECT 1 FROM pg_available_extensions WHERE name = 'postgis'").fetchall():
            pytest.skip("PostGIS is not installed")
        server.execute("DROP DATABASE IF EXISTS gis WITH (FORCE)")
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


@pytest.mark.parametrize("when", ["", "INITIALLY DEFERRED"])
def test_a_scene_whose_rows_are_refused_is_not_published(gis: str, place: MakePlace, when: str) -> None:
    """The maps of before stay, with their rows; what was computed waits for the next try."""
    there = place(publish={"postgis": gis, "table": "landuse"}, retry={"attempts": 3, "backoff": "1h"})
    there.add("a", seed=1)
    there.run()
    maps, table = files_of(there.out / "a"), rows(gis)
    with psycopg.connect(gis) as database:
        database.execute(
            "CREATE FUNCTION refuse() RETURNS trigger AS $$ BEGIN RAISE 'full_disk'; END $$ LANGUAGE plpgsql"
        )
        database.execute(
            f"CREATE CONSTRAINT TRIGGER refusing AFTER INSERT ON landuse DEFERRABLE {when} FOR EACH ROW "
            "EXECUTE FUNCTION refuse()"
        )
    there.add("a", seed=2)
    there.add("b", seed=3)
    failed = [event for event in there.run(code=1) if event["event"] == "failed"]
    assert {event["scene"] for event in failed} == {"a", "b"}
    assert all("full_disk" in event["error"] for event in failed)
    assert (files_of(there.out / "a"), rows(gis)) == (maps, table)
    assert not (there.out / "b").exists()
    with psycopg.connect(gis) as database:
        database.execute("DROP TRIGGER refusing ON landuse")
    there.ledger("retry", "--all")
    # A list, for files that are written one after the other can bear the same time: file systems take it from a
    # clock that ticks every few milliseconds.
    stamps = sorted(path.stat().st_mtime_ns for path in there.out.glob(".geounet-work-*/*.tif"))
    there.run()
    assert sorted(path.stat().st_mtime_ns for path in there.out.glob("?/*.tif")) == stamps  # nothing computed again
    assert len(stamps) == 4
    done = {e["key"] for e in there.ledger("list", "--json") if e["state"] == "done"}
    assert {row["key"] for row in rows(gis)} == done
    assert sorted(path.name for path in there.out.iterdir() if path.is_dir()) == ["a", "b"]


def test_a_connection_that_breaks_at_the_last_moment_takes_the_folder_back(gis: str, tmp_path: Path) -> None:
    table, final = PostgisTable(gis, "landuse"), tmp_path / "a"
    for key, classes in (("k1", ("x", "y")), ("k2", ("z",))):
        work = write(tmp_path / ".work", *classes)
        (work / ".geounet").mkdir()
        with (
            pytest.raises(WorkError) if key == "k2" else nullcontext(),
            Publication(work, final, key) as publication,
            table.replacing(entry("/in/a.tif", key), publication.folder),
        ):
            publication.publish(keep_parts=False)
            assert published_key(final) == key
            if key == "k2":
                rows(gis, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()")
    assert published_key(final) == "k1"
    assert published_key(work) == "k2"  # waits for the next try
    assert {row["key"] for row in rows(gis)} == {"k1"}
    assert sorted(path.name for path in tmp_path.iterdir()) == [".work", "a"]
    with Publication(work, final, "k2") as publication:
        publication.publish(keep_parts=False)
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
    (final / "landuse.geojson").unlink()
    with pytest.raises(ConfigError), Publication(work, final, "k2") as publication:  # its run died before it told
        put(table, entry("/in/a.tif", "k2"), publication.folder)
    assert [path.name for path in tmp_path.iterdir()] == [".work"]


def files_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def put(table: PostgisTable, row: Entry, folder: Path) -> int:
    with table.replacing(row, folder) as count:
        return count


def test_rows_are_replaced_whole_or_not_at_all(gis: str, tmp_path: Path) -> None:
    table = PostgisTable(gis, "landuse")
    assert put(table, entry("/in/a.tif"), write(tmp_path / "one", "x", "y")) == 2
    assert put(table, entry("/in/b.tif"), write(tmp_path / "two", "z")) == 1
    again = replace(entry("/in/a.tif"), key="k2")
    with pytest.raises(ConfigError):  # its second file cannot be read
        put(table, again, write(tmp_path / "bad", "w", nowhere=True))
    assert sorted(row["properties"]["class"] for row in rows(gis)) == ["x", "y", "z"]
    put(table, again, write(tmp_path / "good", "w"))
    assert sorted((row["key"], row["properties"]["class"]) for row in rows(gis)) == [("k", "z"), ("k2", "w")]
    with pytest.raises(ConfigError, match="no vectors"):
        put(table, again, tmp_path)


def test_a_database_that_cannot_take_them_is_one_line(postgres: str, place: MakePlace) -> None:
    nobody = "postgresql://me:secret@127.0.0.1:1/x"
    for url, words in ((nobody, "publish.postgis postgresql://127.0.0.1"), (postgres, "CREATE EXTENSION postgis")):
        there = place(publish={"postgis": url})
        there.add("a", seed=1)
        process = there.start()
        out, err = process.communicate(timeout=240)
        assert (process.returncode, out, err.count("\n")) == (2, "", 1), err
        assert words in err
        assert "secret" not in err
    with pytest.raises((ConfigError, WorkError)):
        PostgisTable(nobody, "landuse")
