"""Shapes on the globe: cut at the antimeridian, closed around the poles (RFC 7946, section 3.1.9).

Most shapes need nothing. Those whose longitudes jump or leave ±180° are unrolled (each longitude the nearest
to the one before), cut at ±180° and put back as parts. A ring that does not come back to the longitude where
it began runs around a pole, and is closed over it.
"""

from __future__ import annotations

import numpy as np
import shapely
from numpy.typing import NDArray

from geounet.io.ground import Ground
from geounet.io.shapes import FloatArray, Shapes, from_shapely
from geounet.vector.area import densify
from geounet.vector.polygons import starts

_WIDE = 90.0
"""Degrees; a longer step in longitude is looked at closely."""


def odd_shapes(shapes: Shapes, *, geographic: bool) -> NDArray[np.bool_]:
    """``(n,)`` which shapes, in degrees, may need more than being written down."""
    lon = shapes.xy[:, 0]
    out = ~((lon >= -180.0) & (lon <= 180.0))  # also what is not finite
    if not geographic and lon.size:
        ring_starts = starts(shapes.corner_counts)
        before = np.concatenate([lon[:1], lon[:-1]])
        before[ring_starts[:-1]] = lon[ring_starts[1:] - 1]
        with np.errstate(invalid="ignore"):
            out |= np.abs(lon - before) > _WIDE
    flags = np.zeros(len(shapes), bool)
    flags[shapes.shape_of_corner()[out]] = True
    return flags


def cut_shapes(xy: Shapes, ground: Ground, *, interior_left: bool) -> Shapes:
    """Shapes in CRS coordinates as parts between −180° and 180°; one that cannot be told has no part."""
    out = np.empty(len(xy), object)
    for i in range(len(xy)):
        out[i] = _cut(xy.take(np.array([i])), ground, interior_left)
    return from_shapely(out)


def _cut(shape: Shapes, ground: Ground, interior_left: bool) -> shapely.Geometry:
    ring_starts, polygon_starts = starts(shape.corner_counts), starts(shape.ring_counts)
    parts = []
    for p in range(polygon_starts.size - 1):
        rings = [
            _unrolled(shape.xy[ring_starts[r] : ring_starts[r + 1]], ground)
            for r in range(polygon_starts[p], polygon_starts[p + 1])
        ]
        if any(r is None for r in rings):
            continue
        known = [r for r in rings if r is not None]
        pole = _pole_of(known[0], interior_left)
        areas = [_between_180(_closed(r, pole)) for r in known]
        parts.append(areas[0] if len(areas) == 1 else shapely.difference(areas[0], shapely.union_all(areas[1:])))
    return shapely.union_all(parts) if len(parts) > 1 else parts[0] if parts else shapely.MultiPolygon()


def _unrolled(ring: FloatArray, ground: Ground) -> FloatArray | None:
    """A ring in degrees with its first corner repeated at the end, a whole turn away if it rounds a pole.

    Steps are followed through points in between, so that also an edge half around the globe goes its own way.
    """
    first = np.array([0, ring.shape[0]])
    geographic = ground.crs is None or ground.crs.is_geographic
    fine, _ = (ring, first) if geographic else densify(ring, first, ground._longest_edge)
    lonlat = ground.lonlat(fine)
    if not np.isfinite(lonlat).all():
        return None
    lonlat = np.concatenate([lonlat, lonlat[:1]])
    if geographic:
        return lonlat
    steps = np.diff(lonlat[:, 0])
    turns = np.concatenate([[0.0], np.cumsum(-360.0 * np.round(steps / 360.0))])
    lonlat[:, 0] += turns
    # keep the corners themselves: those of ``fine`` that are corners of ``ring``
    size = np.max(np.abs(np.roll(ring, -1, axis=0) - ring), axis=1)
    pieces = np.maximum(1, np.ceil(size / ground._longest_edge)).astype(np.int64)
    corners = np.concatenate([[0], np.cumsum(pieces)])
    return np.asarray(lonlat[corners])


def _turns(ring: FloatArray) -> int:
    """How often the ring runs eastwards around the globe."""
    return round(float(ring[-1, 0] - ring[0, 0]) / 360.0)


def _pole_of(shell: FloatArray, interior_left: bool) -> float:
    """Latitude of the pole inside of a shell that runs around one."""
    return 90.0 if (_turns(shell) > 0) == interior_left else -90.0


def _closed(ring: FloatArray, pole: float) -> shapely.Geometry:
    """The area of a ring; one that runs around the pole is closed over it."""
    if _turns(ring):
        end, begin = ring[-1, 0], ring[0, 0]
        ring = np.concatenate([ring, [[end, pole], [begin, pole]]])
    area = shapely.polygons(ring)
    return area if shapely.is_valid(area) else shapely.make_valid(area)


def _between_180(area: shapely.Geometry) -> shapely.Geometry:
    """The same area with longitudes from −180 to 180."""
    low, _, high, _ = shapely.bounds(area)
    parts = []
    for turn in range(int(np.floor((low + 180) / 360)), int(np.ceil((high + 180) / 360))):
        piece = shapely.intersection(area, shapely.box(-180 + 360 * turn, -90, 180 + 360 * turn, 90))
        if not piece.is_empty:
            parts.append(shapely.transform(piece, lambda c, t=turn: c - [360.0 * t, 0.0]))
    return shapely.union_all(parts) if len(parts) > 1 else parts[0] if parts else shapely.MultiPolygon()
