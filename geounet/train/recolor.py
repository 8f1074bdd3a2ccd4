"""Another palette over a window, class by class: asphalt that is pale, soil that is red, land that is lawn.

The colours of one place say too much of its classes. A class keeps its texture, on a faint scale, around another
colour; the classes' borders are soft, as pixels there are mixed.
"""

from __future__ import annotations

import colorsys
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from geounet.train.augment import blur
from geounet.train.config import PaintConfig, RecolorConfig, TrainConfig

_FEW = 30
"""Pixels: a class of fewer stays as it is."""


@dataclass(frozen=True, kw_only=True)
class Palette:
    """The paints of the classes, by value."""

    settings: RecolorConfig
    paints: dict[int, tuple[PaintConfig, ...]]
    classes: int
    relabel: tuple[int, int] | None
    """Value of the class that becomes another, and of that other."""

    @classmethod
    def of(cls, config: TrainConfig) -> Palette | None:
        """What the training file says; None: nothing is recolored."""
        settings = config.augment.recolor
        if settings is None:
            return None
        values = {c.name: value for value, c in enumerate(config.classes)}
        change = settings.relabel
        return cls(
            settings=settings,
            paints={values[name]: paints for name, paints in settings.paints.items()},
            classes=len(values),
            relabel=None if change is None else (values[change.of], values[change.becomes]),
        )

    def share(self, *, drawn: bool) -> float:
        """Of the windows of photographed or of drawn scenes."""
        return self.settings.drawn_share if drawn else self.settings.share


def recolor(pixels: Tensor, labels: Tensor, palette: Palette, seed: int) -> tuple[Tensor, Tensor]:
    """``(3, H, W)`` of 0 to 1 and labels ``(H, W)`` in other colours; all chance comes from ``seed``.

    Pixels that belong to no class stay, but for the soft border to their neighbours; so does what lies outside the
    range, by as much.
    """
    rng = np.random.default_rng(seed)
    inside = pixels.clamp(0, 1)
    change, (of, becomes) = palette.settings.relabel, palette.relabel or (None, None)
    covers = _covers(labels, palette.classes, sigma=float(rng.uniform(0.4, 1.5)))
    turned = of if change and rng.random() < change.share else None
    kept, painted = covers[-1].clone(), torch.zeros_like(inside)
    for value in range(palette.classes):
        cover = covers[value]
        paints = change.paints if change and value == turned else palette.paints.get(value)
        chosen = rng.random() < palette.settings.class_share or value == turned
        if paints is None or not chosen or float(cover.sum()) < _FEW:  # a speck that is relabelled is no harm
            kept += cover
            continue
        painted += cover * (_painted(inside, cover, paints, rng) if paints else _brighter(inside, rng))
    out = (painted + kept * inside).clamp(0, 1) + (pixels - inside)
    if turned is not None and becomes is not None:
        labels = labels.masked_fill(labels == turned, becomes)
    return out, labels


def _covers(labels: Tensor, classes: int, *, sigma: float) -> Tensor:
    """How much of a pixel each class covers ``(classes + 1, H, W)``; the last is what belongs to none."""
    one = F.one_hot(labels.long().clamp(max=classes), classes + 1).permute(2, 0, 1)[None].float()
    return blur(one, torch.tensor([sigma], device=labels.device))[0]


def _painted(pixels: Tensor, cover: Tensor, paints: Sequence[PaintConfig], rng: np.random.Generator) -> Tensor:
    """The texture of a class around another colour."""
    mean = (pixels * cover).sum((1, 2), keepdim=True) / cover.sum()
    texture = (pixels - mean) * float(rng.uniform(0.4, 1.3))
    grain = torch.from_numpy(rng.standard_normal(tuple(cover.shape), dtype=np.float32)).to(pixels.device)
    return _color(paints, rng).to(pixels.device) + texture + grain * float(rng.uniform(0, 0.02))


def _color(paints: Sequence[PaintConfig], rng: np.random.Generator) -> Tensor:
    """``(3, 1, 1)``"""
    weights = np.array([paint.weight for paint in paints])
    paint = paints[int(rng.choice(len(paints), p=weights / weights.sum()))]
    hue, saturation, value = (float(rng.uniform(*span)) for span in (paint.hue, paint.saturation, paint.value))
    return torch.tensor(colorsys.hsv_to_rgb(hue, saturation, value), dtype=torch.float32)[:, None, None]


def _brighter(pixels: Tensor, rng: np.random.Generator) -> Tensor:
    """Brighter or darker, and a little tinted."""
    factors = np.exp(rng.uniform(-0.5, 0.3) + rng.uniform(-0.15, 0.15, (3, 1, 1))).astype(np.float32)
    return pixels * torch.from_numpy(factors).to(pixels.device)
