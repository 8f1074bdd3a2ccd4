"""Thin lines of a mask, for clDice.

T. Y. Zhang and C. Y. Suen, A fast parallel algorithm for thinning digital patterns, CACM 27 (1984). Each of the
two passes of an iteration looks one pixel around, so ``n`` iterations look ``2 n`` pixels around: with a halo of
that many rows a strip gets the very skeleton that the whole mask has. ``ITERATIONS`` caps them, so that the halo,
and with it memory, is bounded: what is wider than 128 pixels is thinned from its rim by 64 pixels and stays thick
inside, in truth and prediction alike.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

ITERATIONS = 64
HALO = 2 * ITERATIONS
"""Rows above and below that `skeleton` needs to see."""

# neighbours P2 … P9 of the paper, clockwise from the one above
_AROUND = ((-1, 0), (-1, 1), (0, 1), (1, 1), (1, 0), (1, -1), (0, -1), (-1, -1))


def skeleton(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The skeleton ``(h, w)`` of a mask, after at most `ITERATIONS` iterations."""
    padded = np.pad(mask, 1)
    flat = padded.ravel().astype(np.uint8)
    width = padded.shape[1]
    steps = np.array([row * width + col for row, col in _AROUND])
    first, second = _removable()
    there = np.flatnonzero(flat)
    for _ in range(ITERATIONS):
        before = there.size
        for table in (first, second):
            code = np.zeros(there.size, np.uint8)
            for bit, step in enumerate(steps):
                code |= flat[there + step] << bit
            gone = table[code]
            flat[there[gone]] = 0
            there = there[~gone]
        if there.size == before:
            break
    return flat.reshape(padded.shape)[1:-1, 1:-1].astype(bool)


def _removable() -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """For each of the 256 surroundings, whether the first and the second pass remove the pixel."""
    p = (np.arange(256)[:, None] >> np.arange(8)) & 1  # (256, 8): P2 … P9
    neighbours = p.sum(1)
    rises = ((p == 0) & (np.roll(p, -1, axis=1) == 1)).sum(1)
    common = (neighbours >= 2) & (neighbours <= 6) & (rises == 1)
    up, right, down, left = p[:, 0], p[:, 2], p[:, 4], p[:, 6]
    first = common & (up * right * down == 0) & (right * down * left == 0)
    second = common & (up * right * left == 0) & (up * down * left == 0)
    return first, second
