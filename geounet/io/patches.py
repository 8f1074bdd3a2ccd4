"""Polynomials that stand for a scene's projection, each proven before it is used.

A raster in a projected CRS on WGS 84 is covered by square patches of some kilometres; over each, longitude,
latitude and the authalic q are bicubics through 4 × 4 Chebyshev nodes. A patch that is anywhere, at points
between its nodes, farther than `TOLERANCE` from the projection is not used: there the projection itself is asked.
Patches belong to the raster, not to the strips or chunks in which it is worked on.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from geounet.vector.area import authalic
from geounet.vector.patchwork import Patchwork, measure
from geounet.vector.polygons import starts

if TYPE_CHECKING:
    from geounet.io.ground import Ground
    from geounet.io.shapes import Shapes

FloatArray = NDArray[np.float64]

TOLERANCE = 1e-10
"""Degrees; ten micrometres, a thousandth of what GeoJSON's seven decimals hold."""
_METRES = 8192.0
_MOST = 2**17
_NODES = np.cos((2 * np.arange(4) + 1) * np.pi / 8)
_TESTS = np.array([-1.0, -0.75, -0.15, 0.3, 0.6, 1.0])
_TO_POWERS = np.linalg.inv(np.vander(_NODES, 4, increasing=True))


@dataclass(frozen=True)
class Patches:
    """The patches of a ground; `of` says where there are some."""

    ground: Ground
    side: int
    """Pixels."""

    @classmethod
    def of(cls, ground: Ground) -> Patches | None:
        """Patches for the raster of a ground; None where the projection itself has to be asked everywhere."""
        if not ground.is_projected_wgs84:
            return None
        metres = max(ground.geobox.pixel_size) * ground.unit
        side = 2 ** max(0, math.floor(math.log2(_METRES / metres))) if metres > 0 else 0
        box = ground.geobox
        if side < 16 or -(-box.height // side) * -(-box.width // side) > _MOST:
            return None
        return cls(ground, side)

    @cached_property
    def coefficients(self) -> FloatArray:
        """``(rows, cols, 3, 4, 4)``; NaN where a patch is not good."""
        box = self.ground.geobox
        shape = (-(-box.height // self.side), -(-box.width // self.side))
        v, u = np.meshgrid(_NODES, _NODES)
        at_nodes = self._exact(shape, u.ravel(), v.ravel()).reshape(*shape, 3, 4, 4)
        with np.errstate(invalid="ignore"):
            out = np.einsum("ai,bj,rcfij->rcfab", _TO_POWERS, _TO_POWERS, at_nodes)
            v, u = np.meshgrid(_TESTS, _TESTS)
            powers = [np.vander(t.ravel(), 4, increasing=True) for t in (u, v)]
            found = np.einsum("na,nb,rcfab->rcfn", *powers, out)
            away = np.abs(found - self._exact(shape, u.ravel(), v.ravel()))
        # q is in radians, roughly
        away[:, :, 2] *= 180 / np.pi
        good = (away <= TOLERANCE).all(axis=(2, 3))
        out[~good] = np.nan
        return np.ascontiguousarray(out)

    def _exact(self, shape: tuple[int, int], u: FloatArray, v: FloatArray) -> FloatArray:
        """``(rows, cols, 3, n)`` longitudes, latitudes and q at ``n`` places −1..1 of every patch."""
        row, col = np.meshgrid(np.arange(shape[0]), np.arange(shape[1]), indexing="ij")
        x = (col[..., None] + (u + 1) / 2) * self.side
        y = (row[..., None] + (v + 1) / 2) * self.side
        ground = self.ground
        lonlat = ground.exact_lonlat(ground.coordinates(np.stack([x.ravel(), y.ravel()], axis=1)))
        q = authalic(np.radians(lonlat[:, 1]), flattening=ground.flattening)
        return np.moveaxis(np.column_stack([lonlat, q]).reshape(*x.shape, 3), 3, 2)

    def measure(self, shapes: Shapes) -> tuple[FloatArray, FloatArray, FloatArray, NDArray[np.bool_]]:
        """Degrees ``(corners, 2)``, m² ``(n,)`` and metres of outline ``(n,)`` of shapes in pixel coordinates.

        And ``(n,)`` whether they are known.
        """
        ground = self.ground
        lonlat = np.empty(shapes.xy.shape)
        rows, cols = self.coefficients.shape[:2]
        areas, lengths, known = measure(
            shapes.xy,
            starts(shapes.corner_counts),
            starts(shapes.ring_counts),
            starts(shapes.part_counts),
            Patchwork(numbers=self.coefficients.reshape(-1), rows=rows, cols=cols, scale=1.0 / self.side),
            ground.longest_edge / max(ground.geobox.pixel_size),
            ground.flattening * (2.0 - ground.flattening),
            lonlat,
        )
        return lonlat, areas * (math.radians(1.0) * ground.semi_major**2 / 2), lengths * ground.semi_major, known
