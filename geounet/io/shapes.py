"""Features as flat arrays: what every vector format is written from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geounet.vector.polygons import close_rings, ranges, starts

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


def bounds(low: NDArray[Any], high: NDArray[Any] | None = None) -> FloatArray:
    """Least x and y of ``low`` ``(n, 2)``, n > 0, greatest of ``high`` (of ``low``); NaN where one is NaN.

    Column by column: along the rows of so narrow an array numpy takes fifty times as long.
    """
    high = low if high is None else high
    return np.array([low[:, 0].min(), low[:, 1].min(), high[:, 0].max(), high[:, 1].max()], np.float64)


@dataclass(frozen=True, kw_only=True)
class Shapes:
    """``n`` areas, each of one or more polygons: shell first, then holes; rings not closed."""

    xy: NDArray[Any]
    """``(corners, 2)`` float64; of outlines as the pixels are also int32 (column, row)."""
    corner_counts: IntArray
    """``(rings,)`` corners of each ring."""
    ring_counts: IntArray
    """``(polygons,)`` rings of each polygon."""
    part_counts: IntArray
    """``(n,)`` polygons of each shape."""

    def __len__(self) -> int:
        return int(self.part_counts.size)

    def at(self, xy: NDArray[Any]) -> Shapes:
        """The same shapes with other coordinates."""
        return Shapes(
            xy=xy, corner_counts=self.corner_counts, ring_counts=self.ring_counts, part_counts=self.part_counts
        )

    def take(self, which: NDArray[Any]) -> Shapes:
        """The shapes at the places ``which`` (numbers, or a mask)."""
        places = np.flatnonzero(which) if which.dtype == bool else which
        parts = ranges(starts(self.part_counts)[places], self.part_counts[places])
        rings = ranges(starts(self.ring_counts)[parts], self.ring_counts[parts])
        corners = ranges(starts(self.corner_counts)[rings], self.corner_counts[rings])
        return Shapes(
            xy=self.xy[corners],
            corner_counts=self.corner_counts[rings],
            ring_counts=self.ring_counts[parts],
            part_counts=self.part_counts[places],
        )

    def shape_of_corner(self) -> IntArray:
        """``(corners,)`` the place of the shape that each corner belongs to."""
        ring_shape = np.repeat(np.repeat(np.arange(len(self)), self.part_counts), self.ring_counts)
        return np.asarray(np.repeat(ring_shape, self.corner_counts))

    def to_shapely(self) -> NDArray[np.object_]:
        """``(n,)`` shapely Polygons, and MultiPolygons where a shape has several parts (or none)."""
        import shapely

        closed, ring_starts = close_rings(self.xy, starts(self.corner_counts))
        polygons = shapely.from_ragged_array(
            shapely.GeometryType.POLYGON, closed, (ring_starts, starts(self.ring_counts))
        )
        if (self.part_counts == 1).all():
            return np.asarray(polygons)
        out = np.empty(len(self), object)
        begin = starts(self.part_counts)
        for i, count in enumerate(self.part_counts):
            own = polygons[begin[i] : begin[i + 1]]
            out[i] = own[0] if count == 1 else shapely.multipolygons(own)
        return out


def from_shapely(geometries: NDArray[np.object_]) -> Shapes:
    """Shapes of shapely areas; lines and points of a collection are left out, an empty one has no part."""
    import shapely

    parts, owner = shapely.get_parts(geometries, return_index=True)
    nested = shapely.get_type_id(parts) > shapely.GeometryType.POLYGON
    while nested.any():  # a multipolygon inside of a collection
        parts, inner = shapely.get_parts(parts, return_index=True)
        owner = owner[inner]
        nested = shapely.get_type_id(parts) > shapely.GeometryType.POLYGON
    keep = (shapely.get_type_id(parts) == shapely.GeometryType.POLYGON) & ~shapely.is_empty(parts)
    parts, owner = parts[keep], owner[keep]
    rings, ring_owner = shapely.get_rings(parts, return_index=True)
    xy, corner_owner = shapely.get_coordinates(rings, return_index=True)
    counts = np.bincount(corner_owner, minlength=rings.size).astype(np.int64)
    last = np.cumsum(counts) - 1
    return Shapes(
        xy=np.delete(xy, last, axis=0),
        corner_counts=counts - 1,
        ring_counts=np.bincount(ring_owner, minlength=parts.size).astype(np.int64),
        part_counts=np.bincount(owner, minlength=geometries.size).astype(np.int64),
    )


@dataclass(frozen=True, kw_only=True)
class Features:
    """A chunk of features with their attributes, in the order of ``identity``."""

    shapes: Shapes
    """As they were drawn; `on_map` puts them there."""
    id: IntArray
    """``(n,)`` 1, 2, … through the whole layer; before they are numbered, what they are sorted by."""
    value: IntArray
    """``(n,)`` class value."""
    name: NDArray[np.object_]
    """``(n,)`` class name, str."""
    area: FloatArray
    """``(n,)`` m² on the ellipsoid (square pixels without a CRS)."""
    lonlat: FloatArray | None
    """``(corners, 2)`` degrees of the shapes' corners, where they are known."""
    reshaped: bool
    """Whether outlines are no longer those of pixels: cut or simplified."""
    confidence: FloatArray | None
    """``(n,)`` mean confidence 0..1, NaN where unknown; None without a confidence raster."""
    perimeter: FloatArray | None = None
    """``(n,)`` m on the ellipsoid, holes included (pixel sides without a CRS)."""
    touches_edge: NDArray[np.bool_] | None = None
    """``(n,)`` whether the raster's rim or nodata cut the component."""
    extra: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    """Further attributes ``(n,)`` by name, such as zonal statistics; NaN where there is none."""
    to_map: Callable[[NDArray[Any]], FloatArray] | None = None
    """Leads from the coordinates of ``shapes`` to those of the scene's CRS; None: they are these.

    Not every format needs them, and a feature may have millions of corners.
    """

    def on_map(self, which: NDArray[np.bool_] | None = None) -> Shapes:
        """The shapes, or those at the places ``which``, in the coordinates of the scene's CRS (pixels without)."""
        shapes = self.shapes if which is None else self.shapes.take(which)
        return shapes if self.to_map is None else shapes.at(self.to_map(shapes.xy))

    def columns(self) -> dict[str, NDArray[Any]]:
        """The attributes, by the names that they have in every format."""
        out: dict[str, NDArray[Any]] = {
            "id": self.id,
            "class": self.value,
            "name": self.name,
            "area_m2": self.area,
        }
        if self.perimeter is not None:
            out["perimeter_m"] = self.perimeter
        if self.touches_edge is not None:
            out["touches_edge"] = self.touches_edge
        if self.confidence is not None:
            out["confidence_mean"] = self.confidence
        return {**out, **self.extra}


def merge(shapes: Shapes, others: Shapes, where: NDArray[np.bool_]) -> Shapes:
    """``shapes`` with those at ``where`` ``(n,)`` replaced by ``others``, in order."""
    both = Shapes(
        xy=np.concatenate([shapes.xy, others.xy]),
        corner_counts=np.concatenate([shapes.corner_counts, others.corner_counts]),
        ring_counts=np.concatenate([shapes.ring_counts, others.ring_counts]),
        part_counts=np.concatenate([shapes.part_counts, others.part_counts]),
    )
    places = np.arange(len(shapes))
    places[where] = len(shapes) + np.arange(len(others))
    return both.take(places)
