"""Single pictures of a run: how sure it is, where it is wrong; each as many pixels as are shown."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from rasterio.enums import Resampling
from rasterio.windows import Window as RioWindow

from geounet.errors import SceneError
from geounet.grid.window import Window
from geounet.io.atomic import publish_bytes
from geounet.io.gdal import GDAL_ERRORS, gdal_env, open_own, reason
from geounet.io.preview import EMPTY
from geounet.io.raster import Raster
from geounet.model.canvas import CONFIDENCE_SCALE
from geounet.model.spec import NODATA

_WRONG = (214, 40, 40)
_LOWEST = 0.2
"""Confidence that is shown as the darkest: five classes that are all as likely."""
_RAMP = ((0.0, (74, 12, 86)), (0.35, (196, 60, 78)), (0.7, (250, 164, 84)), (1.0, (250, 247, 236)))
"""Share of the way from `_LOWEST` to 1, and its colour: dark is unsure, in print and for the colour-blind too."""


def read_confidence(path: str | Path, *, window: Window, shape: tuple[int, int]) -> NDArray[np.uint8]:
    """Confidences ``shape`` of ``window`` of a confidence COG, 0..250 or 255, out of its overviews."""
    part = RioWindow(window.col_off, window.row_off, window.width, window.height)
    with open_own(path) as file:
        found: NDArray[np.uint8] = file.read(1, window=part, out_shape=shape, resampling=Resampling.nearest)
    return found


def read_values(
    raster: Raster, *, window: Window, shape: tuple[int, int]
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Values and validity ``shape`` of a window of a label raster, by nearest neighbour. SceneError if damaged."""
    part = RioWindow(window.col_off, window.row_off, window.width, window.height)
    try:
        with gdal_env(remote=raster.source.remote):
            how = {"window": part, "out_shape": shape, "resampling": Resampling.nearest}
            values = raster.dataset.read(raster.indexes[0], **how)
            valid = raster.dataset.dataset_mask(**how) > 0
    except GDAL_ERRORS as error:
        raise SceneError(f"{raster.source.label} cannot be read: {reason(error)}") from error
    return values.astype(np.int64), valid


def paint_confidence(confidence: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """``(height, width, 3)``: from dark (as likely as guessing) to white (certain)."""
    share = (np.arange(256) / CONFIDENCE_SCALE - _LOWEST) / (1 - _LOWEST)
    places = [place for place, _ in _RAMP]
    colours = np.stack([np.interp(share, places, [c[n] for _, c in _RAMP]) for n in range(3)], axis=-1)
    table: NDArray[np.uint8] = np.round(colours).astype(np.uint8)
    table[CONFIDENCE_SCALE + 1 :] = EMPTY
    return table[confidence]


def paint_errors(
    image: NDArray[np.uint8], truth: NDArray[np.uint8], predicted: NDArray[np.uint8]
) -> NDArray[np.uint8]:
    """``(height, width, 3)``: the scene in pale grey, what is wrong in red; without colour where nobody knows."""
    grey = image.astype(np.float32).mean(2, keepdims=True)
    out = np.round(150 + grey * 0.41).astype(np.uint8).repeat(3, axis=2)
    known = (truth != NODATA) & (predicted != NODATA)
    out[known & (truth != predicted)] = _WRONG
    out[~known] = EMPTY
    return out


def write_png(path: Path, pixels: NDArray[np.uint8]) -> Path:
    """Write ``(height, width, 3)`` as PNG, whole or not at all. Equal input gives equal bytes."""
    content = io.BytesIO()
    Image.fromarray(pixels).save(content, format="PNG", optimize=False, compress_level=6)
    return publish_bytes(path, content.getvalue())
