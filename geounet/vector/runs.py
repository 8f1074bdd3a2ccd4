"""Runs and components, row by row: what the sweep and the survey have in common.

A *run* is a stretch of equal labels in a row. A component is numbered when its first run is met, so numbers
grow with the first pixel in row-major order; when two turn out to be one, the smaller number is the root.
Nothing here knows of strips: the same rows give the same numbers, however they are divided.

The kernels copy in plain loops: numba takes seconds to compile an assignment of one slice to another.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from geounet.kernels import kernel

OUTSIDE = np.int32(-(2**31))
"""Label of what is not vectorised: beyond the rim, nodata, or a value that is not wanted."""


class Row(NamedTuple):
    """A row of labels and its runs. Made by `new_row`."""

    labels: NDArray[np.int32]
    """``(width + 2,)``, with `OUTSIDE` at both ends."""
    runs: NDArray[np.int32]
    """``(width + 2,)`` first column of each run; after the last run, ``width``."""
    ids: NDArray[np.int32]
    """``(width + 2,)`` component of each run, −1 outside."""
    fresh: NDArray[np.bool_]
    """``(width + 2,)`` whether the component begins with this run."""
    n_runs: NDArray[np.int64]
    """``(1,)`` number of runs."""


def new_row(width: int) -> Row:
    """A row without a run, as above the first one."""
    return Row(
        labels=np.full(width + 2, OUTSIDE, np.int32),
        runs=np.full(width + 2, width, np.int32),
        ids=np.full(width + 2, -1, np.int32),
        fresh=np.zeros(width + 2, np.bool_),
        n_runs=np.zeros(1, np.int64),
    )


class Marks(NamedTuple):
    """Scratch of one grid line: a byte per grid column, and the columns that are set."""

    start: NDArray[np.uint8]
    corner: NDArray[np.uint8]
    places: NDArray[np.int32]


def new_marks(width: int) -> Marks:
    """Scratch for rows of ``width``; padded so that it can be looked through by words."""
    padded = (width + 8) // 8 * 8
    return Marks(
        start=np.zeros(padded, np.uint8), corner=np.zeros(padded, np.uint8), places=np.empty(padded, np.int32)
    )


@kernel
def find(parent: Any, i: int) -> int:
    """The root of ``i``: the smallest, so the first, number of its component."""
    while parent[i] != i:
        parent[i] = parent[parent[i]]
        i = parent[i]
    return i


@kernel
def load(values: Any, lut: Any, shut: Any, row: Any) -> None:
    """One row of pixels as labels: through ``lut`` unless that is empty, `OUTSIDE` where ``shut`` is True."""
    width = values.size
    body = row.labels[1 : width + 1]
    if lut.size:
        for c in range(width):
            body[c] = lut[values[c]]
    else:
        for c in range(width):
            body[c] = values[c]
    if shut.size:
        for c in range(width):
            if shut[c]:
                body[c] = OUTSIDE


@kernel
def mark(above: Any, below: Any, marks: Any) -> None:
    """Mark the grid columns at which a run of ``below`` begins, and those with a vertex between the rows."""
    n = above.labels.size - 1
    a0, a1, b0, b1 = above.labels[:n], above.labels[1:], below.labels[:n], below.labels[1:]
    start, corner = marks.start[:n], marks.corner[:n]
    for x in range(n):
        s = b0[x] != b1[x]
        start[x] = s
        corner[x] = (s | (a0[x] != a1[x])) & ((a0[x] != b0[x]) | (a1[x] != b1[x]))


@kernel
def places(marks: Any, out: Any) -> int:
    """Columns of the marks that are set, eight looked at together; how many."""
    words = marks.view(np.uint64)
    n = 0
    for w in range(words.size):
        if words[w]:
            for k in range(w * 8, w * 8 + 8):
                if marks[k]:
                    out[n] = k
                    n += 1
    return n


@kernel
def keep_row(below: Any, above: Any) -> None:
    """Copy the row ``below`` to ``above``, for the next one."""
    n = below.n_runs[0]
    for c in range(below.labels.size):
        above.labels[c] = below.labels[c]
    for k in range(n):
        above.ids[k] = below.ids[k]
        above.runs[k] = below.runs[k]
    above.runs[n] = below.runs[n]
    above.n_runs[0] = n


@kernel
def cut_runs(marks: Any, row: Any) -> None:
    """The runs of a row, from the marks of where they begin."""
    width = row.labels.size - 2
    n = places(marks.start, row.runs)
    if n and row.runs[n - 1] == width:
        n -= 1
    row.runs[n] = width
    row.n_runs[0] = n
