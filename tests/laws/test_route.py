"""The whole route from pixels to decided labels, held to answers that numpy or the whole scene give."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from packages import (
    ROAD,
    compute,
    constant,
    labels_of,
    pixelwise,
    pixelwise_logits,
    save,
    slanted,
    texture,
    tiny_spec,
    unet,
    whole_answer,
    write_scene,
)

from geounet.grid.lattice import Axis

SHAPES = [(1, 1), (1, 150), (150, 1), (63, 200), (257, 131), (64, 64), (65, 63)]
GRIDS = [(64, 16), (64, 0), (64, 40), (32, 31), (7, 3)]
few = settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture(scope="module")
def one_by_one(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any]:
    spec = tiny_spec()
    network = pixelwise(spec, seed=3)
    return save(tmp_path_factory.mktemp("models") / "pixelwise", network, spec), network


@pytest.fixture(scope="module")
def receptive(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any]:
    spec = tiny_spec()
    network = unet(spec, seed=5)
    return save(tmp_path_factory.mktemp("models") / "receptive", network, spec), network


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("tile", "overlap"), GRIDS)
def test_constant_in_constant_out(
    tmp_path: Path, constants: list[tuple[Path, list[float]]], shape: tuple[int, int], tile: int, overlap: int
) -> None:
    scene = write_scene(tmp_path / "s.tif", texture(shape))
    if shape[0] * shape[1] > 10_000 and tile - overlap < 8:
        pytest.skip("thousands of tiles")
    for model, logits in constants:
        bands = compute(scene, tmp_path / "p", model=str(model), tile=tile, overlap=overlap).bands
        p = np.exp(logits[:3]) / np.exp(logits[:3]).sum()
        road = 1 / (1 + np.exp(-logits[3]))
        assert (bands[0] == np.argmax(p)).all()
        assert np.abs(bands[1] / 250 - p.max()).max() <= 0.5 / 250 + 1e-6
        assert (bands[2] == (road >= 0.5)).all()
        assert np.abs(bands[3] / 250 - max(road, 1 - road)).max() <= 0.5 / 250 + 1e-6


@pytest.fixture(scope="module")
def constants(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[Path, list[float]]]:
    """Ordinary logits; and a tie of two classes with a probability of exactly one half."""
    spec, folder = tiny_spec(), tmp_path_factory.mktemp("models")
    drawn = [[0.3, 1.1, -0.7, -2.0], [0.0, 2.0, 2.0, 0.0]]
    return [(save(folder / f"c{i}", constant(spec, x), spec), x) for i, x in enumerate(drawn)]


@given(st.lists(st.floats(-9, 9, width=32), min_size=4, max_size=4), st.integers(1, 40), st.data())
@settings(max_examples=40, deadline=None)
def test_blended_probabilities_of_a_constant_are_that_constant(
    logits: list[float], tile: int, data: st.DataObject
) -> None:
    """Before they are decided: within 1e-6, whatever the lattice."""
    from geounet.model.canvas import weigh

    spec = tiny_spec()
    rows = Axis(length=data.draw(st.integers(1, 90)), tile=tile, overlap=data.draw(st.integers(0, tile - 1)))
    cols = Axis(length=data.draw(st.integers(1, 90)), tile=tile, overlap=rows.overlap)
    sums = np.zeros((4, max(rows.length, tile), max(cols.length, tile)), np.float32)
    for r, top in enumerate(rows.starts):
        for c, left in enumerate(cols.starts):
            x = np.broadcast_to(np.array(logits, np.float32)[:, None, None], (4, tile, tile)).copy()
            sums[:, top : top + tile, left : left + tile] += weigh(x, spec, rows.weights(r), cols.weights(c))
    exact = np.exp(np.array(logits[:3]) - max(logits[:3]))
    expected = [*(exact / exact.sum()), 1 / (1 + np.exp(-logits[3]))]
    inside = sums[:, : rows.length, : cols.length]
    assert np.abs(inside - np.array(expected)[:, None, None]).max() <= 1e-6


@st.composite
def scenes(draw: st.DrawFn) -> dict[str, Any]:
    """A scene of any small shape and dtype, with or without holes."""
    shape = (draw(st.integers(1, 150)), draw(st.integers(1, 150)))
    dtype = draw(st.sampled_from(["uint8", "uint16", "float32"]))
    pixels = texture(shape, dtype=dtype, seed=draw(st.integers(0, 99)))
    holes = draw(st.sampled_from(["none", "slanted", "specks"]))
    valid = np.ones(shape, bool)
    if holes == "slanted":
        valid = slanted(shape)
    if holes == "specks":
        valid = np.random.default_rng(1).random(shape) > 0.3
    nodata = np.nan if dtype == "float32" else 0
    return {
        "pixels": np.where(valid, pixels, np.array(nodata, pixels.dtype)),
        "valid": valid,
        "nodata": None if dtype == "float32" else 0,
        "tiled": {"tiled": True, "blockxsize": 16, "blockysize": 16} if draw(st.booleans()) else {},
    }


@given(scenes(), st.sampled_from(GRIDS[:4]), st.integers(5, 170))
@few
def test_a_network_of_one_by_one_convolutions_gives_the_labels_of_each_pixel(
    one_by_one: tuple[Path, Any], scene: dict[str, Any], grid: tuple[int, int], block: int
) -> None:
    model, network = one_by_one
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        path = write_scene(folder / "s.tif", scene["pixels"], nodata=scene["nodata"], **scene["tiled"])
        bands = compute(path, folder / "p", model=str(model), tile=grid[0], overlap=grid[1], block=block).bands
    landuse, road = labels_of(pixelwise_logits(network, scene["pixels"]), scene["valid"])
    assert np.array_equal(bands[0], landuse)
    assert np.array_equal(bands[2], road)
    assert ((bands[1] == 255) == ~scene["valid"]).all()
    assert ((bands[3] == 255) == ~scene["valid"]).all()


@pytest.mark.parametrize("block", [40, 48, 300])
def test_a_network_that_fits_in_the_overlap_gives_the_answer_of_the_whole_image(
    tmp_path: Path, receptive: tuple[Path, Any], block: int
) -> None:
    """Two 3 × 3 convolutions see 2 pixels around.

    A tile's own rim (2 pixels) sees zeros where the scene goes on, and has a small positive weight: where the
    rims have weight ``c``, blended and whole-image probabilities differ by ``c`` at most, and labels only
    where the whole image's best two are closer than ``2 c``. Where no rim reaches, nothing may differ.
    """
    model, network = receptive
    shape = (257, 131)
    pixels = texture(shape, seed=8)
    scene = write_scene(tmp_path / "s.tif", pixels)
    bands = compute(scene, tmp_path / "p", model=str(model), block=block).bands
    logits = whole_answer(network, pixels, np.ones(shape, bool)).astype(np.float64)
    p = np.exp(logits[:3] - logits[:3].max(axis=0))
    p = np.sort(p / p.sum(axis=0), axis=0)
    margin = p[2] - p[1]
    disturbed = _weight_of_rims(shape, tile=64, overlap=16, reach=2)
    landuse, _ = labels_of(logits.astype(np.float32), np.ones(shape, bool))
    clear = margin > 2 * disturbed + 1e-5
    assert clear.mean() > 0.9
    assert (disturbed == 0).mean() > 0.5
    assert np.array_equal(bands[0][clear], landuse[clear])
    assert len(np.unique(landuse)) == 3


def _weight_of_rims(shape: tuple[int, int], *, tile: int, overlap: int, reach: int) -> np.ndarray:
    """Per pixel, the weight of tiles of which it lies in the rim that is not the scene's own rim."""
    clean = []
    for length in shape:
        axis, total = Axis(length=length, tile=tile, overlap=overlap), np.zeros(length)
        for index, start in enumerate(axis.starts):
            weights = axis.weights(index).astype(np.float64).copy()
            if start > 0:
                weights[:reach] = 0
            if start + tile < length:
                weights[-reach:] = 0
            total[start : start + tile] += weights
        clean.append(total)
    return np.clip(1 - np.outer(*clean), 0, None) * (np.outer(*clean) < 1 - 1e-6)


def test_a_mask_head_alone_and_one_band_run_as_well(tmp_path: Path) -> None:
    spec = tiny_spec(bands=tiny_spec().bands[:1], heads=(ROAD,), name="mask-only")
    model = save(tmp_path / "m", constant(spec, [4.0]), spec)
    scene = write_scene(tmp_path / "s.tif", texture((70, 30), bands=1))
    bands = compute(scene, tmp_path / "p", model=str(model)).bands
    assert bands.shape == (2, 70, 30)
    assert (bands[0] == 1).all()
