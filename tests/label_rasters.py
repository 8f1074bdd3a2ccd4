"""Label rasters that are awkward to vectorize."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

NODATA = 9
LUT = np.arange(256, dtype=np.int32)
LUT[NODATA] = -(2**31)

Labels = NDArray[np.uint8]


def spiral(n: int) -> Labels:
    """Two arms that wind into each other through all rows."""
    out = np.zeros((n, n), np.uint8)
    top, left, bottom, right = 0, 0, n - 1, n - 1
    while top <= bottom and left <= right:
        out[top, left : right + 1] = 1
        out[top : bottom + 1, right] = 1
        out[bottom, left + 2 : right + 1] = 1
        out[top + 2 : bottom + 1, left + 2 : left + 3] = 1
        top, left, bottom, right = top + 2, left + 2, bottom - 2, right - 2
    return out


def nested(n: int) -> Labels:
    """Rings in rings of changing class."""
    i = np.minimum(np.arange(n), np.arange(n)[::-1])
    return (np.minimum.outer(i, i) % 3).astype(np.uint8)


def comb(n: int) -> Labels:
    """Teeth that join only in the last row."""
    out = np.tile(np.array([1, 0], np.uint8), (n, n))[:, :n]
    out[-1] = 1
    return out


def pinched(n: int) -> Labels:
    """Holes that touch each other and the shell in points."""
    out = np.ones((n, n), np.uint8)
    out[1:-1:2, 1:-1:2] = 0
    out[2:-1:4, 2:-1:4] = 0
    return out


SHAPES: dict[str, Labels] = {
    "checkerboard": (np.indices((9, 8)).sum(0) % 2).astype(np.uint8),
    "spiral": spiral(17),
    "nested": nested(14),
    "comb": comb(12),
    "pinched": pinched(13),
    "one class": np.full((5, 7), 3, np.uint8),
    "all nodata": np.full((5, 7), NODATA, np.uint8),
    "one pixel": np.zeros((1, 1), np.uint8),
    "one row": np.array([[1, 1, NODATA, 2, 2, 1]], np.uint8),
    "one column": np.array([[1, 1, NODATA, 2, 2, 1]], np.uint8).T.copy(),
    "holes in a frame of nodata": np.pad(pinched(9), 2, constant_values=NODATA),
}
