"""Every kind of nodata, and the rule that makes one mask of them."""

from __future__ import annotations

import numpy as np
import pytest
import rasterio
from rasterio.enums import ColorInterp

from geounet.errors import SceneError
from geounet.io import nodata as rule
from geounet.io.scene import Pixels, open_scene


def read(path, **options) -> Pixels:
    with open_scene(path, **options) as scene:
        return scene.read(scene.geobox.window)


def test_blank_needs_all_chosen_bands(write_tif):
    data = np.array([[[0, 0, 5]], [[0, 7, 0]]], "uint8")
    path = write_tif("x.tif", data, nodata=0)
    assert read(path).valid.tolist() == [[False, True, True]]
    assert read(path, bands="1").valid.tolist() == [[False, False, True]]
    assert (read(path).data == data).all()


def test_explicit_nodata_replaces_the_declared(write_tif):
    path = write_tif("x.tif", np.array([[[0, 255, 5]]], "uint8"), nodata=0)
    assert read(path, nodata=255).valid.tolist() == [[True, False, True]]
    for bad in (256, -1, 0.5, float("nan")):
        with pytest.raises(SceneError, match="cannot occur in uint8"):
            open_scene(path, nodata=bad)


def test_floats(write_tif):
    data = np.array([[[np.nan, np.inf, -9999, 5]], [[1, 1, -9999, np.nan]]], "float32")
    path = write_tif("x.tif", data, nodata=-9999)
    assert read(path).valid.tolist() == [[False, False, False, False]]
    assert read(path, bands="2").valid.tolist() == [[True, True, False, False]]
    nan = write_tif("nan.tif", data[:1], nodata=float("nan"))
    assert read(nan).valid.tolist() == [[False, False, True, True]]


def test_nodata_at_the_end_of_float32_survives_decimal_text(write_tif):
    low = np.finfo("float32").min
    data = np.array([[[low, 0]]], "float32")
    path = write_tif("x.tif", data)
    for text in (-3.4028234663852886e38, -3.40282e38, -3.4028235e38):
        assert rule.usable_nodata(text, np.dtype("float32")) is not None
    assert read(path, nodata=-3.4028235e38).valid.tolist() == [[False, True]]


def test_nodata_that_no_pixel_can_have_is_told_and_ignored(write_tif, monkeypatch):
    path = write_tif("x.dat", np.array([[[0, 241]]], "uint8"), driver="ENVI")
    header = path.with_suffix(".hdr")
    header.write_text(header.read_text() + "\ndata ignore value = -9999\n")
    with open_scene(path) as scene:
        assert scene.nodata is None
        assert scene.read(scene.geobox.window).valid.all()


def test_nodata_that_differs_per_band(write_tif, tmp_path):
    data = np.array([[[1, 1, 3]], [[2, 9, 2]]], "uint8")
    write_tif("x.tif", data)
    file = '<SourceFilename relativeToVRT="1">x.tif</SourceFilename>'
    source = "<SimpleSource>" + file + "<SourceBand>{n}</SourceBand></SimpleSource>"
    band = '<VRTRasterBand dataType="Byte" band="{n}"><NoDataValue>{n}</NoDataValue>' + source + "</VRTRasterBand>"
    (tmp_path / "x.vrt").write_text(
        f'<VRTDataset rasterXSize="3" rasterYSize="1">{band.format(n=1)}{band.format(n=2)}</VRTDataset>'
    )
    with open_scene(tmp_path / "x.vrt") as scene:
        assert scene.nodata is None
        assert scene.read(scene.geobox.window).valid.tolist() == [[False, True, True]]


def test_alpha_and_masks(write_tif):
    data = np.array([[[1, 2, 3]], [[0, 128, 255]]], "uint8")
    alpha = write_tif("alpha.tif", data, colorinterp=[ColorInterp.gray, ColorInterp.alpha])
    assert read(alpha).valid.tolist() == [[False, True, True]]
    mask = np.array([[0, 255, 255]], "uint8")
    assert read(write_tif("outer.tif", data, mask=mask)).valid.tolist() == [[False, True, True]]
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True):
        inner = write_tif("inner.tif", data, mask=mask)
    assert not inner.with_name("inner.tif.msk").exists()
    assert read(inner).valid.tolist() == [[False, True, True]]
    assert read(inner, nodata=3, bands="1").valid.tolist() == [[False, True, False]]


def test_a_mask_file_changes_the_fingerprint(write_tif):
    data = np.ones((1, 2, 2), "uint8")
    path = write_tif("x.tif", data)
    before = open_scene(path).fingerprint
    with rasterio.open(path, "r+") as out:
        out.write_mask(np.zeros((2, 2), "uint8"))
    assert open_scene(path).fingerprint != before


@pytest.mark.parametrize("dtype", ["uint8", "int16", "float32", "float64"])
def test_single_bands_agree_with_gdal(write_tif, rng, dtype):
    data = rng.integers(0, 4, (1, 33, 21)).astype(dtype)
    path = write_tif("x.tif", data, nodata=2)
    with rasterio.open(path) as dataset:
        assert (read(path).valid == (dataset.dataset_mask() != 0)).all()
