"""Areas of interest: the polygons of a vector file, on a scene's grid."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable
from functools import lru_cache
from glob import escape as glob_escape
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from geounet.errors import ConfigError
from geounet.grid.geobox import GeoBox, parse_crs
from geounet.grid.window import Window
from geounet.io.features import PARQUET, check_vector_file, read_parquet

if TYPE_CHECKING:
    from geopandas import GeoDataFrame, GeoSeries
    from pyproj import CRS
    from shapely import Geometry


AROUND = 64
"""Pixels around an area of interest that are computed too: outlines and centre-lines are drawn from what lies on
both sides of its border, and cut there afterwards."""

AreaMask = Callable[[Window], NDArray[np.bool_]]
"""From a window of a grid to a mask ``(height, width)``."""


def area_mask(path: str | Path, geobox: GeoBox, *, around: int = 0) -> AreaMask:
    """A function from a window of ``geobox`` to a mask ``(height, width)``: True where a pixel touches the area, or
    lies at most ``around`` rows and columns from one that does.

    Raises ConfigError where the file cannot be read, has no polygons, or lies nowhere on the scene.
    """
    from rasterio.features import rasterize
    from rasterio.transform import Affine
    from shapely import affinity, box, intersects, prepare

    to_pixels = ~geobox.affine
    area = affinity.affine_transform(
        read_area(path, geobox),
        [to_pixels.a, to_pixels.b, to_pixels.d, to_pixels.e, to_pixels.c, to_pixels.f],
    )
    prepare(area)
    if not intersects(area, box(0, 0, geobox.width, geobox.height)):
        raise ConfigError(f"--aoi {path}: the area lies outside the scene; check its coordinates and its CRS")

    def mask(window: Window) -> NDArray[np.bool_]:
        burnt = rasterize(
            [area],
            out_shape=(window.height + 2 * around, window.width + 2 * around),
            transform=Affine.translation(window.col_off - around, window.row_off - around),
            all_touched=True,
            dtype="uint8",
        ).astype(bool)
        return _spread(_spread(burnt, around).T, around).T if around else burnt

    return mask


def _spread(mask: NDArray[np.bool_], reach: int) -> NDArray[np.bool_]:
    """``(h - 2 * reach, w)`` of ``(h, w)``: True where some row up to ``reach`` above or below is."""
    sums = np.zeros((mask.shape[0] + 1, mask.shape[1]), np.int32)
    np.cumsum(mask, axis=0, out=sums[1:])
    return np.asarray(sums[2 * reach + 1 :] > sums[: -2 * reach - 1])


def area_key(path: str | Path, crs: str | None) -> str:
    """Hex digest of the area in ``crs``: it names what the area is, not how a file or a folder stores it.

    Raises ConfigError, see :func:`area_mask`.
    """
    return _area_key(Path(path), crs, _state(Path(path)))


@lru_cache(maxsize=8)  # a run asks for it many times
def _area_key(path: Path, crs: str | None, _state: tuple[tuple[str, int, int], ...]) -> str:
    from shapely import normalize, to_wkb

    polygons = _polygons(path, crs, "--aoi")
    own, names = polygons.crs, str(crs)
    if not _same(own, crs):  # corners in another CRS do not say where the edges are, and may be infinite there
        names += f"\0{own.to_wkt()}"
    area = normalize(_union(polygons))
    return hashlib.sha256(f"{names}\0".encode() + to_wkb(area, byte_order=1)).hexdigest()


def _state(path: Path) -> tuple[tuple[str, int, int], ...]:
    """Name, size and time of every file that belongs to a vector file."""
    files = path.iterdir() if path.is_dir() else path.parent.glob(f"{glob_escape(path.stem)}.*")
    stats = ((file.name, file.stat()) for file in files if file.is_file())
    return tuple(sorted((name, stat.st_size, stat.st_mtime_ns) for name, stat in stats))


def read_area(path: str | Path, geobox: GeoBox) -> Geometry:
    """The union of a file's polygons in the CRS of ``geobox``, as often as that goes around the globe.

    Edges are straight in the CRS of the file (RFC 7946, 3.1.1, for GeoJSON): of an area in another CRS than the
    scene's, what lies near the scene is carried there with its edges. Raises ConfigError, see :func:`area_mask`.
    """
    polygons = _polygons(Path(path), geobox.crs, "--aoi")
    crs = parse_crs(geobox.crs or "")
    area = _union(polygons.to_crs(crs)) if _same(polygons.crs, geobox.crs) else _carried(polygons, geobox, path)
    if not crs.is_geographic:
        return area
    return _on_both_sides(area, geobox, turn=2 * math.pi / crs.axis_info[0].unit_conversion_factor)


def _on_both_sides(area: Geometry, geobox: GeoBox, *, turn: float) -> Geometry:
    """An area and, where the scene reaches there, the same area a whole ``turn`` farther east or west.

    A scene over the antimeridian has longitudes beyond 180, or from 0 to 360; a GeoJSON has not (RFC 7946, 3.1.9).
    """
    from shapely import bounds, union_all
    from shapely.affinity import translate

    xs = [(geobox.affine @ (x, y))[0] for x in (0, geobox.width) for y in (0, geobox.height)]
    west, _, east, _ = bounds(area)
    turns = [t for t in (-turn, turn) if west + t < max(xs) and east + t > min(xs)]
    return union_all([area, *(translate(area, t) for t in turns)]) if turns else area


def _read(path: Path, label: str) -> GeoDataFrame:
    import geopandas

    if path.suffix.lower() == PARQUET and path.is_file():
        return read_parquet(path)
    check_vector_file(path, label=f"{label} {path}")
    try:
        layer = _polygon_layer(path.absolute(), label)
        return geopandas.read_file(path.absolute(), layer=layer, engine="pyogrio")
    except ConfigError:
        raise
    except Exception as error:  # pyogrio raises many types
        raise ConfigError(
            f"{label} {path} cannot be read as a vector file: {str(error).splitlines()[0]}"
        ) from error


def _polygon_layer(path: Path, label: str) -> str | None:
    """The layer that may hold polygons; None: the first, where none says so. ConfigError where several do."""
    import pyogrio

    found = [str(name) for name, kind in pyogrio.list_layers(path) if kind is not None and "Polygon" in kind]
    if len(found) > 1:
        raise ConfigError(
            f"{label} {path} has several layers of polygons ({', '.join(found)}), and nobody says which is meant; "
            "write that one to a file of its own"
        )
    return found[0] if found else None


def _same(own: CRS, crs: str | None) -> bool:
    """Whether coordinates mean the same in both, so that straight is straight."""
    return own.equals(parse_crs(crs or ""), ignore_axis_order=True)


def _carried(polygons: GeoSeries, geobox: GeoBox, path: str | Path) -> Geometry:
    """The union of polygons, as far as it lies near the scene, in the scene's CRS."""
    import shapely
    from pyproj.exceptions import ProjError

    from geounet.io.areas import valid_areas
    from geounet.io.carried import Torn, carried, near

    try:
        area = near(_union(polygons), polygons.crs, geobox)
        parts = shapely.get_parts(area)
        parts = parts[shapely.get_dimensions(parts) == 2]
        return shapely.union_all(valid_areas(carried(parts, polygons.crs, geobox))) if parts.size else area
    except (Torn, ProjError) as error:
        raise ConfigError(
            f"--aoi {path} cannot be brought from its CRS ({polygons.crs.name}) into the scene's: "
            f"{str(error).splitlines()[0]}; give a smaller area, or one in the scene's CRS"
        ) from error


def read_polygons(path: Path, crs: str | None, *, label: str = "--aoi") -> Geometry:
    """The union of a file's polygons, with their corners brought to a CRS. Raises ConfigError, led by ``label``."""
    return _union(_polygons(path, crs, label).to_crs(crs))


def _union(polygons: GeoSeries) -> Geometry:
    from shapely import force_2d, union_all

    from geounet.io.areas import valid_areas

    return union_all(valid_areas(force_2d(polygons.to_numpy())))


def _polygons(path: Path, crs: str | None, label: str) -> GeoSeries:
    """A file's polygons, in its own CRS, to be laid over a scene of ``crs``."""
    from shapely import get_type_id

    if crs is None:
        raise ConfigError(f"{label} {path}: the scene has no CRS, so nobody can say where the area lies on it")
    frame = _read(path, label)
    if frame.crs is None:
        raise ConfigError(f"{label} {path} has no CRS; expected one, so that it can be laid over the scene")
    polygons = frame.geometry[get_type_id(frame.geometry.to_numpy()) >= 3]
    if polygons.empty or polygons.is_empty.all():
        raise ConfigError(f"{label} {path} has no polygons; expected at least one")
    return polygons
