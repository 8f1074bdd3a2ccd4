"""Several files as one scene."""

from __future__ import annotations

import numpy as np
import pytest
import rasterio
from affine import Affine
from rasterio.enums import Resampling
from rasterio.warp import reproject

from geounet.errors import SceneError
from geounet.grid.window import Window
from geounet.io.scene import open_scene


def grid(pixel: float, *, left: float = 5e5, top: float = 5e6) -> dict:
    return {"transform": Affine(pixel, 0, left, 0, -pixel, top)}


def whole(scene):
    pixels = scene.read(scene.geobox.window)
    return pixels.data, pixels.valid


def test_single_bands_stacked_are_the_file_of_all_bands(write_tif, rng):
    data = rng.integers(0, 3, (3, 40, 50)).astype("uint8")
    paths = [write_tif(f"T33UUP_B0{4 - i}.tif", data[i : i + 1], nodata=0) for i in range(3)]
    together = write_tif("all.tif", data, nodata=0)
    with open_scene(paths, stack=True) as stack, open_scene(together) as one:
        assert stack.band_names == ("red", "green", "blue")
        assert stack.geobox == one.geobox
        assert stack.nodata == 0
        window = Window(3, 7, 30, 31)
        assert (stack.read(window).data == one.read(window).data).all()
        assert (stack.read(window).valid == one.read(window).valid).all()
    with open_scene(paths, stack=True, bands="blue,1") as stack:
        assert (whole(stack)[0] == data[[2, 0]]).all()


def test_coarser_and_finer_files_on_the_grid_of_the_first(write_tif, rng):
    ten = rng.integers(0, 255, (1, 40, 60)).astype("uint8")
    fine = rng.integers(0, 255, (1, 80, 120)).astype("uint8")
    coarse = np.full((1, 20, 30), 44, "uint8")
    paths = [
        write_tif("B04.tif", ten),
        write_tif("B03.tif", fine, **grid(5)),
        write_tif("B11.tif", coarse, **grid(20)),
    ]
    with open_scene(paths, stack=True) as scene:
        data, valid = whole(scene)
        assert scene.band_names == ("red", "green", "swir16")
        assert valid.all()
        assert (data[0] == ten[0]).all()
        mean = fine[0].reshape(40, 2, 60, 2).mean(axis=(1, 3))
        assert np.abs(data[1] - mean).max() <= 0.5
        assert (data[2] == 44).all()
        window = Window(13, 7, 9, 31)
        part = scene.read(window)
        assert part.data.tobytes() == data[(slice(None), *window.slices())].tobytes()


def test_what_a_file_does_not_cover_is_not_valid(write_tif):
    first = write_tif("B04.tif", np.full((1, 20, 20), 5, "uint8"))
    second = write_tif("B03.tif", np.full((1, 20, 20), 6, "uint8"), **grid(10, left=5e5 + 50))
    with open_scene([first, second], stack=True) as scene:
        data, valid = whole(scene)
        assert not valid[:, :5].any()
        assert valid[:, 5:].all()
        assert (data[1, valid] == 6).all()


def test_dtypes_are_joined(write_tif):
    paths = [write_tif("a.tif", np.ones((1, 4, 4), "uint8")), write_tif("b.tif", np.ones((1, 4, 4), "int16"))]
    with open_scene(paths, stack=True) as scene:
        assert scene.dtype == "int16"
        assert scene.band_names == ("a", "b")
        assert whole(scene)[0].dtype == "int16"


def test_another_crs_is_warped_whatever_the_window(write_tif, rng):
    first = write_tif("B04.tif", np.zeros((1, 700, 600), "float32"))
    smooth = np.add.outer(np.linspace(0, 100, 400), np.linspace(0, 50, 400)).astype("float32")[None]
    with rasterio.open(first) as dataset:
        west, south, east, north = rasterio.warp.transform_bounds("EPSG:32633", "EPSG:4326", *dataset.bounds)
    step = (east - west) / 380, (north - south) / 380
    place = {"crs": "EPSG:4326", "transform": Affine(step[0], 0, west - 0.001, 0, -step[1], north + 0.001)}
    second = write_tif("B03.tif", smooth, **place)
    with open_scene([first, second], stack=True) as scene:
        data, valid = whole(scene)
        assert valid.mean() > 0.9
        oracle = np.full((700, 600), np.nan, "float32")
        reproject(
            smooth[0],
            oracle,
            src_crs="EPSG:4326",
            src_transform=place["transform"],
            dst_crs="EPSG:32633",
            dst_transform=scene.geobox.affine,
            resampling=Resampling.bilinear,
            dst_nodata=np.nan,
        )
        assert np.nanmax(np.abs(np.where(valid, data[1], np.nan) - oracle)) < 0.1
        for window in (Window(500, 490, 30, 40), Window(0, 511, 700, 2)):
            part = scene.read(window)
            assert part.data.tobytes() == data[(slice(None), *window.slices())].tobytes()


def test_files_of_other_places_are_refused(write_tif):
    here = write_tif("B04.tif", np.zeros((1, 9, 9), "uint8"))
    for place in (grid(10, left=9e5), {"crs": "EPSG:4326", "transform": Affine(1, 0, 100, 0, -1, -30)}):
        with pytest.raises(SceneError, match="does not overlap"):
            open_scene([here, write_tif("B03.tif", np.zeros((1, 9, 9), "uint8"), **place)], stack=True)
    lost = write_tif("B02.tif", np.zeros((1, 9, 9), "uint8"), crs=None)
    with pytest.raises(SceneError, match="no georeference"):
        open_scene([here, lost], stack=True)
