"""A small picture of a scene, out of its overviews where it has them."""

from __future__ import annotations

from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.enums import Resampling
from rasterio.windows import Window as RasterioWindow

from geounet.grid.window import Window
from geounet.io.gdal import gdal_env
from geounet.io.scene import Scene

_AT_ONCE = 8 << 20
"""Bytes that are read at a time."""


def scene_thumbnail(
    scene: Scene, *, window: Window, shape: tuple[int, int]
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Pixels ``(bands, *shape)`` and validity of a window of the scene's native grid, by nearest neighbour."""
    raster = scene.rasters[0]
    if len(scene.rasters) == 1 and raster.dataset.overviews(raster.indexes[0]):
        box = RasterioWindow(window.col_off, window.row_off, window.width, window.height)
        how: dict[str, Any] = {"window": box, "resampling": Resampling.nearest}
        with gdal_env(remote=raster.source.remote), rasterio.Env(GDAL_NUM_THREADS="ALL_CPUS"):
            data = raster.dataset.read(raster.indexes, out_shape=(len(raster.indexes), *shape), **how)
            valid = raster.dataset.dataset_mask(out_shape=shape, **how) > 0
        return data.astype(np.float32), valid
    return _row_by_row(scene, window, shape)


def _row_by_row(
    scene: Scene, window: Window, shape: tuple[int, int]
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Every n-th row, top to bottom, so that each block of the file is decoded once; near ones in one read."""
    rows = ((np.arange(shape[0]) + 0.5) * window.height / shape[0]).astype(int) + window.row_off
    cols = ((np.arange(shape[1]) + 0.5) * window.width / shape[1]).astype(int)
    data = np.zeros((scene.count, *shape), np.float32)
    valid = np.zeros(shape, bool)
    high = _rows_at_once(scene, window, step=window.height / shape[0])
    first = 0
    while first < len(rows):
        last = int(np.searchsorted(rows, rows[first] + high))
        top, picked = int(rows[first]), rows[first:last] - rows[first]
        strip = scene.read_native(Window(top, window.col_off, int(picked[-1]) + 1, window.width))
        data[:, first:last] = strip.data[:, picked][..., cols]
        valid[first:last] = strip.valid[picked][:, cols]
        first = last
    return data, valid


def _rows_at_once(scene: Scene, window: Window, *, step: float) -> int:
    """Rows to read together; where blocks are lower than the step, those between would be decoded for nothing."""
    if step > max(4, scene.block_shape[0]):
        return 1
    return max(1, _AT_ONCE // (window.width * scene.count * np.dtype(scene.dtype).itemsize))
