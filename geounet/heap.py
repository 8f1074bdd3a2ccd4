"""What the C library does with memory that is freed: kept for the next array, while somebody asks for that.

Activations, row groups and columns of vertices are megabytes that come and go. By default glibc maps and unmaps
each of them, and the kernel fills every page with zeros again: a large part of the time of an eager network, and a
third of the time of vectorizing (docs/benchmarks.md).
"""

from __future__ import annotations

import ctypes
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

# parameters of mallopt, see its manual page
_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_MAX, _M_ARENA_MAX = -1, -2, -4, -8

_lock = threading.Lock()
_holders = 0


def keep_freed_memory() -> None:
    """Tell glibc to keep freed memory, until as many calls of :func:`return_freed_memory`; elsewhere nothing."""
    global _holders  # noqa: PLW0603  the setting is the process's
    with _lock:
        _holders += 1
        if _holders == 1 and (libc := _glibc()) is not None:
            libc.mallopt(_M_MMAP_MAX, 0)
            libc.mallopt(_M_TRIM_THRESHOLD, 2**31 - 1)
            libc.mallopt(_M_TOP_PAD, 64 * 2**20)


def return_freed_memory() -> None:
    """Hand back what lies free; the last one who kept it leaves glibc's defaults."""
    global _holders  # noqa: PLW0603
    with _lock:
        _holders -= 1
        if _holders == 0 and (libc := _glibc()) is not None:
            libc.mallopt(_M_MMAP_MAX, 65536)
            libc.mallopt(_M_TRIM_THRESHOLD, 128 * 1024)
            libc.mallopt(_M_TOP_PAD, 128 * 1024)
    trim()


def trim() -> None:
    """Hand back what lies free now; the setting stays."""
    if (libc := _glibc()) is not None:
        libc.malloc_trim(0)


@contextmanager
def freed_memory_kept(*, shared: bool = False) -> Iterator[None]:
    """Both, around a body. ``shared``: threads that begin meanwhile have one heap: they take what others freed."""
    keep_freed_memory()
    if shared and (libc := _glibc()) is not None:
        libc.mallopt(_M_ARENA_MAX, 1)
    try:
        yield
    finally:
        if shared and (libc := _glibc()) is not None:
            libc.mallopt(_M_ARENA_MAX, 0)  # as many as glibc likes
        return_freed_memory()


def _glibc() -> Any:
    """The C library where it is glibc, else None."""
    if not sys.platform.startswith("linux"):
        return None
    libc: Any = ctypes.CDLL(None)
    return libc if hasattr(libc, "gnu_get_libc_version") else None
