"""Where the pixels of a grid lie on the ground: areas on the ellipsoid, and longitudes and latitudes."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from geounet.grid.geobox import GeoBox, parse_crs
from geounet.vector.area import densify, ellipsoidal_areas
from geounet.vector.length import ellipsoidal_lengths
from geounet.vector.planar import planar_areas, planar_lengths
from geounet.vector.polygons import starts

if TYPE_CHECKING:
    from pyproj import CRS, Transformer

    from geounet.io.patches import Patches
    from geounet.io.shapes import Shapes

FloatArray = NDArray[np.float64]

_KNOTS = 33
_TRUE = 0.01
_FLAT = 1000.0
"""Metres; see `Ground.longest_edge`."""
_LONGEST_EDGE = 64.0
"""Pixels; longer edges are cut for areas, as a line that is straight on the map is not on the ground."""


@dataclass(frozen=True)
class Ground:
    """The way from the coordinates of a geobox's CRS to the ellipsoid."""

    geobox: GeoBox

    @cached_property
    def crs(self) -> CRS | None:
        """The scene's CRS."""
        return None if self.geobox.crs is None else parse_crs(self.geobox.crs)

    @cached_property
    def geodetic(self) -> CRS | None:
        """Longitude and latitude on the CRS's own datum; None for pixels and local engineering grids."""
        return None if self.crs is None else self.crs.geodetic_crs

    @cached_property
    def is_earth(self) -> bool:
        """Whether the CRS's body is the Earth (by the size of its ellipsoid)."""
        ellipsoid = None if self.geodetic is None else self.geodetic.ellipsoid
        return ellipsoid is not None and 6.3e6 < ellipsoid.semi_major_metre < 6.45e6

    @cached_property
    def _is_wgs84(self) -> bool:
        from pyproj import CRS

        return self.geodetic is not None and bool(CRS(4326).equals(self.geodetic, ignore_axis_order=True))

    @cached_property
    def is_projected_wgs84(self) -> bool:
        """Whether the CRS is a map of WGS 84, so that one smooth formula leads to longitudes and latitudes."""
        return self._is_wgs84 and self.is_earth and self.crs is not None and not self.crs.is_geographic

    @cached_property
    def _patches(self) -> Patches | None:
        from geounet.io.patches import Patches

        return Patches.of(self)

    @cached_property
    def _to_own(self) -> Transformer:
        from pyproj import Transformer

        return Transformer.from_crs(self.crs, self.geodetic, always_xy=True)

    @cached_property
    def _to_wgs84(self) -> Transformer:
        from pyproj import Transformer

        return Transformer.from_crs(self.crs, "EPSG:4326", always_xy=True)

    def coordinates(self, corners: NDArray[np.floating | np.integer]) -> FloatArray:
        """``(n, 2)`` CRS coordinates of ``(n, 2)`` pixel corners (column, row); without a CRS the pixels."""
        if self.crs is None:
            return corners.astype(np.float64)
        a, b, c, d, e, f = self.geobox.transform
        out = np.empty(corners.shape)
        for axis, (x, y, first) in enumerate(((a, b, c), (d, e, f))):  # no more arrays: there may be millions
            np.multiply(corners[:, 0], x, out=out[:, axis], dtype=np.float64)
            out[:, axis] += y * corners[:, 1]
            out[:, axis] += first
        return out

    def survey(self, pixels: Shapes) -> tuple[FloatArray, FloatArray, FloatArray]:
        """What `lonlat` and `measures` say of shapes in pixel coordinates.

        By `Patches` where those are good, which is within 1e-9 degrees of the projection and ten times as fast.
        """
        if self._patches is None:
            shapes = pixels.at(self.coordinates(pixels.xy))
            lonlat = self.lonlat(shapes.xy)
            return lonlat, *self.measures(shapes, lonlat)
        lonlat, areas, lengths, known = self._patches.measure(pixels)
        if not known.all():
            odd = ~known
            corners = odd[pixels.shape_of_corner()]
            shapes = pixels.take(odd)
            shapes = shapes.at(self.coordinates(shapes.xy))
            lonlat[corners] = self.lonlat(shapes.xy)
            areas[odd], lengths[odd] = self.measures(shapes, lonlat[corners])
        return lonlat, areas, lengths

    def get_ready(self) -> None:
        """Load and make what `survey` needs, which takes a tenth of a second, before it is called."""
        from geounet.io.shapes import Shapes

        one = np.ones(1, np.int64)
        corners = np.array([[0, 0], [1, 0], [1, 1], [0, 1]], np.int32)
        self.survey(Shapes(xy=corners, corner_counts=4 * one, ring_counts=one, part_counts=one))

    def exact_lonlat(self, xy: FloatArray) -> FloatArray:
        """`lonlat` of a CRS that is not geographic."""
        return np.stack(self._to_wgs84.transform(xy[:, 0], xy[:, 1]), axis=1)

    def lonlat(self, xy: FloatArray) -> FloatArray:
        """``(n, 2)`` degrees on WGS 84, or on the body's own datum away from the Earth; inf where there is none.

        Longitudes of a geographic CRS keep their turn (190 stays 190). Without a CRS: the pixels themselves.
        """
        if self.geodetic is None or self.crs is None:
            return xy
        to_target = self._to_wgs84 if self.is_earth else self._to_own
        lon, lat = to_target.transform(xy[:, 0], xy[:, 1])
        if self.crs.is_geographic:
            unit = math.degrees(self.crs.axis_info[0].unit_conversion_factor)
            lon = lon + 360.0 * np.round((xy[:, 0] * unit - lon) / 360.0)
        return np.stack([lon, lat], axis=1)

    def from_lonlat(self, lonlat: FloatArray) -> FloatArray:
        """``(n, 2)`` CRS coordinates of what `lonlat` gives; inf where the map ends."""
        to_target = self._to_wgs84 if self.is_earth else self._to_own
        x, y = to_target.transform(lonlat[:, 0], lonlat[:, 1], direction="INVERSE")
        return np.stack([x, y], axis=1)

    def areas(self, shapes: Shapes, lonlat: FloatArray | None = None) -> FloatArray:
        """``(n,)`` areas of shapes, see `measures`."""
        return self.measures(shapes, lonlat)[0]

    def measures(self, shapes: Shapes, lonlat: FloatArray | None = None) -> tuple[FloatArray, FloatArray]:
        """``(n,)`` areas (m²) and ``(n,)`` lengths of the outlines (m) of shapes in CRS coordinates.

        Of what the shapes cover, and of their edges as the map draws them, on the CRS's ellipsoid; in pixels
        without a CRS. ``lonlat``: what `lonlat` gave for the same corners, to save work. NaN where it cannot be
        told.
        """
        areas, lengths = self._of_polygons(shapes, lonlat)
        owner = np.repeat(np.arange(len(shapes)), shapes.part_counts)
        sums = (np.bincount(owner, weights=each, minlength=len(shapes)) for each in (areas, lengths))
        area, length = (np.asarray(total, np.float64) for total in sums)
        return area, length

    def _of_polygons(self, shapes: Shapes, lonlat: FloatArray | None) -> tuple[FloatArray, FloatArray]:
        ring_starts, polygon_starts = starts(shapes.corner_counts), starts(shapes.ring_counts)
        if self.geodetic is None or self.crs is None or self.geodetic.ellipsoid is None:
            areas = planar_areas(shapes.xy, ring_starts, polygon_starts) * self.unit**2
            return areas, planar_lengths(shapes.xy, ring_starts, polygon_starts) * self.unit
        geographic = bool(self.crs.is_geographic)
        xy = shapes.xy
        if geographic:
            lon, lat = xy[:, 0], xy[:, 1]
        else:
            xy, ring_starts, source = densify(xy, ring_starts, self.longest_edge)
            lon, lat = self._own_lonlat(xy, source, lonlat)
        unit = self.geodetic.axis_info[0].unit_conversion_factor
        lon, lat = np.ascontiguousarray(lon * unit), np.ascontiguousarray(lat * unit)
        areas = ellipsoidal_areas(
            lon,
            lat,
            ring_starts=ring_starts,
            polygon_starts=polygon_starts,
            semi_major=self.semi_major,
            flattening=self.flattening,
            wrap=not geographic,
        )
        lengths = ellipsoidal_lengths(
            lon, lat, ring_starts, polygon_starts, self.semi_major, self.flattening, not geographic
        )
        return areas, lengths

    def pixel_areas(self, rows: NDArray[np.int64]) -> FloatArray:
        """``(n, k)`` area of a pixel of each row at ``k`` ≥ 2 columns from 0 to the width: m², or 1 without a CRS.

        On a map that is true to a hundredth everywhere, a pixel is what the grid says: 10 m make 100 m².
        """
        if self._is_true or self.geodetic is None:
            return np.full((rows.size, 2), self.planar_pixel_area)
        if self.crs is not None and self.crs.is_geographic and self.geobox.transform[3] == 0:
            return np.repeat(
                self._areas_around((rows + 0.5).astype(float), np.array([self.geobox.width / 2])), 2, axis=1
            )
        lattice, areas = self._lattice
        low = np.clip(np.searchsorted(lattice, rows + 0.5, side="right") - 1, 0, lattice.size - 2)
        t = ((rows + 0.5 - lattice[low]) / (lattice[low + 1] - lattice[low]))[:, None]
        return np.asarray((1 - t) * areas[low] + t * areas[low + 1])

    @property
    def planar_pixel_area(self) -> float:
        """Area of a pixel on the map, in m² (in square pixels without a CRS)."""
        a, b, _, d, e, _ = self.geobox.transform
        return 1.0 if self.crs is None else abs(a * e - b * d) * self.unit**2

    @cached_property
    def _is_true(self) -> bool:
        """Whether areas on the map are those on the ground to a hundredth, all over the raster."""
        if self.geodetic is None or self.crs is None or self.crs.is_geographic:
            return False
        areas = self._lattice[1]
        return bool(np.isfinite(areas).all() and np.abs(areas / self.planar_pixel_area - 1).max() < _TRUE)

    @cached_property
    def _lattice(self) -> tuple[FloatArray, FloatArray]:
        """Rows, and the areas of pixels around them: pixels change slowly, so a few hundred rows tell."""
        rows = np.linspace(0, self.geobox.height, 257)
        return rows, self._areas_around(rows, np.linspace(0, self.geobox.width, _KNOTS))

    def _areas_around(self, rows: FloatArray, columns: FloatArray) -> FloatArray:
        """``(rows, columns)`` areas of a pixel centred on each grid point."""
        from geounet.io.shapes import Shapes

        row, col = np.meshgrid(rows, columns, indexing="ij")
        box = np.array([[-0.5, -0.5], [0.5, -0.5], [0.5, 0.5], [-0.5, 0.5]])
        corners = (np.stack([col.ravel(), row.ravel()], axis=1)[:, None] + box).reshape(-1, 2)
        one = np.ones(row.size, np.int64)
        areas = self.areas(
            Shapes(xy=self.coordinates(corners), corner_counts=4 * one, ring_counts=one, part_counts=one)
        )
        return np.asarray(areas.reshape(row.shape))

    def pixel_sides(self, rows: NDArray[np.int64]) -> FloatArray:
        """``(n, 2)`` lengths of a pixel's sides along rows and along columns; only their ratio means something."""
        across, down = self.geobox.pixel_size
        out = np.tile([across, down], (rows.size, 1))
        if self.crs is not None and self.crs.is_geographic:
            _, _, _, _, e, f = self.geobox.transform
            unit = self.crs.axis_info[0].unit_conversion_factor
            out[:, 0] *= np.abs(np.cos((f + e * (rows + 0.5)) * unit))
        return out

    @cached_property
    def metres_per_pixel(self) -> tuple[float, float]:
        """A pixel's sides along rows and along columns in the middle of the raster (1 without a CRS)."""
        if self.geodetic is None:
            across, down = self.geobox.pixel_size
            return across * self.unit, down * self.unit
        row, col = np.array([self.geobox.height / 2]), np.array([self.geobox.width / 2])
        across, down = self.pixel_sides(row.astype(np.int64))[0].tolist()
        area = float(self._areas_around(row, col)[0, 0])
        area = area if np.isfinite(area) and area > 0 else self.planar_pixel_area
        scale = math.sqrt(area / (across * down))
        return across * scale, down * scale

    def _own_lonlat(
        self, xy: FloatArray, source: NDArray[np.int64], lonlat: FloatArray | None
    ) -> tuple[FloatArray, FloatArray]:
        """Degrees on the CRS's own datum; those on WGS 84 serve if that is it, where ``source`` is not −1."""
        if lonlat is None or not self._is_wgs84:
            lon, lat = self._to_own.transform(xy[:, 0], xy[:, 1])
            return lon, lat
        out = lonlat[source]
        new = source < 0
        out[new] = np.stack(self._to_own.transform(xy[new, 0], xy[new, 1]), axis=1)
        return out[:, 0], out[:, 1]

    @property
    def unit(self) -> float:
        """Metres in a unit of the CRS; 1 where there is none."""
        return float(self.crs.axis_info[0].unit_conversion_factor) if self.crs and self.crs.axis_info else 1.0

    @cached_property
    def semi_major(self) -> float:
        """Of the ellipsoid, in metres; 0 where there is none."""
        ellipsoid = None if self.geodetic is None else self.geodetic.ellipsoid
        return float(ellipsoid.semi_major_metre) if ellipsoid is not None else 0.0

    @cached_property
    def flattening(self) -> float:
        """Of the ellipsoid."""
        ellipsoid = None if self.geodetic is None else self.geodetic.ellipsoid
        inverse = float(ellipsoid.inverse_flattening) if ellipsoid is not None else 0.0
        return 1.0 / inverse if inverse else 0.0

    @cached_property
    def longest_edge(self) -> float:
        """CRS units over which the map may be taken as flat.

        Also short against the raster, which may show the whole globe in ten pixels.
        """
        pixels = min(_LONGEST_EDGE, max(self.geobox.width, self.geobox.height) / 16)
        return min(pixels * min(self.geobox.pixel_size), _FLAT / self.unit)
