"""What a training would do, said before it does it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from geounet.train.scenes import TrainScene
from geounet.train.state import Training


@dataclass(frozen=True, kw_only=True)
class TrainPlan:
    """The answer of ``geounet train --dry-run``."""

    package: str
    """The folder that would be written."""
    network: str
    parameters: int
    heads: tuple[str, ...]
    device: str
    steps: int
    done: int
    """Steps that a checkpoint in the output folder has."""
    windows: int
    """Per step."""
    crop: int
    trained_on: tuple[dict[str, Any], ...]
    """Name, group, megapixels and the share of each class among the labelled pixels."""
    validated_on: tuple[dict[str, Any], ...]
    bands: tuple[dict[str, Any], ...]
    """Name, mean and deviation."""
    class_weights: dict[str, Any]
    doubts: tuple[str, ...]

    @classmethod
    def of(
        cls, training: Training, learned: Sequence[TrainScene], held: Sequence[TrainScene], *, doubts: Sequence[str]
    ) -> TrainPlan:
        """The plan of a training that was prepared."""
        config = training.config
        names = [c.name for c in config.classes]
        several = "" if training.devices == 1 else f"{training.devices} × "
        return cls(
            package=str(training.folder / config.name),
            network=config.network.architecture,
            parameters=sum(p.numel() for p in training.network.parameters()),
            heads=tuple(head.name for head in config.heads),
            device=f"{several}{training.device}",
            steps=config.optimiser.steps,
            done=training.step,
            windows=config.optimiser.batch,
            crop=config.data.crop,
            trained_on=tuple(_scene(scene, names) for scene in learned),
            validated_on=tuple(_scene(scene, names) for scene in held),
            bands=tuple({"name": b.name, "mean": b.mean, "std": b.std} for b in training.spec.bands),
            class_weights=dict(zip([h.name for h in config.heads], training.class_weights, strict=True)),
            doubts=tuple(doubts),
        )

    def __str__(self) -> str:
        begun = f", {self.done} of them done" if self.done else ""
        lines = [
            f"network    {self.network}, {self.parameters:,} parameters; heads {', '.join(self.heads)}",
            f"training   {self.steps} steps, {self.windows} windows of {self.crop} pixels on {self.device}{begun}",
            f"bands      {'  '.join('{name} {mean:.4g} ± {std:.4g}'.format(**band) for band in self.bands)}",
            *self._scenes("learned", self.trained_on),
            *self._scenes("validated", self.validated_on),
            f"package    {self.package}",
        ]
        return "\n".join([*lines, *(f"warning: {doubt}" for doubt in self.doubts)])

    def _scenes(self, what: str, scenes: Sequence[dict[str, Any]]) -> list[str]:
        if not scenes:
            return [f"{what:<10} nothing"]
        return [
            f"{what:<10} {s['name']} (group {s['group']}): {s['megapixels']:.3g} Mpx, {s['labelled']:.0%} known: "
            + ", ".join(f"{name} {share:.1%}" for name, share in s["classes"].items())
            for s in scenes
        ]


def _scene(scene: TrainScene, names: Sequence[str]) -> dict[str, Any]:
    counts = np.bincount(np.asarray(scene.labels).ravel(), minlength=256)[: len(names)]
    known = int(counts.sum())
    return {
        "name": scene.name,
        "group": scene.group,
        "megapixels": scene.labels.size / 1e6,
        "labelled": known / scene.labels.size,
        "classes": {name: int(n) / max(1, known) for name, n in zip(names, counts, strict=True)},
    }
