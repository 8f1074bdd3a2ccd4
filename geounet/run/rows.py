"""Row bands of a scene: each pixel row is read once per block, whatever the tiles overlap."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from geounet.grid.window import Window
from geounet.io.scene import Pixels


class ReadsPixels(Protocol):
    """What a band reader needs of a scene."""

    def read(self, window: Window) -> Pixels:
        """Raw pixels and validity of a window."""
        ...


@dataclass(frozen=True, kw_only=True)
class Band:
    """All rows of one row of tiles, over the columns that a block reads."""

    top: int
    """Scene row of the first row."""
    left: int
    """Scene column of the first column."""
    data: NDArray[Any]
    """``(bands, rows, columns)`` in the scene's dtype."""
    valid: NDArray[np.bool_]
    """``(rows, columns)``: what the network sees."""
    wanted: NDArray[np.bool_]
    """``(rows, columns)``: what the part shows; valid, and inside the area of interest or near it."""

    def tail(self, top: int) -> Band:
        """The rows from scene row ``top`` on."""
        rows = slice(top - self.top, None)
        return Band(
            top=top,
            left=self.left,
            data=self.data[:, rows],
            valid=self.valid[rows],
            wanted=self.wanted[rows],
        )

    def below(self, new: Band) -> Band:
        """This band with ``new`` directly below it."""
        return Band(
            top=self.top,
            left=self.left,
            data=np.concatenate([self.data, new.data], axis=1),
            valid=np.concatenate([self.valid, new.valid]),
            wanted=np.concatenate([self.wanted, new.wanted]),
        )

    def tile(self, col: int, size: int) -> tuple[NDArray[Any], NDArray[np.bool_]]:
        """Pixels and validity of the tile that starts at scene column ``col``.

        Beyond a scene that is smaller than a tile there is nothing: zeros that are not valid.
        """
        cols = slice(col - self.left, col - self.left + size)
        data, valid = self.data[:, :size, cols], self.valid[:size, cols]
        missing = (size - valid.shape[0], size - valid.shape[1])
        if any(missing):
            grow = ((0, missing[0]), (0, missing[1]))
            data, valid = np.pad(data, ((0, 0), *grow)), np.pad(valid, grow)
        return data, valid

    def is_wanted(self, col: int, size: int) -> bool:
        """Whether the tile that starts at scene column ``col`` shows anything."""
        return bool(self.wanted[:size, col - self.left : col - self.left + size].any())


def read_bands(
    scene: ReadsPixels,
    windows: list[Window],
    *,
    above: Band | None,
    wanted: Callable[[Window], NDArray[np.bool_]] | None,
    on_read: Callable[[Band], None] = lambda _band: None,
) -> Iterator[Band]:
    """The bands of ``windows`` (top to bottom, overlapping), reading only rows that the band before lacks.

    ``above`` is the last band of the block above, where it is at hand; ``wanted`` limits what is shown; ``on_read``
    hears of the rows that were read, each once.
    """
    for window in windows:
        first_new = window.row_off
        kept = None
        if above is not None and above.top + above.data.shape[1] > window.row_off:
            kept = above.tail(window.row_off)
            first_new = above.top + above.data.shape[1]
        if first_new < window.bottom:
            fresh = read_band(
                scene,
                Window.from_bounds(top=first_new, left=window.col_off, bottom=window.bottom, right=window.right),
                wanted,
            )
            on_read(fresh)
            above = fresh if kept is None else kept.below(fresh)
        elif kept is not None:
            above = kept
        assert above is not None
        yield above


def read_band(scene: ReadsPixels, window: Window, wanted: Callable[[Window], NDArray[np.bool_]] | None) -> Band:
    """The rows of a window."""
    pixels = scene.read(window)
    shown = pixels.valid if wanted is None else pixels.valid & wanted(window)
    return Band(top=window.row_off, left=window.col_off, data=pixels.data, valid=pixels.valid, wanted=shown)


def ahead(bands: Iterator[Band], executor: Executor) -> Iterator[Band]:
    """The same bands, the next one being read on ``executor`` while this one is used."""
    waiting = executor.submit(next, bands, None)
    while (band := waiting.result()) is not None:
        waiting = executor.submit(next, bands, None)
        yield band


class WantedRows:
    """The ``wanted`` mask of the rows that were read and have not left the canvas yet."""

    def __init__(self) -> None:
        self._rows: deque[tuple[int, NDArray[np.bool_]]] = deque()
        self._end = 0

    def add(self, band: Band) -> None:
        """Remember the rows of ``band`` that are new."""
        end = band.top + band.wanted.shape[0]
        first_new = max(self._end, band.top)
        if end > first_new:
            self._rows.append((first_new, band.wanted[first_new - band.top :]))
            self._end = end

    def take(self, top: int, count: int) -> NDArray[np.bool_]:
        """Rows ``[top, top + count)``, as wide as the bands; what lies above is forgotten."""
        pieces = []
        for start, rows in self._rows:
            low, high = max(top - start, 0), min(top + count - start, rows.shape[0])
            if low < high:
                pieces.append(rows[low:high])
        while self._rows and self._rows[0][0] + self._rows[0][1].shape[0] <= top + count:
            self._rows.popleft()
        return pieces[0] if len(pieces) == 1 else np.concatenate(pieces)
