"""Areas on an ellipsoid, for all polygons at once.

Along a parallel the authalic function q(φ) turns area into a plane integral: the area between the equator
and a line is ``a²/2 ∫ q dλ`` (J. P. Snyder, Map Projections: A Working Manual, 1987, equation 3-12). Edges that
are straight in longitude and latitude are integrated by Simpson's rule; those that are straight on a map
are cut into short ones first.
"""

# ruff: noqa: PLR0917 - compiled functions are called with positions

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geounet.kernels import kernel

FloatArray = NDArray[np.float64]


def authalic(lat: FloatArray, *, flattening: float) -> FloatArray:
    """q of latitudes in radians: from −q(pole) to q(pole), about −2 to 2."""
    e2 = flattening * (2.0 - flattening)
    with np.errstate(invalid="ignore"):
        s = np.sin(lat)
    if e2 < 1e-12:
        return np.asarray(2.0 * s)
    e = math.sqrt(e2)
    return np.asarray((1.0 - e2) * (s / (1.0 - e2 * s * s) + np.arctanh(e * s) / e))


@kernel
def _areas(lon: Any, q: Any, q_middle: Any, ring_starts: Any, polygon_starts: Any, pole: float, wrap: bool) -> Any:
    out = np.zeros(polygon_starts.size - 1)
    for p in range(out.size):
        for r in range(polygon_starts[p], polygon_starts[p + 1]):
            a, b = ring_starts[r], ring_starts[r + 1]
            turned, total = 0.0, 0.0
            base = q[a] if b > a else 0.0
            for i in range(a, b):
                j = i + 1 if i + 1 < b else a
                step = lon[j] - lon[i]
                if wrap:
                    if step > np.pi:
                        step -= 2 * np.pi
                    elif step < -np.pi:
                        step += 2 * np.pi
                total += step * ((q[i] + 4.0 * q_middle[i] + q[j]) / 6.0 - base)
                turned += step
            if abs(turned) > np.pi:  # the ring goes around a pole
                total = 2 * np.pi * pole - abs(total + turned * base)
            out[p] += abs(total) if r == polygon_starts[p] else -abs(total)
    return out


def ellipsoidal_areas(
    lon: FloatArray,
    lat: FloatArray,
    *,
    ring_starts: NDArray[np.int64],
    polygon_starts: NDArray[np.int64],
    semi_major: float,
    flattening: float,
    wrap: bool,
) -> FloatArray:
    """``(polygons,)`` areas in the square of the unit of ``semi_major``.

    ``lon``, ``lat``: ``(corners,)`` radians, rings not closed. With ``wrap`` an edge goes the short way
    around the globe, and a ring may hold a pole; without, longitudes are taken as they are.
    """
    following = np.arange(1, lat.size + 1)
    filled = ring_starts[1:] > ring_starts[:-1]
    following[ring_starts[1:][filled] - 1] = ring_starts[:-1][filled]
    q = authalic(lat, flattening=flattening)
    # edges that were short on a map are no straighter in degrees: there the mean of both ends is as good
    q_middle = 0.5 * (q + q[following]) if wrap else authalic(0.5 * (lat + lat[following]), flattening=flattening)
    pole = float(authalic(np.array([math.pi / 2]), flattening=flattening)[0])
    plane = _areas(np.ascontiguousarray(lon), q, q_middle, ring_starts, polygon_starts, pole, wrap)
    return np.asarray(plane * (semi_major**2 / 2))


@kernel
def densify(xy: Any, ring_starts: Any, longest: float) -> tuple[Any, Any, Any]:
    """Cut edges of rings that are longer than ``longest`` along an axis into equal pieces.

    Returns corners, ring starts, and the place in ``xy`` of each corner, −1 for a new one.
    """
    rings = ring_starts.size - 1
    counts = np.ones(xy.shape[0], np.int64)
    out_starts = np.zeros(rings + 1, np.int64)
    for r in range(rings):
        a, b = ring_starts[r], ring_starts[r + 1]
        n = 0
        for i in range(a, b):
            j = i + 1 if i + 1 < b else a
            size = max(abs(xy[j, 0] - xy[i, 0]), abs(xy[j, 1] - xy[i, 1]))
            if size > longest:
                counts[i] = np.int64(math.ceil(size / longest))
            n += counts[i]
        out_starts[r + 1] = out_starts[r] + n
    out = np.empty((out_starts[rings], 2))
    source = np.empty(out_starts[rings], np.int64)
    k = 0
    for r in range(rings):
        a, b = ring_starts[r], ring_starts[r + 1]
        for i in range(a, b):
            j = i + 1 if i + 1 < b else a
            for s in range(counts[i]):
                t = s / counts[i]
                source[k] = -1 if s else i
                out[k, 0] = xy[i, 0] + t * (xy[j, 0] - xy[i, 0])
                out[k, 1] = xy[i, 1] + t * (xy[j, 1] - xy[i, 1])
                k += 1
    return out, out_starts, source
