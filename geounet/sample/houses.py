"""Buildings: footprints turned with the street, walls, roofs, what stands on them, and their shadows."""

from __future__ import annotations

import numpy as np
import shapely
from numpy.typing import NDArray

from geounet.sample.palette import Palette
from geounet.sample.sketch import BUILDING, DETAIL, LAND, ROOF, TOP, WALL, Sketch, placed

F64 = NDArray[np.float64]

BOX = ((-1, -1), (1, -1), (1, 1), (-1, 1))
TEMPLATES: tuple[tuple[tuple[float, float], ...], ...] = (
    BOX,
    ((-1, -1), (1, -1), (1, 0.1), (0.15, 0.1), (0.15, 1), (-1, 1)),
    ((-1, -1), (0.55, -1), (0.55, -0.6), (1, -0.6), (1, 0.7), (0.2, 0.7), (0.2, 1), (-1, 1)),
    ((-1, -1), (1, -1), (1, 1), (0.4, 1), (0.4, -0.2), (-0.3, -0.2), (-0.3, 1), (-1, 1)),
    ((-1, -1), (0.3, -1), (0.3, -0.45), (1, -0.45), (1, 1), (-0.35, 1), (-0.35, 0.5), (-1, 0.5)),
)
"""Footprints in units of half a width."""
ARM = ((-1, -1), (0.15, -1), (0.15, -0.3), (-1, -0.3))
"""The part that lies inside every footprint: there the fittings stand."""


def build(
    sketch: Sketch,
    palette: Palette,
    rng: np.random.Generator,
    *,
    centres: F64,
    angles: F64,
    halves: F64,
    heights: F64,
    shapes: NDArray[np.int64] | None = None,
    gabled: float = 0.15,
    fittings: float = 3.0,
) -> None:
    """Draw buildings at ``centres`` (n, 2) with half sizes (n, 2) in pixels and heights in metres."""
    count = len(centres)
    kinds = rng.choice(len(TEMPLATES), count, p=[0.34, 0.2, 0.18, 0.12, 0.16]) if shapes is None else shapes
    colour = palette.roofs[rng.choice(len(palette.roofs), count, p=palette.roof_shares)]
    colour = np.clip(colour * rng.uniform(0.86, 1.06, (count, 1)) + rng.uniform(-5, 5, (count, 3)), 30, 250)
    flips = rng.choice([-1, 1], (count, 2))
    gables = (kinds == 0) & (rng.random(count) < gabled)
    for kind, template in enumerate(TEMPLATES):
        pick = np.flatnonzero(kinds == kind)
        if len(pick):
            _walls_and_roofs(
                sketch,
                template,
                centres=centres[pick],
                angles=angles[pick],
                scale=halves[pick] * flips[pick],
                heights=heights[pick],
                colour=colour[pick],
            )
    _gables(
        sketch,
        palette,
        rng,
        centres=centres[gables],
        angles=angles[gables],
        halves=halves[gables],
        heights=heights[gables],
    )
    flat = ~gables
    _fittings(
        sketch,
        rng,
        centres=centres[flat],
        angles=angles[flat],
        scale=(halves * flips)[flat],
        heights=heights[flat],
        colour=colour[flat],
        mean=fittings,
    )


def _walls_and_roofs(
    sketch: Sketch,
    template: tuple[tuple[float, float], ...],
    *,
    centres: F64,
    angles: F64,
    scale: F64,
    heights: F64,
    colour: F64,
) -> None:
    rings = placed(template, centres, angles, scale)
    foot = shapely.polygons(rings)
    sketch.add(
        foot, np.minimum(colour * 1.16 + 8, 252), layer=WALL, label=BUILDING, height=heights, name="building"
    )
    # The parapet catches light on the side of the sun and is dark inside it: the roof is set in, and moved.
    inside = shapely.buffer(foot, -1.1, join_style="mitre")
    toward = -np.asarray(sketch.sun) / np.hypot(*sketch.sun)
    shady = shapely.transform(inside, lambda xy: xy + 0.25 * toward)
    lit = shapely.transform(inside, lambda xy: xy - 0.75 * toward)
    sketch.add(shady, colour * 0.6, layer=ROOF, label=BUILDING, height=heights)
    roof = shapely.intersection(lit, shapely.buffer(foot, -0.7, join_style="mitre"))
    sketch.add(roof, colour, layer=ROOF, label=BUILDING, height=heights, rough=0.05, grain=0.05)
    sketch.cast(rings, heights)


