"""Shapes on the globe: cut at the antimeridian, closed around the poles (RFC 7946, section 3.1.9).

Most shapes need nothing. Those whose longitudes jump or leave ±180° are unrolled (each longitude the nearest
to the one before), cut at ±180° and put back as parts. Where an edge crosses ±180°, the crossing is that of
the edge on the map, not of the chord between its ends' degrees. A ring that does not come back to the
longitude where it began runs around a pole and is closed over it; one that runs through a pole turns there
by the angle of its inside.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import NDArray

from geounet.io.ground import Ground
from geounet.io.shapes import FloatArray, Shapes, bounds, from_shapely
from geounet.vector.polygons import starts

_WIDE = 90.0
"""Degrees; a longer step in longitude is looked at closely."""
_BISECTIONS = 48
_NEAR = 1e-9
"""Degrees; rounding of what lies on the antimeridian."""


def odd_shapes(shapes: Shapes, *, geographic: bool) -> NDArray[np.bool_]:
    """``(n,)`` which shapes, in degrees, may need more than being written down."""
    lon = shapes.xy[:, 0]
    if _calm(shapes.xy):
        return np.zeros(len(shapes), bool)
    out = ~((lon >= -180.0) & (lon <= 180.0))  # also what is not finite
    if not geographic and lon.size:
        ring_starts = starts(shapes.corner_counts)
        before = np.concatenate([lon[:1], lon[:-1]])
        before[ring_starts[:-1]] = lon[ring_starts[1:] - 1]
        with np.errstate(invalid="ignore"):
            out |= np.abs(lon - before) > _WIDE
            out |= np.abs(shapes.xy[:, 1]) > 90.0 - 1e-9
    flags = np.zeros(len(shapes), bool)
    flags[shapes.shape_of_corner()[out]] = True
    return flags


def _calm(lonlat: FloatArray) -> bool:
    """Whether all of it lies so close together, and so far from ±180° and the poles, that no shape can be odd."""
    if not lonlat.size:
        return True
    west, south, east, north = bounds(lonlat).tolist()
    return bool(-180.0 <= west <= east <= 180.0 and east - west <= _WIDE and -89.0 < south <= north < 89.0)


def cut_shapes(xy: Shapes, ground: Ground) -> Shapes:
    """Shapes in CRS coordinates as parts between −180° and 180°; one that cannot be told has no part."""
    globe = Globe.of(ground)
    out = np.empty(len(xy), object)
    for i in range(len(xy)):
        out[i] = _cut(xy.take(np.array([i])), globe)
    return from_shapely(out)


@dataclass(frozen=True, kw_only=True)
class Globe:
    """What the cutting needs to know of a scene's CRS."""

    ground: Ground
    geographic: bool
    poles: tuple[tuple[float, float, float], ...]
    """``(x, y, latitude)`` of the poles that are points on the map."""
    interior_left: bool
    """Whether rings have their inside on the left in CRS coordinates; pixel rings have it on the screen's right."""

    @classmethod
    def of(cls, ground: Ground) -> Globe:
        """The globe of a ground."""
        a, b, _, d, e, _ = ground.geobox.transform
        geographic = ground.crs is not None and bool(ground.crs.is_geographic)
        poles = () if geographic else tuple(p for lat in (90.0, -90.0) for p in _pole(ground, lat))
        return cls(ground=ground, geographic=geographic, poles=poles, interior_left=a * e - b * d > 0)

    @property
    def longest(self) -> float:
        """Edges are followed in steps of this many CRS units."""
        return self.ground.longest_edge


def _pole(ground: Ground, lat: float) -> list[tuple[float, float, float]]:
    """The pole as a point on the map, if it is one: all meridians end in the same place."""
    xy = ground.from_lonlat(np.array([[0.0, lat], [90.0, lat], [180.0, lat]]))
    near = 1e-6 * ground.longest_edge
    if not np.isfinite(xy).all() or np.abs(xy - xy[0]).max() > near:
        return []
    return [(float(xy[0, 0]), float(xy[0, 1]), lat)]


