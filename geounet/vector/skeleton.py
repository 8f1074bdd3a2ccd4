"""From rows of a mask to the pixels of its skeleton: the state of the thinning, and its two verbs.

    thinner = Thinner(width=width)
    for rows in strips:
        yield thinner.feed(rows)    # the skeleton of the rows that are certain by now
    yield thinner.close()           # the rest

What comes out is the skeleton of the whole mask, and does not depend on how the rows were divided: rows come out
once no pixel of them hangs on rows that are still to come (see ``thinning``), with the steps in which their pixels
went, and the rows below are thinned anew beside that record. Memory: about twelve bytes per pixel of the rows in
hand and of those that wait, which are about half as many as the widest mark at the cut is wide.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from geounet.vector.reach import heights, reaches
from geounet.vector.thinning import NEVER, UNKNOWN, UNSURE, thin
from geounet.vector.thinning_rules import decisions

BoolArray = NDArray[np.bool_]
FloatArray = NDArray[np.float64]


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
        self._row = 0
        """The first row in hand."""
        self._mask = np.zeros((0, width), np.bool_)
        self._confidence: NDArray[np.uint8] | None = None
        self._sides = np.zeros((0, 2))
        self._above = np.zeros(width + 2, np.int32)
        """Of the row above those in hand: the step in which each pixel went; 0 where there was none."""
        self._height_above = np.full(width, 2**30, np.int32)
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
        self._mask = np.concatenate([self._mask, mask])
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
        state, went = self._thinned(last=last)
        there = state == 1
        height = heights(self._mask, self._height_above)
        reach, sure = reaches(there, height, self._sides, last)
        ready = sure & ~((state == UNKNOWN) | (went == UNSURE)).any(axis=1)
        n = ready.size if ready.all() else int(np.argmin(ready))
        out = self._skeleton(there[:n], reach)
        self._forget(n, went, height)
        return out

    def _thinned(self, *, last: bool) -> tuple[NDArray[np.uint8], NDArray[np.int32]]:
        """State ``(h, width)`` and step of going of the rows in hand, beside the record of the row above."""
        h, w = self._mask.shape
        state = np.zeros((h + 2, w + 2), np.uint8)
        state[0] = self._above != 0
        state[1:-1, 1:-1] = self._mask
        state[-1, 1:-1] = 0 if last else UNKNOWN
        went = np.zeros((h + 2, w + 2), np.int32)
        went[0] = self._above
        history = np.flatnonzero((self._above != 0) & (self._above != NEVER))
        history = history[np.argsort(self._above[history], kind="stable")]
        room = int(np.count_nonzero(self._mask))
        thin(state.reshape(-1), went.reshape(-1), w + 2, history, decisions(), room)
        return state[1:-1, 1:-1] & np.uint8(3), went[1:-1, 1:-1]

    def _skeleton(self, there: BoolArray, reach: FloatArray) -> Skeleton:
        row, column = np.nonzero(there)
        return Skeleton(
            place=(row + self._row) * self.width + column,
            reach=reach[: row.size],
            confidence=None if self._confidence is None else self._confidence[row, column],
        )

    def _empty(self) -> Skeleton:
        return self._skeleton(np.zeros((0, self.width), np.bool_), np.zeros(0))

    def _forget(self, n: int, went: NDArray[np.int32], height: NDArray[np.int32]) -> None:
        """Let the first ``n`` rows go, all but what the next one needs to know."""
        if n:
            marked = self._mask[n - 1]
            self._above[1:-1] = np.where(marked, np.where(went[n - 1] > 0, went[n - 1], NEVER), 0)
            self._height_above = height[n - 1].copy()
        self._row += n
        self._mask, self._sides = self._mask[n:].copy(), self._sides[n:].copy()
        if self._confidence is not None:
            self._confidence = self._confidence[n:].copy()
        self._enough = 2 * self._mask.shape[0]


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
