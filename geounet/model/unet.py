"""The U-Net of the literature.

Ronneberger, Fischer, Brox: "U-Net: Convolutional Networks for Biomedical Image Segmentation", MICCAI 2015
(arXiv:1505.04597); with batch normalisation as has become usual since, and optionally with the paper's valid
convolutions, whose missing border is extrapolated by mirroring the input (its figure 2).
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from geounet.errors import ModelError


@dataclass(frozen=True, kw_only=True)
class UNetConfig:
    """Hyperparameters of :class:`UNet`."""

    bands: int
    channels: int
    depth: int = 4
    """How many times the resolution is halved."""
    width: int = 64
    """Features at full resolution; doubled at every level."""
    upsampling: Literal["transposed", "bilinear"] = "transposed"
    padding: Literal["same", "valid"] = "same"
    batch_norm: bool = True
    dropout: float = 0.0
    """At the deepest level, as in the paper."""

    def __post_init__(self) -> None:
        if min(self.bands, self.channels, self.width) < 1 or self.depth < 0:
            raise ModelError(f"U-Net of {self}: expected bands, channels and width ≥ 1, depth ≥ 0")
        if self.upsampling not in ("transposed", "bilinear") or self.padding not in ("same", "valid"):
            raise ModelError(
                f"U-Net with upsampling {self.upsampling!r} and padding {self.padding!r}; "
                "expected transposed or bilinear, and same or valid"
            )

    @property
    def margin(self) -> int:
        """Pixels that the valid network loses over all four sides' halves together; 0 for "same".

        Every double convolution takes 4 pixels of its own level; down and up paths pass each level but the
        deepest twice. For the paper's depth of 4 this is 184 (572 in, 388 out).
        """
        if self.padding == "same":
            return 0
        return sum(8 * 2**level for level in range(self.depth)) + 4 * 2**self.depth


class UNet(nn.Module):
    """Maps ``(N, bands, H, W)`` to logits ``(N, channels, H, W)``, any ``H`` and ``W`` of at least 1."""

    def __init__(self, config: UNetConfig) -> None:
        super().__init__()
        self.config = config
        widths = [config.width * 2**level for level in range(config.depth + 1)]
        self.stem = double_conv(config.bands, widths[0], config)
        self.down = nn.ModuleList(double_conv(a, b, config) for a, b in pairwise(widths))
        self.up = nn.ModuleList(Up(b, a, config) for a, b in zip(widths[-2::-1], widths[:0:-1], strict=True))
        self.dropout = nn.Dropout2d(config.dropout)
        self.head = nn.Conv2d(widths[0], config.channels, kernel_size=1)

    def forward(self, x: Tensor) -> Tensor:
        """Logits at every pixel of ``x``."""
        height, width = x.shape[-2:]
        x = self.stem(self._grow(x))
        skips: list[Tensor] = []
        for down in self.down:
            skips.append(x)
            x = down(F.max_pool2d(x, kernel_size=2))
        x = self.dropout(x)
        for up in self.up:
            x = up(x, skips.pop())
        return centre_crop(self.head(x), height, width)

    def _grow(self, x: Tensor) -> Tensor:
        """Mirror the input outwards until the network can halve it evenly and still covers it.

        "same" needs that only where a side is shorter than the deepest stride; its convolutions pad with
        zeros themselves, and odd sides are dealt with where the skips are joined.
        """
        shortest = 2**self.config.depth
        if self.config.padding == "same":
            sides = [max(int(s), shortest) for s in x.shape[-2:]]
        else:
            sides = [even_input(int(s), self.config) for s in x.shape[-2:]]
        return mirror_to(x, *sides)


class Up(nn.Module):
    """Doubles the resolution, joins the skip, convolves twice: ``(N, b, h, w)`` to ``(N, a, ~2h, ~2w)``."""

    def __init__(self, deep: int, shallow: int, config: UNetConfig) -> None:
        super().__init__()
        self.grow: nn.Module
        if config.upsampling == "transposed":
            self.grow = nn.ConvTranspose2d(deep, shallow, kernel_size=2, stride=2)
        else:
            self.grow = nn.Sequential(
                nn.Upsample(scale_factor=2, mode="bilinear", align_corners=False),
                nn.Conv2d(deep, shallow, kernel_size=1),
            )
        self.convolve = double_conv(2 * shallow, shallow, config)
        self.valid = config.padding == "valid"

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        """The features one level up."""
        x = self.grow(x)
        if self.valid:
            skip = centre_crop(skip, x.shape[-2], x.shape[-1])
        else:  # an odd side lost its last row in the pooling: repeat the one before it
            missing_rows, missing_cols = skip.shape[-2] - x.shape[-2], skip.shape[-1] - x.shape[-1]
            x = F.pad(x, (0, missing_cols, 0, missing_rows), mode="replicate")
        return self.convolve(torch.cat([skip, x], dim=1))


def double_conv(inputs: int, outputs: int, config: UNetConfig) -> nn.Sequential:
    """(3×3 convolution, batch normalisation, ReLU) twice."""
    layers: list[nn.Module] = []
    for features in (inputs, outputs):
        padding = 1 if config.padding == "same" else 0
        layers.append(nn.Conv2d(features, outputs, 3, padding=padding, bias=not config.batch_norm))
        layers += [nn.BatchNorm2d(outputs)] if config.batch_norm else []
        layers.append(nn.ReLU(inplace=True))
    return nn.Sequential(*layers)


def even_input(size: int, config: UNetConfig) -> int:
    """The smallest side that all levels of a valid network halve evenly and whose output covers ``size``."""
    deepest = 1
    while True:
        side = deepest  # of the output of the deepest double convolution
        for _ in range(config.depth):
            side = 2 * side - 4
        if side >= size:
            return side + config.margin
        deepest += 1


def mirror_to(x: Tensor, height: int, width: int) -> Tensor:
    """``x`` in the middle of ``(…, height, width)``, mirrored outwards as often as needed."""
    rows = mirror_indices(int(x.shape[-2]), height).to(x.device)
    cols = mirror_indices(int(x.shape[-1]), width).to(x.device)
    if height != x.shape[-2]:
        x = x.index_select(-2, rows)
    if width != x.shape[-1]:
        x = x.index_select(-1, cols)
    return x


def mirror_indices(size: int, grown: int) -> Tensor:
    """Indices into ``size`` entries that show them in the middle of ``grown``, mirrored at both ends."""
    position = torch.arange(grown) - (grown - size) // 2
    if size == 1:
        return torch.zeros(grown, dtype=torch.long)
    period = 2 * (size - 1)
    return (size - 1) - ((position % period) - (size - 1)).abs()


def centre_crop(x: Tensor, height: int, width: int) -> Tensor:
    """The middle ``(…, height, width)`` of ``x``; inverse of :func:`mirror_to`."""
    top, left = (x.shape[-2] - height) // 2, (x.shape[-1] - width) // 2
    return x[..., top : top + height, left : left + width]
