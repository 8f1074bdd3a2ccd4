"""Files that appear under their final name only when they are whole.

Everything is made under a hidden temporary name in the same folder, flushed to the disk, and renamed; a
rename within one folder is atomic (POSIX ``rename``). Temporary names carry the process id and a random number, so
that two processes never share one (in containers many have the same id), and a pattern of their own, so that
`sweep` finds what a killed process left.
"""

from __future__ import annotations

import itertools
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_PREFIX = ".geounet-"
_PROCESS = os.urandom(4).hex()
_numbers = itertools.count()
_unfinished: set[Path] = set()


def temporary_name(path: Path) -> Path:
    """A fresh hidden name beside ``path`` that keeps its suffix (drivers look at it)."""
    return path.with_name(f"{_PREFIX}{os.getpid()}.{_PROCESS}-{next(_numbers)}-{path.name}")


@contextmanager
def _remembered(path: Path) -> Iterator[None]:
    """Known to `abandon` meanwhile."""
    _unfinished.add(path)
    try:
        yield
    finally:
        _unfinished.discard(path)


@contextmanager
def naming(path: str | Path) -> Iterator[None]:
    """An OSError that names no file, as writing to a full disk raises it, names ``path``."""
    try:
        yield
    except OSError as error:
        if error.filename is None and error.errno is not None:
            error.filename = str(path)
        raise


@contextmanager
def publish(path: str | Path, *, flush_name: bool = True) -> Iterator[Path]:
    """Yield a temporary path; when the body ends well, what it wrote there becomes ``path``.

    The body must have closed the file. When it raises, or writes nothing, ``path`` is untouched and the
    temporary file is removed. Without ``flush_name`` a power cut may still take the whole file, for some seconds.

    Raises:
        FileNotFoundError: the body ended without writing the file.
    """
    final = Path(path)
    temporary = temporary_name(final)
    with _remembered(temporary), naming(final):
        try:
            yield temporary
            sync(temporary)
            temporary.replace(final)
            if flush_name:
                sync(final.parent)
        finally:
            temporary.unlink(missing_ok=True)


def publish_bytes(path: str | Path, content: bytes | memoryview, *, flush_name: bool = True) -> Path:
    """Write ``content`` to ``path``, whole or not at all, as :func:`publish` does; returns the path."""
    with publish(path, flush_name=flush_name) as temporary:
        temporary.write_bytes(content)
    return Path(path)


def publish_text(path: str | Path, content: str) -> Path:
    """Write ``content`` to ``path`` as UTF-8, whole or not at all; returns the path."""
    return publish_bytes(path, content.encode())


@contextmanager
def scratch_folder(path: str | Path) -> Iterator[Path]:
    """Yield a fresh hidden folder beside ``path`` for intermediate files; it is gone afterwards."""
    folder = temporary_name(Path(path))
    with _remembered(folder):
        folder.mkdir()
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def sweep(folder: str | Path) -> int:
    """Remove what killed processes left in ``folder``; returns how many names were removed.

    Only for the one process that holds the folder: it does not ask whether the makers still live.
    """
    found = sorted(Path(folder).glob(f"{_PREFIX}*-*-*"))
    for entry in found:
        _remove(entry)
    return len(found)


def abandon() -> None:
    """Remove everything that this process has not finished, while its threads still write: they fail, and end.

    For a process that is about to leave. What is written to a file without a name never gets one.
    """
    for entry in tuple(_unfinished):
        with suppress(OSError):
            _remove(entry)


def _remove(entry: Path) -> None:
    if entry.is_dir() and not entry.is_symlink():
        shutil.rmtree(entry, ignore_errors=True)
    else:
        entry.unlink(missing_ok=True)


def sync(path: Path) -> None:
    """Flush a file, or the names in a folder, to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
