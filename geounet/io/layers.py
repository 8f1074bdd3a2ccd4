"""Files that lie on another grid than the scene, seen on the scene's grid."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from affine import Affine
from numpy.typing import NDArray
from rasterio.crs import CRS
from rasterio.enums import Resampling
from rasterio.vrt import WarpedVRT
from rasterio.windows import Window as RasterioWindow

from geounet.errors import SceneError
from geounet.grid.geobox import GeoBox
from geounet.grid.window import Window
from geounet.io.gdal import GDAL_ERRORS, gdal_env, reason
from geounet.io.raster import Layer, Piece, Raster
from geounet.io.resample import AxisMap, resample

_SNAP = 1e-4
"""In pixels over the whole grid: rounding of geotransforms, not an offset."""
_CHUNK = 512
_TOLERANCE = 1e-6
"""In pixels. rasterio 1.4 cannot make a WarpedVRT that is exact (tolerance 0)."""


def on_grid(raster: Raster, grid: GeoBox) -> Layer:
    """``raster`` as a layer of ``grid``: itself, resampled along its axes, or warped."""
    axes = aligned_axes(raster.geobox, grid)
    if axes is None:
        if raster.geobox.crs is None or grid.crs is None:
            raise SceneError(
                f"{raster.source.label} has no georeference, or the scene has none: they cannot be laid on one grid"
            )
        layer: Layer = WarpedLayer(raster, grid, Resampling.bilinear)
    elif same_grid(raster.geobox, grid, axes):
        return raster
    else:
        layer = AlignedLayer(raster, *axes)
    if not overlaps(raster.geobox, grid, axes):
        raise SceneError(f"{raster.source.label} does not overlap the scene; give files of one place")
    return layer


def same_crs(one: str | None, other: str | None) -> bool:
    """Whether two WKTs mean the same CRS."""
    if one is None or other is None or one == other:
        return one == other
    return bool(CRS.from_wkt(one) == CRS.from_wkt(other))


def aligned_axes(source: GeoBox, grid: GeoBox) -> tuple[AxisMap, AxisMap] | None:
    """How rows and columns of ``grid`` fall on those of ``source``; None where CRS or orientation differ."""
    if not same_crs(source.crs, grid.crs):
        return None
    a, b, c, d, e, f = tuple(~source.affine @ grid.affine)[:6]
    if abs(b) * grid.height > _SNAP or abs(d) * grid.width > _SNAP:
        return None
    rows = AxisMap(scale=_snap(e, grid.height), offset=_snap(f, 1), source=source.height)
    cols = AxisMap(scale=_snap(a, grid.width), offset=_snap(c, 1), source=source.width)
    return rows, cols


def _snap(value: float, pixels: int) -> float:
    """``value`` as the whole number that it is but for rounding."""
    nearest = round(value)
    return float(nearest) if abs(value - nearest) * pixels < _SNAP else value


def same_grid(source: GeoBox, grid: GeoBox, axes: tuple[AxisMap, AxisMap]) -> bool:
    """Whether the pixels are the very same."""
    return source.shape == grid.shape and all(x.scale == 1 and x.offset == 0 for x in axes)


def lies_on(source: GeoBox, grid: GeoBox) -> bool:
    """Whether a raster that is laid over ``grid``, pixel on pixel, belongs there; without any CRS, by its shape."""
    if source.crs is None and grid.crs is None:
        return source.shape == grid.shape
    axes = aligned_axes(source, grid)
    return axes is not None and same_grid(source, grid, axes)


def overlaps(source: GeoBox, grid: GeoBox, axes: tuple[AxisMap, AxisMap] | None) -> bool:
    """Whether some pixel of ``grid`` lies on ``source``; sampled on a lattice where they are warped."""
    if axes is not None:
        return all(
            min(x.offset, x.offset + n * x.scale) < x.source and max(x.offset, x.offset + n * x.scale) > 0
            for x, n in zip(axes, grid.shape, strict=True)
        )
    return _boxes_meet(source, grid)


def _boxes_meet(source: GeoBox, grid: GeoBox) -> bool:
    from rasterio.warp import transform_bounds

    def bounds(box: GeoBox) -> tuple[float, float, float, float]:
        corners = [box.affine @ (x, y) for x in (0, box.width) for y in (0, box.height)]
        xs, ys = zip(*corners, strict=True)
        return min(xs), min(ys), max(xs), max(ys)

    try:
        left, bottom, right, top = transform_bounds(
            CRS.from_wkt(source.crs), CRS.from_wkt(grid.crs), *bounds(source), densify_pts=21
        )
    except GDAL_ERRORS:
        return False
    x0, y0, x1, y1 = bounds(grid)
    return bool(left < x1 and right > x0 and bottom < y1 and top > y0)


@dataclass(frozen=True)
class AlignedLayer:
    """A raster of another resolution or extent, with the scene's CRS and orientation."""

    raster: Raster
    rows: AxisMap
    cols: AxisMap

    @property
    def dtype(self) -> np.dtype[Any]:
        """That of the raster."""
        return self.raster.dtype

    def read(self, window: Window) -> Piece:
        """Average or bilinear of what lies under ``window``; what it does not cover is bad."""
        return resample(
            self.raster.read,
            rows=self.rows,
            cols=self.cols,
            window=window,
            count=len(self.raster.indexes),
            dtype=self.raster.dtype,
        )

    def close(self) -> None:
        """Close the file."""
        self.raster.close()


