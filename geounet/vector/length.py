"""Lengths of outlines on an ellipsoid, for all polygons at once.

An edge is as long as the ellipsoid's two radii of curvature in its middle say, ``hypot(M dφ, N cos φ dλ)``
(J. P. Snyder, Map Projections: A Working Manual, 1987, equations 4-18 to 4-20). That holds for short edges;
long ones, straight in longitude and latitude, are taken in pieces. Near a pole edges are chords in space.
"""

# ruff: noqa: PLR0917 - compiled functions are called with positions

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geounet.kernels import kernel

FloatArray = NDArray[np.float64]

_PIECE = 0.01
"""Radians, about 64 km: over it the radii of curvature change by less than 1e-4, and evenly."""
_POLAR = 1.5
"""Radians of latitude from which the globe turns too fast for a middle to stand for an edge."""


@kernel
def _short(lat: float, lon_step: float, lat_step: float, a: float, e2: float) -> float:
    """Length of a short edge whose middle is at ``lat``."""
    s = math.sin(lat)
    w = math.sqrt(1.0 - e2 * s * s)
    north = a * (1.0 - e2) / (w * w * w) * lat_step
    east = a / w * math.sqrt(max(0.0, 1.0 - s * s)) * lon_step
    return math.sqrt(north * north + east * east)


@kernel
def _chord(lon0: float, lat0: float, lon1: float, lat1: float, a: float, e2: float) -> float:
    """Length of a short edge anywhere: the chord, bent."""
    s0, s1 = math.sin(lat0), math.sin(lat1)
    n0, n1 = a / math.sqrt(1.0 - e2 * s0 * s0), a / math.sqrt(1.0 - e2 * s1 * s1)
    r0, r1 = n0 * math.cos(lat0), n1 * math.cos(lat1)
    x = r1 * math.cos(lon1) - r0 * math.cos(lon0)
    y = r1 * math.sin(lon1) - r0 * math.sin(lon0)
    z = (n1 * s1 - n0 * s0) * (1.0 - e2)
    d2 = x * x + y * y + z * z
    return math.sqrt(d2) * (1.0 + d2 / (24.0 * a * a))


@kernel
def edge_length(lon0: float, lat0: float, lon1: float, lat1: float, a: float, e2: float, wrap: bool) -> float:
    """Length of an edge on the ellipsoid of semi-major axis ``a``; places in radians, ``wrap`` as below."""
    lon_step, lat_step = lon1 - lon0, lat1 - lat0
    if wrap:
        if max(abs(lat0), abs(lat1)) > _POLAR:
            return _chord(lon0, lat0, lon1, lat1, a, e2)
        if lon_step > np.pi:
            lon_step -= 2 * np.pi
        elif lon_step < -np.pi:
            lon_step += 2 * np.pi
        return _short(0.5 * (lat0 + lat1), lon_step, lat_step, a, e2)
    pieces = 1
    if lat_step != 0.0 and max(abs(lon_step), abs(lat_step)) > _PIECE:
        pieces = math.ceil(min(max(abs(lon_step), abs(lat_step)), 100.0) / _PIECE)
    total = 0.0
    for k in range(pieces):
        t = (k + 0.5) / pieces
        total += _short(lat0 + t * lat_step, lon_step / pieces, lat_step / pieces, a, e2)
    return total


@kernel
def ellipsoidal_lengths(
    lon: Any, lat: Any, ring_starts: Any, polygon_starts: Any, semi_major: float, flattening: float, wrap: bool
) -> Any:
    """``(polygons,)`` lengths of all rings, in the unit of ``semi_major``; NaN where a corner has no place.

    Arguments as of `geounet.vector.area.ellipsoidal_areas`: with ``wrap`` edges are short and go the short way
    around the globe, without they are straight in longitude and latitude.
    """
    e2 = flattening * (2.0 - flattening)
    out = np.zeros(polygon_starts.size - 1)
    for p in range(out.size):
        for r in range(polygon_starts[p], polygon_starts[p + 1]):
            a, b = ring_starts[r], ring_starts[r + 1]
            for i in range(a, b):
                j = i + 1 if i + 1 < b else a
                if not (math.isfinite(lon[i]) and math.isfinite(lat[i])):
                    out[p] = np.nan
                    continue
                out[p] += edge_length(lon[i], lat[i], lon[j], lat[j], semi_major, e2, wrap)
    return out
