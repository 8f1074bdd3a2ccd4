"""Scenes in the exposure that a model knows: one shift and one gain for all pixels and bands of a scene.

A model whose training scenes were all stretched to the full range of their bytes sees little in a scene that was
not. What it takes to stretch a scene alike is found once, in a fixed sample of the whole scene
(`geounet.grid.spread`), and becomes part of the scaling of its bands: engines know nothing of it, and no tile is
ever looked at by itself.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geounet.model.spec import InputBand, ModelSpec

PERCENTILES = (2, 98)
"""Of the valid pixels of all bands together."""
MOST_GAIN = 4.0
"""A scene that shows one thing only would become noise. For pixels of the model's own type."""
_STEPS = 128  # at least so many between the two: what changes in a corner of a scene should not change all of it
_FLAT = 1e-6  # times the values: no more than rounding
_LEAST = 1e-30

Limits = tuple[float, float]
"""Raw values at the percentiles."""


def find_limits(pieces: Iterable[tuple[NDArray[Any], NDArray[np.bool_]]]) -> Limits | None:
    """The percentiles of pixels ``(bands, height, width)`` where they are valid, to a hundredth; None without any.

    They are multiples of a power of two that is 1/256 to 1/128 of what lies between them.
    """
    seen = [pixels[:, valid].ravel() for pixels, valid in pieces]
    values = np.concatenate(seen) if seen else np.empty(0, np.float32)
    if values.dtype.kind == "f":
        values = values[np.isfinite(values)]
    if not values.size:
        return None
    low, high = (float(value) for value in np.percentile(values.astype(np.float64), PERCENTILES))
    if not math.isfinite(high - low):
        return None
    if high - low < _LEAST:
        return low, high
    step = 2.0 ** math.floor(math.log2((high - low) / _STEPS))
    return round(low / step) * step, round(high / step) * step


def stretch_of(spec: ModelSpec, limits: Limits | None, *, dtype: str) -> tuple[float, float]:
    """Gain and offset that bring raw pixels of a scene with these limits to those that the model knows.

    1 and 0 where the model takes pixels as they are, or there is nothing to go by.
    """
    if spec.stretch is None or limits is None:
        return 1.0, 0.0
    (low, high), (known_low, known_high) = limits, spec.stretch
    if high - low <= _FLAT * max(abs(low), abs(high)) or high - low < _LEAST:
        return 1.0, (known_low + known_high) / 2 - low
    gain = (known_high - known_low) / (high - low)
    if dtype == spec.dtype:
        gain = min(gain, MOST_GAIN)
    return gain, (known_low + known_high) / 2 - gain * (low + high) / 2


def stretched(spec: ModelSpec, limits: Limits | None, *, dtype: str) -> ModelSpec:
    """The spec whose bands scale raw pixels of a scene as ``spec`` scales them after its stretch."""
    gain, offset = stretch_of(spec, limits, dtype=dtype)
    if (gain, offset) == (1.0, 0.0):
        return spec
    bands = (InputBand(name=b.name, mean=(b.mean - offset) / gain, std=b.std / gain) for b in spec.bands)
    return replace(spec, bands=tuple(bands))
