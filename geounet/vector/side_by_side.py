"""Stretches of rows traced side by side and joined at their seams, in order: the same as one tracer makes of them.

    with ThreadPoolExecutor(threads) as pool:
        tracer = SideBySide(width=width, lut=lut, threads=threads, submit=pool.submit)
        for rows in strips:
            yield from tracer.feed(rows)
        yield from tracer.close()

Most of a sweep is done by the threads; joining costs what hangs together across a seam.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geounet.vector.polygons import Polygons
from geounet.vector.room import Room
from geounet.vector.tracer import Below, OnVertices, Tracer

_Told = list[tuple[NDArray[np.int32], NDArray[np.bool_]]]


class SideBySide:
    """As a `Tracer`, but for the statistics of other rasters; what has ended comes out some strips later."""

    def __init__(
        self,
        *,
        width: int,
        lut: NDArray[np.int32] | None,
        on_vertices: OnVertices | None = None,
        threads: int,
        submit: Callable[..., Future[Any]],
        room: Room | None = None,
    ) -> None:
        self.row = 0
        """Rows taken so far."""
        self._width, self._lut = width, lut
        self._on_vertices = on_vertices
        self._threads, self._submit = threads, submit
        self._whole = Tracer(width=width, lut=lut, on_vertices=on_vertices, room=room)
        self._above: Below | None = None
        self._working: deque[Future[tuple[Tracer, Polygons, _Told]]] = deque()

    def feed(
        self,
        rows: NDArray[Any],
        confidence: NDArray[np.uint8] | None = None,
        outside: NDArray[np.bool_] | None = None,
        rim: NDArray[np.bool_] | None = None,
    ) -> Iterator[Polygons]:
        """Take the next rows, which must not change later; gives out components that have ended in rows before."""
        self._working.append(self._submit(self._trace, self._above, rows, confidence, outside, rim))
        self.row += rows.shape[0]
        self._above = Below(
            row=self.row,
            labels=rows[-1].copy(),
            outside=None if outside is None else outside[-1].copy(),
            rim=None if rim is None else rim[-1].copy(),
        )
        while len(self._working) > self._threads:
            yield from self._join()

    def close(self) -> Iterator[Polygons]:
        """The other components."""
        while self._working:
            yield from self._join()
        yield self._whole.close()

    def _trace(
        self,
        above: Below | None,
        rows: NDArray[Any],
        confidence: NDArray[np.uint8] | None,
        outside: NDArray[np.bool_] | None,
        rim: NDArray[np.bool_] | None,
    ) -> tuple[Tracer, Polygons, _Told]:
        told: _Told = []
        tell = None if self._on_vertices is None else lambda xy, nodes: told.append((xy.copy(), nodes))
        tracer = Tracer(width=self._width, lut=self._lut, on_vertices=tell, below=above)
        found = tracer.feed(rows, confidence=confidence, outside=outside, rim=rim)
        tracer.forget()
        return tracer, found, told

    def _join(self) -> Iterator[Polygons]:
        tracer, found, told = self._working.popleft().result()
        if self._on_vertices is not None:
            for xy, nodes in told:
                self._on_vertices(xy, nodes)
        yield found
        yield self._whole.join(tracer)
