"""Overlap-add of predictions into a rolling canvas, and the decision what each finished pixel is.

A canvas holds the sums of weighted probabilities for the rows that are not finished yet. Tiles are added in
lattice order, rows leave at the top as soon as no later tile touches them. The sums depend on the tiles and on
their order alone, so a canvas that one block hands to the block below equals the one that this would make itself.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from geounet.errors import WorkError
from geounet.model.spec import Head, ModelSpec

RowSink = Callable[[int, NDArray[np.uint8]], None]

CONFIDENCE_SCALE = 250
"""A confidence raster holds probability × 250, rounded; nodata is 255."""

THRESHOLD_SLACK = 1e-6
"""Blend weights sum to 1 within this: a probability at a mask's threshold must not fall below it by rounding."""

_CHUNK = 32  # rows that are worked on at once, so that temporaries stay in the processor's cache


class RollingCanvas(ABC):
    """Rows that are not finished yet; ``top`` is the scene row of the first of them.

    Columns are canvas pixels. ``on_rows(top, bands)`` receives finished rows as a part stores them,
    ``(2 * heads, rows, width)`` uint8, before nodata is put in.
    """

    def __init__(self, *, top: int, on_rows: RowSink) -> None:
        self.top = top
        self.on_rows = on_rows

    def advance(self, row: int) -> None:
        """No tile to come touches rows above ``row``: they leave the canvas."""
        if row > self.top:
            top, self.top = self.top, row
            self.on_rows(top, self._finish(row - top))

    @abstractmethod
    def _finish(self, count: int) -> NDArray[np.uint8]:
        """Decide the first ``count`` rows and take them off."""


class HostCanvas(RollingCanvas):
    """Sums of weighted probabilities ``(channels, rows, width)`` in host memory; a ring, as high as a tile."""

    def __init__(self, spec: ModelSpec, *, tile: int, width: int, top: int, on_rows: RowSink) -> None:
        super().__init__(top=top, on_rows=on_rows)
        self._spec = spec
        self._sums = np.zeros((spec.channels, tile, width), np.float32)
        self._first = 0  # where in the ring the canvas's top row is

    def add(self, weighted: NDArray[np.float32], *, col: int) -> None:
        """Add a tile's weighted probabilities ``(channels, tile, tile)``, its first row at the canvas's top.

        What lies beside the canvas belongs to other blocks and is left out.
        """
        left, right = max(0, col), min(self._sums.shape[2], col + weighted.shape[2])
        for here, there in self._ring(weighted.shape[1]):
            self._sums[:, there, left:right] += weighted[:, here, left - col : right - col]

    def _finish(self, count: int) -> NDArray[np.uint8]:
        finished = np.zeros((2 * len(self._spec.heads), count, self._sums.shape[2]), np.uint8)
        # below the last tile of a scene without data there is nothing
        for here, there in self._ring(min(count, self._sums.shape[1])):
            decide(self._sums[:, there], self._spec, out=finished[:, here])
            self._sums[:, there] = 0.0
        self._first = (self._first + count) % self._sums.shape[1]
        return finished

    def _ring(self, count: int) -> Iterator[tuple[slice, slice]]:
        """The first ``count`` rows of the canvas, and where in the ring they are: one stretch or two."""
        rows = self._sums.shape[1]
        before_end = min(count, rows - self._first)
        yield slice(0, before_end), slice(self._first, self._first + before_end)
        if before_end < count:
            yield slice(before_end, count), slice(0, count - before_end)


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

    The softmax subtracts the maximum, so that nothing overflows; the sigmoid, 1 / (1 + e^-x), is 0 where its power
    does. What is infinite has overflowed before, and becomes NaN, which `decide` refuses: only minus infinity among
    classes is an answer, as a probability of 0 has that logarithm.
    """
    if head.kind == "mask":
        with np.errstate(invalid="ignore", over="ignore"):
            if not np.isfinite(x[0].sum()):  # one pass, where looking at every pixel takes two
                x[0][np.isinf(x[0])] = np.nan
            np.negative(x[0], out=x[0])
            np.exp(x[0], out=x[0])
        x[0] += np.float32(1.0)
        np.divide(weights, x[0], out=x[0])
        return
    x -= x.max(axis=0)
    np.exp(x, out=x)
    x *= weights / x.sum(axis=0)


def decide(probabilities: NDArray[np.float32], spec: ModelSpec, *, out: NDArray[np.uint8]) -> None:
    """What a part stores, into ``out`` ``(2 * heads, rows, width)``: for every head labels and confidences.

    ``probabilities`` is ``(channels, rows, width)``. Ties go to the lower class.
    """
    for top in range(0, out.shape[1], _CHUNK):
        rows = slice(top, top + _CHUNK)
        for position, (head, channels) in enumerate(spec.head_slices()):
            _decide_head(probabilities[channels, rows], head, out[2 * position, rows], out[2 * position + 1, rows])


def _decide_head(
    p: NDArray[np.float32], head: Head, labels: NDArray[np.uint8], confidence: NDArray[np.uint8]
) -> None:
    """Fill one head's ``labels`` and ``confidence`` from its probabilities ``p`` ``(channels, rows, width)``.

    By arithmetic, not by masks: where labels are restless, numpy takes 40 times as long to follow a mask.
    Raises WorkError where a probability is not a number.
    """
    if head.kind == "mask":
        np.greater_equal(p[0], np.float32(head.threshold - THRESHOLD_SLACK), out=labels.view(np.bool_))
        best = np.abs(p[0] - (1 - labels))  # p where the mask says yes, else 1 - p
    else:
        best = p[0].copy()
        labels[:] = 0
        for value in range(1, len(p)):
            better = (p[value] > best).view(np.uint8)
            np.maximum(labels, better * np.uint8(value), out=labels)
            np.maximum(best, p[value], out=best)
    if not np.isfinite(best.max()):  # of NaN, the maximum is NaN
        raise unreal(int(np.count_nonzero(~np.isfinite(best))), best.size, head)
    best *= np.float32(CONFIDENCE_SCALE)
    np.rint(best, out=best)
    np.clip(best, 0, CONFIDENCE_SCALE, out=best)
    confidence[:] = best


def unreal(count: int, pixels: int, head: Head) -> WorkError:
    """The error for ``count`` probabilities of so many ``pixels`` that are no numbers."""
    return WorkError(
        f"the network's output for head {head.name!r} is not a number at {count:,} of {pixels:,} pixels; likely "
        "causes: pixel values far outside the range that the model was made for (see --bands, --nodata and the "
        "scene's data type), half precision that overflows (--precision fp32), or damaged weights"
    )