class WarpedLayer:
    """A raster of another CRS or orientation, through GDAL's warper.

    Reads whole chunks of a fixed partition only, so that what GDAL derives from a chunk is always the same.
    """

    def __init__(self, raster: Raster, grid: GeoBox, resampling: Resampling) -> None:
        self.raster, self._grid = raster, grid
        nodata = raster.nodata[0]
        flags = {} if nodata is not None else {"add_alpha": not raster.has_alpha}
        try:
            with gdal_env(remote=raster.source.remote):
                self._vrt = WarpedVRT(
                    raster.dataset,
                    crs=CRS.from_wkt(grid.crs),
                    transform=Affine(*grid.transform),
                    width=grid.width,
                    height=grid.height,
                    resampling=resampling,
                    tolerance=_TOLERANCE,
                    src_nodata=nodata,
                    nodata=nodata,
                    **flags,
                )
        except GDAL_ERRORS as error:
            raise SceneError(f"{raster.source.label} cannot be warped onto the scene: {reason(error)}") from None

    @property
    def dtype(self) -> np.dtype[Any]:
        """That of the raster."""
        return self.raster.dtype

    def read(self, window: Window) -> Piece:
        """The warped pixels of ``window``; what has no data there is bad, nothing is blank."""
        data = np.empty((len(self.raster.indexes), *window.shape), self.dtype)
        bad = np.empty(window.shape, bool)
        for chunk in _chunks(window, self._grid.window):
            common = chunk.intersection(window)
            pixels, missing = self._chunk(chunk)
            inside, outside = common.relative_to(chunk).slices(), common.relative_to(window).slices()
            data[(slice(None), *outside)] = pixels[(slice(None), *inside)]
            bad[outside] = missing[inside]
        return Piece(data=data, bad=bad, blank=np.zeros(window.shape, bool))

    def _chunk(self, chunk: Window) -> tuple[NDArray[Any], NDArray[np.bool_]]:
        box = RasterioWindow(chunk.col_off, chunk.row_off, chunk.width, chunk.height)
        try:
            with gdal_env(remote=self.raster.source.remote):
                data = self._vrt.read(self.raster.indexes, window=box)
                masks = self._vrt.read_masks(self.raster.indexes, window=box)
        except GDAL_ERRORS as error:
            raise SceneError(self.raster.damage(chunk, error)) from None
        unreal = ~np.isfinite(data).all(axis=0) if data.dtype.kind == "f" else False
        return data, ~(masks != 0).any(axis=0) | unreal

    def close(self) -> None:
        """Close the file."""
        self._vrt.close()
        self.raster.close()


def _chunks(window: Window, whole: Window) -> list[Window]:
    """The chunks of the partition of ``whole`` that touch ``window``."""
    return [
        Window(row, col, _CHUNK, _CHUNK).intersection(whole)
        for row in range(window.row_off // _CHUNK * _CHUNK, window.bottom, _CHUNK)
        for col in range(window.col_off // _CHUNK * _CHUNK, window.right, _CHUNK)
    ]
