"""What an error of a block means for the run."""

from __future__ import annotations

import errno

from geounet.errors import GeounetError, SceneError

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS)


def reason(error: BaseException) -> str:
    """An error in one line, as the user reads it."""
    if isinstance(error, OSError) and error.strerror:
        return f"{error.strerror}: {error.filename}" if error.filename else error.strerror
    text = str(error) if isinstance(error, GeounetError) else f"{type(error).__name__}: {error}"
    return text.splitlines()[0]


def is_transient(error: BaseException) -> bool:
    """Whether trying again can help: input and output, memory; never a bug of ours."""
    if isinstance(error, GeounetError):
        return isinstance(error, SceneError)
    return isinstance(error, OSError | MemoryError)


def is_full_disk(error: BaseException) -> bool:
    """Whether the disk takes nothing more: no other block will fare better."""
    return isinstance(error, OSError) and error.errno in _FULL
