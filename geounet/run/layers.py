"""The features of a label raster, chunk by chunk: swept, cleaned, simplified, measured, cut."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import shapely

from geounet.io.ground import Ground
from geounet.io.labels import LabelRaster
from geounet.io.shapes import Features, FloatArray, Shapes, from_shapely
from geounet.io.spool import Spool
from geounet.model.canvas import CONFIDENCE_SCALE
from geounet.model.spec import Head
from geounet.vector.mapping_unit import MappingUnit
from geounet.vector.polygons import Polygons, join
from geounet.vector.simplify import simplify_coverage
from geounet.vector.tracer import Tracer

_CHUNK = 20_000

OnRows = Callable[[int, int], None]


def sweep_raster(
    raster: LabelRaster,
    spool: Spool,
    *,
    head: Head | None,
    min_area: float,
    step: int,
    progress: OnRows | None,
) -> None:
    """Sweep the raster from top to bottom; polygons go to the spool as their components end."""
    height = raster.geobox.height
    passes = 2 if min_area > 0 else 1
    done = _Counter(total=passes * height, progress=progress)
    unit = _survey(raster, head, min_area, step, done) if min_area > 0 else None
    tracer = Tracer(width=raster.geobox.width, lut=None if unit else raster.lut())
    for rows in raster.rows(step):
        if unit is None:
            found = tracer.feed(rows.labels, confidence=rows.confidence, outside=rows.outside)
        else:
            cleaned = unit.clean(rows.labels, outside=rows.outside)
            found = tracer.feed(cleaned, confidence=rows.confidence)
        spool.add(found)
        done.add(rows.labels.shape[0])
    spool.add(tracer.close())


@dataclass(kw_only=True)
class _Counter:
    total: int
    progress: OnRows | None
    rows: int = 0

    def add(self, rows: int) -> None:
        self.rows += rows
        if self.progress is not None:
            self.progress(self.rows, self.total)


def _survey(raster: LabelRaster, head: Head | None, min_area: float, step: int, done: _Counter) -> MappingUnit:
    """The first of two passes: what is too small, and what becomes of it.

    The 0 of a mask takes part, as it is what small marks are absorbed by; it never becomes a polygon.
    """
    ground = Ground(raster.geobox)
    middle = np.array([raster.geobox.height // 2])
    pixel = float(np.nanmean(ground.pixel_areas(middle)))
    unit = MappingUnit(
        width=raster.geobox.width,
        lut=raster.lut(whole=True),
        min_area=min_area,
        density=ground.pixel_areas,
        sides=ground.pixel_sides,
        pixel_area=pixel if np.isfinite(pixel) and pixel > 0 else ground.planar_pixel_area,
        only=1 if head is not None and head.kind == "mask" else None,
    )
    for rows in raster.rows(step, whole=True):
        unit.feed(rows.labels, outside=rows.outside)
        done.add(rows.labels.shape[0])
    unit.decide()
    return unit


@dataclass(frozen=True, kw_only=True)
class FeatureMaker:
    """How polygons of a raster become features."""

    raster: LabelRaster
    ground: Ground
    simplify: float
    """Metres."""
    area: shapely.Geometry | None
    """Of interest, in the scene's CRS."""

    def features(self, spool: Spool) -> Iterator[Features]:
        """All features in order, numbered from 1; a chunk may be empty, and there is one for its columns."""
        names = self.raster.class_names()
        count = 0
        for polygons, shapes, lonlat, areas in self._on_the_map(spool):
            value = self.raster.value_of(polygons.label)
            yield Features(
                shapes=shapes,
                lonlat=lonlat,
                reshaped=self.simplify > 0 or self.area is not None,
                id=np.arange(count + 1, count + 1 + len(shapes)),
                value=value,
                name=np.array([names.get(v, str(v)) for v in value.tolist()], object),
                area=self._rounded(areas),
                confidence=mean_confidence(polygons) if self.raster.has_confidence else None,
            )
            count += len(shapes)

    def _on_the_map(self, spool: Spool) -> Iterator[tuple[Polygons, Shapes, FloatArray, FloatArray]]:
        """Polygons, and what of their shapes lies in the area of interest: CRS coordinates, degrees, areas."""
        for polygons, outlines in self._outlines(spool):
            if self.area is None:
                yield (polygons, *self.ground.survey(outlines))
                continue
            kept, shapes = _cut(polygons, outlines.at(self.ground.coordinates(outlines.xy)), self.area)
            lonlat = self.ground.lonlat(shapes.xy)
            yield kept, shapes, lonlat, self.ground.areas(shapes, lonlat)

    def _outlines(self, spool: Spool) -> Iterator[tuple[Polygons, Shapes]]:
        """Polygons, and their shapes in pixel coordinates."""
        if not self.simplify or not spool.count:
            for polygons in spool.chunks():
                yield polygons, _shapes(polygons)
            return
        whole = join(list(spool.chunks()))
        simplified = simplify_coverage(
            whole.to_shapely(), tolerance=self.simplify, pixel=self.ground.metres_per_pixel
        )
        for begin in range(0, len(whole), _CHUNK):
            end = min(begin + _CHUNK, len(whole))
            yield whole.part(begin, end), from_shapely(simplified[begin:end])

    def _rounded(self, areas: FloatArray) -> FloatArray:
        """Areas to a hundredth of m², or of a pixel where pixels are smaller."""
        pixel = self.ground.geobox.gsd() or 1.0
        return np.round(areas, 2 if pixel >= 1 else 2 - int(np.floor(2 * np.log10(pixel))))


def _shapes(polygons: Polygons) -> Shapes:
    return Shapes(
        xy=polygons.corners.astype(np.float64),
        corner_counts=polygons.corner_counts.astype(np.int64),
        ring_counts=polygons.ring_counts.astype(np.int64),
        part_counts=np.ones(len(polygons), np.int64),
    )


def _cut(polygons: Polygons, shapes: Shapes, area: shapely.Geometry) -> tuple[Polygons, Shapes]:
    """What lies inside of ``area``, which is prepared; what is cut keeps the attributes of the whole."""
    geometries = shapes.to_shapely()
    inside = shapely.covers(area, geometries)
    crossing = ~inside & shapely.intersects(area, geometries)
    geometries[crossing] = shapely.intersection(geometries[crossing], area)
    cut = from_shapely(geometries)
    kept = (inside | crossing) & (cut.part_counts > 0)
    return polygons.take(kept), cut.take(kept)


def mean_confidence(polygons: Polygons) -> FloatArray:
    """Mean confidence 0..1 to four decimals; NaN where no pixel has one."""
    known = polygons.confidence_count > 0
    mean = polygons.confidence_sum / np.maximum(1, polygons.confidence_count) / CONFIDENCE_SCALE
    return np.where(known, np.round(mean, 4), np.nan)
