"""A short text that changes whenever the pixels of a scene may have changed."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

RULES = "1"
"""Version of how pixels and validity are made from files; raise it when the same file may read otherwise."""

_EDGE = 65536
_SIDECARS = (".msk", ".aux.xml", ".ovr", ".hdr")


def fingerprint(paths: Iterable[str], options: object) -> str:
    """Hex digest of the files' sizes, times, heads and tails, and of ``options`` (by its ``repr``).

    Cheap (128 kB per file), so that a run can ask each time it starts. A file rewritten in place with its
    old size and its old time, differing only in the middle, is not noticed.
    """
    digest = hashlib.sha256(f"{RULES}\n{options!r}\n".encode())
    for path in paths:
        for file in _with_sidecars(Path(path)):
            digest.update(_file_state(file))
    return digest.hexdigest()[:32]


def _with_sidecars(path: Path) -> list[Path]:
    beside = [path.with_name(path.name + suffix) for suffix in _SIDECARS] + [path.with_suffix(".hdr")]
    return [path, *(p for p in beside if p.is_file())]


def _file_state(path: Path) -> bytes:
    stat = path.stat()
    with path.open("rb") as file:
        head = file.read(_EDGE)
        file.seek(max(0, stat.st_size - _EDGE))
        tail = file.read(_EDGE)
    edges = hashlib.sha256(head + tail).hexdigest()
    return f"{path.name}\0{stat.st_size}\0{stat.st_mtime_ns}\0{edges}\n".encode("utf-8", "surrogateescape")
