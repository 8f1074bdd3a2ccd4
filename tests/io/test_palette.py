"""Palette rasters are offered in their colours."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio

from geounet.grid.window import Window
from geounet.io.scene import open_scene

COLOURS = {0: (10, 20, 30, 255), 1: (200, 0, 7, 255), 2: (0, 0, 0, 255), 9: (255, 255, 255, 255)}


@pytest.fixture
def palette(tmp_path: Path) -> Path:
    path = tmp_path / "palette.tif"
    numbers = np.random.default_rng(3).choice([0, 1, 2, 9], size=(1, 40, 50)).astype(np.uint8)
    profile = {"driver": "GTiff", "width": 50, "height": 40, "count": 1, "dtype": "uint8", "photometric": "palette"}
    profile["nodata"] = 2
    with rasterio.open(
        path, "w", **profile, crs="EPSG:32633", transform=rasterio.Affine(1, 0, 0, 0, -1, 0)
    ) as file:
        file.write(numbers)
        file.write_colormap(1, COLOURS)
    return path


def test_colours_are_bands_by_name(palette: Path) -> None:
    with rasterio.open(palette) as file:
        numbers = file.read(1)
    with open_scene(palette, bands="blue,red") as scene:
        assert scene.band_names == ("blue", "red")
        pixels = scene.read(Window(3, 4, 30, 40))
    part = numbers[3:33, 4:44]
    for channel, component in ((0, 2), (1, 0)):
        expected = np.vectorize(lambda n, c=component: COLOURS[int(n)][c])(part)
        np.testing.assert_array_equal(pixels.data[channel], expected)
    np.testing.assert_array_equal(pixels.valid, part != 2)


def test_the_numbers_are_what_is_read_unless_colours_are_asked_for(palette: Path) -> None:
    with rasterio.open(palette) as file, open_scene(palette) as scene:
        assert scene.all_band_names == ("band1", "red", "green", "blue")
        np.testing.assert_array_equal(scene.read(Window(0, 0, 40, 50)).data, file.read())
