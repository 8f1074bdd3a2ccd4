"""The one lattice of overlapping tiles that covers a scene, and the weights that blend them.

Everything is separable: an :class:`Axis` knows the tiles along rows or along columns, a :class:`Lattice` is two
of them. The lattice belongs to the scene; how the work is divided never moves a tile or a weight.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
from numpy.typing import NDArray

from geounet.errors import ConfigError
from geounet.grid.window import Window


@dataclass(frozen=True, kw_only=True)
class Axis:
    """Tiles along one axis: starts every ``stride`` from 0, the last one shifted inward to end at ``length``.

    A scene shorter than a tile has one tile, which reaches beyond it.
    """

    length: int
    """Scene pixels along the axis."""
    tile: int
    overlap: int

    def __post_init__(self) -> None:
        if self.length < 1 or self.tile < 1 or not 0 <= self.overlap < self.tile:
            raise ConfigError(
                f"tile {self.tile} with overlap {self.overlap}: expected an overlap from 0 to {self.tile - 1}"
            )

    @property
    def stride(self) -> int:
        """Distance between the starts of neighbouring tiles."""
        return self.tile - self.overlap

    @cached_property
    def starts(self) -> tuple[int, ...]:
        """First pixel of every tile, ascending."""
        last = max(0, self.length - self.tile)
        return (*range(0, last, self.stride), last)

    def touching(self, low: int, high: int) -> range:
        """Indices of the tiles that touch pixels ``[low, high)``."""
        return range(bisect_right(self.starts, low - self.tile), bisect_left(self.starts, high))

    def weights(self, index: int) -> NDArray[np.float32]:
        """Blend weights ``(tile,)`` of one tile; over all tiles they sum to 1 at every scene pixel.

        They are positive everywhere, so no pixel is ever without a prediction. Beyond the scene they are 0.
        """
        start = self.starts[index]
        neighbours = self.touching(start, start + self.tile)
        remaining = min(self.tile, self.length - start)  # so that all tiles inside the scene share one entry
        return _weights(self.tile, self.overlap, remaining, self._offsets(index, neighbours))

    def _offsets(self, index: int, neighbours: range) -> tuple[int, ...]:
        return tuple(self.starts[n] - self.starts[index] for n in neighbours)


@lru_cache(maxsize=64)
def _weights(tile: int, overlap: int, remaining: int, offsets: tuple[int, ...]) -> NDArray[np.float32]:
    """Weights of the tile at 0 among the tiles at ``offsets``; computed in float64, returned in float32."""
    profile = ramp_profile(tile, overlap)
    total = np.zeros(tile)
    for offset in offsets:
        low, high = max(0, offset), min(tile, tile + offset)
        total[low:high] += profile[low - offset : high - offset]
    weights = (profile / total).astype(np.float32)
    weights[remaining:] = 0.0
    weights.setflags(write=False)
    return weights


def ramp_profile(tile: int, overlap: int) -> NDArray[np.float64]:
    """A tile's raw trust in its own pixels ``(tile,)``: 1 inside, sin² ramps over the overlap, never 0.

    Sampled at pixel centres, neighbouring ramps sum to 1 by themselves on a regular lattice.
    """
    ramp = min(overlap, tile // 2)
    distance = np.minimum(np.arange(tile), np.arange(tile)[::-1]) + 0.5
    if ramp == 0:
        return np.ones(tile)
    return np.sin(np.minimum(distance / ramp, 1.0) * (np.pi / 2)) ** 2


@dataclass(frozen=True, kw_only=True)
class Lattice:
    """All tiles of a scene, as rows × columns of tiles."""

    rows: Axis
    cols: Axis

    @classmethod
    def over(cls, *, height: int, width: int, tile: int, overlap: int) -> Lattice:
        """The lattice of square tiles over a scene. ConfigError where ``overlap`` is not in ``[0, tile)``."""
        return cls(
            rows=Axis(length=height, tile=tile, overlap=overlap),
            cols=Axis(length=width, tile=tile, overlap=overlap),
        )

    @property
    def tile(self) -> int:
        """Side of a tile in pixels."""
        return self.rows.tile

    @property
    def count(self) -> int:
        """Number of tiles."""
        return len(self.rows.starts) * len(self.cols.starts)

    def tile_window(self, row: int, col: int) -> Window:
        """Scene pixels of a tile; reaches beyond a scene that is smaller than a tile."""
        return Window(self.rows.starts[row], self.cols.starts[col], self.tile, self.tile)

    def reads(self, core: Window) -> Window:
        """Union of the tiles that touch ``core``, cut to the scene."""
        rows = self.rows.touching(core.row_off, core.bottom)
        cols = self.cols.touching(core.col_off, core.right)
        first, last = self.tile_window(rows[0], cols[0]), self.tile_window(rows[-1], cols[-1])
        return Window.from_bounds(
            top=first.row_off,
            left=first.col_off,
            bottom=min(last.bottom, self.rows.length),
            right=min(last.right, self.cols.length),
        )

    def tiles_touching(self, core: Window) -> int:
        """How many tiles a block with this core has to compute."""
        rows = self.rows.touching(core.row_off, core.bottom)
        return len(rows) * len(self.cols.touching(core.col_off, core.right))
