"""What a file declares, against what can be: refusals and warnings before any pixel is read."""

from __future__ import annotations

import math
from pathlib import Path

from geounet.errors import SceneError
from geounet.io.raster import Raster

MAX_BLOCK_BYTES = 512 * 2**20
"""One compressed block is decoded whole, and GDAL holds it twice."""
_IDENTITY = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)


def check_raster(raster: Raster) -> None:
    """Refuse what cannot be read rightly, or not in bounded memory. Raises SceneError with the remedy."""
    _check_georeference(raster)
    _check_blocks(raster)
    _check_size(raster)


def _check_georeference(raster: Raster) -> None:
    label, transform = raster.source.label, raster.geobox.transform
    if raster.dataset.gcps[0] and transform == _IDENTITY:
        raise SceneError(
            f"{label} has ground control points instead of a geotransform; "
            "warp it first: gdalwarp -tps -r bilinear -dstalpha IN.tif OUT.tif"
        )
    a, b, _, d, e, _ = transform
    if not all(map(math.isfinite, transform)) or a * e - b * d == 0:
        raise SceneError(f"{label} has a geotransform {transform} that maps the plane to a line or a point")


def _check_blocks(raster: Raster) -> None:
    rows, cols = raster.block_shape
    shared = raster.dataset.count if raster.dataset.profile.get("interleave") == "pixel" else 1
    size = rows * cols * raster.dtype.itemsize * shared
    if size > MAX_BLOCK_BYTES:
        raise SceneError(
            f"{raster.source.label} has blocks of {rows} x {cols} pixels, which decode to {human(size)} each; "
            "tile it first: gdal_translate -of COG IN OUT.tif"
        )


def _check_size(raster: Raster) -> None:
    if raster.source.remote:
        return
    declared, stored = declared_bytes(raster), Path(raster.source.path).stat().st_size
    if declared > 2**38 and declared > 1_000_000 * stored:
        raise SceneError(
            f"{raster.source.label} declares {raster.dataset.width} x {raster.dataset.height} pixels "
            f"({human(declared)}) in a file of {human(stored)}; it is damaged or made to do harm"
        )


def declared_bytes(raster: Raster) -> int:
    """Bytes of all pixels, uncompressed, as the header has it."""
    dataset = raster.dataset
    return int(dataset.width) * int(dataset.height) * int(dataset.count) * raster.dtype.itemsize


def warnings_of(raster: Raster) -> tuple[str, ...]:
    """What the user should know about the file; each one line without the path."""
    found = []
    if raster.geobox.crs is None:
        found.append("no CRS: results are in pixel coordinates, areas are in pixels")
    return tuple(found)


def human(size: float) -> str:
    """Bytes as people read them."""
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if size < 1000 or unit == "TB":
            return f"{size:.0f} {unit}" if unit == "B" or size >= 10 else f"{size:.1f} {unit}"
        size /= 1000
    raise AssertionError
