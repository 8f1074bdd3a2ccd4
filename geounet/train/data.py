"""Windows over whole scenes, as batches. A batch is a function of the seed and the step alone."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from geounet.model.spec import NODATA, InputBand, ModelSpec
from geounet.train import augment
from geounet.train.augment import Dice
from geounet.train.config import TrainConfig
from geounet.train.places import Spot, spots_of
from geounet.train.recolor import Palette, recolor
from geounet.train.scenes import EMPTY, TrainScene
from geounet.train.sensor import another_sensor
from geounet.train.stretch import stretch_for
from geounet.train.survey import Survey, survey

AHEAD = 3
"""Batches that each reader makes ahead of the network."""


@dataclass(frozen=True, kw_only=True)
class Scaling:
    """Raw pixel values to what the network sees."""

    mean: Tensor
    """(bands, 1, 1)"""
    std: Tensor
    low: Tensor
    """Raw value that photometric augmentation calls 0."""
    top: Tensor
    """Raw value that it calls 1."""

    @classmethod
    def of(cls, bands: Sequence[InputBand], dtype: str) -> Scaling:
        """The scaling of a model's bands."""
        mean = torch.tensor([b.mean for b in bands])[:, None, None]
        std = torch.tensor([b.std for b in bands])[:, None, None]
        if dtype == "uint8":
            return cls(mean=mean, std=std, low=torch.zeros_like(mean), top=torch.full_like(mean, 255.0))
        return cls(mean=mean, std=std, low=mean - 3 * std, top=mean + 3 * std)

    def scale(self, raw: Tensor) -> Tensor:
        """``(value - mean) / std`` on ``(…, bands, H, W)``."""
        return (raw - self.mean) / self.std

    def to(self, device: torch.device) -> Scaling:
        """The same on another device."""
        return Scaling(**{name: value.to(device) for name, value in vars(self).items()})


@dataclass(frozen=True, kw_only=True)
class RawWindow:
    """One window as it was read, and what will happen to it."""

    image: Tensor
    """``(bands, s, s)`` float32, raw; ``s`` is the crop, or `augment.wide_side` where it will be warped."""
    labels: Tensor
    """``(s, s)`` uint8: class values, NODATA or EMPTY."""
    dice: Dice


@dataclass(frozen=True, kw_only=True)
class RawBatch:
    """The windows of a batch before augmentation, and those that are pasted into some of them."""

    windows: tuple[RawWindow, ...]
    pasted: dict[int, RawWindow]
    """By the place among ``windows`` of the one that they are pasted into."""


