"""The sample scene: deterministic, windowless, and true at every pixel."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import rasterio
import shapely
from pyproj import Transformer
from rasterio.features import rasterize
from shapely.geometry import shape

from geounet.errors import RequestError
from geounet.grid.window import Window
from geounet.sample.noise import grain, value_noise
from geounet.sample.paint import paint
from geounet.sample.town import Town
from geounet.sample.write import SamplePaths, footprint, valid_mask, write_sample


def digests(paths: SamplePaths) -> dict[str, str]:
    return {name: hashlib.sha256(file.read_bytes()).hexdigest() for name, file in vars(paths).items()}


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> SamplePaths:
    return write_sample(tmp_path_factory.mktemp("sample") / "town.tif", size=1000, seed=4)


def read(path: Path) -> np.ndarray:
    with rasterio.open(path) as file:
        return file.read()


def test_the_same_seed_and_size_are_the_same_bytes(tmp_path: Path) -> None:
    one = digests(write_sample(tmp_path / "a" / "t.tif", size=257, seed=7, threads=1))
    two = digests(write_sample(tmp_path / "b" / "t.tif", size=257, seed=7, threads=2))
    other = digests(write_sample(tmp_path / "c" / "t.tif", size=257, seed=8))
    assert one == two
    assert not set(one.values()) & set(other.values())


@pytest.mark.parametrize("seed", [0, 5])
def test_the_window_does_not_matter(seed: int) -> None:
    whole = paint(Town(seed), Window(-130, -150, 300, 300))
    town = Town(seed, keep=2)
    for top, left, height, width in [(0, 0, 97, 300), (97, 0, 203, 131), (97, 131, 203, 169), (55, 41, 1, 7)]:
        part = paint(town, Window(top - 130, left - 150, height, width))
        where = (slice(top, top + height), slice(left, left + width))
        np.testing.assert_array_equal(part.labels, whole.labels[where])
        np.testing.assert_array_equal(part.rgb, whole.rgb[:, *where])


def test_a_green_town_is_another_one_that_knows_no_window() -> None:
    green, dry = Town(5, climate="green"), Town(5)
    whole = paint(green, Window(-130, -150, 300, 300))
    part = paint(Town(5, climate="green", keep=2), Window(-33, -19, 203, 169))
    np.testing.assert_array_equal(part.labels, whole.labels[97:, 131:])
    np.testing.assert_array_equal(part.rgb, whole.rgb[:, 97:, 131:])
    window = Window(-512, -512, 1024, 1024)
    lush, sandy = paint(green, window), paint(dry, window)
    shares = [np.bincount(town.labels.ravel(), minlength=5) / town.labels.size for town in (lush, sandy)]
    assert shares[0][3] > 0.3 > shares[1][3]
    assert shares[1][1] > 0.3 > shares[0][1]


def test_a_green_sample_says_so_and_crowns_over_its_streets_are_street(tmp_path: Path) -> None:
    paths = write_sample(tmp_path / "t.tif", size=1000, seed=4, climate="green")
    with rasterio.open(paths.scene) as file:
        assert file.tags()["GEOUNET_SAMPLE_CLIMATE"] == "green"
    labels = read(paths.truth_landuse)[0]
    hit = rasterize(on_grid(paths.road_lines, paths.scene, kind="street"), out_shape=labels.shape).astype(bool)
    assert (labels[hit & (labels != 255)] == 2).mean() > 0.97


@pytest.mark.parametrize("size", [64, 65, 257])
def test_any_size(tmp_path: Path, size: int) -> None:
    seen = []
    paths = write_sample(tmp_path / "t.tif", size=size, progress=lambda *x: seen.append(x))
    assert seen[-1] == (1, 1)
    assert read(paths.scene).shape == (3, size, size)
    assert read(paths.truth_landuse).shape == read(paths.truth_road).shape == (1, size, size)


def test_footprint_nodata_and_tags(sample: SamplePaths) -> None:
    image, labels, road = read(sample.scene), read(sample.truth_landuse)[0], read(sample.truth_road)[0]
    valid = valid_mask(footprint(1000, 4), Window(0, 0, 1000, 1000))
    assert 0.7 < valid.mean() < 0.99
    np.testing.assert_array_equal((image == 0).all(axis=0), ~valid)
    np.testing.assert_array_equal((image != 0).all(axis=0), valid)
    np.testing.assert_array_equal(labels == 255, ~valid)
    np.testing.assert_array_equal(road, np.where(valid, labels == 2, 255))
    assert set(np.unique(labels)) == {0, 1, 2, 3, 4, 255}
    with rasterio.open(sample.scene) as file:
        assert file.nodata == 0
        assert file.crs.to_epsg() == 32640
        assert file.res == (0.5, 0.5)
        assert file.descriptions == ("red", "green", "blue")
        assert file.tags()["GEOUNET_SYNTHETIC"] == "yes"
        assert file.tags()["GEOUNET_SAMPLE_SEED"] == "4"
    with rasterio.open(sample.truth_landuse) as file:
        assert file.nodata == 255
        assert file.colormap(1)[0][:3] == (215, 75, 59)
        assert file.tags()["CLASS_4"] == "water"
    with rasterio.open(sample.truth_road) as file:
        assert (file.tags()["CLASS_0"], file.tags()["CLASS_1"]) == ("other", "road")


def features(path: Path) -> list[dict]:
    return json.loads(path.read_text())["features"]


def on_grid(path: Path, scene: Path, **about: object) -> list:
    with rasterio.open(scene) as file:
        west, north = file.transform.c, file.transform.f
        to_utm = Transformer.from_crs("OGC:CRS84", file.crs, always_xy=True)

    def pixels(lonlat: np.ndarray) -> np.ndarray:
        x, y = to_utm.transform(*lonlat.T)
        return np.stack([(x - west) * 2, (north - y) * 2], axis=-1)

    found = [f for f in features(path) if all(f["properties"][k] == v for k, v in about.items())]
    return [shapely.transform(shape(f["geometry"]), pixels) for f in found]


def test_building_polygons_are_the_building_class(sample: SamplePaths) -> None:
    labels = read(sample.truth_landuse)[0]
    drawn = rasterize(on_grid(sample.polygons, sample.scene, name="building"), out_shape=labels.shape)
    wrong = (drawn == 1) != (labels == 0)
    # GeoJSON rounds to a centimetre, and the truth's rim is cut at the footprint.
    assert wrong.mean() < 2e-4


def test_polygons_are_valid_and_wound_as_rfc7946_asks(sample: SamplePaths) -> None:
    for feature in features(sample.polygons):
        polygon = shape(feature["geometry"])
        assert polygon.is_valid
        assert polygon.exterior.is_ccw


def test_road_lines_lie_on_the_road(sample: SamplePaths) -> None:
    labels = read(sample.truth_landuse)[0]
    lines = on_grid(sample.road_lines, sample.scene)
    assert len(lines) > 10
    hit = rasterize(lines, out_shape=labels.shape).astype(bool) & (labels != 255)
    # Crowns, medians and what lies under a bridge are not road on top.
    assert (labels[hit] == 2).mean() > 0.8
    wide = rasterize([line.buffer(26) for line in lines], out_shape=labels.shape).astype(bool)
    assert wide[labels == 2].mean() > 0.97


def test_shadow_on_a_road_stays_road(sample: SamplePaths) -> None:
    image, labels = read(sample.scene).astype(float).mean(axis=0), read(sample.truth_landuse)[0]
    road = image[labels == 2]
    assert (road < np.median(road) * 0.65).mean() > 0.005


def test_refuses_to_overwrite_unless_asked(tmp_path: Path) -> None:
    paths = write_sample(tmp_path / "t.tif", size=64)
    paths.scene.unlink()
    with pytest.raises(RequestError, match=r"t_landuse\.tif exists"):
        write_sample(tmp_path / "t.tif", size=64)
    write_sample(tmp_path / "t.tif", size=64, overwrite=True)
    assert sorted(tmp_path.iterdir()) == sorted(vars(paths).values())


@pytest.mark.parametrize(
    ("name", "options", "says"),
    [
        ("t.tif", {"size": 63}, "63"),
        ("t.tif", {"climate": "wet"}, "dry or green"),
        ("t.tif", {"seed": -1}, "-1"),
        ("t.png", {}, "t.png"),
    ],
)
def test_refuses_what_it_cannot_draw(tmp_path: Path, name: str, options: dict, says: str) -> None:
    with pytest.raises(RequestError, match=says):
        write_sample(tmp_path / name, **options)
    assert not list(tmp_path.iterdir())


def test_a_failure_leaves_nothing_behind(tmp_path: Path) -> None:
    def stop(*_: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_sample(tmp_path / "t.tif", size=64, progress=stop)
    assert not list(tmp_path.iterdir())


_CUT_SHORT = """
import resource, signal, sys
from pathlib import Path
from geounet.sample.write import write_sample
for size in map(int, sys.argv[2:]):
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
    try:
        write_sample(sys.argv[1], size=100)
    except OSError as error:
        print(error)
    assert not list(Path(sys.argv[1]).parent.iterdir()), size
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no limit on file sizes there")
def test_a_disk_that_fills_leaves_nothing_behind(tmp_path: Path) -> None:
    whole = write_sample(tmp_path / "t.tif", size=100).scene.stat().st_size
    folder = tmp_path / "full"
    folder.mkdir()
    sizes = map(str, (whole - 1, whole - 900, whole // 2, 1000))
    done = subprocess.run(
        [sys.executable, "-c", _CUT_SHORT, folder / "t.tif", *sizes], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert len(done.stdout.splitlines()) == 4


def test_noise_belongs_to_the_position() -> None:
    whole, part = Window(-40, -90, 200, 180), Window(3, -17, 60, 50)
    inside = part.relative_to(whole).slices()
    for scale in (3, 13, 47):
        np.testing.assert_array_equal(
            value_noise(part, scale=scale, key=5), value_noise(whole, scale=scale, key=5)[inside]
        )
    np.testing.assert_array_equal(grain(part, key=5), grain(whole, key=5)[inside])
    assert abs(grain(whole, key=5).mean()) < 0.02
    assert abs(grain(whole, key=5).std() - 1) < 0.02
