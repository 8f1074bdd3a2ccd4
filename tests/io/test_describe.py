"""What `geounet info` tells."""

from __future__ import annotations

import numpy as np
import pytest

from geounet.io.describe import collar_value, describe
from geounet.io.scene import open_scene


def test_facts(write_tif, rng):
    path = write_tif("x.tif", rng.integers(1, 9, (3, 300, 200)).astype("uint16"), tiled=True, nodata=0)
    with open_scene(path, bands="2") as scene:
        info = describe(scene)
    assert (info.width, info.height, info.bands, info.all_bands) == (
        200,
        300,
        ("band2",),
        ("band1", "band2", "band3"),
    )
    assert (info.crs, info.resolution, info.gsd, info.nodata) == ("EPSG:32633", (10.0, 10.0), 10.0, 0)
    assert info.stored_bytes == path.stat().st_size
    assert [w[:6] for w in info.warnings] == ["uint16"]


@pytest.mark.parametrize(("value", "told"), [(255, True), (0, True), (17, False)])
def test_a_silent_collar_is_told(write_tif, rng, value, told):
    data = rng.integers(20, 200, (3, 300, 300)).astype("uint8")
    rows, cols = np.indices((300, 300))
    data[:, (rows + cols < 120) | (rows + cols > 480)] = value
    with open_scene(write_tif("x.tif", data)) as scene:
        assert any(f"--nodata {value}" in w for w in describe(scene).warnings) is told
    with open_scene(write_tif("x.tif", data), nodata=value) as scene:
        assert describe(scene).warnings == ()


def test_a_picture_of_one_value_has_no_collar():
    assert collar_value(np.zeros((1, 9, 9), "uint8")) is None
    assert collar_value(np.full((1, 9, 9), 5, "float32")) is None


def test_an_untiled_giant_is_told(write_tif):
    with open_scene(write_tif("x.tif", np.zeros((1, 20, 5000), "uint8"))) as scene:
        assert any("not tiled" in w for w in scene.warnings)
