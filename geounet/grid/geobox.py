"""Shape, affine and coordinate reference system of a raster, as one value."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from affine import Affine

from geounet.grid.window import Window

if TYPE_CHECKING:
    from pyproj import CRS

IDENTITY = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)


@lru_cache(maxsize=64)
def parse_crs(wkt: str) -> CRS:
    """The pyproj CRS of a WKT or authority string."""
    from pyproj import CRS

    return CRS.from_user_input(wkt)


@dataclass(frozen=True, kw_only=True)
class GeoBox:
    """The grid of a raster: ``(height, width)``, pixel-to-CRS affine and CRS."""

    width: int
    """Columns, in pixels."""
    height: int
    """Rows, in pixels."""
    transform: tuple[float, float, float, float, float, float] = IDENTITY
    """Affine coefficients ``(a, b, c, d, e, f)``: ``x = a*col + b*row + c``, ``y = d*col + e*row + f``."""
    crs: str | None = None
    """WKT of the CRS; None where the raster has none (then coordinates are pixels)."""

    @property
    def shape(self) -> tuple[int, int]:
        """``(height, width)`` in pixels."""
        return self.height, self.width

    @property
    def window(self) -> Window:
        """The window of all pixels."""
        return Window(0, 0, self.height, self.width)

    @property
    def affine(self) -> Affine:
        """The pixel-to-CRS affine."""
        return Affine(*self.transform)

    @property
    def pixel_size(self) -> tuple[float, float]:
        """Length of a step along a row and along a column, in CRS units, both positive."""
        a, b, _, d, e, _ = self.transform
        return math.hypot(a, d), math.hypot(b, e)

    def gsd(self) -> float | None:
        """Ground sample distance in metres: geometric mean of both pixel sides at the centre.

        Measured on the CRS's ellipsoid between neighbouring pixel centres where the CRS is geographic,
        else through the CRS's linear unit. None without a CRS.
        """
        if self.crs is None:
            return None
        crs = parse_crs(self.crs)
        if not crs.is_geographic:
            unit = crs.axis_info[0].unit_conversion_factor if crs.axis_info else 1.0
            across, down = self.pixel_size
            return math.sqrt(across * down) * (unit or 1.0)
        geod = crs.get_geod()
        if geod is None:
            return None
        col, row = self.width / 2, self.height / 2
        x0, y0 = self.affine @ (col, row)
        steps = [self.affine @ (col + 1, row), self.affine @ (col, row + 1)]
        across, down = (geod.inv(x0, y0, x, y)[2] for x, y in steps)
        return math.sqrt(across * down)

    def crop(self, window: Window) -> GeoBox:
        """The grid of the pixels in ``window``."""
        moved = self.affine @ Affine.translation(window.col_off, window.row_off)
        return GeoBox(width=window.width, height=window.height, transform=tuple(moved)[:6], crs=self.crs)

    def zoom(self, gsd_ratio: float) -> GeoBox:
        """The grid over the same ground whose pixels are ``gsd_ratio`` times as large.

        The shape is rounded up, so that the new grid covers the old one.
        """
        scaled = self.affine @ Affine.scale(gsd_ratio)
        return GeoBox(
            width=max(1, math.ceil(self.width / gsd_ratio - 1e-9)),
            height=max(1, math.ceil(self.height / gsd_ratio - 1e-9)),
            transform=tuple(scaled)[:6],
            crs=self.crs,
        )
