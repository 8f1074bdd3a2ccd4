"""Palette rasters seen in their colours: one band of numbers as red, green and blue."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rasterio.enums import ColorInterp

from geounet.grid.window import Window
from geounet.io import nodata as rule
from geounet.io.raster import Piece, Raster

COLOURS = ("red", "green", "blue")


def has_palette(raster: Raster) -> bool:
    """Whether a file is one band of numbers that stand for colours."""
    band = raster.image_bands[0]
    is_palette = raster.dataset.colorinterp[band - 1] == ColorInterp.palette
    return is_palette and len(raster.image_bands) == 1 and raster.dataset.dtypes[band - 1] in ("uint8", "uint16")


class PaletteLayer:
    """A palette raster as four bands: its numbers, and the red, green and blue that they stand for.

    A number whose colour is transparent is not valid.
    """

    def __init__(self, raster: Raster) -> None:
        self._raster = raster
        self._table = _table(raster)

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of the numbers; colours are bytes and fit in."""
        return self._raster.dtype

    def read(self, window: Window) -> Piece:
        """Numbers and colours ``(4, height, width)`` of ``window``."""
        piece = self._raster.read(window)
        colours = self._table[:, piece.data[0]]
        data = np.concatenate([piece.data, colours[:3].astype(self.dtype)])
        return replace(piece, data=data, bad=rule.either(piece.bad, colours[3] == 0))

    def close(self) -> None:
        """Let go of the file."""
        self._raster.close()


def _table(raster: Raster) -> NDArray[np.uint8]:
    """Red, green, blue and alpha of every number, ``(4, 256 or 65536)``; numbers without a colour are black."""
    band = raster.image_bands[0]
    table = np.zeros((4, np.iinfo(raster.dataset.dtypes[band - 1]).max + 1), np.uint8)
    table[3] = 255
    for number, colour in raster.dataset.colormap(band).items():
        table[:, number] = colour
    return table
