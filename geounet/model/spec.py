"""What a model package says about itself: everything needed to use its weights."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from geounet.errors import ModelError

NODATA = 255
"""Value of every label and confidence raster where the scene has no data; never a class."""

_COLOR = re.compile(r"^#[0-9a-fA-F]{6}$")
_NAME = re.compile(r"^[a-z0-9][a-z0-9_-]*$")


def rgb(color: str) -> tuple[int, int, int]:
    """``#rrggbb`` as three bytes."""
    red, green, blue = bytes.fromhex(color.removeprefix("#"))
    return red, green, blue


@dataclass(frozen=True, kw_only=True)
class LabelClass:
    """One class of a head."""

    value: int
    """Pixel value in the label raster, 0..254; the channel of the head that predicts it."""
    name: str
    color: str
    """``#rrggbb``."""

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not self.name:
            raise ModelError(f"class {self.value}: name {self.name!r}; expected text")
        if not isinstance(self.color, str) or not _COLOR.match(self.color):
            raise ModelError(f"class {self.name!r}: colour {self.color!r}; expected #rrggbb")

    @property
    def rgb(self) -> tuple[int, int, int]:
        """The colour as three bytes."""
        return rgb(self.color)


@dataclass(frozen=True, kw_only=True)
class Head:
    """One output of a network.

    ``classes``: softmax over the channels, one class per pixel.
    ``mask``: sigmoid of one channel; pixels at or above ``threshold`` are class 1, the others class 0.
    """

    name: str
    """Lower-case; names the output files (``<name>.tif``)."""
    kind: Literal["classes", "mask"]
    classes: tuple[LabelClass, ...]
    """In order of value, from 0. A mask has two: 0 what it is not, 1 what it is."""
    threshold: float = 0.5
    lines: bool = False
    """Of a mask: whether what it marks has centre-lines, as roads and rivers have."""

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not _NAME.match(self.name):
            raise ModelError(f"head name {self.name!r}: expected lower-case letters, digits, - and _")
        values = [c.value for c in self.classes]
        if values != list(range(len(values))) or not 1 <= len(values) < NODATA:
            raise ModelError(f"head {self.name!r}: class values {values}; expected 0, 1, 2, … in order")
        names = [c.name for c in self.classes]
        if len(set(names)) != len(names):
            raise ModelError(f"head {self.name!r}: class names {names} are not different")
        if self.kind not in ("classes", "mask"):
            raise ModelError(f"head {self.name!r}: kind {self.kind!r}; expected classes or mask")
        if self.kind == "mask" and len(values) != 2:
            raise ModelError(f"mask head {self.name!r} has {len(values)} classes; expected 2")
        if self.lines not in (True, False) or (self.lines and self.kind != "mask"):
            raise ModelError(
                f"head {self.name!r}: lines {self.lines!r}; expected true or false, and true of a mask only"
            )
        if not 0.0 < self.threshold < 1.0:
            raise ModelError(f"head {self.name!r}: threshold {self.threshold}; expected between 0 and 1")

    @property
    def channels(self) -> int:
        """Channels of the network's output that belong to this head."""
        return 1 if self.kind == "mask" else len(self.classes)

    @property
    def vector_values(self) -> tuple[int, ...]:
        """Pixel values that become polygons: all classes, but of a mask only what it marks."""
        return (1,) if self.kind == "mask" else tuple(c.value for c in self.classes)


@dataclass(frozen=True, kw_only=True)
class InputBand:
    """One input of the network, and how its raw pixel values are scaled: ``(value - mean) / std``."""

    name: str
    """What the band shows, by its common name: red, green, blue, nir, …"""
    mean: float
    """In raw pixel values of the scenes that the model was trained on."""
    std: float


_PYRAMIDS = ("smp:pspnet", "smp:upernet")
"""Architectures that pool into a number of bins which need not divide the side."""


