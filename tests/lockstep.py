"""A process that cannot run ahead of the test that reads what it says."""

from __future__ import annotations

import fcntl
import os
from io import TextIOWrapper


def narrow_pipe() -> tuple[TextIOWrapper, int]:
    """The end to read from, and the file number to write to, of a pipe that holds one write.

    Who writes a line waits until the line before is read. So a test that acts upon a line acts in time, however
    long it slept since: pipe(2) under ``O_DIRECT``, with the least room that there is.
    """
    reading, writing = os.pipe2(os.O_DIRECT | os.O_CLOEXEC)
    fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, 4096)
    return os.fdopen(reading, encoding="utf-8"), writing
