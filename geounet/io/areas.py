"""Areas of other people's files, made valid."""

from __future__ import annotations

from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

_AREA = 2
"""Dimensions of an area."""


def valid_areas(geometries: NDArray[Any]) -> NDArray[Any]:
    """``(n,)`` polygons and multipolygons that are valid, of ``(n,)`` that may not be; or empty.

    Mending a polygon may leave lines and points beside it, such as a spike; they would be burnt as pixels of their
    own, so they are left out.
    """
    if shapely.is_valid(geometries).all():
        return geometries
    mended = np.array(shapely.make_valid(geometries), dtype=object)
    collections = shapely.get_type_id(mended) == shapely.GeometryType.GEOMETRYCOLLECTION
    for place in np.flatnonzero(collections | (shapely.get_dimensions(mended) < _AREA)):
        parts = shapely.get_parts(mended[place])
        mended[place] = shapely.union_all(parts[shapely.get_dimensions(parts) == _AREA])
    return mended
