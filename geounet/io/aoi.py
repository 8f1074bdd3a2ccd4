"""Areas of interest: polygons of any vector file, on a scene's grid."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from geounet.errors import ConfigError
from geounet.grid.geobox import GeoBox
from geounet.grid.window import Window

if TYPE_CHECKING:
    from shapely import Geometry


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


def read_area(path: str | Path, geobox: GeoBox) -> Geometry:
    """The union of a file's polygons in the CRS of ``geobox``. Raises ConfigError, see :func:`area_mask`."""
    import geopandas
    from shapely import force_2d, get_type_id, make_valid, union_all

    if geobox.crs is None:
        raise ConfigError(f"--aoi {path}: the scene has no CRS, so nobody can say where the area lies on it")
    try:
        frame = geopandas.read_file(path)
    except Exception as error:  # pyogrio raises many types
        raise ConfigError(f"--aoi {path} cannot be read as a vector file: {str(error).splitlines()[0]}") from error
    if frame.crs is None:
        raise ConfigError(f"--aoi {path} has no CRS; expected one, so that it can be laid over the scene")
    polygons = frame.geometry[get_type_id(frame.geometry.to_numpy()) >= 3]
    if polygons.empty or polygons.is_empty.all():
        raise ConfigError(f"--aoi {path} has no polygons; expected at least one")
    return union_all(make_valid(force_2d(polygons.to_crs(geobox.crs).to_numpy())))
