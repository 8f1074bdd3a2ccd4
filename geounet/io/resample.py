"""Seeing an array on another grid of the same orientation: average going coarser, bilinear going finer.

Each output pixel is a weighted sum over a few input pixels ("taps") whose places and weights depend on that
pixel alone, added up in one fixed order, so that the bytes do not depend on the window that was asked for.
GDAL's warper cannot promise that: it derives the kernel's scale from each chunk that it works on
(``dfXScale`` in https://github.com/OSGeo/gdal/blob/v3.10.3/alg/gdalwarpoperation.cpp).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geounet.grid.window import Window
from geounet.io.raster import Piece

_CHUNK_PIXELS = 2 * 2**20
"""Input pixels that are resampled at a time; bounds the memory, changes nothing else."""
_SAME = 1e-6
"""In pixels: below this, grids coincide."""


@dataclass(frozen=True, kw_only=True)
class AxisMap:
    """Output pixel ``i`` covers the input from ``offset + i*scale`` to ``offset + (i+1)*scale``."""

    scale: float
    """Input pixels per output pixel; negative where the axes point in opposite directions."""
    offset: float
    """Input coordinate of the first output pixel's outer edge."""
    source: int
    """Input pixels along this axis."""

    def taps(self, start: int, stop: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Input places and weights of the output pixels ``[start, stop)``, both ``(pixels, taps)``.

        A pixel that the input does not reach has zero weights only.
        """
        first = np.arange(start, stop, dtype=np.float64)
        return self._area(first) if abs(self.scale) > 1 + _SAME else self._linear(first)

    # a tap that has no weight anywhere adds nothing, so `_inside` may leave it out
    def _area(self, first: NDArray[np.float64]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        a = self.offset + first * self.scale
        b = self.offset + (first + 1) * self.scale
        low, high = np.minimum(a, b)[:, None], np.maximum(a, b)[:, None]
        places = np.floor(low + 1e-9) + np.arange(math.ceil(abs(self.scale)) + 1, dtype=np.float64)
        weights = np.minimum(high, places + 1) - np.maximum(low, places)
        return self._inside(places, np.where(weights > 1e-9, weights, 0.0))

    def _linear(self, first: NDArray[np.float64]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        centre = self.offset + (first[:, None] + 0.5) * self.scale - 0.5
        nearest = np.rint(centre)
        centre = np.where(np.abs(centre - nearest) < _SAME, nearest, centre)
        low = np.floor(centre)
        places = low + np.arange(2, dtype=np.float64)
        weights = np.concatenate([1 - (centre - low), centre - low], axis=1)
        reached = (centre >= -0.5 - _SAME) & (centre <= self.source - 0.5 + _SAME)
        return self._inside(np.clip(places, 0, self.source - 1), weights * reached)

    def _inside(
        self, places: NDArray[np.float64], weights: NDArray[np.float64]
    ) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        outside = (places < 0) | (places >= self.source)
        weights = np.where(outside, 0.0, weights)
        used = np.asarray(weights.any(axis=0))
        used[0] = True  # one tap at least, also where nothing is reached
        whole = np.clip(places, 0, self.source - 1).astype(np.int64)
        return whole[:, used], weights[:, used]


def resample(
    read: Callable[[Window], Piece],
    *,
    rows: AxisMap,
    cols: AxisMap,
    window: Window,
    count: int,
    dtype: np.dtype[Any],
) -> Piece:
    """The pixels of ``window`` (output pixels) made from what ``read`` gives (input pixels).

    A pixel has data where at least half of the input under it does; it is the mean of that half alone.
    """
    data = np.zeros((count, *window.shape), dtype)
    bad, blank, has_blank = np.zeros(window.shape, bool), np.zeros(window.shape, bool), True
    step = _rows_at_a_time(rows, cols, window)
    for top in range(0, window.height, step):
        part = Window(window.row_off + top, window.col_off, min(step, window.height - top), window.width)
        piece = _part(read, rows=rows, cols=cols, part=part, count=count, dtype=dtype)
        band = slice(top, top + part.height)
        data[:, band], bad[band] = piece.data, piece.bad
        has_blank = has_blank and piece.blank is not None
        blank[band] = False if piece.blank is None else piece.blank
    return Piece(data=data, bad=bad, blank=blank if has_blank else None)


def _rows_at_a_time(rows: AxisMap, cols: AxisMap, window: Window) -> int:
    across = max(window.width, window.width * abs(cols.scale))
    return max(1, int(_CHUNK_PIXELS / (across * max(1.0, abs(rows.scale)))))


def _part(
    read: Callable[[Window], Piece], *, rows: AxisMap, cols: AxisMap, part: Window, count: int, dtype: np.dtype[Any]
) -> Piece:
    row_places, row_weights = rows.taps(part.row_off, part.bottom)
    col_places, col_weights = cols.taps(part.col_off, part.right)
    source = _reach(row_places, row_weights, col_places, col_weights)
    if source is None:
        nothing = np.ones(part.shape, bool)
        return Piece(data=np.zeros((count, *part.shape), dtype), bad=nothing, blank=np.zeros(part.shape, bool))
    piece = read(source)
    real = np.float64 if dtype.itemsize > 2 and dtype != np.float32 else np.float32
    kernel = _Kernel(
        rows=np.clip(row_places - source.row_off, 0, source.height - 1),
        cols=np.clip(col_places - source.col_off, 0, source.width - 1),
        row_weights=row_weights.astype(real),
        col_weights=col_weights.astype(real),
    )
    return _blend(piece, kernel, dtype)


def _reach(
    row_places: NDArray[np.int64],
    row_weights: NDArray[np.float64],
    col_places: NDArray[np.int64],
    col_weights: NDArray[np.float64],
) -> Window | None:
    """The input window of all taps that count; None where there is none."""
    used_rows, used_cols = row_places[row_weights > 0], col_places[col_weights > 0]
    if not used_rows.size or not used_cols.size:
        return None
    return Window.from_bounds(
        top=int(used_rows.min()),
        left=int(used_cols.min()),
        bottom=int(used_rows.max()) + 1,
        right=int(used_cols.max()) + 1,
    )


@dataclass(frozen=True, kw_only=True)
class _Kernel:
    """Taps of both axes, each ``(output pixels, taps)``, in pixels of the piece."""

    rows: NDArray[np.int64]
    cols: NDArray[np.int64]
    row_weights: NDArray[Any]
    col_weights: NDArray[Any]

    def total(self) -> NDArray[Any]:
        """``apply`` of an array of ones, bit for bit: ``(h, w)``."""
        ones = np.ones((int(self.rows.max()) + 1, 1), self.row_weights.dtype)
        return _sum_taps(np.take(self._down(ones), np.zeros_like(self.cols), axis=-1), self.col_weights)

    def apply(self, array: NDArray[Any]) -> NDArray[Any]:
        """Weighted sums of ``array (…, H, W)``: ``(…, h, w)``."""
        down = self._down(array)
        out = self.col_weights[:, 0] * np.take(down, self.cols[:, 0], axis=-1)
        for tap in range(1, self.cols.shape[1]):
            out += self.col_weights[:, tap] * np.take(down, self.cols[:, tap], axis=-1)
        return out

    def _down(self, array: NDArray[Any]) -> NDArray[Any]:
        out = self.row_weights[:, 0, None] * np.take(array, self.rows[:, 0], axis=-2)
        for tap in range(1, self.rows.shape[1]):
            out += self.row_weights[:, tap, None] * np.take(array, self.rows[:, tap], axis=-2)
        return out


def _sum_taps(array: NDArray[Any], weights: NDArray[Any]) -> NDArray[Any]:
    out = weights[:, 0] * array[..., 0]
    for tap in range(1, weights.shape[1]):
        out += weights[:, tap] * array[..., tap]
    return out


def _blend(piece: Piece, kernel: _Kernel, dtype: np.dtype[Any]) -> Piece:
    real = kernel.row_weights.dtype
    valid, total = piece.valid, kernel.total()
    whole = bool(valid.all())
    raw = piece.data if whole else np.where(valid, piece.data, 0)
    share = total if whole else kernel.apply(valid.astype(real))
    missing = (share < 0.5 * total) | (total <= 0)
    mean = kernel.apply(raw) / np.where(missing, real.type(1), share)
    mean[:, missing] = 0
    bad = missing
    if piece.blank is not None:
        spoilt = np.zeros_like(missing) if piece.bad is None else kernel.apply(piece.bad.astype(real)) > 0
        bad = missing & (spoilt | (total <= 0))
    blank = None if piece.blank is None else missing & ~bad
    return Piece(data=_rounded(mean, dtype), bad=bad, blank=blank)


def _rounded(mean: NDArray[Any], dtype: np.dtype[Any]) -> NDArray[Any]:
    if dtype.kind == "f":
        return (mean + 0.0).astype(dtype)  # -0.0 may come from taps of no weight, which depend on the window
    limits = np.iinfo(dtype)
    return np.clip(np.rint(mean), limits.min, limits.max).astype(dtype)
