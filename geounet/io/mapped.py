"""Arrays that outgrow memory: in unnamed files, mapped, of which only the pages in use count as ours."""

from __future__ import annotations

import math
import mmap
import os
import tempfile
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from geounet.vector.room import Room

_IN_MEMORY = 2**24
_RECENT = 2**20
"""What the next strip asks for; to fetch a page again costs more than to work on it."""
_ZEROS = bytes(2**20)


class MappedRoom(Room):
    """In memory up to some megabytes an array, then in a file in ``folder``; the files vanish with the room."""

    def __init__(self, folder: Path, *, in_memory: int = _IN_MEMORY, recent: int = _RECENT) -> None:
        """``in_memory`` bytes of an array need no file; the ``recent`` entries always stay at hand."""
        self._folder = folder
        self._recent = recent
        self._in_memory = in_memory
        self._files: dict[int, IO[bytes]] = {}
        self._maps: dict[int, mmap.mmap] = {}
        self._sizes: dict[int, int] = {}

    def _larger(self, place: int, old: NDArray[Any], used: int, length: int) -> NDArray[Any]:
        """As `Room` has it. Raises OSError where the disk is full."""
        shape = (length, *old.shape[1:])
        size = math.prod(shape) * old.itemsize
        if size <= self._in_memory:
            return super()._larger(place, old, used, length)
        known = place in self._files
        if not known:
            self._files[place] = tempfile.TemporaryFile(dir=self._folder)  # noqa: SIM115 - closed by us
        _reserve(self._files[place], size)
        self._sizes[place] = size // length
        self._maps[place] = mmap.mmap(self._files[place].fileno(), size)  # goes with the last array on it
        new: NDArray[Any] = np.ndarray(shape, old.dtype, self._maps[place])
        if not known:
            new[:used] = old[:used]
        return new

    @property
    def patience(self) -> int:  # type: ignore[override]
        """Longer on disk, where to go through all of it takes longer."""
        return 2 if self._maps else 4

    def let_go(self, used: int) -> None:
        """Leave pages to the system, which writes and drops them when it needs the memory."""
        if not hasattr(mmap, "MADV_DONTNEED"):
            return
        for place, mapped in self._maps.items():
            old = (used - self._recent) * self._sizes[place] // mmap.PAGESIZE * mmap.PAGESIZE
            if old > 0:
                mapped.madvise(mmap.MADV_DONTNEED, 0, old)

    def close(self) -> None:
        """Let go of the files."""
        self._maps.clear()
        for file in self._files.values():
            file.close()
        self._files.clear()

    def __enter__(self) -> MappedRoom:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _reserve(file: IO[bytes], size: int) -> None:
    """Make the file ``size`` bytes long, on the disk: to write into a hole of a mapped file on a full one kills."""
    begin = file.seek(0, os.SEEK_END)
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(file.fileno(), begin, size - begin)
        return
    while begin < size:
        begin += file.write(_ZEROS[: size - begin])
    file.flush()
