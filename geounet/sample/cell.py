"""One cell of the town, and what all kinds of cells are drawn with."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import shapely
from numpy.typing import NDArray

from geounet.sample.frame import Frame
from geounet.sample.houses import build
from geounet.sample.palette import Palette
from geounet.sample.sketch import (
    CAR,
    CLASS,
    COVER,
    GROUND,
    KERB,
    LAKE,
    LAND,
    MARK,
    ROAD,
    SHOAL,
    SHORE,
    STREET,
    VEGETATION,
    WATER,
    RoadLine,
    Sketch,
    placed,
    ribbon,
)

F64 = NDArray[np.float64]


@dataclass
class Cell:
    """A cell while it is being drawn: its rectangle in street coordinates, and its tools."""

    frame: Frame
    palette: Palette
    rng: np.random.Generator
    sketch: Sketch
    u0: float
    u1: float
    v0: float
    v1: float
    """Rectangle between the middles of the avenues around, in street pixels."""
    inset: tuple[float, float, float, float]
    """Half widths of those avenues and their kerbs: u0, u1, v0, v1 side."""
    bend: float
    """How far streets inside bow, in pixels."""

    def world(self, uv: F64) -> F64:
        """Street coordinates (n, 2), bowed inside the cell, to world pixels."""
        a = np.sin(np.pi * np.clip((uv[:, 0] - self.u0) / (self.u1 - self.u0), 0, 1))
        b = np.sin(np.pi * np.clip((uv[:, 1] - self.v0) / (self.v1 - self.v0), 0, 1))
        bowed = uv + self.bend * (a * b)[:, None] * np.array([[0.6, 1.0]])
        return self.frame.world(bowed)

    def angle(self, uv: F64) -> F64:
        """Direction of the street's u axis in the world at points (n, 2), radians."""
        step = self.world(uv + np.array([[2.0, 0.0]])) - self.world(uv - np.array([[2.0, 0.0]]))
        return np.asarray(np.arctan2(step[:, 1], step[:, 0]))

    @property
    def inner(self) -> tuple[float, float, float, float]:
        """The rectangle that may be built on: u0, u1, v0, v1."""
        a, b, c, d = self.inset
        return self.u0 + a, self.u1 - b, self.v0 + c, self.v1 - d

    def ground(self, rgb: F64, *, label: int = LAND, layer: int = GROUND, rough: float = 0.12) -> None:
        """Cover the whole cell."""
        self.sketch.add(
            [shapely.Polygon(self.world(outline(self.u0, self.u1, self.v0, self.v1)))], rgb,
            layer=layer, label=label, rough=rough, grain=0.04,
        )  # fmt: skip

    def open_ground(self, rgb: F64, *, rough: float = 0.12) -> None:
        """Cover the whole cell with what is there before anyone builds: sand of this colour, or grass."""
        if self.palette.green:
            self.ground(self.palette.lawn * self.rng.uniform(0.8, 1.2), label=VEGETATION, rough=0.18)
        else:
            self.ground(rgb, rough=rough)

    def street(self, uv: F64, width: float, kind: str = "street", *, dense: bool = True) -> None:
        """A road along ``uv`` (n, 2), ``width`` metres wide; interrupted by motorway and creek."""
        uv = _dense(uv, 12.0) if dense else uv
        points = self.world(uv)
        free = self.frame.clearance(points) > width + 4
        free &= (uv >= [self.u0, self.v0]).all(axis=1) & (uv <= [self.u1, self.v1]).all(axis=1)
        for run in np.split(np.arange(len(points)), np.flatnonzero(np.diff(free.astype(int))) + 1):
            if len(run) >= 3 and free[run[0]]:
                self._pave_street(points[run], width, kind)

    def _pave_street(self, xy: F64, width: float, kind: str) -> None:
        p, rng = self.palette, self.rng
        tone, rough = p.asphalt * rng.uniform(0.88, 1.28), 0.05
        if p.unpaved and rng.random() < p.unpaved:
            tone, rough = p.sand * rng.uniform(0.85, 1.15), 0.14
        if not p.green or rng.random() < 0.5:
            self.sketch.add([ribbon(xy, width * 2 + 6)], p.paving * 1.02, layer=KERB, label=LAND)
        self.sketch.add([ribbon(xy, width * 2)], tone, layer=STREET, label=ROAD, rough=rough, grain=0.035)
        self.sketch.lines.append(RoadLine(xy=xy, width=width, kind=kind))

    def houses(
        self,
        uv: F64,
        halves: F64,
        heights: F64,
        *,
        turn: F64 | float = 0.0,
        shapes: NDArray[np.int64] | None = None,
        gabled: float = 0.15,
        fittings: float = 3.0,
    ) -> None:
        """Buildings at ``uv`` where neither motorway nor creek is in the way."""
        if not len(uv):
            return
        centres = self.world(uv)
        keep = self.frame.clearance(centres) > np.hypot(halves[:, 0], halves[:, 1]) + 8
        angles = self.angle(uv) + turn
        build(
            self.sketch, self.palette, self.rng, centres=centres[keep], angles=angles[keep],
            halves=halves[keep], heights=heights[keep], shapes=None if shapes is None else shapes[keep],
            gabled=0.8 if self.palette.green and gabled else gabled, fittings=fittings,
        )  # fmt: skip

    def trees(self, xy: F64, low: float, high: float) -> None:
        """Trees at world points, radii in pixels, not in water or on the motorway."""
        free = xy[self.frame.clearance(xy) > high] if len(xy) else xy
        if len(free):
            self.sketch.plant(free, self.rng.uniform(low, high, len(free)), self.rng.uniform(-1, 1, len(free)))

    def grove(self, density: float) -> None:
        """Trees all over the cell, ``density`` per 1000 square pixels; trunks neither on streets nor in water."""
        u0, u1, v0, v1 = self.inner
        xy = self.world(self.scatter(int(max(0.0, (u1 - u0) * (v1 - v0)) * density / 1000), grow=8))
        for line in self.sketch.lines:
            street = shapely.linestrings(line.xy)
            shapely.prepare(street)
            xy = xy[~shapely.dwithin(street, shapely.points(xy), line.width)]
        for shapes, looks in zip(self.sketch.shapes, self.sketch.looks, strict=True):
            for water in shapes[looks[:, CLASS] == WATER]:
                xy = xy[~shapely.contains_xy(water, xy)]
        self.trees(xy, 2.5, 9.0)

    def scatter(self, count: int, *, grow: float = 0.0) -> F64:
        """Uniform street points in the inner rectangle, (count, 2)."""
        u0, u1, v0, v1 = self.inner
        return self.rng.uniform(
            [u0 - grow, v0 - grow], [max(u1, u0 + 1) + grow, max(v1, v0 + 1) + grow], (count, 2)
        )


