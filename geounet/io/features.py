"""Vector files in: what may be opened, and the features of each layer.

OGR opens whatever it takes a file for, and some of it reads on elsewhere: an OGR VRT names files and URLs, a
GML file a schema to fetch. pyogrio cannot be told which driver to take, so a file is looked at here first.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from geounet.errors import ConfigError, MissingExtraError

if TYPE_CHECKING:
    from geopandas import GeoDataFrame, GeoSeries

_BEGINNINGS: dict[str, tuple[bytes, ...]] = {
    ".geojson": (b"{",),
    ".json": (b"{",),
    ".geojsonl": (b"{", b"\x1e"),
    ".geojsons": (b"{", b"\x1e"),
    ".gpkg": (b"SQLite format 3\0",),
    ".fgb": (b"fgb\x03",),
    ".shp": (b"\0\0\x27\x0a",),
    ".kml": (b"<",),
}
"""First bytes of the files that are read, by suffix; a ``.gdb`` is a folder."""
_ELSEWHERE = (b"<OGRVRT", b"gdal_streamed_alg")
"""What makes OGR take a file for a recipe that reads other files, wherever in the beginning it stands."""
_EXPECTED = "GeoJSON, GeoPackage, FlatGeobuf, Shapefile, KML, GeoParquet or a .gdb folder"
PARQUET = ".parquet"
VECTOR_SUFFIXES = frozenset({*_BEGINNINGS, ".gdb", PARQUET})
"""What `read_layers` takes for vectors."""


def check_vector_file(path: Path, *, label: str) -> None:
    """Refuse what is none of the formats, or a recipe in disguise. Raises ConfigError, led by ``label``."""
    if path.is_dir() and path.suffix.lower() == ".gdb":
        return
    if not path.is_file():
        raise ConfigError(f"{label} cannot be read as a vector file: there is no such file; check the path")
    beginnings = _BEGINNINGS.get(path.suffix.lower())
    if beginnings is None:
        raise ConfigError(f"{label} is no vector file that geounet reads; expected {_EXPECTED}")
    try:
        with path.open("rb") as file:
            head = file.read(65536)
    except OSError as error:
        raise ConfigError(f"{label} cannot be read as a vector file: {error.strerror}") from error
    if any(word in head for word in _ELSEWHERE):
        raise ConfigError(f"{label} points at other files; give the polygons themselves")
    if not head.removeprefix(b"\xef\xbb\xbf").lstrip(b" \t\r\n").startswith(beginnings):
        raise ConfigError(
            f"{label} cannot be read as a vector file: it is not what its suffix says; expected {_EXPECTED}"
        )


def read_layers(path: str | Path) -> dict[str, GeoDataFrame]:
    """The layers of a vector file that have geometries, by name, each in the file's own CRS.

    Raises ConfigError where the file cannot be read, or a layer has no CRS.
    """
    path, label = Path(path), str(path)
    if path.suffix.lower() == PARQUET and path.is_file():
        frames = {path.stem: read_parquet(path)}
    else:
        check_vector_file(path, label=label)
        frames = _read_ogr(path.absolute(), label)
    for name, frame in frames.items():
        if frame.crs is None:
            raise ConfigError(f"{label} (layer {name}) has no CRS; expected one, to measure it in metres")
    return frames


def _read_ogr(path: Path, label: str) -> dict[str, GeoDataFrame]:
    import geopandas
    import pyogrio

    try:
        names = [str(name) for name, geometry in pyogrio.list_layers(path) if geometry is not None]
        return {name: geopandas.read_file(path, layer=name, engine="pyogrio") for name in names}
    except Exception as error:  # pyogrio raises many types
        said = (str(error).splitlines() or [type(error).__name__])[0]
        raise ConfigError(f"{label} cannot be read as a vector file: {said}") from error


def read_parquet(path: Path) -> GeoDataFrame:
    """The features of a GeoParquet file. Raises ConfigError, MissingExtraError without pyarrow."""
    import geopandas

    if find_spec("pyarrow") is None:
        raise MissingExtraError("pyarrow", "parquet", "reading GeoParquet")
    try:
        return geopandas.read_parquet(path)
    except Exception as error:  # pyarrow raises many types
        said = (str(error).splitlines() or [type(error).__name__])[0]
        raise ConfigError(f"{path} cannot be read as GeoParquet: {said}") from error


def read_near(path: Path, layer: str | None, area: GeoSeries) -> GeoDataFrame:
    """The features of a layer (by default of the first with geometries) whose boxes touch that of ``area``.

    Raises ConfigError where the file or the layer cannot be read, or has no CRS.
    """
    if path.suffix.lower() == PARQUET and path.is_file():
        frame = read_parquet(path)
        if frame.crs is not None:
            west, south, east, north = area.to_crs(frame.crs).total_bounds
            frame = frame.cx[west:east, south:north]
    else:
        check_vector_file(path, label=str(path))
        frame = _read_ogr_near(path.absolute(), layer, area)
    if frame.crs is None:
        raise ConfigError(f"{path} has no CRS; expected one, so that it can be laid over the scene")
    return frame


def read_column(path: Path, layer: str | None, column: str) -> list[Any]:
    """What a column of a layer holds, feature by feature; empty where there is no such column.

    Raises ConfigError as `read_near`.
    """
    if path.suffix.lower() == PARQUET and path.is_file():
        frame = read_parquet(path)
    else:
        check_vector_file(path, label=str(path))
        frame = _read_ogr_near(path.absolute(), layer, None, columns=[column], read_geometry=False)
    return list(frame[column]) if column in frame.columns else []


def _read_ogr_near(path: Path, layer: str | None, area: GeoSeries | None, **options: Any) -> GeoDataFrame:
    import geopandas
    import pyogrio

    try:
        names = [str(name) for name, geometry in pyogrio.list_layers(path) if geometry is not None]
        chosen = layer if layer is not None else (names[0] if names else None)
        if chosen in names:
            has_crs = pyogrio.read_info(path, layer=chosen)["crs"] is not None
            return geopandas.read_file(
                path, layer=chosen, engine="pyogrio", bbox=area if has_crs else None, **options
            )
    except Exception as error:  # pyogrio raises many types
        said = (str(error).splitlines() or [type(error).__name__])[0]
        raise ConfigError(f"{path} cannot be read as a vector file: {said}") from error
    raise ConfigError(
        f"{path} has no layer {layer or 'with geometries'!r}; expected one of {', '.join(names) or '-'}"
    )
