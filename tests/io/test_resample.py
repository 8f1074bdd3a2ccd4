"""--gsd: the working grid, its pixels, and that no window changes them."""

from __future__ import annotations

import numpy as np
import pytest
import rasterio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rasterio.enums import Resampling
from rasterio.windows import Window as RasterioWindow

from geounet.errors import SceneError
from geounet.grid.window import Window
from geounet.io import resample as module
from geounet.io.resample import AxisMap
from geounet.io.scene import open_scene

LAX = settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])


def whole(scene) -> tuple[np.ndarray, np.ndarray]:
    pixels = scene.read(scene.geobox.window)
    return pixels.data, pixels.valid


def holes(rng, shape, dtype="uint8") -> np.ndarray:
    """Pixels from 1 up, with 0 (nodata) in a tenth and in a slanted corner."""
    data = rng.integers(1, 250, shape).astype(dtype)
    rows, cols = np.indices(shape[1:])
    data[:, (rng.random(shape[1:]) < 0.1) | (rows + cols < 15)] = 0
    return data


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int32", "float32", "float64"])
@pytest.mark.parametrize("gsd", [3.7, 10.3, 14, 20, 47, 600])
@pytest.mark.parametrize("crs", ["EPSG:32633"])
def test_any_partition_gives_the_same_bytes(write_tif, rng, monkeypatch, dtype, gsd, crs):
    path = write_tif("x.tif", holes(rng, (2, 61, 53), dtype), nodata=0, crs=crs)
    mask = write_tif("mask.tif", (rng.random((1, 61, 53)) < 0.05).astype("uint8"))
    with open_scene(path, gsd=gsd, mask=mask) as scene:
        data, valid = whole(scene)
        height, width = scene.geobox.shape
        monkeypatch.setattr(module, "_CHUNK_PIXELS", 300)
        for rows, cols in ((17, 13), (1, width), (height, 5)):
            for top in range(0, height, rows):
                for left in range(0, width, cols):
                    window = Window(top, left, rows, cols).intersection(scene.geobox.window)
                    pixels = scene.read(window)
                    assert pixels.data.tobytes() == data[(slice(None), *window.slices())].tobytes()
                    assert (pixels.valid == valid[window.slices()]).all()


@LAX
@given(data=st.data())
def test_any_window_gives_the_same_bytes(write_tif, data):
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    floats = rng.normal(0, 1, (1, 40, 30)).astype("float32") * (rng.random((1, 40, 30)) < 0.5)
    floats[0, rng.random((40, 30)) < 0.05] = np.nan
    gsd = data.draw(st.floats(2, 60))
    with open_scene(write_tif("x.tif", floats), gsd=gsd) as scene:
        height, width = scene.geobox.shape
        top, left = data.draw(st.integers(0, height - 1)), data.draw(st.integers(0, width - 1))
        window = Window(top, left, data.draw(st.integers(1, height - top)), data.draw(st.integers(1, width - left)))
        pixels, (all_data, all_valid) = scene.read(window), whole(scene)
        assert pixels.data.tobytes() == all_data[(slice(None), *window.slices())].tobytes()
        assert (pixels.valid == all_valid[window.slices()]).all()


@pytest.mark.parametrize("gsd", [3.3, 10, 14, 20, 31])
def test_constant_in_constant_out(write_tif, gsd):
    data = np.full((2, 37, 41), 201, "uint8")
    data[:, 5:9, 3:30] = 0
    with open_scene(write_tif("x.tif", data, nodata=0), gsd=gsd) as scene:
        values, valid = whole(scene)
        assert (values[:, valid] == 201).all()
        assert 0.8 < valid.mean() < 1


