"""Scores from confusion matrices, which add up over tiles, scenes and workers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from geounet.model.spec import NODATA


def confusion(truth: NDArray[np.uint8], predicted: NDArray[np.uint8], classes: int) -> NDArray[np.int64]:
    """Counts ``(classes, classes)``: truth down, prediction across. NODATA in either does not count."""
    known = (truth != NODATA) & (predicted != NODATA)
    code = truth[known].astype(np.int64) * classes + predicted[known]
    return np.bincount(code, minlength=classes * classes).reshape(classes, classes)


def iou(matrix: NDArray[np.int64]) -> NDArray[np.float64]:
    """Intersection over union per class; NaN for a class in neither truth nor prediction."""
    hit = np.diag(matrix).astype(np.float64)
    union = matrix.sum(0) + matrix.sum(1) - np.diag(matrix)
    return np.divide(hit, union, out=np.full(len(hit), np.nan), where=union > 0)


def scores(matrix: NDArray[np.int64], names: Sequence[str]) -> dict[str, float]:
    """Mean IoU over the classes that occur, pixel accuracy, and IoU per class, rounded to four digits."""
    per_class = iou(matrix)
    occurs = ~np.isnan(per_class)
    total = int(matrix.sum())
    out = {
        "mean_iou": float(per_class[occurs].mean()) if occurs.any() else 0.0,
        "accuracy": float(np.trace(matrix) / total) if total else 0.0,
    }
    named = {f"iou_{name}": float(v) for name, v, o in zip(names, per_class, occurs, strict=True) if o}
    return {key: round(value, 4) for key, value in {**out, **named}.items()}
