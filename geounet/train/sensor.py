"""Another sensor over a window: what a camera, its processing and its storage change, and the ground does not.

A network that saw one satellite takes its colours for the ground's. Each change here is one that products of other
sensors show: tint, mixed bands, tone, saturation, spread or darkness, optics, noise, compression. How often and how
strongly is fixed; `docs/default-model.md` says what it gave.
"""

from __future__ import annotations

import io
import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from geounet.train.augment import blur

_PICTURES = (1, 3)
"""Numbers of bands that a JPEG takes."""


def another_sensor(pixels: Tensor, seed: int) -> Tensor:
    """``(bands, H, W)`` of 0 to 1, as another sensor would have delivered it; all chance comes from ``seed``.

    What lies outside the range stays outside by as much.
    """
    rng = np.random.default_rng(seed)
    inside = pixels.clamp(0, 1)
    outside = pixels - inside
    for change in (_tint, _mix, _tone, _saturate, _spread, _optics, _grain):
        inside = change(inside, rng)
    return _compress(inside.clamp(0, 1), rng) + outside


def _like(values: NDArray[np.float64], pixels: Tensor) -> Tensor:
    return torch.from_numpy(values.astype(np.float32)).to(pixels.device)


def _factor(rng: np.random.Generator, low: float, high: float) -> float:
    return math.exp(rng.uniform(low, high))


def _per_band(rng: np.random.Generator, strength: float, pixels: Tensor) -> Tensor:
    """Numbers ``(bands, 1, 1)`` up to the strength, either way."""
    return _like(rng.uniform(-strength, strength, (len(pixels), 1, 1)), pixels)


def _tint(pixels: Tensor, rng: np.random.Generator) -> Tensor:
    """Another gain of each band."""
    return pixels * _per_band(rng, 0.22, pixels).exp() if rng.random() < 0.5 else pixels


def _mix(pixels: Tensor, rng: np.random.Generator) -> Tensor:
    """Other filters: each band sees a little of the others."""
    if rng.random() >= 0.25:
        return pixels
    bands = len(pixels)
    matrix = np.eye(bands) + rng.uniform(-0.25, 0.25, (bands, bands))
    sums = matrix.sum(1, keepdims=True)
    return torch.einsum("ij,jhw->ihw", _like(matrix / np.maximum(sums, 0.25), pixels), pixels)


def _tone(pixels: Tensor, rng: np.random.Generator) -> Tensor:
    """Another gamma."""
    return pixels.clamp(1e-3, 1) ** _factor(rng, -0.6, 0.6) if rng.random() < 0.6 else pixels


def _saturate(pixels: Tensor, rng: np.random.Generator) -> Tensor:
    """Towards grey or away from it."""
    if rng.random() >= 0.6:
        return pixels
    grey = pixels.mean(0, keepdim=True)
    return grey + (pixels - grey) * _factor(rng, -1.2, 0.9)


def _spread(pixels: Tensor, rng: np.random.Generator) -> Tensor:
    """Another stretch: more or less contrast, a mean and deviation of its own, or dark as if never stretched."""
    which = rng.random()
    if which < 0.45:
        mean = pixels.mean()
        return mean + (pixels - mean) * _factor(rng, -0.7, 0.4) + float(rng.uniform(-0.18, 0.18))
    if which < 0.7:
        mean, deviation = pixels.mean((1, 2), keepdim=True), pixels.std((1, 2), keepdim=True) + 0.02
        middle, width = float(rng.uniform(0.12, 0.65)), float(rng.uniform(0.06, 0.26))
        offset = _per_band(rng, 0.06, pixels) * min(1.0, middle / 0.3)
        return (pixels - mean) / deviation * width * _per_band(rng, 0.15, pixels).exp() + middle + offset
    return pixels * float(rng.uniform(0.25, 0.6)) if which < 0.8 else pixels


def _optics(pixels: Tensor, rng: np.random.Generator) -> Tensor:
    """Softer, or sharpened again."""
    if rng.random() < 0.55:
        pixels = _blurred(pixels, float(rng.uniform(0.3, 1.8)))
    if rng.random() < 0.12:
        pixels = pixels + (pixels - _blurred(pixels, 1.2)) * float(rng.uniform(0.3, 1.2))
    return pixels


def _blurred(pixels: Tensor, sigma: float) -> Tensor:
    return blur(pixels[None], torch.tensor([sigma], device=pixels.device))[0]


def _grain(pixels: Tensor, rng: np.random.Generator) -> Tensor:
    """Noise."""
    if rng.random() >= 0.35:
        return pixels
    noise = torch.from_numpy(rng.standard_normal(tuple(pixels.shape), dtype=np.float32)).to(pixels.device)
    return pixels + noise * float(rng.uniform(0, 0.05))


def _compress(pixels: Tensor, rng: np.random.Generator) -> Tensor:
    """A JPEG of quality 25 to 85; other numbers of bands stay as they are."""
    if rng.random() >= 0.2 or len(pixels) not in _PICTURES:
        return pixels
    from PIL import Image

    bytes_ = (pixels * 255).byte().permute(1, 2, 0).cpu().numpy()
    file = io.BytesIO()
    Image.fromarray(bytes_.squeeze()).save(file, "JPEG", quality=int(rng.integers(25, 85)))
    read = np.atleast_3d(np.array(Image.open(file)))
    return torch.from_numpy(read).permute(2, 0, 1).to(pixels.device, torch.float32) / 255
