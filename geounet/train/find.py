"""From what a training file lists to the files of every scene."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from geounet.errors import ConfigError, SceneError
from geounet.model.spec import NODATA
from geounet.train.config import ChipsConfig, LabelsConfig, SampleConfig, SceneConfig, TrainConfig
from geounet.train.labels import LabelTable, Legend, burn_layer, class_value
from geounet.train.source import Source

if TYPE_CHECKING:
    from geounet.sample.climate import Climate

SAMPLE_CLASSES = ["building", "land", "road", "vegetation", "water"]


def find_sources(config: TrainConfig, root: Path, cache: Path) -> list[tuple[Source, ...]]:
    """What the file names, every scene by itself and the chips of a folder together."""
    legend, bands = Legend.of(config), tuple(band.name for band in config.bands)
    found = listed_sources(config.data.scenes, config.data.chips, legend, bands, root)
    drawn = _write_samples(config, cache / "samples")
    values = legend.without_colors
    return [*found, *((_source(scene, values, bands, cache, synthetic=True),) for scene in drawn)]


def listed_sources(
    scenes: Sequence[SceneConfig], chips: Sequence[ChipsConfig], legend: Legend, bands: tuple[str, ...], root: Path
) -> list[tuple[Source, ...]]:
    """Every scene by itself, and the chips of a folder together. Raises SceneError where files are missing."""
    alone = [(_source(scene, legend, bands, root),) for scene in scenes]
    return [*alone, *(_chips(folder, legend, bands, root) for folder in chips)]


def _source(
    scene: SceneConfig, legend: Legend, bands: tuple[str, ...], root: Path, *, synthetic: bool = False
) -> Source:
    labels = LabelsConfig(raster=scene.labels) if isinstance(scene.labels, str) else scene.labels
    patterns = (scene.image,) if isinstance(scene.image, str) else scene.image
    stacks = [_matches(scene.name, pattern, root, scene.columns) for pattern in patterns]
    counts = [len(stack) for stack in stacks]
    if len(set(counts)) > 1:
        raise SceneError(f"scene {scene.name!r}: its image patterns match {counts} files; expected equally many")
    return Source(
        name=scene.name,
        group=scene.group,
        images=tuple(zip(*stacks, strict=True)),
        labels=() if labels.raster is None else _matches(scene.name, labels.raster, root, scene.columns),
        columns=scene.columns,
        bands=bands,
        chosen=None if scene.bands is None else tuple(str(band) for band in scene.bands),
        nodata=scene.nodata,
        mask=None if scene.mask is None else root / scene.mask,
        table=LabelTable.of(legend, labels),
        layers=tuple(burn_layer(layer, root, legend) for layer in labels.layers),
        background=NODATA if labels.background is None else class_value(labels.background, legend),
        origin=scene.name,
        synthetic=synthetic,
    )


def _matches(name: str, pattern: str, root: Path, columns: int) -> tuple[Path, ...]:
    """The files of a pattern, in order of name."""
    paths = sorted(root.glob(pattern)) if "*" in pattern else [root / pattern]
    if not paths:
        raise SceneError(f"{name!r}: {pattern!r} matches no file in {root.resolve()}")
    if len(paths) % columns:
        raise SceneError(
            f"scene {name!r}: {pattern!r} matches {len(paths)} files in {root}; "
            f"expected a multiple of {columns} columns"
        )
    return tuple(paths)


def _chips(chips: ChipsConfig, legend: Legend, bands: tuple[str, ...], root: Path) -> tuple[Source, ...]:
    """A source per chip."""
    images = _matches(chips.name, chips.images, root, 1)
    labels = _matches(chips.name, chips.labels, root, 1)
    if len(images) != len(labels):
        raise SceneError(
            f"chips {chips.name!r}: {len(images)} images and {len(labels)} labels; expected a mask for each image"
        )
    _check_pairs(chips.name, images, labels)
    table = LabelTable.of(legend, LabelsConfig(raster=chips.labels, kind=chips.kind, values=chips.values))
    return tuple(
        Source(
            name=f"{chips.name}/{image.relative_to(root).with_suffix('').as_posix()}",
            group=_group(chips, image.relative_to(root)),
            images=((image,),),
            labels=(mask,),
            bands=bands,
            chosen=None if chips.bands is None else tuple(str(band) for band in chips.bands),
            nodata=chips.nodata,
            table=table,
            origin=chips.name,
        )
        for image, mask in zip(images, labels, strict=True)
    )


def _check_pairs(name: str, images: Sequence[Path], labels: Sequence[Path]) -> None:
    """What tells the images apart tells the masks apart: ``img_07.jpg`` goes with ``07_mask.png``."""
    for image, mask, left, right in zip(images, labels, _telling(images), _telling(labels), strict=True):
        if left != right:
            raise SceneError(
                f"chips {name!r}: {image.name} would be paired with {mask.name}; "
                "expected masks with the names or the numbers of their images"
            )


def _telling(paths: Sequence[Path]) -> list[str]:
    """The stems without what all of them begin and end with."""
    stems = [path.stem for path in paths]
    first = _common(stems)
    last = _common([stem[first:][::-1] for stem in stems])
    return [stem[first : len(stem) - last] for stem in stems]


def _common(texts: Sequence[str]) -> int:
    """How many letters all of them begin with."""
    low, high = min(texts), max(texts)
    return next((i for i, (a, b) in enumerate(zip(low, high, strict=False)) if a != b), min(len(low), len(high)))


def _group(chips: ChipsConfig, path: Path) -> str:
    if chips.group_by is None:
        return chips.group
    found = re.search(chips.group_by, path.as_posix())
    if found is None or found.group(1) is None:
        raise ConfigError(f"chips {chips.name!r}: group_by {chips.group_by!r} finds nothing in {path.as_posix()}")
    return f"{chips.group}{found.group(1)}"


def _write_samples(config: TrainConfig, folder: Path) -> list[SceneConfig]:
    """Draw the sample scenes that are not there yet. Their classes are ours, in our order."""
    wanted = config.data.samples
    if (wanted.seeds or wanted.green_seeds) and [c.name for c in config.classes] != SAMPLE_CLASSES:
        raise ConfigError(f"sample scenes show {', '.join(SAMPLE_CLASSES)}; expected these classes")
    towns: list[tuple[Climate, int]] = [("dry", seed) for seed in wanted.seeds]
    towns += [("green", seed) for seed in wanted.green_seeds]
    return [_write_sample(folder, wanted, climate, seed) for climate, seed in towns]


def _write_sample(folder: Path, wanted: SampleConfig, climate: Climate, seed: int) -> SceneConfig:
    from geounet.sample.write import sample_paths, write_sample

    name = f"sample_{wanted.size}_{seed}" if climate == "dry" else f"sample_{climate}_{wanted.size}_{seed}"
    paths = sample_paths(folder / f"{name}.tif")
    if not (paths.scene.exists() and paths.truth_landuse.exists()):
        write_sample(paths.scene, size=wanted.size, seed=seed, climate=climate, overwrite=True)
    return SceneConfig(
        name=name,
        group=wanted.group,
        image=f"{folder.name}/{paths.scene.name}",
        labels=f"{folder.name}/{paths.truth_landuse.name}",
    )
