"""How much memory a piece of work took, read from Linux.

``ru_maxrss`` will not do: it never falls again, and a child process begins with its parent's.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

SELF = Path("/proc/self")
SEES_TESTS = {
    **os.environ,
    "PYTHONPATH": os.pathsep.join(filter(None, (str(Path(__file__).parent), os.environ.get("PYTHONPATH")))),
}
"""The environment of a child process that imports this module."""


def peak_memory() -> int:
    """The most that this process had resident since it began, or since it was last reset; bytes."""
    return _status("VmHWM")


@contextmanager
def memory_taken() -> Iterator[Callable[[], int]]:
    """Within, the call given tells by how many bytes the resident memory has risen above its start."""
    (SELF / "clear_refs").write_text("5")  # the peak begins anew: man 5 proc
    before = _status("VmRSS")
    yield lambda: peak_memory() - before


def _status(key: str) -> int:
    lines = (SELF / "status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{key}:"))
