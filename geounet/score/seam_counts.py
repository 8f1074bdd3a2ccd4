"""How often labels change between neighbouring pixels, by the kind of line that lies between them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from geounet.grid.lattice import Axis, Lattice
from geounet.score.bootstrap import BlockGrid
from geounet.score.boundary import UNKNOWN
from geounet.score.counts import Labels

KINDS = ("inside", "tile starts", "overlap middles", "tile ends")
GRID = 32
"""Pixels per cell of the coarsest grid of a common network: five times halved."""


class LabelRows(Protocol):
    """A raster of class indices."""

    @property
    def shape(self) -> tuple[int, int]:
        """``(height, width)``."""

    def read(self, top: int, bottom: int) -> Labels:
        """Rows; `UNKNOWN` without data."""


@dataclass(frozen=True, kw_only=True)
class SeamCounts:
    """Neighbouring pixels, and how many of them differ."""

    blocks: NDArray[np.int64]
    """``(n, len(KINDS), GRID, 2)``: pairs that differ, pairs, by block, kind of line, and its rest."""
    rows: NDArray[np.int64]
    """``(height, 2)``: the same by the line above each row."""
    cols: NDArray[np.int64]
    """``(width, 2)``: and left of each column."""


def count_changes(rows: LabelRows, lattice: Lattice, *, grid: BlockGrid, step: int) -> SeamCounts:
    """Count pairs of neighbours, ``step`` rows at a time; the step shows nowhere in the counts."""
    height, width = rows.shape
    across, down = _groups(lattice.cols), _groups(lattice.rows)
    groups = len(KINDS) * GRID
    blocks = np.zeros((len(grid), groups, 2), np.int64)
    by_row, by_col = np.zeros((height, 2), np.int64), np.zeros((width, 2), np.int64)
    columns = np.arange(width) // grid.side
    place = columns * groups + across
    above = np.full((1, width), UNKNOWN, np.uint8)
    for top, bottom in _cuts(height, step, grid.side):
        piece = rows.read(top, bottom)
        band = blocks[top // grid.side * grid.cols :][: grid.cols]
        sums = np.zeros((width, 2), np.int64)
        sums[1:] = _pairs(piece[:, :-1], piece[:, 1:]).sum(1).T
        by_col += sums
        for n in range(2):
            band[..., n] += _histogram(place, sums[:, n], grid.cols * groups).reshape(grid.cols, groups)
        stacked = np.concatenate([above, piece])
        pairs = _pairs(stacked[:-1], stacked[1:])  # (2, rows, width)
        by_row[top:bottom] = pairs.sum(2).T
        for n in range(2):
            for row in range(bottom - top):
                band[:, down[top + row], n] += _histogram(columns, pairs[n, row], grid.cols)
        above = piece[-1:]
    return SeamCounts(blocks=blocks.reshape(len(grid), len(KINDS), GRID, 2), rows=by_row, cols=by_col)


def _cuts(height: int, step: int, side: int) -> Iterator[tuple[int, int]]:
    """Strips of at most ``step`` rows that lie in one row of blocks."""
    top = 0
    while top < height:
        bottom = min(height, top + step, (top // side + 1) * side)
        yield top, bottom
        top = bottom


def _pairs(first: Labels, second: Labels) -> NDArray[np.bool_]:
    """``(2, h, w)``: where neighbours differ, where both are known."""
    known = (first != UNKNOWN) & (second != UNKNOWN)
    return np.stack([known & (first != second), known])


def _histogram(places: NDArray[np.intp], values: NDArray[Any], size: int) -> NDArray[np.int64]:
    return np.rint(np.bincount(places, weights=values, minlength=size)).astype(np.int64)


def line_kinds(axis: Axis) -> NDArray[np.intp]:
    """Of the line before every pixel of an axis its place in `KINDS`, ``(length,)``."""
    out = np.zeros(axis.length, np.intp)
    for first, second in zip(axis.starts, axis.starts[1:], strict=False):
        end = first + axis.tile
        for at, kind in ((end, 3), ((second + end) // 2, 2), (second, 1)):
            if 0 < at < axis.length:
                out[at] = kind
    return out


def _groups(axis: Axis) -> NDArray[np.intp]:
    """Kind of line and rest as one number, for every line of an axis."""
    return line_kinds(axis) * GRID + np.arange(axis.length) % GRID
