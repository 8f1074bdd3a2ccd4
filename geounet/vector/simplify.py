"""Simplified outlines that keep the coverage: common borders stay common, without a gap or an overlap."""

from __future__ import annotations

import numpy as np
import shapely
from numpy.typing import NDArray


def simplify_coverage(
    polygons: NDArray[np.object_], *, tolerance: float, pixel: tuple[float, float]
) -> NDArray[np.object_]:
    """Polygons ``(n,)`` in pixel coordinates, simplified as one coverage; again in pixel coordinates.

    ``tolerance`` and ``pixel`` (a pixel's sides along rows and along columns) in metres: corners go whose
    triangle with their neighbours is smaller than ``tolerance`` squared (Visvalingam and Whyatt 1993, as in
    GEOS's CoverageSimplifier). Corners that stay do not move. Needs all polygons at once, so memory grows
    with them: about 300 bytes per corner.
    """
    size = np.array(pixel)
    metres = shapely.transform(polygons, lambda xy: xy * size)
    simplified = shapely.coverage_simplify(metres, tolerance, simplify_boundary=True)
    return np.asarray(shapely.transform(simplified, lambda xy: np.rint(xy / size)))
