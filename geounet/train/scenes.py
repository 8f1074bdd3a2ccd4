"""The labelled scenes of a training file: found, opened, decoded into the cache or read from their rasters."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from geounet.errors import ConfigError, SceneError
from geounet.grid.geobox import GeoBox
from geounet.model.spec import NODATA
from geounet.train.cache import Bundle, Cache, Facts
from geounet.train.config import ChipsConfig, LabelsConfig, SampleConfig, SceneConfig, TrainConfig
from geounet.train.labels import LabelTable, Legend, burn_layer, class_value
from geounet.train.planes import DirectPlane, DirectReader, Plane
from geounet.train.sources import EMPTY, Source

__all__ = ["EMPTY", "TrainScene", "load_scenes", "open_scenes"]

SAMPLE_CLASSES = ["building", "land", "road", "vegetation", "water"]


@dataclass(frozen=True, kw_only=True)
class TrainScene:
    """One scene: memory-mapped arrays, or planes that read its rasters when they are sliced."""

    name: str
    group: str
    image: Plane
    """(height, width, bands), in the raster's dtype."""
    labels: Plane
    """(height, width): class values, NODATA or EMPTY."""
    synthetic: bool = False
    digest: str = ""
    """Names the files (sizes and times) and the way they are read."""
    origin: str = ""
    """What is drawn from as one: the scene's name, or that of the folder of chips."""
    files: tuple[Path, ...] = ()
    """The images."""
    content: str = ""
    """Equal for copies of one image."""
    truth: str = ""
    """Equal for copies of the labels."""
    geobox: GeoBox | None = None
    """Where it lies; None without a CRS, or where it is made of parts."""

    @property
    def shape(self) -> tuple[int, int]:
        """``(height, width)``."""
        return self.labels.shape[0], self.labels.shape[1]


def load_scenes(
    config: TrainConfig, *, root: Path, cache: Path, check: Callable[[list[TrainScene]], object] = len
) -> list[TrainScene]:
    """All scenes of the file, the chips behind them, the drawn ones last.

    What the disk budget has room for is decoded into ``cache``, and what was decoded there for other scenes is
    removed. ``check`` sees the scenes before any is decoded: what it raises costs no hour.

    Raises SceneError where files are missing, parts do not fit, a band is missing, or labels have unknown values;
    ConfigError where the file asks for what cannot be.
    """
    store = Cache(cache)
    bundles = [Bundle(sources=sources, key=_key(sources)) for sources in find_sources(config, root, cache)]
    if not bundles:
        raise ConfigError("data names no scene; expected scenes, chips or samples")
    store.forget_others({bundle.key for bundle in bundles})
    facts = [store.facts(bundle) for bundle in bundles]
    check([scene for pair in zip(bundles, facts, strict=True) for scene in _scenes(*pair, None)])
    sizes = [(bundle, sum(f.nbytes for f in known)) for bundle, known in zip(bundles, facts, strict=True)]
    kept = store.within(sizes, config.data.cache_gb)
    store.forget_others(kept)
    return [
        scene
        for bundle, known in zip(bundles, facts, strict=True)
        for scene in _scenes(bundle, known, store if bundle.key in kept else None)
    ]


def _key(sources: Sequence[Source]) -> str:
    return hashlib.sha256("".join(source.key for source in sources).encode()).hexdigest()


def _scenes(bundle: Bundle, facts: Sequence[Facts], store: Cache | None) -> list[TrainScene]:
    """The scenes of a bundle, decoded where there is a store for them."""
    planes: Sequence[tuple[Plane, Plane]]
    if store is not None:
        planes = store.arrays(bundle, facts)
    else:
        planes = [_direct(source, f) for source, f in zip(bundle.sources, facts, strict=True)]
    return [
        TrainScene(
            name=source.name,
            group=source.group,
            image=image,
            labels=labels,
            synthetic=source.synthetic,
            digest=bundle.key,
            origin=source.origin,
            files=source.image_files,
            content=f.content,
            truth=f.truth,
            geobox=f.geobox,
        )
        for source, f, (image, labels) in zip(bundle.sources, facts, planes, strict=True)
    ]


def _direct(source: Source, facts: Facts) -> tuple[Plane, Plane]:
    reader, shape = DirectReader(source), (facts.height, facts.width)
    image = DirectPlane(reader, which=0, shape=(*shape, facts.bands), dtype=np.dtype(facts.dtype))
    return image, DirectPlane(reader, which=1, shape=shape, dtype=np.dtype(np.uint8))


def find_sources(config: TrainConfig, root: Path, cache: Path) -> list[tuple[Source, ...]]:
    """What the file names, every scene by itself and the chips of a folder together."""
    legend, bands = Legend.of(config), tuple(band.name for band in config.bands)
    found = _listed(config.data.scenes, config.data.chips, legend, bands, root)
    drawn = _write_samples(config, cache / "samples")
    values = legend.without_colors
    return [*found, *((_source(scene, values, bands, cache, synthetic=True),) for scene in drawn)]


def _listed(
    scenes: Sequence[SceneConfig], chips: Sequence[ChipsConfig], legend: Legend, bands: tuple[str, ...], root: Path
) -> list[tuple[Source, ...]]:
    alone = [(_source(scene, legend, bands, root),) for scene in scenes]
    return [*alone, *(_chips(folder, legend, bands, root) for folder in chips)]


def open_scenes(
    scenes: Sequence[SceneConfig], chips: Sequence[ChipsConfig], legend: Legend, *, bands: Sequence[str], root: Path
) -> list[TrainScene]:
    """Scenes and chips that are read from their rasters. Raises SceneError as `load_scenes` does."""
    found = [source for sources in _listed(scenes, chips, legend, tuple(bands), root) for source in sources]
    return [_scenes(Bundle(sources=(s,), key=s.key), [Facts.read(s)], None)[0] for s in found]


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
    if wanted.seeds and [c.name for c in config.classes] != SAMPLE_CLASSES:
        raise ConfigError(f"sample scenes show {', '.join(SAMPLE_CLASSES)}; expected these classes")
    return [_write_sample(folder, wanted, seed) for seed in wanted.seeds]


def _write_sample(folder: Path, wanted: SampleConfig, seed: int) -> SceneConfig:
    from geounet.sample.write import sample_paths, write_sample

    name = f"sample_{wanted.size}_{seed}"
    paths = sample_paths(folder / f"{name}.tif")
    if not (paths.scene.exists() and paths.truth_landuse.exists()):
        write_sample(paths.scene, size=wanted.size, seed=seed, overwrite=True)
    return SceneConfig(
        name=name,
        group=wanted.group,
        image=f"{folder.name}/{paths.scene.name}",
        labels=f"{folder.name}/{paths.truth_landuse.name}",
    )
