"""Scores from confusion matrices, which add up over strips, blocks, scenes and workers."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

CLASS_SCORES = ("iou", "dice", "precision", "recall", "f1")
"""What `class_scores` gives, in the order in which it is shown."""


def class_scores(matrix: NDArray[Any]) -> dict[str, FloatArray]:
    """IoU, Dice, precision, recall and F1 per class, each ``(…, K)``, from matrices ``(…, K, K)``.

    Truth down, prediction across; pixels or areas. A class in neither truth nor prediction scores NaN. One that
    is in one of them only scores 0 everywhere: what it never met counts against it. Dice and F1 of labels are
    the same number by definition; both names are given because both are asked for.
    """
    hit = np.diagonal(matrix, axis1=-2, axis2=-1)
    return overlap_scores(np.stack([hit, matrix.sum(-1), matrix.sum(-2)], axis=-1))


def overlap_scores(sums: NDArray[Any]) -> dict[str, FloatArray]:
    """What `class_scores` gives, each ``(…)``, from ``(…, 3)``: what both have, the truth, the prediction."""
    hit, truth, predicted = (sums[..., i].astype(np.float64) for i in range(3))
    occurs = truth + predicted > 0
    dice = ratio(2 * hit, truth + predicted)
    precision, recall = ratio(hit, predicted), ratio(hit, truth)
    return {
        "iou": ratio(hit, truth + predicted - hit),
        "dice": dice,
        "precision": np.where(occurs, np.nan_to_num(precision), np.nan),
        "recall": np.where(occurs, np.nan_to_num(recall), np.nan),
        "f1": dice.copy(),
    }


def accuracy(matrix: NDArray[Any]) -> FloatArray:
    """Share of what is right, ``(…)``; NaN where nothing was counted."""
    return ratio(np.trace(matrix, axis1=-2, axis2=-1).astype(np.float64), matrix.sum((-2, -1)).astype(np.float64))


def boundary_iou(counts: NDArray[Any]) -> FloatArray:
    """Boundary IoU ``(…, K)`` from ``(…, K, 3)``: boundary pixels of truth, of prediction, of both."""
    truth, predicted, both = (counts[..., i].astype(np.float64) for i in range(3))
    return ratio(both, truth + predicted - both)


def cldice(counts: NDArray[Any]) -> FloatArray:
    """clDice ``(…)`` from ``(…, 4)``: skeleton of the prediction in the truth, that skeleton, and the reverse.

    The harmonic mean of topology precision and topology sensitivity (Shit et al., clDice: a novel
    topology-preserving loss function for tubular structure segmentation, CVPR 2021).
    """
    precision = ratio(counts[..., 0].astype(np.float64), counts[..., 1].astype(np.float64))
    sensitivity = ratio(counts[..., 2].astype(np.float64), counts[..., 3].astype(np.float64))
    return agreement(precision, sensitivity)


def mean_of(values: FloatArray) -> FloatArray:
    """Mean over the last axis without its NaNs; NaN where there is nothing else."""
    known = ~np.isnan(values)
    return ratio(np.where(known, values, 0.0).sum(-1), known.sum(-1).astype(np.float64))


def ratio(part: FloatArray, whole: FloatArray) -> FloatArray:
    """``part / whole``; NaN where the whole is nothing."""
    part, whole = np.asarray(part, np.float64), np.asarray(whole, np.float64)
    return np.divide(part, whole, out=np.full(np.broadcast(part, whole).shape, np.nan), where=whole > 0)


def agreement(first: FloatArray, second: FloatArray) -> FloatArray:
    """The harmonic mean of two shares of found things; NaN where neither side has any.

    Where one side alone has some, its share is 0 and the other's is of nothing: 0, as by 2 TP / (2 TP + FP + FN).
    """
    known = ~(np.isnan(first) & np.isnan(second))
    return np.where(known, harmonic(np.nan_to_num(first), np.nan_to_num(second)), np.nan)


def harmonic(first: FloatArray, second: FloatArray) -> FloatArray:
    """The harmonic mean; 0 where both are 0, NaN where one is unknown."""
    total = np.asarray(first + second, np.float64)
    return np.where(total == 0, 0.0, ratio(2 * first * second, total))
