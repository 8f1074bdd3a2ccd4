"""Scene.read against rasterio, and what is refused or warned of."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import rasterio
from affine import Affine
from rasterio.control import GroundControlPoint
from rasterio.windows import Window as RasterioWindow

from geounet.errors import SceneError
from geounet.grid.window import Window
from geounet.io import gdal
from geounet.io.raster import DTYPES
from geounet.io.scene import open_scene, open_spec

pytestmark = pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
LAYOUTS = {
    "striped": {},
    "tiled": {"tiled": True, "blockxsize": 32, "blockysize": 16},
    "planar": {"interleave": "band", "tiled": True, "blockxsize": 16, "blockysize": 16},
    "pixel": {"interleave": "pixel", "compress": "deflate"},
    "bigtiff": {"BIGTIFF": "YES", "compress": "zstd"},
    "one strip": {"blockysize": 70, "compress": "lzw"},
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_pixels_are_rasterios(write_tif, rng, layout, dtype):
    data = rng.integers(0, 120, (3, 70, 45)).astype(dtype)
    path = write_tif("x.tif", data, **LAYOUTS[layout])
    window = Window(11, 5, 40, 33)
    with open_scene(path) as scene, rasterio.open(path) as dataset:
        pixels = scene.read(window)
        assert scene.dtype == dtype == str(pixels.data.dtype)
        assert (pixels.data == dataset.read(window=RasterioWindow(5, 11, 33, 40))).all()
        assert pixels.valid.all()
        assert scene.geobox.shape == dataset.shape


@pytest.mark.parametrize("shape", [(1, 1), (1, 90), (90, 1)])
def test_tiny(write_tif, shape):
    path = write_tif("x.tif", np.full((2, *shape), 3, "uint8"))
    with open_scene(path) as scene:
        pixels = scene.read(scene.geobox.window)
        assert pixels.data.shape == (2, *shape)
        assert pixels.valid.shape == shape


@pytest.mark.parametrize("window", [Window(0, 0, 0, 3), Window(-1, 0, 3, 3), Window(0, 8, 3, 3)])
def test_a_window_that_leaves_the_scene_is_our_own_bug(write_tif, window):
    path = write_tif("x.tif", np.zeros((1, 10, 10), "uint8"))
    with open_scene(path) as scene, pytest.raises(ValueError, match="leaves the scene"):
        scene.read(window)


def test_a_spec_travels(write_tif, rng):
    path = write_tif("x.tif", rng.integers(0, 9, (4, 20, 20)).astype("uint8"))
    scene = open_scene(path, bands="3,1", nodata=4, gsd=20)
    luggage = pickle.dumps(scene.spec)
    again = open_spec(pickle.loads(luggage))
    assert len(luggage) < 1000
    assert again.geobox == scene.geobox
    assert again.fingerprint == scene.fingerprint
    assert again.read(again.geobox.window).data.tobytes() == scene.read(scene.geobox.window).data.tobytes()


@pytest.mark.parametrize(
    "affine",
    [Affine(10, 0, 5e5, 0, 10, 4e6), Affine.translation(5e5, 5e6) * Affine.rotation(30) * Affine.scale(10, -10)],
    ids=["south-up", "rotated"],
)
def test_other_orientations_keep_their_pixels_and_their_grid(write_tif, rng, affine):
    data = rng.integers(0, 9, (1, 12, 8)).astype("uint8")
    with open_scene(write_tif("x.tif", data, transform=affine)) as scene:
        assert (scene.read(scene.geobox.window).data == data).all()
        assert np.allclose(scene.geobox.transform, tuple(affine)[:6])


def test_without_a_georeference(write_tif):
    data = np.zeros((1, 5, 5), "uint8")
    for profile in ({"crs": None}, {"crs": None, "transform": Affine.identity()}, {"transform": Affine.identity()}):
        with open_scene(write_tif("x.tif", data, **profile)) as scene:
            assert scene.geobox.crs is None
            assert any("pixel coordinates" in w for w in scene.warnings)
    with open_scene(write_tif("y.tif", data)) as scene:
        assert scene.warnings == ()


def test_ground_control_points_alone_are_refused_with_the_remedy(write_tif):
    points = [GroundControlPoint(r, c, 500000 + c, 5000000 - r) for r, c in ((0, 0), (0, 5), (5, 0), (5, 5))]
    path = write_tif("x.tif", np.zeros((1, 5, 5), "uint8"), transform=None, gcps=points)
    with pytest.raises(SceneError, match="gdalwarp"):
        open_scene(path)


def test_complex_pixels_are_refused(write_tif):
    with pytest.raises(SceneError, match="complex64 pixels; expected one of uint8"):
        open_scene(write_tif("x.tif", np.zeros((1, 5, 5), "complex64")))


def test_several_files_need_stack(write_tif):
    path = write_tif("x.tif", np.zeros((1, 5, 5), "uint8"))
    with pytest.raises(SceneError, match="--stack"):
        open_scene([path, path])


def test_damage_names_file_and_window_and_nothing_else_is_said(write_tif, rng, capfd):
    data = rng.integers(0, 255, (1, 64, 64)).astype("uint8")
    path = write_tif("hurt.tif", data, compress="deflate", tiled=True, blockxsize=32, blockysize=32)
    with rasterio.open(path) as dataset:
        offset = int(dataset.get_tag_item("BLOCK_OFFSET_1_1", "TIFF", bidx=1))
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(b"\xff" * 400)
    with open_scene(path) as scene:
        assert (scene.read(Window(0, 0, 32, 64)).data == data[:, :32]).all()
        with pytest.raises(SceneError, match=r"hurt.tif cannot be read at rows 32..63, columns 0..63") as hurt:
            scene.read(Window(32, 0, 32, 64))
    assert "\n" not in str(hurt.value)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("name", "profile"),
    [
        ("x.tif", {}),
        ("x.tif", {"compress": "deflate", "tiled": True}),
        ("x.tif", {"compress": "jpeg"}),
        ("x.jpg", {"driver": "JPEG"}),
        ("x.png", {"driver": "PNG"}),
        ("x.jp2", {"driver": "JP2OpenJPEG"}),
        ("x.img", {"driver": "HFA"}),
        ("x.dat", {"driver": "ENVI"}),
    ],
)
def test_a_file_that_was_cut_is_never_read_as_if_it_were_whole(write_tif, rng, name, profile):
    path = write_tif(name, rng.integers(0, 255, (3, 300, 300)).astype("uint8"), **profile)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * 0.9)])
    with pytest.raises(SceneError, match=name), open_scene(path) as scene:
        scene.read(scene.geobox.window)


def test_threads_read_side_by_side(write_tif, rng):
    data = rng.integers(0, 255, (2, 256, 256)).astype("uint8")
    spec = open_scene(write_tif("x.tif", data, tiled=True, compress="deflate"), gsd=20).spec

    def read(_: int) -> bytes:
        with open_spec(spec) as scene:
            return scene.read(scene.geobox.window).data.tobytes()

    with ThreadPoolExecutor(4) as pool:
        assert len(set(pool.map(read, range(16)))) == 1


def test_fingerprint_sees_pixels_and_options(write_tif):
    data = np.zeros((2, 50, 50), "uint8")
    path = write_tif("x.tif", data)
    seen = {
        open_scene(path, **o).fingerprint
        for o in ({}, {"bands": "1"}, {"bands": "2,1"}, {"nodata": 0}, {"gsd": 20})
    }
    seen.add(open_scene(path, mask=write_tif("mask.tif", data[:1])).fingerprint)
    assert len(seen) == 6
    assert open_scene(path).fingerprint in seen
    state = path.stat()
    data[:, 25, 25] = 1
    write_tif("x.tif", data)
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))
    assert open_scene(path).fingerprint not in seen


def test_declared_sizes_that_cannot_be(write_tif):
    path = write_tif("huge.tif", np.zeros((1, 1, 1), "uint8"))
    script = (
        "import sys, rasterio\n"
        "with rasterio.open(sys.argv[1], 'w', driver='GTiff', width=2_000_000, height=2_000_000, count=1,"
        " dtype='uint8', tiled=True, blockxsize=16384, blockysize=16384, SPARSE_OK=True, BIGTIFF='YES'): pass\n"
    )
    subprocess.run([sys.executable, "-c", script, str(path)], check=True, capture_output=True)
    assert path.stat().st_size < 1_000_000
    with pytest.raises(SceneError, match="TiB"):
        open_scene(path)
    one = write_tif("block.tif", np.zeros((1, 1, 1), "uint8"))
    script = script.replace("width=2_000_000, height=2_000_000", "width=32768, height=32768").replace(
        "16384", "32768"
    )
    subprocess.run([sys.executable, "-c", script, str(one)], check=True, capture_output=True)
    with pytest.raises(SceneError, match="gdal_translate -of COG"):
        open_scene(one)


def test_a_sparse_scene_is_no_crime(write_tif):
    path = write_tif("sparse.tif", np.zeros((1, 1, 1), "uint8"))
    profile = {"driver": "GTiff", "width": 32768, "height": 32768, "count": 3, "dtype": "uint8", "tiled": True}
    with rasterio.open(path, "w", **profile, blockxsize=512, blockysize=512, SPARSE_OK=True):
        pass
    with open_scene(path) as scene:
        assert any("almost empty" in w for w in scene.warnings)
        assert not scene.read(Window(32000, 32000, 100, 100)).data.any()


def test_gdals_cache_is_bounded(write_tif, monkeypatch):
    monkeypatch.delenv("GDAL_CACHEMAX", raising=False)
    gdal.set_gdal_config("GDAL_CACHEMAX", 2**32)
    open_scene(write_tif("x.tif", np.zeros((1, 5, 5), "uint8"))).close()
    assert gdal.get_gdal_config("GDAL_CACHEMAX") == gdal.CACHE_BYTES


def _read_bytes() -> int:
    with open("/proc/self/io") as file:  # noqa: PTH123
        return int(file.readline().split()[1])


@pytest.mark.skipif(not os.path.exists("/proc/self/io"), reason="counts bytes by /proc")  # noqa: PTH110
@pytest.mark.parametrize("rows", [384, 100])
def test_row_bands_decode_every_block_once(write_tif, rng, rows):
    data = rng.integers(0, 255, (3, 1024, 2048)).astype("uint8")
    path = write_tif(
        "x.tif", data, tiled=True, blockxsize=256, blockysize=256, compress="deflate", interleave="pixel"
    )
    with open_scene(path) as scene:
        before = _read_bytes()
        for top in range(0, 1024, rows):
            scene.read(Window(top, 0, min(rows, 1024 - top), 2048))
        assert _read_bytes() - before < 1.1 * path.stat().st_size


def test_importing_is_light():
    heavy = "{'torch', 'pandas', 'numba', 'distributed'}"
    code = f"import sys, geounet.io.scene; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "[]"
