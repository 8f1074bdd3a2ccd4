"""A layer of its own for buildings: their outlines with right angles, beside the coverage."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from geounet.io.ground import Ground
from geounet.io.shapes import Features, FloatArray, Shapes, from_shapely, merge
from geounet.run.layers import cut_shapes, rounded
from geounet.vector.polygons import Polygons
from geounet.vector.regularize import regularize


@dataclass(frozen=True, kw_only=True)
class Squarer:
    """Takes the features of some classes once more, with right angles where the pixels allow."""

    ground: Ground
    values: tuple[int, ...]
    """Classes that are squared."""

    def __call__(self, features: Features, polygons: Polygons, area: shapely.Geometry | None) -> Features:
        """Those of ``features``, made of ``polygons``, that are of the classes; ``id`` and all else as there.

        Whole outlines are squared, then cut to the ``area`` of interest; one that cannot be stays as it is.
        """
        which = np.isin(features.value, self.values)
        shapes, done = self._squared(features.on_map(which), polygons.take(which), area)
        kept = shapes.part_counts > 0
        out, shapes = _rows(features, np.flatnonzero(which)[kept]), shapes.take(kept)
        lonlat = self.ground.lonlat(shapes.xy)
        areas, perimeters = self.ground.measures(shapes, lonlat)
        return replace(
            out,
            shapes=shapes,
            to_map=None,
            lonlat=lonlat,
            reshaped=True,
            area=rounded(areas, 2, self.ground),
            perimeter=rounded(perimeters, 1, self.ground),
            extra={**out.extra, "regularized": done[kept]},
        )

    def _squared(
        self, drawn: Shapes, polygons: Polygons, area: shapely.Geometry | None
    ) -> tuple[Shapes, NDArray[np.bool_]]:
        box = self.ground.geobox
        corners = polygons.corners[polygons.ring_starts[polygons.polygon_starts[:-1]]]
        frames = true_frames(self.ground, corners)
        squares, done = regularize(polygons, frames, width=box.width, height=box.height)
        on_map = shapely.transform(squares, self.ground.coordinates)
        return merge(drawn, from_shapely(on_map) if area is None else cut_shapes(on_map, area), done), done


def _rows(features: Features, which: NDArray[np.int64]) -> Features:
    """The features at the places ``which``; shapes and what hangs on them are still to be put in."""

    def taken(values: Any) -> Any:
        return None if values is None else values[which]

    return replace(
        features,
        id=features.id[which],
        value=features.value[which],
        name=features.name[which],
        touches_edge=taken(features.touches_edge),
        confidence=taken(features.confidence),
        extra={name: taken(values) for name, values in features.extra.items()},
    )


def true_frames(ground: Ground, corners: NDArray[Any]) -> FloatArray:
    """``(n, 2, 2)`` from pixels to a plane in which angles are true and a pixel has area 1, around pixel corners.

    The plane of the CRS; of a geographic one the plane that touches the ellipsoid there. Without a CRS the pixels.
    """
    if ground.crs is None:
        return np.repeat(np.eye(2)[None], len(corners), axis=0)
    a, b, _, d, e, _ = ground.geobox.transform
    frames = np.repeat(np.array([[[a, b], [d, e]]]), len(corners), axis=0)
    if ground.crs.is_geographic:
        lat = ground.coordinates(corners)[:, 1] * ground.crs.axis_info[0].unit_conversion_factor
        e2 = ground.flattening * (2.0 - ground.flattening)
        # radii of curvature across and along the meridian (Snyder 1987, 4-18 and 4-20): only their ratio matters
        frames[:, 0] *= (np.cos(lat) * (1.0 - e2 * np.sin(lat) ** 2) / (1.0 - e2))[:, None]
    size = np.abs(frames[:, 0, 0] * frames[:, 1, 1] - frames[:, 0, 1] * frames[:, 1, 0])
    return np.asarray(frames / np.sqrt(np.maximum(size, 1e-300))[:, None, None])
