"""Confidence rasters in: bytes 0..250 for 0 to 1, and 255 where unknown, as a run writes them."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from geounet.errors import SceneError
from geounet.grid.window import Window
from geounet.io.nodata import either
from geounet.io.raster import Raster
from geounet.model.canvas import CONFIDENCE_SCALE

UNKNOWN = 255


def check_scale(raster: Raster) -> None:
    """SceneError where the file says that its bytes mean something else than a run's do."""
    band = raster.indexes[0] - 1
    scale, offset = float(raster.dataset.scales[band]), float(raster.dataset.offsets[band])
    if offset or not (scale == 1 or math.isclose(scale, 1 / CONFIDENCE_SCALE, rel_tol=1e-6)):
        raise SceneError(
            f"confidence raster {raster.source.label} has a scale of {scale:g} and an offset of {offset:g}; "
            f"expected 1/{CONFIDENCE_SCALE} and 0: write {CONFIDENCE_SCALE} times the confidence as uint8, "
            f"{UNKNOWN} where it is unknown"
        )


def read_confidence(raster: Raster, window: Window) -> NDArray[np.uint8]:
    """``(height, width)`` 0..250, and 255 where there is none: by value, by nodata, by a mask.

    Raises SceneError for a value between, which stands for nothing.
    """
    piece = raster.read(window)
    found = np.asarray(piece.data[0], np.uint8)
    nothing = either(piece.blank, piece.bad)
    if nothing is not None and nothing.any():
        found = np.where(nothing, np.uint8(UNKNOWN), found)
    odd = (found > CONFIDENCE_SCALE) & (found < UNKNOWN)
    if odd.any():
        raise SceneError(
            f"confidence raster {raster.source.label} holds {int(found[odd][0])}; expected 0 to "
            f"{CONFIDENCE_SCALE}, and {UNKNOWN} where it is unknown: scale it to {CONFIDENCE_SCALE}"
        )
    return found
