"""What thinning takes from straight marks at 45 degrees, given back to their skeleton.

Zhang and Suen's rules (T. Y. Zhang and C. Y. Suen, A fast parallel algorithm for thinning digital patterns, 1984)
erode a diagonal band of some widths along its length, from its free ends on, until one pixel of it is left. Here a
diagonal dead end, and a pixel that is left alone, is led on through the middle of the mark for as long as the mark
goes on as wide as it was. Nothing is added where a line ends as thinning ends it, about a reach before the mark.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from geounet.grid.window import Window
from geounet.vector.network import network

BoolArray = NDArray[np.bool_]
FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
Marks = Callable[[Window], BoolArray]
"""Which pixels of a window are marked."""

_STEP = 0.7
"""Pixels: two places that follow each other are in one pixel, or in neighbours."""
_TURN = 0.1
"""Share of each step in the direction of the next one."""
_DIAGONAL = 0.15
"""Most difference between the parts of a direction along rows and along columns."""
_LEAST, _LEAST_ALONE = 1.4, 2.0
"""Pixels: what has less reach is no band whose length thinning takes; of those by themselves very many are none."""
_MOST = 64.0
"""Pixels: a mark with more reach is a square or a field, and no line that anybody misses."""
_PATCH = 96
"""Pixels around a place that are read at once."""


@dataclass(frozen=True, kw_only=True)
class _Walk:
    """A way through the middle of a mark."""

    xy: FloatArray
    """``(n, 2)`` column, row; pixel centres at halves."""
    half: FloatArray
    """``(n,)`` pixels from there to the mark's side."""
    met: bool
    """Whether it ended at the skeleton."""

    @property
    def free(self) -> int:
        """How many of its places are a reach away from where the mark ends; of one that met the skeleton all."""
        if self.met or not len(self.xy):
            return len(self.xy)
        left = np.hypot(*(self.xy[-1] - self.xy).T)
        half = self.half[left <= 2 * self.half.max()].max()  # the very last places lie in a corner of the mark
        return int(np.count_nonzero(left >= half))