def _dense(uv: F64, step: float) -> F64:
    """The polyline with a vertex at least every ``step`` pixels."""
    out = [uv[:1]]
    for a, b in pairwise(uv):
        n = max(1, int(np.ceil(np.hypot(*(b - a)) / step)))
        out.append(a + (b - a) * (np.arange(1, n + 1) / n)[:, None])
    return np.concatenate(out)


def outline(u0: float, u1: float, v0: float, v1: float) -> F64:
    """A closed rectangle ``(n, 2)`` in the cell's frame, with vertices dense enough to bend."""
    return _dense(np.array([[u0, v0], [u1, v0], [u1, v1], [u0, v1], [u0, v0]]), 16.0)


def blob(rng: np.random.Generator, centre: F64, radius: tuple[float, float], wobble: float, count: int = 72) -> F64:
    """A smooth closed curve (count, 2) around ``centre`` with semi-axes ``radius``."""
    way = np.arange(count) * 2 * np.pi / count
    reach = np.ones(count)
    for k in (2, 3, 4, 5):
        reach += wobble / k * rng.uniform(-1, 1) * np.cos(k * way + rng.uniform(0, 6.3))
    return centre + np.stack([radius[0] * reach * np.cos(way), radius[1] * reach * np.sin(way)], -1)


def pond(cell: Cell, ring: F64, *, shore: bool = True) -> None:
    """Standing water inside a world ring: shore, shallow rim, deep middle."""
    p, shape = cell.palette, shapely.Polygon(ring)
    if shore:
        cell.sketch.add([shape.buffer(9)], p.paving * 1.04, layer=SHORE, label=LAND)
    cell.sketch.add(
        [shape], p.shallow * 0.5 + p.deep * 0.5, layer=SHOAL, label=WATER, rough=0.1, grain=0.02, name="water"
    )
    for depth, mix in ((3, 0.25), (7, 0.0)):
        inner = shape.buffer(-depth)
        if not inner.is_empty:
            cell.sketch.add(
                [inner], p.shallow * mix + p.deep * (1 - mix), layer=LAKE, label=WATER, rough=0.18, grain=0.02
            )


