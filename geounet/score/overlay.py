"""Polygons against polygons: by the area that they share, and object by object."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from geounet.score.matrix import FloatArray, ratio

MATCH = 0.5
"""IoU from which two polygons are the same object. Where no layer overlaps itself, at most one can reach more."""
_NOTHING = 1e-9


@dataclass(frozen=True, kw_only=True)
class Polygons:
    """One layer, in an equal-area CRS, in m²."""

    shapes: NDArray[Any]
    """``(n,)`` valid polygons or multipolygons."""
    classes: NDArray[np.intp]
    """``(n,)`` class indices."""

    def dissolved(self) -> Polygons:
        """The same ground without overlaps within a class, so that no ground counts twice."""
        shapes, classes = [self.shapes[:0]], [self.classes[:0]]
        for value in np.unique(self.classes):
            mine = self.shapes[self.classes == value]
            union = shapely.union_all(mine)
            if shapely.area(mine).sum() - shapely.area(union) > _NOTHING * shapely.area(union):
                mine = shapely.get_parts(union)
            shapes.append(mine)
            classes.append(np.full(len(mine), value, np.intp))
        return Polygons(shapes=np.concatenate(shapes), classes=np.concatenate(classes))


@dataclass(frozen=True, kw_only=True)
class Pairs:
    """Polygons of two layers that share ground."""

    truth: NDArray[np.intp]
    """``(m,)`` places in the truth."""
    predicted: NDArray[np.intp]
    """``(m,)`` places in the prediction."""
    area: FloatArray
    """``(m,)`` common ground, m²."""


def common_ground(truth: Polygons, predicted: Polygons) -> Pairs:
    """All pairs of polygons that share more than a line."""
    mine, theirs = shapely.STRtree(predicted.shapes).query(truth.shapes, predicate="intersects")
    area = shapely.area(shapely.intersection(truth.shapes[mine], predicted.shapes[theirs]))
    kept = area > 0
    return Pairs(truth=mine[kept], predicted=theirs[kept], area=area[kept])


def area_matrix(truth: Polygons, predicted: Polygons, pairs: Pairs, *, classes: int) -> FloatArray:
    """m² ``(classes + 1, classes + 1)``, truth down, prediction across; the last row and column: no polygon.

    The layers must not overlap themselves within a class (`Polygons.dissolved`).
    """
    out = np.zeros((classes + 1, classes + 1))
    np.add.at(out, (truth.classes[pairs.truth], predicted.classes[pairs.predicted]), pairs.area)
    areas = [
        np.bincount(layer.classes, weights=shapely.area(layer.shapes), minlength=classes)
        for layer in (truth, predicted)
    ]
    out[:-1, -1] = np.maximum(0.0, areas[0] - out[:-1, :-1].sum(1))
    out[-1, :-1] = np.maximum(0.0, areas[1] - out[:-1, :-1].sum(0))
    return out


def match_objects(truth: Polygons, predicted: Polygons, *, least: float = MATCH) -> tuple[Pairs, FloatArray]:
    """One-to-one matches of the same class with IoU ≥ ``least``, best first, and their IoU ``(m,)``.

    Greedy: the pair with the highest IoU is taken first; of equal ones the one that lies further to the left, then
    below, so the order of the file does not matter.
    """
    pairs = common_ground(truth, predicted)
    same = truth.classes[pairs.truth] == predicted.classes[pairs.predicted]
    t, p, area = pairs.truth[same], pairs.predicted[same], pairs.area[same]
    iou = area / (shapely.area(truth.shapes[t]) + shapely.area(predicted.shapes[p]) - area)
    good = iou >= least
    t, p, area, iou = t[good], p[good], area[good], iou[good]
    corners = [
        shapely.bounds(layer.shapes[i])[:, side] for layer, i in ((predicted, p), (truth, t)) for side in (1, 0)
    ]
    chosen = []
    taken_t, taken_p = set(), set()
    for i in np.lexsort((*corners, -iou)).tolist():
        if t[i] not in taken_t and p[i] not in taken_p:
            taken_t.add(t[i])
            taken_p.add(p[i])
            chosen.append(i)
    at = np.array(chosen, dtype=np.intp)
    return Pairs(truth=t[at], predicted=p[at], area=area[at]), iou[at]


def object_scores(sums: FloatArray) -> dict[str, FloatArray]:
    """Precision, recall, F1 and mean IoU of the matches, each ``(…)``, from ``(…, 4)``.

    The four: matches, predicted objects, true objects, sum of the matches' IoU.
    """
    hits, predicted, truth, iou = (sums[..., i] for i in range(4))
    return {
        "object_precision": ratio(hits, predicted),
        "object_recall": ratio(hits, truth),
        "object_f1": ratio(2 * hits, predicted + truth),
        "object_iou": ratio(iou, hits),
    }
