"""Cells that people live and work in: villas, flats, industry, round suburbs."""

from __future__ import annotations

import numpy as np
import shapely

from geounet.sample.cell import F64, Cell, parking, patch, place_cars, well_inside
from geounet.sample.houses import pave
from geounet.sample.sketch import (
    COVER,
    LAKE,
    LAND,
    VEGETATION,
    WATER,
    placed,
)


def villas(cell: Cell) -> None:
    """Rows of plots back to back along bowed streets."""
    rng, p = cell.rng, cell.palette
    cell.open_ground(p.sand * 0.9)
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
    kind = rng.choice(5, n, p=[0.1, 0.05, 0.1, 0.7, 0.05] if p.green else [0.34, 0.24, 0.18, 0.16, 0.08])
    wall = np.tile([[wide / 2, half_depth]], (n, 1))
    rim = p.tree if p.green else np.minimum(p.sand * 1.16, 245)  # hedges or walls
    around = VEGETATION if p.green else LAND
    pave(cell.sketch, xy, angle, wall, np.tile(rim, (n, 1)), layer=COVER, label=around)
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
    patch(cell, middle, a * 0.8, b * 0.66)
    shapes = np.full(len(offset), rng.choice([1, 3, 4])) if kind == 2 else None
    cell.houses(middle + offset, halves, heights, shapes=shapes, gabled=0.0, fittings=6.0)
    spots = middle + rng.uniform(-0.97, 0.97, (int(rng.integers(12, 44)), 2)) * [[a, b]]
    cell.trees(cell.world(spots), 2.5, 5.0)


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


def suburb(cell: Cell) -> None:
    """A round garden suburb: a circle in the middle, rings of terraces, streets like spokes."""
    rng, p = cell.rng, cell.palette
    cell.open_ground(p.sand * 0.86)
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
    cell.trees(cell.world(spots[well_inside(cell, spots, 4)]), 2.2, 4.8)


def _terrace(cell: Cell, middle: F64, *, r: float, deep: float, spokes: int, turn0: float) -> None:
    rng = cell.rng
    n = int(2 * np.pi * r / rng.uniform(34, 44))
    w = (np.arange(n) + 0.5) * 2 * np.pi / n
    gap = np.minimum(np.abs(np.sin(w)), np.abs(np.cos(w))) * r > 30  # the four spokes stay free
    gap &= rng.random(n) > 0.1
    gap &= np.abs(((w / (2 * np.pi) + turn0) * spokes) % 1 - 0.5) < 0.44
    w = w[gap]
    uv = middle + np.stack([np.cos(w), np.sin(w)], -1) * r
    free = well_inside(cell, uv, deep + 7)
    uv, w = uv[free], w[free]
    halves = np.stack([np.full(len(w), np.pi * r / n - 0.4), deep * rng.uniform(0.75, 1.05, len(w))], -1)
    cell.houses(uv, halves, rng.uniform(6, 12, len(w)), turn=w + np.pi / 2, gabled=0.0)
    count = 2 * len(w)
    back = rng.uniform(0, 2 * np.pi, count)
    spots = middle + np.stack([np.cos(back), np.sin(back)], -1) * (r + rng.uniform(14, 20, (count, 1)))
    cell.trees(cell.world(spots[well_inside(cell, spots, 4)]), 2.0, 4.6)