def _gables(
    sketch: Sketch,
    palette: Palette,
    rng: np.random.Generator,
    *,
    centres: F64,
    angles: F64,
    halves: F64,
    heights: F64,
) -> None:
    """Hipped tile roofs: the four faces by how they stand to the sun."""
    if not len(centres):
        return
    tile = palette.roofs[rng.choice([4, 5, 5], len(centres))] * rng.uniform(0.85, 1.1, (len(centres), 1))
    ridge = 0.45
    faces = (
        ((-1, -1), (1, -1), (ridge, 0), (-ridge, 0)),
        ((1, -1), (1, 1), (ridge, 0), (ridge, 0)),
        ((1, 1), (-1, 1), (-ridge, 0), (ridge, 0)),
        ((-1, 1), (-1, -1), (-ridge, 0), (-ridge, 0)),
    )
    toward = np.arctan2(-sketch.sun[1], -sketch.sun[0])
    for face, way in zip(faces, (-0.5, 0.0, 0.5, 1.0), strict=True):
        light = 0.86 + 0.3 * np.cos(angles + way * np.pi - toward)
        rings = placed(face, centres, angles, halves)
        sketch.add(
            shapely.polygons(rings), np.clip(tile * light[:, None], 20, 250),
            layer=DETAIL, label=BUILDING, height=heights, grain=0.06,
        )  # fmt: skip


def _fittings(
    sketch: Sketch,
    rng: np.random.Generator,
    *,
    centres: F64,
    angles: F64,
    scale: F64,
    heights: F64,
    colour: F64,
    mean: float,
) -> None:
    """Stair heads and machines on flat roofs, with the little shadows that they cast there."""
    count = rng.poisson(mean, len(centres))
    of = np.repeat(np.arange(len(centres)), count)
    if not len(of):
        return
    first = np.concatenate([[True], of[1:] != of[:-1]])  # one stair head per building, the rest are machines
    half = np.where(first[:, None], rng.uniform(2.2, 4.6, (len(of), 2)), rng.uniform(0.8, 1.7, (len(of), 2)))
    half = np.minimum(half, np.abs(scale[of]) * 0.22)
    local = np.stack([rng.uniform(-0.85, 0.0, len(of)), rng.uniform(-0.85, -0.45, len(of))], -1) * scale[of]
    cos, sin = np.cos(angles[of]), np.sin(angles[of])
    x, y = local[:, 0], local[:, 1]
    at = centres[of] + np.stack([x * cos - y * sin, x * sin + y * cos], -1)
    arm = shapely.polygons(placed(ARM, centres[of], angles[of], scale[of]))
    rings = placed(BOX, at, angles[of], half)
    rise = np.where(first, 2.2, 0.9)
    shadow = np.concatenate([rings, rings + np.asarray(sketch.sun) * rise[:, None, None]], axis=1)
    hulls = shapely.intersection(shapely.convex_hull(shapely.multipoints(shadow)), arm)
    sketch.add(hulls, colour[of] * 0.5, layer=DETAIL, label=BUILDING, height=heights[of])
    top = np.clip(colour[of] * rng.uniform(0.75, 1.25, (len(of), 1)) + 6, 25, 250)
    tops = shapely.intersection(shapely.polygons(rings), arm)
    sketch.add(tops, top, layer=TOP, label=BUILDING, height=heights[of])


def pave(
    sketch: Sketch, centres: F64, angles: F64, halves: F64, rgb: F64, *, layer: int, label: int = LAND
) -> None:
    """Rectangles on the ground."""
    sketch.add(shapely.polygons(placed(BOX, centres, angles, halves)), rgb, layer=layer, label=label, grain=0.05)
