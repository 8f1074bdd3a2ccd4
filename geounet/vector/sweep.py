"""The compiled sweep: one pass down the rows of a label raster finds its components and its corners.

The sweep never sees a seam. What it knows between two rows is the row above, the component of each of its
runs, and for every grid column the last corner whose edge leads down there; all of it lives in arrays that
outlast the strip. So the strips in which the rows arrive leave no trace.

A *vertex* is a corner of the pixel grid, ``x`` columns and ``y`` rows from the raster's first corner, at
which some border turns or a third region begins: borders run between pixels of different labels, and a grid
corner on a straight border of two regions is left out. Directions are E, S, W, N = 0, 1, 2, 3: adding one
turns right on the screen.
"""

# ruff: noqa: PLR0917 - compiled functions are called with positions

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from geounet.kernels import kernel
from geounet.vector.runs import OUTSIDE, cut_runs, find, keep_row, load, mark, places

EAST, SOUTH, WEST, NORTH = 0, 1, 2, 3
OPEN = np.int32(-2)
"""Link of a vertex: the other end is not known yet, or already given back, or no border leads that way."""
DOWN, UP, AUX, FLAGS = 0, 1, 2, 3
"""Numbers of a vertex; the link in direction d, south or north, is number ``d >> 1``."""

N_VERTICES, N_COMPONENTS, N_DEAD = 0, 1, 2
"""Places in the array of counters; a vertex is dead once all its borders were walked."""


class Vertices(NamedTuple):
    """The pool of vertices, in the order in which the sweep met them.

    So the other end of a border to the east is the next vertex, and to the west the one before. A walk waits for
    memory at every step; therefore what it asks of a vertex lies together, 16 bytes.
    """

    xy: NDArray[np.int32]
    """``(n, 2)`` column and row."""
    cells: NDArray[np.int32]
    """``(n, 4)`` the next vertex southwards and northwards, or `OPEN`; of a hole corner the next one of its
    component, of a crossing its place in the walk, else −1; and flags, bit d: the border in direction d was walked
    for what lies on its right, or is not to be; bit 4 + d: on its left lies what is not vectorised; bit 8 + d: a
    border leads that way."""


class Components(NamedTuple):
    """The components of the rows in hand; when two are joined, the root has the sums and the list of both."""

    parent: NDArray[np.int32]
    first: NDArray[np.int64]
    """First pixel, ``row * width + column``: the identity."""
    label: NDArray[np.int32]
    start_vertex: NDArray[np.int32]
    """Top left corner of the first pixel."""
    sums: NDArray[np.int64]
    """``(n, 4)`` pixels, sum of the confidence bytes, pixels with confidence, runs that meet the rim."""
    head: NDArray[np.int32]
    """First and last of the list of corners at which a hole may begin, or −1."""
    tail: NDArray[np.int32]
    stats: NDArray[np.float64]
    """``(n, bands, 4)`` sum, number, least and greatest of the values of each band of another raster."""


@kernel
def append_corners(components: Any, cells: Any, root: int, head: int, tail: int) -> None:
    """Append a list of hole corners, from ``head`` to ``tail``, to that of a component."""
    if components.head[root] < 0:
        components.head[root] = head
    else:
        cells[components.tail[root], AUX] = head
    components.tail[root] = tail


@kernel
def union(a: int, b: int, components: Any, cells: Any) -> int:
    """Join the roots ``a`` and ``b``, with their sums and their lists; the root of both."""
    if a == b:
        return a
    if b < a:
        a, b = b, a
    components.parent[b] = a
    for k in range(4):
        components.sums[a, k] += components.sums[b, k]
    stats = components.stats
    for k in range(stats.shape[1]):
        stats[a, k, 0] += stats[b, k, 0]
        stats[a, k, 1] += stats[b, k, 1]
        stats[a, k, 2] = min(stats[a, k, 2], stats[b, k, 2])
        stats[a, k, 3] = max(stats[a, k, 3], stats[b, k, 3])
    if components.head[b] >= 0:
        append_corners(components, cells, a, components.head[b], components.tail[b])
    return a


@kernel
def _label_runs(above: Any, below: Any, y: int, components: Any, cells: Any, n_components: int) -> int:
    """The component of each run of ``below``; returns the number of components."""
    width = below.labels.size - 2
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
                other = find(components.parent, above.ids[q])
                root = other if root < 0 else union(root, other, components, cells)
            q += 1
        if root < 0:
            root = n_components
            n_components += 1
            components.parent[root] = root
            components.first[root] = np.int64(y) * width + a
            components.label[root] = label
            for s in range(4):
                components.sums[root, s] = 0
            for s in range(components.stats.shape[1]):
                components.stats[root, s, 0] = components.stats[root, s, 1] = 0.0
                components.stats[root, s, 2], components.stats[root, s, 3] = np.inf, -np.inf
            components.head[root] = -1
            components.tail[root] = -1
            below.fresh[j] = True
        below.ids[j] = root
        components.sums[root, 0] += b - a
    return n_components


@kernel
def _add_confidence(conf: Any, row: Any, parent: Any, sums: Any) -> None:
    for j in range(row.n_runs[0]):
        if row.ids[j] < 0:
            continue
        root = find(parent, row.ids[j])  # a run further right may have joined it to another
        total, known = 0, 0
        for c in range(row.runs[j], row.runs[j + 1]):
            if conf[c] != 255:
                total += conf[c]
                known += 1
        sums[root, 1] += total
        sums[root, 2] += known


