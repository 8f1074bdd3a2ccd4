"""Does the map know what it does not know? Of the pixels it is 80 % sure of, 80 % should be right.

Expected calibration error and reliability diagram of C. Guo et al., On Calibration of Modern Neural Networks, ICML
2017: pixels are put into 15 bins by their confidence, and each bin's mean confidence is compared with the share
that is right. Confidences are bytes (0 to 250), so every sum is a whole number and does not depend on the strips.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from geounet.model.canvas import CONFIDENCE_SCALE
from geounet.score.bootstrap import BlockGrid
from geounet.score.boundary import UNKNOWN
from geounet.score.counts import Labels, Pair
from geounet.score.matrix import FloatArray, ratio

BINS = 15
"""As in the paper."""


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """The reliability diagram: every tuple has `BINS` entries, from unsure to sure."""

    pixels: tuple[int, ...]
    """Pixels in the bin."""
    confidence: tuple[float, ...]
    """Their mean confidence, 0..1; NaN in an empty bin."""
    accuracy: tuple[float, ...]
    """The share of them that is right; NaN in an empty bin."""


class SureRows(Protocol):
    """Truth, prediction and confidence on one grid."""

    @property
    def shape(self) -> tuple[int, int]:
        """``(height, width)``."""

    def read(self, top: int, bottom: int) -> Pair:
        """Rows of truth and prediction."""

    def sure(self, top: int, bottom: int) -> Labels:
        """Confidences of these rows, 0..250; more where unknown."""


def count_calibration(rows: SureRows, *, grid: BlockGrid, step: int) -> NDArray[np.int64]:
    """``(n, BINS, 3)`` by block: pixels, those that are right, the sum of their confidences (in bytes)."""
    found = np.zeros((len(grid), BINS, 3), np.int64)
    for top in range(0, rows.shape[0], step):
        bottom = min(rows.shape[0], top + step)
        (truth, predicted), sure = rows.read(top, bottom), rows.sure(top, bottom)
        for row in range(top // grid.side, (bottom - 1) // grid.side + 1):
            cut = slice(max(top, row * grid.side) - top, min(bottom, (row + 1) * grid.side) - top)
            band = slice(row * grid.cols, (row + 1) * grid.cols)
            found[band] += _row_of_blocks(truth[cut], predicted[cut], sure[cut], grid)
    return found


def _row_of_blocks(truth: Labels, predicted: Labels, sure: Labels, grid: BlockGrid) -> NDArray[np.int64]:
    """``(cols, BINS, 3)`` of rows that lie in one row of blocks."""
    out = np.zeros((grid.cols, BINS, 3), np.int64)
    for col in range(grid.cols):
        at = np.s_[:, col * grid.side : (col + 1) * grid.side]
        known = (truth[at] != UNKNOWN) & (sure[at] <= CONFIDENCE_SCALE)
        values, right = sure[at][known], (truth[at] == predicted[at])[known]
        codes = 2 * bin_of(values) + right
        counts = np.bincount(codes, minlength=2 * BINS).reshape(BINS, 2)
        # sums of at most 2**53 bytes: exact in float64
        sums = np.bincount(bin_of(values), weights=values, minlength=BINS)
        out[col] = np.stack([counts.sum(1), counts[:, 1], np.rint(sums).astype(np.int64)], axis=-1)
    return out


def bin_of(values: NDArray[np.uint8]) -> NDArray[np.intp]:
    """The bin ``0..BINS - 1`` of confidences as bytes; as in the paper, a border belongs to the bin below it."""
    upper = -(-values.astype(np.intp) * BINS // CONFIDENCE_SCALE) - 1
    return np.clip(upper, 0, BINS - 1)


def expected_error(counts: NDArray[Any]) -> FloatArray:
    """Expected calibration error ``(…)``, 0 is best, from ``(…, BINS, 3)``; NaN without a pixel."""
    pixels, right, sure = (counts[..., i].astype(np.float64) for i in range(3))
    gaps = np.abs(right - sure / CONFIDENCE_SCALE).sum(-1)
    return ratio(gaps, pixels.sum(-1))


def diagram(counts: NDArray[Any]) -> Calibration:
    """The reliability diagram from ``(BINS, 3)``."""
    pixels, right, sure = (counts[:, i].astype(np.float64) for i in range(3))
    return Calibration(
        pixels=tuple(int(n) for n in pixels),
        confidence=tuple(float(v) for v in ratio(sure / CONFIDENCE_SCALE, pixels)),
        accuracy=tuple(float(v) for v in ratio(right, pixels)),
    )
