"""The training file as a whole: YAML → checked, frozen values."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import Field, ValidationInfo, field_validator, model_validator

from geounet.sections import Section, read_sections
from geounet.train.config.augment import AugmentConfig, RecolorConfig
from geounet.train.config.data import BandConfig, ClassConfig, DataConfig
from geounet.train.config.learning import FinishConfig, HeadConfig, NetworkConfig, OptimiserConfig, ScheduleConfig

RESERVED = ("cache", "tensorboard", "finish")
"""Names that the package's folder may not have: training keeps its decoded scenes and its events there."""

_WORDS: Any = {
    "data": {"cache_gb", "readers"},
    **dict.fromkeys(("version", "description", "license", "notes", "finish", "mix_start"), True),
}
"""What the weights of a checkpoint do not depend on; those after ``finish`` have a digest of their own."""


class TrainConfig(Section):
    """The whole training file."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]*$")
    """Of the model; its package becomes the folder of this name beside the checkpoints."""
    version: str = "0"
    description: str = ""
    license: str = ""
    seed: int = Field(default=0, ge=0)
    bands: tuple[BandConfig, ...] = Field(min_length=1)
    classes: tuple[ClassConfig, ...] = Field(min_length=1, max_length=254)
    heads: tuple[HeadConfig, ...] = Field(min_length=1)
    head_weights: Literal["fixed", "learned"] = "fixed"
    """Whether the heads' losses are weighed by their ``weight`` alone or also by what is learned of their noise."""
    network: NetworkConfig = NetworkConfig()
    data: DataConfig
    augment: AugmentConfig = AugmentConfig()
    optimiser: OptimiserConfig
    schedule: ScheduleConfig = ScheduleConfig()
    finish: FinishConfig | None = None
    """Then on all scenes: what is shipped, with the scores from before."""
    stretch: tuple[float, float] | None = None
    """Raw values that the 2nd and 98th percentile of every scene are brought to, once for the whole scene."""
    stretch_learned: bool = True
    """Whether those that are learned from are stretched too; augmentation may vary their exposure enough."""
    gsd: float | None = None
    gsd_range: tuple[float, float] | None = None
    half: bool = True
    """Save convolution weights as float16."""
    ship: Literal["best", "last"] = "best"
    """Which weights become the package: the best validated ones or the last ones."""
    mix_start: float = Field(default=0.0, ge=0, lt=1)
    """Share in what is shipped of the weights that training began with, where those are of the whole network."""
    tensorboard: bool = True
    """Write events for TensorBoard beside the checkpoints."""
    notes: dict[str, Any] = Field(default={})
    """Goes into the package as it stands: sources, licences, limits."""

    @field_validator("bands", "classes", "heads")
    @classmethod
    def _different_names(cls, entries: tuple[Any, ...], info: ValidationInfo) -> tuple[Any, ...]:
        names = [entry.name for entry in entries]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise ValueError(f"two {info.field_name} are called {twice!r}; expected a name for each")
        return entries

    @model_validator(mode="after")
    def _check(self) -> TrainConfig:
        if self.name in RESERVED:
            raise ValueError(f"name {self.name!r} is a folder that training itself uses; choose another")
        names = [c.name for c in self.classes]
        for head in self.heads:
            _check_head(head, names)
        shares = self.data.class_shares
        if shares is not None and (len(shares) != len(names) or min(shares) < 0 or sum(shares) <= 0):
            raise ValueError(f"class_shares {list(shares)}; expected {len(names)} numbers, none negative")
        _check_recolor(self.augment.recolor, names, len(self.bands))
        if self.data.crop % self.network.divisor or self.schedule.tile % self.network.divisor:
            raise ValueError(
                f"crop {self.data.crop} and tile {self.schedule.tile}; expected multiples of {self.network.divisor}"
            )
        _check_finish(self)
        if self.stretch is not None and self.stretch[0] >= self.stretch[1]:
            raise ValueError(f"stretch {list(self.stretch)}; expected a low and a high value")
        if self.mix_start and self.network.encoder_weights is None:
            raise ValueError("mix_start is a share of network.encoder_weights, and there are none; leave it out")
        if self.schedule.overlap >= self.schedule.tile:
            raise ValueError(f"overlap {self.schedule.overlap}; expected less than the tile, {self.schedule.tile}")
        return self

    @property
    def digest(self) -> str:
        """sha256 of the values that the weights depend on: a checkpoint belongs to one of them."""
        told = self.model_dump(mode="json", exclude=_WORDS)
        if self.stretch is None:  # so that checkpoints from before there was one still belong to their file
            told = {name: value for name, value in told.items() if not name.startswith("stretch")}
        text = json.dumps(told, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()


def _check_head(head: HeadConfig, names: Sequence[str]) -> None:
    """ValueError where a head or its losses do not fit the classes."""
    if head.marks is not None and head.marks not in names:
        raise ValueError(f"head {head.name!r} marks {head.marks!r}; expected one of {', '.join(names)}")
    if head.lines and head.marks is None:
        raise ValueError(f"head {head.name!r} predicts all classes; expected lines on a head that marks one")
    if len(names) == 1 and head.marks is None:
        raise ValueError(f"head {head.name!r} has one class to predict; expected several, or marks: {names[0]}")
    count = len(names) if head.marks is None else 2
    weights, border = head.loss.class_weights, head.loss.border
    if isinstance(weights, tuple) and len(weights) != count:
        raise ValueError(f"head {head.name!r} has {len(weights)} class_weights; expected {count}")
    if head.loss.cldice and head.marks is None:
        raise ValueError(f"head {head.name!r} predicts all classes; expected cldice on a head that marks one")
    if border is None:
        return
    known = names if head.marks is None else [head.marks, None]
    if border.of not in known:
        raise ValueError(
            f"head {head.name!r}: border.of {border.of!r}; expected one of {', '.join(map(str, known))}"
        )


def _check_finish(config: TrainConfig) -> None:
    """ValueError where nothing is held out that could be learned at the end, or a rate waits for scores there."""
    data = config.data
    if config.finish is None:
        return
    if not (data.validate_groups or data.validate_scenes or data.validate_blocks):
        raise ValueError("finish goes on on what data.validate_… held out, and nothing is; leave finish out")
    if config.optimiser.lr_schedule == "plateau":
        raise ValueError("finish has no scores for optimiser.lr_schedule plateau; expected another, such as cosine")


def _check_recolor(recolor: RecolorConfig | None, names: Sequence[str], bands: int) -> None:
    """ValueError where another palette names no class, or the bands are no colours."""
    if recolor is None:
        return
    if bands != 3:
        raise ValueError(f"augment.recolor is for three bands (red, green, blue), not {bands}; leave it out")
    change = recolor.relabel
    for name in [*recolor.paints, *([] if change is None else [change.of, change.becomes])]:
        if name not in names:
            raise ValueError(f"augment.recolor names {name!r}; expected one of {', '.join(names)}")


def load_config(path: str | os.PathLike[str]) -> TrainConfig:
    """Read and check a training file. Raises ConfigError with the first thing that is wrong, in one line."""
    return read_sections(Path(path), TrainConfig)


def resolved(config: TrainConfig) -> str:
    """The file with everything that it left to the defaults; reads back as the same values."""
    return yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False, allow_unicode=True, width=116)
