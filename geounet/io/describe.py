"""What geounet sees in a scene, before a run: for ``geounet info``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rasterio.enums import Resampling

from geounet.grid.geobox import parse_crs
from geounet.io import nodata as rule
from geounet.io.checks import stored_bytes
from geounet.io.gdal import GDAL_ERRORS, gdal_env
from geounet.io.raster import Raster
from geounet.io.scene import Scene

_LOOK = 256
"""Longest side of the decimated look at the pixels."""
_LOOK_BYTES = 2**30
"""Scenes that decode to more are looked at only where they have overviews."""


@dataclass(frozen=True, kw_only=True)
class SceneInfo:
    """What there is to know about a scene."""

    name: str
    path: str
    driver: str
    width: int
    height: int
    bands: tuple[str, ...]
    """The chosen bands."""
    all_bands: tuple[str, ...]
    dtype: str
    nodata: float | None
    masks: tuple[str, ...]
    """What besides a nodata value says where there is data: ``alpha``, ``mask``, ``mask file``."""
    crs: str | None
    """``EPSG:32633``, or the CRS's name; None where there is none."""
    resolution: tuple[float, float]
    """Pixel width and height in CRS units (pixels where there is no CRS)."""
    gsd: float | None
    """Ground sample distance in metres."""
    block_shape: tuple[int, int]
    """``(height, width)``."""
    overviews: tuple[int, ...]
    """Decimation factors of the first band."""
    stored_bytes: int
    """Of all its files; 0 where they are remote."""
    warnings: tuple[str, ...]


def describe(scene: Scene) -> SceneInfo:
    """Look at ``scene``; reads a small decimated picture of it where that is cheap."""
    first = scene.rasters[0]
    with gdal_env(remote=first.source.remote):
        overviews = tuple(first.dataset.overviews(first.indexes[0]))
    return SceneInfo(
        name=scene.name,
        path=first.source.label,
        driver=first.dataset.driver,
        width=scene.geobox.width,
        height=scene.geobox.height,
        bands=scene.band_names,
        all_bands=scene.all_band_names,
        dtype=scene.dtype,
        nodata=scene.nodata,
        masks=_masks(scene),
        crs=crs_name(scene.geobox.crs),
        resolution=scene.geobox.pixel_size,
        gsd=scene.gsd,
        block_shape=scene.block_shape,
        overviews=overviews,
        stored_bytes=sum(stored_bytes(r) for r in scene.rasters),
        warnings=(*scene.warnings, *_dtype_warning(scene), *_collar_warning(first, overviews)),
    )


def crs_name(wkt: str | None) -> str | None:
    """A CRS in a few letters."""
    if wkt is None:
        return None
    crs = parse_crs(wkt)
    authority = crs.to_authority()
    return ":".join(authority) if authority else str(crs.name)


def _masks(scene: Scene) -> tuple[str, ...]:
    first = scene.rasters[0]
    found = {"alpha": first.has_alpha, "mask": first.has_mask, "mask file": scene.spec.mask is not None}
    return tuple(name for name, there in found.items() if there)


def _dtype_warning(scene: Scene) -> tuple[str, ...]:
    if scene.dtype == "uint8":
        return ()
    return (f"{scene.dtype} pixels: most models expect uint8, so the model's scaling must be made for these",)


def _collar_warning(raster: Raster, overviews: tuple[int, ...]) -> tuple[str, ...]:
    """One value all around a slanted footprint, without a word in the file that it means nothing."""
    silent = not any(v is not None for v in raster.nodata) and not raster.has_alpha and not raster.has_mask
    look = _look(raster, overviews) if silent else None
    value = None if look is None else collar_value(look)
    if value is None:
        return ()
    return (f"constant {value:g} outside a slanted footprint but no nodata tag: consider --nodata {value:g}",)


def _look(raster: Raster, overviews: tuple[int, ...]) -> NDArray[Any] | None:
    """``(bands, h, w)``, every n-th pixel; None where that would decode too much."""
    dataset = raster.dataset
    shrink = max(1, -(-max(dataset.shape) // _LOOK))
    size = int(np.prod(dataset.shape)) * len(raster.indexes) * raster.dtype.itemsize
    if size > _LOOK_BYTES and not any(o >= shrink / 4 for o in overviews):
        return None
    shape = (len(raster.indexes), max(1, dataset.height // shrink), max(1, dataset.width // shrink))
    try:
        with gdal_env(remote=raster.source.remote):
            look: NDArray[Any] = dataset.read(raster.indexes, out_shape=shape, resampling=Resampling.nearest)
            return look
    except GDAL_ERRORS:
        return None  # a damaged file is told by `Scene.read`, with its place


def collar_value(look: NDArray[Any]) -> float | None:
    """The value, 0 or the highest of the dtype, that fills at least two corners and 1 % of ``look``.

    ``look`` is ``(bands, h, w)``. None where there is none, or where it is the whole picture.
    """
    highest = np.iinfo(look.dtype).max if look.dtype.kind in "iu" else None
    for value in (0, highest):
        if value is None:
            continue
        here = np.logical_and.reduce([rule.equals(band, value) for band in look])
        corners = sum(bool(here[r, c]) for r in (0, -1) for c in (0, -1))
        if corners >= 2 and 0.01 <= here.mean() < 1:
            return float(value)
    return None