@kernel
def _add_stats(values: Any, i: int, row: Any, parent: Any, stats: Any) -> None:
    """Add row ``i`` of ``values`` ``(bands, h, width)``; NaN is no value."""
    for j in range(row.n_runs[0]):
        if row.ids[j] < 0:
            continue
        root = find(parent, row.ids[j])
        for k in range(stats.shape[1]):
            total, known, least, greatest = 0.0, 0, np.inf, -np.inf
            for c in range(row.runs[j], row.runs[j + 1]):
                v = values[k, i, c]
                if v == v:  # noqa: PLR0124 - not NaN
                    total += v
                    known += 1
                    least = min(least, v)
                    greatest = max(greatest, v)
            stats[root, k, 0] += total
            stats[root, k, 1] += known
            stats[root, k, 2] = min(stats[root, k, 2], least)
            stats[root, k, 3] = max(stats[root, k, 3], greatest)


@kernel
def _add_rim(rim_above: Any, rim: Any, above: Any, below: Any, parent: Any, sums: Any) -> None:
    """Count the runs beside, above or below which there is nothing, not even a value that is not wanted."""
    width = rim.size
    for j in range(below.n_runs[0]):
        if below.ids[j] < 0:
            continue
        a, b = below.runs[j], below.runs[j + 1]
        meets = a == 0 or b == width or rim[a - 1] or rim[b]
        c = a
        while not meets and c < b:
            meets = rim_above[c]
            c += 1
        if meets:
            sums[find(parent, below.ids[j]), 3] += 1
    for j in range(above.n_runs[0]):
        if above.ids[j] < 0:
            continue
        for c in range(above.runs[j], above.runs[j + 1]):
            if rim[c]:
                sums[find(parent, above.ids[j]), 3] += 1
                break
    for c in range(width):
        rim_above[c] = rim[c]


@kernel
def _border(d: int, right: int, left: int) -> int:
    """The flags of a border in direction ``d``, by what lies on both sides."""
    if right == left:
        return 1 << d
    return (right == OUTSIDE) << d | (left == OUTSIDE) << (4 + d) | 1 << (8 + d)


@kernel
def _take_vertices(
    above: Any, below: Any, y: int, marks: Any, up: Any, vertices: Any, components: Any, nv: int
) -> int:
    """Add the vertices of the grid line between two rows, linked to those before; returns their number."""
    j = 0
    cells = vertices.cells
    for p in range(places(marks.corner, marks.places)):
        x = marks.places[p]
        nw, ne = above.labels[x], above.labels[x + 1]
        sw, se = below.labels[x], below.labels[x + 1]
        v = nv
        nv += 1
        vertices.xy[v, 0] = x
        vertices.xy[v, 1] = y
        cells[v, DOWN] = cells[v, UP] = OPEN
        if nw != ne:
            cells[v, UP] = up[x]
            cells[up[x], DOWN] = v
        cells[v, AUX] = -1
        cells[v, FLAGS] = (
            _border(EAST, se, ne) | _border(SOUTH, sw, se) | _border(WEST, nw, sw) | _border(NORTH, ne, nw)
        )
        up[x] = v
        while j + 1 < below.n_runs[0] and below.runs[j + 1] <= x:
            j += 1
        begins = j < below.n_runs[0] and below.runs[j] == x
        if begins and below.fresh[j]:
            components.start_vertex[below.ids[j]] = v
        if nw != OUTSIDE and nw == ne and nw == sw:
            # the first vertex of a hole looks like this; so may a concave corner of the shell
            root = find(components.parent, below.ids[j - 1 if begins else j])
            append_corners(components, cells, root, v, v)
    return nv


@kernel
def sweep(
    values: Any,
    conf: Any,
    shut: Any,
    rim: Any,
    rim_above: Any,
    values_beside: Any,
    lut: Any,
    y0: int,
    above: Any,
    below: Any,
    marks: Any,
    up: Any,
    vertices: Any,
    components: Any,
    counts: Any,
) -> int:
    """Take rows of pixels ``(h, width)`` that begin at raster row ``y0``.

    ``conf`` ``(h, width)`` uint8 or empty; ``shut`` ``(h, width)`` True where there is nothing, or empty;
    ``rim`` ``(h, width)`` True where there is nothing at all, or empty, ``rim_above`` ``(width,)`` its last row;
    ``values_beside`` ``(bands, h, width)`` float64 of another raster, NaN where it has none; bands may be none;
    ``lut`` int32[256] from pixel value to label for uint8 rows, or empty; ``up`` the last vertex of each grid
    column. Returns the number of rows taken: it stops before one for which the pools might be too small.
    ``above`` is the last row taken, ``below`` scratch.
    """
    height, width = values.shape
    nv, nc = counts[N_VERTICES], counts[N_COMPONENTS]
    nowhere = np.empty(0, np.bool_)
    taken = 0
    for i in range(height):
        if nv + width + 1 > vertices.cells.shape[0] or nc + width > components.parent.size:
            break
        load(values[i], lut, shut[i] if shut.shape[0] else nowhere, below)
        mark(above, below, marks)
        cut_runs(marks, below)
        nc = _label_runs(above, below, y0 + i, components, vertices.cells, nc)
        if conf.shape[0]:
            _add_confidence(conf[i], below, components.parent, components.sums)
        if components.stats.shape[1]:
            _add_stats(values_beside, i, below, components.parent, components.stats)
        if rim.shape[0]:
            _add_rim(rim_above, rim[i], above, below, components.parent, components.sums)
        nv = _take_vertices(above, below, y0 + i, marks, up, vertices, components, nv)
        keep_row(below, above)
        taken += 1
    counts[N_VERTICES], counts[N_COMPONENTS] = nv, nc
    return taken
