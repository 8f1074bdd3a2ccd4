"""From rows of a mask to the pixels of its skeleton: the state of the thinning, and its two verbs.

    thinner = Thinner(width=width)
    for rows in strips:
        yield thinner.feed(rows)    # the skeleton of the rows that are certain by now
    yield thinner.close()           # the rest

What comes out is the skeleton of the whole mask, and does not depend on how the rows were divided: rows come out
once no pixel of them hangs on rows that are still to come (see ``thinning``), with the steps in which their pixels
went, and the rows below are thinned anew beside that record. Memory: up to ten bytes per pixel of the rows in hand
and of those that wait, which are about half as many as the widest mark at the cut is wide.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from geounet.vector.reach import height_after, reaches
from geounet.vector.thinning import GROUP, NEVER, thin

BoolArray = NDArray[np.bool_]
FloatArray = NDArray[np.float64]
Words = NDArray[np.uint64]
"""64 pixels in each."""


@dataclass(frozen=True, kw_only=True)
class Skeleton:
    """Pixels of a skeleton, in row-major order."""

    place: NDArray[np.int64]
    """``(n,)`` ``row * width + column``."""
    reach: FloatArray
    """``(n,)`` distance to the nearest pixel that is not marked, centre to centre, in the unit of ``sides``; at
    most the raster's width."""
    confidence: NDArray[np.uint8] | None
    """``(n,)`` of the pixel, 255 where unknown."""

    def __len__(self) -> int:
        return int(self.place.size)


class Thinner:
    """Takes the rows of a mask from top to bottom and gives out its skeleton."""

    def __init__(self, *, width: int) -> None:
        self.width = width
        self._words = -(-width // (64 * GROUP)) * GROUP
        self._row = 0
        """The first row in hand."""
        self._mask = np.zeros((0, self._words), np.uint64)
        self._confidence: NDArray[np.uint8] | None = None
        self._sides = np.zeros((0, 2))
        self._above = np.zeros(width, np.int32)
        """Of the row above those in hand: the step in which each pixel went; 0 where there was none."""
        self._height_above = np.full(64 * self._words, 2**30, np.int32)
        """Of that row: pixels up to the nearest that is not marked."""
        self._enough = 0
        """Rows in hand below which another try would give too little."""

    def feed(
        self, mask: BoolArray, *, sides: FloatArray | None = None, confidence: NDArray[np.uint8] | None = None
    ) -> Skeleton:
        """Take the next rows ``(h, width)``; returns the skeleton of the rows that it makes certain.

        ``sides`` ``(h, 2)``: lengths of a pixel along rows and along columns, by row; one without. ``confidence``
        ``(h, width)``, 255 where unknown: always or never.
        """
        sides = np.ones((mask.shape[0], 2)) if sides is None else sides
        self._mask = np.concatenate([self._mask, self._packed(mask)])
        self._sides = np.concatenate([self._sides, sides])
        if confidence is not None:
            before = self._confidence if self._confidence is not None else np.zeros((0, self.width), np.uint8)
            self._confidence = np.concatenate([before, confidence])
        # what waits is thinned again: only once it has doubled, so that all the work together stays in proportion
        return self._take(last=False) if self._mask.shape[0] >= self._enough else self._empty()

    def close(self) -> Skeleton:
        """The skeleton of the rows that are left; nothing lies below them."""
        return self._take(last=True)

    def _take(self, *, last: bool) -> Skeleton:
        there, went, known = self._thinned(last=last)
        known_rows = there[: _leading(known)]
        place, reach, sure = reaches(known_rows, self._mask, self._height_above, self._sides, self.width, last)
        n = _leading(sure)
        count = int(np.searchsorted(place, n * self.width))
        out = self._skeleton(place[:count], reach[:count])
        if n:
            self._forget(n, there[n - 1], went[:, n - 1])
        self._enough = 2 * self._mask.shape[0]
        return out

    def _thinned(self, *, last: bool) -> tuple[Words, Words, BoolArray]:
        """What is left of the rows in hand ``(h, words)``, the steps in which the others went ``(bits, h, words)``
        as numbers written across planes, and of which rows ``(h,)`` that is known."""
        may = np.zeros((self._mask.shape[0] + 2, self._words + 2), np.uint64)
        may[0, 1:-1] = self._packed(self._above[None] != 0)
        may[1:-1, 1:-1] = self._mask
        sure = may.copy()
        if not last:
            may[-1, 1:-1] = self._packed(np.ones((1, self.width), np.bool_))
        places = np.flatnonzero((self._above != 0) & (self._above != NEVER))
        places = places[np.argsort(self._above[places], kind="stable")]
        went, known = thin(may, sure, places, self._above[places])
        return sure[1:-1, 1:-1], went[:, 1:-1, 1:-1], known

    def _skeleton(self, place: NDArray[np.int64], reach: FloatArray) -> Skeleton:
        """Of places from the first row in hand on."""
        confidence = None if self._confidence is None else self._confidence.reshape(-1)[place]
        return Skeleton(place=place + self._row * self.width, reach=reach, confidence=confidence)

    def _empty(self) -> Skeleton:
        return self._skeleton(np.zeros(0, np.int64), np.zeros(0))

    def _forget(self, n: int, there: Words, went: Words) -> None:
        """Let the first ``n`` rows go, all but what the next one needs to know of the last of them."""
        step = sum(self._unpacked(bits).astype(np.int32) << k for k, bits in enumerate(went))
        self._above = np.where(self._unpacked(there), NEVER, step).astype(np.int32)
        self._height_above = height_after(self._mask[:n], self._height_above)
        self._row += n
        self._mask, self._sides = self._mask[n:].copy(), self._sides[n:].copy()
        if self._confidence is not None:
            self._confidence = self._confidence[n:].copy()

    def _packed(self, mask: BoolArray) -> Words:
        """Rows ``(h, width)`` as words ``(h, words)``, the lowest bit leftmost."""
        out = np.zeros((mask.shape[0], self._words), "<u8")
        out.view(np.uint8)[:, : -(-self.width // 8)] = np.packbits(mask, axis=1, bitorder="little")
        return out.astype(np.uint64, copy=False)

    def _unpacked(self, row: Words) -> BoolArray:
        """The pixels ``(width,)`` of a row of words."""
        little = np.ascontiguousarray(row, "<u8").view(np.uint8)
        return np.unpackbits(little, count=self.width, bitorder="little").view(np.bool_)


def _leading(true: BoolArray) -> int:
    """How many are True before the first that is not."""
    return true.size if true.all() else int(np.argmin(true))


def skeleton(mask: BoolArray, *, rows_at_once: int | None = None) -> Skeleton:
    """The skeleton of a whole mask ``(height, width)``: that of scikit-image's ``skeletonize``.

    ``rows_at_once`` divides the work into strips, as a long raster needs it; the result is the same.
    """
    thinner = Thinner(width=mask.shape[1])
    step = rows_at_once or max(1, mask.shape[0])
    return join([*(thinner.feed(mask[top : top + step]) for top in range(0, mask.shape[0], step)), thinner.close()])


def join(parts: list[Skeleton]) -> Skeleton:
    """The pixels of all parts, which follow each other."""
    confidences = [p.confidence for p in parts if p.confidence is not None]
    return Skeleton(
        place=np.concatenate([p.place for p in parts]),
        reach=np.concatenate([p.reach for p in parts]),
        confidence=np.concatenate(confidences) if confidences else None,
    )
