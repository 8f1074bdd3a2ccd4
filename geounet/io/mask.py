"""Another raster that says which pixels of the scene to leave out (``--mask``: clouds, say)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from rasterio.enums import Resampling

from geounet.errors import SceneError
from geounet.grid.geobox import GeoBox
from geounet.grid.window import Window
from geounet.io.access import Source
from geounet.io.layers import WarpedLayer, aligned_axes, overlaps
from geounet.io.raster import Piece, Raster
from geounet.io.resample import AxisMap

BoolArray = NDArray[np.bool_]


class SceneMask:
    """Marks the scene's pixels whose centre lies on a non-zero pixel of the mask's first band.

    Pixels that the mask does not reach, or where it has its own nodata, are not marked.
    """

    def __init__(self, source: Source, grid: GeoBox) -> None:
        self.raster = Raster(source, bands=(0,))
        own = self.raster.geobox
        if own.crs is None and own.shape == grid.shape:
            own = grid  # a plain picture of the very size of the scene lies on it, pixel by pixel
        axes = aligned_axes(own, grid)
        if axes is None and (own.crs is None or grid.crs is None):
            self._refuse("has no georeference and another size than the scene")
        if not overlaps(own, grid, axes):
            self._refuse("does not overlap the scene")
        self._axes = axes
        self._warped = WarpedLayer(self.raster, grid, Resampling.nearest) if axes is None else None

    def _refuse(self, what: str) -> None:
        label = self.raster.source.label
        self.raster.close()
        raise SceneError(f"mask {label} {what}; give a raster of the same place")

    def marks(self, window: Window) -> BoolArray:
        """``(height, width)`` of ``window``: True where the pixel is to be left out."""
        if self._warped is not None:
            return _marked(self._warped.read(window))
        if self._axes is None:
            raise AssertionError("a mask is aligned or warped")
        rows, row_inside = _nearest(self._axes[0], window.row_off, window.bottom)
        cols, col_inside = _nearest(self._axes[1], window.col_off, window.right)
        out = np.zeros(window.shape, bool)
        if row_inside.any() and col_inside.any():
            top, left = int(rows.min()), int(cols.min())
            source = Window.from_bounds(top=top, left=left, bottom=int(rows.max()) + 1, right=int(cols.max()) + 1)
            out = _marked(self.raster.read(source))[np.ix_(rows - top, cols - left)]
            out &= row_inside[:, None] & col_inside[None, :]
        return out

    def close(self) -> None:
        """Close the file."""
        (self._warped or self.raster).close()


def _nearest(axis: AxisMap, start: int, stop: int) -> tuple[NDArray[np.int64], BoolArray]:
    """Input places under the centres of the output pixels, and which of them are inside."""
    place = np.floor(axis.offset + (np.arange(start, stop) + 0.5) * axis.scale).astype(np.int64)
    inside = (place >= 0) & (place < axis.source)
    return np.clip(place, 0, axis.source - 1), inside


def _marked(piece: Piece) -> BoolArray:
    return (piece.data[0] != 0) & piece.valid
