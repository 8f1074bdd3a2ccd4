"""Skeletons of two masks, counted in blocks as their rows come, for clDice.

The skeletons are those of the whole masks, however wide a mark is (``vector.skeleton``), and those of
scikit-image's ``skeletonize``, with which the authors of clDice measure. Beside each pixel of one mask the thinning
carries whether the other mask has it, too; so nothing is held but what it holds itself.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from geounet.score.bootstrap import BlockGrid
from geounet.vector.skeleton import Skeleton, Thinner

BoolArray = NDArray[np.bool_]


class SkeletonCounter:
    """Takes the rows of both masks from top to bottom."""

    def __init__(self, grid: BlockGrid) -> None:
        self._grid = grid
        self._thinners = Thinner(width=grid.width), Thinner(width=grid.width)
        self.counts = np.zeros((len(grid), 4), np.int64)
        """``(blocks, 4)``: skeleton of the prediction in the truth, that skeleton, and the reverse."""

    def feed(self, truth: BoolArray, predicted: BoolArray) -> None:
        """Count what the next rows ``(h, width)`` of both make certain."""
        for place, (thinner, own, other) in enumerate(
            zip(self._thinners, (truth, predicted), (predicted, truth), strict=True)
        ):
            self._add(place, thinner.feed(own, confidence=other.astype(np.uint8)))

    def close(self) -> None:
        """Count the rest."""
        for place, thinner in enumerate(self._thinners):
            self._add(place, thinner.close())

    def _add(self, place: int, found: Skeleton) -> None:
        side, columns = self._grid.side, self._grid.cols
        row, column = np.divmod(found.place, self._grid.width)
        block = row // side * columns + column // side
        at = 2 - 2 * place  # the prediction comes first
        if found.confidence is not None:
            self.counts[:, at] += np.bincount(block[found.confidence == 1], minlength=len(self._grid))
        self.counts[:, at + 1] += np.bincount(block, minlength=len(self._grid))
