"""Labels from the working grid back to the scene's own grid, by nearest neighbour, exactly.

Both grids lie over the same ground in one CRS and differ by a scale and a shift per axis (`GeoBox.zoom`),
so the nearest neighbour is one index per row and one per column: a table instead of a warper, with no
tolerance and no dependence on how the raster is cut up.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from geounet.grid.geobox import GeoBox

_SNAP = 1e-6
# of a pixel: a centre so close to a cell's first edge belongs to the cell, whatever the rounding


def nearest_indices(*, source: GeoBox, target: GeoBox) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Row of ``source`` for every row of ``target``, and column for every column.

    Two arrays, ``(height,)`` and ``(width,)``.

    The pixel of ``source`` in which the centre of the target's pixel lies; at the rim, the last one.

    Raises:
        ValueError: the grids are turned against each other or have different CRSs.
    """
    if source.crs != target.crs:
        raise ValueError("nearest_indices: the grids have different CRSs; expected one CRS")
    across = ~source.affine @ target.affine
    shear = max(abs(across.b) * target.height, abs(across.d) * target.width)
    if shear > 1e-3:
        raise ValueError(f"nearest_indices: the grids are turned against each other ({across!r})")
    rows = _indices(target.height, across.e, across.f, source.height)
    cols = _indices(target.width, across.a, across.c, source.width)
    return rows, cols


def _indices(count: int, step: float, start: float, limit: int) -> NDArray[np.intp]:
    centres = (np.arange(count, dtype=np.float64) + 0.5) * step + start
    return np.clip(np.floor(centres + _SNAP), 0, limit - 1).astype(np.intp)
