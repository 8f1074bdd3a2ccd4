"""What a training learns from: the scenes read, divided and looked at, and the model that they ask for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from geounet.model.networks import build_network
from geounet.model.spec import Head, InputBand, LabelClass, ModelSpec
from geounet.train.config import HeadConfig, TrainConfig
from geounet.train.pretrained import check_source
from geounet.train.scenes import TrainScene, load_scenes
from geounet.train.splits import split
from geounet.train.survey import Survey, check_classes, check_held, class_counts, normalisation, survey

OFF_COLOR = "#000000"
"""What maps show where a mask head marks nothing."""


@dataclass(frozen=True, kw_only=True)
class Material:
    """The scenes of one training."""

    learned: tuple[TrainScene, ...]
    held: tuple[TrainScene, ...]
    """Validated on."""
    surveys: tuple[Survey, ...]
    """Of each scene that is learned from."""
    doubts: tuple[str, ...] = ()
    """Classes that one side does not show."""


def read_material(config: TrainConfig, *, base: Path, cache: Path) -> Material:
    """Read the scenes of a file that lies in ``base``, divide them, and look once at those to learn from.

    What can be known without a pixel is checked before the first is read. Raises ConfigError, ModelError and
    SceneError as `check_model`, `load_scenes`, `split`, `check_classes` and `check_held` do.
    """
    check_model(config, base)
    scenes = load_scenes(
        config, root=base / config.data.root, cache=cache, check=lambda found: split(found, config)
    )
    parts = split(scenes, config)
    surveys = tuple(survey(scene, len(config.classes)) for scene in parts.learned)
    doubts = [*check_classes(class_counts(surveys), config), *check_held(parts.held, config)]
    return Material(learned=parts.learned, held=parts.held, surveys=surveys, doubts=tuple(doubts))


def check_model(config: TrainConfig, base: Path) -> None:
    """Raises ModelError or ConfigError where the network cannot be built, or its weights are not there."""
    if config.network.encoder_weights is not None:
        check_source(config.network.encoder_weights, base)
    scaling = [(0.0 if b.mean is None else b.mean, b.std or 1.0) for b in config.bands]
    with torch.device("meta"):  # shapes alone
        build_network(_spec(config, dtype="uint8", scaling=scaling))


def make_spec(config: TrainConfig, material: Material) -> ModelSpec:
    """The model that will be trained; scaling that the file does not give is computed from the scenes."""
    given = [(b.mean, b.std) for b in config.bands]
    measured = [(0.0, 1.0)] * len(given)
    if any(None in pair for pair in given):
        measured = list(zip(*normalisation(material.surveys), strict=True))
    scaling = [
        (mean if own_mean is None else own_mean, std if own_std is None else own_std)
        for (own_mean, own_std), (mean, std) in zip(given, measured, strict=True)
    ]
    return _spec(config, dtype=str(material.learned[0].image.dtype), scaling=scaling)


def _spec(config: TrainConfig, *, dtype: str, scaling: Sequence[tuple[float, float]]) -> ModelSpec:
    """``scaling``: mean and deviation of each band."""
    return ModelSpec(
        name=config.name,
        version=config.version,
        description=config.description,
        license=config.license,
        architecture=config.network.architecture,
        hyperparameters=config.network.hyperparameters,
        bands=tuple(
            InputBand(name=b.name, mean=mean, std=std) for b, (mean, std) in zip(config.bands, scaling, strict=True)
        ),
        dtype=dtype,
        heads=tuple(_head(head, config) for head in config.heads),
        tile=config.schedule.tile,
        overlap=config.schedule.overlap,
        divisor=config.network.divisor,
        stretch=config.stretch,
        gsd=config.gsd,
        gsd_range=config.gsd_range,
    )


def _head(head: HeadConfig, config: TrainConfig) -> Head:
    if head.marks is None:
        classes = [LabelClass(value=i, name=c.name, color=c.color) for i, c in enumerate(config.classes)]
        return Head(name=head.name, kind="classes", classes=tuple(classes))
    marked = next(c for c in config.classes if c.name == head.marks)
    off = LabelClass(value=0, name=f"not-{head.marks}", color=OFF_COLOR)
    on = LabelClass(value=1, name=head.marks, color=head.color or marked.color)
    return Head(name=head.name, kind="mask", classes=(off, on), lines=head.lines)
