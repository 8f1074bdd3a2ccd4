"""What a scene is, whatever its files are called: a digest of their bytes."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from itertools import zip_longest
from pathlib import Path

from geounet.errors import SceneError
from geounet.io import plain_vrt
from geounet.io.pam import SUFFIX, read_pam
from geounet.run.options import InferOptions

_BESIDE = (".msk", SUFFIX, ".hdr")
"""Behind the whole name of a raster: what GDAL reads with it."""

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
    return [file for member in (path, *_members(path)) for file in (member, *_beside(member))]


def _members(path: Path) -> Sequence[Path]:
    """The files of a plain VRT, whose pixels are theirs; of what is none, none."""
    if path.suffix.lower() != ".vrt":
        return ()
    try:
        return plain_vrt.sources(path)
    except (SceneError, OSError):  # the scene will fail, and say why
        return ()


def _beside(path: Path) -> list[Path]:
    """What GDAL reads with a raster: its mask, what was noted of it, where it lies.

    World files bear the first and the last letter of its suffix and a w, its suffix and a w, or wld; see
    https://gdal.org/drivers/raster/wld.html and GDALReadWorldFile. A .prj is not read.
    """
    ending = path.suffix[1:]
    alone = [f"{ending[:1]}{ending[-1:]}w", f"{ending}w", "wld", "tab", "hdr"]
    stems = [path.stem + "." + text for name in alone for text in (name.lower(), name.upper())]
    names = [path.name + suffix for suffix in _BESIDE] + stems
    there = [path.with_name(name) for name in dict.fromkeys(names) if name != path.name]
    return [file for file in there if file.is_file()]


def _file_digest(path: Path, memory: Memory) -> str:
    """Hex; empty where nothing is said of a raster beside it."""
    known, remember = memory
    try:
        if path.name.endswith(SUFFIX):
            said = read_pam(path)
            return hashlib.sha256(said).hexdigest() if said else ""
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
