"""From rows of labels to polygons of components: the state of the sweep, and its two verbs.

    tracer = Tracer(width=width, lut=lut)
    for rows in strips:
        yield tracer.feed(rows)     # the components that ended in these rows
    yield tracer.close()            # the others

Sorted by identity, what comes out does not depend on how the rows were divided.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geounet.errors import WorkError
from geounet.vector.keeping import finished_roots, forget_components, forget_vertices
from geounet.vector.polygons import Polygons, in_order, join
from geounet.vector.rings import rings_of
from geounet.vector.room import Room
from geounet.vector.runs import OUTSIDE, new_marks, new_row
from geounet.vector.sweep import FLAGS, N_COMPONENTS, N_DEAD, N_VERTICES, Components, Vertices, sweep

_MOST_VERTICES = 2**31 - 1
"""What the links between them, int32, can tell apart: 50 GB of corners that wait for their components to end."""
_NO_LUT = np.zeros(0, np.int32)
_NO_BYTES = np.zeros((0, 0), np.uint8)
_NO_BOOLS = np.zeros((0, 0), np.bool_)
_NO_RIM = np.zeros(0, np.bool_)
_NO_VALUES = np.zeros((0, 0, 0), np.float64)

_BORDERS = np.array([number.bit_count() for number in range(16)])
"""Of the directions from which borders lead from a vertex, how many these are."""

OnVertices = Callable[[NDArray[np.int32], NDArray[np.bool_]], None]
"""Takes vertices ``(n, 2)`` as (column, row), and whether each is a node: three borders or four meet in it, or it
lies on the raster's rim."""


