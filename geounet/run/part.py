"""The file that a block writes: its labels and confidences, whole or not at all."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from affine import Affine
from numpy.typing import NDArray
from rasterio.io import MemoryFile
from rasterio.windows import Window as RasterioWindow

from geounet.grid.window import Window
from geounet.io.atomic import publish_bytes
from geounet.io.gdal import gdal_env
from geounet.io.levels import ANY_TRANSFORM
from geounet.model.spec import NODATA

T = TypeVar("T")

_BLOCK = 512  # side of a compressed block in pixels
_PER_FOLDER = 1000
_WAITING = 3  # row groups that may wait to be compressed before the network waits for them

# https://gdal.org/en/stable/drivers/raster/gtiff.html#creation-options
_CREATION = {
    "driver": "GTiff",
    "tiled": True,
    "blockxsize": _BLOCK,
    "compress": "ZSTD",  # parts are ours alone, so the fastest codec will do
    "zstd_level": 1,
    "interleave": "band",
    "bigtiff": "IF_SAFER",
    "sparse_ok": True,
    "nodata": NODATA,
}


def part_name(block: int, key: str) -> str:
    """Name of a block's part in the folder of the parts: a thousand to a folder.

    GDAL lists the folder of every file that it opens, in search of sidecars: with all parts in one, the time for a
    hundred thousand of them grows with their square. The ``key`` names the work: a worker that was cut off may wake
    and finish its block when another run has cut the scene into other blocks, with the same numbers.
    """
    return f"{block // _PER_FOLDER:03d}/{block:06d}-{key[:12]}.tif"


@dataclass(frozen=True, kw_only=True)
class Part:
    """A file that was written."""

    bytes: int
    digest: str
    """blake2b of what the file must hold."""


class PartWriter:
    """Compresses row groups in the background, in order; the file is written at the end, in one go."""

    def __init__(self, path: Path, core: Window, memory: MemoryFile, file: Any, executor: Executor) -> None:
        self._path = path
        self._core = core
        self._memory = memory
        self._file = file
        self._executor = executor
        self._waiting: deque[Future[None]] = deque()

    def write(self, top: int, bands: NDArray[np.uint8]) -> None:
        """Write rows ``(bands, rows, core width)`` that start at scene row ``top``."""
        window = RasterioWindow(0, top - self._core.row_off, bands.shape[2], bands.shape[1])
        self._waiting.append(self._executor.submit(_quietly, self._file.write, bands, window=window))
        while len(self._waiting) > _WAITING:
            self._waiting.popleft().result()

    def finish(self) -> Part:
        """Write the part under its final name. Raises OSError where the disk does not take it."""
        while self._waiting:
            self._waiting.popleft().result()
        self._executor.submit(_quietly, self._file.close).result()
        content = self._memory.getbuffer()
        try:
            publish_bytes(self._path, content, flush_name=False)  # a part that is gone is computed again
        except OSError as error:  # of a hidden temporary file; its folder says which disk it is
            raise OSError(
                error.errno, f"the disk takes no more ({error.strerror})", str(self._path.parent)
            ) from error
        return Part(bytes=len(content), digest=_digest(content))


@contextmanager
def part_writer(path: Path, core: Window, *, bands: int, rows: int, executor: Executor) -> Iterator[PartWriter]:
    """What writes a part to ``path`` when it is told to finish; until then nothing is there.

    The file is made in memory (a block has some hundred megabytes, its compressed labels a tenth of that): GDAL
    writes much of a file when it closes it, and rasterio drops the errors of that, as of a full disk. So GDAL
    meets no disk, and Python, which tells, writes the bytes.

    ``rows`` is how many usually come at once; see :func:`_block_height`.
    """
    with MemoryFile() as memory:
        file = executor.submit(_quietly, _create, memory, core, bands, _block_height(rows)).result()
        try:
            yield PartWriter(path, core, memory, file, executor)
        finally:
            executor.submit(_quietly, file.close).result()


def _quietly(call: Callable[..., T], *arguments: Any, **options: Any) -> T:
    """Call with GDAL's chatter going to a log."""
    with gdal_env(remote=False):
        return call(*arguments, **options)


def _block_height(rows: int) -> int:
    """Height of the compressed blocks: a whole number of them fits into ``rows`` wherever that is possible.

    GDAL compresses a block as soon as it is full, in the writer's thread. One that two row groups share waits for
    the end, when closing the file compresses all of them while Python holds its lock and the network stands still.
    """
    return next((height for height in range(_BLOCK, 31, -16) if rows % height == 0), _BLOCK)  # TIFF wants 16s


def _create(memory: MemoryFile, core: Window, bands: int, block_height: int) -> Any:
    return memory.open(
        width=core.width,
        height=core.height,
        count=bands,
        dtype="uint8",
        blockysize=block_height,
        transform=Affine(*ANY_TRANSFORM),  # the mosaic knows where a part belongs; without one, rasterio warns
        **_CREATION,
    )


def file_digest(path: Path) -> str:
    """blake2b of a file's bytes."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, _new_digest).hexdigest()


def _digest(content: memoryview) -> str:
    digest = _new_digest()
    digest.update(content)
    return digest.hexdigest()


def _new_digest() -> hashlib.blake2b:
    return hashlib.blake2b(digest_size=16)
