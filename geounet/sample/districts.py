"""What fills a cell between avenues: villas, flats, industry, park, lagoon, farm, garden suburb or bare ground."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import shapely
from numpy.typing import NDArray

from geounet.sample.frame import Frame, cell_rng
from geounet.sample.houses import build, pave
from geounet.sample.palette import Palette
from geounet.sample.sketch import (
    CAR,
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
    Pieces,
    RoadLine,
    Sketch,
    placed,
    ribbon,
)  # fmt: skip

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
            [shapely.Polygon(self.world(_outline(self.u0, self.u1, self.v0, self.v1)))], rgb,
            layer=layer, label=label, rough=rough, grain=0.04,
        )  # fmt: skip

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
        tone = self.palette.asphalt * self.rng.uniform(0.88, 1.28)
        self.sketch.add([ribbon(xy, width * 2 + 6)], self.palette.paving * 1.02, layer=KERB, label=LAND)
        self.sketch.add([ribbon(xy, width * 2)], tone, layer=STREET, label=ROAD, rough=0.05, grain=0.035)
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
            gabled=gabled, fittings=fittings,
        )  # fmt: skip

    def trees(self, xy: F64, low: float, high: float) -> None:
        """Trees at world points, radii in pixels, not in water or on the motorway."""
        free = xy[self.frame.clearance(xy) > high] if len(xy) else xy
        if len(free):
            self.sketch.plant(free, self.rng.uniform(low, high, len(free)), self.rng.uniform(-1, 1, len(free)))

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


def _outline(u0: float, u1: float, v0: float, v1: float) -> F64:
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


def villas(cell: Cell) -> None:
    """Rows of plots back to back along bowed streets."""
    rng, p = cell.rng, cell.palette
    cell.ground(p.sand * 0.9)
    u0, u1, v0, v1 = cell.inner
    depth, street = rng.uniform(44, 60), float(rng.choice([5, 6, 7, 8]))
    rows = max(1, int((v1 - v0 - 8) // (2 * depth + 2 * street + 8)))
    pitch = (v1 - v0) / rows
    cross = [cell.u0 + (cell.u1 - cell.u0) * rng.uniform(0.25, 0.75)] if u1 - u0 > 360 else []
    for k in range(1, rows):
        v = v0 + k * pitch
        # Some streets end blind: a stub is left at the far side.
        ends = (cell.u0, cell.u1) if rng.random() < 0.6 else (cell.u0, u1 - 50)
        cell.street(np.array([[ends[0], v], [ends[1], v]]), street)
    for u in cross:
        cell.street(np.array([[u, cell.v0], [u, cell.v1]]), street + 1)
    for k in range(rows):
        for side in (-1, 1):
            edge = v0 + (k + 0.5) * pitch + side * (pitch / 2 - street - 4) / 2
            _plot_row(cell, v=edge, half_depth=(pitch / 2 - street - 5) / 2, cross=cross, street=street, side=side)


def _plot_row(cell: Cell, *, v: float, half_depth: float, cross: list[float], street: float, side: int) -> None:
    """One row of plots with a house, a yard and trees each."""
    rng, p = cell.rng, cell.palette
    u0, u1, _, _ = cell.inner
    wide = rng.uniform(36, 56)
    u = np.arange(u0 + wide / 2, u1 - wide / 2 + 1, wide)
    for c in cross:
        u = u[np.abs(u - c) > wide / 2 + street + 5]
    u = u[rng.random(len(u)) > 0.06]
    n = len(u)
    if not n or half_depth < 8:
        return
    uv = np.stack([u, np.full(n, v)], -1)
    xy, angle = cell.world(uv), cell.angle(uv)
    free = cell.frame.clearance(xy) > wide * 0.75
    uv, xy, angle, n = uv[free], xy[free], angle[free], int(free.sum())
    yards = np.array([p.paving * 0.95, p.sand * 1.08, p.paving * 0.8, p.lawn, p.sand * 0.75])
    kind = rng.choice(5, n, p=[0.34, 0.24, 0.18, 0.16, 0.08])
    wall = np.tile([[wide / 2, half_depth]], (n, 1))
    pave(cell.sketch, xy, angle, wall, np.tile(np.minimum(p.sand * 1.16, 245), (n, 1)), layer=COVER)
    for label in (LAND, VEGETATION):
        pick = (kind == 3) == (label == VEGETATION)
        tone = yards[kind[pick]] * rng.uniform(0.88, 1.1, (int(pick.sum()), 1))
        pave(cell.sketch, xy[pick], angle[pick], wall[pick] - 1.3, tone, layer=COVER, label=label)
    halves = np.stack([wide / 2 * rng.uniform(0.52, 0.8, n), half_depth * rng.uniform(0.42, 0.66, n)], -1)
    shift = np.stack([rng.uniform(-0.1, 0.1, n) * wide, side * half_depth * rng.uniform(0.05, 0.26, n)], -1)
    cell.houses(uv + shift, halves, rng.uniform(5, 10, n), gabled=0.25)
    pools = rng.random(n) < 0.13
    if pools.any():
        back = cell.world(
            uv[pools]
            + np.stack(
                [rng.uniform(-0.2, 0.2, pools.sum()) * wide, np.full(pools.sum(), -side * half_depth * 0.74)], -1
            )
        )
        size = np.tile([[7.0, 3.6]], (int(pools.sum()), 1)) * rng.uniform(0.8, 1.2, (int(pools.sum()), 1))
        rings = shapely.polygons(placed(((-1, -1), (1, -1), (1, 1), (-1, 1)), back, angle[pools], size))
        cell.sketch.add(rings, p.pool, layer=LAKE, label=WATER, grain=0.02, name="water")
    count = rng.poisson(rng.uniform(1.5, 6.0), n)
    of = np.repeat(np.arange(n), count)
    spot = np.stack(
        [rng.uniform(-0.46, 0.46, len(of)) * wide, -side * half_depth * rng.uniform(0.3, 0.92, len(of))], -1
    )
    front = rng.random(len(of)) < 0.3
    spot[front, 1] *= -1
    if len(of):
        cell.trees(cell.world(uv[of] + spot), 2.4, 5.5)


def flats(cell: Cell) -> None:
    """Tall blocks around courts, with parking between them."""
    p = cell.palette
    cell.ground(p.paving * 0.92)
    u0, u1, v0, v1 = cell.inner
    nu, nv = max(1, round((u1 - u0) / 190)), max(1, round((v1 - v0) / 190))
    du, dv = (u1 - u0) / nu, (v1 - v0) / nv
    for i in range(1, nu):
        cell.street(np.array([[u0 + i * du, cell.v0], [u0 + i * du, cell.v1]]), 9)
    for j in range(1, nv):
        cell.street(np.array([[cell.u0, v0 + j * dv], [cell.u1, v0 + j * dv]]), 9)
    for i in range(nu):
        for j in range(nv):
            middle = np.array([u0 + (i + 0.5) * du, v0 + (j + 0.5) * dv])
            _court(cell, middle, (du - 34) / 2, (dv - 34) / 2)


def _court(cell: Cell, middle: F64, a: float, b: float) -> None:
    rng = cell.rng
    kind = rng.choice(4, p=[0.38, 0.27, 0.25, 0.10])
    if a < 20 or b < 20:
        return
    if kind == 3:
        parking(cell, middle, a, b)
        return
    if kind == 0:  # four corner towers around a garden
        offset = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * [[a * 0.58, b * 0.58]]
        halves = np.tile([[a * 0.33, b * 0.33]], (4, 1)) * rng.uniform(0.8, 1.1, (4, 2))
        heights = rng.uniform(14, 34, 4)
    elif kind == 1:  # slabs
        offset = np.array([[0, -0.7], [0, 0.05], [0, 0.72]]) * [[a, b]]
        halves = np.tile([[a * 0.86, b * 0.17]], (3, 1))
        heights = np.full(3, rng.uniform(12, 26))
    else:  # one block with wings
        offset, halves = np.zeros((1, 2)), np.array([[a * 0.82, b * 0.78]])
        heights = rng.uniform(16, 30, 1)
    _patch(cell, middle, a * 0.8, b * 0.66)
    shapes = np.full(len(offset), rng.choice([1, 3, 4])) if kind == 2 else None
    cell.houses(middle + offset, halves, heights, shapes=shapes, gabled=0.0, fittings=6.0)
    spots = middle + rng.uniform(-0.97, 0.97, (int(rng.integers(12, 44)), 2)) * [[a, b]]
    cell.trees(cell.world(spots), 2.5, 5.0)


def _patch(cell: Cell, middle: F64, a: float, b: float) -> None:
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


def industry(cell: Cell) -> None:
    """Sheds with ribbed roofs in paved yards."""
    rng, p = cell.rng, cell.palette
    cell.ground(p.sand * 0.84, rough=0.2)
    u0, u1, v0, v1 = cell.inner
    rows = max(1, int((v1 - v0) // 210))
    dv = (v1 - v0) / rows
    for k in range(1, rows):
        cell.street(np.array([[cell.u0, v0 + k * dv], [cell.u1, v0 + k * dv]]), 10)
    for k in range(rows):
        u = u0 + 6
        while u + 70 < u1:
            wide = min(rng.uniform(70, 190), u1 - u - 4)
            middle = np.array([[u + wide / 2, v0 + (k + 0.5) * dv]])
            _shed(cell, middle, wide / 2 - 4, dv / 2 - 20)
            u += wide


def _shed(cell: Cell, middle: F64, a: float, b: float) -> None:
    rng, p = cell.rng, cell.palette
    xy, angle = cell.world(middle), cell.angle(middle)
    if cell.frame.clearance(xy)[0] < np.hypot(a, b) + 8 or b < 14:
        return
    pave(cell.sketch, xy, angle, np.array([[a, b]]), p.paving * rng.uniform(0.72, 1.08), layer=COVER)
    if rng.random() < 0.12:
        parking(cell, middle[0], a, b)
        return
    split = int(rng.integers(1, 4))
    part = np.array([[0.0, (i + 0.5) / split * 2 - 1] for i in range(split)])
    shift = np.array([[rng.uniform(-0.14, 0.14) * a, 0.0]])
    halves = np.tile([[a * rng.uniform(0.68, 0.84), b * 0.86 / split]], (split, 1))
    cell.houses(
        middle + shift + part * [[0, b * 0.92]],
        halves,
        rng.uniform(7, 12, split),
        shapes=np.zeros(split, dtype=int),
        gabled=0.0,
        fittings=4.0,
    )
    spots = middle + rng.uniform(-0.95, 0.95, (int(rng.integers(0, 9)), 2)) * [[a, b]]
    place_cars(
        cell.sketch, rng, cell.world(spots), cell.angle(spots) + rng.uniform(-0.3, 0.3, len(spots)), label=LAND
    )


def park(cell: Cell) -> None:
    """Lawns, paths, groves and a pond."""
    rng, p = cell.rng, cell.palette
    cell.ground(p.sand * 0.8 + p.lawn * 0.15)
    u0, u1, v0, v1 = cell.inner
    a, b = (u1 - u0) / 2, (v1 - v0) / 2
    middle = np.array([(u0 + u1) / 2, (v0 + v1) / 2])
    for _ in range(int(rng.integers(12, 20))):
        spot = middle + rng.uniform(-0.72, 0.72, 2) * [a, b]
        _patch(cell, spot, rng.uniform(0.18, 0.38) * a, rng.uniform(0.18, 0.38) * b)
    for _ in range(5):
        ends = middle + rng.uniform(-1, 1, (4, 2)) * [[a, b]]
        t = np.linspace(0, 1, 40)[:, None]
        way = (
            (1 - t) ** 3 * ends[0] + 3 * t * (1 - t) ** 2 * ends[1] + 3 * t * t * (1 - t) * ends[2] + t**3 * ends[3]
        )
        cell.sketch.add([ribbon(cell.world(way), 6)], p.sand * 1.14, layer=COVER, label=LAND)
    spot = middle + rng.uniform(-0.3, 0.3, 2) * [a, b]
    ring = cell.world(blob(rng, spot, (0.24 * a, 0.2 * b), 0.5))
    if cell.frame.clearance(ring).min() > 12:
        pond(cell, ring)
    xy = cell.world(cell.scatter(int(a * b / 200)))
    lake = shapely.contains_xy(shapely.Polygon(ring).buffer(6), xy[:, 0], xy[:, 1])
    cell.trees(xy[~lake], 2.5, 7.0)


def lagoon(cell: Cell) -> None:
    """A lake with a ring road and houses on the water."""
    rng, p = cell.rng, cell.palette
    cell.ground(p.sand * 0.92)
    u0, u1, v0, v1 = cell.inner
    a, b = (u1 - u0) / 2, (v1 - v0) / 2
    middle = np.array([(u0 + u1) / 2, (v0 + v1) / 2])
    ring = blob(rng, middle, (a - 118, b - 118), 0.16, 96)
    water = cell.world(ring)
    if min(a, b) < 190 or cell.frame.clearance(water).min() < 20:
        villas(cell)
        return
    pond(cell, water)
    lake = shapely.Polygon(ring)
    road = np.asarray(lake.buffer(72, quad_segs=8).exterior.coords)
    cell.street(road, 7)
    cell.street(np.asarray(lake.buffer(184, quad_segs=8).exterior.coords), 6)
    for start in (np.array([cell.u0, middle[1]]), np.array([middle[0], cell.v1])):
        near = road[np.argmin(np.hypot(*(road - start).T))]
        cell.street(np.stack([start, near]), 7)
    for offset, deep in ((36.0, 15.0), (101.0, 14.0), (149.0, 14.0), (218.0, 14.0)):
        _ring_of_houses(cell, shapely.Polygon(ring).buffer(offset).exterior, deep)
    edge = shapely.Polygon(ring).buffer(13).exterior
    at = np.array([edge.interpolate(d).coords[0] for d in np.arange(0, edge.length, rng.uniform(14, 26))])
    cell.trees(cell.world(at), 2.2, 4.6)


def _ring_of_houses(cell: Cell, line: shapely.LinearRing, deep: float) -> None:
    rng = cell.rng
    wide = rng.uniform(38, 50)
    d = np.arange(wide / 2, line.length - wide / 2, wide)
    at, after = (np.array([line.interpolate(x + e).coords[0] for x in d]) for e in (0.0, 2.0))
    u0, u1, v0, v1 = cell.inner
    inside = _well_inside(cell, at, 24)
    inside &= rng.random(len(at)) > 0.08
    # Leave the two spurs to the avenues free.
    inside &= ~((np.abs(at[:, 1] - (v0 + v1) / 2) < 34) & (at[:, 0] < (u0 + u1) / 2))
    inside &= ~((np.abs(at[:, 0] - (u0 + u1) / 2) < 34) & (at[:, 1] > (v0 + v1) / 2))
    at, after = at[inside], after[inside]
    turn = np.arctan2(after[:, 1] - at[:, 1], after[:, 0] - at[:, 0])
    halves = np.stack([wide / 2 * rng.uniform(0.6, 0.8, len(at)), deep * rng.uniform(0.75, 1.0, len(at))], -1)
    xy, angle = cell.world(at), cell.angle(at) + turn
    free = cell.frame.clearance(xy) > wide
    plots = np.tile([[wide / 2 - 1, deep + 6]], (int(free.sum()), 1))
    tone = cell.palette.paving * rng.uniform(0.8, 1.1, (int(free.sum()), 1))
    pave(cell.sketch, xy[free], angle[free], plots, tone, layer=COVER)
    cell.houses(at[free], halves[free], rng.uniform(6, 10, int(free.sum())), turn=turn[free])
    spots = np.repeat(at[free], 2, axis=0) + rng.uniform(-1.4, 1.4, (2 * int(free.sum()), 2)) * deep
    cell.trees(cell.world(spots), 2.2, 4.5)


def farm(cell: Cell) -> None:
    """Fields in strips, some green, some ploughed, one or two round."""
    rng, p = cell.rng, cell.palette
    cell.ground(p.sand * 0.94, rough=0.16)
    u0, u1, v0, v1 = cell.inner
    cuts = np.concatenate([[u0 + 10], np.sort(rng.uniform(u0 + 60, u1 - 60, 4)), [u1 - 10]])
    for a, b in pairwise(cuts.tolist()):
        split = rng.uniform(v0 + 0.3 * (v1 - v0), v0 + 0.7 * (v1 - v0))
        for c, d in ((v0 + 10, split - 6), (split + 6, v1 - 10)):
            if b - a > 40 and d - c > 40 and rng.random() < 0.86:
                _field(cell, a + 5, b - 5, c, d)
    cell.street(np.array([[cell.u0, (v0 + v1) / 2 + rng.uniform(-60, 60)], [cell.u1, (v0 + v1) / 2]]), 4, "track")


def _field(cell: Cell, u0: float, u1: float, v0: float, v1: float) -> None:
    rng, p = cell.rng, cell.palette
    ring = cell.world(_outline(u0, u1, v0, v1))
    if cell.frame.clearance(ring).min() < 8:
        return
    green = rng.random() < 0.62
    rgb = p.lawn * rng.uniform(0.75, 1.25) + rng.uniform(-8, 8, 3) if green else p.sand * rng.uniform(0.62, 0.85)
    angle = cell.angle(np.array([[(u0 + u1) / 2, (v0 + v1) / 2]]))[0]
    rate = rng.uniform(0.09, 0.2)
    cell.sketch.add(
        [shapely.Polygon(ring)], rgb, layer=COVER, label=VEGETATION if green else LAND, rough=0.16, grain=0.06,
        stripe=(rate * np.cos(angle), rate * np.sin(angle), rng.uniform(0.03, 0.12)), name="field" if green else "",
    )  # fmt: skip
    if rng.random() < 0.4:
        row = np.stack([np.arange(u0, u1, 13.0), np.full(len(np.arange(u0, u1, 13.0)), v0 - 5)], -1)
        cell.trees(cell.world(row), 2.5, 5.0)


def bare(cell: Cell) -> None:
    """Open ground: patches of other soil, tracks, shrubs, a lone compound."""
    rng, p = cell.rng, cell.palette
    cell.ground(p.sand, rough=0.24)
    for _ in range(int(rng.integers(4, 10))):
        spot = cell.scatter(1)[0]
        ring = cell.world(blob(rng, spot, tuple(rng.uniform(18, 110, 2)), 0.7, 48))
        cell.sketch.add(
            [shapely.Polygon(ring)],
            p.sand * rng.uniform(0.84, 1.1) + rng.uniform(-4, 4, 3),
            layer=COVER,
            label=LAND,
            rough=0.25,
        )
    for _ in range(int(rng.integers(1, 4))):
        a, b, c = cell.scatter(3, grow=60)
        t = np.linspace(0, 1, 50)[:, None]
        way = cell.world((1 - t) ** 2 * a + 2 * t * (1 - t) * b + t * t * c)
        for side in (-2.6, 2.6):
            cell.sketch.add([ribbon(way + side, 1.7)], p.sand * 1.1, layer=COVER, label=LAND, rough=0.2)
    cell.trees(cell.world(cell.scatter(int(rng.integers(5, 60)))), 1.4, 3.4)
    if rng.random() < 0.4:
        spot = cell.scatter(1)
        cell.houses(spot, np.array([[26.0, 18.0]]), np.array([6.0]))


def suburb(cell: Cell) -> None:
    """A round garden suburb: a circle in the middle, rings of terraces, streets like spokes."""
    rng, p = cell.rng, cell.palette
    cell.ground(p.sand * 0.86)
    u0, u1, v0, v1 = cell.inner
    middle = np.array([(u0 + u1) / 2, (v0 + v1) / 2])
    full = min(u1 - u0, v1 - v0) / 2
    way = np.linspace(0, 2 * np.pi, 73)
    unit = np.stack([np.cos(way), np.sin(way)], -1)
    cell.sketch.add(
        [shapely.Polygon(cell.world(middle + unit * 26))],
        p.lawn,
        layer=COVER,
        label=VEGETATION,
        rough=0.12,
        name="park",
    )
    rings = [r for r in (42.0, 150.0, 258.0, 366.0, 474.0) if r < 1.4 * full]
    for r in rings:
        cell.street(middle + unit * r, 7)
    spokes = int(rng.integers(4, 7))
    turn0 = float(rng.uniform(0, 1))
    for half_turns in (0.0, 0.5, 1.0, 1.5):
        d = np.array([np.cos(half_turns * np.pi), np.sin(half_turns * np.pi)])
        far = (cell.u1 - cell.u0) if abs(d[0]) > 0.5 else (cell.v1 - cell.v0)
        cell.street(np.stack([middle + d * 42, middle + d * far / 2]), 8)
    for r in rings:
        for step, deep in ((38.0, 13.0), (72.0, 13.0)):
            _terrace(cell, middle, r=r + step, deep=deep, spokes=spokes, turn0=turn0)
    count = int(full * full / 260)
    cell.trees(cell.world(middle + unit[rng.integers(0, 72, count)] * rng.uniform(4, 24, (count, 1)))[:14], 2.5, 6)
    radius = rng.choice([r + 13.0 for r in rings], 160) + rng.uniform(-1, 1, 160)
    w = rng.uniform(0, 2 * np.pi, 160)
    spots = middle + np.stack([np.cos(w), np.sin(w)], -1) * radius[:, None]
    cell.trees(cell.world(spots[_well_inside(cell, spots, 4)]), 2.2, 4.8)


def _terrace(cell: Cell, middle: F64, *, r: float, deep: float, spokes: int, turn0: float) -> None:
    rng = cell.rng
    n = int(2 * np.pi * r / rng.uniform(34, 44))
    w = (np.arange(n) + 0.5) * 2 * np.pi / n
    gap = np.minimum(np.abs(np.sin(w)), np.abs(np.cos(w))) * r > 30  # the four spokes stay free
    gap &= rng.random(n) > 0.1
    gap &= np.abs(((w / (2 * np.pi) + turn0) * spokes) % 1 - 0.5) < 0.44
    w = w[gap]
    uv = middle + np.stack([np.cos(w), np.sin(w)], -1) * r
    free = _well_inside(cell, uv, deep + 7)
    uv, w = uv[free], w[free]
    halves = np.stack([np.full(len(w), np.pi * r / n - 0.4), deep * rng.uniform(0.75, 1.05, len(w))], -1)
    cell.houses(uv, halves, rng.uniform(6, 12, len(w)), turn=w + np.pi / 2, gabled=0.0)
    count = 2 * len(w)
    back = rng.uniform(0, 2 * np.pi, count)
    spots = middle + np.stack([np.cos(back), np.sin(back)], -1) * (r + rng.uniform(14, 20, (count, 1)))
    cell.trees(cell.world(spots[_well_inside(cell, spots, 4)]), 2.0, 4.6)


def _well_inside(cell: Cell, uv: F64, margin: float) -> NDArray[np.bool_]:
    """Which street points lie in the inner rectangle, ``margin`` pixels from its rim."""
    u0, u1, v0, v1 = cell.inner
    inside = (uv[:, 0] > u0 + margin) & (uv[:, 0] < u1 - margin)
    return np.asarray(inside & (uv[:, 1] > v0 + margin) & (uv[:, 1] < v1 - margin))


FILLS: tuple[Callable[[Cell], None], ...] = (villas, flats, industry, park, lagoon, farm, bare, suburb)
_SHARES = {
    "town": (0.42, 0.16, 0.04, 0.10, 0.11, 0.02, 0.03, 0.12),
    "edge": (0.16, 0.06, 0.24, 0.06, 0.03, 0.15, 0.28, 0.02),
}


def draw_cell(frame: Frame, palette: Palette, i: int, j: int) -> Pieces:
    """Everything inside cell (i, j), between the avenues around it."""
    rng = cell_rng(frame.seed, 1, i, j)
    u0, u1, v0, v1 = frame.line(0, i), frame.line(0, i + 1), frame.line(1, j), frame.line(1, j + 1)
    half = (frame.width(0, i), frame.width(0, i + 1), frame.width(1, j), frame.width(1, j + 1))
    cell = Cell(
        frame=frame, palette=palette, rng=rng, sketch=Sketch(sun=palette.sun), u0=u0, u1=u1, v0=v0, v1=v1,
        inset=(half[0] + 9, half[1] + 9, half[2] + 9, half[3] + 9), bend=float(rng.uniform(-34, 34)),
    )  # fmt: skip
    zone = "edge" if cell_rng(frame.seed, 2, i // 2, (j + 1) // 2).random() < 0.36 else "town"
    fill = int(rng.choice(len(FILLS), p=_SHARES[zone]))
    if (i, j) == (0, 0):
        fill = 4  # the scene's middle has water, whatever the seed
    elif (i, j) in ((-1, 0), (0, -1)):
        fill = 0 if i else 7
    FILLS[fill](cell)
    return cell.sketch.finish()
