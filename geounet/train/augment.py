"""What happens to a window before the network sees it. All randomness comes from the caller's generator."""

from __future__ import annotations

import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from geounet.train.config import AugmentConfig

_RADIUS = 4


def resize(image: Tensor, labels: Tensor, side: int) -> tuple[Tensor, Tensor]:
    """A square window ``(bands, s, s)`` float32 and its labels ``(s, s)`` at another side; labels by nearest."""
    if image.shape[-1] == side:
        return image, labels
    shrink = side < image.shape[-1]
    image = F.interpolate(image[None], (side, side), mode="bilinear", antialias=shrink, align_corners=False)[0]
    nearest = F.interpolate(labels[None, None].float(), (side, side), mode="nearest-exact")
    return image, nearest[0, 0].to(labels.dtype)


def rotate(image: Tensor, labels: Tensor, *, degrees: float, side: int) -> tuple[Tensor, Tensor]:
    """The central ``side`` × ``side`` pixels, turned; the window must be `rotation_margin` times as large."""
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    share = side / image.shape[-1]
    turn = torch.tensor([[[cos * share, -sin * share, 0.0], [sin * share, cos * share, 0.0]]])
    grid = F.affine_grid(turn, [1, 1, side, side], align_corners=False)
    image = F.grid_sample(image[None], grid, padding_mode="border", align_corners=False)[0]
    turned = F.grid_sample(
        labels[None, None].float(), grid, mode="nearest", padding_mode="border", align_corners=False
    )
    return image, turned[0, 0].to(labels.dtype)


def rotation_margin(degrees: float) -> float:
    """Side of the window that a turned unit square needs."""
    return abs(math.cos(math.radians(degrees))) + abs(math.sin(math.radians(degrees)))


def symmetry(image: Tensor, labels: Tensor, which: int) -> tuple[Tensor, Tensor]:
    """One of the eight symmetries of the square, 0 to 7."""
    image, labels = torch.rot90(image, which % 4, (1, 2)), torch.rot90(labels, which % 4, (0, 1))
    return (image.flip(2), labels.flip(1)) if which > 3 else (image, labels)


def photometric(pixels: Tensor, config: AugmentConfig, rng: np.random.Generator) -> Tensor:
    """Another light and another sensor over a batch ``(N, bands, H, W)`` of values in about 0..1."""
    count, bands = pixels.shape[:2]

    def factor(strength: float, channels: int = 1) -> Tensor:
        drawn = rng.uniform(-strength, strength, (count, channels, 1, 1))
        return torch.from_numpy(np.exp(drawn).astype(np.float32))

    if config.gain:
        pixels = pixels * factor(config.gain, bands)
    if config.gamma:
        pixels = pixels.clamp(min=1e-3) ** factor(config.gamma)
    if config.saturation and bands > 1:
        grey = pixels.mean(1, keepdim=True)
        pixels = grey + (pixels - grey) * factor(config.saturation)
    if config.contrast or config.brightness:
        shift = rng.uniform(-config.brightness, config.brightness, (count, 1, 1, 1)).astype(np.float32)
        middle = pixels.mean((1, 2, 3), keepdim=True)
        pixels = middle + (pixels - middle) * factor(config.contrast) + torch.from_numpy(shift)
    if config.blur:
        pixels = blur(pixels, rng.uniform(0, config.blur, count) * (rng.random(count) < 0.5))
    if config.noise:
        sigma = (rng.uniform(0, config.noise, count) * (rng.random(count) < 0.5)).astype(np.float32)
        grain = torch.from_numpy(rng.standard_normal(pixels.shape, dtype=np.float32))
        pixels = pixels + grain * torch.from_numpy(sigma).view(-1, 1, 1, 1)
    return pixels.clamp(0, 1)


def blur(pixels: Tensor, sigma: np.ndarray[tuple[int], np.dtype[np.float64]]) -> Tensor:
    """Gaussian blur with one standard deviation in pixels per sample; 0 leaves a sample as it is."""
    count, bands, height, width = pixels.shape
    offset = np.arange(-_RADIUS, _RADIUS + 1)
    taps = np.exp(-0.5 * (offset[None] / np.maximum(sigma, 1e-3)[:, None]) ** 2)
    taps = (taps / taps.sum(1, keepdims=True)).astype(np.float32)
    kernel = torch.from_numpy(np.repeat(taps, bands, axis=0))
    planes = pixels.reshape(1, count * bands, height, width)
    planes = F.pad(planes, (_RADIUS,) * 4, mode="replicate")
    planes = F.conv2d(planes, kernel[:, None, :, None], groups=count * bands)
    planes = F.conv2d(planes, kernel[:, None, None, :], groups=count * bands)
    return planes.reshape(count, bands, height, width)
