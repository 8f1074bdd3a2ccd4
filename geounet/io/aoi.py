"""Areas of interest: the polygons of a vector file, on a scene's grid.

OGR opens whatever it takes a file for, and some of it reads on elsewhere: an OGR VRT names files and URLs, a
GML file a schema to fetch. pyogrio cannot be told which driver to take, so a file is looked at here first.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import lru_cache
from glob import escape as glob_escape
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from geounet.errors import ConfigError
from geounet.grid.geobox import GeoBox
from geounet.grid.window import Window

if TYPE_CHECKING:
    from shapely import Geometry

_BEGINNINGS: dict[str, tuple[bytes, ...]] = {
    ".geojson": (b"{",),
    ".json": (b"{",),
    ".geojsonl": (b"{", b"\x1e"),
    ".gpkg": (b"SQLite format 3\0",),
    ".fgb": (b"fgb\x03",),
    ".shp": (b"\0\0\x27\x0a",),
    ".kml": (b"<",),
}
"""First bytes of the files that are read, by suffix; a ``.gdb`` is a folder."""
_ELSEWHERE = (b"<OGRVRT", b"gdal_streamed_alg")
"""What makes OGR take a file for a recipe that reads other files, wherever in the beginning it stands."""
_EXPECTED = "GeoJSON, GeoPackage, FlatGeobuf, Shapefile, KML or a .gdb folder"


def area_mask(path: str | Path, geobox: GeoBox) -> Callable[[Window], NDArray[np.bool_]]:
    """A function from a window of ``geobox`` to a mask ``(height, width)``: True where a pixel touches the area.

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
            out_shape=window.shape,
            transform=Affine.translation(window.col_off, window.row_off),
            all_touched=True,
            dtype="uint8",
        )
        return burnt.astype(bool)

    return mask


def area_key(path: str | Path, crs: str | None) -> str:
    """Hex digest of the area in ``crs``: it names what the area is, not how a file or a folder stores it.

    Raises ConfigError, see :func:`area_mask`.
    """
    return _area_key(Path(path), crs, _state(Path(path)))


@lru_cache(maxsize=8)  # a run asks for it many times
def _area_key(path: Path, crs: str | None, _state: tuple[tuple[str, int, int], ...]) -> str:
    from shapely import normalize, to_wkb

    area = normalize(_read(path, crs))
    return hashlib.sha256(f"{crs}\0".encode() + to_wkb(area, byte_order=1)).hexdigest()


def _state(path: Path) -> tuple[tuple[str, int, int], ...]:
    """Name, size and time of every file that belongs to a vector file."""
    files = path.iterdir() if path.is_dir() else path.parent.glob(f"{glob_escape(path.stem)}.*")
    stats = ((file.name, file.stat()) for file in files if file.is_file())
    return tuple(sorted((name, stat.st_size, stat.st_mtime_ns) for name, stat in stats))


def read_area(path: str | Path, geobox: GeoBox) -> Geometry:
    """The union of a file's polygons in the CRS of ``geobox``. Raises ConfigError, see :func:`area_mask`."""
    return _read(Path(path), geobox.crs)


def _read(path: Path, crs: str | None) -> Geometry:
    import geopandas
    from shapely import force_2d, get_type_id, make_valid, union_all

    if crs is None:
        raise ConfigError(f"--aoi {path}: the scene has no CRS, so nobody can say where the area lies on it")
    _check_kind(path)
    try:
        frame = geopandas.read_file(path.absolute(), engine="pyogrio")
    except Exception as error:  # pyogrio raises many types
        raise ConfigError(f"--aoi {path} cannot be read as a vector file: {str(error).splitlines()[0]}") from error
    if frame.crs is None:
        raise ConfigError(f"--aoi {path} has no CRS; expected one, so that it can be laid over the scene")
    polygons = frame.geometry[get_type_id(frame.geometry.to_numpy()) >= 3]
    if polygons.empty or polygons.is_empty.all():
        raise ConfigError(f"--aoi {path} has no polygons; expected at least one")
    return union_all(make_valid(force_2d(polygons.to_crs(crs).to_numpy())))


def _check_kind(path: Path) -> None:
    """Refuse what is none of the formats, or a recipe in disguise. Raises ConfigError."""
    if path.is_dir() and path.suffix.lower() == ".gdb":
        return
    if not path.is_file():
        raise ConfigError(f"--aoi {path} cannot be read as a vector file: there is no such file; check the path")
    beginnings = _BEGINNINGS.get(path.suffix.lower())
    if beginnings is None:
        raise ConfigError(f"--aoi {path} is no vector file that geounet reads; expected {_EXPECTED}")
    try:
        with path.open("rb") as file:
            head = file.read(65536)
    except OSError as error:
        raise ConfigError(f"--aoi {path} cannot be read as a vector file: {error.strerror}") from error
    if any(word in head for word in _ELSEWHERE):
        raise ConfigError(f"--aoi {path} points at other files; give the polygons themselves")
    if not head.removeprefix(b"\xef\xbb\xbf").lstrip(b" \t\r\n").startswith(beginnings):
        raise ConfigError(
            f"--aoi {path} cannot be read as a vector file: it is not what its suffix says; expected {_EXPECTED}"
        )
