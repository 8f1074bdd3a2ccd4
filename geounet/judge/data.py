"""Which scenes a model is judged on: a scene and its truth, or a data file that lists them.

A data file is a training file, or a small one with ``scenes`` (name, image, labels, and ``lines`` where there are
true road lines) or ``chips`` and, where the labels do not name their classes, ``classes``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from geounet.errors import ConfigError
from geounet.model.spec import ModelSpec
from geounet.sections import checked, plain_values

if TYPE_CHECKING:
    from geounet.train.config import ChipsConfig, SceneConfig, TrainConfig
    from geounet.train.labels import Legend
    from geounet.train.scenes import TrainScene

SIDES = ("learned", "validated", "holdout")
"""What a training file uses its scenes, or squares of them, for."""


@dataclass(frozen=True, kw_only=True)
class Judged:
    """A scene with its truth, as files."""

    name: str
    image: Path
    truth: Path
    """A raster of classes or a mask, on the image's grid."""
    lines: Path | None = None
    """True road lines, where they were drawn by somebody."""
    origin: str = ""
    """The folder of chips that it is one of."""
    held_out: bool = False
    """Whether it is, as far as its truth is known, what the training file did not learn from."""

    @property
    def told_as(self) -> str:
        """What people know it as."""
        return self.origin or self.name


@dataclass(frozen=True, kw_only=True)
class _Listed:
    """What a data file says."""

    root: Path
    scenes: Mapping[str, SceneConfig]
    """By name; with ``lines`` where the file may say it."""
    chips: Mapping[str, ChipsConfig]
    classes: dict[str, str]
    """Colour of every class by name; empty where the labels name their own."""
    legend: Legend | None
    config: TrainConfig | None = None
    """The training file, where it is one."""

    def is_plain(self, origin: str) -> bool:
        """Whether a run reads an image as the file means it."""
        if origin in self.chips:
            return self.chips[origin].bands is None and self.chips[origin].nodata is None
        scene = self.scenes[origin]
        told = (scene.bands, scene.nodata, scene.mask)
        return isinstance(scene.image, str) and "*" not in scene.image and all(value is None for value in told)

    def lines(self, origin: str) -> Path | None:
        """The true road lines of a scene."""
        found = getattr(self.scenes.get(origin), "lines", None)
        return None if found is None else self.root / found


def labelled_scenes(
    path: Path, spec: ModelSpec, *, only: Sequence[str], side: str | None, scratch: Path
) -> tuple[list[Judged], list[str]]:
    """The scenes of a data file, and warnings; what a run cannot read as it is, is written to ``scratch``.

    ``only``: names or groups; empty: all. ``side``: one of `SIDES` of a training file; None: all of it.
    Raises ConfigError for a file that says nothing usable, SceneError for scenes that cannot be read.
    """
    if side not in (None, *SIDES):
        raise ConfigError(f"--side {side}: expected {', '.join(SIDES)}")
    listed = _read(path)
    if side is not None and listed.config is None:
        raise ConfigError(f"--side {side} needs a training file, which says what is held out; {path} is a list")
    if listed.legend is None:
        return _as_they_are(listed, path, only), []
    from geounet.train.scenes import open_scenes

    bands = [band.name for band in spec.bands]
    chips = list(listed.chips.values())
    opened = open_scenes(list(listed.scenes.values()), chips, listed.legend, bands=bands, root=listed.root)
    whole = {scene.name: scene for scene in opened}
    chosen = _chosen(_side(opened, listed, side), only, {n for s in opened for n in _called(s)}, path)
    judged = [_judged(scene, whole[scene.name], listed, bands, scratch) for scene in chosen]
    unseen = side in ("validated", "holdout")
    found = [replace(each, held_out=unseen) for each in judged if each is not None]
    lacking = [scene.origin for scene, each in zip(chosen, judged, strict=True) if each is None]
    if not found:
        raise ConfigError(f"{path}: none of {', '.join(dict.fromkeys(lacking))} has a labelled pixel")
    return found, _told_lacking(lacking)


def _called(scene: TrainScene) -> tuple[str, str, str]:
    return scene.name, scene.origin, scene.group


