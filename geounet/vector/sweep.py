"""The compiled sweep: one pass down the rows of a label raster finds its components and its corners.

The sweep never sees a seam. What it knows between two rows is the row above, the component of each of its
runs, and for every grid column the last corner whose edge leads down there; all of it lives in arrays that
outlast the strip. So the strips in which the rows arrive leave no trace.

Words. A *run* is a stretch of equal pixels in a row. A *vertex* is a corner of the pixel grid, ``x`` columns
and ``y`` rows from the raster's first corner, at which some border turns or a third region begins: borders
run between pixels of different labels, and a vertex that lies on a straight border of two regions is left
out. Directions are E, S, W, N = 0, 1, 2, 3: adding one turns right on the screen. Pixels outside the raster
and pixels without a label are `OUTSIDE`; they make borders but no component.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

OUTSIDE = np.int32(-(2**31))
"""Label of what is not vectorised."""
EAST, SOUTH, WEST, NORTH = 0, 1, 2, 3
NO_EDGE, OPEN = np.int32(-1), np.int32(-2)
"""Links of a vertex: no border leads that way; the other end is not known yet, or already given back."""

N_VERTICES, N_COMPONENTS, N_DEAD = 0, 1, 2
"""Places in the array of counters."""


@njit(cache=True, nogil=True)
def find(parent: Any, i: int) -> int:
    """The root of ``i``: the smallest, so the first, provisional number of its component."""
    while parent[i] != i:
        parent[i] = parent[parent[i]]
        i = parent[i]
    return i


@njit(cache=True, nogil=True)
def _union(parent: Any, a: int, b: int, sums: Any, head: Any, tail: Any, aux: Any) -> int:
    """Join the roots ``a`` and ``b``, with their sums and their lists of hole corners."""
    if a == b:
        return a
    if b < a:
        a, b = b, a
    parent[b] = a
    for k in range(sums.shape[1]):
        sums[a, k] += sums[b, k]
    if head[b] >= 0:
        if head[a] < 0:
            head[a] = head[b]
        else:
            aux[tail[a]] = head[b]
        tail[a] = tail[b]
    return a


@njit(cache=True, nogil=True)
def _load(row: Any, lut: Any, shut: Any, out: Any) -> None:
    """One row of labels into ``out[1:-1]`` as int32, with `OUTSIDE` where nothing is vectorised."""
    width = row.size
    body = out[1 : width + 1]
    if lut.size:
        for c in range(width):
            body[c] = lut[row[c]]
    else:
        for c in range(width):
            body[c] = row[c]
    if shut.size:
        for c in range(width):
            if shut[c]:
                body[c] = OUTSIDE


@njit(cache=True, nogil=True)
def _mark(above: Any, below: Any, corner: Any, start: Any) -> None:
    """Per grid column: is there a vertex between the two rows, and does a run of ``below`` start."""
    n = above.size - 1
    a0, a1, b0, b1 = above[:n], above[1:], below[:n], below[1:]
    for x in range(n):
        s = b0[x] != b1[x]
        start[x] = s
        corner[x] = (s | (a0[x] != a1[x])) & ((a0[x] != b0[x]) | (a1[x] != b1[x]))


@njit(cache=True, nogil=True)
def _places(marks: Any, words: Any, out: Any) -> int:
    """Positions of the non-zero bytes of ``marks``, eight at a time through ``words``; how many."""
    n = 0
    for w in range(words.size):
        if words[w]:
            base = w * 8
            for k in range(8):
                if marks[base + k]:
                    out[n] = base + k
                    n += 1
    return n


@njit(cache=True, nogil=True)
def sweep(
    rows: Any,
    conf: Any,
    shut: Any,
    lut: Any,
    y0: int,
    above: Any,
    runs: Any,
    run_ids: Any,
    n_runs: int,
    up: Any,
    xy: Any,
    link: Any,
    flags: Any,
    aux: Any,
    parent: Any,
    first: Any,
    label: Any,
    start_vertex: Any,
    sums: Any,
    head: Any,
    tail: Any,
    counts: Any,
) -> tuple[int, int]:
    """Take rows of labels ``(h, width)`` that begin at raster row ``y0``.

    ``conf`` ``(h, width)`` uint8 or empty; ``shut`` ``(h, width)`` True where there is nothing, or empty;
    ``lut`` int32[256] from pixel value to label for uint8 rows, or empty. The other arrays are the state
    (see ``geounet.vector.tracer``) and are changed. Stops before a row for which they might be too small.
    Returns the number of rows taken and of runs in the last one.
    """
    height, width = rows.shape
    below = np.full(width + 2, OUTSIDE, np.int32)
    padded = (width + 8) // 8 * 8
    corner = np.zeros(padded, np.uint8)
    start = np.zeros(padded, np.uint8)
    corner_words, start_words = corner.view(np.uint64), start.view(np.uint64)
    places = np.empty(padded, np.int32)
    new_runs = np.empty(width + 2, np.int32)
    new_ids = np.empty(width + 2, np.int32)
    fresh = np.empty(width + 2, np.bool_)
    nv, nc = counts[N_VERTICES], counts[N_COMPONENTS]
    none = shut[0] if shut.shape[0] else np.zeros(0, shut.dtype)
    for i in range(height):
        if nv + width + 1 > flags.size or nc + width > parent.size:
            counts[N_VERTICES], counts[N_COMPONENTS] = nv, nc
            return i, n_runs
        y = y0 + i
        _load(rows[i], lut, shut[i] if shut.shape[0] else none, below)
        _mark(above, below, corner[: width + 1], start[: width + 1])

        # runs of this row, and the component of each: 4-connected to runs of the row above
        n_new = _places(start, start_words, new_runs)
        k = 0
        for j in range(n_new):
            a = new_runs[j]
            b = new_runs[j + 1] if j + 1 < n_new else width
            if a >= width:
                n_new = j
                break
            code = below[a + 1]
            fresh[j] = False
            if code == OUTSIDE:
                new_ids[j] = -1
                continue
            root = -1
            while k > 0 and runs[k] > a:
                k -= 1
            while k + 1 < n_runs and runs[k + 1] <= a:
                k += 1
            while k < n_runs and runs[k] < b:
                if run_ids[k] >= 0 and above[max(runs[k], a) + 1] == code:
                    other = find(parent, run_ids[k])
                    root = other if root < 0 else _union(parent, root, other, sums, head, tail, aux)
                k += 1
            if k > 0:
                k -= 1
            if root < 0:
                root = nc
                nc += 1
                parent[root] = root
                first[root] = np.int64(y) * width + a
                label[root] = code
                sums[root] = 0
                head[root] = -1
                tail[root] = -1
                fresh[j] = True
            new_ids[j] = root
            sums[root, 0] += b - a
            if conf.shape[0]:
                total, known = 0, 0
                for c in range(a, b):
                    if conf[i, c] != 255:
                        total += conf[i, c]
                        known += 1
                sums[root, 1] += total
                sums[root, 2] += known
        new_runs[n_new] = width

        # vertices on the grid line above this row
        n_places = _places(corner, corner_words, places)
        left = -1
        j = 0
        for p in range(n_places):
            x = places[p]
            nw, ne, sw, se = above[x], above[x + 1], below[x], below[x + 1]
            v = nv
            nv += 1
            xy[v, 0] = x
            xy[v, 1] = y
            done = 0
            if ne != se:
                link[v, EAST] = OPEN
                done |= (se == OUTSIDE) | (ne == OUTSIDE) << 4
            else:
                link[v, EAST] = NO_EDGE
                done |= 1
            if sw != se:
                link[v, SOUTH] = OPEN
                done |= (sw == OUTSIDE) << 1 | (se == OUTSIDE) << 5
            else:
                link[v, SOUTH] = NO_EDGE
                done |= 2
            if nw != sw:
                link[v, WEST] = left
                link[left, EAST] = v
                done |= (nw == OUTSIDE) << 2 | (sw == OUTSIDE) << 6
            else:
                link[v, WEST] = NO_EDGE
                done |= 4
            if nw != ne:
                u = up[x]
                link[v, NORTH] = u
                link[u, SOUTH] = v
                done |= (ne == OUTSIDE) << 3 | (nw == OUTSIDE) << 7
            else:
                link[v, NORTH] = NO_EDGE
                done |= 8
            flags[v] = done
            aux[v] = -1
            left = v
            up[x] = v
            while j + 1 < n_new and new_runs[j + 1] <= x:
                j += 1
            if j < n_new and new_runs[j] == x and fresh[j]:
                start_vertex[new_ids[j]] = v
            if nw != OUTSIDE and nw == ne and nw == sw:
                # the first vertex of a hole looks like this; so may a concave corner of the shell
                q = j if new_runs[j] < x else j - 1
                root = find(parent, new_ids[q])
                if head[root] < 0:
                    head[root] = v
                else:
                    aux[tail[root]] = v
                tail[root] = v

        above[:] = below
        runs[: n_new + 1] = new_runs[: n_new + 1]
        run_ids[:n_new] = new_ids[:n_new]
        n_runs = n_new
    counts[N_VERTICES], counts[N_COMPONENTS] = nv, nc
    return height, n_runs
