"""Overlap-add of predictions into a rolling canvas, and the decision what each finished pixel is.

A canvas holds the sums of weighted probabilities for the rows that are not finished yet. Tiles are added in
lattice order, rows leave at the top as soon as no later tile touches them. The sums depend on the tiles and on
their order alone, so a canvas that one block hands to the block below equals the one that this would make itself.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from geounet.model.spec import NODATA, Head, ModelSpec

CONFIDENCE_SCALE = 250
"""A confidence raster holds probability × 250, rounded; nodata is 255."""

_CHUNK = 32  # rows that are worked on at once, so that temporaries stay in the processor's cache


class Canvas:
    """Sums of weighted probabilities ``(channels, rows, width)`` in host memory.

    Rows and columns are canvas pixels: row 0 is the first row that has not left yet.
    """

    def __init__(self, *, channels: int, tile: int, width: int) -> None:
        self._sums = np.zeros((channels, tile, width), np.float32)

    def add(self, weighted: NDArray[np.float32], *, row: int, col: int) -> None:
        """Add a tile's weighted probabilities ``(channels, tile, tile)`` with its corner at ``(row, col)``.

        What lies beyond the canvas to the left or right belongs to other blocks and is left out.
        """
        left, right = max(0, col), min(self._sums.shape[2], col + weighted.shape[2])
        self._grow(row + weighted.shape[1])
        rows = slice(row, row + weighted.shape[1])
        self._sums[:, rows, left:right] += weighted[:, :, left - col : right - col]

    def take(self, count: int) -> NDArray[np.float32]:
        """The first ``count`` rows ``(channels, count, width)``, which then leave the canvas."""
        self._grow(count)
        finished = self._sums[:, :count].copy()
        remaining = self._sums.shape[1] - count
        self._sums[:, :remaining] = self._sums[:, count:]
        self._sums[:, remaining:] = 0.0
        return finished

    def _grow(self, rows: int) -> None:
        """Have at least ``rows`` rows; tiles of an irregular last row may hang lower than usual."""
        missing = rows - self._sums.shape[1]
        if missing > 0:
            self._sums = np.pad(self._sums, ((0, 0), (0, missing), (0, 0)))


def weigh(
    logits: NDArray[np.float32],
    spec: ModelSpec,
    row_weights: NDArray[np.float32],
    col_weights: NDArray[np.float32],
) -> NDArray[np.float32]:
    """Turn one tile's logits ``(channels, tile, tile)`` into weighted probabilities, in place."""
    for top in range(0, logits.shape[1], _CHUNK):
        rows = slice(top, top + _CHUNK)
        weights = row_weights[rows, None] * col_weights
        for head, channels in spec.head_slices():
            activate(logits[channels, rows], head, weights)
    return logits


def activate(x: NDArray[np.float32], head: Head, weights: NDArray[np.float32]) -> None:
    """Softmax or sigmoid of ``x`` ``(channels, rows, cols)``, times ``weights`` ``(rows, cols)``, in place.

    The sigmoid is the two-class softmax of ``(x, 0)``; both subtract the maximum, so nothing overflows.
    """
    if head.kind == "mask":
        np.negative(np.abs(x[0]), out=(small := np.empty_like(x[0])))
        np.exp(small, out=small)  # e^-|x|
        numerator = np.where(x[0] >= 0, np.float32(1.0), small)
        np.add(small, np.float32(1.0), out=small)
        np.divide(numerator, small, out=x[0])
        x[0] *= weights
        return
    x -= x.max(axis=0)
    np.exp(x, out=x)
    x *= weights / x.sum(axis=0)


def decide(probabilities: NDArray[np.float32], valid: NDArray[np.bool_], spec: ModelSpec) -> NDArray[np.uint8]:
    """What a part stores: for every head a label and a confidence band, ``(2 * heads, rows, width)``.

    Ties go to the lower class. Where the scene has no data both bands are NODATA.
    """
    out = np.empty((2 * len(spec.heads), *probabilities.shape[1:]), np.uint8)
    for top in range(0, out.shape[1], _CHUNK):
        rows = slice(top, top + _CHUNK)
        for position, (head, channels) in enumerate(spec.head_slices()):
            labels, confidence = out[2 * position, rows], out[2 * position + 1, rows]
            _decide_head(probabilities[channels, rows], head, labels, confidence)
        out[:, rows][:, ~valid[rows]] = NODATA
    return out


def _decide_head(
    p: NDArray[np.float32], head: Head, labels: NDArray[np.uint8], confidence: NDArray[np.uint8]
) -> None:
    """Fill one head's ``labels`` and ``confidence`` from its probabilities ``p`` ``(channels, rows, width)``."""
    if head.kind == "mask":
        np.greater_equal(p[0], np.float32(head.threshold), out=labels.view(np.bool_))
        best = np.where(labels.view(np.bool_), p[0], np.float32(1.0) - p[0])
    else:
        best = p[0].copy()
        labels[:] = 0
        for value in range(1, len(p)):
            better = p[value] > best
            labels[better] = value
            np.maximum(best, p[value], out=best)
    best *= np.float32(CONFIDENCE_SCALE)
    np.rint(best, out=best)
    np.clip(best, 0, CONFIDENCE_SCALE, out=best)
    confidence[:] = best


def band_names(heads: Sequence[Head]) -> list[str]:
    """Descriptions of a part's bands, in order."""
    return [name for head in heads for name in (head.name, f"{head.name}_confidence")]