def patch(cell: Cell, middle: F64, a: float, b: float) -> None:
    """A lawn."""
    ring = cell.world(middle + blob(cell.rng, np.zeros(2), (a, b), 0.3, 40))
    if cell.frame.clearance(ring).min() > 4:
        cell.sketch.add(
            [shapely.Polygon(ring)], cell.palette.lawn * cell.rng.uniform(0.9, 1.15), layer=COVER, label=VEGETATION,
            rough=0.14, grain=0.08, name="park",
        )  # fmt: skip


def parking(cell: Cell, middle: F64, a: float, b: float) -> None:
    """A car park: asphalt, bays and cars. Its aisles are road lines of their own."""
    rng, p = cell.rng, cell.palette
    corners = cell.world(middle + np.array([[-a, -b], [a, -b], [a, b], [-a, b]]))
    if cell.frame.clearance(corners).min() < 10:
        return
    cell.sketch.add([shapely.Polygon(corners)], p.asphalt * 1.12, layer=STREET, label=ROAD, rough=0.08, grain=0.04)
    for v in np.arange(-b + 18, b - 12, 34):
        line = middle + np.array([[-a - 18, v], [a, v]])
        cell.sketch.lines.append(RoadLine(xy=cell.world(_dense(line, 12.0)), width=6.0, kind="aisle"))
        for side in (-11.5, 11.5):
            u = np.arange(-a + 5, a - 4, 5.4)
            bays = middle + np.stack([u - 2.7, np.full(len(u), v + side)], -1)
            _rects(cell, bays, (0.45, 4.6), p.asphalt + 70, layer=MARK)
            taken = rng.random(len(u)) < rng.uniform(0.15, 0.8)
            cars(cell, middle + np.stack([u, np.full(len(u), v + side)], -1)[taken], np.pi / 2)


def _rects(cell: Cell, uv: F64, half: tuple[float, float], rgb: F64, *, layer: int, label: int = ROAD) -> None:
    if len(uv):
        rings = placed(
            ((-1, -1), (1, -1), (1, 1), (-1, 1)), cell.world(uv), cell.angle(uv), np.tile([half], (len(uv), 1))
        )
        cell.sketch.add(shapely.polygons(rings), rgb, layer=layer, label=label)


def cars(cell: Cell, uv: F64, turn: float) -> None:
    """Cars at street points, turned against the u axis."""
    if len(uv):
        place_cars(cell.sketch, cell.rng, cell.world(uv), cell.angle(uv) + turn)


def place_cars(sketch: Sketch, rng: np.random.Generator, xy: F64, angle: F64, *, label: int = ROAD) -> None:
    """Cars (and their dark rims and windows) at world points with world directions."""
    n = len(xy)
    paint = np.array([[228, 228, 228], [200, 202, 206], [70, 72, 76], [36, 38, 42], [150, 42, 36], [46, 70, 120]])
    tone = paint[rng.choice(6, n, p=[0.38, 0.2, 0.15, 0.12, 0.08, 0.07])]
    shift = np.asarray(sketch.sun) * 1.1
    half = np.stack([rng.uniform(4.0, 4.9, n), rng.uniform(1.7, 2.0, n)], -1)
    sketch.add(
        shapely.polygons(placed(((-1, -1), (1, -1), (1, 1), (-1, 1)), xy + shift, angle, half)),
        [38, 38, 42], layer=MARK, label=label,
    )  # fmt: skip
    sketch.add(
        shapely.polygons(placed(((-1, -1), (1, -1), (1, 1), (-1, 1)), xy, angle, half)),
        tone,
        layer=CAR,
        label=label,
    )
    glass = placed(((0.25, -0.8), (0.5, -0.8), (0.5, 0.8), (0.25, 0.8)), xy, angle, half)
    sketch.add(shapely.polygons(glass), tone * 0.45, layer=CAR, label=label)


def well_inside(cell: Cell, uv: F64, margin: float) -> NDArray[np.bool_]:
    """Which street points lie in the inner rectangle, ``margin`` pixels from its rim."""
    u0, u1, v0, v1 = cell.inner
    inside = (uv[:, 0] > u0 + margin) & (uv[:, 0] < u1 - margin)
    return np.asarray(inside & (uv[:, 1] > v0 + margin) & (uv[:, 1] < v1 - margin))