@dataclass(frozen=True, kw_only=True)
class ModelSpec:
    """All that a package says besides the weights.

    The network maps ``(N, bands, tile, tile)`` scaled pixels to ``(N, channels, tile, tile)`` logits; the
    channels of the heads follow each other in the order of ``heads``.
    """

    name: str
    version: str = "0"
    description: str = ""
    license: str = ""
    architecture: str
    """``unet`` (geounet's own), ``smp:<arch>`` (segmentation-models-pytorch), or ``onnx``."""
    hyperparameters: Mapping[str, Any] = field(default_factory=dict)
    bands: tuple[InputBand, ...]
    dtype: str = "uint8"
    """dtype of the raw pixels that the scaling was made for; another one is reported."""
    stretch: tuple[float, float] | None = None
    """Raw values that the 2nd and 98th percentile of a scene are brought to, once for the whole scene
    (`geounet.model.stretch`); None: pixels are scaled as they are."""
    heads: tuple[Head, ...]
    tile: int = 512
    overlap: int = 128
    divisor: int = 32
    """The tile's side must be a multiple of this (the product of the network's strides)."""
    gsd: float | None = None
    """Ground sample distance, in metres, that the model was made for."""
    gsd_range: tuple[float, float] | None = None
    """Ground sample distances at which it is known to work."""
    receptive_field: int | None = None
    """Side in pixels of the square that decides a pixel (`geounet.model.receptive`); None: nobody measured it."""
    provenance: Mapping[str, Any] = field(default_factory=dict)
    """Training data, scores, versions, configuration: whatever the trainer recorded."""

    def __post_init__(self) -> None:
        if not self.bands or not self.heads:
            raise ModelError(f"model {self.name!r} has no bands or no heads; expected at least one of each")
        names = [h.name for h in self.heads]
        if len(set(names)) != len(names):
            raise ModelError(f"model {self.name!r}: head names {names} are not different")
        for suffix, what in (("_confidence", "confidence"), ("_cleaned", "cleaned labels")):
            taken = [n for n in names if n.endswith(suffix) and n.removesuffix(suffix) in names]
            if taken:  # <name>_confidence.tif is the confidence raster of <name>
                raise ModelError(
                    f"model {self.name!r}: head {taken[0]!r} and the {what} of head "
                    f"{taken[0].removesuffix(suffix)!r} would be one file; give it another name"
                )
        lines = {f"{h.name}_{what}" for h in self.heads if h.lines for what in ("lines", "nodes")}
        if both := sorted(lines.intersection(names)):
            raise ModelError(f"model {self.name!r}: head {both[0]!r} and centre-lines would be one file; rename it")
        bad = [b.name for b in self.bands if not (0 < b.std < math.inf and math.isfinite(b.mean))]
        if bad:
            raise ModelError(
                f"model {self.name!r}: bands {bad} have a mean that is not finite or a std that is not positive"
            )
        self._check_numbers()

    def _check_numbers(self) -> None:
        if self.stretch is not None and not (
            math.isfinite(self.stretch[0]) and self.stretch[0] < self.stretch[1] < math.inf
        ):
            raise ModelError(
                f"model {self.name!r}: stretch {list(self.stretch)}; expected two numbers, low and high"
            )
        whole = {"tile": self.tile, "overlap": self.overlap, "divisor": self.divisor}
        for name, value in whole.items():
            if isinstance(value, bool) or not isinstance(value, int) or value < (name != "overlap"):
                raise ModelError(f"model {self.name!r}: {name} {value!r}; expected a whole number of pixels")
        seen = self.receptive_field
        if seen is not None and (isinstance(seen, bool) or not isinstance(seen, int) or seen < 1):
            raise ModelError(f"model {self.name!r}: receptive field {seen!r}; expected a whole number of pixels")
        gsd = self.gsd
        if gsd is not None and (not isinstance(gsd, int | float) or not 0 < gsd < math.inf):
            raise ModelError(f"model {self.name!r}: gsd {gsd!r}; expected a positive number of metres")

    @property
    def channels(self) -> int:
        """Channels of the network's output, all heads together."""
        return sum(h.channels for h in self.heads)

    @property
    def graph_is_bound_to_tile(self) -> bool:
        """Whether an exported graph runs on tiles of ``tile`` only.

        The mirrored border of valid convolutions is laid out in Python for the side that is traced, and so are the
        bins of pyramid pooling.
        """
        mirrors = self.architecture == "unet" and self.hyperparameters.get("padding") == "valid"
        return mirrors or self.architecture.lower() in _PYRAMIDS

    def head_slices(self) -> list[tuple[Head, slice]]:
        """Each head with its slice of the output channels."""
        out, start = [], 0
        for head in self.heads:
            out.append((head, slice(start, start + head.channels)))
            start += head.channels
        return out
