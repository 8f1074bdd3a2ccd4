"""Smaller copies of a raster, each half as wide and high as the one before.

GDAL's own mode resampling takes longer than all the rest of writing a COG, so the
chain is ours: every 2 × 2 square of valid pixels becomes the value that most of them have (labels) or their
mean (confidences). Ties go as in GDAL: to the value that first reaches the highest count in row-major order
(GDALResampleChunk_Mode, gcore/overview.cpp). Where GDAL divides an odd side into unequal cells, ours stay
2 × 2 and the last cell has one row or column only; on even sides both give the same bytes, which a test
checks.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from geounet.model.spec import NODATA

Labels = NDArray[np.uint8]
Halve = Callable[[Labels], Labels]


def level_shapes(shape: tuple[int, int], *, largest: int) -> list[tuple[int, int]]:
    """Shapes of the overviews, largest first, until one fits into ``largest`` × ``largest``.

    None for a single column: rasterio takes the decimation from the widths, so its overviews would count as
    invalid.
    """
    shapes: list[tuple[int, int]] = []
    height, width = shape
    if width == 1:
        return shapes
    while max(height, width) > largest:
        height, width = -(-height // 2), -(-width // 2)
        shapes.append((height, width))
    return shapes


def halve_mode(pixels: Labels) -> Labels:
    """The most frequent valid value of every 2 × 2 square: ``(h, w)`` → ``(⌈h/2⌉, ⌈w/2⌉)``."""
    a, b, c, d = _quarters(pixels)
    # The value that first reaches the highest count, when all four are valid; by last rule that applies:
    out = a.copy()
    np.copyto(out, c, where=(c == d) & (a != b))
    np.copyto(out, b, where=(b == d) & (a != c))
    np.copyto(out, b, where=b == c)
    rim = _rim(a, b, c, d)
    if rim.any():
        out[rim] = _mode_of_up_to_three(a[rim], b[rim], c[rim], d[rim])
    return out


def halve_mean(pixels: Labels) -> Labels:
    """The rounded mean of the valid values of every 2 × 2 square: ``(h, w)`` → ``(⌈h/2⌉, ⌈w/2⌉)``."""
    a, b, c, d = _quarters(pixels)
    total = a.astype(np.uint16)
    for other in (b, c, d):
        total += other
    total += 2
    total >>= 2
    out = total.astype(np.uint8)  # 255 where all are nodata: the mean of four 255
    rim = _rim(a, b, c, d)
    if rim.any():
        four = np.stack([q[rim] for q in (a, b, c, d)]).astype(np.uint16)
        valid = four != NODATA
        count = valid.sum(axis=0, dtype=np.uint16)
        out[rim] = ((four * valid).sum(axis=0, dtype=np.uint16) + count // 2) // count
    return out


def _quarters(pixels: Labels) -> tuple[Labels, Labels, Labels, Labels]:
    """Upper left, upper right, lower left and lower right of every 2 × 2 square; beyond the rim is nodata."""
    height, width = pixels.shape
    if height % 2 or width % 2:
        pixels = np.pad(pixels, ((0, height % 2), (0, width % 2)), constant_values=NODATA)
    top, bottom = pixels[0::2], pixels[1::2]
    return tuple(np.ascontiguousarray(q) for q in (top[:, 0::2], top[:, 1::2], bottom[:, 0::2], bottom[:, 1::2]))  # type: ignore[return-value]


def _rim(a: Labels, b: Labels, c: Labels, d: Labels) -> NDArray[np.bool_]:
    """Squares that have both valid and nodata pixels."""
    some = np.maximum(np.maximum(a, b), np.maximum(c, d)) == NODATA
    if not some.any():
        return some
    return some & (np.minimum(np.minimum(a, b), np.minimum(c, d)) != NODATA)


def _mode_of_up_to_three(a: Labels, b: Labels, c: Labels, d: Labels) -> Labels:
    """The most frequent valid value where one to three of four are valid: one of a pair, else the first."""
    out = np.where(a != NODATA, a, np.where(b != NODATA, b, np.where(c != NODATA, c, d)))
    for one, other in ((c, d), (b, d), (b, c)):  # a pair with a is found by a's being first
        np.copyto(out, one, where=(one == other) & (one != NODATA))
    return out
