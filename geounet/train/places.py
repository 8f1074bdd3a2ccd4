"""Where windows are drawn: around rare classes as often as around common ones, anywhere, or place after place."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from geounet.errors import ConfigError
from geounet.grid.lattice import Lattice
from geounet.train.config import TrainConfig
from geounet.train.scenes import TrainScene
from geounet.train.survey import Survey

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Spot:
    """A pixel that a window will hold."""

    scene: int
    row: int
    col: int
    is_middle: bool = False
    """Whether it is the window's middle; else it may be anywhere in it."""


class Spots(Protocol):
    """Says where the next window is."""

    def draw(self, rng: np.random.Generator, *, number: int) -> Spot:
        """The spot of window ``number`` of the training; all chance comes from ``rng``."""


def spots_of(scenes: Sequence[TrainScene], surveys: Sequence[Survey], config: TrainConfig) -> Spots:
    """As ``data.draw`` says. ConfigError where no scene has a labelled pixel."""
    if not any(s.counts.any() for s in surveys):
        raise ConfigError("no training scene has a labelled pixel; expected at least one scene with labels")
    if config.data.draw == "lattice":
        return LatticeSpots(scenes, surveys, crop=config.data.crop, seed=config.seed)
    return ClassSpots(scenes, surveys, config)


class ClassSpots:
    """First drawn or real, then a class, then a scene that shows it, then a pixel of it there."""

    def __init__(self, scenes: Sequence[TrainScene], surveys: Sequence[Survey], config: TrainConfig) -> None:
        self._places = [s.places for s in surveys]
        counts = np.stack([s.counts for s in surveys]).astype(np.float64)  # (scenes, classes)
        drawn = np.array([scene.synthetic for scene in scenes])
        origins = [scene.origin or scene.name for scene in scenes]
        classes = len(config.classes)
        balanced = config.data.draw == "balanced"
        wanted = np.array(config.data.class_shares or [1.0] * classes) if balanced else None
        self._sides = [_Side.of(counts * side[:, None], origins, wanted) for side in (~drawn, drawn)]
        has = [side is not None for side in self._sides]
        self._drawn_share = config.data.sample_share if all(has) else float(has[1])

    def draw(self, rng: np.random.Generator, *, number: int) -> Spot:  # noqa: ARG002
        """See `Spots`."""
        side = self._sides[int(rng.random() < self._drawn_share)]
        assert side is not None
        value = int(rng.choice(len(side.classes), p=side.classes))
        scene = int(rng.choice(len(side.scenes), p=side.scenes[:, value]))
        places = self._places[scene][value]
        row, col = places[rng.integers(len(places))].tolist()
        return Spot(scene=scene, row=row, col=col)


@dataclass(frozen=True)
class _Side:
    """Chances among real scenes, or among drawn ones."""

    classes: FloatArray
    """``(classes,)``"""
    scenes: FloatArray
    """``(scenes, classes)``, columns of classes that are there sum to 1."""

    @classmethod
    def of(cls, counts: FloatArray, origins: Sequence[str], wanted: FloatArray | None) -> _Side | None:
        """From pixels of each class ``(scenes, classes)``; None where there are none.

        A scene's weight is the root of its pixels, so that large scenes do not drown small ones; chips of one
        folder are one scene. ``wanted``: shares of the classes, by default as there are pixels.
        """
        total = counts.sum(0)
        if not total.any():
            return None
        there = total > 0
        shares = total if wanted is None else wanted * there
        if not shares.any():  # none of the wanted classes is here
            shares = there.astype(np.float64)
        index = {name: i for i, name in enumerate(dict.fromkeys(origins))}
        of = np.array([index[name] for name in origins])
        sums = np.zeros((len(index), counts.shape[1]))
        np.add.at(sums, of, counts)
        weights = counts / np.sqrt(np.maximum(sums, 1))[of]
        return cls(shares / shares.sum(), weights / np.where(there, weights.sum(0), 1))


class LatticeSpots:
    """Every place of a lattice over every scene that holds a label, each once, then again in another order."""

    def __init__(self, scenes: Sequence[TrainScene], surveys: Sequence[Survey], *, crop: int, seed: int) -> None:
        self._seed = seed
        parts = [_middles(i, *pair, crop) for i, pair in enumerate(zip(scenes, surveys, strict=True))]
        self._middles = np.concatenate(parts)
        self._order = lru_cache(maxsize=2)(self._shuffled)

    def __len__(self) -> int:
        """Places of the lattice."""
        return len(self._middles)

    def draw(self, rng: np.random.Generator, *, number: int) -> Spot:  # noqa: ARG002
        """See `Spots`."""
        turn, place = divmod(number, len(self._middles))
        scene, row, col = self._middles[self._order(turn)[place]].tolist()
        return Spot(scene=scene, row=row, col=col, is_middle=True)

    def _shuffled(self, turn: int) -> NDArray[np.int64]:
        return np.random.default_rng([self._seed, turn]).permutation(len(self._middles))


def _middles(index: int, scene: TrainScene, survey: Survey, crop: int) -> NDArray[np.int64]:
    """Scene, row and column ``(n, 3)`` of the middles of windows that hold a place of some class."""
    height, width = scene.shape
    lattice = Lattice.over(height=height, width=width, tile=crop, overlap=0)
    places = np.concatenate(survey.places)
    starts = [np.array(axis.starts) for axis in (lattice.rows, lattice.cols)]
    held = [np.searchsorted(s, places[:, i], side="right") - 1 for i, s in enumerate(starts)]
    found = np.unique(np.stack(held, 1), axis=0)
    middles = np.stack([starts[i][found[:, i]] + crop // 2 for i in range(2)], 1)
    return np.concatenate([np.full((len(middles), 1), index), middles], 1)
