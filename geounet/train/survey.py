"""One look at every training scene: how often each class is there, where, and how bright the bands are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from geounet.errors import ConfigError
from geounet.grid.window import Window
from geounet.train.config import TrainConfig
from geounet.train.open_source import EMPTY, strips
from geounet.train.scenes import TrainScene

MOST_PLACES = 8192
"""Of each class, in a scene."""
_FINE = 512
"""Steps of the lattice of places, along a side of a scene of middling size; small things are looked for between."""
_LOOK = 4
"""Every fourth row and column says how bright the bands are."""


@dataclass(frozen=True, kw_only=True)
class Survey:
    """What one scene holds, as far as it is on the training side."""

    counts: NDArray[np.int64]
    """``(classes,)`` labelled pixels of each class, all of them counted."""
    places: tuple[NDArray[np.int32], ...]
    """Of each class, rows and columns ``(n, 2)`` of pixels spread over the scene; some wherever the class is."""
    pixels: int
    """Pixels with data that were looked at."""
    sums: NDArray[np.float64]
    """``(bands,)`` of their values."""
    squares: NDArray[np.float64]
    """``(bands,)`` of their squares."""


def survey(scene: TrainScene, classes: int) -> Survey:
    """Look at a whole scene once, strip by strip."""
    bands, strides = scene.image.shape[2], max(1, round(max(scene.shape) / _FINE))
    counts = np.zeros(classes, np.int64)
    found: list[list[NDArray[np.int32]]] = [[] for _ in range(classes)]
    pixels, sums, squares = 0, np.zeros(bands), np.zeros(bands)
    for window in strips(scene.shape):
        image, labels = scene.image[window.slices()], scene.labels[window.slices()]
        counts += _counted(labels, classes)
        for value, places in enumerate(_places(labels, window, classes, strides)):
            found[value].append(places)
        seen = _every(image, window)[_every(labels, window) != EMPTY].astype(np.float64)
        pixels, sums, squares = pixels + len(seen), sums + seen.sum(0), squares + (seen**2).sum(0)
    return Survey(
        counts=counts,
        places=tuple(_spread(np.concatenate(each)) for each in found),
        pixels=pixels,
        sums=sums,
        squares=squares,
    )


def normalisation(surveys: Sequence[Survey]) -> tuple[list[float], list[float]]:
    """Mean and standard deviation of each band over the training pixels with data, every 4th row and column."""
    count = sum(s.pixels for s in surveys)
    if not count:
        raise ConfigError("no training scene has a pixel with data; check the images and their nodata")
    mean = np.sum([s.sums for s in surveys], axis=0) / count
    variance = np.sum([s.squares for s in surveys], axis=0) / count - mean**2
    return mean.tolist(), np.maximum(np.sqrt(np.maximum(variance, 0)), 1e-6).tolist()


def class_counts(surveys: Sequence[Survey]) -> NDArray[np.int64]:
    """``(classes,)`` labelled pixels of each class over the training scenes."""
    return np.asarray(np.sum([s.counts for s in surveys], axis=0, dtype=np.int64))


def check_classes(counts: NDArray[np.int64], config: TrainConfig) -> list[str]:
    """A line for classes without a labelled training pixel. ConfigError where a mask head marks one of them."""
    if not counts.any():
        raise ConfigError(
            "no training scene has a labelled pixel with data; expected at least one scene with labels, "
            "and an image whose pixels are not all nodata or NaN there"
        )
    empty = [c.name for c, n in zip(config.classes, counts, strict=True) if n == 0]
    for head in config.heads:
        if head.marks in empty:
            raise ConfigError(f"head {head.name!r} marks {head.marks!r}, which no training scene shows")
    if not empty:
        return []
    return [f"no training scene shows {', '.join(empty)}: the model will not know what that looks like"]


def check_held(held: Sequence[TrainScene], config: TrainConfig) -> list[str]:
    """A line for classes that what is validated on does not show. ConfigError where it has no label at all."""
    if not held:
        return []
    counts = np.sum([_count(scene, len(config.classes)) for scene in held], axis=0)
    if not counts.any():
        names = ", ".join(dict.fromkeys(scene.origin or scene.name for scene in held))
        raise ConfigError(f"what is validated on ({names}) has no labelled pixel; expected labels to score against")
    empty = [c.name for c, n in zip(config.classes, counts, strict=True) if n == 0]
    if not empty:
        return []
    return [f"nothing that is validated on shows {', '.join(empty)}: the scores say little of it"]


def _count(scene: TrainScene, classes: int) -> NDArray[np.int64]:
    """``(classes,)`` labelled pixels of each class."""
    counts = np.zeros(classes, np.int64)
    for window in strips(scene.shape):
        counts += _counted(scene.labels[window.slices()], classes)
    return counts


def _counted(labels: NDArray[np.uint8], classes: int) -> NDArray[np.int64]:
    return np.bincount(labels.ravel(), minlength=256)[:classes]


def _every(plane: NDArray[np.generic], window: Window) -> NDArray[np.generic]:
    """Every 4th row and column of the scene, of a strip of it."""
    return plane[-window.row_off % _LOOK :: _LOOK, -window.col_off % _LOOK :: _LOOK]


def _places(labels: NDArray[np.uint8], window: Window, classes: int, step: int) -> list[NDArray[np.int32]]:
    """Pixels of each class on the scene's lattice; where a class is off the lattice, any pixels of it."""
    down, across = -window.row_off % step, -window.col_off % step
    coarse = labels[down::step, across::step]
    there = np.bincount(labels.ravel(), minlength=256)
    out = []
    for value in range(classes):
        places = np.argwhere(coarse == value) * step + np.array([down, across])
        if not len(places) and there[value]:
            places = _spread(np.argwhere(labels == value).astype(np.int32), most=16)
        out.append((places + np.array([window.row_off, window.col_off])).astype(np.int32))
    return out


def _spread(places: NDArray[np.int32], most: int = MOST_PLACES) -> NDArray[np.int32]:
    """At most so many of them, evenly."""
    if len(places) <= most:
        return places
    return places[np.linspace(0, len(places) - 1, most).astype(np.int64)]
