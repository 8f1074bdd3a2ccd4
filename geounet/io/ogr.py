"""GeoPackage, ESRI Shapefile, and FlatGeobuf of lines and points, written by GDAL in the scene's CRS by chunks."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geounet.errors import WorkError
from geounet.io.atomic import scratch_folder, sync
from geounet.io.shapes import Features
from geounet.io.wkb import multipolygons
from geounet.io.writing import ChunkWriter

Style = Callable[[], str | None]
"""Tells the QML of a layer once its features are known."""

_ANY_DAY = "2000-01-01T00:00:00.000Z"
"""What a GeoPackage says of its last change: the bytes shall not depend on the hour."""
_day_lock = threading.Lock()
_inside = 0
_before: str | None = None
SHAPEFILE_LIMIT = 2**31 - 1
"""Bytes of a ``.shp`` or ``.dbf``: beyond, many readers fail (GDAL, ESRI Shapefile driver, "Size Issues")."""
SHAPEFILE_SIDECARS = (".shx", ".dbf", ".cpg", ".prj")


class OgrWriter(ChunkWriter):
    """Writes a layer through GDAL; a layer without a feature is written too."""

    def __init__(
        self,
        path: Path,
        *,
        driver: str,
        layer: str,
        crs: str | None,
        style: Style | None = None,
        kind: str = "MultiPolygon",
    ) -> None:
        self._path = path
        self._style = style
        self._options: dict[str, Any] = {
            "driver": driver,
            "layer": layer,
            "crs": crs,
            "geometry_type": kind,
            "promote_to_multi": kind.startswith("Multi"),
        }
        self._begun = False

    def pack(self, features: Features) -> Any:
        """Geometries and attributes of a chunk, on any thread."""
        blob, begins = multipolygons(features.on_map())
        text = blob.data
        wkb = np.empty(begins.size - 1, object)
        wkb[:] = [bytes(text[a:b]) for a, b in zip(begins[:-1].tolist(), begins[1:].tolist(), strict=True)]
        return wkb, features.columns()

    def append(self, packed: Any) -> None:
        """Append the next chunk."""
        if not self._begun or packed[0].size:
            self.put(*packed)

    def close(self) -> None:
        """Write the style, where the format has a place for it."""
        style = None if self._style is None else self._style()
        if style is not None:
            with _same_day(), _room_wanted():
                self._write_style(style)

    def put(self, wkb: NDArray[np.object_], columns: dict[str, NDArray[Any]]) -> None:
        """Append features: their geometries and attributes ``(n,)``."""
        import warnings

        from pyogrio.raw import write

        with warnings.catch_warnings(), _same_day(), _room_wanted():
            warnings.filterwarnings("ignore", message="'crs' was not provided")
            write(
                self._path,
                geometry=wkb,
                field_data=list(columns.values()),
                fields=list(columns),
                append=self._begun,
                **self._options,
            )
        self._begun = True

    def _write_style(self, qml: str) -> None:
        """The table in which QGIS looks for a layer's style (QgsOgrProvider::saveStyle, ``layer_styles``)."""
        import pandas as pd
        import pyogrio

        layer = self._options["layer"]
        row = {
            "f_table_catalog": "",
            "f_table_schema": "",
            "f_table_name": layer,
            "f_geometry_column": "geom",
            "styleName": layer,
            "styleQML": qml,
            "styleSLD": "",
            "useAsDefault": True,
            "description": "",
            "owner": "",
            "ui": "",
            "update_time": pd.Timestamp(_ANY_DAY).tz_localize(None),
        }
        there = "layer_styles" in pyogrio.list_layers(self._path)[:, 0]
        pyogrio.write_dataframe(pd.DataFrame([row]), self._path, layer="layer_styles", driver="GPKG", append=there)


