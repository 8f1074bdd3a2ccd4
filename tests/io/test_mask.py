"""--mask: what another raster leaves out."""

from __future__ import annotations

import numpy as np
import pytest
import rasterio
from affine import Affine
from rasterio.warp import transform_bounds

from geounet.errors import SceneError
from geounet.grid.window import Window
from geounet.io.scene import open_scene


@pytest.fixture
def scene_path(write_tif):
    return write_tif("scene.tif", np.ones((1, 60, 80), "uint8"))


def valid(path, mask) -> np.ndarray:
    with open_scene(path, mask=mask) as scene:
        out = scene.read(scene.geobox.window).valid
        window = Window(13, 7, 31, 40)
        assert (scene.read(window).valid == out[window.slices()]).all()
        return out


def test_same_grid(write_tif, scene_path, rng):
    marks = (rng.random((1, 60, 80)) < 0.3).astype("uint8") * 7
    assert (valid(scene_path, write_tif("m.tif", marks)) == (marks[0] == 0)).all()
    plain = write_tif("m.png", marks, driver="PNG", crs=None, transform=None)
    plain.with_name("m.png.aux.xml").unlink(missing_ok=True)
    assert (valid(scene_path, plain) == (marks[0] == 0)).all()


def test_coarser_and_partial(write_tif, scene_path):
    marks = np.array([[[0, 1], [1, 0]]], "uint8")
    mask = write_tif("m.tif", marks, transform=Affine(200, 0, 5e5 + 100, 0, -200, 5e6))
    expected = np.ones((60, 80), bool)
    expected[0:20, 30:50] = False
    expected[20:40, 10:30] = False
    assert (valid(scene_path, mask) == expected).all()


def test_its_own_nodata_marks_nothing(write_tif, scene_path):
    marks = np.full((1, 60, 80), 255, "uint8")
    marks[0, :10] = 1
    mask = write_tif("m.tif", marks, nodata=255)
    assert (valid(scene_path, mask) == (np.arange(60) >= 10)[:, None]).all()


def test_another_crs(write_tif, scene_path):
    with rasterio.open(scene_path) as dataset:
        west, south, east, north = transform_bounds("EPSG:32633", "EPSG:4326", *dataset.bounds)
    marks = np.zeros((1, 400, 400), "uint8")
    marks[0, :, 200:] = 1
    step = (east - west) / 400, (north - south) / 400
    mask = write_tif("m.tif", marks, crs="EPSG:4326", transform=Affine(step[0], 0, west, 0, -step[1], north))
    share = valid(scene_path, mask)
    assert share[:, :38].all()
    assert not share[:, 42:78].any()


def test_a_mask_of_another_place_is_refused(write_tif, scene_path):
    far = write_tif("m.tif", np.ones((1, 9, 9), "uint8"), transform=Affine(10, 0, 9e5, 0, -10, 5e6))
    with pytest.raises(SceneError, match="does not overlap"):
        open_scene(scene_path, mask=far)
    lost = write_tif("n.tif", np.ones((1, 9, 9), "uint8"), crs=None)
    with pytest.raises(SceneError, match="no georeference"):
        open_scene(scene_path, mask=lost)
    with pytest.raises(SceneError, match="No such file"):
        open_scene(scene_path, mask="nowhere.tif")
