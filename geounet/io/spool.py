"""Polygons that wait on disk for their turn.

Components end in the order of their last rows, and features come out in the order of their first pixels.
What lies between is kept in one unnamed file; in memory stays 24 bytes per component.
"""

from __future__ import annotations

import math
import tempfile
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geounet.vector.polygons import Polygons, in_order, join, none_at_all

_IN_MEMORY = 4 * 2**20
_CHUNK_CORNERS = 100_000
_CHUNK_POLYGONS = 50_000


@dataclass(frozen=True)
class _Batch:
    """Where the polygons of one strip lie; sorted by identity, so a range of identities is one stretch."""

    identity: NDArray[np.int64]
    starts: dict[str, NDArray[np.int64]]
    """Starts of each polygon in ``corner_counts`` and ``corners``; other fields have one entry each."""
    offsets: dict[str, int]
    """Where each field begins in the file."""
    shapes: dict[str, tuple[int, ...]]
    """Of one entry of each field."""


class Spool:
    """Takes polygons strip by strip; gives them back in chunks in the order of identity."""

    def __init__(self, folder: Path | None = None) -> None:
        """``folder``: where the unnamed file is made, once it is too large for memory."""
        self._file = tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY, dir=None if folder is None else str(folder))  # noqa: SIM115 - closed by us
        self._reading = threading.Lock()
        self._batches: list[_Batch] = []
        self._end = 0
        self._empty: Polygons | None = None
        self.count = 0
        """Polygons taken."""

    def add(self, polygons: Polygons) -> None:
        """Keep the polygons of one strip."""
        self._empty = none_at_all(polygons.stats.shape[1])
        if not len(polygons):
            return
        polygons = in_order(polygons)
        offsets, shapes = {}, {}
        for field in fields(Polygons):
            array = np.ascontiguousarray(getattr(polygons, field.name))
            offsets[field.name], shapes[field.name] = self._end, array.shape[1:]
            if array.size:
                self._file.write(array.data)
            self._end += array.nbytes
        rings = polygons.polygon_starts
        stretches = {"corner_counts": rings, "corners": polygons.ring_starts[rings]}
        self._batches.append(_Batch(polygons.identity.copy(), stretches, offsets, shapes))
        self.count += len(polygons)

    def chunks(self) -> Iterator[Polygons]:
        """All polygons in the order of identity, some 100,000 corners at a time; an empty chunk of none."""
        return (load() for load in self.loads())

    def loads(self) -> Iterator[Callable[[], Polygons]]:
        """Calls that give the `chunks`, on any thread."""
        if not self._batches:
            if self._empty is not None:
                yield partial(self._empty.part, 0, 0)
            return
        identity = np.concatenate([b.identity for b in self._batches])
        sizes = np.concatenate([np.diff(b.starts["corners"]) for b in self._batches])
        order = np.argsort(identity, kind="stable")
        identity = identity[order]
        ends = np.array([(b.identity[0], b.identity[-1]) for b in self._batches])
        for begin, end in chunks_of(sizes[order]):
            yield partial(self._between, ends, int(identity[begin]), int(identity[end - 1]))

    def _between(self, ends: NDArray[np.int64], low: int, high: int) -> Polygons:
        """The polygons with identities ``low`` to ``high``, both included; ``ends`` are those of each batch."""
        parts = []
        for number in np.flatnonzero((ends[:, 0] <= high) & (ends[:, 1] >= low)).tolist():
            batch = self._batches[number]
            a = int(np.searchsorted(batch.identity, low))
            b = int(np.searchsorted(batch.identity, high, side="right"))
            if b > a:
                parts.append(self._load(batch, a, b))
        return in_order(join(parts)) if len(parts) > 1 else parts[0]

    def _load(self, batch: _Batch, a: int, b: int) -> Polygons:
        arrays: dict[str, NDArray[Any]] = {}
        for name, dtype in _LAYOUT.items():
            shape = batch.shapes[name]
            begin, end = (batch.starts[name][[a, b]]).tolist() if name in batch.starts else (a, b)
            row = dtype.itemsize * math.prod(shape)
            array = np.empty((end - begin, *shape), dtype)
            with self._reading:
                self._file.seek(batch.offsets[name] + begin * row)
                self._file.readinto(array.data)
            arrays[name] = array
        return Polygons(**arrays)

    def close(self) -> None:
        """Let go of the file; it vanishes."""
        self._file.close()

    def __enter__(self) -> Spool:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def chunks_of(sizes: NDArray[np.int64]) -> Iterator[tuple[int, int]]:
    """Stretches of polygons of so many corners, first and one after the last, of some 100,000 corners each."""
    filled, begin = np.cumsum(sizes), 0
    while begin < filled.size:
        before = filled[begin - 1] if begin else 0
        end = int(np.searchsorted(filled, before + _CHUNK_CORNERS, side="right"))
        end = min(max(end, begin + 1), begin + _CHUNK_POLYGONS, filled.size)
        yield begin, end
        begin = end


_LAYOUT: dict[str, np.dtype[Any]] = {
    "identity": np.dtype(np.int64),
    "label": np.dtype(np.int32),
    "pixels": np.dtype(np.int64),
    "confidence_sum": np.dtype(np.int64),
    "confidence_count": np.dtype(np.int64),
    "touches": np.dtype(np.bool_),
    "stats": np.dtype(np.float64),
    "ring_counts": np.dtype(np.int32),
    "corner_counts": np.dtype(np.int32),
    "corners": np.dtype(np.int32),
}
"""Types of the fields of `Polygons`."""
