"""Seams: the counts by their definition, maps that were stitched badly, maps that were not."""

from __future__ import annotations

import json
from dataclasses import dataclass

import numpy as np
import packages
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

import geounet
from geounet.cli.main import run
from geounet.errors import ConfigError, RequestError
from geounet.grid.lattice import Axis, Lattice
from geounet.score.bootstrap import BlockGrid
from geounet.score.seam_counts import GRID, KINDS, count_changes, line_kinds


@dataclass(frozen=True)
class Held:
    """Labels in memory."""

    labels: np.ndarray

    @property
    def shape(self):
        return self.labels.shape

    def read(self, top, bottom):
        return self.labels[top:bottom]


def by_definition(labels, lattice, grid):
    """Pair by pair."""
    out = np.zeros((len(grid), len(KINDS), GRID, 2), np.int64)
    across, down = line_kinds(lattice.cols), line_kinds(lattice.rows)
    for (r, c), here in np.ndenumerate(labels):
        block = r // grid.side * grid.cols + c // grid.side
        for other, kind, at in (((r, c - 1), across[c], c), ((r - 1, c), down[r], r)):
            if min(other) < 0 or here == 255 or labels[other] == 255:
                continue
            out[block, kind, at % GRID] += (int(labels[other] != here), 1)
    return out


labels = arrays(
    np.uint8, st.tuples(st.integers(1, 40), st.integers(1, 40)), elements=st.sampled_from([0, 1, 2, 255])
)


@given(labels, st.integers(2, 12), st.integers(0, 1), st.integers(3, 9), st.integers(1, 50))
@settings(max_examples=60, deadline=None)
def test_counts_are_those_of_the_definition_whatever_the_strips(pixels, tile, overlap, side, step):
    height, width = pixels.shape
    lattice = Lattice.over(height=height, width=width, tile=tile, overlap=overlap)
    grid = BlockGrid(height=height, width=width, side=side)
    found = count_changes(Held(pixels), lattice, grid=grid, step=step)
    expected = by_definition(pixels, lattice, grid)
    np.testing.assert_array_equal(found.blocks, expected)
    np.testing.assert_array_equal(found.rows.sum(0) + found.cols.sum(0), expected.sum((0, 1, 2)))


def test_lines_of_an_axis():
    kinds = line_kinds(Axis(length=20, tile=8, overlap=2))  # starts 0, 6, 12
    assert {n: KINDS[k] for n, k in enumerate(kinds) if k} == {
        6: "tile starts", 7: "overlap middles", 8: "tile ends",
        12: "tile starts", 13: "overlap middles", 14: "tile ends",
    }  # fmt: skip
    assert not line_kinds(Axis(length=8, tile=8, overlap=2)).any()


@pytest.fixture(scope="module")
def stitched(tmp_path_factory):
    """One scene through a U-Net that pads with zeros: without overlap, and as geounet does it."""
    folder = tmp_path_factory.mktemp("seams")
    spec = packages.tiny_spec(hyperparameters={"depth": 2, "width": 4}, tile=64, overlap=32, divisor=4)
    model = packages.save(folder / "model", packages.unet(spec), spec)
    rng = np.random.default_rng(0)
    coarse = [Image.fromarray(rng.integers(0, 256, (24, 24)).astype(np.uint8)) for _ in range(2)]
    pixels = np.stack([np.asarray(c.resize((512, 512), Image.Resampling.BICUBIC)) for c in coarse])
    scene = packages.write_scene(folder / "scene.tif", pixels)
    return {
        name: geounet.infer(scene, model=str(model), overlap=overlap, output=folder / name, device="cpu").output
        for name, overlap in (("cut", 0), ("blended", 32))
    }


def test_a_map_without_overlap_is_caught_and_a_blended_one_passes(stitched, capsys):
    assert run(["seams", str(stitched["cut"])]) == 1
    assert "seams show" in capsys.readouterr().out
    assert run(["seams", str(stitched["blended"]), "--json"]) == 0
    told = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [t["name"] for t in told] == ["landuse", "road"]
    cut, blended = (geounet.check_seams(stitched[name])["landuse"] for name in ("cut", "blended"))
    assert cut.ratio.low > 1
    assert cut.exceeded
    assert blended.ratio.value < 1.1
    assert blended.ratio.low <= 1 <= blended.ratio.high


def test_a_map_that_changes_at_tile_borders_alone_is_caught(write_labels):
    squares = np.kron(np.arange(100).reshape(10, 10) % 3, np.ones((32, 32))).astype(np.uint8)
    found = geounet.check_seams(write_labels("squares.tif", squares), tile=32, overlap=0)["squares"]
    assert found.exceeded
    assert found.ratio.value == np.inf
    assert json.dumps(found.to_dict(), allow_nan=False)


def test_the_network_s_own_grid_is_no_seam(write_labels):
    """Changes on every multiple of 32, tile or not."""
    rng = np.random.default_rng(0)
    cells = np.kron(rng.integers(0, 3, (32, 32)), np.ones((32, 32))).astype(np.uint8)
    found = geounet.check_seams(write_labels("cells.tif", cells), tile=256, overlap=64)["cells"]
    assert not found.exceeded
    assert found.ratio.value == pytest.approx(1, abs=0.15)


def test_one_tile_has_no_borders(write_labels, capsys):
    path = write_labels("small.tif", np.eye(40, dtype=np.uint8))
    assert run(["seams", str(path), "--tile", "64", "--overlap", "16"]) == 0
    assert "no borders" in capsys.readouterr().out


def test_what_cannot_be_checked_is_refused_in_one_line(write_labels, tmp_path, capsys):
    path = write_labels("map.tif", np.eye(40, dtype=np.uint8))
    with pytest.raises(ConfigError, match="give --tile and --overlap"):
        geounet.check_seams(path)
    with pytest.raises(ConfigError, match="--limit nan"):
        geounet.check_seams(path, tile=8, overlap=0, limit=float("nan"))
    with pytest.raises(ConfigError, match="overlap"):
        geounet.check_seams(path, tile=8, overlap=8)
    (tmp_path / "empty").mkdir()
    with pytest.raises(RequestError, match="no label rasters"):
        geounet.check_seams(tmp_path / "empty")
    for arguments in ([str(path)], [str(tmp_path / "nothing")], [str(path), "--tile", "0", "--overlap", "0"]):
        assert run(["seams", *arguments]) == 2
        assert len(capsys.readouterr().err.strip().splitlines()) == 1
