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
_STRIP = 1000
"""Rows to make at once, so that a raster of a billion pixels can be made."""


def smooth(size: int, *, seed: int = 7) -> NDArray[np.uint8]:
    """Patches as a land-use network draws them: interpolated noise, cut at its quantiles."""
    rng = np.random.default_rng(seed)
    knots = [rng.standard_normal((size // cell + 2,) * 2).astype(np.float32) for cell in _CELLS]
    cuts = np.quantile(_heights(knots, np.arange(0, size, 16), size)[:, ::16], np.arange(1, _CLASSES) / _CLASSES)
    labels = np.empty((size, size), np.uint8)
    for top in range(0, size, _STRIP):
        rows = np.arange(top, min(size, top + _STRIP))
        labels[rows] = np.digitize(_heights(knots, rows, size), cuts)
    return labels


def noisy(size: int, *, seed: int = 7) -> NDArray[np.uint8]:
    """The same with one pixel in a hundred of any class: half a million polygons at 8000²."""
    rng = np.random.default_rng(seed + 1)
    labels = smooth(size, seed=seed)
    flipped = rng.random(labels.shape) < _FLIPPED
    return np.where(flipped, rng.integers(0, _CLASSES, labels.shape, dtype=np.uint8), labels)


def _heights(knots: list[NDArray[np.float32]], rows: NDArray[np.int64], width: int) -> NDArray[np.float32]:
    """``(rows, width)``: the octaves, smoothly between their knots."""
    out = np.zeros((rows.size, width), np.float32)
    for octave, (cell, own) in enumerate(zip(_CELLS, knots, strict=True)):
        low, t = _between(rows, cell)
        lines = own[low] * (1 - t)[:, None] + own[low + 1] * t[:, None]
        low, t = _between(np.arange(width), cell)
        out += 0.5**octave * (lines[:, low] * (1 - t) + lines[:, low + 1] * t)
    return out


def _between(places: NDArray[np.int64], cell: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    place = places / cell
    low = place.astype(np.int64)
    t = place - low
    return low, (t * t * (3 - 2 * t)).astype(np.float32)


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
