"""Laws of centre-lines: the skeleton is scikit-image's, the distances scipy's, and nothing shows the strips."""

from __future__ import annotations

from dataclasses import fields

import networkx
import numpy as np
import pytest
import scipy.ndimage
import shapely
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from skimage.morphology import skeletonize

from geounet.vector.centrelines import CentreLines, centre_lines
from geounet.vector.network import network
from geounet.vector.skeleton import Skeleton, Thinner, join, skeleton

Mask = NDArray[np.bool_]


def blobs(seed: int, shape: tuple[int, int], smooth: float, share: float) -> Mask:
    """Random marks about as wide as ``smooth``."""
    field = scipy.ndimage.gaussian_filter(np.random.default_rng(seed).standard_normal(shape), smooth)
    return np.asarray(field >= np.quantile(field, 1 - share))


def spiral(n: int) -> Mask:
    """A line that winds inwards, with a gap of one between its turns."""
    out = np.zeros((n, n), np.bool_)
    for k in range(0, n // 2, 2):
        out[k, max(0, k - 1) : n - k] = True
        out[k : n - k, n - k - 1] = True
        out[n - k - 1, k : n - k] = True
        out[k + 2 : n - k, k] = True
    return out


def nested(n: int) -> Mask:
    """Rings in rings."""
    i = np.minimum(np.arange(n), np.arange(n)[::-1])
    return np.asarray(np.minimum.outer(i, i) % 2 == 0)


def comb(n: int) -> Mask:
    """Teeth that join only in the last row."""
    out = np.tile(np.array([True, False]), (n, n))[:, :n]
    out[-1] = True
    return out


def grown(mask: Mask, rows: int, columns: int) -> Mask:
    """Each pixel as a block of pixels."""
    return np.asarray(np.kron(mask, np.ones((rows, columns))) == 1)


drawn = arrays(np.bool_, st.tuples(st.integers(1, 14), st.integers(1, 14)))
smooth = st.builds(
    blobs,
    st.integers(0, 10**6),
    st.tuples(st.integers(1, 48), st.integers(1, 48)),
    st.floats(0.5, 4),
    st.floats(0.05, 1),
)
SHAPES = {
    "full": np.ones((23, 17), np.bool_),
    "empty": np.zeros((5, 4), np.bool_),
    "checkerboard": np.indices((11, 12)).sum(0) % 2 == 0,
    "bar": np.pad(np.ones((40, 9), np.bool_), 3),
    "frame": np.pad(np.zeros((20, 20), np.bool_), 6, constant_values=True),
    "spiral": grown(spiral(13), 3, 3),
    "nested": grown(nested(9), 4, 4),
    "comb": grown(comb(8), 3, 2),
    "grid": grown(np.indices((5, 6)).min(0) % 2 == 0, 5, 4),
    "wedge": np.abs(np.arange(-30, 31))[None, :] <= np.arange(40)[:, None] / 2,
}


def sides(rows: NDArray[np.int64]) -> NDArray[np.float64]:
    """Pixels that get narrower from row to row, as those of a grid in degrees do."""
    return np.stack([0.5 / (1 + 0.01 * rows), np.full(rows.size, 0.5)], axis=1)


def thinned(mask: Mask, step: int, confidence: NDArray[np.uint8]) -> Skeleton:
    thinner = Thinner(width=mask.shape[1])
    parts = []
    for top in range(0, mask.shape[0], step):
        rows = np.arange(top, min(top + step, mask.shape[0]))
        parts.append(thinner.feed(mask[rows], sides=sides(rows), confidence=confidence[rows]))
    return join([*parts, thinner.close()])


def same(one: object, other: object) -> bool:
    pairs = [(getattr(one, f.name), getattr(other, f.name)) for f in fields(one)]  # type: ignore[arg-type]
    return all(a is b if a is None else np.array_equal(a, b, equal_nan=True) for a, b in pairs)


def check(mask: Mask) -> None:
    confidence = (np.arange(mask.size) % 256).astype(np.uint8).reshape(mask.shape)
    whole = thinned(mask, mask.shape[0], confidence)
    image = np.zeros(mask.size, np.bool_)
    image[whole.place] = True
    assert (image.reshape(mask.shape) == skeletonize(mask)).all()
    lines = centre_lines(whole, shape=mask.shape, sides=sides, bridge=2.0)
    for step in {1, 2, 3, 5, 11, mask.shape[0] // 2 + 1}:
        pieces = thinned(mask, step, confidence)
        assert same(whole, pieces), step
        assert same(lines, centre_lines(pieces, shape=mask.shape, sides=sides, bridge=2.0)), step
    check_graph(whole, lines, mask.shape)


def check_graph(found: Skeleton, lines: CentreLines, shape: tuple[int, int]) -> None:
    net = network(found.place, width=shape[1])
    graph = networkx.MultiGraph(net.ends.tolist())
    image = np.zeros(shape, np.bool_)
    image.ravel()[found.place] = True
    labels, _ = scipy.ndimage.label(image, np.ones((3, 3)))
    assert networkx.number_connected_components(graph) == (np.bincount(labels.ravel())[1:] > 1).sum()
    assert sorted(dict(graph.degree).values()) == sorted(net.degree.tolist())
    inner = [net.path[a + 1 : b - 1] for a, b in zip(net.starts[:-1], net.starts[1:], strict=True)]
    assert len(np.unique(np.concatenate([*inner, []]))) == sum(map(len, inner)), "no pixel in two edges"
    assert (lines.ends[:, 0] <= lines.ends[:, 1]).all()
    first, last = lines.xy[lines.starts[:-1]], lines.xy[lines.starts[1:] - 1]
    assert (first == lines.node_xy[lines.ends[:, 0]]).all()
    assert (last == lines.node_xy[lines.ends[:, 1]]).all()
    assert ((lines.xy >= 0) & (lines.xy <= np.array(shape[::-1]))).all()


@pytest.mark.parametrize("name", SHAPES)
def test_shapes(name: str) -> None:
    check(SHAPES[name])


@given(drawn)
@settings(deadline=None, max_examples=60)
def test_drawn_masks(mask: Mask) -> None:
    check(mask)


@given(smooth)
@example(blobs(89, (25, 25), 0.9817046928999175, 0.9817046928999175))  # a line to the rim, rounded to beyond it
@settings(deadline=None, max_examples=40)
def test_smooth_masks(mask: Mask) -> None:
    check(mask)


wide = st.builds(
    blobs,
    st.integers(0, 10**6),
    st.tuples(st.integers(1, 40), st.one_of(st.integers(50, 140), st.integers(480, 1100))),
    st.floats(0.5, 8),
    st.floats(0.05, 1),
)


@given(wide, st.integers(1, 41))
@settings(deadline=None, max_examples=40)
def test_words_and_their_groups_do_not_show(mask: Mask, step: int) -> None:
    found = skeleton(mask, rows_at_once=step)
    assert (found.place == np.flatnonzero(skeletonize(mask))).all()


def test_a_mark_so_wide_that_its_steps_need_two_bytes() -> None:
    mask = np.pad(np.ones((700, 560), np.bool_), 3)
    mask[::37, ::41] = False
    mask[100:600, 20:540] = True
    found, whole = skeleton(mask, rows_at_once=190), skeleton(mask)
    assert (found.place == np.flatnonzero(skeletonize(mask))).all()
    assert (found.reach == whole.reach).all()


@given(smooth, st.integers(1, 20))
@settings(deadline=None, max_examples=40)
def test_distances_are_those_of_the_whole_mask(mask: Mask, step: int) -> None:
    found = skeleton(mask, rows_at_once=step)
    want = scipy.ndimage.distance_transform_edt(mask).ravel() if not mask.all() else np.full(mask.size, np.inf)
    np.testing.assert_allclose(found.reach, np.minimum(want[found.place], mask.shape[1]))


def test_distances_follow_the_sides_of_a_pixel() -> None:
    mask = np.pad(np.ones((60, 9), np.bool_), 4)
    thinner = Thinner(width=mask.shape[1])
    found = join([thinner.feed(mask, sides=np.full((mask.shape[0], 2), (0.2, 3.0))), thinner.close()])
    want = scipy.ndimage.distance_transform_edt(mask, sampling=(3.0, 0.2)).ravel()
    np.testing.assert_allclose(found.reach, want[found.place])


def test_rows_come_out_soon() -> None:
    """Memory hangs on how wide the roads are, and not on how long."""
    mask = np.zeros((4000, 60), np.bool_)
    mask[:, 20:40] = True
    thinner = Thinner(width=60)
    waiting = []
    for top in range(0, 4000, 50):
        thinner.feed(mask[top : top + 50])
        waiting.append(thinner._mask.shape[0])
    assert max(waiting) <= 50 + 2 * 20


@given(smooth)
@settings(deadline=None, max_examples=25)
def test_what_is_pruned_leaves_the_rest_connected(mask: Mask) -> None:
    found = skeleton(mask)
    lines = centre_lines(found, shape=mask.shape, sides=lambda r: np.ones((r.size, 2)))
    before = networkx.MultiGraph(network(found.place, width=mask.shape[1]).ends.tolist())
    after = networkx.MultiGraph(lines.ends.tolist())
    assert networkx.number_connected_components(after) <= networkx.number_connected_components(before)
    if len(lines.ends):
        drawn_lines = shapely.linestrings(
            lines.xy, indices=np.repeat(np.arange(len(lines.ends)), np.diff(lines.starts))
        )
        assert (shapely.length(drawn_lines) > 0).all()
