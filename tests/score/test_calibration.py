"""Calibration against its formula, pixel by pixel, and on files."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

import geounet
from geounet.errors import RequestError
from geounet.score.bootstrap import BlockGrid
from geounet.score.calibration import BINS, bin_of, count_calibration, diagram, expected_error


@dataclass(frozen=True)
class Held:
    truth: np.ndarray
    predicted: np.ndarray
    bytes: np.ndarray

    @property
    def shape(self):
        return self.truth.shape

    def read(self, top, bottom):
        return self.truth[top:bottom], self.predicted[top:bottom]

    def sure(self, top, bottom):
        return self.bytes[top:bottom]


def by_definition(truth, predicted, sure):
    """Guo et al., equation 3, with bins ((m - 1) / M, m / M]."""
    known = (truth != 255) & (sure <= 250)
    confidence, right = sure[known] / 250, (truth == predicted)[known]
    if not known.any():
        return np.nan
    error = 0.0
    for m in range(BINS):
        inside = (confidence * BINS > m + 1e-9) & (confidence * BINS <= m + 1 + 1e-9)
        inside |= (confidence == 0) & (m == 0)
        if inside.any():
            error += inside.sum() / known.sum() * abs(right[inside].mean() - confidence[inside].mean())
    return error


@st.composite
def maps(draw):
    shape = draw(st.tuples(st.integers(1, 17), st.integers(1, 17)))
    one, other = (draw(arrays(np.uint8, shape, elements=st.sampled_from([0, 1, 2]))) for _ in range(2))
    unknown = draw(arrays(bool, shape))
    sure = draw(arrays(np.uint8, shape, elements=st.sampled_from([0, 50, 100, 150, 183, 249, 250, 255])))
    return Held(*(np.where(unknown, 255, a).astype(np.uint8) for a in (one, other)), sure)


@given(maps(), st.integers(2, 9), st.integers(1, 18), st.integers(1, 18))
@settings(max_examples=80, deadline=None)
def test_the_error_is_that_of_the_paper_whatever_the_strips(rows, side, first, second):
    grid = BlockGrid(height=rows.shape[0], width=rows.shape[1], side=side)
    one, other = (count_calibration(rows, grid=grid, step=step) for step in (first, second))
    np.testing.assert_array_equal(one, other)
    expected = by_definition(rows.truth, rows.predicted, rows.bytes)
    np.testing.assert_allclose(expected_error(one.sum(0)), expected, atol=1e-12)
    assert sum(diagram(one.sum(0)).pixels) == one[..., 0].sum()


def test_bins_share_the_bytes():
    assert bin_of(np.array([0, 1, 16, 17, 250], np.uint8)).tolist() == [0, 0, 0, 1, BINS - 1]


def test_files(write_labels, tmp_path):
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 3, (300, 320)).astype(np.uint8)
    sure = rng.integers(100, 251, truth.shape).astype(np.uint8)
    wrong = rng.random(truth.shape) > sure / 250
    predicted = np.where(wrong, (truth + 1) % 3, truth).astype(np.uint8)
    files = write_labels("p.tif", predicted), write_labels("t.tif", truth)
    honest = geounet.evaluate(*files, confidence=write_labels("c.tif", sure), output=tmp_path / "out")
    assert honest["ece"] < 0.01
    assert 0 < honest.summary["ece"].low < honest.summary["ece"].high < 0.02  # drawn again, gaps only grow
    boastful = geounet.evaluate(*files, confidence=write_labels("d.tif", np.full_like(sure, 250)))
    assert boastful["ece"] == pytest.approx(wrong.mean())
    assert "reliability diagram" in (tmp_path / "out" / "report.html").read_text()
    assert len(honest.to_dict()["calibration"]) == BINS
    with pytest.raises(RequestError, match="--confidence"):
        geounet.evaluate(*files, confidence=write_labels("small.tif", sure[:100]))