def _cut(shape: Shapes, globe: Globe) -> shapely.Geometry:
    ring_starts, polygon_starts = starts(shape.corner_counts), starts(shape.ring_counts)
    parts = []
    for p in range(polygon_starts.size - 1):
        rings = [
            _unrolled(
                shape.xy[ring_starts[r] : ring_starts[r + 1]],
                globe,
                # the area of a hole lies on the other side
                area_left=globe.interior_left == (r == polygon_starts[p]),
            )
            for r in range(polygon_starts[p], polygon_starts[p + 1])
        ]
        known = [r for r in rings if r is not None]
        if len(known) < len(rings):
            continue
        pole = _pole_of(known[0], globe)
        areas = [_between_180(_closed(r, pole)) for r in known]
        parts.append(areas[0] if len(areas) == 1 else shapely.difference(areas[0], shapely.union_all(areas[1:])))
    return shapely.union_all(parts) if len(parts) > 1 else parts[0] if parts else shapely.MultiPolygon()


def _unrolled(ring: FloatArray, globe: Globe, *, area_left: bool) -> FloatArray | None:
    """A ring in degrees with its first corner repeated at the end, a whole turn away if it rounds a pole.

    None where a corner has no place on the globe.
    """
    if globe.geographic:
        lonlat = globe.ground.lonlat(np.concatenate([ring, ring[:1]]))
        return lonlat if np.isfinite(lonlat).all() else None
    ring, at_pole = _through_poles(ring, globe)
    fine, corner = _followed(np.concatenate([ring, ring[:1]]), globe.longest)
    lonlat = globe.ground.lonlat(fine)
    if not np.isfinite(lonlat).all():
        return None
    # a pole is two points: the longitude from which the ring comes, and that to which it goes
    poles = np.flatnonzero(corner)[np.flatnonzero(np.append(at_pole, at_pole[0]))]
    lonlat[poles, 0] = lonlat[poles - 1, 0]
    lonlat[poles, 1] = np.copysign(90.0, lonlat[poles, 1])
    leaving = np.stack([lonlat[poles + 1, 0], lonlat[poles, 1]], axis=1)
    steps = np.diff(np.insert(lonlat[:, 0], poles + 1, leaving[:, 0]))
    fine, corner = np.insert(fine, poles + 1, fine[poles], axis=0), np.insert(corner, poles + 1, True)
    lonlat = np.insert(lonlat, poles + 1, leaving, axis=0)
    turned = steps - 360.0 * np.round(steps / 360.0)
    for k in poles + np.arange(poles.size):
        westwards = (lonlat[k, 1] > 0) == area_left
        turned[k] = -(-steps[k] % 360.0) if westwards else steps[k] % 360.0
    lonlat[1:, 0] = lonlat[0, 0] + np.cumsum(turned)
    meridian = 180.0 + 360.0 * np.round((lonlat[:, 0] - 180.0) / 360.0)
    lonlat[:, 0] = np.where(np.abs(lonlat[:, 0] - meridian) < _NEAR, meridian, lonlat[:, 0])
    return _with_crossings(lonlat, fine, corner, globe.ground)


def _through_poles(ring: FloatArray, globe: Globe) -> tuple[FloatArray, NDArray[np.bool_]]:
    """The ring with a corner wherever it runs through a pole, and which corners are poles; the first is none."""
    at_pole = np.zeros(ring.shape[0], bool)
    near = 1e-6 * globe.longest
    for x, y, _ in globe.poles:
        start, end = ring - [x, y], np.roll(ring, -1, axis=0) - [x, y]
        edge = end - start
        length = np.hypot(edge[:, 0], edge[:, 1])
        t = -(start * edge).sum(axis=1) / np.maximum(length, near) ** 2
        away = np.abs(start[:, 0] * edge[:, 1] - start[:, 1] * edge[:, 0]) / np.maximum(length, near)
        inside = (away < near) & (t * length > near) & ((1 - t) * length > near)
        at_pole |= np.hypot(start[:, 0], start[:, 1]) <= near
        places = np.flatnonzero(inside) + 1
        ring = np.insert(ring, places, [x, y], axis=0)
        at_pole = np.insert(at_pole, places, True)
    first = int(np.argmin(at_pole))
    return np.roll(ring, -first, axis=0), np.roll(at_pole, -first)


