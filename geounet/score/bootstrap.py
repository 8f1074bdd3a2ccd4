"""Confidence intervals: blocks of ground drawn again and again, with replacement.

Neighbouring pixels are wrong together, so pixels cannot be drawn one by one: that would make the intervals far too
narrow. Blocks are drawn instead, and every score is computed again from their sums (B. Efron and R. Tibshirani, An
Introduction to the Bootstrap, 1993; block bootstrap: H. R. Künsch, Annals of Statistics 17, 1989).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import ceil
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geounet.grid.window import Window

FloatArray = NDArray[np.float64]
Sums = tuple[NDArray[Any], ...]
Scorer = Callable[[Sums], Mapping[str, FloatArray]]
"""From sums with any leading axes to scores by name, each with the same leading axes."""

FEWEST_BLOCKS = 8
"""With fewer, an interval would say more about the draw than about the map."""
_LARGEST, _SMALLEST = 256, 32
_MOST_BLOCKS = 4096
_MOST_BYTES = 64 * 2**20
_AT_ONCE = 2**22


@dataclass(frozen=True, kw_only=True)
class BlockGrid:
    """Squares over a raster; they belong to the raster, not to how it is read."""

    height: int
    width: int
    side: int
    """Of a block, in pixels."""

    @property
    def rows(self) -> int:
        """Blocks down."""
        return ceil(self.height / self.side)

    @property
    def cols(self) -> int:
        """Blocks across."""
        return ceil(self.width / self.side)

    def __len__(self) -> int:
        return self.rows * self.cols

    def window(self, block: int) -> Window:
        """The pixels of a block, counted from the first row on."""
        row, col = divmod(block, self.cols)
        whole = Window(0, 0, self.height, self.width)
        return Window(row * self.side, col * self.side, self.side, self.side).intersection(whole)


def grid_over(*, height: int, width: int, values: int) -> BlockGrid:
    """Blocks of 256 pixels; smaller where fewer than 16 would fit, larger where their counts would not.

    ``values``: numbers that are kept for every block.
    """
    side = _LARGEST
    while side > _SMALLEST and ceil(height / side) * ceil(width / side) < 2 * FEWEST_BLOCKS:
        side //= 2
    most = max(1, min(_MOST_BLOCKS, _MOST_BYTES // (8 * values)))
    while ceil(height / side) * ceil(width / side) > most:
        side *= 2
    return BlockGrid(height=height, width=width, side=side)


def intervals(
    blocks: Sums, score: Scorer, *, draws: int, seed: int, level: float = 0.95
) -> dict[str, tuple[FloatArray, FloatArray]]:
    """Lower and upper limit of every score, by percentiles; empty with fewer than `FEWEST_BLOCKS` blocks.

    ``blocks``: counts ``(n, …)`` of every block, without empty ones. The same seed gives the same limits.
    """
    count = len(blocks[0])
    if count < FEWEST_BLOCKS or draws < 1:
        return {}
    weights = np.random.default_rng(seed).multinomial(count, np.full(count, 1 / count), size=draws)
    flat = [b.reshape(count, -1).astype(np.float64) for b in blocks]
    step = max(1, _AT_ONCE // max(1, sum(f.shape[1] for f in flat)))
    found: dict[str, list[FloatArray]] = {}
    for at in range(0, draws, step):
        drawn = weights[at : at + step].astype(np.float64)
        sums = tuple((drawn @ f).reshape(len(drawn), *b.shape[1:]) for f, b in zip(flat, blocks, strict=True))
        for name, values in score(sums).items():
            found.setdefault(name, []).append(np.asarray(values))
    tail = (1 - level) / 2
    return {name: _limits(np.concatenate(parts), tail) for name, parts in found.items()}


def _limits(values: FloatArray, tail: float) -> tuple[FloatArray, FloatArray]:
    """Quantiles over the first axis, NaNs left out; NaN where there is nothing else."""
    empty = np.isnan(values).all(0)
    with np.errstate(invalid="ignore"):  # infinite ratios
        low, high = np.nanquantile(np.where(empty, 0.0, values), [tail, 1 - tail], axis=0)
    return np.where(empty, np.nan, low), np.where(empty, np.nan, high)