class ShapefileWriter(OgrWriter):
    """A Shapefile: names of ten characters, and two gigabytes a file at most."""

    def __init__(self, path: Path, *, layer: str, crs: str | None, kind: str = "MultiPolygon") -> None:
        super().__init__(path, driver="ESRI Shapefile", layer=layer, crs=crs, kind=kind)
        self._options |= {"encoding": "UTF-8", "layer_options": {"2GB_LIMIT": "YES"}}
        self._short: dict[str, str] = {}

    @property
    def warnings(self) -> list[str]:
        """What the format cannot hold, in one line."""
        cut = ", ".join(f"{name} is {short}" for name, short in self._short.items() if name != short)
        names = f"field names have 10 characters ({cut}), " if cut else ""
        return [
            f"ESRI Shapefile: {names}a file has 2 GB at most, text is UTF-8 (.cpg); GeoPackage has no such limits"
        ]

    def put(self, wkb: NDArray[np.object_], columns: dict[str, NDArray[Any]]) -> None:
        """Append features: their geometries and attributes ``(n,)``."""
        self._short = short_names(list(columns))
        try:
            super().put(wkb, {self._short[name]: _storable(column) for name, column in columns.items()})
        except (RuntimeError, WorkError) as error:
            raise WorkError(f"the Shapefile cannot take more ({error}); choose --format gpkg or fgb") from None
        for path in (self._path, self._path.with_suffix(".dbf")):
            if (size := path.stat().st_size) > SHAPEFILE_LIMIT:
                raise WorkError(
                    f"the Shapefile's {path.suffix} would have {size:,} bytes or more, and {SHAPEFILE_LIMIT:,} is "
                    "the most that the format can hold; choose --format gpkg or fgb"
                )


def short_names(names: list[str]) -> dict[str, str]:
    """Names of at most ten bytes, all different also in capitals: cut, and numbered where cuts collide."""
    out: dict[str, str] = {}
    taken: set[str] = set()
    for name in names:
        short, number = _cut(name, 10), 1
        while short.upper() in taken:
            short = f"{_cut(name, 9 - len(str(number)))}_{number}"
            number += 1
        taken.add(short.upper())
        out[name] = short
    return out


def _cut(name: str, size: int) -> str:
    return name.encode()[:size].decode(errors="ignore")


def _storable(column: NDArray[Any]) -> NDArray[Any]:
    """Truth values as 0 and 1, which every reader of a DBF understands."""
    return column.astype(np.int32) if column.dtype.kind == "b" else column


@contextmanager
def publish_shapefile(path: Path) -> Iterator[Path]:
    """Yield a temporary path; when the body ends well, its files come beside ``path``, the ``.shp`` as the last."""
    with scratch_folder(path) as folder:
        temporary = folder / f"{path.stem}.shp"
        yield temporary
        for suffix in (*SHAPEFILE_SIDECARS, ".shp"):
            made = temporary.with_suffix(suffix)
            if made.exists():
                sync(made)
                made.replace(path.with_suffix(suffix))
            else:  # of an older Shapefile of that name
                path.with_suffix(suffix).unlink(missing_ok=True)
        sync(path.parent)


@contextmanager
def _room_wanted() -> Iterator[None]:
    """GDAL tells of a full disk, and of a file that may not grow, as of any file that it cannot write."""
    from pyogrio.errors import DataLayerError, DataSourceError, FeatureError

    try:
        yield
    except (DataSourceError, DataLayerError, FeatureError) as error:
        raise WorkError(
            f"the layer cannot be written ({error}); free some space and run the same command again"
        ) from None


@contextmanager
def _same_day() -> Iterator[None]:
    """GDAL takes a fixed date for the present while any thread is inside; then what the program had."""
    import pyogrio

    global _inside, _before  # noqa: PLW0603  the date is the process's, so is the count of who wants it fixed
    with _day_lock:
        _inside += 1
        if _inside == 1:
            _before = pyogrio.get_gdal_config_option("OGR_CURRENT_DATE")
            pyogrio.set_gdal_config_options({"OGR_CURRENT_DATE": _ANY_DAY})
    try:
        yield
    finally:
        with _day_lock:
            _inside -= 1
            if _inside == 0:
                pyogrio.set_gdal_config_options({"OGR_CURRENT_DATE": _before})
