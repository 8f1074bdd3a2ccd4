"""Cores are disjoint and cover; tiles cover every core; weights are positive and sum to 1."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from geounet.errors import ConfigError
from geounet.grid.blocks import Partition
from geounet.grid.lattice import Axis, Lattice
from geounet.grid.window import Window

lengths = st.integers(1, 700)
tiles = st.integers(1, 130)


@st.composite
def axes(draw: st.DrawFn) -> Axis:
    tile = draw(tiles)
    return Axis(length=draw(lengths), tile=tile, overlap=draw(st.integers(0, tile - 1)))


@given(axes())
def test_tiles_cover_the_axis_and_stay_on_it(axis: Axis) -> None:
    starts = axis.starts
    assert starts[0] == 0
    assert starts[-1] == max(0, axis.length - axis.tile)
    assert list(starts) == sorted(set(starts))
    covered = np.zeros(axis.length, bool)
    for start in starts:
        covered[start : start + axis.tile] = True
    assert covered.all()
    assert all(b - a <= axis.stride for a, b in itertools.pairwise(starts))
    if axis.length >= axis.tile:
        assert starts[-1] + axis.tile == axis.length


@given(axes())
def test_weights_are_positive_and_sum_to_one(axis: Axis) -> None:
    total = np.zeros(max(axis.length, axis.tile), np.float32)
    for index, start in enumerate(axis.starts):
        weights = axis.weights(index)
        assert weights.dtype == np.float32
        assert weights.shape == (axis.tile,)
        inside = min(axis.tile, axis.length - start)
        assert (weights[:inside] > 0).all()
        assert (weights[inside:] == 0).all()
        total[start : start + axis.tile] += weights
    assert np.abs(total[: axis.length] - 1).max() <= 1e-6
    assert (total[axis.length :] == 0).all()


@given(axes(), st.integers(0, 699), st.integers(1, 300))
def test_touching_is_what_a_slow_look_finds(axis: Axis, low: int, extent: int) -> None:
    assume(low < axis.length)
    high = min(low + extent, axis.length)
    slow = [i for i, start in enumerate(axis.starts) if start < high and start + axis.tile > low]
    assert list(axis.touching(low, high)) == slow


def test_an_axis_refuses_an_overlap_of_a_whole_tile() -> None:
    with pytest.raises(ConfigError, match="overlap"):
        Axis(length=10, tile=8, overlap=8)


@given(lengths, lengths, st.integers(1, 300), st.integers(1, 300))
def test_cores_are_disjoint_and_cover(height: int, width: int, block_height: int, block_width: int) -> None:
    assume(height * width <= 60_000 and height * width // (block_height * block_width) < 400)
    partition = Partition(height=height, width=width, block_height=block_height, block_width=block_width)
    owners = np.zeros((height, width), np.int64)
    for number, block in enumerate(partition):
        assert block.index == number
        assert block.core.area > 0
        assert block.is_top == (block.core.row_off == 0)
        owners[block.core.slices()] += 1
    assert (owners == 1).all()


@given(st.integers(1, 300), st.integers(1, 300), tiles, st.data())
def test_reads_are_the_union_of_the_tiles_that_touch_a_core(
    height: int, width: int, tile: int, data: st.DataObject
) -> None:
    lattice = Lattice.over(height=height, width=width, tile=tile, overlap=data.draw(st.integers(0, tile - 1)))
    top, left = data.draw(st.integers(0, height - 1)), data.draw(st.integers(0, width - 1))
    core = Window.from_bounds(
        top=top,
        left=left,
        bottom=data.draw(st.integers(top + 1, height)),
        right=data.draw(st.integers(left + 1, width)),
    )
    reads = lattice.reads(core)
    assert core.intersection(reads) == core
    rows, cols = lattice.rows.touching(top, core.bottom), lattice.cols.touching(left, core.right)
    assert lattice.tiles_touching(core) == len(rows) * len(cols)
    scene = Window(0, 0, height, width)
    corners = [lattice.tile_window(r, c).intersection(scene) for r in rows for c in cols]
    assert reads.row_off == min(w.row_off for w in corners)
    assert reads.col_off == min(w.col_off for w in corners)
    assert reads.bottom == max(w.bottom for w in corners)
    assert reads.right == max(w.right for w in corners)
