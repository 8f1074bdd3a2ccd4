"""What a file declares, against what can be: refusals and warnings before any pixel is read."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

from geounet.errors import SceneError
from geounet.grid.geobox import IDENTITY
from geounet.io import human
from geounet.io.raster import Raster

if TYPE_CHECKING:
    from geounet.io.ground import Ground

MAX_BLOCK_BYTES = 512 * 2**20
"""One compressed block is decoded whole, and GDAL holds it twice."""
ABSURD_BYTES, ABSURD_RATIO = 2**38, 1_000_000
"""A file that declares more than both is refused. DEFLATE reaches 1 to 1032, ZSTD some 1 to 20,000; a sparse
file needs 16 bytes per block, which is 1 to 50,000 with three bands and blocks of 512."""

MOST_PIECES = 50_000
"""Of one pixel's edge; a pixel as large as the Earth has 40,075 of a kilometre each."""
MOST_TURNS = 3
"""Times around the globe; no map is that wide."""


def check_raster(raster: Raster) -> None:
    """Refuse what cannot be read rightly, or not in bounded memory. Raises SceneError with the remedy."""
    check_georeference(raster)
    _check_blocks(raster)
    _check_size(raster)
    _check_whole(raster)


def check_georeference(raster: Raster, *, resampling: str = "bilinear") -> None:
    """Refuse a raster that lies nowhere; ``resampling``: how gdalwarp would warp it. Raises SceneError."""
    label, transform = raster.source.label, raster.geobox.transform
    if raster.dataset.gcps[0] and transform == IDENTITY:
        raise SceneError(
            f"{label} has ground control points instead of a geotransform; "
            f"warp it first: gdalwarp -tps -r {resampling} -dstalpha IN.tif OUT.tif"
        )
    a, b, _, d, e, _ = transform
    if not all(map(math.isfinite, transform)) or a * e - b * d == 0:
        raise SceneError(f"{label} has a geotransform {transform} that maps the plane to a line or a point")
    gsd = raster.geobox.gsd()
    if gsd is not None and not math.isfinite(gsd):
        x, y = raster.geobox.affine @ (raster.geobox.width / 2, raster.geobox.height / 2)
        raise SceneError(
            f"{label} has its middle at ({x:g}, {y:g}) degrees, which is no place on the globe; its geotransform "
            "or its CRS is wrong"
        )


def check_edges(label: str, ground: Ground) -> None:
    """Refuse pixels whose edges would be cut into more pieces than a globe has, or of which most lie off the globe.

    Raises SceneError.
    """
    geobox, crs = ground.geobox, ground.crs
    if crs is None or crs.is_geographic or not ground.semi_major:
        return
    across, down = (side * ground.unit for side in geobox.pixel_size)
    around = 2 * math.pi * ground.semi_major
    pieces = max(geobox.pixel_size) / ground.longest_edge
    if pieces > MOST_PIECES or max(across * geobox.width, down * geobox.height) > MOST_TURNS * around:
        raise SceneError(
            f"{label} has pixels of {across:g} x {down:g} m and is {geobox.width} x {geobox.height} of them; "
            "expected a part of a globe: its geotransform is wrong (in another order, or in another unit)"
        )


def _check_blocks(raster: Raster) -> None:
    rows, cols = raster.block_shape
    shared = raster.dataset.count if raster.dataset.profile.get("interleave") == "pixel" else 1
    size = rows * cols * raster.dtype.itemsize * shared
    if size > MAX_BLOCK_BYTES:
        raise SceneError(
            f"{raster.source.label} has blocks of {rows} x {cols} pixels, which decode to {human.size(size)} each; "
            "tile it first: gdal_translate -of COG IN OUT.tif"
        )


def _check_size(raster: Raster) -> None:
    declared, stored = declared_bytes(raster), stored_bytes(raster)
    if stored and declared > ABSURD_BYTES and declared > ABSURD_RATIO * stored:
        raise SceneError(
            f"{raster.source.label} declares {raster.dataset.width} x {raster.dataset.height} pixels "
            f"({human.size(declared)}) in a file of {human.size(stored)}; it is damaged or made to do harm"
        )


def _check_whole(raster: Raster) -> None:
    """Refuse cut files of the two drivers that read on behind the end without an error (GDAL 3.10)."""
    driver, path = raster.dataset.driver, raster.source.path
    cut = driver == "ENVI" and declared_bytes(raster) > stored_bytes(raster)
    if driver == "PNG" and not raster.source.remote:
        with Path(path).open("rb") as file:
            file.seek(max(0, stored_bytes(raster) - 4096))
            cut = b"IEND" not in file.read()  # https://www.w3.org/TR/png/#11IEND, the last chunk
    if cut:
        raise SceneError(f"{raster.source.label} ends before its last pixel; it was not copied whole")


def stored_bytes(raster: Raster) -> int:
    """Bytes of the files; 0 where they are remote."""
    return sum(Path(f).stat().st_size for f in raster.source.files)


def declared_bytes(raster: Raster) -> int:
    """Bytes of all pixels, uncompressed, as the header has it."""
    dataset = raster.dataset
    return int(dataset.width) * int(dataset.height) * int(dataset.count) * raster.dtype.itemsize


def warnings_of(raster: Raster) -> tuple[str, ...]:
    """What the user should know about the file before a run; each one line without the path."""
    found = [*_georeference_warnings(raster), *_nodata_warnings(raster)]
    dataset, (rows, cols) = raster.dataset, raster.block_shape
    if cols >= dataset.width > 4096 and dataset.driver in ("GTiff", "HFA"):
        found.append(f"not tiled (blocks of {rows} x {cols}): reading is slower than from a COG")
    if (
        dataset.driver == "GTiff"
        and stored_bytes(raster)
        and declared_bytes(raster) > max(2**30, 5000 * stored_bytes(raster))
    ):
        found.append("almost empty: the file stores next to nothing of the pixels that it declares")
    if "palette" in raster.colours:
        found.append("a palette: pixels are indices; for its colours choose --bands red,green,blue")
    return tuple(found)


def _georeference_warnings(raster: Raster) -> list[str]:
    if raster.geobox.crs is not None:
        return []
    if raster.dataset.rpcs:
        why = "rational polynomials (RPC) only, which are not used"
    elif raster.dataset.crs:
        has_place = raster.geobox.transform != IDENTITY
        why = "a CRS that PROJ cannot read" if has_place else "a CRS without a geotransform"
    else:
        why = "no CRS"
    return [f"{why}: results are in pixel coordinates, areas in pixels"]


def _nodata_warnings(raster: Raster) -> list[str]:
    declared = [raster.dataset.nodatavals[i - 1] for i in raster.indexes]
    lost = sorted({v for v, kept in zip(declared, raster.nodata, strict=True) if v is not None and kept is None})
    return [f"nodata {v:g} cannot occur in {raster.dtype} pixels: it marks nothing" for v in lost]
