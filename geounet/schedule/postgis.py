"""Vectors of published scenes in a table of PostGIS; a scene's rows are replaced in one transaction."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from geounet.errors import ConfigError, MissingExtraError, WorkError
from geounet.io.features import read_layers
from geounet.schedule.entry import Entry

if TYPE_CHECKING:
    from geopandas import GeoDataFrame

_SUFFIXES = (".gpkg", ".fgb", ".parquet", ".geojson", ".geojsonl", ".shp")
"""Vectors that are read back, the cheapest first; the files of one format hold all layers."""
_TABLE = """CREATE TABLE IF NOT EXISTS {table} (
    source text NOT NULL, scene text NOT NULL, key text NOT NULL, time timestamptz NOT NULL, layer text NOT NULL,
    properties jsonb NOT NULL, geom geometry(Geometry, 4326) NOT NULL)"""
_INDICES = (
    "CREATE INDEX IF NOT EXISTS {by_source} ON {table} (source)",
    "CREATE INDEX IF NOT EXISTS {by_place} ON {table} USING gist (geom)",
)


class PostgisTable:
    """A table with the vectors of all scenes, in degrees (EPSG:4326), attributes as JSON."""

    def __init__(self, url: str, table: str) -> None:
        """Makes the table where it is missing.

        Raises ConfigError where the server does not answer or has no PostGIS, MissingExtraError without psycopg.
        """
        try:
            import psycopg
            from psycopg import sql
        except ImportError as error:
            raise MissingExtraError("psycopg", "postgres", "a table in PostGIS") from error
        self._connect, self._error, self._url = psycopg.connect, psycopg.Error, url
        *schema, name = table.split(".")
        self._name = name
        self._names = {
            "table": sql.Identifier(*schema, name),
            "by_source": sql.Identifier(f"{name}_source"),
            "by_place": sql.Identifier(f"{name}_geom"),
        }
        try:
            with self._transaction() as connection:
                self._make(connection)
        except WorkError as error:
            raise ConfigError(str(error)) from error

    @contextmanager
    def replacing(self, entry: Entry, folder: Path) -> Iterator[int]:
        """Put the vectors in a scene's results folder in place of its earlier rows; yields how many there are.

        The body runs when the database has taken and checked them; others see them when it has ended well.
        Raises WorkError where the server refuses, ConfigError where there are no vectors; earlier rows stay then.
        """
        from psycopg import sql

        with self._transaction() as connection:
            connection.execute(self._spelt("DELETE FROM {table} WHERE source = %s"), [entry.source])
            words = "COPY {table} (source, scene, key, time, layer, properties, geom) FROM STDIN"
            count = 0
            with connection.cursor().copy(sql.SQL(words).format(**self._names)) as copy:
                for layer, properties, geometry in _features(folder):
                    copy.write_row([entry.source, entry.name, entry.key, entry.time, layer, properties, geometry])
                    count += 1
            connection.execute("SET CONSTRAINTS ALL IMMEDIATE")
            yield count

    def _spelt(self, words: Any) -> Any:
        from psycopg import sql

        return sql.SQL(words).format(**self._names)

    def _make(self, connection: Any) -> None:
        # two runs at once would both find no table
        connection.execute("SELECT pg_advisory_xact_lock(hashtext(%s))", [f"geounet {self._name}"])
        if not connection.execute("SELECT 1 FROM pg_extension WHERE extname = 'postgis'").fetchall():
            raise ConfigError(f"publish.postgis {self._place} has no PostGIS; run there: CREATE EXTENSION postgis")
        for statement in (_TABLE, *_INDICES):
            connection.execute(self._spelt(statement))

    @property
    def _place(self) -> str:
        return "postgresql://" + self._url.split("://", 1)[1].rsplit("@", 1)[-1].split("?")[0]

    @contextmanager
    def _transaction(self) -> Iterator[Any]:
        """A connection on which all statements hold or none; one per scene, as scenes take long."""
        try:
            with self._connect(self._url, connect_timeout=10) as connection:
                yield connection
        except self._error as error:
            raise WorkError(f"publish.postgis {self._place}: {' '.join(str(error).split())}") from error


def _features(folder: Path) -> Iterator[tuple[str, str, str]]:
    """Layer, attributes as JSON, geometry as hexadecimal EWKB, of every feature that a folder holds."""
    for path in _vectors(folder):
        for layer, frame in read_layers(path).items():
            yield from ((layer, *row) for row in _rows(frame))


def _vectors(folder: Path) -> list[Path]:
    for suffix in _SUFFIXES:
        if found := sorted(folder.glob(f"*{suffix}")):
            return found
    raise ConfigError(
        f"{folder} holds no vectors for PostGIS; expected infer.format among gpkg, geojson, flatgeobuf"
    )


def _rows(frame: GeoDataFrame) -> Iterator[tuple[str, str]]:
    from shapely import set_srid, to_wkb

    frame = frame.to_crs("EPSG:4326")
    geometries = to_wkb(set_srid(frame.geometry.to_numpy(), 4326), hex=True, include_srid=True)
    attributes = json.loads(frame.drop(columns=frame.geometry.name).to_json(orient="records", date_format="iso"))
    for values, geometry in zip(attributes, geometries, strict=True):
        yield json.dumps(values, ensure_ascii=False), geometry
