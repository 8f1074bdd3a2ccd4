"""What all writers of polygons have in common: chunks are packed on any thread and appended in order."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:  # brings shapely, which the plan of a run does not need
    from geounet.io.shapes import Features


class ChunkWriter(ABC):
    """Takes chunks of features: `pack` is the work, `append` the order."""

    @abstractmethod
    def pack(self, features: Features) -> Any:
        """A chunk as the format has it, for `append`; several threads may pack at the same time."""

    @abstractmethod
    def append(self, packed: Any) -> None:
        """Append what `pack` made of the next chunk."""

    @abstractmethod
    def close(self) -> None:
        """End the file."""

    def write(self, features: Features) -> None:
        """Append a chunk of features."""
        self.append(self.pack(features))


_KEPT = 2**25
"""Bytes; what one feature of millions of corners took is not kept for those of a few."""


class Buffers:
    """Arrays that are used again: the system takes longer to clear fresh memory than we to fill it."""

    def __init__(self, dtype: Any) -> None:
        self._dtype = np.dtype(dtype)
        self._free: list[Any] = []

    def take(self, size: int) -> Any:
        """An array ``(size or more,)`` with anything in it."""
        try:
            found = self._free.pop()  # one step, so that two threads never get the same
        except IndexError:
            found = np.empty(0, self._dtype)
        return found if found.size >= size else np.empty(size + size // 4, self._dtype)

    def give(self, array: Any) -> None:
        """Hand back what `take` gave."""
        if array.nbytes <= _KEPT:
            self._free.append(array)