@pytest.mark.parametrize("factor", [2, 3, 5])
def test_coarser_is_gdals_average(write_tif, rng, factor):
    path = write_tif("x.tif", rng.integers(0, 255, (3, 60, 90)).astype("float64"))
    with open_scene(path, gsd=10.0 * factor) as scene, rasterio.open(path) as dataset:
        shape = (3, 60 // factor, 90 // factor)
        expected = dataset.read(out_shape=shape, resampling=Resampling.average)
        assert np.allclose(whole(scene)[0], expected)


def test_a_fractional_ratio_is_the_area_mean(write_tif, rng):
    data = rng.integers(0, 255, (1, 30, 30)).astype("float64")
    with open_scene(write_tif("x.tif", data), gsd=25) as scene:
        fine = data[0].repeat(2, 0).repeat(2, 1)  # 5 m
        expected = fine.reshape(12, 5, 12, 5).mean(axis=(1, 3))
        assert np.allclose(whole(scene)[0][0], expected)


@pytest.mark.parametrize("factor", [2, 4])
def test_finer_is_gdals_bilinear(write_tif, rng, factor):
    path = write_tif("x.tif", rng.integers(0, 255, (1, 20, 30)).astype("float64"))
    with open_scene(path, gsd=10.0 / factor) as scene, rasterio.open(path) as dataset:
        shape = (1, 20 * factor, 30 * factor)
        expected = dataset.read(out_shape=shape, resampling=Resampling.bilinear)
        inner = (slice(None), slice(factor, -factor), slice(factor, -factor))
        assert np.allclose(whole(scene)[0][inner], expected[inner])


def test_half_of_the_ground_must_have_data(write_tif):
    data = np.array([[[0, 8, 0, 0, 8, 8], [0, 8, 0, 8, 8, 4]]], "uint8")
    with open_scene(write_tif("x.tif", data, nodata=0), gsd=20) as scene:
        values, valid = whole(scene)
        assert valid.tolist() == [[True, False, True]]
        assert values[0, valid].tolist() == [8, 7]


def test_the_grid_covers_the_scene(write_tif):
    path = write_tif("x.tif", np.zeros((1, 101, 77), "uint8"))
    with open_scene(path, gsd=25) as scene:
        assert scene.geobox.shape == (41, 31)
        assert scene.geobox.gsd() == pytest.approx(25)
        assert scene.native_geobox.shape == (101, 77)
        assert scene.read_native(Window(100, 76, 1, 1)).data.shape == (1, 1, 1)
    with open_scene(path, gsd=10.05) as scene:
        assert scene.geobox == scene.native_geobox


@pytest.mark.parametrize("gsd", [0, -3, 0.01, 1e6, float("nan")])
def test_a_gsd_that_cannot_be(write_tif, gsd):
    with pytest.raises(SceneError, match="gsd"):
        open_scene(write_tif("x.tif", np.zeros((1, 5, 5), "uint8")), gsd=gsd)


def test_gsd_needs_a_crs(write_tif):
    with pytest.raises(SceneError, match="no CRS"):
        open_scene(write_tif("x.tif", np.zeros((1, 5, 5), "uint8"), crs=None), gsd=5)


@given(scale=st.floats(0.05, 40), offset=st.floats(-50, 50), source=st.integers(1, 60), flip=st.booleans())
def test_weights_sum_to_what_is_covered(scale, offset, source, flip):
    axis = AxisMap(scale=-scale if flip else scale, offset=offset, source=source)
    places, weights = axis.taps(-5, 50)
    assert places.min() >= 0
    assert places.max() < source
    assert (weights >= 0).all()
    edges = axis.offset + np.arange(-5, 51) * axis.scale
    covered = np.abs(np.diff(np.clip(edges, 0, source)))
    if scale > 1.001:
        assert np.allclose(weights.sum(axis=1), covered, atol=1e-6)
    else:
        assert set(np.round(weights.sum(axis=1), 9)) <= {0.0, 1.0}


def test_bounds_of_what_is_read(write_tif, rng):
    """A window of the working grid asks for the pixels under it and no more."""
    asked = []
    path = write_tif("x.tif", rng.integers(0, 9, (1, 200, 200)).astype("uint8"))
    with open_scene(path, gsd=20) as scene:
        raster = scene.rasters[0]
        read = raster.read
        raster.read = lambda window: asked.append(window) or read(window)
        scene.read(Window(10, 20, 5, 7))
        with rasterio.open(path) as dataset:
            assert dataset.read(window=RasterioWindow(40, 20, 14, 10)).shape == (1, 10, 14)
    assert asked == [Window(20, 40, 10, 14)]