class WindowSource:
    """Draws batches of windows from scenes.

    Window ``i`` of a step is a function of the seed, the step and ``i``.
    """

    def __init__(
        self,
        scenes: Sequence[TrainScene],
        config: TrainConfig,
        scaling: Scaling,
        *,
        surveys: Sequence[Survey] | None = None,
        spec: ModelSpec | None = None,
    ) -> None:
        """``spec`` stretches the scenes, where the file wants that. ConfigError where none has a labelled pixel."""
        self.scenes, self.config, self.scaling = list(scenes), config, scaling
        found = surveys if surveys is not None else [survey(scene, len(config.classes)) for scene in scenes]
        self.spots = spots_of(self.scenes, found, config)
        self.members = range(config.optimiser.batch)
        own = spec if spec is not None and spec.stretch is not None and config.stretch_learned else None
        self._stretches = [(1.0, 0.0) if own is None else stretch_for(scene, own) for scene in self.scenes]
        self._palette = Palette.of(config)
        self._wide = augment.wide_side(config.augment, config.data.crop)

    def share(self, rank: int, *, of: int) -> WindowSource:
        """A source of each ``of``-th window of every batch, beginning with ``rank``.

        Together the shares of all ranks are the very windows of the whole.
        """
        part = copy.copy(self)
        part.members = self.members[rank::of]
        return part

    def batch(self, step: int) -> tuple[Tensor, Tensor]:
        """Scaled pixels ``(N, bands, crop, crop)`` and labels ``(N, crop, crop)`` uint8 of one step."""
        return self.finish(self.read(step))

    def batches(
        self, first: int, end: int, *, device: torch.device | None = None
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """The batches of the steps ``[first, end)``, made ahead by the readers.

        On a GPU, given as ``device``, windows are only read ahead, and augmented on the device.
        """
        there = device if device is not None and device.type == "cuda" else None
        threads = torch.get_num_threads()
        readers = self.config.data.readers
        with ThreadPoolExecutor(readers, "windows", torch.set_num_threads, (1,)) as pool:  # each on one core
            pending: list[Future[RawBatch] | Future[tuple[Tensor, Tensor]]] = []
            try:
                for step in range(first, end):
                    while len(pending) < AHEAD * readers and step + len(pending) < end:
                        ahead = step + len(pending)
                        pending.append(
                            pool.submit(self.batch, ahead) if there is None else pool.submit(self.read, ahead)
                        )
                    made = pending.pop(0).result()
                    yield self.finish(made, there) if isinstance(made, RawBatch) else made
            finally:
                for future in pending:
                    future.cancel()
                torch.set_num_threads(threads)  # the pool's choice became the default of threads to come

    def read(self, step: int) -> RawBatch:
        """Read the windows of a step."""
        windows = [self._window(step, i, 0) for i in self.members]
        pasted = {row: self._window(step, self.members[row], 1) for row, w in enumerate(windows) if w.dice.cut}
        return RawBatch(windows=tuple(windows), pasted=pasted)

    def finish(self, raw: RawBatch, device: torch.device | None = None) -> tuple[Tensor, Tensor]:
        """Augment and scale what was read, on ``device`` or where it lies."""
        windows = [*raw.windows, *raw.pasted.values()]
        images, labels = self._placed(windows, device or torch.device("cpu"))
        scaling = self.scaling if device is None else self.scaling.to(device)
        dice, span = [w.dice for w in windows], scaling.top - scaling.low
        seen, labels = self._elsewhere((images - scaling.low) / span, labels, dice)
        lit = seen * span + scaling.low
        scaled = scaling.scale(lit)
        kept = torch.from_numpy(np.stack([d.kept for d in dice])).to(scaled.device)
        scaled = scaled.masked_fill(~kept[:, :, None, None] | (labels == EMPTY)[:, None], 0.0)
        count = len(raw.windows)
        for other, row in enumerate(raw.pasted, start=count):
            rows, cols = windows[row].dice.cut or (slice(0), slice(0))
            scaled[row, :, rows, cols], labels[row, rows, cols] = (
                scaled[other, :, rows, cols],
                labels[other, rows, cols],
            )
        scaled, labels = scaled[:count], labels[:count]
        return scaled, labels.masked_fill(labels == EMPTY, NODATA)

    def _elsewhere(self, pixels: Tensor, labels: Tensor, dice: Sequence[Dice]) -> tuple[Tensor, Tensor]:
        """Other palettes, another light and other sensors over crops of 0 to 1 ``(N, bands, crop, crop)``."""
        for row, d in enumerate(dice):
            if self._palette is not None and d.palette is not None:
                pixels[row], labels[row] = recolor(pixels[row], labels[row], self._palette, d.palette)
        pixels = augment.photometric(pixels, dice)
        for row, d in enumerate(dice):
            if d.sensor is not None:
                pixels[row] = another_sensor(pixels[row], d.sensor)
        return pixels, labels

    def _window(self, step: int, member: int, paste: int) -> RawWindow:
        """Read one window, at the size that its dice ask for."""
        rng = np.random.default_rng([self.config.seed, step, member, paste])
        crop, bands = self.config.data.crop, len(self.config.bands)
        dice = augment.throw(rng, self.config.augment, crop=crop, bands=bands)
        if paste:
            dice = replace(dice, cut=None)
        spot = self.spots.draw(rng, number=step * self.config.optimiser.batch + member)
        if self._palette is not None:
            share = self._palette.share(drawn=self.scenes[spot.scene].synthetic)
            seed = int(rng.integers(augment.SEEDS))
            dice = replace(dice, palette=seed if rng.random() < share else None)
        side = self._wide if dice.is_warped else crop
        image, labels = self._cut(spot, max(1, round(side * dice.scale)), rng)
        image, labels = augment.resize(image, labels, side)
        return RawWindow(image=image, labels=labels, dice=dice)

    def _cut(self, spot: Spot, side: int, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        """A square window that holds the spot, inside the scene, at most as large as the scene."""
        scene = self.scenes[spot.scene]
        height, width = scene.shape
        side = min(side, height, width)
        back = (side // 2, side // 2) if spot.is_middle else rng.integers(side, size=2)
        top = int(np.clip(spot.row - back[0], 0, height - side))
        left = int(np.clip(spot.col - back[1], 0, width - side))
        at = slice(top, top + side), slice(left, left + side)
        pixels, found = scene.image[at], np.array(scene.labels[at])
        image = torch.from_numpy(np.ascontiguousarray(pixels.transpose(2, 0, 1), dtype=np.float32))
        gain, offset = self._stretches[spot.scene]
        if (gain, offset) != (1.0, 0.0):
            image = image * gain + offset
        labels = torch.from_numpy(found)
        empty = labels == EMPTY
        if empty.any():  # the mean, so that resampling carries nothing over the border of what is left out
            image = torch.where(empty, self.scaling.mean, image)
        return image, labels

    def _placed(self, windows: Sequence[RawWindow], device: torch.device) -> tuple[Tensor, Tensor]:
        """All windows as crops ``(N, bands, crop, crop)`` with labels ``(N, crop, crop)``: warped, flipped."""
        crop = self.config.data.crop
        images = torch.empty(len(windows), len(self.config.bands), crop, crop, device=device)
        labels = torch.empty(len(windows), crop, crop, dtype=torch.uint8, device=device)
        warped = [row for row, w in enumerate(windows) if w.dice.is_warped]
        if warped:
            wide = torch.stack([windows[row].image for row in warped]).to(device)
            over = torch.stack([windows[row].labels for row in warped]).to(device)
            images[warped], labels[warped] = augment.warp(wide, over, [windows[r].dice for r in warped], crop=crop)
        for row, window in enumerate(windows):
            image, label = (images[row], labels[row]) if window.dice.is_warped else (window.image, window.labels)
            image, label = augment.symmetry(image.to(device), label.to(device), window.dice.symmetry)
            images[row], labels[row] = image.clone(), label.clone()
        return images, labels


def head_targets(labels: Tensor, marks: Sequence[int | None]) -> list[Tensor]:
    """What each head should say at each pixel: the class, or whether it is the class that a mask head marks."""
    targets = []
    for value in marks:
        marked = labels if value is None else (labels == value).to(labels.dtype)
        targets.append(marked.masked_fill(labels == NODATA, NODATA))
    return targets
