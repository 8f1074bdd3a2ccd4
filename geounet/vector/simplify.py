"""Simplified outlines that keep the coverage: common borders stay common, without a gap or an overlap."""

from __future__ import annotations

import numpy as np
import shapely
from numpy.typing import NDArray

_RATIO = 1024


def simplify_coverage(
    polygons: NDArray[np.object_], *, tolerance: float, pixel: tuple[float, float]
) -> NDArray[np.object_]:
    """Polygons ``(n,)`` in pixel coordinates, simplified as one coverage; again in pixel coordinates.

    ``tolerance`` and ``pixel`` (a pixel's sides along rows and along columns) in metres: corners go whose
    triangle with their neighbours is smaller than ``tolerance`` squared (Visvalingam and Whyatt 1993, as in
    GEOS's CoverageSimplifier). Corners that stay do not move. Needs all polygons at once, so memory grows
    with them: about 300 bytes per corner.
    """
    # a plane in which the coordinates of corners are exact, so that GEOS sees what lies on a line and what
    # does not: columns as they are, rows by a ratio of few bits
    size = np.array([1.0, max(1.0, round(_RATIO * pixel[1] / pixel[0])) / _RATIO])
    plane = shapely.transform(polygons, lambda xy: xy * size)
    simplified = shapely.coverage_simplify(plane, tolerance / pixel[0], simplify_boundary=True)
    return np.asarray(shapely.transform(simplified, lambda xy: np.rint(xy / size)))
