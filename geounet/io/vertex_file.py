"""The vertices of a raster in an unnamed file: what simplifying asks for, without holding it in memory."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from geounet.vector.simplify import Vertices


class VertexFile:
    """Takes vertices in the order of the sweep; 4 bytes each on disk, 8 bytes per row of the raster in memory."""

    def __init__(self, folder: Path, *, height: int) -> None:
        self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 - closed by us
        self._counts = np.zeros(height + 2, np.int64)

    def add(self, xy: NDArray[np.int32], node: NDArray[np.bool_]) -> None:
        """Append vertices ``(n, 2)`` as (column, row), and whether each is a node."""
        self._file.write((xy[:, 0] << 1 | node).astype(np.int32).data)
        self._counts += np.bincount(xy[:, 1] + 1, minlength=self._counts.size)

    def vertices(self) -> Vertices:
        """All of them, on pages that the system may drop and read again."""
        self._file.flush()
        rows = np.cumsum(self._counts)
        codes = np.empty(0, np.int32)
        if rows[-1]:
            codes = np.asarray(np.memmap(self._file, np.int32, mode="r+"))
        return Vertices(codes=codes, rows=rows)

    def close(self) -> None:
        """Let go of the file; it vanishes."""
        self._file.close()

    def __enter__(self) -> VertexFile:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
