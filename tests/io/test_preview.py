from __future__ import annotations

import sys
import time
import warnings
from pathlib import Path

import numpy as np
import pytest
import rasterio
from PIL import Image

from geounet.grid.window import Window
from geounet.io import preview
from geounet.io.cog import write_label_cog
from geounet.io.preview import (
    EMPTY,
    HeadMap,
    compose,
    overlay,
    paint,
    panel_shape,
    read_labels,
    stretch,
    write_preview,
)
from geounet.io.scene import open_scene
from geounet.io.thumbnail import scene_thumbnail

sys.path.insert(0, str(Path(__file__).parent))
from parts import LANDUSE, ROAD, UTM, blobs, write_parts

pytestmark = pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")


def test_stretch_is_2_to_98_percent_of_what_is_valid():
    data = np.linspace(100, 1100, 10_000, dtype=np.float32).reshape(1, 100, 100)
    valid = np.ones((100, 100), bool)
    data[0, 0, :50], valid[0, :50] = -9999, False
    grey = stretch(data, valid)
    low, high = np.percentile(data[0][valid], [2, 98])
    inner = (data[0] > low) & (data[0] < high) & valid
    np.testing.assert_allclose(grey[inner][:, 0], 255 * (data[0][inner] - low) / (high - low), atol=0.6)
    assert (grey[0, :50] == grey[0, 0]).all()
    assert grey[99, 99].tolist() == [255, 255, 255]


@pytest.mark.parametrize("bands", [1, 2, 3, 8])
def test_any_number_of_bands_and_no_valid_pixel(bands):
    assert stretch(np.zeros((bands, 4, 5), np.float32), np.zeros((4, 5), bool)).shape == (4, 5, 3)


def test_colours_are_the_classes_and_the_overlay_leaves_what_a_mask_does_not_mark():
    labels = np.array([[0, 1, 2, 255]], np.uint8)
    painted = paint(LANDUSE, labels)
    assert [tuple(p) for p in painted[0, :3].tolist()] == [c.rgb for c in LANDUSE.classes[:3]]
    image = np.full((1, 4, 3), 100, np.uint8)
    over = overlay(image, [HeadMap(head=ROAD, labels=np.array([[0, 1, 0, 255]], np.uint8))])
    assert (over[0, [0, 2, 3]] == 100).all()
    assert (over[0, 1] != 100).all()


@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 5000), (5000, 1), (300, 4000), (20_000, 10_000)])
def test_the_picture_is_at_most_1200_wide_and_not_endless(height, width):
    high, wide = panel_shape(Window(0, 0, height, width), panels=4)
    labels = np.zeros((high, wide), np.uint8)
    sheet = compose(
        np.zeros((high, wide, 3), np.uint8),
        [HeadMap(head=LANDUSE, labels=labels), HeadMap(head=ROAD, labels=labels)],
        caption="a × b",
    )
    assert sheet.width <= 1200
    assert sheet.height <= 800


def test_equal_input_equal_bytes_and_a_png(tmp_path: Path):
    maps = [HeadMap(head=LANDUSE, labels=blobs((50, 60)))]
    image = np.zeros((50, 60, 3), np.uint8)
    first = write_preview(tmp_path / "a.png", image, maps).read_bytes()
    assert write_preview(tmp_path / "b.png", image, maps).read_bytes() == first
    with Image.open(tmp_path / "a.png") as opened:
        assert opened.format == "PNG"


def test_a_thin_road_is_still_seen(tmp_path: Path):
    labels = np.zeros((1200, 1200), np.uint8)
    labels[:, 600:606] = 1
    geobox = UTM.zoom(1).crop(Window(0, 0, 1200, 1200))
    mosaic = write_parts(tmp_path / "parts", labels[None], geobox, block=(1200, 1200))
    path = write_label_cog(tmp_path / "road.tif", mosaic, band=1, head=ROAD, tags={})
    small = read_labels(path, head=ROAD, window=Window(0, 0, 1200, 1200), shape=(100, 100))
    assert (small == 1).any(axis=1).all()


def test_a_large_file_without_overviews_shows_its_middle(tmp_path: Path, monkeypatch):
    monkeypatch.setattr(preview, "_READ_LIMIT", 100 * 100)
    path = tmp_path / "large.tif"
    with rasterio.open(
        path, "w", driver="GTiff", width=9000, height=6000, count=1, dtype="uint8", sparse_ok=True, tiled=True
    ):
        pass
    assert preview.view_window(path) == Window(952, 2452, 4096, 4096)


@pytest.mark.real
def test_a_huge_real_scene_takes_seconds(shared_data: Path):
    path = shared_data / "scenes" / "world_36000x18000.tif"
    started = time.process_time()
    window = preview.view_window(path)
    with open_scene(path) as scene:
        _, valid = scene_thumbnail(scene, window=window, shape=panel_shape(window, panels=4))
    assert valid.any()
    assert time.process_time() - started < 10  # of this process, however busy the machine


def test_a_band_that_lacks_a_pixel_leaves_it_empty() -> None:
    data = np.ones((3, 4, 5), np.float32)
    data[0, :, 2:] = 9
    data[1, 0, 0] = np.nan
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        shown = stretch(data, np.ones((4, 5), bool))
    assert (shown[0, 0] == EMPTY).all()
    assert (shown[0, 1] != shown[0, 0]).any()
