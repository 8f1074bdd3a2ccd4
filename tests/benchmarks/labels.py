"""Label rasters to vectorize: six classes, smooth and noisy, the same on every machine."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tests.benchmarks import material

SIZE = 8000
_CLASSES = 6
_CELLS = (256, 64, 16)
"""Pixels between the knots of three octaves of noise, each half as strong as the one before."""
_FLIPPED = 0.01


def smooth(size: int, *, seed: int = 7) -> NDArray[np.uint8]:
    """Patches as a land-use network draws them: interpolated noise, cut at its quantiles."""
    rng = np.random.default_rng(seed)
    heights = np.zeros((size, size), np.float32)
    for octave, cell in enumerate(_CELLS):
        heights += 0.5**octave * _interpolated(rng.standard_normal((size // cell + 2,) * 2), size, cell)
    cuts = np.quantile(heights[::16, ::16], np.arange(1, _CLASSES) / _CLASSES)
    return np.digitize(heights, cuts).astype(np.uint8)


def noisy(size: int, *, seed: int = 7) -> NDArray[np.uint8]:
    """The same with one pixel in a hundred of any class: half a million polygons at 8000²."""
    rng = np.random.default_rng(seed + 1)
    labels = smooth(size, seed=seed)
    flipped = rng.random(labels.shape) < _FLIPPED
    return np.where(flipped, rng.integers(0, _CLASSES, labels.shape, dtype=np.uint8), labels)


def _interpolated(knots: NDArray[np.float64], size: int, cell: int) -> NDArray[np.float32]:
    place = np.arange(size) / cell
    low = place.astype(int)
    t = place - low
    t = (t * t * (3 - 2 * t)).astype(np.float32)
    rows = knots.astype(np.float32)
    rows = rows[low] * (1 - t)[:, None] + rows[low + 1] * t[:, None]
    return rows[:, low] * (1 - t) + rows[:, low + 1] * t


def raster(kind: str, size: int = SIZE) -> Path:
    """A GeoTIFF of 10 m pixels in UTM with the labels of ``smooth`` or ``noisy``."""
    import rasterio

    path = material.cache() / f"labels_{kind}_{size}.tif"
    if not path.exists():
        profile = {
            "driver": "GTiff",
            "width": size,
            "height": size,
            "count": 1,
            "dtype": "uint8",
            "nodata": 255,
            "crs": "EPSG:32633",
            "transform": rasterio.Affine(10, 0, 500000, 0, -10, 5500000),
            "tiled": True,
            "blockxsize": 512,
            "blockysize": 512,
            "compress": "deflate",
        }
        with rasterio.open(path, "w", **profile) as file:
            file.write({"smooth": smooth, "noisy": noisy}[kind](size), 1)
    return path
