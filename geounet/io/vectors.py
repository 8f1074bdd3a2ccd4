"""Vector files out: every format from the same chunks of features, each whole or not at all."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from geounet.errors import ConfigError, MissingExtraError
from geounet.io.atomic import publish
from geounet.io.shapes import Features

if TYPE_CHECKING:  # it brings numba, which a plan does not need
    from geounet.io.ground import Ground

SUFFIXES: Mapping[str, str] = {
    "geojson": ".geojson",
    "geojsonseq": ".geojsonl",
    "gpkg": ".gpkg",
    "fgb": ".fgb",
    "parquet": ".parquet",
}
"""Formats by name, and the suffix of their files."""


class Writer(Protocol):
    """Takes chunks of features in order."""

    def write(self, features: Features) -> None:
        """Append a chunk."""

    def close(self) -> None:
        """End the file."""


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
    paths: Mapping[str, Path], *, layer: str, ground: Ground, style: str | None = None
) -> Iterator[dict[str, Writer]]:
    """Writers for ``paths`` by format; the files appear when the body has ended well, and not otherwise.

    ``style``: QML of the layer, for formats that have a place for it.
    """
    with ExitStack() as stack:
        writers: dict[str, Writer] = {}
        for name, path in paths.items():
            temporary = stack.enter_context(publish(path))
            writers[name] = _writer(name, temporary, layer, ground, stack, style)
        yield writers
        for writer in writers.values():
            writer.close()


def _writer(  # noqa: PLR0917
    name: str, path: Path, layer: str, ground: Ground, stack: ExitStack, style: str | None
) -> Writer:
    if name in ("geojson", "geojsonseq"):
        from geounet.io.geojson import GeoJsonWriter

        file = stack.enter_context(path.open("wb"))
        return GeoJsonWriter(file, name=layer, ground=ground, lines=name == "geojsonseq")
    if name == "gpkg":
        return OgrWriter(path, driver="GPKG", layer=layer, crs=ground.geobox.crs, append=True, style=style)
    if name == "fgb":
        from geounet.io.flatgeobuf import FlatGeobufWriter

        return FlatGeobufWriter(path, name=layer, crs=ground.geobox.crs)
    return ParquetWriter(path, crs=ground.geobox.crs)


class OgrWriter:
    """Writes through GDAL, in the scene's CRS. A driver that cannot append gets all features at the end."""

    def __init__(
        self, path: Path, *, driver: str, layer: str, crs: str | None, append: bool, style: str | None = None
    ) -> None:
        self._path = path
        self._style = style
        self._options: dict[str, Any] = {"driver": driver, "layer": layer, "crs": crs}
        self._append = append
        self._waiting: list[tuple[NDArray[np.object_], dict[str, NDArray[Any]]]] = []
        self._begun = False

    def write(self, features: Features) -> None:
        """Append a chunk of features."""
        import shapely

        wkb = np.asarray(shapely.to_wkb(features.shapes.to_shapely()), object)
        if self._append:
            self._flush(wkb, features.columns())
        else:
            self._waiting.append((wkb, features.columns()))

    def close(self) -> None:
        """Write what waits; a layer without a feature is written too."""
        if self._waiting:
            geometries = np.concatenate([w for w, _ in self._waiting])
            names = self._waiting[0][1]
            columns = {n: np.concatenate([c[n] for _, c in self._waiting]) for n in names}
            self._waiting = []
            self._flush(geometries, columns)
        elif not self._begun:
            self._flush(np.empty(0, object), _NO_COLUMNS)
        if self._style is not None:
            self._write_style(self._style)

    def _write_style(self, qml: str) -> None:
        """The table in which QGIS looks for a layer's style (QgsOgrProvider::saveStyle, ``layer_styles``)."""
        import pandas as pd
        import pyogrio

        row = {
            "f_table_catalog": "",
            "f_table_schema": "",
            "f_table_name": self._options["layer"],
            "f_geometry_column": "geom",
            "styleName": self._options["layer"],
            "styleQML": qml,
            "styleSLD": "",
            "useAsDefault": True,
        }
        pyogrio.write_dataframe(pd.DataFrame([row]), self._path, layer="layer_styles", driver="GPKG")

    def _flush(self, wkb: NDArray[np.object_], columns: dict[str, NDArray[Any]]) -> None:
        import warnings

        from pyogrio.raw import write

        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="'crs' was not provided")
            write(
                self._path,
                geometry=wkb,
                field_data=list(columns.values()),
                fields=list(columns),
                geometry_type="MultiPolygon",
                promote_to_multi=True,
                append=self._begun,
                **self._options,
            )
        self._begun = True


_NO_COLUMNS: dict[str, NDArray[Any]] = {
    "id": np.empty(0, np.int64),
    "class": np.empty(0, np.int64),
    "name": np.empty(0, object),
    "area_m2": np.empty(0, np.float64),
}


class ParquetWriter:
    """GeoParquet through geopandas and pyarrow, in the scene's CRS; holds all features until the end."""

    def __init__(self, path: Path, *, crs: str | None) -> None:
        self._path = path
        self._crs = crs
        self._chunks: list[Features] = []

    def write(self, features: Features) -> None:
        """Keep a chunk of features."""
        self._chunks.append(features)

    def close(self) -> None:
        """Write the file."""
        import geopandas
        import pandas as pd

        frames = [
            geopandas.GeoDataFrame(f.columns(), geometry=f.shapes.to_shapely(), crs=self._crs) for f in self._chunks
        ]
        empty = geopandas.GeoDataFrame(_NO_COLUMNS, geometry=[], crs=self._crs)
        frame = pd.concat(frames, ignore_index=True) if frames else empty
        frame.to_parquet(self._path)
