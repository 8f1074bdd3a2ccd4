"""A scene is brought to the exposure that a model knows, once and as a whole: no block or area has a say."""

from __future__ import annotations

import json
import tempfile
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from packages import (
    LANDUSE,
    compute,
    constant,
    load,
    save,
    slanted,
    slanted_scene,
    texture,
    tiny_spec,
    unet,
    work_for,
    write_scene,
)

from geounet.errors import ModelError
from geounet.grid.blocks import Partition
from geounet.grid.spread import spread_windows
from geounet.model import card
from geounet.model.stretch import MOST_GAIN, find_limits, stretch_of, stretched
from geounet.run.outputs import parts_recipe
from geounet.run.plan import Plan

SHAPE = (150, 121)
STRETCH = (10.0, 240.0)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A U-Net whose receptive field is larger than the overlap, so that every seam is a chance to fail."""
    spec = tiny_spec(hyperparameters={"depth": 2, "width": 4}, divisor=4, stretch=STRETCH)
    return save(tmp_path_factory.mktemp("models") / "unet", unet(spec, seed=1), spec)


def plan(scene: Path, folder: Path, model: Path, **options: Any) -> Plan:
    return work_for(scene, folder, model=str(model), **options)[0]


# --- the windows ----------------------------------------------------------------------------------------------


@given(st.integers(1, 20000), st.integers(1, 20000))
@settings(deadline=None)
def test_windows_lie_in_the_scene_apart_and_reach_its_ends(height: int, width: int) -> None:
    windows = spread_windows(height, width)
    assert 1 <= len(windows) <= 100
    assert sum(w.area for w in windows) <= 640 * 640
    rows, cols = ({(w.row_off, w.bottom) for w in windows}, {(w.col_off, w.right) for w in windows})
    assert len(rows) * len(cols) == len(windows)
    for pieces, length in ((sorted(rows), height), (sorted(cols), width)):
        assert pieces[0][0] == 0
        assert length - 64 < pieces[-1][1] <= length
        assert all(before[1] <= after[0] for before, after in pairwise(pieces))
        assert length > 640 or pieces == [(0, length)]


# --- gain and offset ------------------------------------------------------------------------------------------


@given(
    st.floats(-100, 300),
    st.floats(0, 500),
    st.sampled_from(["uint8", "uint16", "float32"]),
)
@settings(deadline=None)
def test_what_lies_at_the_percentiles_comes_to_the_known_values(low: float, spread: float, dtype: str) -> None:
    spec = tiny_spec(stretch=STRETCH)
    gain, offset = stretch_of(spec, (low, low + spread), dtype=dtype)
    assert np.isfinite(gain)
    assert (low + spread / 2) * gain + offset == pytest.approx(sum(STRETCH) / 2)
    if low + spread == low or spread < 1e-30 or spread <= 1e-6 * max(abs(low), abs(low + spread)):
        assert gain == 1
    elif dtype == "uint8" and spread < 230 / MOST_GAIN:
        assert gain == MOST_GAIN
    else:
        assert low * gain + offset == pytest.approx(STRETCH[0], rel=1e-6, abs=1e-6 * gain * max(1, abs(low)))
    raw = np.array([low, low + spread, 17.0])
    ours = stretched(spec, (low, low + spread), dtype=dtype).bands[0]
    theirs = (raw * gain + offset - spec.bands[0].mean) / spec.bands[0].std
    np.testing.assert_allclose((raw - ours.mean) / ours.std, theirs, rtol=1e-6, atol=1e-6 * max(1, gain))


def test_pixels_that_are_none_do_not_count() -> None:
    pixels = np.arange(200.0, dtype=np.float32).reshape(2, 10, 10)
    valid = np.ones((10, 10), bool)
    valid[0] = False
    pixels[0, 0] = 1e9
    pixels[1, 5, 5] = np.nan
    seen = pixels[:, valid]
    low, high = np.nanpercentile(seen, (2, 98))
    assert find_limits([(pixels, valid)]) == pytest.approx((low, high), abs=(high - low) / 256)
    assert find_limits([(pixels, ~np.ones((10, 10), bool))]) is None
    assert find_limits([]) is None
    everything = np.array([[[-1e308, 1e308]]])
    assert find_limits([(everything, np.ones((1, 2), bool))]) is None


def test_a_change_in_a_corner_leaves_the_limits_alone() -> None:
    """Else every block of a scene that changed in part would be computed again."""
    before = np.random.default_rng(0).integers(300, 2800, (3, 640, 640)).astype(np.uint16)
    after = before.copy()
    after[:, :40, :40] = 500
    valid = np.ones((640, 640), bool)
    assert find_limits([(before, valid)]) == find_limits([(after, valid)])
    after[:, :400, :400] = 500
    assert find_limits([(before, valid)]) != find_limits([(after, valid)])
    spec = tiny_spec(stretch=STRETCH)
    assert stretched(spec, None, dtype="uint8") is spec
    plain = tiny_spec()
    assert stretched(plain, (3.0, 9.0), dtype="uint8") is plain


# --- the law --------------------------------------------------------------------------------------------------


@given(st.integers(30, 160), st.integers(30, 130), st.integers(1, 3))
@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_blocks_and_threads_change_nothing(model: Path, height: int, width: int, threads: int) -> None:
    partition = Partition(height=SHAPE[0], width=SHAPE[1], block_height=height, block_width=width)
    with tempfile.TemporaryDirectory() as folder:
        scene = slanted_scene(Path(folder), SHAPE)
        whole = compute(scene, Path(folder) / "whole", model=str(model), block=1000)
        parts = compute(scene, Path(folder) / "parts", model=str(model), partition=partition, threads=threads)
        unstretched = load(model).spec.bands
        assert plan(scene, Path(folder), model).package.spec.bands != unstretched
    assert np.array_equal(parts.bands, whole.bands)


def test_an_area_another_tile_and_overviews_leave_the_stretch_as_it_is(model: Path, tmp_path: Path) -> None:
    scene = slanted_scene(tmp_path, SHAPE)
    first = plan(scene, tmp_path, model)
    with rasterio.open(scene) as file:
        valid = file.read_masks(1) > 0
        values = file.read()[:, valid]
    assert first.limits == tuple(np.percentile(values, (2, 98)))
    area = tmp_path / "aoi.geojson"
    ring = [[300000, 2799990], [300020, 2799990], [300020, 2799980], [300000, 2799990]]
    crs = {"type": "name", "properties": {"name": "urn:ogc:def:crs:EPSG::32640"}}
    area.write_text(json.dumps({"type": "Polygon", "coordinates": [ring], "crs": crs}))
    for options in ({"aoi": area}, {"tile": 32, "overlap": 4}, {"block": 40}):
        assert plan(scene, tmp_path, model, **options).limits == first.limits
    with rasterio.open(scene, "r+") as file:
        file.build_overviews([2, 4])
    assert plan(scene, tmp_path, model).limits == first.limits


def test_parts_of_another_stretch_are_never_taken(model: Path, tmp_path: Path) -> None:
    before = plan(slanted_scene(tmp_path, SHAPE), tmp_path, model)
    pixels = np.where(slanted(SHAPE), texture(SHAPE, seed=2), np.uint8(0))
    pixels[:, 100:] = (pixels[:, 100:] + 1) // 2  # a part of the scene changes the exposure of all of it
    after = plan(write_scene(tmp_path / "t.tif", pixels, nodata=0), tmp_path, model)
    assert before.limits != after.limits
    assert parts_recipe(before) != parts_recipe(after)
    same = replace(after, limits=before.limits, package=before.package)
    assert parts_recipe(before) == parts_recipe(same)  # nothing but the stretch made the difference


def test_graph_and_weights_give_the_same_map(model: Path, tmp_path: Path) -> None:
    scene = slanted_scene(tmp_path, SHAPE)
    onnx = compute(scene, tmp_path / "onnx", model=str(model))
    torch = compute(scene, tmp_path / "torch", model=str(model), tta="none", precision="bf16")
    spec = load(model).spec
    weights = save(tmp_path / "weights", unet(spec, seed=1), spec, graph=False)
    plain = compute(scene, tmp_path / "plain", model=str(weights))
    assert (onnx.bands[::2] == plain.bands[::2]).mean() > 0.999
    assert (onnx.bands[::2] == torch.bands[::2]).mean() > 0.9


def test_the_same_scene_in_another_exposure_gives_the_same_map(model: Path, tmp_path: Path) -> None:
    pixels = texture(SHAPE, seed=4).astype(np.float32)
    maps = []
    for number, (gain, offset) in enumerate(((1, 0), (0.25, 30), (8, -1000), (1e-3, 0.5))):
        scene = write_scene(tmp_path / f"{number}.tif", pixels * np.float32(gain) + np.float32(offset))
        maps.append(compute(scene, tmp_path / f"parts-{number}", model=str(model)).bands[::2])
    for other in maps[1:]:
        assert (other == maps[0]).mean() > 0.995


@pytest.mark.parametrize(
    ("pixels", "nodata"),
    [
        (np.full((2, 70, 80), 9, np.uint8), None),  # constant
        (np.zeros((2, 70, 80), np.uint8), 0),  # nothing but nodata
        (np.full((2, 1, 1), 200, np.uint8), None),  # one pixel
        (np.full((2, 1, 1), np.nan, np.float32), None),
    ],
)
def test_scenes_that_show_nothing_are_mapped_all_the_same(tmp_path: Path, pixels: Any, nodata: Any) -> None:
    spec = tiny_spec(stretch=STRETCH)
    package = save(tmp_path / "model", constant(spec, [0, 0, 9, 9]), spec)
    scene = write_scene(tmp_path / "s.tif", pixels, nodata=nodata)
    found = compute(scene, tmp_path / "parts", model=str(package)).bands[0]
    empty = nodata == 0 or bool(np.isnan(pixels.astype(float)).any())
    assert np.unique(found).tolist() == [255 if empty else 2]
    told = plan(scene, tmp_path, package).stretch
    assert told == (None if empty else f"{pixels[0, 0, 0]} to {pixels[0, 0, 0]} as 125 to 125")


# --- the card -------------------------------------------------------------------------------------------------


def test_a_card_keeps_the_stretch_and_older_cards_have_none(tmp_path: Path) -> None:
    plain, spec = tiny_spec(), tiny_spec(stretch=STRETCH)
    made = [card.to_item(s, assets={}, digest="", created="2026-01-01T00:00:00Z") for s in (plain, spec)]
    assert "geounet:stretch" not in made[0]["properties"]
    assert card.from_item(json.loads(json.dumps(made[1])), origin="test").stretch == STRETCH
    one, other = (load(save(tmp_path / s, unet(spec), each)) for s, each in (("a", plain), ("b", spec)))
    assert one.digest != other.digest
    assert spec.heads[0] == LANDUSE
    for wrong in ((5.0, 5.0), (9.0, 1.0), (float("nan"), 1.0), (0.0, float("inf"))):
        with pytest.raises(ModelError, match=r"stretch .*expected two numbers, low and high"):
            tiny_spec(stretch=wrong)
