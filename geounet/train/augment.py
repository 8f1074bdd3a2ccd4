"""What happens to windows before the network sees them: Kornia's operators, and dice of our own.

Kornia's augmentation classes draw from torch's one generator, which other threads use too; its functions take what
was drawn. So each window's dice are thrown here, from a generator that the caller seeds, and a batch is the same
whoever makes it, and on any number of threads.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from geounet.errors import MissingExtraError
from geounet.train.config import AugmentConfig

if TYPE_CHECKING:
    from types import ModuleType

_BLUR = 9
"""Taps; 4 pixels either way."""
_HALF = 0.5
_CUT = (0.1, 0.5)
"""Share of a window that is pasted over."""
_LIGHT = ("brightness", "contrast", "gamma", "gain", "saturation", "blur", "noise")
"""What another sensor brings in its own way."""
SEEDS = 2**32


@dataclass(frozen=True, kw_only=True)
class Dice:
    """What was drawn for one window."""

    scale: float
    """Ground side over the crop's."""
    degrees: float
    symmetry: int
    """0 to 7."""
    nodes: NDArray[np.float32] | None
    """``(2, n, n)`` shifts of a lattice of points, in pixels; None: nothing is bent."""
    gain: NDArray[np.float32]
    """``(bands,)``; this and the next are factors, 1 is nothing."""
    gamma: float
    saturation: float
    contrast: float
    brightness: float
    """Added."""
    blur: float
    """Standard deviation in pixels; 0 is nothing."""
    grain: NDArray[np.float32] | None
    """``(bands, crop, crop)`` added; None: no noise."""
    kept: NDArray[np.bool_]
    """``(bands,)``; False: wiped out."""
    cut: tuple[slice, slice] | None
    """Rows and columns that another window covers."""
    sensor: int | None = None
    """Seed of another sensor; None: the window is as it was taken, but for the light above."""
    palette: int | None = None
    """Seed of another palette."""

    @property
    def is_warped(self) -> bool:
        """Whether the window is turned or bent, which asks for more ground than the crop."""
        return self.degrees != 0 or self.nodes is not None


def throw(rng: np.random.Generator, config: AugmentConfig, *, crop: int, bands: int) -> Dice:
    """Draw what will happen to one window; what is off takes nothing from ``rng``."""

    def factor(strength: float) -> float:
        return float(np.exp(rng.uniform(-strength, strength))) if strength else 1.0

    def often(strength: float, chance: float = _HALF) -> bool:
        return strength > 0 and rng.random() < chance

    sensor = int(rng.integers(SEEDS)) if often(config.sensor_share, config.sensor_share) else None
    if sensor is not None:
        config = config.model_copy(update=dict.fromkeys(_LIGHT, 0.0))
    low, high = np.log(config.scale)
    scale = float(np.exp(rng.uniform(low, high))) if high > low else config.scale[0]
    turned = often(config.rotate, config.rotate_share)
    bent = often(config.elastic)
    count = max(2, math.ceil(crop / config.elastic_length)) + 1
    return Dice(
        scale=scale,
        degrees=float(rng.uniform(-config.rotate, config.rotate)) if turned else 0.0,
        symmetry=int(rng.integers(8)) if config.symmetries else 0,
        nodes=rng.uniform(-config.elastic, config.elastic, (2, count, count)).astype(np.float32) if bent else None,
        gain=np.array([factor(config.gain) for _ in range(bands)], np.float32),
        gamma=factor(config.gamma),
        saturation=factor(config.saturation),
        contrast=factor(config.contrast),
        brightness=float(rng.uniform(-config.brightness, config.brightness)) if config.brightness else 0.0,
        blur=float(rng.uniform(0, config.blur)) if often(config.blur) else 0.0,
        grain=_grain(rng, config.noise, (bands, crop, crop)) if often(config.noise) else None,
        kept=_kept(rng, config.channel_dropout, bands),
        cut=_rectangle(rng, crop) if often(config.cutmix, config.cutmix) else None,
        sensor=sensor,
    )


def _grain(rng: np.random.Generator, strength: float, shape: tuple[int, int, int]) -> NDArray[np.float32]:
    return rng.standard_normal(shape, dtype=np.float32) * np.float32(rng.uniform(0, strength))


def _kept(rng: np.random.Generator, chance: float, bands: int) -> NDArray[np.bool_]:
    kept = rng.random(bands) >= chance if chance else np.ones(bands, bool)
    if not kept.any():
        kept[rng.integers(bands)] = True
    return kept


def _rectangle(rng: np.random.Generator, crop: int) -> tuple[slice, slice]:
    """A square of 10 to 50 % of the window, anywhere in it."""
    side = max(1, round(crop * math.sqrt(rng.uniform(*_CUT))))
    top, left = (int(v) for v in rng.integers(0, crop - side + 1, 2))
    return slice(top, top + side), slice(left, left + side)


def wide_side(config: AugmentConfig, crop: int) -> int:
    """Side in pixels of the window that turning and bending need to leave a full crop."""
    return math.ceil(crop * rotation_margin(min(config.rotate, 45.0))) + 2 * math.ceil(config.elastic)


def rotation_margin(degrees: float) -> float:
    """Side of the window that a turned unit square needs."""
    return abs(math.cos(math.radians(degrees))) + abs(math.sin(math.radians(degrees)))


