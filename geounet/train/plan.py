"""What a training would do, said before it does it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from geounet.train.material import Material
from geounet.train.scenes import TrainScene
from geounet.train.state import Training
from geounet.train.survey import Survey, class_counts, survey


@dataclass(frozen=True, kw_only=True)
class TrainPlan:
    """The answer of ``geounet train --dry-run``."""

    package: str | None
    """The folder that would be written, where an output folder is known."""
    network: str
    parameters: int
    heads: tuple[str, ...]
    device: str
    steps: int
    done: int
    """Steps that a checkpoint in the output folder has."""
    finish: int
    """Steps that follow on all scenes."""
    windows: int
    """Per step."""
    crop: int
    trained_on: tuple[dict[str, Any], ...]
    """Name, group, images, megapixels, the labelled share, and the share of each class among labelled pixels."""
    validated_on: tuple[dict[str, Any], ...]
    bands: tuple[dict[str, Any], ...]
    """Name, mean and deviation."""
    class_weights: dict[str, Any]
    doubts: tuple[str, ...]

    @classmethod
    def of(cls, training: Training, material: Material, *, doubts: Sequence[str], package: str | None) -> TrainPlan:
        """The plan of a training that was prepared; looks at the scenes to validate on as well."""
        config = training.config
        names = [c.name for c in config.classes]
        seen = [survey(scene, len(names)) for scene in material.held]
        several = "" if training.devices == 1 else f"{training.devices} × "
        return cls(
            package=package,
            network=config.network.architecture,
            parameters=sum(p.numel() for p in training.network.parameters()),
            heads=tuple(head.name for head in config.heads),
            device=f"{several}{training.device}",
            steps=config.optimiser.steps,
            done=training.step,
            finish=0 if config.finish is None else config.finish.steps,
            windows=config.optimiser.batch,
            crop=config.data.crop,
            trained_on=_summaries(material.learned, material.surveys, names),
            validated_on=_summaries(material.held, seen, names),
            bands=tuple({"name": b.name, "mean": b.mean, "std": b.std} for b in training.spec.bands),
            class_weights=dict(zip([h.name for h in config.heads], training.class_weights, strict=True)),
            doubts=tuple(doubts),
        )

    def __str__(self) -> str:
        begun = f", {self.done} of them done" if self.done else ""
        lines = [
            f"network    {self.network}, {self.parameters:,} parameters; heads {', '.join(self.heads)}",
            f"training   {self.steps} steps, {self.windows} windows of {self.crop} pixels on {self.device}{begun}",
            *([f"finish     {self.finish} steps more, on what is validated as well"] if self.finish else []),
            f"bands      {'  '.join('{name} {mean:.4g} ± {std:.4g}'.format(**band) for band in self.bands)}",
            *self._scenes("learned", self.trained_on),
            *self._scenes("validated", self.validated_on),
        ]
        if self.package is not None:
            lines.append(f"package    {self.package}")
        return "\n".join([*lines, *(f"warning: {doubt}" for doubt in self.doubts)])

    def _scenes(self, what: str, scenes: Sequence[dict[str, Any]]) -> list[str]:
        if not scenes:
            return [f"{what:<10} nothing"]
        return [
            f"{what:<10} {s['name']} (group {s['group']}): {_number(s['images'])}{s['megapixels']:.3g} Mpx, "
            f"{s['labelled']:.0%} known: "
            + ", ".join(f"{name} {share:.1%}" for name, share in s["classes"].items())
            for s in scenes
        ]


def _number(images: int) -> str:
    return "" if images == 1 else f"{images} images, "


def _summaries(
    scenes: Sequence[TrainScene], surveys: Sequence[Survey], names: Sequence[str]
) -> tuple[dict[str, Any], ...]:
    """Of each scene; the chips of a folder are one for each group."""
    found: dict[tuple[str, str], list[tuple[TrainScene, Survey]]] = {}
    for scene, looked in zip(scenes, surveys, strict=True):
        found.setdefault((scene.origin or scene.name, scene.group), []).append((scene, looked))
    return tuple(_summary(*key, members, names) for key, members in found.items())


def _summary(
    name: str, group: str, members: Sequence[tuple[TrainScene, Survey]], names: Sequence[str]
) -> dict[str, Any]:
    counts = class_counts([looked for _, looked in members])
    pixels, known = sum(scene.shape[0] * scene.shape[1] for scene, _ in members), int(counts.sum())
    return {
        "name": name,
        "group": group,
        "images": len(members),
        "megapixels": pixels / 1e6,
        "labelled": known / pixels,
        "classes": {name: int(n) / max(1, known) for name, n in zip(names, counts, strict=True)},
    }
