"""Scores against their formulas, by sets of pixels."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from skimage.morphology import skeletonize

from geounet.score.bootstrap import BlockGrid, grid_over, intervals
from geounet.score.boundary import UNKNOWN, near_border
from geounet.score.counts import ArrayRows, count, strips
from geounet.score.matrix import accuracy, boundary_iou, class_scores, cldice, mean_of

labels = arrays(
    np.uint8, st.tuples(st.integers(1, 23), st.integers(1, 19)), elements=st.sampled_from([0, 1, 2, 255])
)


@st.composite
def pairs(draw):
    truth = draw(labels)
    predicted = draw(arrays(np.uint8, truth.shape, elements=st.sampled_from([0, 1, 2, 255])))
    return ArrayRows(truth=truth, predicted=predicted)


def brute_border(a: np.ndarray, distance: int) -> np.ndarray:
    """By definition, pixel by pixel."""
    out = np.zeros(a.shape, bool)
    for r, c in np.ndindex(a.shape):
        around = a[max(0, r - distance) : r + distance + 1, max(0, c - distance) : c + distance + 1]
        out[r, c] = a[r, c] != UNKNOWN and bool(((around != a[r, c]) & (around != UNKNOWN)).any())
    return out


@given(labels, st.integers(1, 6))
@settings(max_examples=80, deadline=None)
def test_boundary_pixels_are_those_of_the_definition(a, distance):
    np.testing.assert_array_equal(near_border(a, distance), brute_border(a, distance))


@given(pairs(), st.integers(1, 24), st.integers(1, 24), st.integers(3, 9), st.integers(1, 4))
@settings(max_examples=60, deadline=None)
def test_scores_do_not_depend_on_the_height_of_the_strips(rows, first, second, side, distance):
    grid = BlockGrid(height=rows.shape[0], width=rows.shape[1], side=side)
    one, other = (
        count(rows, classes=3, grid=grid, boundary=distance, skeletons=True, step=step) for step in (first, second)
    )
    for name in ("confusion", "boundary", "skeleton"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))


def test_wide_masks_do_not_depend_on_the_height_of_the_strips():
    """Wider and taller than the strips, so that the thinning waits for what lies below."""
    rng = np.random.default_rng(1)
    truth = np.zeros((700, 420), np.uint8)
    truth[30:660, 40:390] = 1
    truth[rng.integers(0, 700, 40), rng.integers(0, 420, 40)] ^= 1
    rows = ArrayRows(truth=truth, predicted=np.roll(truth, 5, axis=0))
    grid = grid_over(height=700, width=420, values=20)
    sums = [count(rows, classes=2, grid=grid, boundary=3, skeletons=True, step=s).skeleton for s in (700, 64, 131)]
    assert sums[0].any()
    for other in sums[1:]:
        np.testing.assert_array_equal(sums[0], other)


@given(pairs(), st.integers(1, 24), st.integers(0, 30))
@settings(max_examples=50, deadline=None)
def test_strips_cover_every_row_once_with_their_halo(rows, step, halo):
    read = []

    class Watched:
        shape = rows.shape

        def read(self, top, bottom):
            read.extend(range(top, bottom))
            return rows.read(top, bottom)

    whole = rows.read(0, rows.shape[0])
    at = 0
    for core, top, pair in strips(Watched(), step=step, halo=halo):
        assert top == at
        first, last = top - core.start, min(rows.shape[0], top + step + halo)
        assert first == max(0, top - halo)
        for mine, all_rows in zip(pair, whole, strict=True):
            np.testing.assert_array_equal(mine, all_rows[first:last])
        at += core.stop - core.start
    assert at == rows.shape[0]
    assert read == list(range(rows.shape[0])), "each row is read once"


@given(pairs())
@settings(max_examples=60, deadline=None)
def test_scores_are_those_of_sets(rows):
    truth, predicted = rows.truth, rows.predicted
    grid = BlockGrid(height=rows.shape[0], width=rows.shape[1], side=5)
    counts = count(rows, classes=3, grid=grid, boundary=2, skeletons=False, step=7)
    matrix = counts.confusion.sum(0)
    known = (truth != 255) & (predicted != 255)
    found = class_scores(matrix)
    for value in range(3):
        t, p = known & (truth == value), known & (predicted == value)
        both, either = (t & p).sum(), (t | p).sum()
        if not either:
            assert all(np.isnan(found[name][value]) for name in found)
            continue
        assert found["iou"][value] == pytest.approx(both / either)
        assert found["dice"][value] == pytest.approx(2 * both / (t.sum() + p.sum()))
        precision, recall = both / max(1, p.sum()), both / max(1, t.sum())
        assert found["precision"][value] == pytest.approx(precision)
        assert found["recall"][value] == pytest.approx(recall)
        f1 = 2 * precision * recall / (precision + recall) if both else 0.0
        assert found["f1"][value] == pytest.approx(f1)
    if known.any():
        assert accuracy(matrix) == pytest.approx((truth == predicted)[known].mean())
        assert mean_of(found["iou"]) == pytest.approx(np.nanmean(found["iou"]))
    else:
        assert np.isnan(accuracy(matrix))


@given(pairs(), st.integers(1, 4))
@settings(max_examples=60, deadline=None)
def test_boundary_iou_is_that_of_the_paper_on_each_class(rows, distance):
    """|Gd & Pd & G & P| / |(Gd & G) | (Pd & P)|, class by class, with nodata and the rim as no borders."""
    grid = BlockGrid(height=rows.shape[0], width=rows.shape[1], side=50)
    counts = count(rows, classes=3, grid=grid, boundary=distance, skeletons=False, step=6)
    found = boundary_iou(counts.boundary.sum(0))
    truth, predicted = rows.read(0, rows.shape[0])
    for value in range(3):
        t, p = ((a == value) & brute_border(a, distance) for a in (truth, predicted))
        if (t | p).any():
            assert found[value] == pytest.approx((t & p).sum() / (t | p).sum())
        else:
            assert np.isnan(found[value])


def blocks_of(where: np.ndarray, grid: BlockGrid) -> list[int]:
    """How many are True in each block."""
    windows = [grid.window(k) for k in range(len(grid))]
    return [int(where[w.row_off : w.row_off + w.height, w.col_off : w.col_off + w.width].sum()) for w in windows]


@given(pairs(), st.integers(1, 9), st.integers(3, 12))
@settings(max_examples=60, deadline=None)
def test_skeletons_are_those_of_the_whole_masks(rows, step, side):
    grid = BlockGrid(height=rows.shape[0], width=rows.shape[1], side=side)
    counts = count(rows, classes=3, grid=grid, boundary=2, skeletons=True, step=step)
    truth, predicted = (labels == 1 for labels in rows.read(0, rows.shape[0]))
    true, found = skeletonize(truth), skeletonize(predicted)
    for place, where in enumerate((found & truth, found, true & predicted, true)):
        assert counts.skeleton[:, place].tolist() == blocks_of(where, grid)


def test_cldice_by_hand():
    """A road of three rows; the prediction has half of its length. All of its skeleton is right, half is found."""
    assert cldice(np.array([10, 10, 5, 10])) == pytest.approx(2 * 1 * 0.5 / 1.5)
    assert cldice(np.array([0, 10, 0, 10])) == 0
    assert cldice(np.array([0, 0, 0, 10])) == 0, "an empty map of a mask that is not"
    assert np.isnan(cldice(np.zeros(4)))
    truth = np.zeros((9, 60), np.uint8)
    truth[3:6] = 1
    rows = ArrayRows(truth=truth, predicted=truth)
    counts = count(rows, classes=2, grid=BlockGrid(height=9, width=60, side=32), boundary=1, skeletons=True, step=4)
    assert cldice(counts.skeleton.sum(0)) == 1


def test_intervals_cover_the_value_and_come_again_with_the_seed():
    rng = np.random.default_rng(0)
    hits = rng.binomial(100, 0.7, 60)
    blocks = np.stack([hits, np.full(60, 100)], axis=1)

    def score(sums):
        return {"share": sums[0][..., 0] / sums[0][..., 1]}

    low, high = intervals((blocks,), score, draws=2000, seed=3)["share"]
    value = hits.sum() / 6000
    assert low < value < high
    spread = np.std(hits / 100) / np.sqrt(60)
    assert (high - low) == pytest.approx(2 * 1.96 * spread, rel=0.1), "the width that the central limit gives"
    assert intervals((blocks,), score, draws=2000, seed=3)["share"][0] == low
    assert intervals((blocks,), score, draws=2000, seed=4)["share"][0] != low
    assert intervals((blocks[:7],), score, draws=2000, seed=3) == {}


@pytest.mark.parametrize(
    ("height", "width", "values", "side"),
    [
        (1024, 1024, 44, 256),
        (256, 256, 44, 64),
        (40, 40, 44, 32),
        (100_000, 100_000, 44, 2048),
        (8192, 8192, 64516, 1024),
    ],
)
def test_blocks_suit_the_raster(height, width, values, side):
    assert grid_over(height=height, width=width, values=values).side == side
