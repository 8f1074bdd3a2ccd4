"""The features of a label raster, chunk by chunk: drawn, cut, measured."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from geounet.io.ground import Ground
from geounet.io.labels import LabelRaster
from geounet.io.shapes import Features, FloatArray, Shapes, from_shapely
from geounet.model.canvas import CONFIDENCE_SCALE
from geounet.vector.polygons import Polygons

if TYPE_CHECKING:  # shapely is for areas of interest
    from shapely import Geometry

    from geounet.io.zones import Zones
    from geounet.vector.simplify import Outline, Vertices


_PREPARED = threading.Lock()
"""Around a prepared geometry, which GEOS completes while it is used: two threads at once crash."""

Chunk = tuple[Features, Features | None]
"""Features, and those of them that are squared besides."""


@dataclass(frozen=True, kw_only=True)
class FeatureMaker:
    """How polygons of a raster become features."""

    raster: LabelRaster
    ground: Ground
    outline: Outline | None
    """How outlines are drawn; None: as the pixels are."""
    zones: Zones | None
    """Of which statistics are told."""
    area: Geometry | None
    """Of interest, in the scene's CRS."""
    square: Callable[[Features, Polygons, Geometry | None], Features] | None = None
    """Makes a second layer, of some classes with right angles; see `geounet.run.squaring.Squarer`."""

    def features(self, polygons: Polygons, vertices: Vertices | None) -> Chunk:
        """A chunk of polygons as features, and those that are squared besides; on any thread.

        ``vertices`` for an outline. Not numbered: ``id`` is the first pixel.
        """
        polygons, shapes, lonlat, areas, perimeters = self._measured(polygons, vertices)
        value = self.raster.value_of(polygons.label)
        features = Features(
            shapes=shapes,
            to_map=self.ground.coordinates if self.area is None else None,
            lonlat=lonlat,
            reshaped=self.outline is not None or self.area is not None,
            id=polygons.identity,
            value=value,
            name=self._named(value),
            area=rounded(areas, 2, self.ground),
            perimeter=rounded(perimeters, 1, self.ground),
            touches_edge=polygons.touches,
            confidence=mean_confidence(polygons) if self.raster.has_confidence else None,
            extra={} if self.zones is None else self.zones.columns(polygons.stats),
        )
        return features, None if self.square is None else self.square(features, polygons, self.area)

    @cached_property
    def _names(self) -> dict[int, str]:
        return self.raster.class_names()

    def _named(self, value: NDArray[np.int64]) -> NDArray[np.object_]:
        """The names of class values, one object for each class."""
        values, which = np.unique(value, return_inverse=True)
        names = np.empty(values.size, object)
        names[:] = [self._names.get(v, str(v)) for v in values.tolist()]
        return np.asarray(names[which])

    def _measured(
        self, polygons: Polygons, vertices: Vertices | None
    ) -> tuple[Polygons, Shapes, FloatArray, FloatArray, FloatArray]:
        """Polygons, and their shapes (on the map where they are cut to an area) with degrees, areas, perimeters."""
        outlines = self._drawn(polygons, vertices)
        if self.area is None:
            return (polygons, outlines, *self.ground.survey(outlines))
        kept, shapes = _cut(polygons, outlines.at(self.ground.coordinates(outlines.xy)), self.area)
        lonlat = self.ground.lonlat(shapes.xy)
        return (kept, shapes, lonlat, *self.ground.measures(shapes, lonlat))

    def _drawn(self, polygons: Polygons, vertices: Vertices | None) -> Shapes:
        """The shapes of polygons in pixel coordinates."""
        xy: NDArray[Any] = polygons.corners
        counts = polygons.corner_counts.astype(np.int64)
        if self.outline is not None and vertices is not None:
            xy, counts = self.outline.draw(polygons, vertices)
        return Shapes(
            xy=xy,
            corner_counts=counts,
            ring_counts=polygons.ring_counts.astype(np.int64),
            part_counts=np.ones(len(polygons), np.int64),
        )


def rounded(values: FloatArray, power: int, ground: Ground) -> FloatArray:
    """Lengths (``power`` 1) or areas (2) to a hundredth of a metre or m², or of a pixel that is smaller."""
    return np.round(values, decimals(power, ground))


def decimals(power: int, ground: Ground) -> int:
    """Of lengths or areas."""
    pixel = ground.geobox.gsd() or 1.0
    return 2 if pixel >= 1 else 2 - int(np.floor(power * np.log10(pixel)))


def _cut(polygons: Polygons, shapes: Shapes, area: Geometry) -> tuple[Polygons, Shapes]:
    """What lies inside of ``area``, which is prepared; what is cut keeps its identity."""
    cut = cut_shapes(shapes.to_shapely(), area)
    kept = cut.part_counts > 0
    return polygons.take(kept), cut.take(kept)


def cut_shapes(geometries: NDArray[np.object_], area: Geometry) -> Shapes:
    """What of areas ``(n,)`` lies inside of ``area``, which is prepared; a shape may have no part then.

    On any thread, one at a time.
    """
    import shapely

    with _PREPARED:
        inside = shapely.covers(area, geometries)
        crossing = ~inside & shapely.intersects(area, geometries)
        geometries[crossing] = shapely.intersection(geometries[crossing], area)
    geometries[~inside & ~crossing] = shapely.Polygon()
    return from_shapely(geometries)


def mean_confidence(polygons: Polygons) -> FloatArray:
    """Mean confidence 0..1 to four decimals; NaN where no pixel has one."""
    known = polygons.confidence_count > 0
    mean = polygons.confidence_sum / np.maximum(1, polygons.confidence_count) / CONFIDENCE_SCALE
    return np.where(known, np.round(mean, 4), np.nan)