def _chosen(scenes: Sequence[TrainScene], only: Sequence[str], known: set[str], path: Path) -> list[TrainScene]:
    _check_only(only, known, path)
    chosen = [scene for scene in scenes if not only or set(_called(scene)) & set(only)]
    if not chosen:
        what = "that --side and --only leave" if only else "with image and labels"
        raise ConfigError(f"{path} lists no scenes; expected at least one {what}")
    return chosen


def _check_only(only: Sequence[str], known: set[str], path: Path) -> None:
    if strange := [name for name in only if name not in known]:
        names = sorted(name for name in known if name)
        more = f" and {len(names) - 12} more" if len(names) > 12 else ""
        raise ConfigError(f"--only {strange[0]}: no such scene or group; {path} has {', '.join(names[:12])}{more}")


def _told_lacking(origins: Sequence[str]) -> list[str]:
    if not origins:
        return []
    counts = {origin: origins.count(origin) for origin in dict.fromkeys(origins)}
    named = [name if n == 1 else f"{n} of {name}" for name, n in counts.items()]
    return [f"left out, for they have no labelled pixel: {', '.join(named)}"]


def _side(scenes: list[TrainScene], listed: _Listed, side: str | None) -> Sequence[TrainScene]:
    """The scenes on one side of a training's split, with the labels that they have there."""
    if side is None or listed.config is None:
        return scenes
    from geounet.train.splits import split

    parts = split(scenes, listed.config)
    found = {"learned": parts.learned, "validated": parts.held, "holdout": parts.aside}[side]
    if not found:
        raise ConfigError(
            f"--side {side}: the training file has nothing there; see data.validate_… and holdout_groups"
        )
    return found


def _as_they_are(listed: _Listed, path: Path, only: Sequence[str]) -> list[Judged]:
    """Scenes of two rasters each, whose labels say what they mean."""
    known = {name for s in listed.scenes.values() for name in (s.name, s.group) if name}
    _check_only(only, known, path)
    chosen = [s for s in listed.scenes.values() if not only or {s.name, s.group} & set(only)]
    if listed.chips:
        raise ConfigError(
            f"{path}: the labels of chips do not say what they mean; the data file must list its classes"
        )
    if not chosen:
        raise ConfigError(f"{path} lists no scenes; expected at least one with image and labels")
    found = []
    for scene in chosen:
        image, labels = scene.image, scene.labels
        if not (listed.is_plain(scene.name) and isinstance(image, str)):
            labels = ""
        if not isinstance(labels, str) or not isinstance(image, str) or not labels or "*" in labels:
            raise ConfigError(f"scene {scene.name!r} is more than two rasters; the data file must list its classes")
        found.append(
            Judged(
                name=scene.name,
                image=listed.root / image,
                truth=listed.root / labels,
                lines=listed.lines(scene.name),
            )
        )
    return found


def _judged(
    scene: TrainScene, whole: TrainScene, listed: _Listed, bands: Sequence[str], scratch: Path
) -> Judged | None:
    """A scene as files; ``whole`` has all its labels. None where no pixel is labelled."""
    from geounet.train.rasters import write_image, write_truth

    files = {what: scratch / what / f"{scene.name}.tif" for what in ("images", "truths")}
    for file in files.values():
        file.parent.mkdir(parents=True, exist_ok=True)
    plain = listed.is_plain(scene.origin)
    image = scene.files[0] if plain else write_image(files["images"], whole, bands)
    if not write_truth(files["truths"], scene, listed.classes, like=image):
        return None
    return Judged(
        name=scene.name,
        image=image,
        truth=files["truths"],
        lines=listed.lines(scene.origin),
        origin="" if scene.origin == scene.name else scene.origin,
    )


def _read(path: Path) -> _Listed:
    raw = plain_values(path, option="--data")
    return _of_training(path) if "data" in raw else _of_list(path, raw)


def _of_training(path: Path) -> _Listed:
    from geounet.train.config import load_config
    from geounet.train.labels import Legend

    config = load_config(path)
    return _Listed(
        root=path.parent / config.data.root,
        scenes={scene.name: scene for scene in config.data.scenes},
        chips={chips.name: chips for chips in config.data.chips},
        classes={c.name: c.color for c in config.classes},
        legend=Legend.of(config),
        config=config,
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
        scenes={scene.name: scene for scene in given.scenes},
        chips={chips.name: chips for chips in given.chips},
        classes={c.name: c.color for c in given.classes},
        legend=legend if given.classes else None,
    )
