"""From counts by block to the scores of the whole and of every class, with their intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from geounet.score.bootstrap import Scorer, Sums, intervals
from geounet.score.calibration import expected_error
from geounet.score.classes import Matching
from geounet.score.counts import Counts
from geounet.score.matrix import FloatArray, accuracy, boundary_iou, class_scores, cldice, mean_of
from geounet.score.scores import ClassScores, Score, scores_with_limits
from geounet.score.settings import Settings


def joined(counts: Sequence[Counts]) -> Counts:
    """The blocks of all of them, one after the other."""
    return Counts(
        confusion=np.concatenate([c.confusion for c in counts]),
        boundary=np.concatenate([c.boundary for c in counts]),
        skeleton=np.concatenate([c.skeleton for c in counts]),
    )


def score_counts(
    counts: Counts, matching: Matching, *, mask: bool, settings: Settings, sure: NDArray[np.int64] | None = None
) -> tuple[dict[str, Score], tuple[ClassScores, ...]]:
    """Scores of the whole and of every class, with intervals over blocks, from counts by block."""
    scored = np.array(matching.scored)
    blocks: Sums = (counts.confusion, counts.boundary, counts.skeleton, *(() if sure is None else (sure,)))
    used = counts.confusion.any((1, 2))

    def whole(sums: Sums) -> Mapping[str, FloatArray]:
        found = _by_class(sums)
        error = {} if sure is None else {"ece": expected_error(sums[3])}
        if mask:
            return {
                **{name: values[..., 1] for name, values in found.items()},
                "cldice": cldice(sums[2]),
                **error,
            }
        return {
            "accuracy": accuracy(sums[0]),
            **{f"mean_{name}": mean_of(values[..., scored]) for name, values in found.items()},
            **error,
        }

    def with_limits(score: Scorer) -> tuple[Mapping[str, FloatArray], Mapping[str, tuple[FloatArray, FloatArray]]]:
        limits = intervals(tuple(b[used] for b in blocks), score, draws=settings.draws, seed=settings.seed)
        return score(tuple(b.sum(0) for b in blocks)), limits

    by_class = with_limits(_by_class)
    support = counts.confusion.sum((0, 2))
    classes = tuple(
        ClassScores(
            name=name,
            support=int(support[i]),
            scores=scores_with_limits(*by_class, i),
            scored=matching.scored[i],
        )
        for i, name in enumerate(matching.names)
    )
    return scores_with_limits(*with_limits(whole)), classes


def _by_class(sums: Sums) -> dict[str, FloatArray]:
    return {**class_scores(sums[0]), "boundary_iou": boundary_iou(sums[1])}
