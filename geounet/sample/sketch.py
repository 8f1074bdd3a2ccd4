"""What the drawing is made of: polygons with colours, road lines and trees, collected piece by piece."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import shapely
from numpy.typing import ArrayLike, NDArray

F64 = NDArray[np.float64]

BUILDING, LAND, ROAD, VEGETATION, WATER = range(5)
"""Class values of the truth raster."""

GROUND, COVER, SHORE, SHOAL, LAKE, KERB, STREET, MOTORWAY, STRIPE, BRIDGE, AVENUE, MEDIAN, MARK, CAR = range(14)
"""Order of painting below the trees."""
WALL, ROOF, DETAIL, TOP = range(20, 24)
"""Order of painting above the trees."""

COLUMNS = 11
"""Look of a polygon: red, green, blue, rough, grain, height, class, layer, stripe x, stripe y, stripe depth."""
RED, ROUGH, GRAIN, HEIGHT, CLASS, LAYER, STRIPE_X, STRIPE_Y, STRIPE_DEPTH = 0, 3, 4, 5, 6, 7, 8, 9, 10

SNAP = 64
"""Vertices lie on multiples of 1/64 pixel: then moving the window's origin is exact, ties included."""


@dataclass(frozen=True, kw_only=True)
class RoadLine:
    """A road's centre-line."""

    xy: F64
    """Vertices in world pixels, shape (n, 2)."""
    width: float
    """Paved width in metres."""
    kind: str


@dataclass(frozen=True, kw_only=True)
class Pieces:
    """A finished part of the drawing, in world pixels."""

    shapes: NDArray[np.object_]
    bounds: F64
    """Shape (n, 4): left, top, right, bottom."""
    looks: NDArray[np.float32]
    """Shape (n, COLUMNS)."""
    names: tuple[str, ...]
    """What a polygon is called in the truth; empty for what is only drawn."""
    shadows: NDArray[np.object_]
    shadow_bounds: F64
    shadow_heights: NDArray[np.float32]
    """Height of what casts each shadow, in metres."""
    trees: F64
    """Shape (n, 4): x, y, radius in pixels, tone."""
    lines: tuple[RoadLine, ...]


@dataclass
class Sketch:
    """Collects polygons, lines and trees."""

    sun: tuple[float, float]
    shapes: list[NDArray[np.object_]] = field(default_factory=list)
    looks: list[F64] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    shadows: list[NDArray[np.object_]] = field(default_factory=list)
    heights: list[F64] = field(default_factory=list)
    tree_rows: list[F64] = field(default_factory=list)
    lines: list[RoadLine] = field(default_factory=list)

    def add(
        self,
        shapes: object,
        rgb: ArrayLike,
        *,
        layer: int,
        label: int,
        rough: float = 0.06,
        grain: float = 0.03,
        height: ArrayLike = 0.0,
        stripe: ArrayLike = (0.0, 0.0, 0.0),
        name: str = "",
    ) -> None:
        """Draw polygons; ``rgb`` (3,) or (n, 3), ``height`` in metres, ``stripe`` (cycles/px x, y, depth)."""
        found: NDArray[np.object_] = np.atleast_1d(np.asarray(shapes, dtype=object))
        if len(found) == 0:
            return
        look = np.zeros((len(found), COLUMNS))
        look[:, :3] = rgb
        look[:, ROUGH], look[:, GRAIN], look[:, HEIGHT] = rough, grain, height
        look[:, CLASS], look[:, LAYER] = label, layer
        look[:, STRIPE_X:] = stripe
        self.shapes.append(found)
        self.looks.append(look)
        self.names.extend([name] * len(found))

    def cast(self, rings: F64, heights: F64) -> None:
        """Shadows of prisms over ``rings`` (n, k, 2): the sweep of every wall, and the moved footprint."""
        move = np.asarray(self.sun) * heights[:, None, None]
        after = np.roll(rings, -1, axis=1)
        walls = np.stack([rings, after, after + move, rings + move], axis=2).reshape(-1, 4, 2)
        self.shadows.append(np.atleast_1d(np.asarray(shapely.polygons(walls), dtype=object)))
        self.heights.append(np.repeat(heights, rings.shape[1]))
        self.shadows.append(np.atleast_1d(np.asarray(shapely.polygons(rings + move), dtype=object)))
        self.heights.append(heights)

    def plant(self, xy: F64, radius: ArrayLike, tone: ArrayLike) -> None:
        """Trees at ``xy`` (n, 2) with radii in pixels; ``tone`` in -1..1 varies their colour."""
        rows = np.empty((len(xy), 4))
        rows[:, :2] = np.round(xy * SNAP) / SNAP
        rows[:, 2], rows[:, 3] = radius, tone
        self.tree_rows.append(rows)

    def finish(self) -> Pieces:
        """Snap all vertices and freeze."""
        shapes, shadows = _snapped(self.shapes), _snapped(self.shadows)
        return Pieces(
            shapes=shapes,
            bounds=shapely.bounds(shapes).reshape(-1, 4),
            looks=np.concatenate([np.zeros((0, COLUMNS)), *self.looks]).astype(np.float32),
            names=tuple(self.names),
            shadows=shadows,
            shadow_bounds=shapely.bounds(shadows).reshape(-1, 4),
            shadow_heights=np.concatenate([np.zeros(0), *self.heights]).astype(np.float32),
            trees=np.concatenate([np.zeros((0, 4)), *self.tree_rows]),
            lines=tuple(self.lines),
        )


def _snapped(groups: list[NDArray[np.object_]]) -> NDArray[np.object_]:
    if not groups:
        return np.zeros(0, dtype=object)
    joined = np.concatenate(groups)
    return np.asarray(shapely.transform(joined, lambda xy: np.round(xy * SNAP) / SNAP), dtype=object)


def placed(template: ArrayLike, centres: F64, angles: F64, scale: F64) -> F64:
    """Copies of ``template`` (k, 2), scaled by (n, 2), turned by ``angles`` (n,), moved: (n, k, 2)."""
    local = np.asarray(template, dtype=np.float64)[None] * scale[:, None, :]
    cos, sin = np.cos(angles)[:, None], np.sin(angles)[:, None]
    x, y = local[..., 0], local[..., 1]
    return np.stack([x * cos - y * sin, x * sin + y * cos], axis=-1) + centres[:, None, :]


def ribbon(xy: F64, width: float, *, flat: bool = False) -> shapely.Geometry:
    """The polygon of all points within ``width / 2`` pixels of a line (n, 2)."""
    cap = "flat" if flat else "round"
    line: Any = shapely.linestrings(xy)
    return line.buffer(width / 2, quad_segs=5, cap_style=cap)


def dashes(xy: F64, *, offset: float, width: float, length: float, period: float, trim: float = 0) -> F64:
    """Quadrilaterals (n, 4, 2) of dashes ``offset`` pixels beside a line, none within ``trim`` of its ends."""
    step = np.diff(xy, axis=0)
    along = np.concatenate([[0], np.cumsum(np.hypot(step[:, 0], step[:, 1]))])
    start = np.arange(trim, along[-1] - trim - length, period)
    ends = [np.stack([np.interp(start + d, along, xy[:, k]) for k in (0, 1)], -1) for d in (0, length)]
    way = ends[1] - ends[0]
    norm = np.maximum(np.hypot(way[:, 0], way[:, 1]), 1e-9)[:, None]
    side = np.stack([-way[:, 1], way[:, 0]], -1) / norm
    near, far = offset - width / 2, offset + width / 2
    return np.stack(
        [ends[0] + side * near, ends[1] + side * near, ends[1] + side * far, ends[0] + side * far], axis=1
    )
