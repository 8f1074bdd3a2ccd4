"""Real imagery, read as a user would."""

from __future__ import annotations

import numpy as np
import pytest
import rasterio
from rasterio.windows import Window as RasterioWindow

from geounet.grid.window import Window
from geounet.io.describe import describe
from geounet.io.scene import open_scene

pytestmark = pytest.mark.real


def test_sentinel2_with_a_silent_collar(shared_data):
    path = shared_data / "scenes/sentinel2_beaufort_8band.tif"
    with open_scene(path, bands="red,green,blue") as scene:
        assert "--nodata 255" in "".join(describe(scene).warnings)
        assert scene.band_names == ("red", "green", "blue")
    with open_scene(path, bands="B04,B03,B02", nodata=255) as scene, rasterio.open(path) as dataset:
        assert describe(scene).warnings == ()
        pixels = scene.read(scene.geobox.window)
        assert (pixels.data == dataset.read([4, 3, 2])).all()
        assert 1 - pixels.valid.mean() == pytest.approx(0.31, abs=0.01)


def test_alpha_of_worldview(shared_data):
    with open_scene(shared_data / "scenes/spacenet_vegas_rgba.tif") as scene:
        assert scene.band_names == ("red", "green", "blue")
        assert describe(scene).masks == ("alpha",)
        assert scene.geobox.gsd() == pytest.approx(0.27, abs=0.01)


def test_a_scene_of_648_megapixels_at_a_coarser_distance(shared_data):
    path = shared_data / "scenes/world_36000x18000.tif"
    with open_scene(path) as fine, open_scene(path, gsd=8 * 1109.4625762298165) as scene:
        assert scene.geobox.shape == (2250, 4500)
        window = Window(400, 1000, 60, 80)
        native = fine.read(Window(3200, 8000, 480, 640))
        weights = native.valid[0::1].reshape(60, 8, 80, 8).sum(axis=(1, 3))
        sums = (native.data[0] * native.valid).reshape(60, 8, 80, 8).sum(axis=(1, 3), dtype=float)
        pixels = scene.read(window)
        assert (pixels.valid == (weights >= 32)).all()
        wrong = np.abs(pixels.data[0] - sums / np.maximum(weights, 1))[pixels.valid]
        assert pixels.valid.any()
        assert wrong.max() <= 0.5 + 1e-3


@pytest.mark.parametrize("name", ["naip_rgbn_5m", "landsat7_olinda_6band", "sentinel2_twodate_uint16_8band"])
def test_windows_are_rasterios(shared_data, name):
    path = shared_data / f"scenes/{name}.tif"
    window = Window(100, 90, 200, 150)
    with open_scene(path) as scene, rasterio.open(path) as dataset:
        assert (scene.read(window).data == dataset.read(window=RasterioWindow(90, 100, 150, 200))).all()
