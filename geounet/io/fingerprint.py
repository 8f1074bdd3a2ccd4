"""A short text that changes whenever the pixels of a scene may have changed."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

from geounet.io.pam import SUFFIX, read_pam
from geounet.io.raster import Raster
from geounet.io.remote import etag

RULES = "1"
"""Version of how pixels and validity are made from files; raise it when the same file may read otherwise."""

_EDGE = 65536
_SIDECARS = (".msk", SUFFIX, ".ovr", ".hdr")
_SAMPLES = 16


def fingerprint(rasters: Iterable[Raster], options: object) -> str:
    """Hex digest of the files' sizes, times, heads and tails, and of ``options`` (by its ``repr``).

    Cheap (128 kB per file), so that a run can ask each time it starts. Of an ``.aux.xml`` what it says counts,
    not what somebody measured. A file rewritten in place with its
    old size and its old time, differing only in the middle, is not noticed. Of a remote file: its layout,
    size and place of up to 32 of its blocks, and the server's ETag where there is one.
    """
    digest = hashlib.sha256(f"{RULES}\n{options!r}\n".encode())
    for raster in rasters:
        digest.update(repr((raster.indexes, raster.nodata)).encode())
        if raster.source.remote:
            digest.update(_remote_state(raster))
        for path in raster.source.files:
            for file in _with_sidecars(Path(path)):
                digest.update(_file_state(file))
    return digest.hexdigest()[:32]


def _with_sidecars(path: Path) -> list[Path]:
    beside = [path.with_name(path.name + suffix) for suffix in _SIDECARS] + [path.with_suffix(".hdr")]
    return [path, *(p for p in beside if p.is_file())]


def _file_state(path: Path) -> bytes:
    if path.name.endswith(SUFFIX):
        return read_pam(path)
    stat = path.stat()
    with path.open("rb") as file:
        head = file.read(_EDGE)
        file.seek(max(0, stat.st_size - _EDGE))
        tail = file.read(_EDGE)
    edges = hashlib.sha256(head + tail).hexdigest()
    return f"{path.name}\0{stat.st_size}\0{stat.st_mtime_ns}\0{edges}\n".encode("utf-8", "surrogateescape")


def _remote_state(raster: Raster) -> bytes:
    """Offsets and sizes of blocks spread over the file: other pixels compress to other sizes."""
    rows, cols = raster.block_shape
    down = -(-raster.dataset.height // rows)
    across = -(-raster.dataset.width // cols)
    step = max(1, down * across // _SAMPLES)
    blocks = [raster.block_place(n // across, n % across) for n in range(0, down * across, step)]
    profile = sorted((k, str(v)) for k, v in raster.dataset.profile.items())
    return repr((raster.source.path.split("?")[0], profile, etag(raster.source.path), blocks)).encode()
