"""Random, class-balanced windows over whole scenes. A batch is a function of the seed and the step alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from geounet.errors import ConfigError
from geounet.model.spec import NODATA, InputBand
from geounet.train import augment
from geounet.train.config import TrainConfig
from geounet.train.scenes import EMPTY, TrainScene

AHEAD = 3
"""Batches that are made ahead of the network."""


@dataclass(frozen=True, kw_only=True)
class Scaling:
    """Raw pixel values to what the network sees."""

    mean: Tensor
    """(bands, 1, 1)"""
    std: Tensor
    top: Tensor
    """Raw value that photometric augmentation calls 1."""

    @classmethod
    def of(cls, bands: Sequence[InputBand], dtype: str) -> Scaling:
        """The scaling of a model's bands."""
        mean = torch.tensor([b.mean for b in bands])[:, None, None]
        std = torch.tensor([b.std for b in bands])[:, None, None]
        top = torch.full_like(mean, 255.0) if dtype == "uint8" else mean + 3 * std
        return cls(mean=mean, std=std, top=top)

    def scale(self, raw: Tensor) -> Tensor:
        """``(value - mean) / std`` on ``(…, bands, H, W)``."""
        return (raw - self.mean) / self.std


class WindowSource:
    """Draws batches of windows from scenes."""

    def __init__(self, scenes: Sequence[TrainScene], config: TrainConfig, scaling: Scaling) -> None:
        self.scenes, self.config, self.scaling = list(scenes), config, scaling
        self.places = [_class_places(scene, len(config.classes)) for scene in scenes]
        known = [sum(map(len, places)) for places in self.places]
        if not any(known):
            raise ConfigError("no training scene has a labelled pixel; expected at least one scene with labels")
        self.chances = _scene_chances(self.scenes, known, config.data.sample_share)
        shares = np.array(config.data.class_shares or [1.0] * len(config.classes))
        self.class_shares = shares / shares.sum()

    def batch(self, step: int) -> tuple[Tensor, Tensor]:
        """Scaled pixels ``(N, bands, crop, crop)`` and labels ``(N, crop, crop)`` uint8 of one step."""
        rng = np.random.default_rng([self.config.seed, step])
        windows = [self._window(rng) for _ in range(self.config.optimiser.batch)]
        raw = torch.stack([image for image, _ in windows])
        labels = torch.stack([label for _, label in windows])
        top = self.scaling.top
        pixels = augment.photometric(raw / top, self.config.augment, rng) * top
        scaled = self.scaling.scale(pixels).masked_fill((labels == EMPTY)[:, None], 0.0)
        return scaled, labels.masked_fill(labels == EMPTY, NODATA)

    def batches(self, first: int, end: int) -> Iterator[tuple[Tensor, Tensor]]:
        """The batches of the steps ``[first, end)``, made ahead on one thread."""
        threads = torch.get_num_threads()
        with ThreadPoolExecutor(1, "windows", torch.set_num_threads, (1,)) as pool:  # one core of torch's is enough
            pending: list[Future[tuple[Tensor, Tensor]]] = []
            try:
                for step in range(first, end):
                    while len(pending) < AHEAD and step + len(pending) < end:
                        pending.append(pool.submit(self.batch, step + len(pending)))
                    yield pending.pop(0).result()
            finally:
                for future in pending:
                    future.cancel()
                torch.set_num_threads(threads)  # the pool's choice became the default of threads to come

    def _window(self, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        settings, crop = self.config.augment, self.config.data.crop
        index = int(rng.choice(len(self.scenes), p=self.chances))
        scene = self.scenes[index]
        row, col = self._place(index, rng)
        turns = settings.rotate > 0 and rng.random() < settings.rotate_share
        degrees = float(rng.uniform(-settings.rotate, settings.rotate)) if turns else 0.0
        margin = augment.rotation_margin(degrees)
        low, high = np.log(settings.scale)
        side = round(crop * margin * float(np.exp(rng.uniform(low, high))))
        image, labels = _cut(scene, row, col, side, rng)
        image, labels = augment.resize(image, labels, round(crop * margin))
        if turns:
            image, labels = augment.rotate(image, labels, degrees=degrees, side=crop)
        if settings.symmetries:
            image, labels = augment.symmetry(image, labels, int(rng.integers(8)))
        return image, labels

    def _place(self, index: int, rng: np.random.Generator) -> NDArray[np.int64]:
        """A pixel of a drawn class, among the classes that the scene has."""
        places = self.places[index]
        shares = self.class_shares * [len(p) > 0 for p in places]
        if shares.sum() == 0:
            shares = np.array([float(len(p) > 0) for p in places])
        chosen = places[rng.choice(len(places), p=shares / shares.sum())]
        return chosen[rng.integers(len(chosen))]


def head_targets(labels: Tensor, marks: Sequence[int | None]) -> list[Tensor]:
    """What each head should say at each pixel: the class, or whether it is the class that a mask head marks."""
    targets = []
    for value in marks:
        marked = labels if value is None else (labels == value).to(labels.dtype)
        targets.append(marked.masked_fill(labels == NODATA, NODATA))
    return targets


def normalisation(scenes: Sequence[TrainScene]) -> tuple[list[float], list[float]]:
    """Mean and standard deviation of each band over the pixels that have data (every 4th row and column)."""
    samples = [scene.image[::4, ::4][scene.labels[::4, ::4] != EMPTY] for scene in scenes]
    values = np.concatenate(samples).astype(np.float64)
    return values.mean(0).tolist(), np.maximum(values.std(0), 1e-6).tolist()


def _cut(scene: TrainScene, row: int, col: int, side: int, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
    """A square window that holds the pixel, inside the scene, at most as large as the scene."""
    height, width = scene.labels.shape
    side = max(1, min(side, height, width))
    top = int(np.clip(row - rng.integers(side), 0, height - side))
    left = int(np.clip(col - rng.integers(side), 0, width - side))
    at = np.s_[top : top + side, left : left + side]
    image = torch.from_numpy(scene.image[at].astype(np.float32)).permute(2, 0, 1)
    return image.contiguous(), torch.from_numpy(scene.labels[at].copy())


def _class_places(scene: TrainScene, classes: int) -> list[NDArray[np.int64]]:
    """Pixels of each class on a coarse grid, ``(n, 2)`` rows and columns."""
    step = max(1, min(16, min(scene.labels.shape) // 32))
    coarse = scene.labels[::step, ::step]
    return [np.argwhere(coarse == value) * step for value in range(classes)]


def _scene_chances(scenes: Sequence[TrainScene], known: Sequence[int], sample_share: float) -> NDArray[np.float64]:
    """Chance of each scene: the root of its area, so that large scenes do not drown small ones."""
    area = np.array([scene.labels.size**0.5 if n else 0.0 for scene, n in zip(scenes, known, strict=True)])
    drawn = np.array([scene.synthetic for scene in scenes])
    both = area[drawn].sum() > 0 and area[~drawn].sum() > 0
    if both:
        area[drawn] *= sample_share / area[drawn].sum()
        area[~drawn] *= (1 - sample_share) / area[~drawn].sum()
    return area / area.sum()
