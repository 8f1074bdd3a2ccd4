"""A training per fold: every group is validated on once by a model that never saw it."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from geounet.errors import ConfigError
from geounet.io.atomic import publish_text
from geounet.model.package import load_model, package_folder
from geounet.train.config import TrainConfig, load_config
from geounet.train.material import check_model
from geounet.train.pretrained import FOLD
from geounet.train.recipe import has_checkpoint, package_config, train_config
from geounet.train.scenes import TrainScene, load_scenes
from geounet.train.state import TrainStep
from geounet.train.survey import check_held

SUMMARY = "folds.json"


def train_folds(
    config_path: str | Path,
    output: str | Path,
    folds: int,
    *,
    package: bool = False,
    progress: Callable[[TrainStep], None] | None = None,
    tick: Callable[[int], None] | None = None,
    begin: Callable[[int, tuple[str, ...]], None] | None = None,
    warn: Callable[[str], None] = warnings.warn,
    **options: Any,
) -> Path:
    """Train each fold in ``<output>/fold-<n>``; returns ``<output>/folds.json``, scores of each and their spread.

    With ``package`` nothing is trained: each fold is what its checkpoints are (`geounet.train.package_training`).
    ``options`` are those of `geounet.train.train`; ``begin`` is told each fold's number and what it validates on.
    Folds that were finished are not trained again. Raises ConfigError where there are fewer groups than folds,
    or several devices, ModelError where a package could not be saved.
    """
    if options.get("devices", 1) != 1:
        raise ConfigError("--folds trains on one device; leave --devices out")  # DDP starts this program only once
    file, folder = Path(config_path), Path(output)
    config = load_config(file)
    parts = _divided(config, file.parent, folder / "cache", folds)
    for number, groups in enumerate(parts, start=1):  # not hours later, when it is its turn
        package_folder(folder / _fold(number) / config.name, overwrite=True)
        check_model(_of_fold(config, number, groups), file.parent)
    if package:
        _check_checkpoints(config, folder, folds)
    elif (doubt := _begin_doubt(config)) is not None:
        warn(doubt)
    options |= {"base": file.parent, "cache": folder / "cache", "warn": warn}
    options |= {} if package else {"progress": progress, "tick": tick}
    make = package_config if package else train_config
    found = []
    for number, groups in enumerate(parts, start=1):
        if begin is not None:
            begin(number, groups)
        made = make(_of_fold(config, number, groups), folder / _fold(number), **options)
        told = {"fold": number, "validated_on": groups, "package": str(made.relative_to(folder))}
        found.append({**told, **load_model(made).spec.provenance["scores"]})
    return publish_text(folder / SUMMARY, json.dumps({"folds": found, **_spread(found)}, indent=2) + "\n")


def _check_checkpoints(config: TrainConfig, folder: Path, folds: int) -> None:
    """ConfigError where a fold has nothing to package, before another is packaged."""
    lacking = [name for name in map(_fold, range(1, folds + 1)) if not has_checkpoint(config, folder / name)]
    if lacking:
        raise ConfigError(
            f"{folder} has no checkpoint to package of {', '.join(lacking)}; train them first, without --package"
        )


def _begin_doubt(config: TrainConfig) -> str | None:
    """A line where every fold begins with one network that may know the ground it is scored on."""
    weights = config.network.encoder_weights
    if config.mix_start == 0 or weights is None or FOLD in weights:
        return None
    return (
        f"every fold begins with {weights!r}: where it has learned from these scenes, the scores flatter; "
        f"write {FOLD} in network.encoder_weights for a file of each fold's own"
    )


def _fold(number: int) -> str:
    return f"fold-{number}"


def _divided(config: TrainConfig, base: Path, cache: Path, folds: int) -> list[tuple[str, ...]]:
    """The groups of each fold; checked before any scene is decoded, and again when all are known.

    ConfigError also where a fold has nothing to score against, which else is found out when it is its turn.
    """

    def divide(scenes: Sequence[TrainScene]) -> list[tuple[str, ...]]:
        return fold_groups([s for s in scenes if s.group not in config.data.holdout_groups], folds)

    scenes = load_scenes(config, root=base / config.data.root, cache=cache, check=divide)
    parts = divide(scenes)
    for groups in parts:
        check_held([scene for scene in scenes if scene.group in groups and not scene.synthetic], config)
    return parts


def _of_fold(config: TrainConfig, number: int, groups: tuple[str, ...]) -> TrainConfig:
    """The training file with these groups to validate on, whatever it said itself, and never to learn.

    Weights to begin with are the fold's own where their path says so: others may have seen the groups.
    """
    split = {"validate_groups": groups, "validate_scenes": (), "validate_blocks": None}
    weights = config.network.encoder_weights
    begin = {"encoder_weights": None if weights is None else weights.replace(FOLD, str(number))}
    return config.model_copy(
        update={
            "data": config.data.model_copy(update=split),
            "network": config.network.model_copy(update=begin),
            "finish": None,
        }
    )


def _spread(found: list[dict[str, Any]]) -> Mapping[str, Mapping[str, float]]:
    """Mean and standard deviation of every score over the folds that have it: not all need to show a class."""
    names = dict.fromkeys(name for fold in found for name, value in fold.items() if isinstance(value, float))
    values = {name: np.array([fold[name] for fold in found if name in fold]) for name in names}
    return {
        "mean": {name: round(float(each.mean()), 4) for name, each in values.items()},
        "deviation": {name: round(float(each.std(ddof=1)), 4) for name, each in values.items() if len(each) > 1},
    }


def fold_groups(scenes: Sequence[TrainScene], folds: int) -> list[tuple[str, ...]]:
    """The groups of real scenes in ``folds`` parts of about equal area. ConfigError where there are too few.

    Largest group first, each into the part that is smallest so far: names and areas alone decide.
    """
    areas: dict[str, int] = {}
    for scene in scenes:
        if not scene.synthetic:
            areas[scene.group] = areas.get(scene.group, 0) + scene.shape[0] * scene.shape[1]
    if not 2 <= folds <= len(areas):
        raise ConfigError(
            f"--folds {folds}: expected 2 to the number of groups of scenes, {len(areas)} "
            f"({', '.join(sorted(areas))})"
        )
    parts: list[list[str]] = [[] for _ in range(folds)]
    sizes = [0] * folds
    for group in sorted(areas, key=lambda g: (-areas[g], g)):
        smallest = sizes.index(min(sizes))
        parts[smallest].append(group)
        sizes[smallest] += areas[group]
    return [tuple(sorted(part)) for part in parts]
