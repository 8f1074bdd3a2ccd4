"""What an evaluation found, as one value: for people, for JSON, for CSV."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geounet.score.calibration import Calibration

_DIGITS = 6


@dataclass(frozen=True, kw_only=True)
class Score:
    """One number, and how far it may be off."""

    value: float
    """0..1, the more the better (but of ``ece``); NaN where it is not defined (a class that is nowhere)."""
    low: float = math.nan
    """Lower limit of the 95 % interval; NaN where none could be computed."""
    high: float = math.nan
    """Upper limit."""

    def __float__(self) -> float:
        return self.value


@dataclass(frozen=True, kw_only=True)
class ClassScores:
    """The scores of one class."""

    name: str
    support: float
    """How much of it the truth has, in `Scores.unit`."""
    scores: Mapping[str, Score]
    scored: bool = True
    """Whether it is part of the means; ``other`` and the background of a mask are not."""


@dataclass(frozen=True, kw_only=True)
class Place:
    """A block with many errors."""

    name: str
    """Where it is, as people find it: rows and columns, or metres from the middle."""
    x: float
    """Of its middle, in degrees of longitude; in the raster's own coordinates where it has no CRS."""
    y: float
    """Latitude; likewise."""
    errors: float
    """Wrong pixels, metres or square metres."""
    share: float
    """Of what the block has, 0..1."""
    note: str = ""
    """The commonest confusion."""
    picture: bytes = field(default=b"", repr=False)
    """PNG of truth and prediction side by side; empty for vectors."""
    pictured: tuple[str, ...] = ()
    """What the picture shows, from left to right."""


@dataclass(frozen=True, kw_only=True)
class SceneScores:
    """One of several scenes by itself."""

    name: str
    pixels: int
    scores: Mapping[str, Score]
    """As `Scores.summary`."""


@dataclass(frozen=True, kw_only=True)
class Scores:
    """What :func:`geounet.evaluate` returns."""

    kind: str
    """``labels``, ``mask``, ``lines`` or ``polygons``."""
    prediction: str
    truth: str
    summary: Mapping[str, Score]
    """Scores of the whole, by name: ``mean_iou``, ``accuracy``, ``cldice``, ``apls``, …"""
    classes: tuple[ClassScores, ...] = ()
    matrix: NDArray[Any] | None = None
    """Confusion matrix ``(K, K)`` in `unit`, truth down, prediction across; for polygons one more: no polygon."""
    matrix_names: tuple[str, ...] = ()
    """Of its rows and columns."""
    unit: str = "px"
    """``px``, ``m`` or ``m²``."""
    amounts: Mapping[str, float] = field(default_factory=dict)
    """What was compared: pixels, metres of road, objects."""
    worst: tuple[Place, ...] = ()
    """Blocks with the most errors, the worst first."""
    scenes: tuple[SceneScores, ...] = ()
    """Every scene by itself, where there are several."""
    calibration: Calibration | None = None
    """The reliability diagram, where confidences were given."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """All that decides the numbers: buffer, boundary distance, blocks, draws, seed."""
    warnings: tuple[str, ...] = ()
    """One line each."""

    def __getitem__(self, name: str) -> float:
        """The value of a score of the whole: ``scores["mean_iou"]``. Raises KeyError where there is none."""
        return self.summary[name].value

    def of(self, name: str) -> Mapping[str, Score]:
        """The scores of a class: ``scores.of("road")["iou"].value``. Raises KeyError where there is none."""
        return {c.name: c.scores for c in self.classes}[name]

    def to_dict(self) -> dict[str, Any]:
        """As JSON has it: six digits, null for what is not defined."""
        return {
            "kind": self.kind,
            "prediction": self.prediction,
            "truth": self.truth,
            "scores": {name: _score(s) for name, s in self.summary.items()},
            "classes": [_class(c) for c in self.classes],
            "confusion": None if self.matrix is None else self._confusion(self.matrix),
            "unit": self.unit,
            "amounts": {name: _number(v) for name, v in self.amounts.items()},
            "worst": [_place(p) for p in self.worst],
            **({"scenes": [_scene(s) for s in self.scenes]} if self.scenes else {}),
            **({"calibration": _bins(self.calibration)} if self.calibration is not None else {}),
            "settings": dict(self.settings),
            "warnings": list(self.warnings),
        }

    def _confusion(self, matrix: NDArray[Any]) -> dict[str, Any]:
        counts = [[_number(v) for v in row] for row in matrix.tolist()]
        return {"names": list(self.matrix_names), "rows": "truth", "unit": self.unit, "counts": counts}

    def rows(self) -> list[tuple[str, str, float, float, float]]:
        """``(class, score, value, low, high)``; the class is empty for scores of the whole."""
        whole = [("", name, s.value, s.low, s.high) for name, s in self.summary.items()]
        return whole + [
            (c.name, name, s.value, s.low, s.high) for c in self.classes for name, s in c.scores.items()
        ]


def scores_with_limits(
    values: Mapping[str, Any], limits: Mapping[str, tuple[Any, Any]], at: int | None = None
) -> dict[str, Score]:
    """Scores from values and their intervals; ``at``: of one class, where both have a last axis."""

    def pick(value: Any) -> float:
        return float(value if at is None else np.asarray(value)[at])

    def one(name: str, value: Any) -> Score:
        if name not in limits:
            return Score(value=pick(value))
        low, high = limits[name]
        return Score(value=pick(value), low=pick(low), high=pick(high))

    return {name: one(name, value) for name, value in values.items()}


def sorted_worst(errors: Sequence[float] | NDArray[Any], *, most: int) -> list[int]:
    """Places of the largest errors, at most ``most``, the largest first; of equal ones the first. None without."""
    values = np.asarray(errors, np.float64)
    order = np.lexsort((np.arange(values.size), -values))[:most]
    return [int(i) for i in order if values[i] > 0]


def _score(score: Score) -> dict[str, float | None]:
    limits = {"low": _number(score.low), "high": _number(score.high)}
    return {"value": _number(score.value), **(limits if limits["low"] is not None else {})}


def _class(found: ClassScores) -> dict[str, Any]:
    known = {"name": found.name, "scored": found.scored, "support": _number(found.support)}
    return known | {name: _score(s) for name, s in found.scores.items()}


def _place(place: Place) -> dict[str, Any]:
    numbers = {name: _number(getattr(place, name)) for name in ("x", "y", "errors", "share")}
    return {"name": place.name, **numbers, "note": place.note}


def _scene(scene: SceneScores) -> dict[str, Any]:
    return {"name": scene.name, "pixels": scene.pixels, **{name: _score(s) for name, s in scene.scores.items()}}


def _bins(calibration: Calibration) -> list[dict[str, float | None]]:
    """One entry per bin of the reliability diagram, from unsure to sure."""
    columns = zip(calibration.pixels, calibration.confidence, calibration.accuracy, strict=True)
    return [{"pixels": n, "confidence": _number(sure), "accuracy": _number(right)} for n, sure, right in columns]


def _number(value: float) -> float | int | None:
    if isinstance(value, int):
        return value
    if not math.isfinite(value):
        return None
    return int(value) if value == int(value) and abs(value) > 1 else round(value, _DIGITS)
