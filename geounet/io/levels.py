"""The overviews of a large raster as files, computed strip by strip in several threads."""

from __future__ import annotations

import collections
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from threading import local

import numpy as np
import rasterio
from affine import Affine
from rasterio._base import driver_supports_mode
from rasterio._err import CPLE_BaseError  # what `rasterio.shutil.copy` lets through
from rasterio.windows import Window as RioWindow

from geounet.errors import WorkError
from geounet.io.gdal import limit_cache
from geounet.io.libtiff import silent_libtiff
from geounet.io.mosaic import BLOCK
from geounet.io.overviews import Halve, Labels, level_shapes
from geounet.io.whole import CheckedRows
from geounet.model.spec import NODATA

ANY_TRANSFORM = (2.0, 0.0, 0.0, 0.0, -2.0, 0.0)  # of files whose place on earth nobody asks
_STRIP = 512  # rows that one thread reads and halves at a time
_COLUMNS = 4096  # of them at a time
_OPTIONS = {
    "GDAL_PAM_ENABLED": "NO",  # the .aux.xml is ours
    "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR",  # no part has a sidecar
    "GDAL_MAX_DATASET_POOL_SIZE": "32",  # parts that a VRT keeps open; each holds megabytes for its decoder
}


@contextmanager
def gdal() -> Iterator[None]:
    """GDAL as we want it: small cache, no sidecar of its own, no look around; its errors as ours."""
    limit_cache()
    with silent_libtiff(), rasterio.Env(**_OPTIONS):
        _complete_cog_driver()
        try:
            yield
        except (rasterio.errors.RasterioError, CPLE_BaseError, SystemError) as error:
            # rasterio makes a SystemError of a copy that failed without a word, as on a full disk
            raise WorkError(f"cannot write the COG: {error}; check the disk, and run again") from error


def _complete_cog_driver() -> None:
    """Have GDAL list the options of its COG driver now, on one thread.

    It does so when the driver is first used, and before 3.11.1 without a lock: where two threads began their first
    copies in the same moment both wrote into one list (5 of 3,000 processes in a trial), and a run could crash.
    https://github.com/OSGeo/gdal/pull/12390. Of this call no two run at a time: it keeps Python's lock.
    """
    driver_supports_mode("COG", "DMD_CREATIONOPTIONLIST")


def write_overviews(base: Path, shape: tuple[int, int], *, halve: Halve, threads: int, folder: Path) -> list[Path]:
    """Write every overview of the raster ``base`` as a file in ``folder``, in one pass; largest first."""
    shapes = level_shapes(shape, largest=BLOCK)
    if not shapes:
        return []
    # So many rows at a time that each level gets whole rows: no strip needs its neighbour.
    rows = max(_STRIP, 2 ** len(shapes))
    paths = [folder / f"overview{n}.tif" for n in range(1, len(shapes) + 1)]
    with ExitStack() as stack:
        files = [
            stack.enter_context(create(path, level, strip=rows >> n))
            for n, (path, level) in enumerate(zip(paths, shapes, strict=True), start=1)
        ]
        for top, levels in _halved_strips(base, shape, halve=halve, rows=rows, depth=len(shapes), threads=threads):
            for n, (file, pixels) in enumerate(zip(files, levels, strict=True), start=1):
                file.write(top >> n, pixels[None])
    return paths


def _halved_strips(
    base: Path, shape: tuple[int, int], *, halve: Halve, rows: int, depth: int, threads: int
) -> Iterator[tuple[int, list[Labels]]]:
    """The first row of every strip, and the strip halved 1..depth times; from the top down."""

    columns = max(_COLUMNS, 2**depth)  # a power of two as well: no stretch needs its neighbour either

    own = local()  # a dataset per thread, kept: a mosaic of very many parts takes seconds to open

    def work(top: int) -> list[Labels]:
        stretches = []
        with gdal():
            if not hasattr(own, "dataset"):
                own.dataset = opened.enter_context(rasterio.open(base))
            for left in range(0, shape[1], columns):
                window = RioWindow(left, top, min(columns, shape[1] - left), min(rows, shape[0] - top))
                stretches.append(_halved(own.dataset.read(1, window=window), halve, depth))
        return [np.concatenate(level, axis=1) for level in zip(*stretches, strict=True)]

    with ExitStack() as opened:
        yield from _in_order(work, range(0, shape[0], rows), threads)


def _halved(pixels: Labels, halve: Halve, depth: int) -> list[Labels]:
    levels = []
    for _ in range(depth):
        pixels = halve(pixels)
        levels.append(pixels)
    return levels


def _in_order(
    work: Callable[[int], list[Labels]], items: range, threads: int
) -> Iterator[tuple[int, list[Labels]]]:
    """``work`` of every item, in order, with at most ``threads`` results made ahead."""
    if threads <= 1:
        yield from ((item, work(item)) for item in items)
        return
    with ThreadPoolExecutor(threads) as pool:
        waiting: collections.deque[tuple[int, Future[list[Labels]]]] = collections.deque()
        for item in items:
            waiting.append((item, pool.submit(work, item)))
            if len(waiting) > threads:
                first, future = waiting.popleft()
                yield first, future.result()
        for first, future in waiting:
            yield first, future.result()


@contextmanager
def create(path: Path, shape: tuple[int, int], *, tile: int = 0, strip: int = 0) -> Iterator[CheckedRows]:
    """An intermediate one-band file, open for writing; tiled, or in strips of whole rows; read back at the end."""
    height, width = shape
    layout = {"tiled": True, "blockxsize": tile, "blockysize": tile} if tile else {"blockysize": strip}
    with rasterio.open(
        path, "w", driver="GTiff", width=width, height=height, count=1, dtype=np.uint8, nodata=NODATA,
        compress="deflate", zlevel=1, bigtiff="if_safer", transform=Affine(*ANY_TRANSFORM), **layout,
    ) as file:  # fmt: skip
        rows = CheckedRows(file)
        yield rows
    rows.verify(path)
