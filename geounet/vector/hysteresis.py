"""Hysteresis: weak marks count where their 4-connected patch holds a strong one, however far away.

J. Canny, A computational approach to edge detection, 1986, section VIII. Two passes over the same rows, of which
the second gives the marks that count; patches are joined as the survey joins components, so where the rows were
cut leaves no trace. Memory: five bytes for each patch, and a few for each column.
"""

# ruff: noqa: PLR0917 - compiled functions are called with positions

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from geounet.kernels import kernel
from geounet.vector.room import Room
from geounet.vector.runs import OUTSIDE, cut_runs, find, keep_row, load, mark, new_marks, new_row
from geounet.vector.survey import number_runs

NOTHING, WEAK, STRONG = 0, 1, 2
"""What a pixel may be."""

_LUT = np.full(256, OUTSIDE, np.int32)
_LUT[[WEAK, STRONG]] = 1


@kernel
def _join(values: Any, lut: Any, above: Any, below: Any, marks: Any, parent: Any, strong: Any, counts: Any) -> int:
    """First pass: number the patches, and note which are strong; returns the rows taken."""
    nowhere = np.empty(0, np.bool_)
    for i in range(values.shape[0]):
        if counts[0] + values.shape[1] > parent.size:
            return i
        load(values[i], lut, nowhere, below)
        mark(above, below, marks)
        cut_runs(marks, below)
        counts[0] = number_runs(above, below, parent, counts[0], True)
        for j in range(below.n_runs[0]):
            if below.ids[j] < 0:
                continue
            if below.fresh[j]:
                strong[below.ids[j]] = False
            for c in range(below.runs[j], below.runs[j + 1]):
                if values[i, c] == STRONG:
                    strong[find(parent, below.ids[j])] = True
                    break
        keep_row(below, above)
    return int(values.shape[0])


@kernel
def _choose(
    values: Any, lut: Any, above: Any, below: Any, marks: Any, parent: Any, kept: Any, n: int, out: Any
) -> int:
    """Second pass: the pixels of the patches that are ``kept``; returns the patches met so far."""
    nowhere = np.empty(0, np.bool_)
    for i in range(values.shape[0]):
        load(values[i], lut, nowhere, below)
        mark(above, below, marks)
        cut_runs(marks, below)
        n = number_runs(above, below, parent, n, False)
        for j in range(below.n_runs[0]):
            if below.ids[j] >= 0 and kept[below.ids[j]]:
                for c in range(below.runs[j], below.runs[j + 1]):
                    out[i, c] = True
        keep_row(below, above)
    return n


class Hysteresis:
    """Feed all rows, decide, then ask for all rows again."""

    def __init__(self, width: int) -> None:
        self.width = width
        self._parent, self._strong = np.empty(0, np.int32), np.empty(0, np.bool_)
        self._counts = np.zeros(1, np.int64)
        self._rewind()

    def _rewind(self) -> None:
        self._above, self._below, self._marks = new_row(self.width), new_row(self.width), new_marks(self.width)

    def feed(self, rows: NDArray[np.uint8]) -> None:
        """First pass: the next rows ``(h, width)`` of `NOTHING`, `WEAK` and `STRONG`."""
        rows, done = np.ascontiguousarray(rows), 0
        while done < rows.shape[0]:
            arrays = (self._parent, self._strong)
            self._parent, self._strong = Room().grown(arrays, int(self._counts[0]), 2 * self.width)
            done += _join(
                rows[done:], _LUT, self._above, self._below, self._marks, self._parent, self._strong, self._counts
            )

    def decide(self) -> None:
        """After the first pass."""
        n = int(self._counts[0])
        roots = self._parent[:n].copy()
        while not np.array_equal(up := roots[roots], roots):
            roots = up
        strong = np.zeros(n, np.bool_)
        strong[roots[self._strong[:n]]] = True
        self._parent, self._strong = roots, strong
        self._counts[0] = 0
        self._rewind()

    def choose(self, rows: NDArray[np.uint8]) -> NDArray[np.bool_]:
        """Second pass: the same rows again; ``(h, width)`` True where a mark counts."""
        out = np.zeros(rows.shape, np.bool_)
        n = _choose(
            np.ascontiguousarray(rows),
            _LUT,
            self._above,
            self._below,
            self._marks,
            self._parent,
            self._strong,
            int(self._counts[0]),
            out,
        )
        self._counts[0] = n
        return out
