"""The label raster after cleaning, as a COG: what the polygons show, pixel by pixel."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.errors import NotGeoreferencedWarning
from rasterio.shutil import copy as gdal_copy

from geounet.io.atomic import publish, scratch_folder
from geounet.io.labels import LabelRaster
from geounet.io.levels import gdal
from geounet.io.mosaic import BLOCK
from geounet.io.whole import CheckedRows, verify_blocks

_STRIP = 16
_COG = {
    "compress": "deflate",
    "level": 1,
    "predictor": "no",
    "blocksize": BLOCK,
    "bigtiff": "if_safer",
    "overview_resampling": "mode",
    "warp_resampling": "nearest",
    "num_threads": 1,
}
"""As in geounet.io.cog; overviews are GDAL's, for its labels are of any type."""


class CleanedRows:
    """Takes rows of labels from the top to the bottom."""

    def __init__(self, rows: CheckedRows, raster: LabelRaster) -> None:
        self._rows, self._raster = rows, raster
        self._top = 0

    def write(
        self, labels: NDArray[Any], *, outside: NDArray[np.bool_] | None, rim: NDArray[np.bool_] | None
    ) -> None:
        """Append ``(h, width)`` labels as `geounet.io.labels.Rows` has them, or int32 after cleaning."""
        values = self._raster.pixels_of(labels, outside=outside, rim=rim)
        self._rows.write(self._top, values[None])
        self._top += values.shape[0]


@contextmanager
def write_cleaned(path: str | Path, raster: LabelRaster) -> Iterator[CleanedRows]:
    """A COG with the grid, type, nodata, names and colours of ``raster``; it appears when the body ends well.

    Raises WorkError or OSError where it cannot be written.
    """
    with scratch_folder(path) as folder, publish(path) as temporary:
        staged = folder / "labels.tif"
        with gdal(), warnings.catch_warnings():
            warnings.simplefilter("ignore", NotGeoreferencedWarning)
            with rasterio.open(staged, "w", **_profile(raster)) as file:
                file.update_tags(**raster.tags())
                if raster.colours():
                    file.write_colormap(1, raster.colours())
                rows = CheckedRows(file)
                yield CleanedRows(rows, raster)
            rows.verify(staged)
            gdal_copy(staged, temporary, driver="COG", **_COG)
            verify_blocks(temporary)


def _profile(raster: LabelRaster) -> dict[str, Any]:
    box = raster.geobox
    place = {} if box.crs is None else {"crs": box.crs, "transform": box.affine}
    return {
        "driver": "GTiff",
        "width": box.width,
        "height": box.height,
        "count": 1,
        "dtype": raster.dtype,
        "nodata": raster.fill,
        "blockysize": _STRIP,
        "compress": "deflate",
        "zlevel": 1,
        "bigtiff": "if_safer",
        **place,
    }