def with_diagonals(
    place: IntArray, reach: FloatArray, *, shape: tuple[int, int], pixel: FloatArray, marks: Marks
) -> tuple[IntArray, FloatArray]:
    """Pixels to add to a skeleton, ``row * width + column``, and their reaches.

    Args:
        place: ``(n,)`` the skeleton's pixels, rising.
        reach: ``(n,)`` in the unit of ``pixel``.
        shape: height and width of the raster.
        pixel: ``(n,)`` side of each pixel (of an oblong one the mean).
        marks: tells what is marked.
    """
    walker = _Walker(place, shape, marks)
    size = reach / np.maximum(pixel, 1e-300)
    for k, directions in _seeds(place, size, shape[1]):
        start = np.array([place[k] % shape[1] + 0.5, place[k] // shape[1] + 0.5])
        best: list[_Walk] = []
        for pair in directions:
            walks = [walker.walk(start, d, size[k], alone=len(directions) > 1) for d in pair]
            if sum(w.free for w in walks) > sum(w.free for w in best):
                best = walks
        if sum(w.free for w in best) * _STEP < (4.0 if len(directions) > 1 else 1.0) * size[k]:
            continue
        for walk in best:
            columns, rows = np.floor(walk.xy[: walk.free]).astype(np.int64).T
            for p, half in zip((rows * shape[1] + columns).tolist(), walk.half.tolist(), strict=False):
                if not walker.was_there(p):
                    walker.new.setdefault(p, half * pixel[k])
    found = np.array(sorted(walker.new), np.int64)
    return found, np.array([walker.new[p] for p in found.tolist()])


def _seeds(place: IntArray, size: FloatArray, width: int) -> Iterator[tuple[int, list[list[FloatArray]]]]:
    """Where to begin, in order: a pixel, and directions, one or pairs of which the longer way is taken."""
    net = network(place, width=width)
    xy = np.stack([place % width, place // width], axis=1).astype(np.float64)
    diagonals = [[d, -d] for d in (np.array([1.0, 1.0]) / np.sqrt(2), np.array([1.0, -1.0]) / np.sqrt(2))]
    seeds: dict[int, list[list[FloatArray]]] = {}
    dead = net.degree[net.ends] == 1
    on_edge = np.zeros(place.size, np.bool_)
    on_edge[net.path] = True
    on_edge |= net.node_of >= 0
    for k in np.flatnonzero(~on_edge & (size >= _LEAST_ALONE) & (size <= _MOST)).tolist():
        seeds[k] = diagonals
    for edge, end in zip(*np.nonzero(dead), strict=True):
        path = net.path[net.starts[edge] : net.starts[edge + 1]]
        path = path if end == 0 else path[::-1]
        tip = int(path[0])
        if not _LEAST <= size[tip] <= _MOST:
            continue
        away = np.hypot(*(xy[path] - xy[tip]).T)
        if dead[edge].all() and away.max() < size[tip]:  # what is left of a band, whichever way it lies
            seeds[int(path.min())] = diagonals
            continue
        back = min(int(np.searchsorted(away >= max(2 * size[tip], 6.0), True)), path.size - 1)
        vector = xy[tip] - xy[path[back]]
        length = float(np.hypot(*vector))
        if length and abs(abs(vector[0]) - abs(vector[1])) <= _DIAGONAL * length:
            seeds[tip] = [[vector / length]]
    yield from sorted(seeds.items())


class _Walker:
    """Goes through marks, and knows where the skeleton is."""

    def __init__(self, place: IntArray, shape: tuple[int, int], marks: Marks) -> None:
        self._place, self._shape, self._marks = place, shape, marks
        self.new: dict[int, float] = {}
        """Places that are skeleton by now, and their reaches."""
        self._patch, self._top, self._left = np.zeros((0, 0), np.bool_), 0, 0

    def was_there(self, place: int) -> bool:
        """Whether the skeleton that was given has the pixel."""
        k = int(np.searchsorted(self._place, place))
        return k < self._place.size and int(self._place[k]) == place

    def walk(self, start: FloatArray, direction: FloatArray, size: float, *, alone: bool) -> _Walk:
        """From a pixel on, as long as the mark is as wide as there. ``alone``: there is no line behind."""
        at, heading = start, direction
        found: list[FloatArray] = []
        halves: list[float] = []
        met = False
        while len(found) < self._shape[0] + self._shape[1]:
            ahead = at + heading * _STEP
            across = np.array([-heading[1], heading[0]])
            left, right = self._side(ahead, across, size), self._side(ahead, -across, size)
            if not self._is_marked(ahead[None])[0] or max(left, right) > 1.5 * size + 1.5:
                break
            ahead = ahead + across * np.clip((left - right) / 2, -0.3, 0.3)
            if np.hypot(*(ahead - start)) > (2.0 if alone else size + 2.0) and self._meets(ahead):
                met = True
                break
            moved = ahead - at
            heading = (1 - _TURN) * heading + _TURN * moved / np.hypot(*moved)
            heading = heading / np.hypot(*heading)
            at = ahead
            found.append(at)
            halves.append((left + right) / 2)
        xy = np.array(found).reshape(-1, 2)
        return _Walk(xy=xy, half=np.array(halves), met=met)

    def _side(self, at: FloatArray, across: FloatArray, size: float) -> float:
        """Pixels from ``at`` to the first place beside it that is not marked."""
        steps = np.arange(0.5, 1.5 * size + 3.0, 0.5)
        outside = ~self._is_marked(at + steps[:, None] * across)
        return float(steps[np.argmax(outside)]) if outside.any() else float(steps[-1])

    def _meets(self, at: FloatArray) -> bool:
        """Whether the pixel or one beside it belongs to the skeleton."""
        column, row = (int(v) for v in np.floor(at))
        around = [(row + dy) * self._shape[1] + column + dx for dy in (-1, 0, 1) for dx in (-1, 0, 1)]
        return any(p in self.new or self.was_there(p) for p in around)

    def _is_marked(self, xy: FloatArray) -> BoolArray:
        columns, rows = np.floor(xy).astype(np.int64).T
        inside = (columns >= 0) & (columns < self._shape[1]) & (rows >= 0) & (rows < self._shape[0])
        out = np.zeros(len(xy), np.bool_)
        if inside.any():
            self._read_around(int(rows[inside].min()), int(rows[inside].max()), columns[inside])
            out[inside] = self._patch[rows[inside] - self._top, columns[inside] - self._left]
        return out

    def _read_around(self, top: int, bottom: int, columns: IntArray) -> None:
        left, right = int(columns.min()), int(columns.max())
        height, width = self._patch.shape
        there = self._top <= top and self._left <= left
        if there and bottom < self._top + height and right < self._left + width:
            return
        self._top, self._left = max(0, top - _PATCH), max(0, left - _PATCH)
        bottom, right = min(self._shape[0], bottom + _PATCH + 1), min(self._shape[1], right + _PATCH + 1)
        self._patch = self._marks(Window(self._top, self._left, bottom - self._top, right - self._left))
