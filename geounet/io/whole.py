"""Rasters that are read back before anybody relies on them.

What GDAL still holds is written when the file is closed, and rasterio drops the errors of that: on a full disk
``close`` ends well and leaves a file that opens, and whose missing blocks read as nodata.
"""

from __future__ import annotations

import errno
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.errors import RasterioError
from rasterio.windows import Window as RasterioWindow

from geounet.io.gdal import GDAL_ERRORS, open_own
from geounet.io.libtiff import silent_libtiff


class CheckedRows:
    """Writes whole rows of a raster that is open for writing, and remembers checksums of them."""

    def __init__(self, file: Any) -> None:
        self._file = file
        self._written: list[tuple[RasterioWindow, int]] = []

    def write(self, top: int, bands: NDArray[np.uint8]) -> None:
        """Write rows ``(bands, rows, width)`` that start at row ``top``; each row once."""
        window = RasterioWindow(0, top, bands.shape[2], bands.shape[1])
        self._file.write(bands, window=window)
        self._written.append((window, checksum(bands)))

    def verify(self, path: Path) -> None:
        """Read the closed file back. Raises OSError (ENOSPC) where it does not hold what was written."""
        try:
            with open_own(path) as file:
                whole = all(checksum(file.read(window=window)) == known for window, known in self._written)
        except GDAL_ERRORS as error:
            raise _lost(path) from error
        if not whole:
            raise _lost(path)


@contextmanager
def created(path: Path, **profile: Any) -> Iterator[Any]:
    """A GeoTIFF of interleaved pixels, open for writing; its blocks are looked for when it is closed.

    Raises OSError (ENOSPC) where the disk did not take them.
    """
    with silent_libtiff():
        file = rasterio.open(path, "w", **profile)
        try:
            with file:
                yield file
        except RasterioError as error:
            raise _lost(path) from error
        verify_blocks(path)


def verify_mask(path: Path, written: Iterable[tuple[Any, int]]) -> None:
    """Read the mask of a closed file back; ``written``: windows, and the `checksum` of the bools in each.

    Raises OSError (ENOSPC) where it is another.
    """
    try:
        with open_own(path) as file:
            whole = all(checksum(file.read_masks(1, window=window) > 0) == known for window, known in written)
    except GDAL_ERRORS as error:
        raise _lost(path) from error
    if not whole:
        raise _lost(path)


def verify_blocks(path: Path) -> None:
    """Check that every block of a GeoTIFF that is not sparse, overviews too, lies inside the file.

    Raises OSError (ENOSPC) where one does not.
    """
    size = path.stat().st_size
    try:
        with open_own(path) as file:
            shapes = [file.shape]
            for level in range(len(file.overviews(1))):
                with open_own(path, overview_level=level) as overview:
                    shapes.append(overview.shape)
            side = file.block_shapes[0]
            whole = all(_has_blocks(file, n - 1, shape, side, size) for n, shape in enumerate(shapes))
    except GDAL_ERRORS as error:
        raise _lost(path) from error
    if not whole:
        raise _lost(path)


def _has_blocks(file: Any, overview: int, shape: tuple[int, int], side: tuple[int, int], size: int) -> bool:
    """Whether every block of the first band of an overview, or of the raster itself (-1), lies within ``size``."""
    level = None if overview < 0 else overview
    for row in range(-(-shape[0] // side[0])):
        for col in range(-(-shape[1] // side[1])):
            # https://gdal.org/en/stable/drivers/raster/gtiff.html#internal-metadata
            place, length = (
                file.get_tag_item(f"BLOCK_{what}_{col}_{row}", "TIFF", bidx=1, ovr=level)
                for what in ("OFFSET", "SIZE")
            )
            if place is None or length is None or int(place) + int(length) > size:
                return False
    return True


def checksum(bands: NDArray[Any]) -> int:
    """CRC-32 of what an array holds."""
    return zlib.crc32(np.ascontiguousarray(bands).data)


def _lost(path: Path) -> OSError:
    # The name of a temporary file says nothing; its folder says which disk it is.
    return OSError(
        errno.ENOSPC, "what was written cannot be read back: the disk is full or failing", str(path.parent)
    )
