"""Vectors as GeoDataFrames, and arrays as rasters: the door for those who work in Python."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from affine import Affine
from numpy.typing import NDArray

from geounet.errors import ConfigError, SceneError
from geounet.grid.geobox import IDENTITY
from geounet.io.staging import write_array
from geounet.io.vectors import SUFFIXES

if TYPE_CHECKING:
    from geopandas import GeoDataFrame

_BEST_FIRST = ("parquet", "gpkg", "fgb", "geojson", "geojsonseq", "geojsons", "shp")
"""Formats to read a layer from: the scene's own coordinates before degrees, the faster before the slower.

A Shapefile is the last, as it cuts the names of attributes.
"""


def frame_of(labels: str | Path, **options: Any) -> GeoDataFrame:
    """The polygons of a label raster in its own CRS, indexed from 0; nothing is left on disk.

    Options are those of `geounet.run.vectorize.vectorize` but for output and formats (ConfigError).
    """
    from geounet.run.vectorize import vectorize

    clash = {"formats", "overwrite"} & set(options) - ({"overwrite"} if "cleaned" in options else set())
    if clash:
        raise ConfigError(f"{clash.pop()} belongs to files; give an output, or leave it out")
    for name in ("lines", "regularize"):
        if options.get(name) not in (None, False):
            raise ConfigError(f"{name} makes a layer beside the polygons; give an output")
    with tempfile.TemporaryDirectory(prefix="geounet-") as folder:
        path = Path(folder) / "polygons.gpkg"
        vectorize(labels, output=path, formats=("gpkg",), **options)
        return _read(path, path.stem)


@contextmanager
def raster_of(
    array: NDArray[Any], *, transform: Any, crs: Any, nodata: float | None, floats: bool
) -> Iterator[Path]:
    """An array ``(height, width)`` as a raster file, for as long as the body runs. SceneError for another shape.

    What is masked is nodata. ``floats``: whether it may hold probabilities (SceneError). ConfigError for a CRS
    without a transform, or the other way round, and for a transform that cannot be meant.
    """
    if (transform is None) != (crs is None):
        given, lacking = ("crs", "transform") if transform is None else ("transform", "crs")
        raise ConfigError(
            f"{given} without {lacking} says not where an array lies; give both, or neither for pixels"
        )
    if transform is not None:
        _check_transform(transform)
    data, nodata = _unmasked(array, nodata)
    if data.ndim != 2 or not data.size:
        raise SceneError(f"an array of shape {data.shape}; expected (height, width)")
    if data.dtype.kind == "f" and not floats:
        raise SceneError(
            f"an array of {data.dtype}; expected whole numbers (uint8 to int32), one per class: "
            "convert it (array.astype('int32')), or cut probabilities with threshold"
        )
    with tempfile.TemporaryDirectory(prefix="geounet-") as folder:
        yield write_array(Path(folder) / "labels.tif", data, transform=transform, crs=crs, nodata=nodata)


def _check_transform(transform: Any) -> None:
    """Refuse what is no affine of a place. GDAL's order is told as rasterio tells it (rasterio.transform)."""
    from rasterio.transform import tastes_like_gdal

    try:
        found = tuple(float(number) for number in tuple(transform)[:6])
        a, b, _, d, e, _ = found
    except (TypeError, ValueError) as error:
        raise ConfigError(f"transform {transform!r} is no affine; expected Affine(a, b, c, d, e, f)") from error
    if not isinstance(transform, Affine) and tastes_like_gdal(found):
        raise ConfigError(f"transform {found} is in GDAL's order; expected an affine: Affine.from_gdal(*transform)")
    if not all(map(math.isfinite, found)) or a * e - b * d == 0:
        raise ConfigError(f"transform {found} maps the plane to a line or a point; expected an affine of a place")
    if found == IDENTITY:
        raise ConfigError(
            "transform is the identity, which stands for no place; leave out transform and crs for pixels, or say "
            "where the array lies"
        )


def _unmasked(array: Any, nodata: float | None) -> tuple[NDArray[Any], float | None]:
    """The values of an array, with nodata (given, or a value that it lacks) where it is masked."""
    mask = np.ma.getmaskarray(array) if isinstance(array, np.ma.MaskedArray) else np.zeros(0, bool)
    data = np.asarray(array)
    if not mask.any():
        return data, nodata
    data = data.astype(np.uint8) if data.dtype == bool else data
    if nodata is None:
        nodata = _unused(data[~mask], data.dtype)
    return np.where(mask, np.asarray(nodata, data.dtype), data), nodata


def _unused(values: NDArray[Any], dtype: np.dtype[Any]) -> float:
    """A value of a type that is none of ``values``. Raises SceneError where every one is."""
    if dtype.kind == "f":
        return float("nan")
    limits = np.iinfo(np.int32 if dtype.itemsize == 8 else dtype)
    taken = set(np.unique(values).tolist())
    free = next((v for v in range(int(limits.max), int(limits.min) - 1, -1) if v not in taken), None)
    if free is None:
        raise SceneError(f"a masked array of {dtype} that uses every value; give one of a larger type")
    return float(free)


class Layers(Mapping[str, "GeoDataFrame"]):
    """Vector layers by name, read when they are asked for, and then kept."""

    def __init__(self, paths: Mapping[str, Path]) -> None:
        self._paths: dict[str, Path] = {}
        self._frames: dict[str, GeoDataFrame] = {}
        suffixes = [SUFFIXES[name] for name in _BEST_FIRST]
        for suffix in reversed(suffixes):
            for path in (p for p in paths.values() if p.suffix == suffix):
                self._paths |= dict.fromkeys(_layers_in(path), path)
        self._paths = dict(sorted(self._paths.items()))

    def __getitem__(self, name: str) -> GeoDataFrame:
        if name not in self._frames:
            self._frames[name] = _read(self._paths[name], name)
        return self._frames[name]

    def path(self, name: str) -> Path:
        """The file from which a layer is read. Raises KeyError where there is none of that name."""
        return self._paths[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._paths)

    def __len__(self) -> int:
        return len(self._paths)

    def __repr__(self) -> str:
        return f"Layers({', '.join(self._paths)})"


def _layers_in(path: Path) -> list[str]:
    """Names of the layers of a file; only a GeoPackage has several."""
    if path.suffix != ".gpkg":
        return [path.stem]
    import pyogrio

    return [name for name, kind in pyogrio.list_layers(path).tolist() if kind is not None]


def _read(path: Path, name: str) -> GeoDataFrame:
    """The layer ``name`` of a file."""
    import geopandas

    if path.suffix == ".parquet":
        return geopandas.read_parquet(path)
    layer = {"layer": name} if path.suffix == ".gpkg" else {}
    frame = geopandas.read_file(path, engine="pyogrio", **layer)
    parts = frame.geometry.count_geometries()
    if (parts == 1).any():  # GeoPackage calls every area a multipolygon; most are one
        frame.loc[parts == 1, frame.geometry.name] = frame.geometry[parts == 1].explode(index_parts=False)
    return frame
