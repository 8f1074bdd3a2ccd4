"""How far it is from a pixel of the skeleton to the nearest one that is not marked: the exact distance transform.

Along columns first, then along the row, as in A. Meijster, J. Roerdink and W. Hesselink, A general algorithm for
computing distance transforms in linear time, 2000; the second pass only where it is asked for. What lies beyond
the raster's rim counts as marked: a road that leaves the scene is as wide there as before.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)
def heights(mask: Any, above: Any) -> Any:
    """``(h, width)`` int32 pixels up to the nearest that is not marked; ``above``: the same of the row before."""
    h, w = mask.shape
    out = np.empty((h, w), np.int32)
    for y in range(h):
        for x in range(w):
            before = out[y - 1, x] if y else above[x]
            out[y, x] = before + 1 if mask[y, x] else 0
    return out


@njit(cache=True, nogil=True)
def _depths(height: Any) -> Any:
    """Pixels down to the nearest that is not marked; many where there is none."""
    h, w = height.shape
    out = np.empty((h, w), np.int32)
    for y in range(h - 1, -1, -1):
        for x in range(w):
            before = out[y + 1, x] if y + 1 < h else 2**29
            out[y, x] = before + 1 if height[y, x] else 0
    return out


@njit(cache=True, nogil=True)
def reaches(wanted: Any, height: Any, sides: Any, last: bool) -> Any:
    """Distances of the ``wanted`` pixels, in row-major order, and by row whether those below cannot change them.

    ``height`` as `heights` gives it; ``sides`` ``(h, 2)`` lengths of a pixel along rows and along columns;
    ``last``: whether nothing but the rim lies below.
    """
    h, w = wanted.shape
    down = _depths(height)
    out, sure = np.empty(wanted.sum()), np.ones(h, np.bool_)
    n = 0
    for y in range(h):
        across, along = sides[y, 0] ** 2, sides[y, 1] ** 2
        below = along * (h - y) ** 2
        for x in range(w):
            if not wanted[y, x]:
                continue
            best = along * float(min(height[y, x], down[y, x])) ** 2
            best = min(best, across * float(w) ** 2)
            k = 1
            while across * k * k < best:
                if x >= k:
                    nearest = float(min(height[y, x - k], down[y, x - k]))
                    best = min(best, across * k * k + along * nearest**2)
                if x + k < w:
                    nearest = float(min(height[y, x + k], down[y, x + k]))
                    best = min(best, across * k * k + along * nearest**2)
                k += 1
            out[n] = np.sqrt(best)
            n += 1
            if best > below and not last:
                sure[y] = False
    return out, sure