def resize(image: Tensor, labels: Tensor, side: int) -> tuple[Tensor, Tensor]:
    """A square window ``(bands, s, s)`` float32 and its labels ``(s, s)`` at another side; labels by nearest."""
    if image.shape[-1] == side:
        return image, labels
    shrink = side < image.shape[-1]
    image = F.interpolate(image[None], (side, side), mode="bilinear", antialias=shrink, align_corners=False)[0]
    nearest = F.interpolate(labels[None, None].float(), (side, side), mode="nearest-exact")
    return image, nearest[0, 0].to(labels.dtype)


def warp(images: Tensor, labels: Tensor, dice: Sequence[Dice], *, crop: int) -> tuple[Tensor, Tensor]:
    """The middle of windows ``(N, bands, W, W)`` and labels ``(N, W, W)``, turned and bent in one resampling."""
    remap = _kornia("geometry.transform").remap
    wide, device = images.shape[-1], images.device
    steps = torch.arange(crop, device=device, dtype=torch.float32) - (crop - 1) / 2
    y, x = torch.meshgrid(steps, steps, indexing="ij")
    angles = torch.tensor([math.radians(d.degrees) for d in dice], device=device)[:, None, None]
    cos, sin = torch.cos(angles), torch.sin(angles)
    shift = torch.stack([_bend(d, crop, device) for d in dice])  # (N, 2, crop, crop)
    map_x = cos * x - sin * y + (wide - 1) / 2 + shift[:, 0]
    map_y = sin * x + cos * y + (wide - 1) / 2 + shift[:, 1]
    options: dict[str, Any] = {"padding_mode": "border", "align_corners": True}
    images = remap(images, map_x, map_y, mode="bilinear", **options)
    moved = remap(labels[:, None].float(), map_x, map_y, mode="nearest", **options)
    return images, moved[:, 0].to(labels.dtype)


def _bend(dice: Dice, crop: int, device: torch.device) -> Tensor:
    """``(2, crop, crop)`` shifts in pixels, smooth between the nodes."""
    if dice.nodes is None:
        return torch.zeros(2, crop, crop, device=device)
    nodes = torch.from_numpy(dice.nodes).to(device)[None]
    limit = float(np.abs(dice.nodes).max())
    return F.interpolate(nodes, (crop, crop), mode="bicubic", align_corners=True)[0].clamp(-limit, limit)


def symmetry(image: Tensor, labels: Tensor, which: int) -> tuple[Tensor, Tensor]:
    """One of the eight symmetries of the square, 0 to 7."""
    image, labels = torch.rot90(image, which % 4, (1, 2)), torch.rot90(labels, which % 4, (0, 1))
    return (image.flip(2), labels.flip(1)) if which > 3 else (image, labels)


def photometric(pixels: Tensor, dice: Sequence[Dice]) -> Tensor:
    """Another light and another sensor over a batch ``(N, bands, H, W)``.

    0 to 1 is the range of a band; what lies outside it stays outside by as much, which no 8-bit image notices.
    """
    enhance = _kornia("enhance")

    def given(name: str) -> Tensor:
        return torch.tensor([getattr(d, name) for d in dice], device=pixels.device, dtype=torch.float32)

    if not any(_is_lit(d) for d in dice):
        return pixels
    inside = pixels.clamp(0, 1)
    outside = pixels - inside
    gains = torch.from_numpy(np.stack([d.gain for d in dice])).to(pixels.device)
    if (gains != 1).any():
        inside = (inside * gains[:, :, None, None]).clamp(0, 1)
    if (gamma := given("gamma")).ne(1).any():
        inside = enhance.adjust_gamma(inside, gamma)
    if (saturation := given("saturation")).ne(1).any():
        inside = _saturate(inside, saturation)
    if (contrast := given("contrast")).ne(1).any():
        inside = enhance.adjust_contrast_with_mean_subtraction(inside, contrast)
    if (brightness := given("brightness")).ne(0).any():
        inside = enhance.adjust_brightness(inside, brightness)
    if (sigmas := given("blur")).ne(0).any():
        inside = blur(inside, sigmas)
    for row, d in enumerate(dice):
        if d.grain is not None:
            inside[row] = (inside[row] + torch.from_numpy(d.grain).to(pixels.device)).clamp(0, 1)
    return inside + outside


def _is_lit(dice: Dice) -> bool:
    """Whether light or sensor are another."""
    factors = (dice.gamma, dice.saturation, dice.contrast, 1 + dice.brightness, 1 + dice.blur)
    return dice.grain is not None or any(f != 1 for f in factors) or bool((dice.gain != 1).any())


def _saturate(pixels: Tensor, factor: Tensor) -> Tensor:
    """Away from or towards grey. Kornia's takes three bands; the grey of others is their mean."""
    if pixels.shape[1] == 3:
        out: Tensor = _kornia("enhance").adjust_saturation_with_gray_subtraction(pixels, factor)
        return out
    grey = pixels.mean(1, keepdim=True)
    return (grey + (pixels - grey) * factor[:, None, None, None]).clamp(0, 1)


def blur(pixels: Tensor, sigma: Tensor) -> Tensor:
    """Gaussian blur with one standard deviation ``(N,)`` in pixels per sample; 0 leaves a sample as it is."""
    blurred = sigma > 0
    if min(pixels.shape[-2:]) < _BLUR or not blurred.any():
        return pixels
    sigmas = sigma[blurred][:, None].expand(-1, 2)
    out = pixels.clone()
    out[blurred] = _kornia("filters").gaussian_blur2d(pixels[blurred], _BLUR, sigmas, "replicate")
    return out


def _kornia(room: str) -> ModuleType:
    from importlib import import_module

    try:
        return import_module(f"kornia.{room}")
    except ModuleNotFoundError as error:
        raise MissingExtraError("kornia", "train", "augmenting what is trained on") from error
