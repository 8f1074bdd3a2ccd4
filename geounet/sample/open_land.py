"""Cells without streets of their own: parks, lagoons, farms, bare ground."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import shapely

from geounet.sample.built import villas
from geounet.sample.cell import Cell, blob, outline, patch, pond, well_inside
from geounet.sample.houses import pave
from geounet.sample.sketch import (
    COVER,
    LAND,
    VEGETATION,
    ribbon,
)


def park(cell: Cell) -> None:
    """Lawns, paths, groves and a pond."""
    rng, p = cell.rng, cell.palette
    cell.open_ground(p.sand * 0.8 + p.lawn * 0.15)
    u0, u1, v0, v1 = cell.inner
    a, b = (u1 - u0) / 2, (v1 - v0) / 2
    middle = np.array([(u0 + u1) / 2, (v0 + v1) / 2])
    for _ in range(int(rng.integers(12, 20))):
        spot = middle + rng.uniform(-0.72, 0.72, 2) * [a, b]
        patch(cell, spot, rng.uniform(0.18, 0.38) * a, rng.uniform(0.18, 0.38) * b)
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
    cell.open_ground(p.sand * 0.92)
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
    inside = well_inside(cell, at, 24)
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
    cell.open_ground(p.sand * 0.94, rough=0.16)
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
    ring = cell.world(outline(u0, u1, v0, v1))
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
    cell.open_ground(p.sand, rough=0.24)
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
    if p.green and rng.random() < 0.5:
        cell.grove(6.0)  # a wood
