"""From the drawing to pixels: labels and colours of any window, the same whatever the window."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from geounet.grid.window import Window
from geounet.sample.noise import F32, grain, value_noise
from geounet.sample.sketch import (
    CLASS,
    COLUMNS,
    GRAIN,
    HEIGHT,
    LAND,
    LAYER,
    ROAD,
    ROUGH,
    STRIPE_DEPTH,
    STRIPE_X,
    STRIPE_Y,
    VEGETATION,
    WALL,
    Pieces,
)  # fmt: skip
from geounet.sample.town import Town

I32 = NDArray[np.int32]
HALO = 2
"""Pixels around a window that the blur needs."""
_RADII = np.arange(1.5, 9.1, 0.5)


@dataclass(frozen=True, kw_only=True)
class Painted:
    """Pixels of a window."""

    rgb: NDArray[np.uint8]
    """Shape (3, height, width), never 0."""
    labels: NDArray[np.uint8]
    """Class values, shape (height, width)."""


def paint(town: Town, window: Window) -> Painted:
    """The pixels of a window in world coordinates (row_off and col_off may be negative)."""
    wide = Window(window.row_off - HALO, window.col_off - HALO, window.height + 2 * HALO, window.width + 2 * HALO)
    box = (float(wide.col_off), float(wide.row_off), float(wide.right), float(wide.bottom))
    pieces = [found for _, found in town.pieces(box)]
    index, looks = _draw(town, pieces, wide, box)
    tree, tree_shadow = _stamp_trees(town, pieces, wide, box)
    tree[looks[index, LAYER] >= WALL] = 0  # a roof hides the crown below it
    shadow = _shadows(pieces, wide, box)
    labels = looks[:, CLASS].astype(np.uint8)[index]
    # In a green town crowns reach over the streets, and maps have the street.
    labels[(tree != 0) & ((labels != ROAD) | (not town.palette.green))] = VEGETATION
    dark = shadow > looks[:, HEIGHT][index]
    dark |= tree_shadow & (looks[:, HEIGHT][index] < 3) & (tree == 0)
    rgb = _shade(town, wide, index=index, looks=looks, tree=tree, dark=dark)
    return Painted(rgb=_sense(town, rgb, window), labels=labels[HALO:-HALO, HALO:-HALO].copy())


def _touching(bounds: NDArray[np.float64], box: tuple[float, float, float, float]) -> NDArray[np.bool_]:
    left, top, right, bottom = box
    hit = (bounds[:, 0] < right) & (bounds[:, 2] > left) & (bounds[:, 1] < bottom) & (bounds[:, 3] > top)
    return np.asarray(hit)


def _burn(shapes: list[tuple[object, float]], window: Window, dtype: str) -> NDArray[np.generic]:
    """The value of the last shape over each pixel centre, 0 where none is."""
    from affine import Affine
    from rasterio.features import rasterize

    if not shapes:
        return np.zeros(window.shape, dtype=dtype)
    # One column too many, on the left: rasterio warns of a missing georeference where the window starts at (0, 0).
    spare = int(window.col_off == 0)
    grid = Affine.translation(window.col_off - spare, window.row_off)
    shape = (window.height, window.width + spare)
    return np.asarray(rasterize(shapes, out_shape=shape, transform=grid, dtype=dtype))[:, spare:]


def _draw(
    town: Town, pieces: list[Pieces], window: Window, box: tuple[float, float, float, float]
) -> tuple[I32, NDArray[np.float32]]:
    """Which polygon shows at each pixel, and how polygons look; number 0 is the bare ground."""
    hits = [_touching(piece.bounds, box) for piece in pieces]
    shapes = np.concatenate([np.zeros(0, dtype=object), *(p.shapes[h] for p, h in zip(pieces, hits, strict=True))])
    looks = np.concatenate(
        [np.zeros((0, COLUMNS), np.float32), *(p.looks[h] for p, h in zip(pieces, hits, strict=True))]
    )
    order = np.argsort(looks[:, LAYER], kind="stable")
    shapes, looks = shapes[order], looks[order]
    base = np.zeros((1, COLUMNS), np.float32)
    base[0, :3], base[0, ROUGH], base[0, GRAIN], base[0, CLASS] = town.palette.sand, 0.2, 0.04, LAND
    index = _burn([(shape, n) for n, shape in enumerate(shapes, 1)], window, "int32")
    return index.astype(np.int32, copy=False), np.concatenate([base, looks])


def _shadows(pieces: list[Pieces], window: Window, box: tuple[float, float, float, float]) -> F32:
    """Height of the tallest thing that shades each pixel, in metres; 0 in the sun."""
    hits = [_touching(piece.shadow_bounds, box) for piece in pieces]
    shapes = np.concatenate([np.zeros(0, dtype=object), *(p.shadows[h] for p, h in zip(pieces, hits, strict=True))])
    heights = np.concatenate(
        [np.zeros(0, np.float32), *(p.shadow_heights[h] for p, h in zip(pieces, hits, strict=True))]
    )
    order = np.argsort(heights, kind="stable")
    return _burn([(shapes[n], float(heights[n])) for n in order], window, "float32").astype(np.float32, copy=False)


def _stamp_trees(
    town: Town, pieces: list[Pieces], window: Window, box: tuple[float, float, float, float]
) -> tuple[F32, NDArray[np.bool_]]:
    """Brightness of the crown at each pixel (0: none), and where crowns cast shadow on the ground."""
    left, top, right, bottom = box
    rows = np.concatenate([np.zeros((0, 4)), *(piece.trees for piece in pieces)])
    near = (
        (rows[:, 0] > left - 26) & (rows[:, 0] < right + 26) & (rows[:, 1] > top - 26) & (rows[:, 1] < bottom + 26)
    )
    rows = rows[near]
    crown, shadow = np.zeros(window.shape, np.float32), np.zeros(window.shape, bool)
    leaf = value_noise(window, scale=4, key=town.frame.seed ^ 0x7EE)
    sun = np.asarray(town.palette.sun)
    toward = -sun / np.hypot(*sun)
    kinds = np.clip(np.round((rows[:, 2] - 1.5) * 2), 0, len(_RADII) - 1).astype(int)
    for kind in np.unique(kinds):
        radius, some = float(_RADII[kind]), rows[kinds == kind]
        _stamp_one_size(
            crown=crown, shadow=shadow, leaf=leaf, window=window, rows=some, radius=radius, sun=sun, toward=toward
        )
    return crown, shadow


def _stamp_one_size(
    *,
    crown: F32,
    shadow: NDArray[np.bool_],
    leaf: F32,
    window: Window,
    rows: NDArray[np.float64],
    radius: float,
    sun: NDArray[np.float64],
    toward: NDArray[np.float64],
) -> None:
    reach = int(np.ceil(radius * 1.3)) + 1
    dy, dx = np.mgrid[-reach : reach + 1, -reach : reach + 1].reshape(2, -1)
    for centre, is_crown in ((rows[:, :2] + np.round(sun * radius * 1.1 * 64) / 64, False), (rows[:, :2], True)):
        base = np.floor(centre).astype(np.int64)
        col, row = base[:, :1] + dx - window.col_off, base[:, 1:] + dy - window.row_off  # (trees, pixels)
        part_x, part_y = base[:, :1] + dx + 0.5 - centre[:, :1], base[:, 1:] + dy + 0.5 - centre[:, 1:]
        inside = (col >= 0) & (col < window.width) & (row >= 0) & (row < window.height)
        ragged = 0.78 + 0.4 * leaf[np.where(inside, row, 0), np.where(inside, col, 0)].astype(np.float64)
        inside &= part_x * part_x + part_y * part_y < radius * radius * ragged
        if is_crown:
            light = (part_x * toward[0] + part_y * toward[1]) / radius
            value = (0.98 + 0.16 * rows[:, 3:4]) * (1 + 0.34 * light)
            crown[row[inside], col[inside]] = value[inside]
        else:
            shadow[row[inside], col[inside]] = True


def _shade(
    town: Town, window: Window, *, index: I32, looks: NDArray[np.float32], tree: F32, dark: NDArray[np.bool_]
) -> F32:
    """Colours before the sensor, (3, height, width)."""
    p, seed = town.palette, town.frame.seed
    coarse = 0.5 * value_noise(window, scale=191, key=seed) + 0.32 * value_noise(window, scale=47, key=seed)
    coarse += np.float32(0.28) * value_noise(window, scale=13, key=seed)
    fine = value_noise(window, scale=3, key=seed) + np.float32(0.6) * grain(window, key=seed)
    leafy = tree != 0
    rough = np.where(leafy, np.float32(0.1), looks[:, ROUGH][index])
    fine_by = np.where(leafy, np.float32(0.13), looks[:, GRAIN][index])
    light = 1 + rough * coarse + fine_by * fine
    light *= 1 + np.float32(0.035) * value_noise(window, scale=1531, key=seed ^ 5)
    _stripes(window, index, looks, light)
    light *= np.where(leafy, tree, np.float32(1))
    tint = value_noise(window, scale=401, key=seed ^ 9) * np.where(leafy, np.float32(0), rough)
    out = np.empty((3, *window.shape), np.float32)
    for band, warm in enumerate((0.12, 0.0, -0.16)):
        colour = np.where(leafy, np.float32(p.tree[band]), looks[:, band][index])
        out[band] = (
            colour
            * light
            * (1 + np.float32(warm) * tint)
            * np.where(dark, np.float32(p.shade[band]), np.float32(1))
        )
    return out


def _stripes(window: Window, index: I32, looks: NDArray[np.float32], light: F32) -> None:
    """Crop rows and ribs: a triangle wave across the polygons that have one."""
    if not looks[:, STRIPE_DEPTH].any():
        return
    row, col = np.nonzero(looks[:, STRIPE_DEPTH][index])
    of = index[row, col]
    x = (col + window.col_off).astype(np.float64) * looks[:, STRIPE_X].astype(np.float64)[of]
    y = (row + window.row_off).astype(np.float64) * looks[:, STRIPE_Y].astype(np.float64)[of]
    phase = x + y
    phase -= np.floor(phase)
    light[row, col] *= 1 + looks[:, STRIPE_DEPTH][of] * (np.abs(phase - 0.5) * 4 - 1).astype(np.float32)


def _sense(town: Town, rgb: F32, window: Window) -> NDArray[np.uint8]:
    """Blur, gain, haze and noise of the sensor; drops the halo. Never 0: that is the nodata value."""
    p, seed = town.palette, town.frame.seed
    middle, inner, outer = (np.float32(tap) for tap in p.blur)
    shared = grain(window, key=seed ^ 0xA1)
    out = np.empty((3, *window.shape), np.uint8)
    for band in range(3):
        tall = middle * rgb[band, 2:-2]
        tall += inner * (rgb[band, 1:-3] + rgb[band, 3:-1])
        tall += outer * (rgb[band, :-4] + rgb[band, 4:])
        soft = middle * tall[:, 2:-2]
        soft += inner * (tall[:, 1:-3] + tall[:, 3:-1])
        soft += outer * (tall[:, :-4] + tall[:, 4:])
        soft *= np.float32(p.gain[band])
        soft += np.float32(p.haze[band] + 0.5)
        soft += np.float32(p.noise * 0.8) * shared
        soft += np.float32(p.noise * 0.6) * grain(window, key=seed ^ (0xB2 + band))
        out[band] = np.clip(soft, 1, 255)
    return out