def _followed(line: FloatArray, longest: float) -> tuple[FloatArray, NDArray[np.bool_]]:
    """A line with points in between, at most ``longest`` apart along an axis; and which are corners of ``line``."""
    edge = np.diff(line, axis=0)
    pieces = np.maximum(1, np.ceil(np.abs(edge).max(axis=1) / longest)).astype(np.int64)
    begin = np.cumsum(pieces) - pieces
    t = (np.arange(pieces.sum()) - np.repeat(begin, pieces)) / np.repeat(pieces, pieces)
    fine = np.repeat(line[:-1], pieces, axis=0) + t[:, None] * np.repeat(edge, pieces, axis=0)
    corner = np.zeros(fine.shape[0] + 1, bool)
    corner[begin] = corner[-1] = True
    return np.concatenate([fine, line[-1:]]), corner


def _with_crossings(lonlat: FloatArray, fine: FloatArray, corner: NDArray[np.bool_], ground: Ground) -> FloatArray:
    """The corners, and a point wherever the ring crosses 180° plus whole turns (also between ``fine`` points)."""
    turn = (lonlat[:, 0] - 180.0) / 360.0
    on = turn[1:-1] == np.round(turn[1:-1])
    corner = corner.copy()
    corner[1:-1] |= on & ((turn[:-2] - turn[1:-1]) * (turn[2:] - turn[1:-1]) < 0)
    low, high = np.minimum(turn[:-1], turn[1:]), np.maximum(turn[:-1], turn[1:])
    meridian = np.floor(high)
    at_pole = np.abs(lonlat[:-1, 1] + lonlat[1:, 1]) > 180.0 - 1e-9
    k = np.flatnonzero((meridian > low) & (meridian < high) & ~at_pole)
    if not k.size:
        return lonlat[corner]
    target = 180.0 + 360.0 * meridian[k]
    rising = lonlat[k + 1, 0] > lonlat[k, 0]
    a, b = np.zeros(k.size), np.ones(k.size)
    for _ in range(_BISECTIONS):
        middle = (a + b) / 2
        here = ground.lonlat(fine[k] + middle[:, None] * (fine[k + 1] - fine[k]))
        lon = here[:, 0] + 360.0 * np.round((target - here[:, 0]) / 360.0)
        before = (lon < target) == rising
        a, b = np.where(before, middle, a), np.where(before, b, middle)
    here = ground.lonlat(fine[k] + a[:, None] * (fine[k + 1] - fine[k]))
    points = np.insert(lonlat, k + 1, np.stack([target, here[:, 1]], axis=1), axis=0)
    return points[np.insert(corner, k + 1, True)]


def _turns(ring: FloatArray) -> int:
    """How often the ring runs eastwards around the globe."""
    return round(float(ring[-1, 0] - ring[0, 0]) / 360.0)


def _pole_of(shell: FloatArray, globe: Globe) -> float:
    """Latitude of the pole inside of a shell that runs around one."""
    return 90.0 if (_turns(shell) > 0) == globe.interior_left else -90.0


def _closed(ring: FloatArray, pole: float) -> shapely.Geometry:
    """The area of a ring; one that runs around the pole is closed over it."""
    turns = _turns(ring)
    if turns:
        # begin on the antimeridian, so that the sides of the closed ring fall together with the cut, and where
        # the ring meets it nearest to the pole, so that they meet the ring nowhere else
        on = ring[:-1, 0] % 360.0 == 180.0
        first = int(np.argmax(np.where(on, ring[:-1, 1] * np.sign(pole), -np.inf)))
        ring = np.concatenate([ring[first:-1], ring[: first + 1] + np.array([360.0 * turns, 0.0])])
        end, begin = ring[0, 0] + 360.0 * turns, ring[0, 0]
        ring[-1, 0] = end
        ring = np.concatenate([ring, [[end, pole], [begin, pole]]])
    area = shapely.Polygon(ring)
    return area if shapely.is_valid(area) else shapely.make_valid(area)


def _between_180(area: shapely.Geometry) -> shapely.Geometry:
    """The same area with longitudes from −180 to 180."""
    low, _, high, _ = shapely.bounds(area)
    parts = []
    for turn in range(int(np.floor((low + 180) / 360)), int(np.ceil((high + 180) / 360))):
        piece = shapely.intersection(area, shapely.box(-180 + 360 * turn, -90, 180 + 360 * turn, 90))
        if not piece.is_empty:
            parts.append(_shifted(piece, -360.0 * turn))
    return shapely.union_all(parts) if len(parts) > 1 else parts[0] if parts else shapely.MultiPolygon()


def _shifted(area: shapely.Geometry, degrees: float) -> shapely.Geometry:
    return shapely.transform(area, lambda xy: xy + np.array([degrees, 0.0]))
