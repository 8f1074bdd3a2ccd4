"""Housekeeping between strips: which components are finished, and what of the state may go.

What is kept is proportional to the width of the raster and to the corners of the unfinished components,
whatever was swept before; numbers keep their order, since it is the order of identity.
"""

# ruff: noqa: PLR0917 - compiled functions are called with positions

from __future__ import annotations

from typing import Any

import numpy as np

from geounet.kernels import kernel
from geounet.vector.room import Room
from geounet.vector.runs import find
from geounet.vector.sweep import AUX, DOWN, FLAGS, N_COMPONENTS, N_DEAD, N_VERTICES, OPEN, UP

_PIECE = 2**19
"""Vertices, 24 bytes each; a multiple of 64."""


@kernel
def finished_roots(row: Any, parent: Any, counts: Any) -> Any:
    """Numbers, ascending, of the components without a pixel in the last row."""
    n = counts[N_COMPONENTS]
    alive = np.zeros(n, np.uint8)
    for k in range(row.n_runs[0]):
        if row.ids[k] >= 0:
            alive[find(parent, row.ids[k])] = 1
    out = np.empty(n, np.int32)
    m = 0
    for i in range(n):
        if parent[i] == i and not alive[i]:
            out[m] = i
            m += 1
    return out[:m]


@kernel
def forget_components(row: Any, components: Any, counts: Any) -> None:
    """Renumber the components of the last row as 0, 1, … in order; forget others."""
    parent = components.parent
    n = counts[N_COMPONENTS]
    number = np.empty(n, np.int32)
    for i in range(n):
        number[i] = -1
    for k in range(row.n_runs[0]):
        if row.ids[k] >= 0:
            row.ids[k] = find(parent, row.ids[k])
            number[row.ids[k]] = 0
    kept = 0
    for i in range(n):
        if number[i] < 0:
            continue
        number[i] = kept
        components.first[kept] = components.first[i]
        components.label[kept] = components.label[i]
        components.start_vertex[kept] = components.start_vertex[i]
        for s in range(4):
            components.sums[kept, s] = components.sums[i, s]
        for k in range(components.stats.shape[1]):
            for s in range(4):
                components.stats[kept, k, s] = components.stats[i, k, s]
        components.head[kept] = components.head[i]
        components.tail[kept] = components.tail[i]
        kept += 1
    for k in range(row.n_runs[0]):
        if row.ids[k] >= 0:
            row.ids[k] = number[row.ids[k]]
    for i in range(kept):
        parent[i] = i
    counts[N_COMPONENTS] = kept


@kernel
def _note_kept(cells: Any, begin: int, end: int, bits: Any, before: Any, kept: int) -> int:
    """Note which of the vertices ``begin`` to ``end - 1`` are needed; ``begin`` is a multiple of 64.

    ``bits`` uint64, one for each vertex; ``before`` the needed ones before each 64, of which ``kept`` are known.
    """
    for w in range(begin >> 6, (end + 63) >> 6):
        before[w] = kept
        word = np.uint64(0)
        for v in range(w << 6, min((w + 1) << 6, end)):
            if cells[v, FLAGS] & 15 != 15:
                word |= np.uint64(1) << np.uint64(v & 63)
                kept += 1
        bits[w] = word
    return kept


@kernel
def _moved(v: int, bits: Any, before: Any) -> Any:
    """The number that the vertex ``v`` gets, `OPEN` for one that is not needed, and what is none as it is."""
    if v < 0:
        return v
    word, place = bits[v >> 6], np.uint64(v & 63)
    if not (word >> place) & np.uint64(1):
        return OPEN
    x = word & ((np.uint64(1) << place) - np.uint64(1))
    # the number of ones: Warren, Hacker's Delight, 5-1; a table of numbers would be as long as the pool
    x -= (x >> np.uint64(1)) & np.uint64(0x5555555555555555)
    x = (x & np.uint64(0x3333333333333333)) + ((x >> np.uint64(2)) & np.uint64(0x3333333333333333))
    x = (x + (x >> np.uint64(4))) & np.uint64(0x0F0F0F0F0F0F0F0F)
    return before[v >> 6] + np.int64((x * np.uint64(0x0101010101010101)) >> np.uint64(56))


@kernel
def _move(xy: Any, cells: Any, begin: int, end: int, bits: Any, before: Any) -> None:
    """Put the vertices ``begin`` to ``end - 1`` that are needed in their places."""
    t = before[begin >> 6]
    for v in range(begin, end):
        if cells[v, FLAGS] & 15 == 15:
            continue
        xy[t, 0], xy[t, 1] = xy[v, 0], xy[v, 1]
        for k in (DOWN, UP, AUX):
            cells[t, k] = _moved(cells[v, k], bits, before)
        cells[t, FLAGS] = cells[v, FLAGS]
        t += 1


@kernel
def _move_links(up: Any, components: Any, counts: Any, bits: Any, before: Any) -> None:
    """The new numbers in what points to vertices besides these themselves."""
    for x in range(up.size):
        up[x] = _moved(up[x], bits, before)
    for k in range(counts[N_COMPONENTS]):
        components.head[k] = _moved(components.head[k], bits, before)
        components.tail[k] = _moved(components.tail[k], bits, before)
        components.start_vertex[k] = _moved(components.start_vertex[k], bits, before)


def forget_vertices(vertices: Any, up: Any, components: Any, counts: Any, room: Room) -> None:
    """Give back the vertices that no unfinished component needs; the rest keep their order.

    Piece by piece, as not all of the pool need be in memory.
    """
    size, kept = int(counts[N_VERTICES]), 0
    bits, before = np.empty(size // 64 + 1, np.uint64), np.empty(size // 64 + 1, np.int32)
    pieces = [(begin, min(begin + _PIECE, size)) for begin in range(0, size, _PIECE)]
    for begin, end in pieces:
        kept = _note_kept(vertices.cells, begin, end, bits, before, kept)
        room.let_go(size)
    for begin, end in pieces:
        _move(vertices.xy, vertices.cells, begin, end, bits, before)
        room.let_go(size)
    _move_links(up, components, counts, bits, before)
    counts[N_VERTICES], counts[N_DEAD] = kept, 0
