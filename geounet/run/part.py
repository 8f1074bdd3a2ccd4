"""The file that a block writes: its labels and confidences, whole or not at all."""

from __future__ import annotations

import hashlib
import warnings
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.errors import NotGeoreferencedWarning

from geounet.grid.window import Window
from geounet.io.atomic import publish
from geounet.io.gdal import gdal_env
from geounet.io.whole import CheckedRows
from geounet.model.spec import NODATA

T = TypeVar("T")

_BLOCK = 512  # side of a compressed block in pixels
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


def part_name(block: int) -> str:
    """File name of a block's part."""
    return f"{block:06d}.tif"


class PartWriter:
    """Writes row groups in the background, in order."""

    def __init__(self, rows: CheckedRows, core: Window, executor: Executor) -> None:
        self._rows = rows
        self._core = core
        self._executor = executor
        self._waiting: deque[Future[None]] = deque()

    def write(self, top: int, bands: NDArray[np.uint8]) -> None:
        """Write rows ``(bands, rows, core width)`` that start at scene row ``top``."""
        self._waiting.append(self._executor.submit(_quietly, self._rows.write, top - self._core.row_off, bands))
        while len(self._waiting) > _WAITING:
            self._waiting.popleft().result()

    def finish(self) -> None:
        """Wait until everything is written."""
        while self._waiting:
            self._waiting.popleft().result()


@contextmanager
def write_part(path: Path, core: Window, *, bands: int, rows: int, executor: Executor) -> Iterator[PartWriter]:
    """A part under its final name once the body ends well and the file holds its pixels; a failure leaves nothing.

    ``rows`` is how many usually come at once; see :func:`_block_height`.
    Raises OSError (ENOSPC) where what was written cannot be read back.
    """
    with publish(path) as temporary:
        file = executor.submit(_quietly, _create, temporary, core, bands, _block_height(rows)).result()
        pixels = CheckedRows(file)
        writer = PartWriter(pixels, core, executor)
        try:
            yield writer
            writer.finish()
        finally:
            executor.submit(_quietly, file.close).result()
        executor.submit(_quietly, pixels.verify, temporary).result()


def _quietly(call: Callable[..., T], *arguments: Any) -> T:
    """Call with GDAL's chatter going to a log: what goes wrong is found when the part is read back."""
    with gdal_env(remote=False):
        return call(*arguments)


def _block_height(rows: int) -> int:
    """Height of the compressed blocks: a whole number of them fits into ``rows`` wherever that is possible.

    GDAL compresses a block as soon as it is full, in the writer's thread. One that two row groups share waits for
    the end, when closing the file compresses all of them while Python holds its lock and the network stands still.
    """
    return next((height for height in range(_BLOCK, 31, -16) if rows % height == 0), _BLOCK)  # TIFF wants 16s


def _create(path: Path, core: Window, bands: int, block_height: int) -> Any:
    with warnings.catch_warnings():  # parts lie in block pixels; the mosaic knows where they belong
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        return rasterio.open(
            path,
            "w",
            width=core.width,
            height=core.height,
            count=bands,
            dtype="uint8",
            blockysize=block_height,
            **_CREATION,
        )


def file_digest(path: Path) -> str:
    """blake2b of a file's bytes."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, lambda: hashlib.blake2b(digest_size=16)).hexdigest()
