"""The labelled scenes of a training file: found, opened, decoded into the cache or read from their rasters."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from geounet.errors import ConfigError
from geounet.grid.geobox import GeoBox
from geounet.train.cache import Bundle, Cache, Facts
from geounet.train.config import ChipsConfig, SceneConfig, TrainConfig
from geounet.train.find import find_sources, listed_sources
from geounet.train.labels import Legend
from geounet.train.open_source import EMPTY
from geounet.train.planes import DirectPlane, DirectReader, Plane
from geounet.train.source import Source

__all__ = ["EMPTY", "TrainScene", "load_scenes", "open_scenes"]


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
    """Names the contents of the files and the way they are read; a copy has the same."""
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
    config: TrainConfig, *, root: Path, cache: Path, check: Callable[[list[TrainScene]], object] | None = None
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
    if check is not None:
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
            digest=_digest(source, f),
            origin=source.origin,
            files=source.image_files,
            content=f.content,
            truth=f.truth,
            geobox=f.geobox,
        )
        for source, f, (image, labels) in zip(bundle.sources, facts, planes, strict=True)
    ]


def _digest(source: Source, facts: Facts) -> str:
    """Not by the files' times, which a copy does not keep; see docs/decisions/0018."""
    told = (source.recipe, facts.content, facts.beside, facts.truth)
    return hashlib.sha256(" ".join(told).encode()).hexdigest()


def _direct(source: Source, facts: Facts) -> tuple[Plane, Plane]:
    reader, shape = DirectReader(source), (facts.height, facts.width)
    image = DirectPlane(reader, which=0, shape=(*shape, facts.bands), dtype=np.dtype(facts.dtype))
    return image, DirectPlane(reader, which=1, shape=shape, dtype=np.dtype(np.uint8))


def open_scenes(
    scenes: Sequence[SceneConfig], chips: Sequence[ChipsConfig], legend: Legend, *, bands: Sequence[str], root: Path
) -> list[TrainScene]:
    """Scenes and chips that are read from their rasters. Raises SceneError as `load_scenes` does."""
    found = [source for sources in listed_sources(scenes, chips, legend, tuple(bands), root) for source in sources]
    return [_scenes(Bundle(sources=(s,), key=s.key), [Facts.read(s)], None)[0] for s in found]
