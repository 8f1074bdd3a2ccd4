"""Squares of ground, and what of a scene's labels is left where some of them are held out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from geounet.grid.window import Window
from geounet.model.spec import NODATA
from geounet.train.config import BlocksConfig
from geounet.train.open_source import EMPTY
from geounet.train.scenes import TrainScene

Key = tuple[str, int, int]
"""Name of the ground, row and column of a square."""


@dataclass(frozen=True, kw_only=True)
class BlockGrid:
    """Squares over a scene, counted from the ground's origin where it has one, so that overlapping scenes agree."""

    name: str
    """Of the ground: the CRS, or the scene's content."""
    row: int
    col: int
    """Pixels from the ground's origin to the scene's first."""
    shape: tuple[int, int]
    side: int

    @classmethod
    def of(cls, scene: TrainScene, blocks: BlocksConfig) -> BlockGrid:
        """The squares of a scene."""
        box = scene.geobox
        if box is None:
            return cls(name=scene.content or scene.name, row=0, col=0, shape=scene.shape, side=blocks.side)
        a, b, c, d, e, f = box.transform
        if b or d:
            return cls(name=f"{box.crs} {box.transform}", row=0, col=0, shape=scene.shape, side=blocks.side)
        return cls(
            name=f"{box.crs} {a!r} {e!r}",
            row=round(f / e),
            col=round(c / a),
            shape=scene.shape,
            side=blocks.side,
        )

    def squares(self) -> list[Key]:
        """All squares that the scene touches."""
        rows, cols = self._span(self.row, self.shape[0]), self._span(self.col, self.shape[1])
        return [(self.name, row, col) for row in rows for col in cols]

    def _span(self, start: int, length: int) -> range:
        return range(start // self.side, (start + length - 1) // self.side + 1)

    def near(self, window: Window, margin: int) -> list[tuple[Key, Window]]:
        """Squares within ``margin`` pixels of a window of the scene, and where they lie in the scene."""
        top, left = window.row_off + self.row - margin, window.col_off + self.col - margin
        found = []
        for row in self._span(top, window.height + 2 * margin):
            for col in self._span(left, window.width + 2 * margin):
                square = _Square(row * self.side - self.row, col * self.side - self.col, self.side)
                found.append(((self.name, row, col), square))
        return [(key, square.clipped(self.shape, margin)) for key, square in found]


@dataclass(frozen=True)
class _Square:
    top: int
    left: int
    side: int

    def clipped(self, shape: tuple[int, int], margin: int) -> Window:
        """The square with a margin, as far as it lies in the scene; empty where it does not."""
        top, left = max(0, self.top - margin), max(0, self.left - margin)
        bottom = max(top, min(shape[0], self.top + self.side + margin))
        right = max(left, min(shape[1], self.left + self.side + margin))
        return Window.from_bounds(top=top, left=left, bottom=bottom, right=right)


@dataclass(frozen=True, kw_only=True)
class LearnedSide:
    """Held-out squares, and a buffer around them, are as if the image had no data there."""

    grid: BlockGrid
    chosen: frozenset[Key]
    buffer: int

    def __call__(self, labels: NDArray[np.uint8], window: Window) -> None:
        """Change the labels of a window in place."""
        for key, square in self.grid.near(window, self.buffer):
            if key in self.chosen:
                common = square.intersection(window)
                labels[common.relative_to(window).slices()] = EMPTY


@dataclass(frozen=True, kw_only=True)
class HeldSide:
    """Outside the held-out squares the labels are not known; what the image shows there may help."""

    grid: BlockGrid
    chosen: frozenset[Key]

    def __call__(self, labels: NDArray[np.uint8], window: Window) -> None:
        """Change the labels of a window in place."""
        for key, square in self.grid.near(window, 0):
            if key not in self.chosen:
                here = labels[square.intersection(window).relative_to(window).slices()]
                here[here != EMPTY] = NODATA
