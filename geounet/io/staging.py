"""Arrays as rasters, so that whatever reads files reads them too."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from affine import Affine
from numpy.typing import NDArray
from rasterio.errors import NotGeoreferencedWarning, RasterioError

from geounet.errors import SceneError


def write_array(path: Path, data: NDArray[Any], *, transform: Any, crs: Any, nodata: float | None) -> Path:
    """Write ``(height, width)`` as an uncompressed GeoTIFF. SceneError for a type or a place that cannot be."""
    data = data.astype(np.uint8) if data.dtype == bool else data
    data = data.astype(data.dtype.newbyteorder("="), copy=False)  # GDAL has no name for another order of bytes
    if data.dtype in (np.int64, np.uint64):
        low, high = int(data.min()), int(data.max())
        if not np.iinfo(np.int32).min <= low <= high <= np.iinfo(np.int32).max:
            raise SceneError(
                f"an array of {data.dtype} with values from {low} to {high}; expected them to fit int32"
            )
        data = data.astype(np.int32)
    if data.dtype == np.float16:
        raise SceneError("an array of float16; expected float32 or float64: convert it (array.astype('float32'))")
    place = {} if transform is None else {"transform": Affine(*tuple(transform)[:6]), "crs": crs}
    height, width = data.shape
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", NotGeoreferencedWarning)
            with rasterio.open(
                path, "w", driver="GTiff", height=height, width=width, count=1, dtype=data.dtype, nodata=nodata,
                bigtiff="if_safer", **place,
            ) as file:  # fmt: skip
                file.write(data, 1)
    except (RasterioError, TypeError, ValueError) as error:
        raise SceneError(f"an array of {data.dtype} cannot become a raster: {error}") from error
    return path
