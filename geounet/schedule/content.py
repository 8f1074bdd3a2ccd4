"""What a scene is, whatever its files are called: a digest of their bytes."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from itertools import zip_longest
from pathlib import Path

from geounet.errors import SceneError
from geounet.run.options import InferOptions

_SIDECARS = (".msk", ".aux.xml", ".hdr")

Memory = tuple[Callable[[str, str], str | None], Callable[[str, str, str], None]]
"""What is known about a file under a stamp, and how to remember it: `Ledger.digest_of` and `remember_digest`."""


def content_digest(paths: Sequence[str], memory: Memory, *, told: Sequence[str | None] = ()) -> str:
    """sha256 over the files and what lies beside them; each is read once and then remembered by size and times.

    A renamed or copied file has the digest that it had. Addresses count as they are written.
    What ``told`` says of a path's content counts instead of either.

    Raises SceneError where a file cannot be read.
    """
    total = hashlib.sha256()
    for path, instead in zip_longest(paths, told):
        if instead is not None:
            total.update(hashlib.sha256(instead.encode()).hexdigest().encode())
            continue
        if "://" in path:
            total.update(path.encode())
            continue
        for file in _files(Path(path)):
            total.update(_file_digest(file, memory).encode())
    return total.hexdigest()


def input_contents(options: InferOptions, memory: Memory) -> dict[str, str]:
    """What the files hold that options name, by option: another area under the same name is another piece of work.

    Raises ConfigError or SceneError where one cannot be read.
    """
    rasters = {name: str(path) for name in ("mask", "stats") if (path := getattr(options, name)) is not None}
    found = {name: content_digest([path], memory) for name, path in rasters.items()}
    if options.aoi is not None:
        from geounet.io.aoi import area_key

        found["aoi"] = area_key(options.aoi, "OGC:CRS84")
    return found


def _files(path: Path) -> list[Path]:
    if path.is_dir():  # a product folder
        return sorted(file for file in path.rglob("*") if file.is_file())
    return [path, *(beside for s in _SIDECARS if (beside := path.with_name(path.name + s)).is_file())]


def _file_digest(path: Path, memory: Memory) -> str:
    known, remember = memory
    try:
        stat = path.stat()
        stamp = f"{stat.st_size} {stat.st_mtime_ns} {stat.st_ino}"
        name = str(path.absolute())
        if (digest := known(name, stamp)) is None:
            with path.open("rb") as stream:
                digest = hashlib.file_digest(stream, "sha256").hexdigest()
            remember(name, stamp, digest)
    except OSError as error:
        raise SceneError(f"{path} cannot be read: {error.strerror}") from error
    return digest
