"""Vector files out: every format from the same chunks of features, each whole or not at all."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from geounet.errors import ConfigError, MissingExtraError
from geounet.io.atomic import publish
from geounet.io.writing import ChunkWriter

if TYPE_CHECKING:  # it brings numba, which a plan does not need
    from geounet.io.ground import Ground

SUFFIXES: Mapping[str, str] = {
    "geojson": ".geojson",
    "geojsonseq": ".geojsonl",
    "geojsons": ".geojsons",
    "gpkg": ".gpkg",
    "fgb": ".fgb",
    "parquet": ".parquet",
    "shp": ".shp",
}
"""Formats by name, and the suffix of their files (of a Shapefile the one that is opened)."""

GEOJSON = ("geojson", "geojsonseq", "geojsons")
"""Text in longitude and latitude: a collection; a feature in each line; the same with record separators."""

SORTING = frozenset({"fgb"})
"""Formats whose writers take features in any order, and sort and number them at the end."""


def format_of(output: str | Path | None) -> str:
    """The format that the name of a file asks for; GeoJSON where it says nothing."""
    text = "" if output is None else str(output).lower()
    return next((name for name, suffix in SUFFIXES.items() if text.endswith(suffix)), "geojson")


def check_formats(formats: Sequence[str]) -> tuple[str, ...]:
    """The formats, each once. Raises ConfigError for an unknown one, MissingExtraError for a missing library."""
    import difflib

    for name in formats:
        if name not in SUFFIXES:
            near = difflib.get_close_matches(name, SUFFIXES, n=1)
            hint = f"did you mean {near[0]}? " if near else ""
            raise ConfigError(f"vector format {name!r} is not known; {hint}expected {', '.join(SUFFIXES)}")
        if name == "parquet" and find_spec("pyarrow") is None:
            raise MissingExtraError("pyarrow", "parquet", "writing GeoParquet")
    if not formats:
        raise ConfigError(f"no vector format given; expected one of {', '.join(SUFFIXES)}")
    return tuple(dict.fromkeys(formats))


@contextmanager
def open_writers(
    paths: Mapping[str, Path],
    *,
    layer: str,
    ground: Ground,
    style: Callable[[], str | None] | None = None,
    container: Path | None = None,
    numbered: bool = True,
) -> Iterator[dict[str, ChunkWriter]]:
    """Writers for ``paths`` by format; the files appear when the body has ended well, and not otherwise.

    ``style`` tells the QML of the layer at the end, for formats that have a place for it. ``container``: a
    GeoPackage in the making that takes the layer instead of a file of its own. ``numbered``: features come in order
    with their numbers as ``id``; otherwise all formats are `SORTING` ones, and ``id`` is what they sort by.
    """
    with ExitStack() as stack:
        writers: dict[str, ChunkWriter] = {}
        for name, path in paths.items():
            if name == "gpkg" and container is not None:
                temporary = container
            else:
                temporary = stack.enter_context(publish_vectors(name, path))
            writers[name] = _writer(name, temporary, layer, ground, stack, style, numbered)
        yield writers
        for writer in writers.values():
            writer.close()


def publish_vectors(name: str, path: Path) -> AbstractContextManager[Path]:
    """A temporary path for a file of the format ``name``; it appears whole, with its sidecars, or not at all."""
    if name != "shp":
        return publish(path)
    from geounet.io.ogr import publish_shapefile

    return publish_shapefile(path)


def _writer(  # noqa: PLR0917
    name: str,
    path: Path,
    layer: str,
    ground: Ground,
    stack: ExitStack,
    style: Callable[[], str | None] | None,
    numbered: bool,
) -> ChunkWriter:
    crs = ground.geobox.crs
    if name in GEOJSON:
        from geounet.io.geojson import GeoJsonWriter

        file = stack.enter_context(path.open("wb"))
        lines = name != "geojson"
        return GeoJsonWriter(file, name=layer, ground=ground, lines=lines, separators=name == "geojsons")
    if name == "fgb":
        from geounet.io.flatgeobuf import FlatGeobufWriter

        return FlatGeobufWriter(path, name=layer, crs=crs, numbered=numbered)
    if name == "parquet":
        from geounet.io.parquet import ParquetWriter

        return ParquetWriter(path, crs=crs)
    from geounet.io.ogr import OgrWriter, ShapefileWriter

    if name == "shp":
        return ShapefileWriter(path, layer=path.stem, crs=crs)
    return OgrWriter(path, driver="GPKG", layer=layer, crs=crs, style=style)


def files_of(name: str, stem: str, *, has_crs: bool) -> list[str]:
    """Names of all files that make up a layer in the format ``name``, the one to open first."""
    if name != "shp":
        return [stem + SUFFIXES[name]]
    sidecars = (".shx", ".dbf", ".cpg", *((".prj",) if has_crs else ()))
    return [stem + suffix for suffix in (".shp", *sidecars)]
