"""Arrays that are read when they are sliced, so that a scene need not fit into memory or onto the disk."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from geounet.grid.window import Window
from geounet.train.open_source import OpenSource, strips
from geounet.train.source import Source

_OPEN = 24
"""Scenes that each thread keeps open."""
_held = threading.local()


class Plane(Protocol):
    """What training needs of an image ``(height, width, bands)`` or of labels ``(height, width)``.

    A numpy array is one.
    """

    @property
    def shape(self) -> tuple[int, ...]:
        """Height and width first."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of the pixels."""

    def __getitem__(self, at: tuple[slice, slice], /) -> NDArray[Any]:
        """The pixels in a slice of rows and a slice of columns, with steps or without."""


class DirectReader:
    """Reads a scene's rasters; every thread has its own open files."""

    def __init__(self, source: Source) -> None:
        self.source = source

    def read(self, window: Window) -> tuple[NDArray[Any], NDArray[np.uint8]]:
        """See `OpenSource.read`. What was read last is at hand, for labels follow their image."""
        last = getattr(_held, "last", None)
        if last is not None and last[0] is self and last[1] == window:
            found: tuple[NDArray[Any], NDArray[np.uint8]] = last[2]
            return found
        found = self._open().read(window)
        _held.last = (self, window, found)
        return found

    def _open(self) -> OpenSource:
        files: OrderedDict[DirectReader, OpenSource] = _held.__dict__.setdefault("files", OrderedDict())
        if self not in files:
            files[self] = OpenSource(self.source)
            while len(files) > _OPEN:
                files.popitem(last=False)[1].close()
        files.move_to_end(self)
        return files[self]


class DirectPlane:
    """The image or the labels of a scene that is read from its rasters."""

    def __init__(self, reader: DirectReader, *, which: int, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
        self._reader, self._which, self.shape, self.dtype = reader, which, shape, dtype

    def __getitem__(self, at: tuple[slice, slice]) -> NDArray[Any]:
        window, steps = window_of(at, (self.shape[0], self.shape[1]))
        pixels: NDArray[Any] = self._reader.read(window)[self._which]
        return pixels[steps]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        return whole(self).astype(dtype or self.dtype, copy=False)


class SidedPlane:
    """Labels of which a rule leaves some out, see `geounet.train.splits`."""

    def __init__(self, labels: Plane, rule: Callable[[NDArray[np.uint8], Window], None]) -> None:
        self.all, self._rule = labels, rule
        self.shape, self.dtype = labels.shape, labels.dtype

    def __getitem__(self, at: tuple[slice, slice]) -> NDArray[Any]:
        window, steps = window_of(at, (self.shape[0], self.shape[1]))
        out = np.array(self.all[window.slices()])
        self._rule(out, window)
        return out[steps]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        return whole(self).astype(dtype or self.dtype, copy=False)


def whole(plane: Plane) -> NDArray[Any]:
    """All pixels, read strip by strip."""
    out = np.empty(plane.shape, plane.dtype)
    for window in strips((plane.shape[0], plane.shape[1])):
        out[window.slices()] = plane[window.slices()]
    return out


def window_of(at: tuple[slice, slice], shape: tuple[int, int]) -> tuple[Window, tuple[slice, slice]]:
    """The window that two slices span, and their steps within it."""
    (top, bottom, down), (left, right, across) = (s.indices(n) for s, n in zip(at, shape, strict=True))
    window = Window(top, left, max(0, bottom - top), max(0, right - left))
    return window, (slice(None, None, down), slice(None, None, across))
