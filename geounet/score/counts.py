"""What two aligned label rasters have in common, counted strip by strip into blocks.

Everything is counted in whole numbers that belong to blocks of the raster, so the height of the strips shows
nowhere. Rows are read once; a strip keeps the rows that the next one needs as its halo.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from geounet.score.bootstrap import BlockGrid
from geounet.score.boundary import UNKNOWN, near_border

if TYPE_CHECKING:  # compiled kernels are loaded for masks only
    from geounet.score.skeleton import SkeletonCounter

Labels = NDArray[np.uint8]
_AT_ONCE = 2**20  # pixels
Pair = tuple[Labels, Labels]
"""Class indices ``(h, w)`` of truth and prediction; `UNKNOWN` in both where either has none."""


class Rows(Protocol):
    """Two aligned rasters."""

    @property
    def shape(self) -> tuple[int, int]:
        """``(height, width)``."""

    def read(self, top: int, bottom: int) -> Pair:
        """Rows ``top`` to ``bottom`` of both."""


@dataclass(frozen=True, kw_only=True)
class ArrayRows:
    """Two label arrays in memory."""

    truth: Labels
    predicted: Labels

    @property
    def shape(self) -> tuple[int, int]:
        """``(height, width)``."""
        return self.truth.shape[0], self.truth.shape[1]

    def read(self, top: int, bottom: int) -> Pair:
        """Rows of both."""
        return both_known(self.truth[top:bottom], self.predicted[top:bottom])


def both_known(truth: Labels, predicted: Labels) -> Pair:
    """Both with `UNKNOWN` wherever either is."""
    unknown = (truth == UNKNOWN) | (predicted == UNKNOWN)
    return np.where(unknown, np.uint8(UNKNOWN), truth), np.where(unknown, np.uint8(UNKNOWN), predicted)


@dataclass(frozen=True, kw_only=True)
class Counts:
    """Pixels by block; ``n`` blocks, ``K`` classes."""

    confusion: NDArray[np.int64]
    """``(n, K, K)``: truth down, prediction across."""
    boundary: NDArray[np.int64]
    """``(n, K, 3)``: boundary pixels of the truth, of the prediction, and of both with the same class."""
    skeleton: NDArray[np.int64]
    """``(n, 4)``, of class 1: skeleton of the prediction in the truth, that skeleton, the reverse; or zeros."""


def count(rows: Rows, *, classes: int, grid: BlockGrid, boundary: int, skeletons: bool, step: int) -> Counts:
    """Count all rows, ``step`` at a time. ``boundary``: distance in pixels; ``skeletons``: of class 1."""
    counter = _skeletons(grid) if skeletons else None
    found = Counts(
        confusion=np.zeros((len(grid), classes, classes), np.int64),
        boundary=np.zeros((len(grid), classes, 3), np.int64),
        skeleton=np.zeros((len(grid), 4), np.int64) if counter is None else counter.counts,
    )
    for core, top, pair in strips(rows, step=step, halo=boundary):
        _add_strip(found, core, top, pair, grid=grid, boundary=boundary)
        if counter is not None:
            counter.feed(pair[0][core] == 1, pair[1][core] == 1)
    if counter is not None:
        counter.close()
    return found


def _skeletons(grid: BlockGrid) -> SkeletonCounter:
    from geounet.score.skeleton import SkeletonCounter

    return SkeletonCounter(grid)


def strips(rows: Rows, *, step: int, halo: int) -> Iterator[tuple[slice, int, Pair]]:
    """Strips from the top down: their own rows within what is handed over, their first row, the rows with halo."""
    height = rows.shape[0]
    start, held = 0, rows.read(0, 0)
    for top in range(0, height, step):
        bottom = min(top + step, height)
        first, last = max(0, top - halo), min(height, bottom + halo)
        have = start + len(held[0])
        fresh = rows.read(have, last) if last > have else rows.read(0, 0)
        held = (
            np.concatenate([held[0][first - start :], fresh[0]]),
            np.concatenate([held[1][first - start :], fresh[1]]),
        )
        start = first
        yield slice(top - first, bottom - first), top, held


def _add_strip(found: Counts, core: slice, top: int, pair: Pair, *, grid: BlockGrid, boundary: int) -> None:
    truth, predicted = pair[0][core], pair[1][core]
    _add(found.confusion.reshape(len(grid), -1), truth != UNKNOWN, top, grid, truth, predicted)
    edges = [near_border(labels, boundary)[core] for labels in pair]
    hits = edges[0] & edges[1] & (truth == predicted)
    for place, (labels, where) in enumerate(((truth, edges[0]), (predicted, edges[1]), (truth, hits))):
        _add(found.boundary[:, :, place], where, top, grid, labels)


def _add(counts: NDArray[np.int64], where: NDArray[np.bool_], top: int, grid: BlockGrid, *labels: Labels) -> None:
    """Add a histogram of up to two kinds of labels, where asked for, to ``counts`` ``(n, m)``, block by block.

    Few rows at a time: a histogram wants numbers of eight bytes.
    """
    size = counts.shape[1]
    height, width = where.shape
    column = np.arange(width) // grid.side * size
    classes = round(size ** (1 / max(1, len(labels))))
    at = 0
    while at < height:
        row = (top + at) // grid.side
        end = min(height, (row + 1) * grid.side - top, at + max(1, _AT_ONCE // width))
        codes = np.broadcast_to(column, (end - at, width))
        for power, kind in enumerate(reversed(labels)):
            codes = codes + kind[at:end].astype(np.int64) * classes**power
        sums = np.bincount(codes[where[at:end]], minlength=grid.cols * size).reshape(grid.cols, size)
        counts[row * grid.cols : (row + 1) * grid.cols] += sums
        at = end
