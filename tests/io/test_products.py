"""Folders of Sentinel-2 and Landsat products."""

from __future__ import annotations

import numpy as np
import pytest
from affine import Affine

from geounet.errors import SceneError
from geounet.io.describe import describe
from geounet.io.scene import open_scene

L2A = "S2A_MSIL2A_20230601T101031_N0509_R022_T33UUP_20230601T162959.SAFE"
L1C = "S2B_MSIL1C_20190601T101031_N0207_R022_T33UUP_20190601T121259.SAFE"
TILE = "T33UUP_20230601T101031"


def band(write_tif, name: str, value: int, metres: int):
    pixels = np.full((1, 240 // metres, 240 // metres), value, "uint16")
    pixels[0, 0, 0] = 0
    place = {"transform": Affine(metres, 0, 3e5, 0, -metres, 5.5e6)}
    return write_tif(name, pixels, driver="JP2OpenJPEG", QUALITY="100", REVERSIBLE="YES", **place)


@pytest.fixture
def l2a(write_tif, tmp_path):
    images = f"{L2A}/GRANULE/L2A_T33UUP_A041000_20230601T101031/IMG_DATA"
    for value, (name, metres) in enumerate(
        [("B02", 10), ("B03", 10), ("B04", 10), ("B08", 10), ("B05", 20), ("B04", 20), ("B11", 20), ("B09", 60)],
        start=1,
    ):
        band(write_tif, f"{images}/R{metres}m/{TILE}_{name}_{metres}m.jp2", value * 100, metres)
    band(write_tif, f"{images}/R10m/{TILE}_TCI_10m.jp2", 1, 10)
    (tmp_path / L2A / "MTD_MSIL2A.xml").write_text("<x/>")
    return tmp_path / L2A


def test_sentinel2_level_2a(l2a):
    for path in (l2a, l2a / "MTD_MSIL2A.xml"):
        with open_scene(path) as scene:
            assert scene.band_names == ("blue", "green", "red", "nir")
            assert scene.all_band_names[4:] == ("rededge071", "swir16", "nir09")
            pixels = scene.read(scene.geobox.window)
            assert pixels.data[:, 5, 5].tolist() == [100, 200, 300, 400]
            assert not pixels.valid[0, 0]
            assert pixels.valid.sum() == 24 * 24 - 1
            assert any("1000 above" in w for w in scene.warnings)
    assert open_scene(l2a).name == L2A.removesuffix(".SAFE")


def test_sentinel2_bands_of_other_resolutions(l2a):
    with open_scene(l2a, bands="swir16,B04") as scene:
        assert scene.geobox.shape == (24, 24)
        pixels = scene.read(scene.geobox.window)
        assert pixels.data[:, 5, 5].tolist() == [700, 300]
        assert any("uint16" in w for w in describe(scene).warnings)
    with open_scene(l2a, bands="B05,B11") as scene:
        assert scene.geobox.shape == (12, 12)
    with pytest.raises(SceneError, match=r"1 blue \(B02\)"):
        open_scene(l2a, bands="B12")


def test_sentinel2_level_1c(write_tif, tmp_path):
    images = f"{L1C}/GRANULE/L1C_T33UUP_A041000_20190601T101031/IMG_DATA"
    for name in ("B04", "B03", "B02"):
        band(write_tif, f"{images}/{TILE}_{name}.jp2", 7, 10)
    with open_scene(tmp_path / L1C) as scene:
        assert scene.band_names == ("blue", "green", "red")
        assert scene.warnings == ()


@pytest.mark.parametrize(
    ("stem", "kind", "names"),
    [
        ("LC08_L2SP_193024_20200101_20200823_02_T1", "SR_B", ("blue", "green", "red", "nir08", "swir16", "swir22")),
        ("LE07_L1TP_193024_20000101_20200823_02_T1", "B", ("blue", "green", "red", "nir08", "swir16", "swir22")),
    ],
)
def test_landsat(write_tif, tmp_path, stem, kind, names):
    for number in range(1, 8):
        write_tif(f"{stem}/{stem}_{kind}{number}.TIF", np.full((1, 8, 8), number, "uint16"), nodata=0)
    write_tif(f"{stem}/{stem}_QA_PIXEL.TIF", np.zeros((1, 8, 8), "uint16"))
    with open_scene(tmp_path / stem) as scene:
        assert scene.band_names == names
        expected = [2, 3, 4, 5, 6, 7] if stem.startswith("LC08") else [1, 2, 3, 4, 5, 7]
        assert scene.read(scene.geobox.window).data[:, 0, 0].tolist() == expected
        assert scene.name == stem
    with open_scene(tmp_path / stem, bands=("red", "nir", f"{kind}1")) as scene:
        assert scene.count == 3
    files = sorted((tmp_path / stem).glob(f"*{kind}[34].TIF"))
    with open_scene(files, stack=True) as scene:
        assert scene.band_names == (("green", "red") if stem.startswith("LC08") else ("red", "nir08"))


def test_folders_that_are_no_product(tmp_path, l2a):
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty.SAFE").mkdir()
    with pytest.raises(SceneError, match="no product known"):
        open_scene(tmp_path / "empty")
    with pytest.raises(SceneError, match="no band files"):
        open_scene(tmp_path / "empty.SAFE")
