"""Colours of one seed: another seed looks like another town under another sensor."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

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


def make_palette(seed: int) -> Palette:
    """The colours of a seed, around what 0.5 m imagery of dry cities shows."""
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
