"""Which scenes a model is judged on: a scene and its truth, or a data file that lists them.

A data file is a training file, or a small one with ``scenes`` (name, image, labels, and ``lines`` where there are
true road lines) and, where the labels do not name their classes, ``classes``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from geounet.errors import ConfigError
from geounet.model.spec import ModelSpec
from geounet.sections import checked, plain_values

if TYPE_CHECKING:
    from geounet.train.config import SceneConfig
    from geounet.train.labels import Legend


@dataclass(frozen=True, kw_only=True)
class Judged:
    """A scene with its truth, as files."""

    name: str
    image: Path
    truth: Path
    """A raster of classes or a mask, on the image's grid."""
    lines: Path | None = None
    """True road lines, where they were drawn by somebody."""


@dataclass(frozen=True, kw_only=True)
class _Listed:
    """What a data file says."""

    root: Path
    scenes: Sequence[SceneConfig]
    """With ``lines`` where the file may say it."""
    classes: dict[str, str]
    """Colour of every class by name; empty where the labels name their own."""
    legend: Legend | None


def labelled_scenes(path: Path, spec: ModelSpec, *, only: Sequence[str], scratch: Path) -> list[Judged]:
    """The scenes of a data file, those of several parts joined in ``scratch``, the labels decoded there.

    ``only``: names or groups; empty: all. Raises ConfigError for a file that says nothing usable, SceneError
    for scenes that cannot be read.
    """
    listed = _read(path)
    chosen = [s for s in listed.scenes if not only or s.name in only or s.group in only]
    known = {name for s in listed.scenes for name in (s.name, s.group) if name}
    if strange := [name for name in only if name not in known]:
        raise ConfigError(f"--only {strange[0]}: no such scene or group; {path} has {', '.join(sorted(known))}")
    if not chosen:
        raise ConfigError(f"{path} lists no scenes; expected at least one with image and labels")
    return [_judged(scene, listed, spec, scratch) for scene in chosen]


def _judged(scene: SceneConfig, listed: _Listed, spec: ModelSpec, scratch: Path) -> Judged:
    lines = getattr(scene, "lines", None)
    drawn = None if lines is None else listed.root / lines
    plain = scene.image if _is_plain(scene) else None
    if listed.legend is None:
        if not isinstance(plain, str) or not isinstance(scene.labels, str) or "*" in scene.labels:
            raise ConfigError(f"scene {scene.name!r} is more than two rasters; the data file must list its classes")
        return Judged(name=scene.name, image=listed.root / plain, truth=listed.root / scene.labels, lines=drawn)
    from geounet.train.rasters import write_image, write_truth
    from geounet.train.scenes import read_scene

    bands = [band.name for band in spec.bands]
    read = read_scene(scene, listed.legend, bands=bands, root=listed.root)
    if isinstance(plain, str):
        image = listed.root / plain
    else:
        image = write_image(scratch / f"{scene.name}.tif", read, bands)
    truth = write_truth(scratch / f"{scene.name}_truth.tif", read, listed.classes, like=image)
    return Judged(name=scene.name, image=image, truth=truth, lines=drawn)


def _is_plain(scene: SceneConfig) -> bool:
    """Whether a run reads the image as the file means it."""
    told = (scene.bands, scene.nodata, scene.mask)
    return isinstance(scene.image, str) and "*" not in scene.image and all(value is None for value in told)


def _read(path: Path) -> _Listed:
    raw = plain_values(path, option="--data")
    return _of_training(path) if "data" in raw else _of_list(path, raw)


def _of_training(path: Path) -> _Listed:
    from geounet.train.config import load_config
    from geounet.train.labels import Legend

    config = load_config(path)
    return _Listed(
        root=path.parent / config.data.root,
        scenes=config.data.scenes,
        classes={c.name: c.color for c in config.classes},
        legend=Legend.of(config),
    )


def _of_list(path: Path, raw: dict[str, Any]) -> _Listed:
    from geounet.judge.files import DataFile
    from geounet.train.labels import Legend

    given = checked(raw, DataFile, where=f"--data {path}")
    legend = Legend(
        names=tuple(c.name for c in given.classes),
        colors=tuple(c.label_color for c in given.classes),
        ignored=given.ignore_colors,
    )
    return _Listed(
        root=path.parent / given.root,
        scenes=given.scenes,
        classes={c.name: c.color for c in given.classes},
        legend=legend if given.classes else None,
    )