class Tracer:
    """Sweeps down a label raster and gives out the polygons of each component once it has ended.

    Memory: a few bytes per column, 24 per corner of the unfinished components, and the rows in hand.
    """

    def __init__(
        self,
        *,
        width: int,
        lut: NDArray[np.int32] | None = None,
        bands: int = 0,
        on_vertices: OnVertices | None = None,
        room: Room | None = None,
    ) -> None:
        """``lut`` int32[256] maps pixel values of uint8 rows to labels (or `OUTSIDE`); without it rows are
        int32 and hold labels themselves. ``bands`` of another raster come with the rows. ``on_vertices`` is
        told of every vertex, from the left to the right and from the top to the bottom. ``room`` for
        the corners of unfinished components; None: in memory.
        """
        self.width = width
        self.row = 0
        """Rows taken so far."""
        self._lut = _NO_LUT if lut is None else np.ascontiguousarray(lut, np.int32)
        self._rows_dtype = np.dtype(np.int32 if lut is None else np.uint8)
        self._above, self._below = new_row(width), new_row(width)
        self._marks = new_marks(width)
        self._on_vertices = on_vertices
        self._room = room or Room()
        self._rim_above: NDArray[np.bool_] | None = None
        self._up = np.full(width + 1, -1, np.int32)
        self._counts = np.zeros(3, np.int64)
        self._vertices = Vertices(
            xy=np.empty((0, 2), np.int32),
            cells=np.empty((0, 4), np.int32),
        )
        self._components = Components(
            parent=np.empty(0, np.int32),
            first=np.empty(0, np.int64),
            label=np.empty(0, np.int32),
            start_vertex=np.empty(0, np.int32),
            sums=np.empty((0, 4), np.int64),
            head=np.empty(0, np.int32),
            tail=np.empty(0, np.int32),
            stats=np.empty((0, bands, 4), np.float64),
        )
        self._make_room()

    def feed(
        self,
        rows: NDArray[Any],
        *,
        confidence: NDArray[np.uint8] | None = None,
        outside: NDArray[np.bool_] | None = None,
        rim: NDArray[np.bool_] | None = None,
        values: NDArray[np.float64] | None = None,
    ) -> Polygons:
        """Take the next rows ``(h, width)``; returns the components that have no pixel in the last of them.

        ``confidence`` ``(h, width)`` uint8, 255 where unknown; ``outside`` ``(h, width)`` True where there
        is nothing to vectorise, besides what the look-up table leaves out. ``rim`` ``(h, width)`` True where
        there is nothing at all, where that is less (a mask's background is not vectorised, yet no rim): then
        it decides what `Polygons.touches` says. Give it for all rows or for none. ``values``
        ``(bands, h, width)`` of the other raster, NaN where there is none.
        """
        if rim is not None and self._rim_above is None:
            self._rim_above = np.ones(self.width, np.bool_)
        self._sweep(rows, confidence, outside, rim, values)
        return self._emit()

    def close(self) -> Polygons:
        """The components that reach the raster's last row."""
        rim = None if self._rim_above is None else np.ones((1, self.width), np.bool_)
        if self._lut.size:
            lut, self._lut = self._lut, np.full(256, OUTSIDE, np.int32)
            self._sweep(np.zeros((1, self.width), np.uint8), None, None, rim, None, last=True)
            self._lut = lut
        else:
            self._sweep(np.full((1, self.width), OUTSIDE, np.int32), None, None, rim, None, last=True)
        return self._emit()

    def _sweep(
        self,
        rows: NDArray[Any],
        confidence: NDArray[np.uint8] | None,
        outside: NDArray[np.bool_] | None,
        rim: NDArray[np.bool_] | None,
        values: NDArray[np.float64] | None,
        *,
        last: bool = False,
    ) -> None:
        rows = np.ascontiguousarray(rows, self._rows_dtype)
        conf = _NO_BYTES if confidence is None else np.ascontiguousarray(confidence)
        shut = _NO_BOOLS if outside is None else np.ascontiguousarray(outside)
        edge = _NO_BOOLS if rim is None else np.ascontiguousarray(rim)
        beside = _NO_VALUES if values is None else np.ascontiguousarray(values)
        done = 0
        while done < rows.shape[0]:
            known = int(self._counts[N_VERTICES])
            taken = sweep(
                rows[done:],
                conf[done:],
                shut[done:],
                edge[done:],
                _NO_RIM if self._rim_above is None else self._rim_above,
                beside[:, done:],
                self._lut,
                self.row,
                self._above,
                self._below,
                self._marks,
                self._up,
                self._vertices,
                self._components,
                self._counts,
            )
            done += taken
            self.row += taken
            if self._on_vertices is not None:
                new = slice(known, int(self._counts[N_VERTICES]))
                self._on_vertices(self._vertices.xy[new], self._nodes(new, last=last))
            if done < rows.shape[0]:
                self._make_room()

    def _nodes(self, new: slice, *, last: bool) -> NDArray[np.bool_]:
        """Which of some vertices are nodes; on the rim all are, or outlines would be cut off it."""
        x, y = self._vertices.xy[new].T
        meet = _BORDERS[self._vertices.cells[new, FLAGS] >> 8] > 2
        return np.asarray(meet | (x == 0) | (x == self.width) | (y == 0) | last)

    @property
    def unfinished(self) -> int:
        """Corners that are kept for components that have not ended."""
        return int(self._counts[N_VERTICES] - self._counts[N_DEAD])

    def _make_room(self) -> None:
        """Room for some more rows, however ragged. Raises WorkError where there can be none."""
        vertices, components = int(self._counts[N_VERTICES]), int(self._counts[N_COMPONENTS])
        if vertices + 4 * (self.width + 1) > _MOST_VERTICES:
            raise WorkError(
                f"the outlines that are not closed at row {self.row} have {vertices:,} corners, which is too many; "
                "expected less noise: give a minimum area (--min-area)"
            )
        self._vertices = Vertices(*self._room.grown(self._vertices, vertices, 4 * (self.width + 1)))
        self._components = Components(*Room().grown(self._components, components, 4 * self.width))

    def _emit(self) -> Polygons:
        components = self._components
        roots = finished_roots(self._above, components.parent, self._counts)
        corners, corner_counts, ring_counts, touches = rings_of(
            roots, self._vertices, components, self._counts, self._room
        )
        sums = components.sums[roots]
        out = Polygons(
            identity=components.first[roots],
            label=components.label[roots],
            pixels=sums[:, 0],
            confidence_sum=sums[:, 1],
            confidence_count=sums[:, 2],
            touches=touches if self._rim_above is None else sums[:, 3] > 0,
            stats=components.stats[roots],
            ring_counts=ring_counts,
            corner_counts=corner_counts.copy(),
            corners=corners,
        )
        forget_components(self._above, components, self._counts)
        if self._room.patience * self._counts[N_DEAD] > self._counts[N_VERTICES]:
            forget_vertices(self._vertices, self._up, components, self._counts, self._room)
        self._room.let_go(int(self._counts[N_VERTICES]))
        return out


def trace(
    labels: NDArray[Any],
    *,
    lut: NDArray[np.int32] | None = None,
    confidence: NDArray[np.uint8] | None = None,
    outside: NDArray[np.bool_] | None = None,
    rim: NDArray[np.bool_] | None = None,
    values: NDArray[np.float64] | None = None,
    on_vertices: OnVertices | None = None,
    rows_at_once: int | None = None,
) -> Polygons:
    """The polygons of all components of ``labels`` ``(height, width)``, in the order of their identity.

    ``rows_at_once`` divides the work into strips, as a long raster needs it; the result is the same.
    """
    height, width = labels.shape
    step = rows_at_once or height
    bands = 0 if values is None else values.shape[0]
    tracer = Tracer(width=width, lut=lut, bands=bands, on_vertices=on_vertices)
    found = []
    for top in range(0, height, step):
        part = slice(top, top + step)
        found.append(
            tracer.feed(
                labels[part],
                confidence=None if confidence is None else confidence[part],
                outside=None if outside is None else outside[part],
                rim=None if rim is None else rim[part],
                values=None if values is None else values[:, part],
            )
        )
    return in_order(join([*found, tracer.close()]))
