"""How GDAL is set up whenever a scene is opened or read."""

from __future__ import annotations

import os
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import rasterio
from rasterio._env import get_gdal_config, set_gdal_config
from rasterio._err import CPLE_BaseError
from rasterio.errors import NotGeoreferencedWarning, RasterioError

from geounet.errors import SceneError
from geounet.io.access import EXPECTED, Source, one_line, sniff_driver
from geounet.io.libtiff import silent_libtiff
from geounet.io.remote import REMOTE_OPTIONS

CACHE_BYTES = 64 * 2**20
"""GDAL's block cache. A row of 512-blocks of a 100,000 px wide RGB scene is 154 MB, so rows are decoded once."""

GDAL_ERRORS = (RasterioError, CPLE_BaseError, OSError, ValueError)
"""What rasterio raises where GDAL fails; the second escapes unwrapped from some calls (``WarpedVRT``)."""

LOCAL_OPTIONS: dict[str, str] = {
    # a damaged JPEG tile is an error, not grey pixels. https://gdal.org/drivers/raster/jpeg.html
    "GDAL_ERROR_ON_LIBJPEG_WARNING": "YES",
    # never run Python that a VRT carries. https://gdal.org/drivers/raster/vrt.html#using-derived-bands
    "GDAL_VRT_ENABLE_PYTHON": "NO",
}

_warnings_lock = threading.Lock()
_cache_lock = threading.Lock()
"""Around what follows, and around changes of the cache that depend on it."""
_calls = 0
_cache_before = 0
_wishes: list[int] = []


def limit_cache() -> None:
    """Cap GDAL's block cache at ``CACHE_BYTES`` unless the user has set ``GDAL_CACHEMAX``.

    GDAL's own default is 5 % of the RAM, which grows a run by gigabytes on a large machine. rasterio has no
    public call that outlives an ``Env`` (and the cache belongs to the process, not to a thread), hence the
    private one; a test holds it.
    """
    if "GDAL_CACHEMAX" not in os.environ and get_gdal_config("GDAL_CACHEMAX") > CACHE_BYTES:
        set_gdal_config("GDAL_CACHEMAX", CACHE_BYTES)


@contextmanager
def cache_given_back() -> Iterator[None]:
    """Around a call: the last one to end gives the program the cache back that it had before the first."""
    global _calls, _cache_before  # noqa: PLW0603  the cache is the process's
    with _cache_lock:
        if not _calls:
            _cache_before = get_gdal_config("GDAL_CACHEMAX")
        _calls += 1
    try:
        yield
    finally:
        with _cache_lock:
            _calls -= 1
            if not _calls and get_gdal_config("GDAL_CACHEMAX") != _cache_before:
                set_gdal_config("GDAL_CACHEMAX", _cache_before)


@contextmanager
def smaller_cache(size: int) -> Iterator[None]:
    """A block cache of ``size`` bytes for one who reads every block once; of several, the largest wish counts."""
    with _cache_lock:
        _wishes.append(size)
        _grant_cache()
    try:
        yield
    finally:
        with _cache_lock:
            _wishes.remove(size)
            _grant_cache()


def _grant_cache() -> None:
    size = min(CACHE_BYTES, max(_wishes, default=CACHE_BYTES))
    if "GDAL_CACHEMAX" not in os.environ and get_gdal_config("GDAL_CACHEMAX") != size:
        set_gdal_config("GDAL_CACHEMAX", size)


@contextmanager
def gdal_env(*, remote: bool) -> Iterator[None]:
    """GDAL's options for one open or one read; its chatter goes to the ``rasterio`` logger only."""
    with silent_libtiff(), rasterio.Env(**(LOCAL_OPTIONS | (REMOTE_OPTIONS if remote else {}))):
        yield


def open_dataset(source: Source) -> rasterio.DatasetReader:
    """Open ``source`` with one of its drivers and no other. Raises SceneError, in one line."""
    limit_cache()
    for path in (*source.files[1:], *source.beside):
        _open_with(path, sniff_driver(Path(path)), remote=False).close()
    said: list[str] = []
    for driver in source.drivers:
        try:
            return _open_with(source.path, driver, remote=source.remote)
        except GDAL_ERRORS as error:
            said.append(reason(error))
    remedy = "check the address and the network" if source.remote else f"expected {EXPECTED}"
    raise SceneError(f"{source.label} cannot be opened: {said[0]}; {remedy}")


def _open_with(path: str, driver: str, *, remote: bool, **options: Any) -> rasterio.DatasetReader:
    # catch_warnings is not thread-safe by itself; a missing georeference is told in our own warning
    with gdal_env(remote=remote), _warnings_lock, warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        dataset = rasterio.open(path, driver=driver, **options)
    # GDAL opens what this tag names, a URL too, as soon as anybody asks for overviews:
    # https://github.com/OSGeo/gdal/blob/v3.10.3/gcore/gdaldefaultoverviews.cpp (OverviewScan)
    named = dataset.tags(ns="OVERVIEWS").get("OVERVIEW_FILE")
    if named is not None:
        dataset.close()
        raise SceneError(
            f"{one_line(path)} names overviews in {one_line(named)[:200]!r}; copy it without: gdal_translate"
        )
    return dataset


def open_own(path: str | Path, **options: Any) -> rasterio.DatasetReader:
    """Open a GeoTIFF that geounet wrote itself, georeferenced or not."""
    return _open_with(str(path), "GTiff", remote=False, **options)


def reason(error: BaseException) -> str:
    """What GDAL said, in one line; the innermost cause says the most."""
    while error.__cause__ is not None:
        error = error.__cause__
    return one_line(str(error).strip().replace("\n", "; ")).rstrip(".") or type(error).__name__
