"""The minimum mapping unit: two passes over the same rows, of which the second gives the cleaned labels.

    unit = MappingUnit(width=width, lut=lut, limit=limit, density=density)
    for rows in strips:
        unit.feed(rows)
    unit.decide()
    for rows in strips:
        cleaned = unit.clean(rows)

Memory: about 41 bytes for each component, and 24 for each border of a small one.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geounet.vector.absorb import absorb
from geounet.vector.holes import fill_holes
from geounet.vector.room import Room
from geounet.vector.runs import OUTSIDE, new_marks, new_row
from geounet.vector.survey import Borders, Census, relabel, survey

AREA_UNITS = 2**20
"""Areas are counted in this fraction of a pixel, in whole numbers, so that equal sums are equal in any order."""
_BORDERS_AT_ONCE = 2**18

Density = Callable[[NDArray[np.int64]], NDArray[np.float64]]
"""From ``(h,)`` rows to ``(h, k)`` areas of a pixel (m²) at ``k`` ≥ 2 columns, evenly from 0 to the width."""
Sides = Callable[[NDArray[np.int64]], NDArray[np.float64]]
"""From ``(n,)`` rows to ``(n, 2)`` lengths (m) of a pixel's sides along rows and along columns."""


class MappingUnit:
    """Finds the components that are too small, and what becomes of them."""

    def __init__(
        self,
        *,
        width: int,
        lut: NDArray[np.int32] | None,
        min_area: float,
        density: Density,
        sides: Sides,
        pixel_area: float,
        min_hole: float = 0.0,
        only: int | None = None,
    ) -> None:
        """``min_area`` and ``min_hole`` in the unit of ``density``; ``pixel_area``: some typical density.

        ``only``: just components of this label are absorbed, those that touch no other component vanish,
        and just their holes are filled.
        """
        self.width = width
        self._lut = np.zeros(0, np.int32) if lut is None else lut
        self._dtype = np.dtype(np.int32 if lut is None else np.uint8)
        self._density, self._sides, self._only = density, sides, only
        self._scale = AREA_UNITS / pixel_area
        self._limit = math.ceil(min_area * self._scale * (1 - 1e-9))
        self._hole_limit = math.ceil(min_hole * self._scale * (1 - 1e-9))
        self._census = Census(
            parent=np.empty(0, np.int32),
            label=np.empty(0, np.int32),
            first=np.empty(0, np.int64),
            area=np.empty(0, np.int64),
            at_rim=np.empty(0, np.bool_),
        )
        size = max(_BORDERS_AT_ONCE, 3 * width)
        self._borders = Borders(*(np.empty(size, np.int32) for _ in range(4)))
        self._known: list[tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]] = []
        self._known_size, self._packed_size = 0, 0
        self._counts = np.zeros(2, np.int64)
        self._final = np.empty(0, np.int32)
        self._rewind()

    def _rewind(self) -> None:
        self.row = 0
        """Rows taken so far in this pass."""
        self._above, self._below = new_row(self.width), new_row(self.width)
        self._marks = new_marks(self.width)

    def feed(self, rows: NDArray[Any], *, outside: NDArray[np.bool_] | None = None) -> None:
        """First pass: take the next rows ``(h, width)``, as the tracer does."""
        values, shut = self._pixels(rows, outside)
        knots = np.nan_to_num(self._density(np.arange(self.row, self.row + values.shape[0]))) * self._scale
        step = self.width / (knots.shape[1] - 1)
        before = np.zeros_like(knots)
        np.cumsum((knots[:, 1:] + knots[:, :-1]) * (step / 2), axis=1, out=before[:, 1:])
        done = 0
        while done < values.shape[0]:
            self._census = Census(*Room().grown(self._census, int(self._counts[0]), 2 * self.width))
            done_now = survey(
                values[done:],
                shut[done:],
                self._lut,
                self.row,
                knots[done:],
                before[done:],
                step,
                self._above,
                self._below,
                self._marks,
                self._census,
                self._borders,
                self._counts,
            )
            done += done_now
            self.row += done_now
            self._pack_borders()

    def _pixels(
        self, rows: NDArray[Any], outside: NDArray[np.bool_] | None
    ) -> tuple[NDArray[Any], NDArray[np.bool_]]:
        shut = np.zeros((0, 0), np.bool_) if outside is None else np.ascontiguousarray(outside)
        return np.ascontiguousarray(rows, self._dtype), shut

    def _pack_borders(self) -> None:
        """Move the noted borders to the list of known ones; sum them up once that has doubled."""
        n = int(self._counts[1])
        one, other, across, down = (b[:n].astype(np.int64) for b in self._borders)
        self._counts[1] = 0
        if n:
            self._known.append(_summed(one << 32 | other, across, down))
            self._known_size += self._known[-1][0].size
        if self._known_size > 2 * self._packed_size + _BORDERS_AT_ONCE:
            self._sum_up()

    def _sum_up(self) -> None:
        """One entry per pair of components; borders between two that are large enough are forgotten."""
        if not self._known:
            return
        key, across, down = (np.concatenate(column) for column in zip(*self._known, strict=True))
        roots, area = self._resolved()
        one, other = roots[key >> 32].astype(np.int64), roots[key & 0xFFFFFFFF].astype(np.int64)
        limit = max(self._limit, self._hole_limit)
        small = (area[one] < limit) | (area[other] < limit)
        low, high = np.minimum(one, other)[small], np.maximum(one, other)[small]
        self._known = [_summed(low << 32 | high, across[small], down[small])]
        self._known_size = self._packed_size = self._known[0][0].size

    def _resolved(self) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
        """The root of every number, and the area of every root."""
        n = int(self._counts[0])
        roots = self._census.parent[:n].copy()
        while True:
            up = roots[roots]
            if np.array_equal(up, roots):
                break
            roots = up
        area = np.zeros(n, np.int64)
        np.add.at(area, roots, self._census.area[:n])
        return roots, area

    def decide(self) -> None:
        """After the first pass: what becomes of each component."""
        self._sum_up()
        roots, area = self._resolved()
        number = np.cumsum(roots == np.arange(roots.size)) - 1
        ids = np.flatnonzero(roots == np.arange(roots.size))
        label = self._census.label[ids]
        may_go = np.ones(ids.size, bool) if self._only is None else label == self._only
        empty = np.empty(0, np.int64)
        key, across, down = self._known[0] if self._known else (empty, empty, empty)
        pairs = number[key >> 32].astype(np.int32), number[key & 0xFFFFFFFF].astype(np.int32)
        cleaned, one = absorb(
            area=area[ids],
            label=label,
            may_go=may_go,
            borders=(*pairs, across, down),
            side=self._sides(self._census.first[ids] // self.width),
            limit=self._limit,
        )
        if self._only is not None:
            lonely = np.ones(ids.size, bool)
            lonely[pairs[0]] = lonely[pairs[1]] = False
            cleaned[lonely & may_go & (area[ids] < self._limit)] = OUTSIDE
        if self._hole_limit > 0:
            cleaned = self._filled(cleaned, one, area[ids], number[roots], pairs)
        if self._only is not None:
            cleaned[cleaned != self._only] = OUTSIDE
        self._final = cleaned[number[roots]]
        self._roots = roots
        self._counts[:] = 0
        self._known = []
        self._rewind()

    def _filled(
        self,
        label: NDArray[np.int32],
        one: NDArray[np.int32],
        area: NDArray[np.int64],
        number: NDArray[np.int64],
        pairs: tuple[NDArray[np.int32], NDArray[np.int32]],
    ) -> NDArray[np.int32]:
        """``(n,)`` labels after the small holes were filled; ``one`` as `absorb` gives it."""
        sums = np.zeros(one.size, np.int64)
        np.add.at(sums, one, area)
        at_rim = np.zeros(one.size, bool)
        at_rim[one[number[self._census.at_rim[: number.size]]]] = True
        in_last_row = self._above.ids[: int(self._above.n_runs[0])]
        at_rim[one[number[in_last_row[in_last_row >= 0]]]] = True
        a, b = one[pairs[0]], one[pairs[1]]
        apart = a != b
        owners = np.ones(one.size, bool) if self._only is None else label == self._only
        filled = fill_holes(
            area=sums,
            label=label,
            may_own=owners,
            at_rim=at_rim,
            borders=(a[apart], b[apart]),
            limit=self._hole_limit,
        )
        return np.asarray(filled[one])

    def clean(self, rows: NDArray[Any], *, outside: NDArray[np.bool_] | None = None) -> NDArray[np.int32]:
        """Second pass: the same rows again; their labels after absorbing, `OUTSIDE` where there is none."""
        values, shut = self._pixels(rows, outside)
        out = np.empty(values.shape, np.int32)
        relabel(
            values,
            shut,
            self._lut,
            self._above,
            self._below,
            self._marks,
            self._roots,
            self._final,
            self._counts,
            out,
        )
        self.row += values.shape[0]
        return out


def _summed(
    key: NDArray[np.int64], across: NDArray[np.int64], down: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Borders with the same key as one."""
    keys, place = np.unique(key, return_inverse=True)
    sums = [np.bincount(place, weights=w, minlength=keys.size).astype(np.int64) for w in (across, down)]
    return keys, sums[0], sums[1]
