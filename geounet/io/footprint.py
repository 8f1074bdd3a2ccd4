"""Where on earth a raster lies: its outline as GeoJSON in WGS 84 longitude and latitude."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pyproj import Transformer
from pyproj.exceptions import ProjError
from shapely import MultiPolygon, Polygon, affinity, box, get_parts, make_valid, set_precision
from shapely.geometry import polygon
from shapely.geometry.base import BaseGeometry

from geounet.grid.geobox import GeoBox, parse_crs

_STEPS = 16  # points per side: a straight side in the CRS is a curve in longitude and latitude
_PRECISION = 1e-7  # degrees; RFC 7946 §11.2


def footprint(geobox: GeoBox) -> tuple[dict[str, Any], list[float]] | None:
    """GeoJSON geometry and ``[west, south, east, north]`` of the raster's outline.

    Split at the antimeridian, where then west > east (RFC 7946 §5.2). None without a CRS, or where the
    outline has no place on earth.
    """
    ring = _ring(geobox)
    if ring is None:
        return None
    pieces = _pieces(ring)
    if not pieces:
        return None
    geometry = pieces[0] if len(pieces) == 1 else MultiPolygon(pieces)
    return geometry.__geo_interface__, _bbox(pieces)


def _ring(geobox: GeoBox) -> NDArray[np.float64] | None:
    """Longitude and latitude along the outline, ``(n, 2)``, without jumps at ±180°; None where undefined."""
    if geobox.crs is None:
        return None
    t = np.linspace(0, 1, _STEPS, endpoint=False)
    cols = np.concatenate([t, np.ones(_STEPS), 1 - t, np.zeros(_STEPS)]) * geobox.width
    rows = np.concatenate([np.zeros(_STEPS), t, np.ones(_STEPS), 1 - t]) * geobox.height
    a, b, c, d, e, f = geobox.transform
    try:
        to_degrees = Transformer.from_crs(parse_crs(geobox.crs), 4326, always_xy=True)
    except ProjError:  # another celestial body: it has no place on earth
        return None
    lon, lat = to_degrees.transform(a * cols + b * rows + c, d * cols + e * rows + f)
    if not (np.isfinite(lon).all() and np.isfinite(lat).all()):
        return None
    unwrapped = np.unwrap(np.append(lon, lon[0]), period=360)
    if abs(unwrapped[-1] - unwrapped[0]) > 180:  # around a pole
        return _polar_cap(lat)
    return np.stack([unwrapped[:-1], np.clip(lat, -90, 90)], axis=1)


def _polar_cap(lat: NDArray[np.float64]) -> NDArray[np.float64]:
    north = float(lat.mean()) > 0
    low, high = (float(lat.min()), 90.0) if north else (-90.0, float(lat.max()))
    return np.array([(-180, low), (180, low), (180, high), (-180, high)], dtype=np.float64)


def _pieces(ring: NDArray[np.float64]) -> list[Polygon]:
    """The outline's polygons within ±180°, in the order in which the unbroken outline has them."""
    whole = make_valid(Polygon(ring))
    first = math.floor((whole.bounds[0] + 180) / 360)
    last = math.ceil((whole.bounds[2] + 180) / 360)
    pieces: list[Polygon] = []
    for turn in range(first, last):
        world = box(-180 + 360 * turn, -90, 180 + 360 * turn, 90)
        shifted = affinity.translate(whole.intersection(world), xoff=-360 * turn)
        pieces += _polygons(set_precision(shifted, _PRECISION))
    return pieces


def _polygons(geometry: BaseGeometry) -> list[Polygon]:
    """The polygons of ``geometry``, anticlockwise (RFC 7946 §3.1.6), without slivers."""
    parts = (p for p in get_parts(geometry) if isinstance(p, Polygon) and not p.is_empty)
    return [polygon.orient(Polygon(p.exterior)) for p in parts]


def _bbox(pieces: list[Polygon]) -> list[float]:
    south = min(p.bounds[1] for p in pieces)
    north = max(p.bounds[3] for p in pieces)
    return [pieces[0].bounds[0], south, pieces[-1].bounds[2], north]
