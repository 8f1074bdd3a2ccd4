"""How much of one set of lines lies near another.

C. Heipke, H. Mayer, C. Wiedemann and O. Jamet, Evaluation of automatic road extraction, IAPRS 32 (1997):
completeness is the share of the true length that the prediction's buffer covers, correctness the share of the
predicted length in the truth's buffer, quality what both agree on out of all that either has.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from geounet.score.matrix import FloatArray, agreement, ratio

_QUADRANT = 16  # segments per quarter circle: the round ends are at most 0.5 % of the buffer too narrow


def covered_lengths(lines: NDArray[Any], others: NDArray[Any], *, buffer: float) -> FloatArray:
    """Length of each of ``lines`` ``(n,)`` that lies within ``buffer`` of any of ``others``, in their unit."""
    out = np.zeros(len(lines))
    mine, theirs = shapely.STRtree(others).query(lines, predicate="dwithin", distance=buffer)
    order = np.lexsort((theirs, mine))
    mine, theirs = mine[order], theirs[order]
    for near in np.split(np.arange(len(mine)), np.flatnonzero(np.diff(mine)) + 1):
        if not near.size:  # nothing lies near anything
            break
        around = shapely.union_all(shapely.buffer(others[theirs[near]], buffer, quad_segs=_QUADRANT))
        line = lines[mine[near[0]]]
        out[mine[near[0]]] = min(shapely.length(shapely.intersection(line, around)), shapely.length(line))
    return out


def line_scores(sums: FloatArray) -> dict[str, FloatArray]:
    """Completeness, correctness, F1 and quality, each ``(…)``, from lengths ``(…, 4)``.

    The four: truth covered by the prediction, truth, prediction covered by the truth, prediction.
    """
    found, truth, right, predicted = (sums[..., i] for i in range(4))
    completeness, correctness = ratio(found, truth), ratio(right, predicted)
    return {
        "completeness": completeness,
        "correctness": correctness,
        "f1": agreement(completeness, correctness),
        # Heipke et al.: matched extraction / (extraction + unmatched reference)
        "quality": ratio(right, predicted + truth - found),
    }
