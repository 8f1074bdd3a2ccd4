"""Metrics against their definitions."""

from __future__ import annotations

import numpy as np
import pytest

from geounet.model.spec import NODATA
from geounet.train import metrics


def test_iou_against_sets_of_pixels() -> None:
    rng = np.random.default_rng(2)
    truth, predicted = rng.integers(0, 3, (2, 30, 40)).astype(np.uint8)
    truth[:4] = NODATA
    matrix = metrics.confusion(truth, predicted, 4)
    for value in range(3):
        t, p = (truth == value), (predicted == value) & (truth != NODATA)
        assert metrics.iou(matrix)[value] == pytest.approx((t & p).sum() / (t | p).sum())
    assert np.isnan(metrics.iou(matrix)[3])
    named = metrics.scores(matrix, ["a", "b", "c", "d"])
    assert named["mean_iou"] == pytest.approx(metrics.iou(matrix)[:3].mean(), abs=1e-4)
    assert "iou_d" not in named
