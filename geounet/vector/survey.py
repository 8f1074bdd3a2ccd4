"""The survey: every component's area, and how long a border it shares with each neighbour.

What absorbing needs to know of a raster before any of it is written anew. Numbers of components are never
given back, so a second pass over the same rows (`Survey.relabel`) meets the same numbers.
"""

# ruff: noqa: PLR0917 - compiled functions are called with positions

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from geounet.kernels import kernel
from geounet.vector.runs import OUTSIDE, cut_runs, find, keep_row, load, mark


class Census(NamedTuple):
    """What is known of each number; of joined ones the root is the smallest."""

    parent: NDArray[np.int32]
    label: NDArray[np.int32]
    first: NDArray[np.int64]
    """First pixel, ``row * width + column``."""
    area: NDArray[np.int64]
    """In fixed point; of the runs that were counted under this very number."""
    at_rim: NDArray[np.bool_]
    """Whether a run that was counted under this very number meets what is outside."""


class Borders(NamedTuple):
    """Stretches of border between two components."""

    one: NDArray[np.int32]
    other: NDArray[np.int32]
    across: NDArray[np.int32]
    """Pixel sides along rows."""
    down: NDArray[np.int32]
    """Pixel sides along columns."""


@kernel
def _area(knots: Any, before: Any, step: float, column: int) -> float:
    """Area of a row from its first pixel to ``column``; densities at ``knots`` every ``step`` columns."""
    k = min(int(column / step), knots.size - 2)
    d = column - k * step
    return before[k] + d * (knots[k] + 0.5 * d / step * (knots[k + 1] - knots[k]))


@kernel
def number_runs(above: Any, below: Any, parent: Any, n: int, join: bool) -> int:
    """Number the runs of ``below``; with ``join`` components that meet become one."""
    k = 0
    for j in range(below.n_runs[0]):
        a, b = below.runs[j], below.runs[j + 1]
        label = below.labels[a + 1]
        below.fresh[j] = False
        below.ids[j] = -1
        if label == OUTSIDE:
            continue
        root = -1
        while k + 1 < above.n_runs[0] and above.runs[k + 1] <= a:
            k += 1
        q = k
        while q < above.n_runs[0] and above.runs[q] < b:
            if above.ids[q] >= 0 and above.labels[max(above.runs[q], a) + 1] == label:
                other = find(parent, above.ids[q])
                if root < 0:
                    root = other
                elif join and other != root:
                    parent[max(root, other)] = min(root, other)
                    root = min(root, other)
            q += 1
        if root < 0:
            if join:
                parent[n] = n
            root = find(parent, n)
            n += 1
            below.fresh[j] = True
        below.ids[j] = root
    return n


@kernel
def _note_borders(above: Any, below: Any, borders: Any, n: int) -> int:
    """Append the borders within ``below``, and between it and ``above``."""
    for j in range(1, below.n_runs[0]):
        if below.ids[j - 1] >= 0 and below.ids[j] >= 0:
            borders.one[n], borders.other[n] = below.ids[j - 1], below.ids[j]
            borders.across[n], borders.down[n] = 0, 1
            n += 1
    k = 0
    for j in range(below.n_runs[0]):
        a, b = below.runs[j], below.runs[j + 1]
        while k + 1 < above.n_runs[0] and above.runs[k + 1] <= a:
            k += 1
        q = k
        while q < above.n_runs[0] and above.runs[q] < b:
            length = min(b, above.runs[q + 1]) - max(a, above.runs[q])
            if above.ids[q] >= 0 and below.ids[j] >= 0 and above.labels[above.runs[q] + 1] != below.labels[a + 1]:
                borders.one[n], borders.other[n] = above.ids[q], below.ids[j]
                borders.across[n], borders.down[n] = length, 0
                n += 1
            q += 1
    return n


@kernel
def _note_rim(above: Any, below: Any, at_rim: Any) -> None:
    """Mark the components of both rows that meet what is outside, in ``below`` or between the two."""
    width = below.labels.size - 2
    for j in range(below.n_runs[0]):
        a, b = below.runs[j], below.runs[j + 1]
        if below.ids[j] < 0:
            continue
        if below.labels[a] == OUTSIDE or below.labels[b + 1] == OUTSIDE:  # shifted by one
            at_rim[below.ids[j]] = True
    k = 0
    for j in range(below.n_runs[0]):
        a, b = below.runs[j], below.runs[j + 1]
        while k + 1 < above.n_runs[0] and above.runs[k + 1] <= a:
            k += 1
        if above.n_runs[0] == 0 and below.ids[j] >= 0:
            at_rim[below.ids[j]] = True  # the first row
        q = k
        while q < above.n_runs[0] and above.runs[q] < b and above.runs[q] < width:
            if above.ids[q] >= 0 and below.ids[j] < 0:
                at_rim[above.ids[q]] = True
            elif above.ids[q] < 0 and below.ids[j] >= 0:
                at_rim[below.ids[j]] = True
            q += 1


@kernel
def survey(
    values: Any,
    shut: Any,
    lut: Any,
    y0: int,
    knots: Any,
    before: Any,
    step: float,
    above: Any,
    below: Any,
    marks: Any,
    census: Any,
    borders: Any,
    counts: Any,
) -> int:
    """Take rows of pixels, as `geounet.vector.sweep.sweep` does; returns how many.

    ``knots``, ``before`` ``(h, k)``: area of a pixel, in fixed point, at columns ``step`` apart, and of the row
    up to there. ``counts``: components, borders.
    """
    height, width = values.shape
    nowhere = np.empty(0, np.bool_)
    for i in range(height):
        if counts[0] + width > census.parent.size or counts[1] + 3 * width > borders.one.size:
            return i
        load(values[i], lut, shut[i] if shut.shape[0] else nowhere, below)
        mark(above, below, marks)
        cut_runs(marks, below)
        counts[0] = number_runs(above, below, census.parent, counts[0], True)
        for j in range(below.n_runs[0]):
            root = below.ids[j]
            if root < 0:
                continue
            if below.fresh[j]:
                census.label[root] = below.labels[below.runs[j] + 1]
                census.first[root] = np.int64(y0 + i) * width + below.runs[j]
                census.area[root] = 0
                census.at_rim[root] = False
            end = _area(knots[i], before[i], step, below.runs[j + 1])
            census.area[root] += np.int64(np.rint(end - _area(knots[i], before[i], step, below.runs[j])))
        counts[1] = _note_borders(above, below, borders, counts[1])
        _note_rim(above, below, census.at_rim)
        keep_row(below, above)
    return height


@kernel
def relabel(
    values: Any,
    shut: Any,
    lut: Any,
    above: Any,
    below: Any,
    marks: Any,
    parent: Any,
    final: Any,
    counts: Any,
    out: Any,
) -> None:
    """Write the ``final`` label of each component of ``values`` to ``out`` ``(h, width)`` int32."""
    nowhere = np.empty(0, np.bool_)
    for i in range(values.shape[0]):
        load(values[i], lut, shut[i] if shut.shape[0] else nowhere, below)
        mark(above, below, marks)
        cut_runs(marks, below)
        counts[0] = number_runs(above, below, parent, counts[0], False)
        for c in range(values.shape[1]):
            out[i, c] = OUTSIDE
        for j in range(below.n_runs[0]):
            if below.ids[j] >= 0:
                for c in range(below.runs[j], below.runs[j + 1]):
                    out[i, c] = final[below.ids[j]]
        keep_row(below, above)
