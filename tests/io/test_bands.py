"""Band names, and the choice among them."""

from __future__ import annotations

import numpy as np
import pytest
from rasterio.enums import ColorInterp

from geounet.errors import SceneError
from geounet.io.bands import common_names, parse_choice, pick
from geounet.io.scene import open_scene

RGBA = [ColorInterp.red, ColorInterp.green, ColorInterp.blue, ColorInterp.alpha]


def planes(count: int) -> np.ndarray:
    return np.arange(1, count + 1, dtype="uint8")[:, None, None] * np.ones((1, 3, 5), "uint8")


@pytest.mark.parametrize(
    ("bands", "values"),
    [
        (None, [1, 2, 3, 4]),
        ("4,3,2", [4, 3, 2]),
        (("red", "GREEN", "Blue"), [3, 2, 1]),
        (("B04", "b08"), [3, 4]),
        ([1, "nir08", 1], [1, 4, 1]),
    ],
)
def test_bands_are_chosen_by_index_name_and_description(write_tif, bands, values):
    path = write_tif("s2.tif", planes(4), descriptions=("B02", "B03", "B04", "B08"))
    with open_scene(path, bands=bands) as scene:
        read = scene.read(scene.geobox.window)
        assert [int(b.max()) for b in read.data] == values
        assert scene.count == len(values) == len(scene.band_names)


@pytest.mark.parametrize("bands", ["5", "0", "swir16", "red,,blue", ""])
def test_a_band_that_is_not_there_lists_what_is(write_tif, bands):
    path = write_tif("rgb.tif", planes(3), descriptions=("Red", "Green", "Blue"))
    with pytest.raises(SceneError, match=r"red|expected indices"):
        open_scene(path, bands=bands)


def test_alpha_is_never_an_image_band(write_tif):
    path = write_tif("rgba.tif", planes(4), colorinterp=RGBA)
    assert open_scene(path).band_names == ("red", "green", "blue")
    with pytest.raises(SceneError, match="no band 4"):
        open_scene(path, bands="4")


def test_a_fourth_band_that_gdal_calls_alpha_but_the_file_calls_nir_is_an_image(write_tif):
    path = write_tif("rgbn.tif", planes(4) - 4, colorinterp=RGBA, descriptions=("red", "green", "blue", "nir"))
    with open_scene(path) as scene:
        assert scene.band_names == ("red", "green", "blue", "nir")
        assert scene.read(scene.geobox.window).valid.all()


def test_alpha_in_front_shifts_nothing(write_tif):
    path = write_tif("argb.tif", planes(4), colorinterp=[RGBA[3], *RGBA[:3]])
    with open_scene(path, bands="1") as scene:
        assert int(scene.read(scene.geobox.window).data.max()) == 2


def test_unpadded_ids_keep_their_own_name():
    # B4 is red on Sentinel-2 and Landsat 8, near infrared on Landsat 5
    assert common_names(("B4", "B5"), ("gray", "undefined")) == ("B4", "B5")
    assert common_names(("B04", "B11"), ("gray", "undefined")) == ("red", "swir16")
    assert common_names((None, None), ("gray", "undefined")) == ("band1", "band2")
    assert common_names(("red", "red"), ("gray", "gray")) == ("red", "red_2")


def test_nir_stands_in_for_nir08_only_where_it_is_missing():
    assert pick(("nir",), ("red", "nir08"), (None, None), label="x") == (1,)
    assert pick(("nir",), ("nir08", "nir"), (None, None), label="x") == (1,)
    assert parse_choice(" 4, 3 ,2") == ("4", "3", "2")
