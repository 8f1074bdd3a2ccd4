"""Keeps libtiff from writing to standard error by itself.

GDAL gives libtiff a handler of its own for every file, which ends in GDAL's errors and so in ours. But what goes
wrong below that, in reading or writing bytes, GDAL reports through libtiff's global handler, which prints
``_tiffWriteProc: No space left on device.`` beside our one line:
https://github.com/OSGeo/gdal/blob/v3.10.3/frmts/gtiff/tifvsi.cpp (``_tiffWriteProc``, ``TIFFErrorExt``).
"""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache

Handler = int | None
"""Address of a C function."""

_lock = threading.Lock()
_silent = 0
_before: Handler = None


@contextmanager
def silent_libtiff() -> Iterator[None]:
    """Nothing of libtiff's own on standard error while any thread is inside; then the handler that was there."""
    global _silent, _before  # noqa: PLW0603  the handler is one per process, so is the count of who wants it away
    with _lock:
        _silent += 1
        if _silent == 1:
            _before = _set_handler()(None)
    try:
        yield
    finally:
        with _lock:
            _silent -= 1
            if _silent == 0:
                _set_handler()(_before)


@cache
def _set_handler() -> Callable[[Handler], Handler]:
    """``TIFFSetErrorHandler`` of the libtiff that rasterio's GDAL uses; where it cannot be found, nothing.

    https://libtiff.gitlab.io/libtiff/functions/TIFFError.html. A symbol that is asked of an extension is looked for
    in the libraries that it depends on, in order (dlsym), so that another libtiff in this process is not taken.
    """
    import rasterio._io

    try:
        call = ctypes.CDLL(rasterio._io.__file__).TIFFSetErrorHandler
    except (OSError, AttributeError):  # built into GDAL under another name
        return lambda _handler: None
    call.restype, call.argtypes = ctypes.c_void_p, (ctypes.c_void_p,)
    return call
