"""Noise that belongs to a position, not to an array: any window of it equals the same window of the whole.

Only exact arithmetic (integer hashes, +, −, ×) touches pixels, so that neither the window nor the width of
the processor's vector registers changes a bit of the result.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from geounet.grid.window import Window

F32 = NDArray[np.float32]
U32 = NDArray[np.uint32]

_GOLD = 0x9E3779B1


def _mix(h: U32) -> U32:
    """Scramble 32-bit integers in place: the `lowbias32` finaliser (C. Wellons, "hash prospector", 2018)."""
    h ^= h >> np.uint32(16)
    h *= np.uint32(0x7FEB352D)
    h ^= h >> np.uint32(15)
    h *= np.uint32(0x846CA68B)
    h ^= h >> np.uint32(16)
    return h


def hash_grid(rows: NDArray[np.int64], cols: NDArray[np.int64], key: int) -> U32:
    """A 32-bit hash at every crossing of integer ``rows`` and ``cols``; shape (rows, cols)."""
    down = _mix((rows & 0xFFFFFFFF).astype(np.uint32) ^ np.uint32(key & 0xFFFFFFFF))
    across = (cols & 0xFFFFFFFF).astype(np.uint32) * np.uint32(_GOLD)
    return _mix(down[:, None] + across[None, :])


def value_noise(window: Window, *, scale: int, key: int) -> F32:
    """Smooth noise in [-1, 1] with a value every ``scale`` pixels of the world; shape of the window."""
    row0, col0 = window.row_off // scale, window.col_off // scale
    rows = np.arange(row0, (window.bottom - 1) // scale + 2)
    cols = np.arange(col0, (window.right - 1) // scale + 2)
    knots = hash_grid(rows, cols, key ^ (scale * _GOLD)).astype(np.float32) * np.float32(2**-31) - np.float32(1)
    row_at, row_part = _ramp(window.row_off, window.height, scale)
    col_at, col_part = _ramp(window.col_off, window.width, scale)
    wide = knots[:, col_at - col0]
    wide += (knots[:, col_at - col0 + 1] - wide) * col_part[None, :]
    out = wide[row_at - row0]
    out += (wide[row_at - row0 + 1] - out) * row_part[:, None]
    return out


def _ramp(start: int, count: int, scale: int) -> tuple[NDArray[np.int64], F32]:
    """The knot before each pixel, and the smoothed fraction of the way to the next one."""
    at = np.arange(start, start + count)
    part = ((at % scale) + 0.5) / scale
    return at // scale, (part * part * (3 - 2 * part)).astype(np.float32)


def grain(window: Window, *, key: int) -> F32:
    """Bell-shaped noise of standard deviation about 1, independent at every pixel (sum of four bytes)."""
    h = hash_grid(
        np.arange(window.row_off, window.bottom), np.arange(window.col_off, window.right), key ^ 0x51ED270B
    )
    even = h & np.uint32(0x00FF00FF)
    h >>= np.uint32(8)
    h &= np.uint32(0x00FF00FF)
    even += h
    total = (even & np.uint32(0xFFFF)) + (even >> np.uint32(16))
    return (total.astype(np.float32) - np.float32(510)) * np.float32(1 / 147.8)
