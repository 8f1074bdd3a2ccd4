"""Colours of one seed: another seed looks like another town under another sensor."""

from __future__ import annotations

import colorsys
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from geounet.sample.climate import Climate

Rgb = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Palette:
    """Base colours (red, green, blue in 0..255), the sun and the sensor."""

    sand: Rgb
    paving: Rgb
    asphalt: Rgb
    lawn: Rgb
    tree: Rgb
    deep: Rgb
    shallow: Rgb
    pool: Rgb
    roofs: Rgb
    """Roof colours, shape (kinds, 3)."""
    roof_shares: Rgb
    """How often each roof colour occurs; sums to 1."""
    shade: Rgb
    """What is left of a colour in cast shadow, per band."""
    sun: tuple[float, float]
    """Direction in which shadows fall, in pixels (across, down) per metre of height."""
    noise: float
    """Standard deviation of the sensor's noise, in grey values."""
    gain: Rgb
    """The sensor's gain per band."""
    haze: Rgb
    """Grey value that the air adds, per band."""
    blur: tuple[float, float, float]
    """Taps of the separable point spread function, from the centre outward."""
    green: bool = False
    """Open ground is grass, trees stand close, roofs are pitched."""
    wooded: float = 0.0
    """Trees per 1000 square pixels of a green town."""
    unpaved: float = 0.0
    """Share of the streets that are no more than soil."""


def make_palette(seed: int, climate: Climate = "dry") -> Palette:
    """The colours of a seed, around what 0.5 m imagery of dry cities shows, or of green ones."""
    dry = _dry(seed)
    return dry if climate == "dry" else _green(dry, seed)


def _green(dry: Palette, seed: int) -> Palette:
    rng = np.random.default_rng([seed, 12])

    def tone(hue: tuple[float, float], saturation: tuple[float, float], value: tuple[float, float]) -> Rgb:
        red, green, blue = colorsys.hsv_to_rgb(*(float(rng.uniform(*span)) for span in (hue, saturation, value)))
        return np.array([red, green, blue]) * 255

    lawn = tone((0.17, 0.36), (0.15, 0.5), (0.25, 0.55))
    roofs = dry.roofs * rng.uniform(0.55, 1.0)
    roofs[4] = tone((0.0, 0.11), (0.05, 0.45), (0.3, 0.65))
    roofs[5] = tone((0.0, 0.7), (0.0, 0.2), (0.25, 0.65))
    return replace(
        dry,
        sand=tone((0.02, 0.13), (0.12, 0.5), (0.4, 0.75)),
        paving=tone((0.05, 0.15), (0.0, 0.12), (0.45, 0.8)),
        asphalt=tone((0.05, 0.65), (0.0, 0.1), (0.22, 0.62)),
        lawn=lawn,
        tree=lawn * rng.uniform(0.45, 0.8) + rng.uniform(-6, 6, 3),
        deep=tone((0.4, 0.63), (0.1, 0.55), (0.08, 0.3)),
        roofs=np.clip(roofs, 20, 245),
        roof_shares=rng.dirichlet([2, 3, 4, 5, 4, 4, 2, 4]),
        shade=dry.shade * rng.uniform(0.7, 1.1),
        green=True,
        wooded=float(rng.uniform(0.3, 6.0)),
        unpaved=float(rng.choice([0.0, 0.15, 0.6])),
    )


def _dry(seed: int) -> Palette:
    rng = np.random.default_rng([seed, 11])
    bright, warm = rng.uniform(146, 194), rng.uniform(-3, 22)
    sand = np.array([bright + 2 + 0.5 * warm, bright, bright + 5 - 0.8 * warm])
    road, green, lake = rng.uniform(74, 108), rng.uniform(52, 74), rng.uniform(10, 34)
    azimuth = rng.uniform(0.15, 0.85) * np.pi  # the sun stands south, so shadows fall north
    reach = rng.uniform(0.9, 1.6)  # pixels per metre: the sun 51° to 66° high
    roofs = np.array(
        [[232, 230, 228], [214, 205, 190], [180, 176, 172], [138, 134, 133], [190, 158, 128],
         [168, 104, 78], [128, 142, 158], [96, 92, 92]], dtype=np.float64,
    )  # fmt: skip
    shares = rng.dirichlet([9, 6, 5, 3, 2.5, 1.8, 1.2, 1.2])
    outer = rng.uniform(0.035, 0.075)
    inner = rng.uniform(0.2, 0.24)
    return Palette(
        sand=sand,
        paving=sand * rng.uniform(0.82, 0.98) + rng.uniform(-4, 4, 3),
        asphalt=np.array([road + rng.uniform(0, 6), road - 2, road + rng.uniform(-2, 6)]),
        lawn=np.array([green + rng.uniform(14, 28), green + rng.uniform(24, 36), green + rng.uniform(4, 14)]),
        tree=np.array([green - 6, green + rng.uniform(3, 10), green - rng.uniform(4, 12)]),
        deep=np.array([lake * 0.8, lake + rng.uniform(2, 14), lake + rng.uniform(0, 14)]),
        shallow=np.array([62, 84, 80]) + rng.uniform(-10, 14, 3),
        pool=np.array([92, 168, 186]) + rng.uniform(-18, 18, 3),
        roofs=np.clip(roofs + rng.uniform(-8, 8, roofs.shape), 0, 245),
        roof_shares=shares,
        shade=np.array([0.40, 0.43, 0.50]) * rng.uniform(0.85, 1.12),
        sun=(float(np.cos(azimuth) * reach), float(-np.sin(azimuth) * reach)),
        noise=float(rng.uniform(1.5, 4.0)),
        gain=rng.uniform(0.93, 1.07) * rng.uniform(0.975, 1.025, 3),
        haze=rng.uniform(0, 9) * np.array([0.8, 0.9, 1.15]),
        blur=(float(1 - 2 * inner - 2 * outer), float(inner), float(outer)),
    )
